//! Comments as SQL that makes them again.

use super::name_sql::{literal, qualified, qualified_type};
use crate::function::{quoted, schema_name};
use remora_storage::TableId;
use remora_storage::catalog::{Catalog, Commented, SequenceEntry};

/// Returns the statements for all comments.
pub(crate) fn comment_sql(catalog: &Catalog) -> Vec<String> {
    commented(catalog, |_| true)
}

/// Returns the statements for the comments on a table or view, its columns, indexes and sequences.
pub(crate) fn comment_sql_of(catalog: &Catalog, table: TableId) -> Vec<String> {
    commented(catalog, move |on| match on {
        Commented::Table(id) | Commented::Column(id, _) => id == table,
        Commented::Index(id) => {
            let index = catalog.index_by_id(id);
            index.is_some_and(|(owner, _)| owner.def.id == table)
        }
        Commented::Sequence(id) => {
            let mut users = catalog.users_of(id);
            users.any(|(user, _)| user.def.id == table)
        }
        Commented::Schema(_) | Commented::Type(_) => false,
    })
}

/// Returns the statements sorted by their text. The catalog's order is that of ids, which differ in a copy.
fn commented(catalog: &Catalog, is_wanted: impl Fn(Commented) -> bool) -> Vec<String> {
    let comments = catalog.comments().filter(|(on, _)| is_wanted(*on));
    let statements = comments.filter_map(|(on, text)| {
        let object = object(catalog, on)?;
        Some(format!("COMMENT ON {object} IS {};", literal(text)))
    });
    let mut statements: Vec<String> = statements.collect();
    statements.sort();
    statements
}

/// Returns the object as COMMENT names it; `None` for a sequence that gets another name in a copy.
fn object(catalog: &Catalog, on: Commented) -> Option<String> {
    Some(match on {
        Commented::Schema(id) => format!("SCHEMA {}", quoted(&schema_name(catalog, id))),
        Commented::Type(id) => {
            let def = catalog.type_by_id(id)?;
            format!("TYPE {}", qualified_type(catalog, def.schema, &def.name))
        }
        Commented::Table(id) => {
            let kind = match catalog.view_by_id(id) {
                Some(_) => "VIEW",
                None => "TABLE",
            };
            format!("{kind} {}", relation(catalog, id)?)
        }
        Commented::Column(id, column) => {
            let name = match catalog.view_by_id(id) {
                Some(view) => &view.columns.get(column.0 as usize)?.name,
                None => {
                    let table = &catalog.table_by_id(id)?.def;
                    &table.columns[table.position(column)?].name
                }
            };
            format!("COLUMN {}.{}", relation(catalog, id)?, quoted(name))
        }
        Commented::Index(id) => {
            let (table, index) = catalog.index_by_id(id)?;
            let name = qualified(catalog, table.def.schema, &index.def.name);
            format!("INDEX {name}")
        }
        Commented::Sequence(id) => {
            let entry = catalog
                .sequence_by_id(id)
                .filter(|entry| keeps_name(catalog, entry))?;
            format!(
                "SEQUENCE {}",
                qualified(catalog, entry.def.schema, &entry.def.name)
            )
        }
    })
}

fn relation(catalog: &Catalog, id: TableId) -> Option<String> {
    if let Some(view) = catalog.view_by_id(id) {
        return Some(qualified(catalog, view.schema, &view.name));
    }
    let table = &catalog.table_by_id(id)?.def;
    Some(qualified(catalog, table.schema, &table.name))
}

/// Returns whether a sequence has the name that it gets in a copy: those of identity columns are generated.
fn keeps_name(catalog: &Catalog, entry: &SequenceEntry) -> bool {
    let owner = catalog.owner_of(&entry.def);
    owner.is_none_or(|(table, column)| {
        column.identity.is_none() || entry.def.name == format!("{}_{}_seq", table.name, column.name)
    })
}
