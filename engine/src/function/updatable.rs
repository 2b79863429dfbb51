//! Whether a table or view can be written: `pg_relation_is_updatable`, `pg_column_is_updatable`.
//!
//! Of a view the session is asked, which reads its query; what triggers INSTEAD OF do is counted where it is asked
//! for. A change is a bit, as PostgreSQL numbers them.

use super::Volatility::Stable;
use super::kernel::function;
use super::oids::{Numbered, numbered_by};
use super::statement::scope;
use super::{EvalContext, Needs, Overload};
use crate::error::Result;
use remora_storage::catalog::{Catalog, TriggerEvent, TriggerTiming, ViewDef};
use remora_storage::{TableId, Value, ValueRef};

const UPDATE: i32 = 1 << 2;
const INSERT: i32 = 1 << 3;
const DELETE: i32 = 1 << 4;
const ALL: i32 = UPDATE | INSERT | DELETE;

/// What stands in for changes of a view.
fn instead(view: &ViewDef) -> i32 {
    let triggers = view.triggers.iter();
    let instead = triggers.filter(|trigger| trigger.timing == TriggerTiming::InsteadOf);
    let events = instead.flat_map(|trigger| &trigger.events);
    events.fold(0, |all, event| match event {
        TriggerEvent::Update => all | UPDATE,
        TriggerEvent::Insert => all | INSERT,
        TriggerEvent::Delete => all | DELETE,
        TriggerEvent::Truncate => all,
    })
}

/// The changes that a relation takes; of a view whose column of this position can be written, if one is meant.
fn events(
    id: TableId,
    column: Option<usize>,
    triggers: bool,
    context: &EvalContext,
) -> Result<i32> {
    let scope = scope(context)?;
    let catalog: &Catalog = scope.catalog();
    if let Some(table) = catalog.table_by_id(id) {
        return Ok(if table.def.materialized.is_some() {
            0
        } else {
            ALL
        });
    }
    let Some(view) = catalog.view_by_id(id) else {
        return Ok(0);
    };
    let stands = if triggers { instead(view) } else { 0 };
    let session = super::setting::session(context)?;
    let Some(columns) = session.updatable(catalog, scope.path(), view) else {
        return Ok(stands);
    };
    let any = match column {
        Some(position) => columns.get(position) == Some(&true),
        None => columns.contains(&true),
    };
    Ok(stands | if any { ALL } else { DELETE })
}

fn relation_of(oid: ValueRef<'_>) -> Option<TableId> {
    match oid {
        ValueRef::BigInt(oid) => match numbered_by(oid) {
            Some(Numbered::Table(id)) => Some(id),
            _ => None,
        },
        _ => None,
    }
}

fn is_true(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Boolean(true))
}

fn relation(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let found = relation_of(arguments[0]);
    let found = found.map(|id| events(id, None, is_true(arguments[1]), context));
    Ok(Value::Integer(found.transpose()?.unwrap_or(0)))
}

fn column(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let position = match arguments[1] {
        ValueRef::SmallInt(number) => usize::try_from(number).ok(),
        _ => None,
    };
    let position = position.and_then(|number| number.checked_sub(1));
    let (Some(position), Some(id)) = (position, relation_of(arguments[0])) else {
        return Ok(Value::Boolean(false));
    };
    let found = events(id, Some(position), is_true(arguments[2]), context)?;
    let wanted = UPDATE | DELETE;
    Ok(Value::Boolean(found & wanted == wanted))
}

static UPDATABLE: &[Overload] = &[
    function!(strict row "pg_relation_is_updatable"(BigInt, Boolean) -> Integer,
        "Which changes a table or view takes: 4 for UPDATE, 8 for INSERT, 16 for DELETE, together; with those that \
         triggers stand in for, or without.",
        relation)
    .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_column_is_updatable"(BigInt, SmallInt, Boolean) -> Boolean,
        "Whether a column of a table or view can be written; also by triggers, or not.", column)
    .volatility(Stable).needs(Needs::CATALOG),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[UPDATABLE];
