//! `pg_type`, `pg_enum` and `pg_range`: built-in and user-defined types, values of enumerations, subtypes of ranges.

use super::pg_catalog::OWNER;
use super::table::system_table;
use crate::function::{
    PG_CATALOG, PG_TYPES, PgType, array_type_oid, enum_oid, pg_type, schema_oid, type_number,
    type_oid,
};
use remora_storage::catalog::{Catalog, EnumLabel, TypeDef, TypeKind};
use remora_storage::value::RangeType;

system_table! {
    TYPE = "pg_type", CATALOG;
    |context| for shown in types(&context.names().catalog);
    "oid" BigInt = shown.oid,
    "typname" Text = shown.name,
    "typnamespace" BigInt = shown.schema,
    "typowner" BigInt = OWNER,
    "typlen" SmallInt = shown.length,
    "typtype" Text = shown.kind,
    "typcategory" Text = shown.category,
    "typrelid" BigInt = 0_i64,
    "typelem" BigInt = shown.element,
    "typnotnull" Boolean = shown.not_null,
    "typbasetype" BigInt = shown.base,
    "typtypmod" Integer = -1,
}

/// One row of `pg_type`.
struct Shown {
    oid: i64,
    name: String,
    schema: i64,
    length: i16,
    kind: &'static str,
    category: &'static str,
    element: i64,
    /// Of a domain.
    base: i64,
    not_null: bool,
}

fn types(catalog: &Catalog) -> Vec<Shown> {
    let of_system = |known: &PgType| Shown {
        oid: known.oid,
        name: known.name.to_owned(),
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
        let array = Shown {
            oid: array_type_oid(def.id),
            name: format!("_{}", def.name),
            schema,
            length: -1,
            kind: "b",
            category: "A",
            element: type_oid(def.id),
            base: 0,
            not_null: false,
        };
        let own = Shown {
            oid: type_oid(def.id),
            name: def.name.clone(),
            length,
            kind,
            category,
            element: 0,
            base: base.unwrap_or(0),
            not_null: domain.is_some_and(|domain| domain.not_null),
            ..array
        };
        [own, array]
    };
    let system = PG_TYPES.iter().map(of_system);
    let made = catalog.types().flat_map(|def| made(def));
    system.chain(made).collect()
}

system_table! {
    RANGE = "pg_range", CATALOG;
    |context| for of in ranges(&context.names().catalog);
    let named = |what: &str| of.names().map(|(range, _)| format!("{range}_{what}"));
    "rngtypid" BigInt = type_number(of.range()),
    "rngsubtype" BigInt = type_number(of.subtype()),
    "rngmultitypid" BigInt = type_number(of.multirange()),
    "rngcanonical" Text = named("canonical").filter(|_| of.is_discrete()).unwrap_or_else(|| "-".to_owned()),
    "rngsubdiff" Text = named("subdiff").unwrap_or_else(|| "-".to_owned()),
}

fn ranges(catalog: &Catalog) -> Vec<RangeType> {
    let made = catalog.types().filter_map(|def| match def.kind {
        TypeKind::Range(of) => Some(of),
        _ => None,
    });
    RangeType::system().chain(made).collect()
}

system_table! {
    ENUM = "pg_enum", CATALOG;
    |context| let names = context.names(); for (def, number, label) in labels(&names.catalog);
    "oid" BigInt = enum_oid(def.id, label.place),
    "enumtypid" BigInt = type_oid(def.id),
    "enumsortorder" Real = number as f32 + 1.0,
    "enumlabel" Text = &label.label,
}

fn labels(catalog: &Catalog) -> impl Iterator<Item = (&TypeDef, usize, &EnumLabel)> {
    catalog.types().flat_map(|def| {
        let labels = def.labels().unwrap_or_default().iter().enumerate();
        labels.map(move |(number, label)| (&**def, number, label))
    })
}
