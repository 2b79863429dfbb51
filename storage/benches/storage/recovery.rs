//! Opening a database: how fast its log is replayed, and how long all of it takes.
//!
//! A round makes a directory and opens it again after each kind of change, all rows having been written
//! to a checkpoint before. `--one 1` makes each change a transaction. `--open 1` replays nothing. What
//! the system takes to hand out memory bounds the opening of a large database, so it is measured beside it.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::table::{EMAIL, SCORE, insert_all, make_users, users};
use crate::users::{User, user};
use remora_storage::catalog::TableEntry;
use remora_storage::store::RecoveryReport;
use remora_storage::transaction::Columns;
use remora_storage::{Durability, RowId, Store, StoreOptions, Transaction, ValueRef};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Changes in one transaction, unless it has one only.
const BATCH: usize = 1000;

/// A name, and what is done to row number so and so.
type Work = (
    &'static str,
    fn(&mut Transaction, &Arc<TableEntry>, RowId) -> Result<()>,
);

const WORKS: &[Work] = &[
    ("update of a number", |transaction, table, row| {
        let changes = [(SCORE, ValueRef::Double(row.0 as f64))];
        transaction.update(table, row, &changes)?;
        Ok(())
    }),
    ("update of a long string", |transaction, table, row| {
        let text = format!("another{}@example.com", row.0);
        transaction.update(table, row, &[(EMAIL, ValueRef::Text(&text))])?;
        Ok(())
    }),
    ("delete", |transaction, table, row| {
        transaction.delete(table, row)?;
        Ok(())
    }),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000) as usize;
    let rounds = options.number("rounds", 3);
    let only_open = options.number("open", 0) > 0;
    let batch = match options.number("one", 0) {
        0 => BATCH,
        _ => 1,
    };
    let mut speeds = vec![Spread::default(); WORKS.len() + 1];
    let mut phases = vec![Spread::default(); 4];
    let mut fresh = Spread::default();
    for round in 0..rounds {
        let directory = tempfile::tempdir()?;
        let path = directory.path();
        let (store, _) = open(path)?;
        make_users(&store, true)?;
        insert(&store, rows, batch)?;
        store.close()?;
        if !only_open {
            let report = reopened(path)?;
            speeds[0].add(speed(rows, &report));
            for (at, work) in WORKS.iter().enumerate() {
                change(path, rows, batch, work, round)?;
                speeds[at + 1].add(speed(rows, &reopened(path)?));
            }
            continue;
        }
        let (store, _) = open(path)?;
        store.checkpoint()?;
        store.close()?;
        drop(store);
        fresh.add(fresh_memory());
        let (_, report) = open(path)?;
        let total: Duration = report.elapsed.iter().sum();
        for (phase, took) in phases.iter_mut().zip(report.elapsed.iter().chain([&total])) {
            phase.add(took.as_secs_f64() * 1e3);
        }
    }
    println!("{rows} rows, {rounds} rounds");
    if only_open {
        for (name, phase) in ["images", "log", "indexes", "all"].iter().zip(&phases) {
            println!("| {name}, ms | {phase} |");
        }
        println!("| memory written to for the first time, GB/s | {fresh} |");
        return Ok(());
    }
    println!("replayed, million changes a second, {batch} a transaction");
    let names = ["insert"]
        .into_iter()
        .chain(WORKS.iter().map(|work| work.0));
    for (name, speed) in names.zip(&speeds) {
        println!("| {name} | {speed} |");
    }
    Ok(())
}

fn open(path: &Path) -> Result<(Store, RecoveryReport)> {
    let options = StoreOptions {
        durability: Durability::Buffered,
        checkpoint_log_bytes: Some(u64::MAX),
        freeze_after: Some(Duration::MAX),
        ..StoreOptions::default()
    };
    Ok(Store::open(path, options)?)
}

/// How fast memory can be written to that the process did not have.
fn fresh_memory() -> f64 {
    const BYTES: usize = 1 << 30;
    let begun = Instant::now();
    std::hint::black_box(vec![1_u8; BYTES]);
    BYTES as f64 / 1e9 / begun.elapsed().as_secs_f64()
}

/// Opens and closes.
fn reopened(path: &Path) -> Result<RecoveryReport> {
    let (store, report) = open(path)?;
    store.close()?;
    Ok(report)
}

fn speed(changes: usize, report: &RecoveryReport) -> f64 {
    changes as f64 / 1e6 / report.elapsed[1].as_secs_f64()
}

fn insert(store: &Store, rows: usize, batch: usize) -> Result<()> {
    for from in (0..rows).step_by(batch) {
        let numbers = from..rows.min(from + batch);
        let users: Vec<User> = numbers.map(|number| user(number as i64)).collect();
        insert_all(store, &users)?;
    }
    Ok(())
}

/// Does the work once to each row, in random order, after a checkpoint.
fn change(path: &Path, rows: usize, batch: usize, work: &Work, seed: u64) -> Result<()> {
    let (store, _) = open(path)?;
    store.checkpoint()?;
    let mut numbers: Vec<i64> = (0..rows as i64).collect();
    let mut random = Random::new(seed + 1);
    for at in (1..rows).rev() {
        numbers.swap(at, random.below(at as u64 + 1) as usize);
    }
    for batch in numbers.chunks(batch) {
        let mut transaction = store.begin()?;
        transaction.begin_command();
        let table = users(&transaction)?;
        for number in batch {
            let key = [ValueRef::BigInt(*number)];
            let index = &table.indexes[0];
            let row = transaction.find(&table, index, &key, Columns::ALL, |row, _| row);
            (work.1)(&mut transaction, &table, row.ok_or("a row is gone")?)?;
        }
        transaction.commit()?;
    }
    store.close()?;
    Ok(())
}
