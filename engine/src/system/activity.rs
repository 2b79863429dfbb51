//! Who runs what, and who met whom: the registered snapshots, what the sessions say of those who hold
//! them, and the last conflicts.

use super::rows::{count, text};
use super::table::SystemTable;
use crate::activity::{Activity, PlanCacheCounts, Raised, Rival, Runner, SessionRecord};
use remora_storage::maintenance::SnapshotUse;
use remora_storage::{Error, ReadView, Value};
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A row for each transaction, and for each snapshot that the engine holds for itself.
pub(super) fn transactions(view: &ReadView, activity: Option<&Activity>) -> Vec<Vec<Value>> {
    let latest = view.core().latest().0;
    let uses = view.snapshots();
    let row = |used: &SnapshotUse| {
        let runner = activity.and_then(|activity| activity.runner(used.held.transaction.0));
        one_transaction(used, runner.as_ref(), latest)
    };
    let mut rows: Vec<_> = uses.iter().map(row).collect();
    let queued = activity
        .into_iter()
        .flat_map(|activity| queue(activity, &uses));
    rows.extend(queued);
    rows
}

/// Sessions whose statement waits before it has a transaction.
fn queue(activity: &Activity, uses: &[SnapshotUse]) -> Vec<Vec<Value>> {
    let outside = |session: &Arc<SessionRecord>| {
        let is_shown = |id| uses.iter().any(|used| used.held.transaction.0 == id);
        let block = session.block().filter(|block| block.is_open);
        waits_for(session).is_some() && !block.is_some_and(|block| is_shown(block.transaction))
    };
    let row = |session: Arc<SessionRecord>| {
        let mut row = vec![Value::Null; SystemTable::Transactions.columns().len()];
        row[1] = count(session.number().into());
        row[2] = text("active");
        let last = row.len();
        row[last - 2] = waits_for(&session).unwrap_or(Value::Null);
        row[last - 1] = session
            .last_statement()
            .map_or(Value::Null, |last| text(&last));
        row
    };
    let sessions = activity.sessions().into_iter();
    sessions.filter(outside).map(row).collect()
}

fn waits_for(session: &SessionRecord) -> Option<Value> {
    match session.rival() {
        Some(rival) => Some(text(&format!("transaction {rival}"))),
        None => session
            .waits_for_turn()
            .then(|| text("max_active_statements")),
    }
}

fn one_transaction(used: &SnapshotUse, runner: Option<&Runner>, latest: u64) -> Vec<Value> {
    let block = runner.and_then(|runner| runner.block);
    let or_null = |value: Option<Value>| value.unwrap_or(Value::Null);
    // Who only reads notes no time when it begins.
    let started = runner.and_then(|runner| runner.started);
    let started = started.unwrap_or_else(|| since(used));
    let statements = block.map_or(1, |block| block.statements);
    let statement = runner.and_then(|runner| runner.statement.as_deref());
    vec![
        count(used.held.transaction.0),
        or_null(runner.map(|runner| count(runner.session.number().into()))),
        or_null(runner.map(|runner| text(state(runner)))),
        or_null(runner.map(|runner| text(level(runner)))),
        or_null(runner.map(|_| Value::Boolean(block.is_some_and(|block| block.read_only)))),
        Value::TimestampTz(started),
        Value::Double(used.age.as_secs_f64()),
        count(used.held.snapshot.0),
        count(latest.saturating_sub(used.held.snapshot.0)),
        count(used.held.holders.into()),
        or_null(runner.map(|_| count(statements))),
        or_null(block.map(|block| count(block.rows_written))),
        count(used.rows_held),
        count(used.rows_pinned),
        count(used.bytes_pinned),
        or_null(runner.and_then(|runner| waits_for(&runner.session))),
        or_null(statement.map(text)),
    ]
}

fn state(runner: &Runner) -> &'static str {
    match (runner.session.is_running(), &runner.block) {
        (true, _) => "active",
        (false, Some(_)) => "idle in transaction",
        // Its rows are handed out, and not all were fetched.
        (false, None) => "fetching",
    }
}

fn level(runner: &Runner) -> &'static str {
    let alone = || runner.session.isolation_alone();
    let level = runner.block.map_or_else(alone, |block| block.isolation);
    level.name()
}

/// A row for each session: how often the plan of a text was there, and what is kept; and one for what all share.
pub(super) fn plan_caches(activity: &Activity) -> Vec<Vec<Value>> {
    let row = |session: Value, counts: PlanCacheCounts| {
        let asked = counts.hits + counts.misses;
        let ratio = (asked > 0).then(|| counts.hits as f64 / asked as f64);
        vec![
            session,
            count(counts.hits),
            count(counts.misses),
            ratio.map_or(Value::Null, Value::Double),
            count(counts.entries),
            count(counts.bytes),
        ]
    };
    let of_session = |session: Arc<SessionRecord>| {
        let number = count(session.number().into());
        row(number, session.plan_cache().counts())
    };
    let mut rows: Vec<_> = activity.sessions().into_iter().map(of_session).collect();
    rows.sort_by(|a, b| {
        a[0].as_ref()
            .compare(b[0].as_ref())
            .unwrap_or(Ordering::Equal)
    });
    rows.push(row(Value::Null, activity.shared_plans().counts()));
    rows
}

/// A row for each of the last conflicts, the oldest first.
pub(super) fn conflicts(activity: &Activity) -> Vec<Vec<Value>> {
    let raised = activity.conflicts().all();
    let row = |raised: &Raised| one_conflict(raised, activity);
    raised.iter().map(row).collect()
}

fn one_conflict(raised: &Raised, activity: &Activity) -> Vec<Value> {
    let or_null = |value: Option<Value>| value.unwrap_or(Value::Null);
    let statement = |statement: &Option<Arc<str>>| or_null(statement.as_deref().map(text));
    let conflict = raised.conflict();
    let (rule, table) = match &*raised.what {
        Error::Conflict(conflict) => (conflict.rule.name(), Some(&conflict.table)),
        Error::SchemaConflict { table } => ("structure", Some(table)),
        _ => ("other", None),
    };
    let key = conflict.filter(|conflict| !conflict.key.is_empty());
    let named = conflict.filter(|conflict| conflict.rival.0 != 0);
    // Whoever was run again has not asked.
    let rival = raised.rival.clone().unwrap_or_else(|| {
        named.map_or_else(Rival::default, |conflict| activity.rival(conflict.rival.0))
    });
    vec![
        Value::TimestampTz(raised.at),
        count(raised.transaction),
        count(raised.session.into()),
        statement(&raised.statement),
        text(raised.isolation.name()),
        text(rule),
        or_null(table.map(|table| text(table))),
        or_null(key.map(|conflict| text(&conflict.key))),
        or_null(named.map(|conflict| count(conflict.rival.0))),
        or_null(rival.started.map(Value::TimestampTz)),
        statement(&rival.statement),
        or_null(conflict.map(|conflict| Value::Boolean(conflict.has_committed))),
        Value::Boolean(raised.is_retried),
        count(raised.tries.into()),
    ]
}

/// When a snapshot was first noticed, in microseconds since 1970.
fn since(used: &SnapshotUse) -> i64 {
    let began = SystemTime::now().checked_sub(used.age);
    let since = began.and_then(|began| began.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
