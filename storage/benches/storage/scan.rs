//! Scans: a sum of one column over the rows that another column lets pass, as a query makes it, of
//! hot blocks and of the same blocks frozen.
//!
//! Three ways to put the bound: storage tests it and rows are folded where they are (`folded`), it tests
//! it and makes columns (`bounds`), or all rows become columns and the caller tests them (`columns`). Beside
//! them stands a bare loop over as many bytes of memory (`memory`): what reading each row's cache lines costs
//! on this machine, whoever does it.

use crate::Result;
use crate::options::Options;
use crate::spread::Spread;
use crate::table::{AGE, SCORE, load, store, users};
use remora_storage::transaction::Columns;
use remora_storage::value::ColumnBounds;
use remora_storage::{ColumnId, Store, StoreOptions, Value};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type};
use std::hint::black_box;
use std::ops::Bound;
use std::time::{Duration, Instant};

/// `age < 40` holds for 22 of 60 rows.
const AGE_BELOW: i32 = 40;
/// Bytes of a row of the users table in a hot block.
const ROW_BYTES: usize = 80;

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000);
    let rounds = options.number("rounds", 11);
    let batch_rows = options.number("batch", 4096) as usize;
    // Only the first ones, for a profile.
    let ways = (options.number("ways", WORKS.len() as u64) as usize).clamp(1, WORKS.len());
    let store = store(StoreOptions::default())?;
    load(&store, 0, rows as i64)?;
    // Until the collector has settled what was inserted.
    std::thread::sleep(Duration::from_secs(1));
    let memory = vec![1_u8; rows as usize * ROW_BYTES];

    println!("{rows} rows, {rounds} rounds, batches of {batch_rows}, million rows a second");
    let expected = measure("hot", &store, &memory, rounds, batch_rows, ways)?;
    store.compact(None)?;
    let frozen = measure("frozen", &store, &memory, rounds, batch_rows, ways)?;
    if (frozen - expected).abs() > 1e-9 * expected {
        return Err(format!("frozen, the sum is {frozen}, not {expected}").into());
    }
    Ok(())
}

/// A way to scan; answers with something that depends on what it read.
type Work = fn(&Store, &[u8], usize) -> Result<f64>;

const WORKS: [(&str, Work); 5] = [
    ("folded", |store, _, _| folded(store)),
    ("bounds", |store, _, batch_rows| bounds(store, batch_rows)),
    ("columns", |store, _, batch_rows| columns(store, batch_rows)),
    ("two columns, all rows", |store, _, batch_rows| {
        both(store, batch_rows)
    }),
    ("memory", |_, memory, _| Ok(lines_of(memory) as f64)),
];

fn measure(
    name: &str,
    store: &Store,
    memory: &[u8],
    rounds: u64,
    batch_rows: usize,
    ways: usize,
) -> Result<f64> {
    let rows = memory.len() / ROW_BYTES;
    let mut spreads = WORKS.map(|_| Spread::default());
    let mut sums = [0.0; WORKS.len()];
    for _ in 0..rounds {
        let works = WORKS.iter().zip(spreads.iter_mut().zip(&mut sums));
        for ((_, work), (spread, sum)) in works.take(ways) {
            let start = Instant::now();
            *sum = black_box(work(store, memory, batch_rows)?);
            spread.add(rows as f64 / 1e6 / start.elapsed().as_secs_f64());
        }
    }
    for ((work, _), spread) in WORKS.iter().zip(&spreads).take(ways) {
        println!("| {name}: {work} | {spread} |");
    }
    for sum in &sums[1..ways.min(3)] {
        if (sum - sums[0]).abs() > 1e-9 * sums[0] {
            return Err(format!("{name}: the sum is {sum}, not {}", sums[0]).into());
        }
    }
    Ok(sums[0])
}

fn below() -> ColumnBounds {
    ColumnBounds {
        column: AGE,
        low: Bound::Unbounded,
        high: Bound::Excluded(Value::Integer(AGE_BELOW)),
    }
}

fn folded(store: &Store) -> Result<f64> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let table = users(&transaction)?;
    let mut sum = 0.0;
    let mut scan = transaction
        .view()
        .vectors(&table, Columns::of([SCORE]), &[below()]);
    while scan.next(|vector| {
        let scores = vector.column(SCORE).sum_f64();
        sum += scores.map_or(0.0, |scores| scores.sum);
    }) {}
    Ok(sum)
}

fn bounds(store: &Store, batch_rows: usize) -> Result<f64> {
    let mut sum = 0.0;
    each(store, &[SCORE], &[below()], batch_rows, |columns| {
        let scores = columns[0].as_primitive::<Float64Type>();
        scores.values().iter().for_each(|score| sum += score);
    })?;
    Ok(sum)
}

fn columns(store: &Store, batch_rows: usize) -> Result<f64> {
    let mut sum = 0.0;
    each(store, &[AGE, SCORE], &[], batch_rows, |columns| {
        let ages = columns[0].as_primitive::<Int32Type>();
        let scores = columns[1].as_primitive::<Float64Type>();
        for (age, score) in ages.values().iter().zip(scores.values()) {
            if *age < AGE_BELOW {
                sum += score;
            }
        }
    })?;
    Ok(sum)
}

fn both(store: &Store, batch_rows: usize) -> Result<f64> {
    let mut rows = 0;
    each(store, &[AGE, SCORE], &[], batch_rows, |columns| {
        rows += columns[0].len();
    })?;
    Ok(rows as f64)
}

fn each(
    store: &Store,
    columns: &[ColumnId],
    bounds: &[ColumnBounds],
    batch_rows: usize,
    mut take: impl FnMut(&[arrow_array::ArrayRef]),
) -> Result<()> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let table = users(&transaction)?;
    let mut scan = transaction.view().scan(&table, columns, bounds, batch_rows);
    while let Some(batch) = scan.next()? {
        take(&batch.columns);
    }
    Ok(())
}

/// Reads a byte of each cache line.
fn lines_of(memory: &[u8]) -> u64 {
    memory.iter().step_by(64).map(|byte| u64::from(*byte)).sum()
}
