//! Snowflake ids: whether many threads get distinct ones that rise, and how fast.
//!
//! ```text
//! cargo run --release -p remora-tests -- ids [--ids 10000000] [--threads 8]
//! ```
//!
//! Each thread has a session of its own and takes its part of the ids by statements that give many. Then a statement takes
//! one id at a time for a second. The tool fails where two ids are the same, or those of a thread do not rise.

use crate::Result;
use crate::arguments::Arguments;
use remora::Database;
use std::thread::scope;
use std::time::{Duration, Instant};

/// Ids that one statement gives.
const AT_ONCE: u64 = 50_000;
/// How long ids are taken one by one.
const ONE_BY_ONE: Duration = Duration::from_secs(1);

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let ids: u64 = arguments.value_or("--ids", 10_000_000)?;
    let threads: u64 = arguments.value_or("--threads", 8)?.max(1);
    arguments.end()?;
    let db = Database::in_memory()?;
    let begun = Instant::now();
    let found = scope(|scope| -> Result<Vec<Vec<i64>>> {
        let takers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| take(&db, ids.div_ceil(threads))))
            .collect();
        let mut found = Vec::new();
        for taker in takers {
            found.push(taker.join().map_err(|_| "a taker panicked")??);
        }
        Ok(found)
    })?;
    let took = begun.elapsed();
    let rises = found
        .iter()
        .all(|ids| ids.is_sorted_by(|one, next| one < next));
    let mut all: Vec<i64> = found.into_iter().flatten().collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    let rate = count as f64 / took.as_secs_f64();
    println!("{count} ids by {threads} threads in {took:.2?}: {rate:.0} a second");
    println!("one id a statement: {:.0} a second", one_by_one(&db)?);
    match (rises, count - all.len()) {
        (true, 0) => Ok(()),
        (true, repeated) => Err(format!("{repeated} ids were given twice").into()),
        (false, _) => Err("the ids of a thread do not rise".into()),
    }
}

/// The ids that a session of its own takes.
fn take(db: &Database, count: u64) -> remora::Result<Vec<i64>> {
    let conn = db.connect()?;
    let mut statement =
        conn.prepare("SELECT snowflake_id() FROM generate_series(1, $1::BIGINT)")?;
    let mut ids = Vec::with_capacity(count as usize);
    while (ids.len() as u64) < count {
        let wanted = AT_ONCE.min(count - ids.len() as u64);
        let rows = statement.query_map([wanted as i64], |row| row.get::<_, i64>(0))?;
        for id in rows {
            ids.push(id?);
        }
    }
    Ok(ids)
}

/// Statements a second that give one id each.
fn one_by_one(db: &Database) -> Result<f64> {
    let conn = db.connect()?;
    let mut statement = conn.prepare("SELECT snowflake_id()")?;
    let (begun, mut count) = (Instant::now(), 0_u64);
    while begun.elapsed() < ONE_BY_ONE {
        statement.query_row([], |row| row.get::<_, i64>(0))?;
        count += 1;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
