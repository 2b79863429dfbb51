//! Rate limits: whether many threads on one key are allowed exactly the limit, and calls a second.
//!
//! ```text
//! cargo run --release -p remora-tests -- limits [--threads 16] [--calls 2000] [--seconds 0.5]
//! ```
//!
//! Each thread has a session of its own and makes so many calls, all of them twice as many as the limit allows: by SQL at both levels of
//! isolation, by SQL with a commit of its own, and by a limiter of the library. Then calls are made for a while by one thread and by
//! all, on a key for each.

use crate::Result;
use crate::arguments::Arguments;
use remora::limit::Limit;
use remora::{Connection, Database, Isolation, Limiter, RetryLimit, TransactionOptions};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::scope;
use std::time::{Duration, Instant};

/// So slow that nothing comes back while this runs, and all of it within a hundred years.
const PER_SECOND: f64 = 1e-4;
const YEARS: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Ways to call a limit.
#[derive(Clone, Copy, Debug)]
enum Way {
    Sql(Isolation),
    Autonomous,
    Limiter,
}

const WAYS: [Way; 4] = [
    Way::Sql(Isolation::Snapshot),
    Way::Sql(Isolation::Serializable),
    Way::Autonomous,
    Way::Limiter,
];

/// A kind of limit: its function, the rest of its arguments, and the same for the library.
struct Kind {
    function: &'static str,
    arguments: String,
    limit: Limit,
}

fn kinds(limit: u64) -> Result<[Kind; 5]> {
    let rate = format!("{limit}, {PER_SECOND:e}::double precision");
    let window = format!("{limit}, '3650 days'");
    let kind = |function, arguments: &str, limit| Kind {
        function,
        arguments: arguments.to_owned(),
        limit,
    };
    let (capacity, count) = (limit as f64, limit as i64);
    Ok([
        kind(
            "rate_limit",
            &rate,
            Limit::token_bucket(capacity, PER_SECOND)?,
        ),
        kind(
            "rate_limit_leaky",
            &rate,
            Limit::leaky_bucket(capacity, PER_SECOND)?,
        ),
        kind(
            "rate_limit_window",
            &window,
            Limit::sliding_window(count, YEARS)?,
        ),
        kind(
            "rate_limit_fixed",
            &window,
            Limit::fixed_window(count, YEARS)?,
        ),
        kind("rate_limit_log", &window, Limit::sliding_log(count, YEARS)?),
    ])
}

/// One thread's way to a limit.
struct Caller {
    conn: Connection,
    options: TransactionOptions,
    sql: String,
    limiter: Option<Limiter>,
}

impl Caller {
    fn new(db: &Database, kind: &Kind, way: Way) -> Result<Self> {
        let is_autonomous = matches!(way, Way::Autonomous);
        let options = match way {
            Way::Sql(isolation) => TransactionOptions::new().isolation(isolation),
            _ => TransactionOptions::new(),
        };
        Ok(Self {
            conn: db.connect()?,
            options,
            sql: format!(
                "SELECT ({}($1, {}, autonomous => {is_autonomous})).allowed",
                kind.function, kind.arguments
            ),
            limiter: matches!(way, Way::Limiter).then(|| db.limiter(kind.limit)),
        })
    }

    fn call(&mut self, key: &str) -> Result<bool> {
        if let Some(limiter) = &self.limiter {
            return Ok(limiter.take(key, 1.0)?.allowed);
        }
        let sql = &self.sql;
        let patient = RetryLimit::new().attempts(u32::MAX);
        let call = self.conn.transact_with(self.options, patient, |tx| {
            tx.query_row(sql, [key], |row| row.get(0))
        });
        Ok(call?)
    }
}

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let threads: u64 = arguments.value_or("--threads", 16)?.max(1);
    let calls: u64 = arguments.value_or("--calls", 2000)?.max(1);
    let seconds: f64 = arguments.value_or("--seconds", 0.5)?;
    arguments.end()?;
    let limit = threads * calls / 2;
    println!(
        "{threads} threads on one key, {limit} of {} calls allowed",
        threads * calls
    );
    for kind in &kinds(limit)? {
        for way in WAYS {
            let (allowed, rate) = on_one_key(kind, way, threads, calls)?;
            println!("  {:<18} {way:<20?} {rate:>9.0} a second", kind.function);
            if allowed != limit {
                return Err(format!("{allowed} were allowed").into());
            }
        }
    }
    println!("calls a second, a key for each thread: one thread, {threads} threads");
    let kinds = kinds(100_000)?;
    for kind in &kinds {
        for way in WAYS {
            let time = Duration::from_secs_f64(seconds);
            let (one, many) = (apart(kind, way, 1, time)?, apart(kind, way, threads, time)?);
            println!("  {:<18} {way:<20?} {one:>9.0} {many:>9.0}", kind.function);
        }
    }
    Ok(())
}

/// Calls on one key by all threads: how many were allowed, and calls a second.
fn on_one_key(kind: &Kind, way: Way, threads: u64, calls: u64) -> Result<(u64, f64)> {
    let db = Database::in_memory()?;
    let allowed = AtomicU64::new(0);
    let begun = Instant::now();
    each(threads, |_| {
        let mut caller = Caller::new(&db, kind, way)?;
        for _ in 0..calls {
            allowed.fetch_add(u64::from(caller.call("key")?), Relaxed);
        }
        Ok(())
    })?;
    let rate = (threads * calls) as f64 / begun.elapsed().as_secs_f64();
    Ok((allowed.into_inner(), rate))
}

/// Calls a second, each thread on a key of its own.
fn apart(kind: &Kind, way: Way, threads: u64, time: Duration) -> Result<f64> {
    let db = Database::in_memory()?;
    let (over, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    each(threads, |thread| {
        let key = format!("key {thread}");
        let mut caller = Caller::new(&db, kind, way)?;
        while !over.load(Relaxed) {
            caller.call(&key)?;
            calls.fetch_add(1, Relaxed);
            if begun.elapsed() > time {
                over.store(true, Relaxed);
            }
        }
        Ok(())
    })?;
    Ok(calls.into_inner() as f64 / begun.elapsed().as_secs_f64())
}

/// Runs `f` in so many threads.
fn each(threads: u64, f: impl Fn(u64) -> Result<()> + Sync) -> Result<()> {
    let run = |thread| f(thread).map_err(|error| error.to_string());
    scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        for handle in handles {
            handle.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}
