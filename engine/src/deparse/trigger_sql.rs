//! Triggers as SQL that makes them again.
//!
//! Their texts name columns of `NEW` and `OLD` as these were called when the trigger was made; they are written
//! with the names of now.

use super::table_sql::qualified;
use crate::function::quoted;
use crate::parse::trigger::with_columns;
use remora_storage::ColumnId;
use remora_storage::catalog::{
    Catalog, NameIn, TableEntry, TriggerDef, TriggerEvent, TriggerTiming, ViewDef,
};

/// The statements that make the triggers of a table, and disable those that are.
pub(crate) fn of_table(table: &TableEntry, catalog: &Catalog) -> Vec<String> {
    let numbers = 0..table.def.triggers.len();
    numbers
        .flat_map(|at| one_of_table(table, at, catalog))
        .collect()
}

/// The statement that makes one of them.
pub(crate) fn of_table_at(table: &TableEntry, at: usize, catalog: &Catalog) -> Option<String> {
    one_of_table(table, at, catalog).into_iter().next()
}

fn one_of_table(table: &TableEntry, at: usize, catalog: &Catalog) -> Vec<String> {
    let columns = table.def.columns.iter();
    let columns: Vec<_> = columns
        .map(|column| (column.id, column.name.as_str()))
        .collect();
    let place = (table.def.schema, table.def.name.as_str()).into();
    trigger_sql(&table.def.triggers[at], place, &columns, catalog)
}

/// The same of a view.
pub(crate) fn of_view(view: &ViewDef, catalog: &Catalog) -> Vec<String> {
    let numbers = 0..view.triggers.len();
    numbers
        .flat_map(|at| one_of_view(view, at, catalog))
        .collect()
}

/// The statement that makes one of them.
pub(crate) fn of_view_at(view: &ViewDef, at: usize, catalog: &Catalog) -> Option<String> {
    one_of_view(view, at, catalog).into_iter().next()
}

fn one_of_view(view: &ViewDef, at: usize, catalog: &Catalog) -> Vec<String> {
    let columns = view.columns.iter().zip(0..);
    let columns = columns.map(|(column, at)| (ColumnId(at), column.name.as_str()));
    let columns: Vec<_> = columns.collect();
    trigger_sql(&view.triggers[at], view.place(), &columns, catalog)
}

fn trigger_sql(
    def: &TriggerDef,
    on: NameIn<'_>,
    columns: &[(ColumnId, &str)],
    catalog: &Catalog,
) -> Vec<String> {
    let now = |id: ColumnId| {
        let found = columns.iter().find(|(column, _)| *column == id);
        found.map_or("", |(_, name)| *name)
    };
    let timing = match def.timing {
        TriggerTiming::Before => "BEFORE",
        TriggerTiming::After => "AFTER",
        TriggerTiming::InsteadOf => "INSTEAD OF",
    };
    let events = def.events.iter().map(|event| match event {
        TriggerEvent::Insert => "INSERT".to_owned(),
        TriggerEvent::Delete => "DELETE".to_owned(),
        TriggerEvent::Truncate => "TRUNCATE".to_owned(),
        TriggerEvent::Update if def.of.is_empty() => "UPDATE".to_owned(),
        TriggerEvent::Update => {
            let of: Vec<String> = def.of.iter().map(|id| quoted(now(*id))).collect();
            format!("UPDATE OF {}", of.join(", "))
        }
    });
    let events = events.collect::<Vec<_>>().join(" OR ");
    let mut referencing = String::new();
    for (word, name) in [("OLD", &def.old_table), ("NEW", &def.new_table)] {
        if let Some(name) = name {
            referencing.push_str(&format!(" {word} TABLE AS {}", quoted(name)));
        }
    }
    if !referencing.is_empty() {
        referencing = format!(" REFERENCING{referencing}");
    }
    let each = if def.for_each_row { "ROW" } else { "STATEMENT" };
    let renamed: Vec<(&str, &str)> = (def.columns.iter())
        .map(|column| (column.name.as_str(), now(column.id)))
        .filter(|(then, now)| then != now && !now.is_empty())
        .collect();
    let text = |text: &str| with_columns(text, &renamed, quoted);
    let condition = def.condition.as_ref();
    let condition = condition.map_or_else(String::new, |c| format!(" WHEN ({})", text(c)));
    let body = text(&def.body);
    let end = if body.ends_with(';') { "" } else { ";" };
    let (name, table) = (quoted(&def.name), qualified(catalog, on.schema, on.name));
    let mut statements = vec![format!(
        "CREATE TRIGGER {name} {timing} {events} ON {table}{referencing} FOR EACH {each}{condition} \
         BEGIN {body}{end} END;"
    )];
    if def.disabled {
        statements.push(format!("ALTER TABLE {table} DISABLE TRIGGER {name};"));
    }
    statements
}
