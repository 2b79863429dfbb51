//! Rows of the system tables: made when a statement reads them.

use super::table::SystemTable;
use super::{activity, checkpoints, durability, pg_catalog, recovery, sequences};
use crate::activity::Opening;
use crate::error::Result;
use crate::function::{CursorShown, EvalContext, StatementShown};
use remora_storage::catalog::{IndexEntry, IndexKind, TableEntry};
use remora_storage::pool::{Ledger, PressureChange, PressureLevel};
use remora_storage::{ReadView, SchemaId, Value};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// All rows of a system table, as of now.
pub(crate) fn rows(
    table: SystemTable,
    view: &ReadView,
    context: &EvalContext,
) -> Result<Vec<Vec<Value>>> {
    let core = view.core();
    let ledger = core.ledger();
    let rows = match table {
        SystemTable::Memory => memory(ledger),
        SystemTable::Tables => {
            let catalog = core.shown_catalog();
            let tables = catalog.tables().filter(|table| is_shown(table, context));
            tables.map(|entry| one_table(entry, view)).collect()
        }
        SystemTable::Durability => vec![durability::row(&core.durability_status())],
        SystemTable::Indexes => {
            let catalog = core.shown_catalog();
            let tables = catalog.tables().filter(|table| is_shown(table, context));
            let rows = tables.flat_map(|table| {
                let row = |index: &Arc<IndexEntry>| one_index(table, index);
                table.indexes.iter().map(row).collect::<Vec<_>>()
            });
            rows.collect()
        }
        SystemTable::Pool => {
            let class = |class: &remora_storage::pool::ClassStats| {
                vec![
                    count(class.slot_bytes),
                    count(class.slabs),
                    count(class.slots),
                    count(class.slots_used),
                    count(class.slots_cached),
                    count(class.bytes_used()),
                    count(class.bytes_wasted()),
                    count(class.cache_hits),
                    count(class.cache_misses),
                ]
            };
            core.pool().stats().classes.iter().map(class).collect()
        }
        SystemTable::Pressure => pressure(ledger),
        SystemTable::PressureHistory => {
            let history = ledger.pressure().history();
            history.iter().map(one_change).collect()
        }
        SystemTable::Sequences => sequences::all(&core.shown_catalog(), context),
        SystemTable::Sequence(id) => sequences::one(id, context),
        SystemTable::Pg(table) => pg_catalog::rows(table, view, context),
        SystemTable::Transactions => {
            let session = context.session.as_ref();
            activity::transactions(view, session.map(|session| &**session.activity()))
        }
        SystemTable::PlanCache => {
            let session = context.session.as_ref();
            session.map_or_else(Vec::new, |session| {
                activity::plan_caches(session.activity())
            })
        }
        SystemTable::Conflicts => {
            let session = context.session.as_ref();
            session.map_or_else(Vec::new, |session| activity::conflicts(session.activity()))
        }
        SystemTable::Cursors => {
            let scope = context.scope.as_ref();
            let cursors = scope.map_or(&[][..], |scope| scope.cursors());
            cursors.iter().map(one_cursor).collect()
        }
        SystemTable::PreparedStatements => {
            let scope = context.scope.as_ref();
            let statements = scope.map_or(&[][..], |scope| scope.statements());
            statements.iter().map(one_statement).collect()
        }
        SystemTable::Recovery => {
            let report = opening(context).map(|opening| &opening.report);
            report.map(recovery::row).into_iter().collect()
        }
        SystemTable::RecoveryLosses => {
            let losses = opening(context).map(|opening| &opening.report.losses);
            losses.into_iter().flatten().map(recovery::loss).collect()
        }
        SystemTable::Checkpoints => {
            let disk = opening(context).and_then(|opening| opening.disk.as_deref());
            disk.map_or_else(|| Ok(Vec::new()), checkpoints::rows)?
        }
    };
    Ok(rows)
}

