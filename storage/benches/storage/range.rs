//! Ranges by index: 100 rows from a random key on, counted, folded and as columns, each range in a
//! transaction of its own, over hot rows or, with `--frozen 1`, over frozen ones.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::table::{SCORE, load, settle, store, users};
use remora_storage::catalog::TableEntry;
use remora_storage::transaction::IndexScan;
use remora_storage::{ColumnId, Store, StoreOptions, Transaction, ValueRef};

use std::hint::black_box;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

/// Rows of a range.
const ROWS: i64 = 100;
/// Ranges in a round.
const RANGES: usize = 10_000;

/// What is done with a range; answers with the number of its rows.
type Work = fn(&Transaction, &Arc<TableEntry>, i64) -> Result<usize>;

const WORKS: [(&str, Work); 3] = [
    ("counted", counted),
    ("sum of a column, folded", folded),
    ("a column", columns),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000);
    let rounds = options.number("rounds", 7);
    let store = store(StoreOptions::default())?;
    load(&store, 0, rows as i64)?;
    settle(&store);
    if options.number("frozen", 0) > 0 {
        store.compact(None)?;
    }
    let mut random = Random::new(7);
    let mut spreads = WORKS.map(|_| Spread::default());
    for _ in 0..rounds {
        let low = || random.below(rows - ROWS as u64) as i64;
        let keys: Vec<i64> = std::iter::repeat_with(low).take(RANGES).collect();
        for ((_, work), spread) in WORKS.iter().zip(&mut spreads) {
            spread.add(round(&store, *work, &keys)?);
        }
    }
    println!("{rows} rows, {rounds} rounds, microseconds for a range of {ROWS} rows");
    for ((name, _), spread) in WORKS.iter().zip(&spreads) {
        println!("| {name} | {spread} |");
    }
    Ok(())
}

fn round(store: &Store, work: Work, keys: &[i64]) -> Result<f64> {
    let start = Instant::now();
    for key in keys {
        let mut transaction = store.begin()?;
        transaction.begin_command();
        let table = users(&transaction)?;
        let rows = black_box(work(&transaction, &table, *key)?);
        if rows != ROWS as usize {
            return Err(format!("{rows} rows from {key} on").into());
        }
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / keys.len() as f64)
}

fn range(
    transaction: &Transaction,
    table: &Arc<TableEntry>,
    columns: &[ColumnId],
    key: i64,
) -> Result<IndexScan> {
    let (low, high) = ([ValueRef::BigInt(key)], [ValueRef::BigInt(key + ROWS)]);
    let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
    let index = &table.indexes[0];
    let range = transaction
        .view()
        .range(table, index, columns, low, high, false)?;
    Ok(range)
}

fn counted(transaction: &Transaction, table: &Arc<TableEntry>, key: i64) -> Result<usize> {
    let mut rows = 0;
    let mut range = range(transaction, table, &[], key)?;
    while range.visit(|vector| rows += vector.rows()) {}
    Ok(rows)
}

fn folded(transaction: &Transaction, table: &Arc<TableEntry>, key: i64) -> Result<usize> {
    let (mut rows, mut sum) = (0, 0.0);
    let mut range = range(transaction, table, &[SCORE], key)?;
    while range.visit(|vector| {
        rows += vector.rows();
        sum += vector.column(SCORE).sum_f64().map_or(0.0, |sum| sum.sum);
    }) {}
    black_box(sum);
    Ok(rows)
}

fn columns(transaction: &Transaction, table: &Arc<TableEntry>, key: i64) -> Result<usize> {
    let mut rows = 0;
    let mut range = range(transaction, table, &[SCORE], key)?;
    while let Some(batch) = range.next(4096)? {
        rows += black_box(batch).rows;
    }
    Ok(rows)
}
