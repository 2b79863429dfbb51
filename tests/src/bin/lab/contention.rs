//! Contention: what a transaction costs alone, and what it comes to when all want one row.
//!
//! 1. *Costs*: one thread, prepared statements; an empty transaction, a select by key on its own, and
//!    the same in a transaction that only reads. The engines take turns; the best round counts, in
//!    nanoseconds, and the select in a transaction beside the one on its own, as the median of the
//!    rounds' ratios.
//! 2. *One row*: so many threads add one to the same row, so many times in all, each time in a
//!    transaction. The sum must be exact and every thread must finish. Tries a transaction tell how
//!    often it was run again, the longest transaction whether somebody starved.
//!
//! SQLite stands beside: with one connection that threads lock in turn, which is the quickest way it
//! has, and with a connection each (a file in memory, WAL, `BEGIN IMMEDIATE`, a busy handler).
//!
//! ```text
//! cargo run --release -p remora-tests --bin contention [-- --threads 8 --increments 100000 --rounds 5]
//! ```

use crate::Result;
use crate::arguments::Arguments;
use remora::TransactionOptions;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const TABLE: &str = "CREATE TABLE counter (id INTEGER PRIMARY KEY, n BIGINT)";
const ROWS: i64 = 1000;
const INSERT: &str = "INSERT INTO counter VALUES (?, 0)";
const ADD: &str = "UPDATE counter SET n = n + 1 WHERE id = 1";
const READ: &str = "SELECT n FROM counter WHERE id = ?";
const SUM: &str = "SELECT n FROM counter WHERE id = 1";
/// Transactions a round of what is measured on one thread.
const ALONE: i64 = 100_000;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let threads = arguments.value_or("--threads", 8)?.max(1);
    let increments = arguments.value_or("--increments", 100_000)? / threads * threads;
    let rounds = arguments.value_or("--rounds", 5)?.max(1);
    arguments.end()?;
    costs(rounds)?;
    println!();
    println!("{threads} threads, {increments} increments of one row");
    println!("| who | increments a second (median) | least | greatest | tries | longest |");
    println!("|---|---|---|---|---|---|");
    let ways: [Way; 4] = [
        ("Remora, `transact`", transact),
        ("Remora, statements of their own", autocommit),
        ("SQLite, one connection and a lock", sqlite_locked),
        ("SQLite, `BEGIN IMMEDIATE`", sqlite_immediate),
    ];
    let mut races: Vec<Vec<Race>> = ways.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (way, races) in ways.iter().zip(&mut races) {
            races.push(way.1(threads, increments)?);
        }
    }
    for (way, races) in ways.iter().zip(&mut races) {
        races.sort_by_key(|race| race.took);
        let rate = |race: &Race| increments as f64 / race.took.as_secs_f64();
        let tries: u64 = races.iter().map(|race| race.tries).sum();
        println!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.3} | {:?} |",
            way.0,
            rate(&races[rounds / 2]),
            rate(&races[rounds - 1]),
            rate(&races[0]),
            tries as f64 / (rounds as u64 * increments) as f64,
            races
                .iter()
                .map(|race| race.longest)
                .max()
                .unwrap_or_default(),
        );
    }
    Ok(())
}

