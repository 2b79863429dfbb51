//! Queues: a table that workers take the next row from, with one statement.
//!
//! ```text
//! cargo run --release -p remora-tests -- queue [--waiting 1000000] [--rounds 5] [--before 200000] [--takers 8] [--items 200000]
//! ```
//!
//! *Length.* A pop is `DELETE .. USING (SELECT .. ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED)`, a push puts a row at
//! the end. Both are done in turn with few rows waiting, with many, and with many beside a snapshot that sees rows (`--before`)
//! which were popped since. The tool fails where the median pop with many waiting takes more than twice as long as with few, and
//! beside the old snapshot more than three times as long.
//!
//! *Takers.* Threads empty a table, each in serializable transactions of its own. The tool fails where one of them gets an error,
//! or a row is taken twice or never.

use crate::Result;
use crate::arguments::Arguments;
use remora::{Connection, Database, OptionalExtension};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A pop with many rows waiting takes so many times as long at most.
const LENGTH_MOST: f64 = 2.0;
/// A pop beside an old snapshot takes so many times as long at most.
const SNAPSHOT_MOST: f64 = 3.0;
/// Rows that wait in a short queue.
const FEW: u64 = 1_000;
/// Pops and pushes that are measured in each round.
const MEASURED: u64 = 2_000;
/// Pops and pushes that are measured in each round beside an old snapshot.
const MEASURED_BESIDE: u64 = 200;

const TABLE: &str =
    "CREATE TABLE queue (id BIGINT PRIMARY KEY, priority INT NOT NULL, body TEXT NOT NULL);
     CREATE INDEX queue_next ON queue (priority, id)";
const FILL: &str =
    "INSERT INTO queue SELECT n, n % 4, 'item ' || n FROM generate_series(1, $1::BIGINT) AS g (n)";
const PUSH: &str = "INSERT INTO queue VALUES ($1, $2, 'another item')";
/// Pops many at once, which takes no walk for each.
const POP_MANY: &str =
    "DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY priority, id LIMIT $1)";
const POP: &str = "DELETE FROM queue USING \
     (SELECT id FROM queue ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS next \
     WHERE queue.id = next.id RETURNING queue.id";

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let waiting = arguments.value_or("--waiting", 1_000_000)?.max(FEW);
    let rounds = arguments.value_or("--rounds", 5)?.max(1);
    let before = arguments.value_or("--before", 200_000)?.min(waiting / 2);
    let takers = arguments.value_or("--takers", 8)?.max(1);
    let items = arguments.value_or("--items", 200_000)?;
    arguments.end()?;
    let mut failed = length(waiting, before, rounds)?;
    failed.extend(taken(takers, items)?);
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("; ").into()),
    }
}

/// A queue with so many rows waiting.
struct Queue {
    db: Database,
    conn: Connection,
    next: i64,
}

impl Queue {
    fn new(rows: u64) -> Result<Self> {
        let db = Database::in_memory()?;
        let conn = db.connect()?;
        conn.execute_batch(TABLE)?;
        conn.execute(FILL, [rows as i64])?;
        let next = rows as i64 + 1;
        Ok(Self { db, conn, next })
    }

    /// Pops and pushes; how long each pop took, in order.
    fn turn(&mut self, times: u64) -> Result<Vec<Duration>> {
        let mut pop = self.conn.prepare(POP)?;
        let mut push = self.conn.prepare(PUSH)?;
        let mut took = Vec::with_capacity(times as usize);
        for _ in 0..times {
            let begun = Instant::now();
            pop.query_row([], |row| row.get::<_, i64>(0))?;
            took.push(begun.elapsed());
            push.execute([self.next, self.next % 4])?;
            self.next += 1;
        }
        took.sort_unstable();
        Ok(took)
    }
}

fn length(waiting: u64, before: u64, rounds: usize) -> Result<Vec<String>> {
    let (mut short, mut long) = (Queue::new(FEW)?, Queue::new(waiting)?);
    let mut beside = Queue::new(waiting)?;
    let reader = beside.db.connect()?;
    reader.execute_batch("BEGIN READ ONLY; SELECT count(*) FROM queue")?;
    beside.conn.execute(POP_MANY, [before as i64])?;
    println!(
        "| median and 99th percentile of a pop | {FEW} waiting | {waiting} waiting | {waiting} waiting, beside a snapshot that sees {before} more | ratios |"
    );
    println!("|---|---|---|---|---|");
    let mut ratios = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        let (few, many) = (short.turn(MEASURED)?, long.turn(MEASURED)?);
        let old = beside.turn(MEASURED_BESIDE)?;
        let median = |took: &[Duration]| took[took.len() / 2].as_secs_f64();
        let shown = |took: &[Duration]| {
            let last = took[took.len() * 99 / 100].as_secs_f64();
            format!("{:.1} µs, {:.1} µs", median(took) * 1e6, last * 1e6)
        };
        let of = [median(&many) / median(&few), median(&old) / median(&few)];
        println!(
            "| round {} | {} | {} | {} | {:.2}, {:.2} |",
            round + 1,
            shown(&few),
            shown(&many),
            shown(&old),
            of[0],
            of[1]
        );
        ratios
            .iter_mut()
            .zip(of)
            .for_each(|(all, one)| all.push(one));
    }
    println!();
    reader.execute_batch("COMMIT")?;
    let bounds = [
        ("with many rows waiting", LENGTH_MOST),
        ("beside an old snapshot", SNAPSHOT_MOST),
    ];
    let failed = bounds
        .into_iter()
        .zip(ratios)
        .filter_map(|((what, most), mut of)| {
            of.sort_by(f64::total_cmp);
            let median = of[of.len() / 2];
            (median > most).then(|| format!("{what} a pop takes {median:.2} times as long"))
        });
    Ok(failed.collect())
}

/// Empties a queue by many threads.
fn taken(takers: usize, items: u64) -> Result<Option<String>> {
    let queue = Queue::new(items)?;
    let begun = Instant::now();
    let take = |conn: Connection| -> remora::Result<Vec<i64>> {
        let mut pop = conn.prepare(POP)?;
        let mut all = Vec::new();
        loop {
            match pop.query_row([], |row| row.get(0)).optional()? {
                Some(id) => all.push(id),
                None => return Ok(all),
            }
        }
    };
    let conns = (0..takers).map(|_| queue.db.connect());
    let conns = conns.collect::<remora::Result<Vec<_>>>()?;
    let taken = std::thread::scope(|scope| {
        let threads: Vec<_> = conns
            .into_iter()
            .map(|conn| scope.spawn(|| take(conn)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a taker panicked"))
            .collect::<remora::Result<Vec<_>>>()
    })?;
    let took = begun.elapsed().as_secs_f64();
    let count: usize = taken.iter().map(Vec::len).sum();
    let each: BTreeSet<i64> = taken.into_iter().flatten().collect();
    println!(
        "{takers} takers: {count} items, {:.0} a second",
        count as f64 / took
    );
    let is_right = count as u64 == items && each.len() as u64 == items;
    Ok((!is_right).then(|| {
        format!(
            "{count} items were taken of {items}, {} different",
            each.len()
        )
    }))
}
