//! Rows by primary key: what an insert, a point read and an update cost on one core.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::table::{SCORE, load, store, users};
use remora_storage::{Store, StoreOptions, ValueRef};

use std::time::Instant;

/// Operations in one transaction.
const BATCH: u64 = 1000;

/// A figure of this benchmark: its name and its rounds, in millions of rows a second.
type Line = (&'static str, Spread);

/// What is timed: so many rows of a store, in a round.
type Work = fn(&Store, u64, u64) -> Result<()>;

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000);
    let rounds = options.number("rounds", 5);
    let works: [Work; 3] = [insert, read, update];
    let mut lines: [Line; 3] =
        ["insert", "point read", "update"].map(|name| (name, Spread::default()));
    for round in 0..rounds {
        let store = store(StoreOptions::default())?;
        for ((_, spread), work) in lines.iter_mut().zip(works) {
            let start = Instant::now();
            work(&store, rows, round)?;
            spread.add(rows as f64 / 1e6 / start.elapsed().as_secs_f64());
        }
    }
    println!("{rows} rows, {rounds} rounds, {BATCH} rows a transaction, million rows a second");
    for (name, spread) in &lines {
        println!("| {name} | {spread} |");
    }
    Ok(())
}

fn insert(store: &Store, rows: u64, _round: u64) -> Result<()> {
    load(store, 0, rows as i64)
}

fn read(store: &Store, rows: u64, round: u64) -> Result<()> {
    let mut random = Random::new(round);
    let mut sum = 0.0;
    for _ in 0..rows / BATCH {
        let mut transaction = store.begin()?;
        transaction.begin_command();
        let table = users(&transaction)?;
        let view = transaction.view();
        for _ in 0..BATCH {
            let key = [ValueRef::BigInt(random.below(rows) as i64)];
            let found = view.find(&table, &table.indexes[0], &key, |_, row| {
                double(row.get(SCORE))
            });
            sum += found.ok_or("a row is missing")?;
        }
    }
    std::hint::black_box(sum);
    Ok(())
}

fn update(store: &Store, rows: u64, round: u64) -> Result<()> {
    let mut random = Random::new(round);
    for _ in 0..rows / BATCH {
        let mut transaction = store.begin()?;
        transaction.begin_command();
        let table = users(&transaction)?;
        for _ in 0..BATCH {
            let key = [ValueRef::BigInt(random.below(rows) as i64)];
            let found = transaction
                .view()
                .find(&table, &table.indexes[0], &key, |id, _| id);
            let row = found.ok_or("a row is missing")?;
            transaction.update(&table, row, &[(SCORE, ValueRef::Double(1.5))])?;
        }
        transaction.commit()?;
    }
    Ok(())
}

fn double(value: ValueRef<'_>) -> f64 {
    match value {
        ValueRef::Double(value) => value,
        _ => f64::NAN,
    }
}