/// How the database was opened; nothing where no session asks.
fn opening(context: &EvalContext) -> Option<&Opening> {
    let session = context.session.as_ref()?;
    session.activity().opening()
}

/// Whether a schema is not another session's own.
pub(super) fn is_seen(schema: SchemaId, context: &EvalContext) -> bool {
    let session = context.session.as_ref();
    let own = session.map(|session| SchemaId::temporary(session.number()));
    !schema.is_temporary() || own == Some(schema)
}

fn is_shown(table: &TableEntry, context: &EvalContext) -> bool {
    is_seen(table.def.schema, context)
}

fn memory(ledger: &Ledger) -> Vec<Vec<Value>> {
    let budget = ledger.budget() as f64;
    let entries = ledger.entries().into_iter();
    let row = entries.map(|entry| {
        vec![
            text(entry.owner.name()),
            count(entry.bytes),
            Value::Double(entry.bytes as f64 / budget),
        ]
    });
    row.collect()
}

fn one_table(entry: &TableEntry, view: &ReadView) -> Vec<Value> {
    let stats = view.table_stats(entry);
    vec![
        text(&entry.def.name),
        count(stats.rows),
        count(stats.dead),
        count(stats.blocks_hot),
        count(stats.blocks_frozen),
        count(stats.bytes),
    ]
}

fn one_index(table: &TableEntry, index: &IndexEntry) -> Vec<Value> {
    let kind = match index.def.kind {
        IndexKind::Ordered => "btree",
        IndexKind::Hash => "hash",
    };
    vec![
        text(&index.def.name),
        text(&table.def.name),
        text(kind),
        Value::Boolean(index.def.is_unique()),
        count(index.index.len() as u64),
        count(index.bytes()),
    ]
}

/// A row a level.
fn pressure(ledger: &Ledger) -> Vec<Vec<Value>> {
    let pressure = ledger.pressure();
    let current = pressure.level();
    let changed = pressure.history().last().map(|change| change.at);
    let thresholds = pressure.thresholds().percent();
    let limit = ledger.budget().saturating_sub(ledger.emergency());
    let row = |level: PressureLevel| {
        let percent = (level as usize)
            .checked_sub(1)
            .map_or(0, |at| thresholds[at]);
        let since = changed.filter(|_| level == current);
        vec![
            text(level.name()),
            Value::Integer(percent.into()),
            count(pressure.thresholds().begin(level, limit)),
            Value::Boolean(level == current),
            since.map_or(Value::Null, moment),
        ]
    };
    PressureLevel::ALL.into_iter().map(row).collect()
}

fn one_change(change: &PressureChange) -> Vec<Value> {
    vec![
        moment(change.at),
        text(change.from.name()),
        text(change.to.name()),
        count(change.used),
        count(change.limit),
    ]
}

fn one_cursor(cursor: &CursorShown) -> Vec<Value> {
    vec![
        text(&cursor.name),
        text(&cursor.statement),
        Value::Boolean(cursor.is_holdable),
        Value::Boolean(false),
        Value::Boolean(cursor.is_scrollable),
        Value::TimestampTz(cursor.created),
    ]
}

fn one_statement(statement: &StatementShown) -> Vec<Value> {
    let types = statement.parameters.iter().map(|found| {
        let name = found.without_modifier().to_string();
        match name.contains(' ') {
            true => format!("\"{name}\""),
            false => name,
        }
    });
    let types = types.collect::<Vec<_>>().join(",");
    vec![
        text(&statement.name),
        text(&statement.statement),
        Value::TimestampTz(statement.prepared),
        text(&format!("{{{types}}}")),
        Value::Boolean(true),
        Value::BigInt(0),
        Value::BigInt(0),
    ]
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn count(n: u64) -> Value {
    Value::BigInt(i64::try_from(n).unwrap_or(i64::MAX))
}

pub(super) fn moment(at: SystemTime) -> Value {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Value::TimestampTz(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
