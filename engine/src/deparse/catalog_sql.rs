//! Whole catalogs, and tables with all that belongs to them, as SQL that makes them again.

use super::comment_sql::{comment_sql, comment_sql_of};
use super::export_order::in_order;
use super::function_sql::function_sql;
use super::key_sql::{Form, index_sql, key_sql, named};
use super::name_sql::qualified;
use super::sequence_sql::sequence_sql;
use super::table_sql::{free_indexes_sql, named_foreign_key, table_sql, untested_sql};
use super::trigger_sql::Triggers;
use super::type_sql::type_sql;
use super::view_sql::{materialized_sql, view_sql};
use crate::error::Result;
use crate::function::quoted;
use remora_storage::catalog::{
    Catalog, ForeignKeyDef, IndexDef, SchemaDef, TableDef, TableEntry, ViewDef,
};
use std::sync::Arc;

/// The statements that make everything.
pub(crate) fn all_sql(catalog: &Catalog) -> Result<Vec<String>> {
    let entries: Vec<Arc<TableEntry>> = catalog.tables().map(Arc::clone).collect();
    let made = |schema: &Arc<SchemaDef>| format!("CREATE SCHEMA {};", quoted(&schema.name));
    let mut statements: Vec<String> = catalog.schemas().map(made).collect();
    statements.extend(type_sql(catalog));
    let (sequences, mut behind) = sequence_sql(catalog, &entries, true);
    statements.extend(sequences);
    let order = in_order(catalog);
    let mut triggers = Vec::new();
    for (at, id) in order.iter().enumerate() {
        if let Some(function) = catalog.function_by_id(*id) {
            statements.push(function_sql(function, catalog)?);
        } else if let Some(view) = catalog.view_by_id(*id) {
            statements.push(view_sql(view, catalog)?);
            triggers.extend(Triggers::of_view(view).sql(catalog));
        } else if let Some(entry) = catalog.table_by_id(*id) {
            let coming = &order[at + 1..];
            let waits = |key: &ForeignKeyDef| coming.contains(&key.parent);
            match &entry.def.materialized {
                None => statements.push(table_sql(catalog, entry, waits)),
                Some(query) => statements.push(materialized_sql(&entry.def, query, catalog)?),
            }
            statements.extend(free_indexes_sql(catalog, entry));
            let name = qualified(catalog, entry.def.schema, &entry.def.name);
            let late = entry.def.foreign_keys.iter();
            let late = late.filter(|key| waits(key) && !key.not_valid);
            behind.extend(late.map(|key| {
                let key = named_foreign_key(catalog, &entry.def, key);
                format!("ALTER TABLE {name} ADD {key};")
            }));
            behind.extend(untested_sql(catalog, &entry.def));
            triggers.extend(Triggers::of_table(entry).sql(catalog));
        }
    }
    statements.append(&mut behind);
    // They may name anything.
    statements.append(&mut triggers);
    statements.extend(comment_sql(catalog));
    Ok(statements)
}

/// The statements that make some tables.
pub(crate) fn table_with_all(
    catalog: &Catalog,
    entries: &[Arc<TableEntry>],
) -> Result<Vec<String>> {
    let (mut statements, mut behind) = sequence_sql(catalog, entries, false);
    for entry in entries {
        match &entry.def.materialized {
            None => statements.push(table_sql(catalog, entry, |_| false)),
            Some(query) => statements.push(materialized_sql(&entry.def, query, catalog)?),
        }
        statements.extend(free_indexes_sql(catalog, entry));
        behind.extend(untested_sql(catalog, &entry.def));
    }
    statements.append(&mut behind);
    let triggers = entries.iter();
    statements.extend(triggers.flat_map(|entry| Triggers::of_table(entry).sql(catalog)));
    let tables = entries.iter().map(|entry| entry.def.id);
    statements.extend(tables.flat_map(|table| comment_sql_of(catalog, table)));
    Ok(statements)
}

/// Returns the statements that make a view with its triggers and comments.
pub(crate) fn view_with_all(catalog: &Catalog, view: &ViewDef) -> Result<Vec<String>> {
    let mut statements = vec![view_sql(view, catalog)?];
    statements.extend(Triggers::of_view(view).sql(catalog));
    statements.extend(comment_sql_of(catalog, view.id));
    Ok(statements)
}

/// Returns the statement that makes an index; for the index of a constraint, the constraint.
pub(crate) fn index_or_constraint(catalog: &Catalog, table: &TableDef, index: &IndexDef) -> String {
    match index.constraint {
        Some(_) => named(&index.name, &key_sql(table, index)),
        None => index_sql(catalog, table, index, Form::Export) + ";",
    }
}
