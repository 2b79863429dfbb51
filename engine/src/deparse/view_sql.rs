//! Views as SQL that makes them again.
//!
//! A view's text has the names of when it was made. Where a table or a column has another name since, or
//! columns have come that a `*` would show, the text is put behind WITH queries that give the old names to
//! what there is now: `WITH t (a, b) AS (SELECT x, b FROM u) SELECT a FROM t`.

use super::name_sql::{qualified, quoted_list};
use crate::error::Result;
use crate::function::{quoted, schema_name};
use crate::parse::parse_query;
use remora_storage::catalog::{
    Catalog, Materialized, NameIn, TableDef, ViewCheck, ViewDef, ViewSource,
};
use sqlparser::ast;

/// The statement that makes a view.
pub(crate) fn view_sql(view: &ViewDef, catalog: &Catalog) -> Result<String> {
    let query = query_sql(&view.query, &view.sources, catalog)?;
    let columns = quoted_list(view.columns.iter().map(|column| &*column.name));
    let check = match view.check {
        None => "",
        Some(ViewCheck::Local) => " WITH LOCAL CHECK OPTION",
        Some(ViewCheck::Cascaded) => " WITH CASCADED CHECK OPTION",
    };
    Ok(format!(
        "CREATE VIEW {} ({columns}) AS {query}{check};",
        qualified(catalog, view.schema, &view.name)
    ))
}

/// The statement that makes a materialized view, with its rows if it has any.
pub(crate) fn materialized_sql(
    table: &TableDef,
    materialized: &Materialized,
    catalog: &Catalog,
) -> Result<String> {
    let query = query_sql(&materialized.query, &materialized.sources, catalog)?;
    let columns = quoted_list(table.shown().map(|(_, column)| &*column.name));
    let without = if materialized.populated {
        ""
    } else {
        " WITH NO DATA"
    };
    Ok(format!(
        "CREATE MATERIALIZED VIEW {} ({columns}) AS {query}{without};",
        qualified(catalog, table.schema, &table.name)
    ))
}

/// A query as it is to be written now that names in it stand for something else, perhaps.
pub(crate) fn query_sql(query: &str, sources: &[ViewSource], catalog: &Catalog) -> Result<String> {
    let renamed = sources.iter();
    let renamed = renamed.filter_map(|source| old_names(source, catalog));
    let renamed: Vec<String> = renamed.collect();
    match renamed.is_empty() {
        true => Ok(query.to_owned()),
        false => behind(&renamed, query),
    }
}

/// A query that shows a source as it was; `None` where it is so still.
fn old_names(source: &ViewSource, catalog: &Catalog) -> Option<String> {
    let (place, columns) = now(source, catalog)?;
    let there = source.columns.iter().filter_map(|column| {
        let (_, now) = columns.iter().find(|(id, _)| *id == column.id.0)?;
        Some((column.name.as_str(), *now))
    });
    let there: Vec<(&str, &str)> = there.collect();
    let same = there.iter().all(|(then, now)| then == now);
    let schema = (!place.schema.is_public()).then(|| schema_name(catalog, place.schema));
    let called = schema.map_or_else(String::new, |schema| schema + ".") + place.name;
    let is_public = source.name.strip_prefix("public.").unwrap_or(&source.name);
    if called == is_public && same && there.len() == columns.len() {
        return None;
    }
    let (then, now): (Vec<_>, Vec<_>) = there.into_iter().unzip();
    let (then, now) = (quoted_list(then), quoted_list(now));
    let shown = quoted(&source.name);
    let name = qualified(catalog, place.schema, place.name);
    Some(format!("{shown} ({then}) AS (SELECT {now} FROM {name})"))
}

/// Ids and names.
type Columns<'c> = Vec<(u32, &'c str)>;

/// What a source is called now, and its columns: ids and names.
fn now<'c>(source: &ViewSource, catalog: &'c Catalog) -> Option<(NameIn<'c>, Columns<'c>)> {
    if let Some(table) = catalog.table_by_id(source.relation) {
        let columns = table.def.shown();
        let columns = columns.map(|(_, column)| (column.id.0, column.name.as_str()));
        let place = (table.def.schema, table.def.name.as_str());
        return Some((place.into(), columns.collect()));
    }
    let view = catalog.view_by_id(source.relation)?;
    let columns = (0..).zip(&view.columns);
    let columns = columns.map(|(at, column)| (at, column.name.as_str()));
    Some((view.place(), columns.collect()))
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
