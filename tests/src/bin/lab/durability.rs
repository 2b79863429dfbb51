//! Durability: what it costs to be sure, beside SQLite on the same directory.
//!
//! 1. *Commits*: one row is changed in each transaction, by key, on rows of its own per thread. Remora at
//!    `sync` beside SQLite in WAL mode with `synchronous=FULL` (both return when the medium has it),
//!    with one thread and with many; Remora at `buffered` beside `memory`. The engines take turns
//!    within a round; a figure is the median of the rounds' ratios, with the least and the greatest.
//!    SQLite with many threads is run twice, with a connection each and with one that they lock in turn; the
//!    quicker one counts.
//! 2. *Latency*: the slowest commit of a thousand at `buffered` while a checkpoint is written, and while none is.
//! 3. *Log bytes* of a transaction that changes one column of one row.
//! 4. *Opening*: what a directory takes to open whose log holds so many changes of rows.
//!
//! ```text
//! cargo run --release -p remora-tests -- durability \
//!     [--threads 16 --commits 400 --rounds 5 --rows 200000 --changes 1000000 --dir DIR]
//! ```
//!
//! `--dir` names a directory on the medium that is to be measured; the current one is the default.

use crate::Result;
use crate::arguments::Arguments;
use remora::{Database, Durability, Options};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const TABLE: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT, balance BIGINT)";
const INSERT: &str = "INSERT INTO accounts VALUES (?, ?, 0)";
const UPDATE: &str = "UPDATE accounts SET balance = balance + 1 WHERE id = ?";
/// Rows that a thread has for itself.
const OWN_ROWS: i64 = 64;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let threads = arguments.value_or("--threads", 16)?.max(1);
    let commits = arguments.value_or("--commits", 400)?.max(1);
    let rounds = arguments.value_or("--rounds", 5)?.max(1);
    let rows = arguments.value_or("--rows", 200_000)?.max(1);
    let changes = arguments.value_or("--changes", 1_000_000)?;
    let base = arguments.value_or("--dir", PathBuf::from("."))?;
    arguments.end()?;
    let place = tempfile::tempdir_in(base)?;
    println!("| commits | ratio (median) | least | greatest | Remora, a second | the other |");
    println!("|---|---|---|---|---|---|");
    beside_sqlite(place.path(), 1, commits, rounds)?;
    beside_sqlite(place.path(), threads, commits, rounds)?;
    beside_memory(place.path(), commits * 100, rounds)?;
    println!();
    latency(place.path(), rows, rounds)?;
    log_bytes(place.path())?;
    opening(place.path(), rows, changes)
}

/// One line: how many times as many commits a second as the other.
fn report(what: &str, pairs: &[(f64, f64)]) {
    let mut ratios: Vec<f64> = pairs.iter().map(|(own, other)| own / other).collect();
    ratios.sort_by(f64::total_cmp);
    let median = |mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    println!(
        "| {what} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1],
        median(pairs.iter().map(|pair| pair.0).collect()),
        median(pairs.iter().map(|pair| pair.1).collect()),
    );
}