/// One line of the report: a name, and the race of so many threads for so many increments.
type Way = (&'static str, fn(u64, u64) -> Result<Race>);

/// What a round came to.
struct Race {
    took: Duration,
    tries: u64,
    /// The transaction that took longest.
    longest: Duration,
}

/// Runs `work` on so many threads until each has done its share; `start` makes what a thread needs,
/// and `work` is one increment, which returns how many tries it took.
fn race<T>(
    threads: u64,
    increments: u64,
    start: impl Fn() -> Result<T> + Sync,
    work: impl Fn(&mut T) -> Result<u64> + Sync,
) -> Result<Race> {
    let (tries, longest) = (AtomicU64::new(0), AtomicU64::new(0));
    let share = || -> Result<()> {
        let mut own = start()?;
        for _ in 0..increments / threads {
            let began = Instant::now();
            tries.fetch_add(work(&mut own)?, Relaxed);
            longest.fetch_max(began.elapsed().as_nanos() as u64, Relaxed);
        }
        Ok(())
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| share().map_err(|error| error.to_string())))
            .collect();
        for handle in handles {
            handle.join().map_err(|_| "a thread panicked")??;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    Ok(Race {
        took: began.elapsed(),
        tries: tries.into_inner(),
        longest: Duration::from_nanos(longest.into_inner()),
    })
}

fn expect(sum: i64, increments: u64) -> Result<()> {
    if sum == increments as i64 {
        return Ok(());
    }
    Err(format!("the sum is {sum}, and {increments} were added").into())
}

fn database() -> Result<remora::Database> {
    let db = remora::Database::in_memory()?;
    let conn = db.connect()?;
    conn.execute(TABLE, [])?;
    let mut insert = conn.prepare(INSERT)?;
    for id in 1..=ROWS {
        insert.execute([id])?;
    }
    Ok(db)
}

fn transact(threads: u64, increments: u64) -> Result<Race> {
    let db = database()?;
    let add = |conn: &mut remora::Connection| {
        let mut tries = 0;
        conn.transact(|tx| {
            tries += 1;
            tx.execute(ADD, [])
        })?;
        Ok(tries)
    };
    let race = race(threads, increments, || Ok(db.connect()?), add)?;
    let sum = db.connect()?.query_row(SUM, [], |row| row.get(0))?;
    expect(sum, increments)?;
    Ok(race)
}

fn autocommit(threads: u64, increments: u64) -> Result<Race> {
    let db = database()?;
    let add = |conn: &mut remora::Connection| {
        conn.execute(ADD, [])?;
        Ok(1)
    };
    let race = race(threads, increments, || Ok(db.connect()?), add)?;
    let sum = db.connect()?.query_row(SUM, [], |row| row.get(0))?;
    expect(sum, increments)?;
    Ok(race)
}

fn fill(conn: &rusqlite::Connection) -> Result<()> {
    conn.execute_batch(TABLE)?;
    let mut insert = conn.prepare(INSERT)?;
    for id in 1..=ROWS {
        insert.execute([id])?;
    }
    Ok(())
}

fn sqlite_locked(threads: u64, increments: u64) -> Result<Race> {
    let conn = rusqlite::Connection::open_in_memory()?;
    fill(&conn)?;
    let shared = Mutex::new(conn);
    let add = |(): &mut ()| {
        let mut conn = shared.lock().map_err(|_| "a thread panicked")?;
        let tx = conn.transaction()?;
        tx.prepare_cached(ADD)?.execute([])?;
        tx.commit()?;
        Ok(1)
    };
    let race = race(threads, increments, || Ok(()), add)?;
    let conn = shared.lock().map_err(|_| "a thread panicked")?;
    expect(conn.query_row(SUM, [], |row| row.get(0))?, increments)?;
    Ok(race)
}

fn sqlite_immediate(threads: u64, increments: u64) -> Result<Race> {
    let memory = std::path::Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory)?,
        false => tempfile::tempdir()?,
    };
    let open = || -> Result<rusqlite::Connection> {
        let conn = rusqlite::Connection::open(folder.path().join("counter"))?;
        conn.busy_timeout(Duration::from_secs(60))?;
        conn.pragma_update(None, "journal_mode", "wal")?;
        conn.pragma_update(None, "synchronous", "off")?;
        Ok(conn)
    };
    let conn = open()?;
    conn.execute_batch("BEGIN")?;
    fill(&conn)?;
    conn.execute_batch("COMMIT")?;
    let add = |conn: &mut rusqlite::Connection| {
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.prepare_cached(ADD)?.execute([])?;
        tx.commit()?;
        Ok(1)
    };
    let race = race(threads, increments, open, add)?;
    expect(conn.query_row(SUM, [], |row| row.get(0))?, increments)?;
    Ok(race)
}

/// What one thread pays, in nanoseconds: an empty transaction, a select, a select in a transaction.
type Costs = [f64; 3];

fn costs(rounds: usize) -> Result<()> {
    let db = database()?;
    let ours = db.connect()?;
    let theirs = rusqlite::Connection::open_in_memory()?;
    fill(&theirs)?;
    let (mut remora, mut sqlite) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        remora.push(remora_costs(&ours)?);
        sqlite.push(sqlite_costs(&theirs)?);
    }
    println!(
        "| one thread, ns | begin, commit | select by key | begin, select, commit | to one alone |"
    );
    println!("|---|---|---|---|---|");
    for (who, costs) in [("Remora", remora), ("SQLite", sqlite)] {
        let best = |which: usize| {
            costs
                .iter()
                .map(|round| round[which])
                .fold(f64::MAX, f64::min)
        };
        let mut ratios: Vec<f64> = costs.iter().map(|round| round[2] / round[1]).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "| {who} | {:.0} | {:.0} | {:.0} | {:.2} |",
            best(0),
            best(1),
            best(2),
            ratios[rounds / 2]
        );
    }
    Ok(())
}

fn nanos(mut work: impl FnMut(i64) -> Result<i64>) -> Result<f64> {
    let began = Instant::now();
    for number in 0..ALONE {
        black_box(work(number % ROWS + 1)?);
    }
    Ok(began.elapsed().as_nanos() as f64 / ALONE as f64)
}

fn remora_costs(conn: &remora::Connection) -> Result<Costs> {
    let read_only = TransactionOptions::new().read_only(true);
    let mut select = conn.prepare(READ)?;
    let mut read = |id: i64| Ok(select.query_row([id], |row| row.get(0))?);
    Ok([
        nanos(|_| {
            conn.unchecked_transaction(TransactionOptions::new())?
                .commit()?;
            Ok(0)
        })?,
        nanos(&mut read)?,
        nanos(|id| {
            let tx = conn.unchecked_transaction(read_only)?;
            let found = read(id)?;
            tx.commit()?;
            Ok(found)
        })?,
    ])
}

fn sqlite_costs(conn: &rusqlite::Connection) -> Result<Costs> {
    let mut begin = conn.prepare("BEGIN")?;
    let mut commit = conn.prepare("COMMIT")?;
    let mut select = conn.prepare(READ)?;
    let mut read = |id: i64| Ok(select.query_row([id], |row| row.get(0))?);
    let empty = nanos(|_| {
        begin.execute([])?;
        commit.execute([])?;
        Ok(0)
    })?;
    let alone = nanos(&mut read)?;
    let within = nanos(|id| {
        begin.execute([])?;
        let found = read(id)?;
        commit.execute([])?;
        Ok(found)
    })?;
    Ok([empty, alone, within])
}
