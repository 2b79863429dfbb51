//! Names as SQL: quoted, and with a schema where they would not be found without.
//!
//! Exported text is read back where only `public` is looked into.

use crate::function::{quoted, quoted_type, schema_name};
use remora_storage::catalog::{Catalog, Collation, TableDef};
use remora_storage::{ColumnId, SchemaId};

pub(super) fn qualified(catalog: &Catalog, schema: SchemaId, name: &str) -> String {
    match schema.is_public() {
        true => quoted(name),
        false => qualified_always(catalog, schema, name),
    }
}

/// Like [`qualified`], with the schema `public`, too.
pub(super) fn qualified_always(catalog: &Catalog, schema: SchemaId, name: &str) -> String {
    format!("{}.{}", quoted(&schema_name(catalog, schema)), quoted(name))
}

/// Like [`qualified`], for the name of a type.
pub(super) fn qualified_type(catalog: &Catalog, schema: SchemaId, name: &str) -> String {
    let name = quoted_type(name);
    match schema.is_public() {
        true => name,
        false => format!("{}.{name}", quoted_type(&schema_name(catalog, schema))),
    }
}

/// Returns names as a list without parentheses.
pub(super) fn quoted_list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names = names.into_iter().map(quoted);
    names.collect::<Vec<_>>().join(", ")
}

/// Returns the names of a table's columns as a list.
pub(super) fn column_list(table: &TableDef, columns: &[ColumnId]) -> String {
    let positions = columns.iter().filter_map(|id| table.position(*id));
    quoted_list(positions.map(|at| table.columns[at].name.as_str()))
}

/// Returns the clause of a collation that a column or key has been given.
pub(super) fn collation_sql(collation: Option<Collation>) -> String {
    collation.map_or_else(String::new, |found| {
        format!(" COLLATE {}", quoted(found.name()))
    })
}

/// Returns a text as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
