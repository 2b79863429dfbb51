//! A cache of 64 MB through which values of all lengths pass.

use crate::Result;
use remora::{Connection, Database};
use remora_tests::random::Random;
use std::time::{Duration, Instant};

const BOUND: i64 = 64 << 20;
const TABLE: &str =
    "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT) WITH (eviction = 'lru', max_bytes = '64MB')";
const PUT: &str = "INSERT INTO t VALUES ($1, repeat('x', $2))";
/// The part of the bound by which it may be passed, and the resident size may differ.
const SLACK: i64 = BOUND / 20;
/// Percent of what a cache is charged with that is values, at least.
const ROWS_PERCENT: i64 = 70;
/// Values that are inserted between two looks.
const AT_ONCE: usize = 2_000;

/// The state at one look.
struct Look {
    charged: i64,
    /// Bytes of the values that are there.
    values: i64,
    /// What tables, indexes and versions have.
    ledger: i64,
    /// What the pool holds for nobody.
    pool: i64,
    resident: i64,
}

/// The length of the value of a key: as many short ones as long ones, from 10 bytes to 100 KB.
fn length(key: i64) -> i64 {
    let part = Random::new(key as u64).below(1 << 20) as f64 / (1 << 20) as f64;
    10_f64.powf(1.0 + 4.0 * part) as i64
}

impl Look {
    fn take(conn: &Connection) -> Result<Self> {
        let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
        // A query that reads values has batches of them, which the system's allocator keeps.
        let mut keys = conn.prepare("SELECT k FROM t")?;
        let lengths = keys.query_map([], |row| Ok(length(row.get(0)?)))?;
        Ok(Self {
            charged: number("SELECT bytes FROM remora_caches")?,
            values: lengths.sum::<remora::Result<i64>>()?,
            pool: number("SELECT bytes FROM remora_memory WHERE owner = 'pool'")?,
            ledger: number(
                "SELECT sum(bytes)::BIGINT FROM remora_memory WHERE owner IN ('table', 'index', 'version')",
            )?,
            resident: resident()?,
        })
    }
}

/// The resident size of this process, without pages of its files.
fn resident() -> Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kilobytes: i64 = kilobytes.ok_or("no resident size")?.trim().parse()?;
    Ok(kilobytes << 10)
}

/// The resident size of a process that has done the same.
fn warmed_up() -> Result<i64> {
    let db = Database::in_memory()?;
    let conn = db.connect()?;
    conn.execute(TABLE, [])?;
    let mut put = conn.prepare(PUT)?;
    for key in 1..AT_ONCE as i64 {
        put.execute((key, length(key)))?;
    }
    Look::take(&conn)?;
    drop(put);
    drop((conn, db));
    resident()
}

pub(super) fn run(seconds: u64) -> Result<()> {
    let before = warmed_up()?;
    let db = Database::in_memory()?;
    let conn = db.connect()?;
    conn.execute(TABLE, [])?;
    let mut put = conn.prepare(PUT)?;
    let mut get = conn.prepare("SELECT length(v) FROM t WHERE k = $1")?;
    let (mut random, mut key) = (Random::new(7), 0_i64);
    let (begun, mut told) = (Instant::now(), Duration::ZERO);
    println!(
        "| second | inserted | charged | values | ledger | pool | resident, without the process |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut broken = Vec::new();
    while begun.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..AT_ONCE {
            key += 1;
            put.execute((key, length(key)))?;
            let asked = key - random.below(2_000) as i64;
            let _ = get.query_row([asked], |row| row.get::<_, i32>(0));
        }
        let look = Look::take(&conn)?;
        let resident = look.resident - before;
        let is_full = key > 50_000;
        let mut expect = |is_kept: bool, what: &str| {
            if is_full && !is_kept {
                broken.push(format!("{what} after {key} values"));
            }
        };
        expect(look.charged <= BOUND + SLACK, "the bound was passed");
        expect(
            look.ledger <= BOUND + SLACK,
            "the ledger's count was above the bound",
        );
        expect(
            resident <= BOUND + SLACK,
            "the resident size was above the bound",
        );
        expect(
            look.values * 100 >= look.charged * ROWS_PERCENT,
            "too little of it was values",
        );
        if begun.elapsed() >= told {
            told += Duration::from_secs(seconds.div_ceil(20));
            let megabytes = |bytes: i64| bytes as f64 / f64::from(1 << 20);
            println!(
                "| {} | {key} | {:.1} MB | {:.0} % | {:.1} MB | {:.1} MB | {:.1} MB |",
                begun.elapsed().as_secs(),
                megabytes(look.charged),
                look.values as f64 * 100.0 / look.charged as f64,
                megabytes(look.ledger),
                megabytes(look.pool),
                megabytes(resident),
            );
        }
    }
    match broken.first() {
        None => Ok(()),
        Some(first) => Err(format!("{first}; {} times in all", broken.len()).into()),
    }
}
