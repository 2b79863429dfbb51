//! Views as SQL that makes them again.
//!
//! A view's text has the names of when it was made. Where a table or a column has another name since, or
//! columns have come that a `*` would show, the text is put behind WITH queries that give the old names to
//! what there is now: `WITH t (a, b) AS (SELECT x, b FROM u) SELECT a FROM t`.

use super::introspect::quoted;
use crate::error::Result;
use crate::parse::parse_query;
use remora_storage::TableId;
use remora_storage::catalog::{Catalog, ViewDef, ViewSource};
use sqlparser::ast;
use std::sync::Arc;

/// All views, each after those that it names.
pub(super) fn in_order(catalog: &Catalog) -> Vec<&Arc<ViewDef>> {
    let mut ordered: Vec<&Arc<ViewDef>> = Vec::new();
    let mut waiting: Vec<&Arc<ViewDef>> = catalog.views().collect();
    while !waiting.is_empty() {
        let is_waiting = |id: TableId| waiting.iter().any(|view| view.id == id);
        let is_ready = |view: &&Arc<ViewDef>| {
            let mut sources = view.sources.iter();
            !sources.any(|source| is_waiting(source.relation))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.iter().copied().partition(is_ready);
        if ready.is_empty() {
            // Views that lead to themselves do not exist; shown they would be all the same.
            ordered.extend(rest);
            break;
        }
        ordered.extend(ready);
        waiting = rest;
    }
    ordered
}

/// The statement that makes a view.
pub(super) fn view_sql(view: &ViewDef, catalog: &Catalog) -> Result<String> {
    let renamed = view.sources.iter();
    let renamed = renamed.filter_map(|source| old_names(source, catalog));
    let renamed: Vec<String> = renamed.collect();
    let query = match renamed.is_empty() {
        true => view.query.clone(),
        false => behind(&renamed, &view.query)?,
    };
    let columns = view.columns.iter().map(|column| quoted(&column.name));
    let columns = columns.collect::<Vec<_>>().join(", ");
    Ok(format!(
        "CREATE VIEW {} ({columns}) AS {query};",
        quoted(&view.name)
    ))
}

/// A query that shows a source as it was; `None` where it is so still.
fn old_names(source: &ViewSource, catalog: &Catalog) -> Option<String> {
    let (name, columns) = now(source, catalog)?;
    let there = source.columns.iter().filter_map(|column| {
        let (_, now) = columns.iter().find(|(id, _)| *id == column.id.0)?;
        Some((column.name.as_str(), *now))
    });
    let there: Vec<(&str, &str)> = there.collect();
    let same = there.iter().all(|(then, now)| then == now);
    if name == source.name && same && there.len() == columns.len() {
        return None;
    }
    let list = |names: Vec<&str>| {
        let names = names.into_iter().map(quoted);
        names.collect::<Vec<_>>().join(", ")
    };
    let (then, now) = there.into_iter().unzip();
    let (then, now) = (list(then), list(now));
    let (shown, name) = (quoted(&source.name), quoted(name));
    Some(format!("{shown} ({then}) AS (SELECT {now} FROM {name})"))
}

/// What a source is called now, and its columns: ids and names.
fn now<'c>(source: &ViewSource, catalog: &'c Catalog) -> Option<(&'c str, Vec<(u32, &'c str)>)> {
    if let Some(table) = catalog.table_by_id(source.relation) {
        let columns = table.def.columns.iter();
        let columns = columns.map(|column| (column.id.0, column.name.as_str()));
        return Some((&table.def.name, columns.collect()));
    }
    let view = catalog.view_by_id(source.relation)?;
    let columns = (0..).zip(&view.columns);
    let columns = columns.map(|(at, column)| (at, column.name.as_str()));
    Some((&view.name, columns.collect()))
}

/// A query with more WITH queries in front of its own.
fn behind(with: &[String], query: &str) -> Result<String> {
    let text = format!("WITH {} SELECT 1", with.join(", "));
    let added = parse_query(&text)?.with;
    let mut query = parse_query(query)?;
    match (&mut query.with, added) {
        (Some(own), Some(added)) => {
            own.cte_tables.splice(0..0, added.cte_tables);
        }
        (none, added) => *none = added,
    }
    let query: ast::Query = *query;
    Ok(query.to_string())
}
