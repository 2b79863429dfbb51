//! The rows of `pg_trigger`.

use super::pg_catalog::{Row, Shown, attnum, oid, text, yes};
use crate::function::{constraint_oid, table_oid};
use remora_storage::catalog::{TriggerDef, TriggerEvent, TriggerTiming};
use remora_storage::{TableId, Value};

impl Shown<'_> {
    /// All triggers, table by table.
    pub(super) fn triggers(&self) -> Vec<Row> {
        let tables = self
            .tables()
            .map(|table| (table.def.id, &table.def.triggers));
        let views = self.views().map(|view| (view.id, &view.triggers));
        let all = tables
            .chain(views)
            .flat_map(|(on, triggers)| triggers.iter().map(move |trigger| row(on, trigger)));
        all.collect()
    }
}

fn row(on: TableId, trigger: &TriggerDef) -> Row {
    let of: Vec<String> = trigger
        .of
        .iter()
        .map(|id| attnum(*id).to_string())
        .collect();
    let maybe = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    vec![
        // A constraint may have the name as well.
        oid(constraint_oid(on, &format!("trigger {}", trigger.name))),
        oid(table_oid(on)),
        text(&trigger.name),
        Value::SmallInt(kind(trigger)),
        text(if trigger.disabled { "D" } else { "O" }),
        yes(false),
        text(&of.join(" ")),
        maybe(&trigger.condition),
        maybe(&trigger.old_table),
        maybe(&trigger.new_table),
        text(&trigger.body),
    ]
}

/// PostgreSQL's bits of what a trigger is.
fn kind(trigger: &TriggerDef) -> i16 {
    let mut bits = i16::from(trigger.for_each_row);
    bits |= match trigger.timing {
        TriggerTiming::Before => 2,
        TriggerTiming::After => 0,
        TriggerTiming::InsteadOf => 64,
    };
    for event in &trigger.events {
        bits |= match event {
            TriggerEvent::Insert => 4,
            TriggerEvent::Delete => 8,
            TriggerEvent::Update => 16,
            TriggerEvent::Truncate => 32,
        };
    }
    bits
}
