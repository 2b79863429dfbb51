//! Object ids, as `pg_catalog` shows them: made of the ids that things have anyway.
//!
//! Tables and views, indexes, sequences and schemas have every fourth number each, so that an id tells what it is
//! of, and stays as long as the thing is there. Constraints are known by table and name; their ids are made of
//! both. The tables of `pg_catalog` have the numbers that they have in PostgreSQL.

use super::search_path::{INFORMATION_SCHEMA, Located, PG_CATALOG};
use super::{RelationName, SearchPath, element_of, pg_type};
use remora_storage::catalog::{Catalog, Commented, NameIn};
use remora_storage::{DataType, IndexId, SchemaId, SequenceId, TableId, TypeId};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The first id that is not PostgreSQL's own.
const FIRST: i64 = 16_384;
/// Ids of constraints begin here, above all others.
const CONSTRAINTS: i64 = 1 << 40;

/// Ids of types that somebody made begin here, above those of relations.
const TYPES: i64 = 1 << 36;

/// Those of the system's tables that others refer to.
const SYSTEM: &[(&str, i64)] = &[
    ("pg_type", 1247),
    ("pg_attribute", 1249),
    ("pg_class", 1259),
    ("pg_attrdef", 2604),
    ("pg_constraint", 2606),
    ("pg_index", 2610),
    ("pg_namespace", 2615),
];

fn numbered(id: u32, kind: i64) -> i64 {
    FIRST + 4 * i64::from(id) + kind
}

/// What has an object id of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Numbered {
    /// A table or view.
    Table(TableId),
    Index(IndexId),
    Sequence(SequenceId),
}

/// Which relation an object id is of, if of any; it may be gone.
pub(super) fn numbered_by(oid: i64) -> Option<Numbered> {
    let number = oid.checked_sub(FIRST).filter(|number| *number >= 0)?;
    let id = u32::try_from(number / 4).ok()?;
    match number % 4 {
        0 => Some(Numbered::Table(TableId(id))),
        1 => Some(Numbered::Index(IndexId(id))),
        2 => Some(Numbered::Sequence(SequenceId(id))),
        _ => None,
    }
}

/// That of a table or view.
pub(crate) fn table_oid(id: TableId) -> i64 {
    numbered(id.0, 0)
}

/// That of a type that somebody made.
pub(crate) fn type_oid(id: TypeId) -> i64 {
    TYPES + 2 * i64::from(id.0)
}

/// That of arrays of such a type.
pub(crate) fn array_type_oid(id: TypeId) -> i64 {
    type_oid(id) + 1
}

/// That of a value of an enumeration.
pub(crate) fn enum_oid(id: TypeId, place: u32) -> i64 {
    let mut hasher = DefaultHasher::new();
    (id, place).hash(&mut hasher);
    2 * CONSTRAINTS + (hasher.finish() >> 24) as i64
}

/// That of the type of values; 0 where it has none of its own.
pub(crate) fn type_number(data_type: DataType) -> i64 {
    match (data_type.made(), pg_type(data_type)) {
        (Some(id), _) if element_of(data_type).is_some() => array_type_oid(id),
        (Some(id), _) => type_oid(id),
        (None, known) => known.map_or(0, |known| known.oid),
    }
}

/// The type of a number, if somebody made it, and whether it is that of arrays of it.
pub(super) fn made_of(number: i64) -> Option<(TypeId, bool)> {
    let number = number.checked_sub(TYPES).filter(|number| *number >= 0)?;
    let id = u32::try_from(number / 2).ok()?;
    Some((TypeId(id), number % 2 == 1))
}

/// That of an index.
pub(crate) fn index_oid(id: IndexId) -> i64 {
    numbered(id.0, 1)
}

/// That of a sequence.
pub(crate) fn sequence_oid(id: SequenceId) -> i64 {
    numbered(id.0, 2)
}

/// That of a virtual table of the host, which has no id but its name.
pub(crate) fn host_table_oid(name: &str) -> i64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    2 * CONSTRAINTS + (hasher.finish() >> 24) as i64
}

/// That of a schema.
pub(crate) fn schema_oid(id: SchemaId) -> i64 {
    match id {
        PG_CATALOG => 11,
        SchemaId::PUBLIC => 2200,
        INFORMATION_SCHEMA => 13_000,
        made => numbered(made.0, 3),
    }
}

/// What a comment is about, as `pg_description` has it: class, object and number of the column, or 0.
pub(crate) fn described(on: Commented) -> (i64, i64, i32) {
    const CLASS: i64 = 1259;
    const NAMESPACE: i64 = 2615;
    const TYPE: i64 = 1247;
    match on {
        Commented::Table(id) => (CLASS, table_oid(id), 0),
        Commented::Column(id, column) => {
            let number = i32::try_from(column.0).unwrap_or(i32::MAX - 1) + 1;
            (CLASS, table_oid(id), number)
        }
        Commented::Index(id) => (CLASS, index_oid(id), 0),
        Commented::Sequence(id) => (CLASS, sequence_oid(id), 0),
        Commented::Type(id) => (TYPE, type_oid(id), 0),
        Commented::Schema(id) => (NAMESPACE, schema_oid(id), 0),
    }
}

/// That of something that a table has under a name.
pub(crate) fn constraint_oid(table: TableId, name: &str) -> i64 {
    let mut hasher = DefaultHasher::new();
    (table, name).hash(&mut hasher);
    CONSTRAINTS + (hasher.finish() >> 24) as i64
}

/// That of the relation of a name, if there is one.
pub(crate) fn relation_oid(catalog: &Catalog, name: &Located) -> Option<i64> {
    if let Some(table) = catalog.table(name) {
        return Some(table_oid(table.def.id));
    }
    if let Some(view) = catalog.view(name) {
        return Some(table_oid(view.id));
    }
    if let Some(sequence) = catalog.sequence(name) {
        return Some(sequence_oid(sequence.def.id));
    }
    if let Some((_, index)) = catalog.index(name) {
        return Some(index_oid(index.def.id));
    }
    let is_system = name.schema == PG_CATALOG || name.written.schema.is_none();
    let known = SYSTEM.iter().find(|(known, _)| *known == name.name());
    known.filter(|_| is_system).map(|(_, oid)| *oid)
}

/// What the relation of an id is called, if there is one.
pub(crate) fn relation_named(
    catalog: &Catalog,
    path: &SearchPath,
    oid: i64,
) -> Option<RelationName> {
    if let Some((name, _)) = SYSTEM.iter().find(|(_, known)| *known == oid) {
        let (schema, name) = (None, (*name).to_owned());
        return Some(RelationName { schema, name });
    }
    let place: NameIn<'_> = match numbered_by(oid)? {
        Numbered::Table(id) => match catalog.table_by_id(id) {
            Some(table) => (table.def.schema, table.def.name.as_str()).into(),
            None => catalog.view_by_id(id)?.place(),
        },
        Numbered::Index(id) => {
            let (table, index) = catalog.index_by_id(id)?;
            (table.def.schema, index.def.name.as_str()).into()
        }
        Numbered::Sequence(id) => catalog.sequence_by_id(id)?.def.place(),
    };
    Some(path.shown(catalog, place))
}
