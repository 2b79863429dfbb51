//! Triggers as SQL that makes them again.
//!
//! Their texts name columns of `NEW` and `OLD` as these were called when the trigger was made; they are written
//! with the names of now.

use super::name_sql::{qualified, quoted_list};
use crate::function::quoted;
use crate::parse::trigger::with_columns;
use remora_storage::catalog::{
    Catalog, TableDef, TableEntry, TriggerDef, TriggerEvent, TriggerTiming, ViewDef,
};
use remora_storage::{ColumnId, TableId};

/// A table or view with its triggers.
#[derive(Clone, Copy)]
pub(crate) enum Triggers<'c> {
    OfTable(&'c TableDef),
    OfView(&'c ViewDef),
}

impl<'c> Triggers<'c> {
    pub(crate) fn of_table(table: &'c TableEntry) -> Self {
        Self::OfTable(&table.def)
    }

    pub(crate) fn of_view(view: &'c ViewDef) -> Self {
        Self::OfView(view)
    }

    pub(super) fn relation(self) -> TableId {
        match self {
            Self::OfTable(table) => table.id,
            Self::OfView(view) => view.id,
        }
    }

    pub(super) fn triggers(self) -> &'c [TriggerDef] {
        match self {
            Self::OfTable(table) => &table.triggers,
            Self::OfView(view) => &view.triggers,
        }
    }

    fn name(self, catalog: &Catalog) -> String {
        match self {
            Self::OfTable(table) => qualified(catalog, table.schema, &table.name),
            Self::OfView(view) => qualified(catalog, view.schema, &view.name),
        }
    }

    /// Returns the current name of a column; empty where it is gone.
    fn column(self, id: ColumnId) -> &'c str {
        match self {
            Self::OfTable(table) => {
                let at = table.position(id);
                at.map_or("", |at| &table.columns[at].name)
            }
            Self::OfView(view) => {
                let column = view.columns.get(id.0 as usize);
                column.map_or("", |column| &column.name)
            }
        }
    }

    /// Returns the statements that make the triggers, and disable those that are disabled.
    pub(crate) fn sql(self, catalog: &Catalog) -> Vec<String> {
        let mut statements = Vec::new();
        for trigger in self.triggers() {
            statements.push(self.create_sql(trigger, catalog));
            if trigger.disabled {
                let (table, name) = (self.name(catalog), quoted(&trigger.name));
                statements.push(format!("ALTER TABLE {table} DISABLE TRIGGER {name};"));
            }
        }
        statements
    }

    /// Returns the statement that makes one of them.
    pub(super) fn create_sql(self, def: &TriggerDef, catalog: &Catalog) -> String {
        let now = |id| self.column(id);
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
                format!(
                    "UPDATE OF {}",
                    quoted_list(def.of.iter().map(|id| now(*id)))
                )
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
        let (name, table) = (quoted(&def.name), self.name(catalog));
        format!(
            "CREATE TRIGGER {name} {timing} {events} ON {table}{referencing} FOR EACH {each}{condition} \
         BEGIN {body}{end} END;"
        )
    }
}