/// Commits a second of so many threads, each of which makes `share` of them; `start` makes what a
/// thread needs, and `work` is one commit, of the row with that number.
fn rate<T>(
    threads: i64,
    share: i64,
    start: impl Fn() -> Result<T> + Sync,
    work: impl Fn(&mut T, i64) -> Result<usize> + Sync,
) -> Result<f64> {
    let all = |thread: i64| -> Result<()> {
        let mut own = start()?;
        (0..share).try_for_each(|n| work(&mut own, thread * OWN_ROWS + n % OWN_ROWS).map(drop))
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        let all = &all;
        let spawn = |thread| scope.spawn(move || all(thread).map_err(|error| error.to_string()));
        let handles: Vec<_> = (0..threads).map(spawn).collect();
        for handle in handles {
            handle.join().map_err(|_| "a thread panicked")??;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    Ok((threads * share) as f64 / began.elapsed().as_secs_f64())
}

fn beside_sqlite(place: &Path, threads: i64, commits: i64, rounds: usize) -> Result<()> {
    let share = (commits / threads.min(4)).max(1);
    let directory = place.join(format!("remora-{threads}"));
    let db = Database::open(&directory)?;
    fill(&db, threads * OWN_ROWS)?;
    let file = place.join(format!("sqlite-{threads}.db"));
    fill_sqlite(&file, threads * OWN_ROWS)?;
    let shared = Mutex::new(sqlite(&file)?);
    let (mut pairs, mut ways) = (Vec::new(), [0.0, 0.0]);
    for _ in 0..rounds {
        let own = rate(
            threads,
            share,
            || Ok(db.connect()?),
            |conn, row| Ok(conn.execute(UPDATE, [row])?),
        )?;
        let each = rate(
            threads,
            share,
            || sqlite(&file),
            |conn, row| Ok(conn.prepare_cached(UPDATE)?.execute([row])?),
        )?;
        let locked = match threads {
            1 => each,
            _ => rate(
                threads,
                share,
                || Ok(()),
                |(), row| {
                    let conn = shared.lock().map_err(|_| "a thread panicked")?;
                    Ok(conn.prepare_cached(UPDATE)?.execute([row])?)
                },
            )?,
        };
        ways = [f64::max(ways[0], each), f64::max(ways[1], locked)];
        pairs.push((own, each.max(locked)));
    }
    let name = format!("`sync`, {threads} threads, beside SQLite FULL");
    report(&name, &pairs);
    if threads > 1 {
        eprintln!(
            "SQLite with {threads} threads, best rounds: {:.0} a second with a connection each, {:.0} with one",
            ways[0], ways[1]
        );
    }
    Ok(db.close()?)
}

fn beside_memory(place: &Path, commits: i64, rounds: usize) -> Result<()> {
    let options = Options::new().durability(Durability::Buffered);
    let db = Database::open_with(place.join("buffered"), options)?;
    let memory = Database::in_memory()?;
    fill(&db, OWN_ROWS)?;
    fill(&memory, OWN_ROWS)?;
    let mut pairs = Vec::new();
    let round = |db: &Database| {
        rate(
            1,
            commits,
            || Ok(db.connect()?),
            |conn, row| Ok(conn.execute(UPDATE, [row])?),
        )
    };
    for _ in 0..rounds {
        pairs.push((round(&db)?, round(&memory)?));
    }
    report("`buffered`, 1 thread, beside `memory`", &pairs);
    let conn = db.connect()?;
    let worst = "SELECT ms_at_risk_max, loss_window_ms FROM remora_durability";
    let (worst, window) = conn.query_row(worst, [], |row| {
        Ok((row.get::<_, f64>(0)?, row.get::<_, f64>(1)?))
    })?;
    println!();
    println!(
        "At `buffered` a commit was at risk for {worst:.1} ms at most; the loss window is {window} ms."
    );
    Ok(db.close()?)
}

/// The slowest commit of a thousand, with and without a checkpoint.
fn latency(place: &Path, rows: i64, rounds: usize) -> Result<()> {
    let options = Options::new().durability(Durability::Buffered);
    let db = Database::open_with(place.join("latency"), options)?;
    fill(&db, rows)?;
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let quiet = slowest(&db, &AtomicBool::new(false), Duration::from_millis(1500))?;
        let over = AtomicBool::new(false);
        let busy = std::thread::scope(|scope| {
            let checkpoint = scope.spawn(|| {
                let written = db.checkpoint();
                over.store(true, Relaxed);
                written
            });
            let busy = slowest(&db, &over, Duration::from_secs(600));
            checkpoint.join().map_err(|_| "the checkpoint panicked")??;
            busy
        })?;
        ratios.push((busy.as_secs_f64() / quiet.as_secs_f64(), busy, quiet));
    }
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, busy, quiet) = ratios[ratios.len() / 2];
    println!(
        "The slowest of 1,000 commits (p99.9, `buffered`, {rows} rows): {:.1} us while a checkpoint is \
         written, {:.1} us while none is: {ratio:.2} times (median of {} rounds; {:.2} to {:.2}).",
        busy.as_secs_f64() * 1e6,
        quiet.as_secs_f64() * 1e6,
        ratios.len(),
        ratios[0].0,
        ratios[ratios.len() - 1].0,
    );
    Ok(db.close()?)
}

