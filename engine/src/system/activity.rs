//! Activity: registered snapshots and the transactions that hold them, plan caches, and the last conflicts.

use super::table::{Cell, system_table};
use crate::activity::{Activity, PlanCacheCounts, Runner, SessionRecord};
use remora_storage::maintenance::SnapshotUse;
use remora_storage::{Error, ReadView, Value};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

system_table! {
    /// Transactions, snapshots that the engine holds for itself, and statements that wait for their turn.
    TRANSACTIONS = "remora_transactions", NOTHING;
    |context|
    let latest = context.core().latest().0;
    for Held { used, runner, session } in held(context.view, context.activity());
    let (used, runner, session) = (used.as_ref(), runner.as_ref(), session.as_deref());
    let block = runner.and_then(|runner| runner.block);
    let started = runner.and_then(|runner| runner.started);
    let queued = session.filter(|_| used.is_none());
    "transaction_id" BigInt = used.map(|used| used.held.transaction.0),
    "session_id" BigInt = session.map(SessionRecord::number),
    "state" Text = queued.map(|_| "active").or(runner.map(state)),
    "level" Text = runner.map(level),
    "read_only" Boolean = runner.map(|_| block.is_some_and(|block| block.read_only)),
    // A reader registers no time when it begins.
    "started" TimestampTz = used.map(|used| Value::TimestampTz(started.unwrap_or_else(|| since(used)))),
    "age_seconds" Double = used.map(|used| used.age.as_secs_f64()),
    "snapshot" BigInt = used.map(|used| used.held.snapshot.0),
    "commits_since" BigInt = used.map(|used| latest.saturating_sub(used.held.snapshot.0)),
    "holders" BigInt = used.map(|used| used.held.holders),
    "statements" BigInt = runner.map(|_| block.map_or(1, |block| block.statements)),
    "rows_written" BigInt = block.map(|block| block.rows_written),
    "rows_held" BigInt = used.map(|used| used.rows_held),
    "rows_pinned" BigInt = used.map(|used| used.rows_pinned),
    "bytes_pinned" BigInt = used.map(|used| used.bytes_pinned),
    "waits_for" Text = session.and_then(waits_for),
    "statement" Text = match queued {
        Some(session) => session.last_statement().as_ref().map(Cell::value),
        None => runner.and_then(|runner| runner.statement.as_ref()).map(Cell::value),
    },
}

/// A snapshot with the session that runs its transaction, or a session whose statement waits before it has one.
struct Held {
    used: Option<SnapshotUse>,
    runner: Option<Runner>,
    session: Option<Arc<SessionRecord>>,
}

fn held(view: &ReadView, activity: Option<&Activity>) -> Vec<Held> {
    let uses = view.snapshots();
    let running = uses.iter().map(|used| {
        let runner = activity.and_then(|activity| activity.runner(used.held.transaction.0));
        Held {
            used: Some(*used),
            session: runner.as_ref().map(|runner| Arc::clone(&runner.session)),
            runner,
        }
    });
    let mut held: Vec<Held> = running.collect();
    let is_shown = |id| uses.iter().any(|used| used.held.transaction.0 == id);
    let waits = |session: &Arc<SessionRecord>| {
        let block = session.block().filter(|block| block.is_open);
        waits_for(session).is_some() && !block.is_some_and(|block| is_shown(block.transaction))
    };
    let sessions = activity.map_or_else(Vec::new, Activity::sessions);
    let queued = sessions.into_iter().filter(waits);
    held.extend(queued.map(|session| Held {
        used: None,
        runner: None,
        session: Some(session),
    }));
    held
}

fn waits_for(session: &SessionRecord) -> Option<String> {
    match session.rival() {
        Some(rival) => Some(format!("transaction {rival}")),
        None if session.waits_for_room() => Some("room in a table".to_owned()),
        None => session
            .waits_for_turn()
            .then(|| "max_active_statements".to_owned()),
    }
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

/// Returns when a snapshot was first noticed, in microseconds since 1970.
fn since(used: &SnapshotUse) -> i64 {
    let began = SystemTime::now().checked_sub(used.age);
    let since = began.and_then(|began| began.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

system_table! {
    /// Plan caches of the sessions, and behind them the one that all share.
    PLAN_CACHE = "remora_plan_cache", NOTHING;
    |context| for (session, counts) in context.activity().map_or_else(Vec::new, plan_caches);
    let lookups = counts.hits + counts.misses;
    "session_id" BigInt = session,
    "hits" BigInt = counts.hits,
    "misses" BigInt = counts.misses,
    "hit_ratio" Double = (lookups > 0).then(|| counts.hits as f64 / lookups as f64),
    "entries" BigInt = counts.entries,
    "bytes" BigInt = counts.bytes,
}

fn plan_caches(activity: &Activity) -> Vec<(Option<u32>, PlanCacheCounts)> {
    let of_session = |session: Arc<SessionRecord>| {
        let counts = session.plan_cache().counts();
        (Some(session.number()), counts)
    };
    let mut caches: Vec<_> = activity.sessions().into_iter().map(of_session).collect();
    caches.sort_by_key(|(session, _)| *session);
    caches.push((None, activity.shared_plans().counts()));
    caches
}

system_table! {
    /// The last conflicts, the oldest first.
    CONFLICTS = "remora_conflicts", NOTHING;
    |context|
    let activity = context.activity();
    for raised in activity.into_iter().flat_map(|activity| activity.conflicts().all());
    let conflict = raised.conflict();
    let (rule, table) = match &*raised.what {
        Error::Conflict(conflict) => (conflict.rule.name(), Some(&conflict.table)),
        Error::SchemaConflict { table } => ("structure", Some(table)),
        _ => ("other", None),
    };
    let named = conflict.filter(|conflict| conflict.rival.0 != 0);
    // A transaction that was run again did not look its rival up.
    let rival = raised.rival.clone().or_else(|| Some(activity?.rival(named?.rival.0)));
    let rival = rival.unwrap_or_default();
    "at" TimestampTz = Value::TimestampTz(raised.at),
    "transaction_id" BigInt = raised.transaction,
    "session_id" BigInt = raised.session,
    "statement" Text = raised.statement.as_ref(),
    "level" Text = raised.isolation.name(),
    "rule" Text = rule,
    "table_name" Text = table,
    "key" Text = conflict.map(|conflict| &conflict.key).filter(|key| !key.is_empty()),
    "rival_id" BigInt = named.map(|conflict| conflict.rival.0),
    "rival_started" TimestampTz = rival.started.map(Value::TimestampTz),
    "rival_statement" Text = rival.statement.as_ref(),
    "rival_has_committed" Boolean = conflict.map(|conflict| conflict.has_committed),
    "is_retried" Boolean = raised.is_retried,
    "tries" BigInt = raised.tries,
}
