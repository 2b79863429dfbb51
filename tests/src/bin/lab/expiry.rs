//! Expiry: what it costs to open a database of rows that expire, and what others notice when all expire at once.
//!
//! ```text
//! cargo run --release -p remora-tests -- expiry [--rows 10000000] [--rounds 5] [--seconds 10]
//! ```
//!
//! *Opening.* Two directories hold the same rows with the same columns; in one of them rows expire by the last column. They are
//! opened in turn. The tool fails where the median of the ratios is above 1.1.
//!
//! *At once.* All rows of a table expire within one second. A session reads and updates rows of another table by their keys,
//! before and while the sweeper deletes them. The tool fails where its 99th percentile becomes more than three times what
//! it was, or fewer than 200,000 rows a second are swept.

use crate::Result;
use crate::arguments::Arguments;
use remora::testing::ManualTime;
use remora::{Connection, Database, Options};
use remora_tests::random::Random;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Opening takes so many times as long at most.
const OPENING_MOST: f64 = 1.1;
/// The 99th percentile becomes so many times as long at most.
const LATENCY_MOST: f64 = 3.0;
/// Rows that are swept in a second, at least.
const SWEPT_LEAST: f64 = 200_000.0;
/// Rows that one statement inserts.
const AT_ONCE: u64 = 250_000;
/// Rows of the table that is not concerned.
const OTHERS: u64 = 100_000;
/// The time between two looks at the sweeper, each of which counts all rows that are left.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A sweeper that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let rows = arguments.value_or("--rows", 10_000_000)?;
    let rounds = arguments.value_or("--rounds", 5)?.max(1);
    let seconds = arguments.value_or("--seconds", 10)?.max(1);
    arguments.end()?;
    let opening = opening(rows, rounds)?;
    let at_once = at_once(rows, Duration::from_secs(seconds))?;
    let failed: Vec<String> = opening.into_iter().chain(at_once).collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("; ").into()),
    }
}

fn fill(conn: &Connection, rows: u64, expires: &str) -> Result<()> {
    let sql = format!(
        "INSERT INTO t (k, v, expires_at) SELECT n, n * 7919 % 1000003, {expires} FROM generate_series($1::BIGINT, $2::BIGINT) AS g (n)"
    );
    let mut insert = conn.prepare(&sql)?;
    for from in (1..=rows).step_by(AT_ONCE as usize) {
        insert.execute([from as i64, rows.min(from + AT_ONCE - 1) as i64])?;
    }
    Ok(())
}

fn opening(rows: u64, rounds: usize) -> Result<Option<String>> {
    let folder = tempfile::tempdir()?;
    let ways = [
        ("plain", ""),
        ("expiring", " WITH (ttl_expire_after = '1 year')"),
    ];
    let paths = ways.map(|(name, _)| folder.path().join(name));
    for ((_, with), path) in ways.iter().zip(&paths) {
        let db = Database::open(path)?;
        let conn = db.connect()?;
        let columns = "k BIGINT PRIMARY KEY, v BIGINT, expires_at TIMESTAMPTZ";
        conn.execute(&format!("CREATE TABLE t ({columns}){with}"), [])?;
        fill(&conn, rows, "now() + INTERVAL '1 year'")?;
        db.checkpoint()?;
        drop(conn);
        db.close()?;
    }
    let open = |path: &Path| -> Result<f64> {
        let begun = Instant::now();
        let db = Database::open(path)?;
        let took = begun.elapsed().as_secs_f64();
        db.close()?;
        Ok(took)
    };
    let mut ratios = Vec::new();
    println!("| {rows} rows | plain | expiring | ratio |");
    println!("|---|---|---|---|");
    for round in 0..rounds {
        let (plain, expiring) = (open(&paths[0])?, open(&paths[1])?);
        println!(
            "| opening {} | {plain:.2} s | {expiring:.2} s | {:.2} |",
            round + 1,
            expiring / plain
        );
        ratios.push(expiring / plain);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!();
    let is_slow = median > OPENING_MOST;
    Ok(is_slow.then(|| format!("opening takes {median:.2} times as long")))
}

/// Latencies of a session that reads and updates rows by their keys.
fn latencies(conn: &Connection, go_on: impl Fn() -> bool) -> Result<Vec<Duration>> {
    let mut read = conn.prepare("SELECT n FROM other WHERE k = $1")?;
    let mut write = conn.prepare("UPDATE other SET n = n + 1 WHERE k = $1")?;
    let mut random = Random::new(3);
    let mut all = Vec::new();
    while go_on() {
        let key = random.below(OTHERS) as i64;
        let begun = Instant::now();
        read.query_row([key], |row| row.get::<_, i64>(0))?;
        write.execute([key])?;
        all.push(begun.elapsed());
    }
    all.sort_unstable();
    Ok(all)
}

fn at_once(rows: u64, quiet: Duration) -> Result<Vec<String>> {
    let time = ManualTime::at(SystemTime::now());
    let db = Database::in_memory_with(Options::new().time_source(Arc::new(time.clone())))?;
    let conn = db.connect()?;
    conn.execute_batch(&format!(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT) WITH (ttl_expire_after = '1 hour');
         CREATE TABLE other (k BIGINT PRIMARY KEY, n BIGINT);
         INSERT INTO other SELECT n, 0 FROM generate_series(0, {}) AS g (n)",
        OTHERS - 1
    ))?;
    fill(
        &conn,
        rows,
        "now() + n % 1000000 * INTERVAL '1 microsecond' + INTERVAL '1 minute'",
    )?;
    let begun = Instant::now();
    let before = latencies(&conn, || begun.elapsed() < quiet)?;
    time.advance(Duration::from_secs(62));
    let begun = Instant::now();
    let (during, took) = std::thread::scope(|scope| -> Result<_> {
        let sweeper = scope.spawn(|| -> remora::Result<Duration> {
            let looker = db.connect()?;
            loop {
                std::thread::sleep(LOOK_EVERY);
                let swept = "SELECT swept FROM remora_ttl";
                let swept: i64 = looker.query_row(swept, [], |row| row.get(0))?;
                if swept as u64 >= rows || begun.elapsed() > PATIENCE {
                    break Ok(begun.elapsed());
                }
            }
        });
        let during = latencies(&conn, || !sweeper.is_finished())?;
        let took = sweeper.join().map_err(|_| "the looker panicked")??;
        Ok((during, took))
    })?;
    let percentile = |all: &[Duration], part: f64| all[(all.len() as f64 * part) as usize];
    println!("| an update and a select by key | median | 99 % | 99.9 % | a second |");
    println!("|---|---|---|---|---|");
    let lines = [
        ("before", &before, quiet),
        ("while rows are swept", &during, took),
    ];
    for (name, all, time) in lines {
        println!(
            "| {name} | {:.1?} | {:.1?} | {:.1?} | {:.0} |",
            percentile(all, 0.5),
            percentile(all, 0.99),
            percentile(all, 0.999),
            all.len() as f64 / time.as_secs_f64()
        );
    }
    let rate = rows as f64 / took.as_secs_f64();
    println!("\n{rows} rows swept in {took:.1?}: {rate:.0} a second");
    let ratio = percentile(&during, 0.99).as_secs_f64() / percentile(&before, 0.99).as_secs_f64();
    let mut failed = Vec::new();
    if ratio > LATENCY_MOST {
        failed.push(format!(
            "the 99th percentile became {ratio:.2} times as long"
        ));
    }
    if rate < SWEPT_LEAST {
        failed.push(format!("{rate:.0} rows a second were swept"));
    }
    Ok(failed)
}
