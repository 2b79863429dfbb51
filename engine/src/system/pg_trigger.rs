//! `pg_trigger`: triggers of tables and views.

use super::pg_catalog::attnum;
use super::table::{Names, system_table};
use crate::function::{constraint_oid, table_oid};
use remora_storage::TableId;
use remora_storage::catalog::{TriggerDef, TriggerEvent, TriggerTiming};

system_table! {
    TRIGGER = "pg_trigger", CATALOG;
    |context| let names = context.names(); for (on, trigger) in triggers(&names);
    let of = trigger.of.iter().map(|id| attnum(*id).to_string());
    // A constraint may have the name as well.
    "oid" BigInt = constraint_oid(on, &format!("trigger {}", trigger.name)),
    "tgrelid" BigInt = table_oid(on),
    "tgname" Text = &trigger.name,
    "tgtype" SmallInt = kind(trigger),
    "tgenabled" Text = if trigger.disabled { "D" } else { "O" },
    "tgisinternal" Boolean = false,
    "tgattr" Text = of.collect::<Vec<_>>().join(" "),
    "tgqual" Text = trigger.condition.as_ref(),
    "tgoldtable" Text = trigger.old_table.as_ref(),
    "tgnewtable" Text = trigger.new_table.as_ref(),
    "tgbody" Text = &trigger.body,
}

fn triggers(names: &Names) -> impl Iterator<Item = (TableId, &TriggerDef)> {
    let tables = names
        .tables()
        .map(|table| (table.def.id, &table.def.triggers));
    let views = names.views().map(|view| (view.id, &view.triggers));
    let all = tables.chain(views);
    all.flat_map(|(on, triggers)| triggers.iter().map(move |trigger| (on, trigger)))
}

/// Returns PostgreSQL's bits of level, timing and events.
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