/// The p99.9 of what commits take, one after the other, until it is over or time is up.
fn slowest(db: &Database, over: &AtomicBool, time: Duration) -> Result<Duration> {
    let conn = db.connect()?;
    let began = Instant::now();
    let mut took = Vec::new();
    while !over.load(Relaxed) && began.elapsed() < time {
        for row in 0..OWN_ROWS {
            let began = Instant::now();
            conn.execute(UPDATE, [row])?;
            took.push(began.elapsed());
        }
    }
    took.sort_unstable();
    Ok(took[took.len() * 999 / 1000])
}

fn log_bytes(place: &Path) -> Result<()> {
    const COMMITS: i64 = 1000;
    let db = Database::open_with(
        place.join("bytes"),
        Options::new().durability(Durability::Buffered),
    )?;
    fill(&db, OWN_ROWS)?;
    let conn = db.connect()?;
    let end = || -> Result<i64> {
        let end = "SELECT committed_lsn FROM remora_durability";
        Ok(conn.query_row(end, [], |row| row.get(0))?)
    };
    let before = end()?;
    for n in 0..COMMITS {
        conn.execute(UPDATE, [n % OWN_ROWS])?;
    }
    let bytes = (end()? - before) as f64 / COMMITS as f64;
    println!("Bytes of log a transaction that changes one BIGINT of one row: {bytes:.1}.");
    Ok(db.close()?)
}

/// Changes rows one by one, takes the directory as a crash would leave it, and opens it.
fn opening(place: &Path, rows: i64, changes: i64) -> Result<()> {
    let directory = place.join("opening");
    let options = Options::new().durability(Durability::Buffered);
    let db = Database::open_with(&directory, options)?;
    fill(&db, rows)?;
    db.checkpoint()?;
    let mut conn = db.connect()?;
    let mut done = 0;
    while done < changes {
        let tx = conn.transaction()?;
        for _ in 0..100.min(changes - done) {
            tx.execute(UPDATE, [done % rows])?;
            done += 1;
        }
        tx.commit()?;
    }
    let lsn = conn.last_commit_lsn()?.unwrap_or_default();
    db.wait_durable(lsn)?;
    let crashed = place.join("crashed");
    copy(&directory, &crashed)?;
    db.close()?;
    let began = Instant::now();
    let db = Database::open(&crashed)?;
    let took = began.elapsed();
    let report = db.recovery_report();
    let [load, replay, index] = report.elapsed;
    println!(
        "Opening after a crash: {took:.1?}, of which {} rows of the checkpoint {load:.1?}, {changes} changes of \
         rows in {} frames {replay:.1?} ({:.0} a second), indexes {index:.1?}.",
        report.rows_loaded,
        report.frames_replayed,
        changes as f64 / replay.as_secs_f64(),
    );
    Ok(db.close()?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => drop(std::fs::copy(entry.path(), to)?),
        }
    }
    Ok(())
}

fn fill(db: &Database, rows: i64) -> Result<()> {
    let mut conn = db.connect()?;
    conn.execute(TABLE, [])?;
    let tx = conn.transaction()?;
    for row in 0..rows {
        tx.execute(INSERT, remora::params![row, format!("the owner of {row}")])?;
    }
    Ok(tx.commit()?)
}

fn fill_sqlite(file: &Path, rows: i64) -> Result<()> {
    let mut conn = sqlite(file)?;
    conn.execute(TABLE, [])?;
    let tx = conn.transaction()?;
    for row in 0..rows {
        tx.execute(
            INSERT,
            rusqlite::params![row, format!("the owner of {row}")],
        )?;
    }
    Ok(tx.commit()?)
}

fn sqlite(file: &Path) -> Result<rusqlite::Connection> {
    let conn = rusqlite::Connection::open(file)?;
    conn.busy_timeout(Duration::from_secs(600))?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    Ok(conn)
}
