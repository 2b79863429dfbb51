//! What a row costs in memory, hot and frozen, and what compaction gives back of a table that has
//! lost nine rows in ten, while it is read and written.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::table::{AGE, SCORE, load, settle, store, users};
use remora_storage::pool::Owner;
use remora_storage::{RowId, Store, StoreOptions, ValueRef};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// What SQLite's pages take for a row of this table.
const SQLITE_ROW_BYTES: f64 = 57.0;
/// Of so many rows one is kept.
const KEPT: i64 = 10;
/// What has to be given back beside the reader and the writer, in percent of all memory.
const WANTED: f64 = 80.0;
/// How long the reader and the writer are kept running for the memory to come back.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long what is left in sparse extents is given to move.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Rows deleted in one transaction.
const DELETE_ROWS: i64 = 10_000;

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000) as i64;
    memory(rows)?;
    println!();
    give_back(rows)
}

/// A store that collects in the background but compacts only when it is told to, and what it takes
/// without rows.
fn quiet_store() -> Result<(Store, u64)> {
    let store = store(StoreOptions {
        freeze_after: Some(Duration::from_secs(1 << 20)),
        ..StoreOptions::default()
    })?;
    let empty = store.ledger().used();
    Ok((store, empty))
}

/// Bytes a row of table and primary key.
fn memory(rows: i64) -> Result<()> {
    let (store, empty) = quiet_store()?;
    load(&store, 0, rows)?;
    settle(&store);
    let line = |name: &str| {
        let bytes = (store.ledger().used() - empty) as f64 / rows as f64;
        println!(
            "| {name} | {bytes:.1} bytes a row | {:.2} of SQLite's {SQLITE_ROW_BYTES} |",
            bytes / SQLITE_ROW_BYTES
        );
        for entry in store.ledger().entries() {
            if entry.bytes > rows as u64 {
                let bytes = entry.bytes as f64 / rows as f64;
                println!("|   {} | {bytes:.1} |", entry.owner.name());
            }
        }
    };
    println!("{rows} rows of users with their primary key, by the ledger");
    line("hot");
    let start = Instant::now();
    let compacted = store.compact(None)?;
    let seconds = start.elapsed().as_secs_f64();
    settle(&store);
    line("frozen");
    std::thread::sleep(SETTLED_AFTER);
    line("frozen, when sparse extents were emptied");
    println!(
        "| freezing | {:.2} million rows a second |",
        compacted.rows as f64 / 1e6 / seconds
    );
    Ok(())
}

/// Deletes nine rows in ten and compacts beside a reader and a writer.
fn give_back(rows: i64) -> Result<()> {
    let (store, _) = quiet_store()?;
    load(&store, 0, rows)?;
    let mut at = 0;
    while at < rows {
        let end = rows.min(at + DELETE_ROWS);
        let mut transaction = store.begin()?;
        transaction.begin_command();
        let table = users(&transaction)?;
        for key in (at..end).filter(|key| key % KEPT != 0) {
            let row = row_of(&store, key)?.ok_or("a row is missing")?;
            transaction.delete(&table, row)?;
        }
        transaction.commit()?;
        at = end;
    }
    settle(&store);
    let (before, rows_before) = (store.ledger().used(), row_bytes(&store));
    let ids = live_rows(&store, rows)?;
    let done = AtomicBool::new(false);
    let (times, compacted, seconds, after, reads, writes) =
        std::thread::scope(|scope| -> Result<_> {
            let reader = scope.spawn(|| read_on(&store, rows, &done).map_err(|e| e.to_string()));
            let writer = scope.spawn(|| write_on(&store, rows, &done).map_err(|e| e.to_string()));
            let start = Instant::now();
            let mut compacted = store.compact(None)?;
            let mut times = 1;
            let mut seconds = start.elapsed().as_secs_f64();
            // Blocks in which the writer was at work when their turn came, and what it replaced since.
            while given_back(before, store.ledger().used()) < WANTED
                && seconds < PATIENCE.as_secs_f64()
            {
                std::thread::sleep(Duration::from_millis(50));
                let more = store.compact(None)?;
                times += 1;
                compacted.rows += more.rows;
                compacted.bytes += more.bytes;
                seconds = start.elapsed().as_secs_f64();
            }
            let after = store.ledger().used();
            done.store(true, Relaxed);
            let reads = reader.join().map_err(|_| "the reader failed")??;
            let writes = writer.join().map_err(|_| "the writer failed")??;
            Ok((times, compacted, seconds, after, reads, writes))
        })?;
    // What the writer changed after its block was done.
    settle(&store);
    store.compact(None)?;
    settle(&store);
    // What is left in sparse extents moves now and then, and not at once.
    std::thread::sleep(SETTLED_AFTER);
    let (settled, rows_settled) = (store.ledger().used(), row_bytes(&store));
    if live_rows(&store, rows)? != ids {
        return Err("row ids have changed".into());
    }
    println!("{rows} rows, of which one in {KEPT} is kept; a reader and a writer beside");
    println!(
        "| all that the ledger has taken before | {:.1} MiB |\n| after | {:.1} MiB |",
        before as f64 / 1048576.0,
        after as f64 / 1048576.0
    );
    println!(
        "| given back | {:.1} % while they run, {:.1} % when the writer has gone; of blocks and versions {:.1} % |",
        given_back(before, after),
        given_back(before, settled),
        given_back(rows_before, rows_settled)
    );
    println!(
        "| compaction | {times} times, {} rows moved, {:.1} MiB freed in {seconds:.2} s |",
        compacted.rows,
        compacted.bytes as f64 / 1048576.0
    );
    println!("| meanwhile | {reads} reads, all right; {writes} updates |");
    match given_back(before, after) >= WANTED {
        true => Ok(()),
        false => Err(format!("less than {WANTED} % were given back").into()),
    }
}

