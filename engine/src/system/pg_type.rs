//! `pg_type`, `pg_enum` and `pg_range`: the types of the system, those that somebody made, the values of
//! enumerations, and what ranges are of.

use super::pg_catalog::{OWNER, Row, oid, text, yes};
use crate::function::{
    PG_CATALOG, PG_TYPES, PgType, array_type_oid, enum_oid, pg_type, schema_oid, type_number,
    type_oid,
};
use remora_storage::Value;
use remora_storage::catalog::{Catalog, TypeDef, TypeKind};
use remora_storage::value::RangeType;

/// What tells one row of `pg_type` from others.
struct Shown<'t> {
    oid: i64,
    name: &'t str,
    schema: i64,
    length: i16,
    kind: &'t str,
    category: &'t str,
    element: i64,
    /// Of a domain.
    base: i64,
    not_null: bool,
}

fn row(shown: &Shown<'_>) -> Row {
    vec![
        oid(shown.oid),
        text(shown.name),
        oid(shown.schema),
        oid(OWNER),
        Value::SmallInt(shown.length),
        text(shown.kind),
        text(shown.category),
        oid(0),
        oid(shown.element),
        yes(shown.not_null),
        oid(shown.base),
        Value::Integer(-1),
    ]
}

/// The rows of `pg_type`.
pub(super) fn types(catalog: &Catalog) -> Vec<Row> {
    let of_system = |known: &PgType| {
        row(&Shown {
            oid: known.oid,
            name: known.name,
            schema: schema_oid(PG_CATALOG),
            length: known.length,
            kind: match known.name {
                name if known.category != "R" || name.starts_with('_') => "b",
                name if name.ends_with("multirange") => "m",
                _ => "r",
            },
            category: known.category,
            element: 0,
            base: 0,
            not_null: false,
        })
    };
    let made = |def: &TypeDef| {
        let schema = schema_oid(def.schema);
        let (kind, category, length) = match def.kind {
            TypeKind::Enum(_) => ("e", "E", 4),
            TypeKind::Range(_) => ("r", "R", -1),
            TypeKind::Multirange(_) => ("m", "R", -1),
            TypeKind::Composite(_) => ("c", "C", -1),
            TypeKind::Domain(ref domain) => {
                let known = pg_type(domain.base);
                let category = known.map_or("U", |known| known.category);
                ("d", category, known.map_or(-1, |known| known.length))
            }
        };
        let domain = def.domain();
        let over = domain.and_then(|domain| domain.over).map(type_oid);
        let base = domain.map(|domain| over.unwrap_or_else(|| type_number(domain.base)));
        let not_null = domain.is_some_and(|domain| domain.not_null);
        let array = format!("_{}", def.name);
        [
            row(&Shown {
                oid: type_oid(def.id),
                name: &def.name,
                schema,
                length,
                kind,
                category,
                element: 0,
                base: base.unwrap_or(0),
                not_null,
            }),
            row(&Shown {
                oid: array_type_oid(def.id),
                name: &array,
                schema,
                length: -1,
                kind: "b",
                category: "A",
                element: type_oid(def.id),
                base: 0,
                not_null: false,
            }),
        ]
    };
    let system = PG_TYPES.iter().map(of_system);
    let made = catalog.types().flat_map(|def| made(def));
    system.chain(made).collect()
}

/// The rows of `pg_range`.
pub(super) fn ranges(catalog: &Catalog) -> Vec<Row> {
    let shown = |of: RangeType| {
        let (subtype, function) = (type_number(of.subtype()), |name: Option<String>| {
            text(name.as_deref().unwrap_or("-"))
        });
        let named = |what: &str| of.names().map(|(range, _)| format!("{range}_{what}"));
        vec![
            oid(type_number(of.range())),
            oid(subtype),
            oid(type_number(of.multirange())),
            function(named("canonical").filter(|_| of.is_discrete())),
            function(named("subdiff")),
        ]
    };
    let made = catalog.types().filter_map(|def| match def.kind {
        TypeKind::Range(of) => Some(of),
        _ => None,
    });
    RangeType::system().chain(made).map(shown).collect()
}

/// The rows of `pg_enum`.
pub(super) fn labels(catalog: &Catalog) -> Vec<Row> {
    let of_type = |def: &TypeDef| -> Vec<Row> {
        let labels = def.labels().unwrap_or_default().iter().enumerate();
        labels
            .map(|(number, label)| {
                vec![
                    oid(enum_oid(def.id, label.place)),
                    oid(type_oid(def.id)),
                    Value::Real(number as f32 + 1.0),
                    text(&label.label),
                ]
            })
            .collect()
    };
    catalog.types().flat_map(|def| of_type(def)).collect()
}
