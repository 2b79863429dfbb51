//! Checkpoints: the bytes of a full one, of one after a hundredth of the rows was changed, and how fast
//! images load.
//!
//! Each round makes a directory twice: with rows as they were inserted, and with blocks that were encoded
//! first. `taskset -c 0` shows what one core loads.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::table::{SCORE, load, make_users, users};
use remora_storage::transaction::Columns;
use remora_storage::{Durability, Store, StoreOptions, ValueRef};
use std::path::Path;
use std::time::{Duration, Instant};

/// Changes in one transaction.
const BATCH: usize = 1000;
/// One row in so many is changed.
const CHANGED: i64 = 100;
const MEGABYTE: f64 = 1e6;

/// What is measured of a directory.
#[derive(Default)]
struct Figures {
    bytes_a_row: Spread,
    full_speed: Spread,
    idle: Spread,
    range: Spread,
    random: Spread,
    loaded: Spread,
    rows_loaded: Spread,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000) as i64;
    let rounds = options.number("rounds", 3);
    println!("{rows} rows, two indexes, {rounds} rounds");
    for is_frozen in [false, true] {
        let mut figures = Figures::default();
        for round in 0..rounds {
            measure(&mut figures, rows, is_frozen, round)?;
        }
        let kind = if is_frozen { "encoded" } else { "as inserted" };
        let Figures {
            bytes_a_row,
            full_speed,
            idle,
            range,
            random,
            loaded,
            rows_loaded,
        } = figures;
        println!("| {kind}: full, bytes a row | {bytes_a_row} |");
        println!("| {kind}: full, MB/s | {full_speed} |");
        println!("| {kind}: nothing changed, ms | {idle} |");
        println!("| {kind}: 1 % in one range, % of the bytes of a full one | {range} |");
        println!("| {kind}: 1 % at random, % of the bytes of a full one | {random} |");
        println!("| {kind}: images loaded, MB/s | {loaded} |");
        println!("| {kind}: images loaded, million rows/s | {rows_loaded} |");
    }
    Ok(())
}

fn measure(figures: &mut Figures, rows: i64, is_frozen: bool, seed: u64) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    let store = open(path)?;
    make_users(&store, true)?;
    load(&store, 0, rows)?;
    if is_frozen {
        store.compact(None)?;
    }
    let start = Instant::now();
    let full = store.checkpoint()?.bytes as f64;
    let took = start.elapsed().as_secs_f64();
    figures.bytes_a_row.add(full / rows as f64);
    figures.full_speed.add(full / MEGABYTE / took);
    let start = Instant::now();
    store.checkpoint()?;
    figures.idle.add(start.elapsed().as_secs_f64() * 1e3);

    let mut random = Random::new(seed + 1);
    let count = rows / CHANGED;
    let first = random.below((rows - count) as u64) as i64;
    change(&store, &(first..first + count).collect::<Vec<_>>(), seed)?;
    let share = |bytes: u64| bytes as f64 / full * 100.0;
    figures.range.add(share(store.checkpoint()?.bytes));
    let anywhere = (0..count).map(|_| random.below(rows as u64) as i64);
    change(&store, &anywhere.collect::<Vec<_>>(), seed + 7)?;
    figures.random.add(share(store.checkpoint()?.bytes));
    store.close()?;
    drop(store);

    let (store, report) = Store::open(path, options())?;
    let took = report.elapsed[0].as_secs_f64();
    figures
        .loaded
        .add(report.image_bytes as f64 / MEGABYTE / took);
    figures
        .rows_loaded
        .add(report.rows_loaded as f64 / 1e6 / took);
    store.close()?;
    Ok(())
}

fn options() -> StoreOptions {
    StoreOptions {
        durability: Durability::Buffered,
        checkpoint_log_bytes: Some(u64::MAX),
        freeze_after: Some(Duration::MAX),
        ..StoreOptions::default()
    }
}

fn open(path: &Path) -> Result<Store> {
    Ok(Store::open(path, options())?.0)
}

/// Changes a number in rows with these keys.
fn change(store: &Store, keys: &[i64], seed: u64) -> Result<()> {
    for batch in keys.chunks(BATCH) {
        let mut transaction = store.begin()?;
        let table = users(&transaction)?;
        for key in batch {
            // A row may come twice: later commands see what earlier ones did.
            transaction.begin_command();
            let index = &table.indexes[0];
            let value = [ValueRef::BigInt(*key)];
            let row = transaction.find(&table, index, &value, Columns::ALL, |row, _| row);
            let score = (key * 7 + seed as i64) % 100;
            let changes = [(SCORE, ValueRef::Double(score as f64))];
            transaction.update(&table, row.ok_or("a row is gone")?, &changes)?;
        }
        transaction.commit()?;
    }
    Ok(())
}