/// In percent.
fn given_back(before: u64, after: u64) -> f64 {
    100.0 * (1.0 - after as f64 / before as f64)
}

/// What blocks and versions take, without what is free in the extents beside them.
fn row_bytes(store: &Store) -> u64 {
    let lines = store.ledger().entries().into_iter();
    let lines = lines.filter(|line| matches!(line.owner, Owner::Table | Owner::Version));
    lines.map(|line| line.bytes).sum()
}

fn row_of(store: &Store, key: i64) -> Result<Option<RowId>> {
    let transaction = store.begin()?;
    let table = users(&transaction)?;
    let key = [ValueRef::BigInt(key)];
    let view = transaction.view();
    Ok(view.find(&table, &table.indexes[0], &key, |id, _| id))
}

/// The row of every key that is left, by the index; and none for the others.
fn live_rows(store: &Store, rows: i64) -> Result<Vec<RowId>> {
    let mut ids = Vec::new();
    for key in 0..rows {
        match row_of(store, key)? {
            Some(row) if key % KEPT == 0 => ids.push(row),
            None if key % KEPT != 0 => {}
            _ => return Err(format!("the index is wrong about {key}").into()),
        }
    }
    Ok(ids)
}

/// Looks at rows that are there and rows that are not; fails when one is not what it must be.
fn read_on(store: &Store, rows: i64, done: &AtomicBool) -> Result<u64> {
    let mut random = Random::new(1);
    let mut reads = 0;
    while !done.load(Relaxed) {
        let transaction = store.begin()?;
        let table = users(&transaction)?;
        let view = transaction.view();
        for _ in 0..100 {
            let key = random.below(rows as u64) as i64;
            let age = view.find(
                &table,
                &table.indexes[0],
                &[ValueRef::BigInt(key)],
                |_, row| row.get(AGE) == ValueRef::Integer(18 + (key % 60) as i32),
            );
            let expected = (key % KEPT == 0).then_some(true);
            if age != expected {
                return Err(format!("row {key} is not what it was").into());
            }
            reads += 1;
        }
    }
    Ok(reads)
}

/// Changes the score of rows that are there.
fn write_on(store: &Store, rows: i64, done: &AtomicBool) -> Result<u64> {
    let mut random = Random::new(2);
    let mut writes = 0;
    while !done.load(Relaxed) {
        let mut transaction = store.begin()?;
        transaction.begin_command();
        let table = users(&transaction)?;
        for _ in 0..10 {
            let key = random.below((rows / KEPT) as u64) as i64 * KEPT;
            let row = row_of(store, key)?.ok_or("a row is missing")?;
            let score = ValueRef::Double(writes as f64);
            if transaction.update(&table, row, &[(SCORE, score)])? {
                writes += 1;
            }
        }
        transaction.commit()?;
    }
    Ok(writes)
}
