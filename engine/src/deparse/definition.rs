//! Definitions for `pg_get_viewdef`, `pg_get_indexdef`, `pg_get_constraintdef` and `pg_get_triggerdef`.

use super::key_sql::{self, Form};
use super::trigger_sql::Triggers;
use super::view_sql::query_sql;
use crate::error::Result;
use crate::function::{Defined, constraint_oid};
use remora_storage::catalog::Catalog;
use remora_storage::{IndexId, TableId};

/// Returns the definition of an object; `None` where there is no such object.
///
/// # Errors
/// Those of parsing the text of a view.
pub(crate) fn definition(catalog: &Catalog, what: Defined) -> Result<Option<String>> {
    match what {
        Defined::View(id) => view(catalog, id),
        Defined::Trigger(oid) => Ok(trigger(catalog, oid)),
        Defined::Index(id, part) => Ok(index(catalog, id, part)),
        Defined::Constraint(oid) => Ok(constraint(catalog, oid)),
    }
}

fn view(catalog: &Catalog, id: TableId) -> Result<Option<String>> {
    let view = catalog.view_by_id(id);
    let view = view.map(|view| (&view.query, &view.sources));
    let table = catalog.table_by_id(id);
    let materialized = table.and_then(|table| table.def.materialized.as_ref());
    let found = view.or(materialized.map(|query| (&query.query, &query.sources)));
    let text = found.map(|(query, sources)| query_sql(query, sources, catalog));
    Ok(text.transpose()?.map(|text| format!(" {text};")))
}

fn trigger(catalog: &Catalog, oid: i64) -> Option<String> {
    let tables = catalog.tables().map(|table| Triggers::of_table(table));
    let views = catalog.views().map(|view| Triggers::of_view(view));
    let (on, trigger) = tables.chain(views).find_map(|on| {
        let mut triggers = on.triggers().iter();
        // A constraint may have the name as well.
        let number = |name: &str| constraint_oid(on.relation(), &format!("trigger {name}"));
        let trigger = triggers.find(|trigger| number(&trigger.name) == oid)?;
        Some((on, trigger))
    })?;
    let text = on.create_sql(trigger, catalog);
    Some(text.trim_end_matches(';').to_owned())
}

/// Returns the statement that makes an index, or of its key the part of a number from 1, empty where it has fewer.
fn index(catalog: &Catalog, id: IndexId, part: usize) -> Option<String> {
    let (table, index) = catalog.index_by_id(id)?;
    let (table, index) = (&table.def, &index.def);
    let Some(at) = part.checked_sub(1) else {
        return Some(key_sql::index_sql(catalog, table, index, Form::Postgres));
    };
    let mut keys = index.columns.iter().skip(usize::from(index.partial));
    let key = keys.nth(at);
    let text = key.map(|key| key_sql::key_text(table, key, Form::Postgres));
    Some(text.unwrap_or_default())
}

fn constraint(catalog: &Catalog, oid: i64) -> Option<String> {
    let untested = |is| if is { " NOT VALID" } else { "" };
    catalog.tables().find_map(|entry| {
        let table = &entry.def;
        let is = |name: &str| constraint_oid(table.id, name) == oid;
        let indexes = entry.indexes.iter().map(|index| &index.def);
        let mut keys = indexes.filter(|index| index.constraint.is_some());
        if let Some(index) = keys.find(|index| is(&index.name)) {
            return Some(key_sql::key_sql(table, index));
        }
        if let Some(check) = table.checks.iter().find(|check| is(&check.name)) {
            let text = key_sql::check_sql(check, Form::Postgres);
            return Some(text + untested(check.not_valid));
        }
        let key = table.foreign_keys.iter().find(|key| is(&key.name))?;
        let text = key_sql::foreign_key_sql(catalog, table, key, Form::Postgres);
        Some(text + untested(key.not_valid))
    })
}
