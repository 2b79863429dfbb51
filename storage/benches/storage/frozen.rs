//! Frozen columns beside the same columns as plain Arrow arrays: bytes, scans, decoding, points.
//!
//! With `--shuffled 1` the rows come in random order, so that nothing grows evenly.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::table::{AGE, COLUMNS, EMAIL, SCORE, values};
use crate::users::user;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{Array, ArrayRef};
use remora_storage::block::Frozen;
use remora_storage::block::frozen::sum_f64;
use remora_storage::pool::{Ledger, Pool};
use remora_storage::succinct::BitVector;
use remora_storage::value::{ColumnBounds, ColumnBuilder};
use remora_storage::{ColumnId, Value, ValueRef};
use std::hint::black_box;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

/// Rows of a block of this table when it is hot: a mebibyte of them.
const BLOCK_ROWS: usize = 13_107;
/// Bytes a row as SQLite's pages have it.
const SQLITE_BYTES: f64 = 57.0;

/// The table twice: frozen, and as arrays.
struct Tables {
    rows: usize,
    frozen: Vec<Frozen>,
    arrays: Vec<Vec<ArrayRef>>,
}

/// What is timed; answers with something that both tables must agree on.
type Work = fn(&Tables) -> f64;

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000).max(1) as i64;
    let rounds = options.number("rounds", 15);
    let pool = Pool::new(Ledger::new(4 << 30));
    let start = Instant::now();
    let order = order(rows, options.number("shuffled", 0) > 0);
    let tables = build(&pool, &order)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{rows} rows in blocks of {BLOCK_ROWS}, {rounds} rounds, one core");
    println!("built in {seconds:.2} s");
    print_bytes(&pool, &tables)?;
    println!("million rows a second: frozen, plain arrays, ratio of the medians");
    let lines: [(&str, Work, Work, f64); 5] = [
        ("sum(score) where age < 40", frozen_sum, plain_sum, 1.0),
        ("count where score = 50", frozen_equal, plain_equal, 1.0),
        (
            "rows with an e-mail that none has",
            frozen_email,
            plain_email,
            1.0,
        ),
        ("decode all columns", frozen_decode, plain_copy, 1.0),
        ("random score", frozen_points, plain_points, 0.1),
    ];
    for (name, frozen, plain, share) in lines {
        let (mut one, mut two) = (Spread::default(), Spread::default());
        for _ in 0..rounds {
            let (a, b) = (
                timed(frozen, &tables, share, &mut one),
                timed(plain, &tables, share, &mut two),
            );
            let near = (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
            near.then_some(())
                .ok_or(format!("{name}: {a} is not {b}"))?;
        }
        let ratio = one.median() / two.median();
        println!("| {name} | {one} | {two} | {ratio:.2} |");
    }
    Ok(())
}

fn timed(work: Work, tables: &Tables, share: f64, spread: &mut Spread) -> f64 {
    let start = Instant::now();
    let answer = black_box(work(black_box(tables)));
    spread.add(tables.rows as f64 * share / 1e6 / start.elapsed().as_secs_f64());
    answer
}

/// The numbers of the rows, one after the other or in random order.
fn order(rows: i64, shuffled: bool) -> Vec<i64> {
    let mut order: Vec<i64> = (0..rows).collect();
    let mut random = Random::new(1);
    for last in (1..order.len()).rev().filter(|_| shuffled) {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}

fn build(pool: &Arc<Pool>, order: &[i64]) -> Result<Tables> {
    let mut tables = Tables {
        rows: order.len(),
        frozen: Vec::new(),
        arrays: Vec::new(),
    };
    for numbers in order.chunks(BLOCK_ROWS) {
        let arrays = arrays(numbers);
        let live = BitVector::ones_only(numbers.len());
        let column = |at: usize| (ColumnId(at as u32), COLUMNS[at].1, Arc::clone(&arrays[at]));
        let columns: Vec<_> = (0..COLUMNS.len()).map(column).collect();
        tables.frozen.push(Frozen::build(pool, &live, &columns)?);
        tables.arrays.push(arrays);
    }
    Ok(tables)
}

fn arrays(numbers: &[i64]) -> Vec<ArrayRef> {
    let mut builders = COLUMNS.map(|(_, data_type)| ColumnBuilder::new(data_type, 1 << 14));
    for number in numbers {
        let user = user(*number);
        for (builder, value) in builders.iter_mut().zip(values(&user)) {
            builder.push(value);
        }
    }
    builders.iter_mut().map(ColumnBuilder::finish).collect()
}

fn print_bytes(pool: &Arc<Pool>, tables: &Tables) -> Result<()> {
    let rows = tables.rows as f64;
    let bytes: u64 = tables.frozen.iter().map(Frozen::bytes).sum();
    let arrays = tables.arrays.iter().flatten();
    let plain: usize = arrays.map(|array| array.get_array_memory_size()).sum();
    println!(
        "{:.2} bytes a row, as arrays {:.2}, in SQLite {SQLITE_BYTES}",
        bytes as f64 / rows,
        plain as f64 / rows
    );
    for (at, (name, data_type)) in COLUMNS.iter().enumerate() {
        let mut bytes = 0;
        for arrays in &tables.arrays {
            let live = BitVector::ones_only(arrays[at].len());
            let column = (ColumnId(0), *data_type, Arc::clone(&arrays[at]));
            bytes += Frozen::build(pool, &live, &[column])?.bytes();
        }
        println!("  {name} {data_type}: {:.2}", bytes as f64 / rows);
    }
    Ok(())
}

fn bounds(column: ColumnId, low: Bound<Value>, high: Bound<Value>) -> ColumnBounds {
    ColumnBounds { column, low, high }
}

fn frozen_sum(tables: &Tables) -> f64 {
    let young = [bounds(
        AGE,
        Bound::Unbounded,
        Bound::Excluded(Value::Integer(40)),
    )];
    let mut scores = [0.0; Frozen::VECTOR_ROWS];
    let mut sum = 0.0;
    for block in &tables.frozen {
        let Some(filter) = block.filter(&young) else {
            continue;
        };
        for vector in 0..block.vectors() {
            let mask = filter.mask(vector);
            block.read_f64(SCORE, vector, &mut scores);
            sum += sum_f64(&scores, &mask);
        }
    }
    sum
}

fn plain_sum(tables: &Tables) -> f64 {
    let mut sum = 0.0;
    for block in &tables.arrays {
        let ages = block[3].as_primitive::<Int32Type>().values();
        let scores = block[4].as_primitive::<Float64Type>().values();
        let mut sums = [0.0; 8];
        let (ages, scores) = (ages.chunks(8), scores.chunks(8));
        for (ages, scores) in ages.zip(scores) {
            for ((sum, age), score) in sums.iter_mut().zip(ages).zip(scores) {
                *sum += if *age < 40 { *score } else { 0.0 };
            }
        }
        sum += sums.iter().sum::<f64>();
    }
    sum
}

fn selected(tables: &Tables, bounds: &[ColumnBounds]) -> f64 {
    let mut count = 0;
    for block in &tables.frozen {
        if let Some(filter) = block.filter(bounds) {
            let of_vector = |vector| filter.mask(vector).count();
            count += (0..block.vectors()).map(of_vector).sum::<usize>();
        }
    }
    count as f64
}

fn frozen_equal(tables: &Tables) -> f64 {
    let point = Bound::Included(Value::Double(50.0));
    selected(tables, &[bounds(SCORE, point.clone(), point)])
}

fn plain_equal(tables: &Tables) -> f64 {
    let blocks = tables.arrays.iter();
    let count = |block: &Vec<ArrayRef>| {
        let scores = block[4].as_primitive::<Float64Type>().values();
        scores.iter().filter(|score| **score == 50.0).count()
    };
    blocks.map(count).sum::<usize>() as f64
}

/// One that no row has and that is between those of every block.
const NOBODY: &str = "user0500000@example.net";

fn frozen_email(tables: &Tables) -> f64 {
    let point = Bound::Included(Value::Text(NOBODY.to_owned()));
    selected(tables, &[bounds(EMAIL, point.clone(), point)])
}

fn plain_email(tables: &Tables) -> f64 {
    let blocks = tables.arrays.iter();
    let count = |block: &Vec<ArrayRef>| {
        let emails = block[2].as_string_view().iter();
        emails.filter(|email| *email == Some(NOBODY)).count()
    };
    blocks.map(count).sum::<usize>() as f64
}

fn frozen_decode(tables: &Tables) -> f64 {
    let mut rows = 0;
    for block in &tables.frozen {
        let all = 0..block.rows() as u32;
        for (at, (_, data_type)) in COLUMNS.into_iter().enumerate() {
            let column = ColumnId(at as u32);
            rows += black_box(block.array(column, data_type, all.clone())).len();
        }
    }
    rows as f64
}

/// What a copy costs, with nothing to decode.
fn plain_copy(tables: &Tables) -> f64 {
    let mut rows = 0;
    for block in &tables.arrays {
        for array in block {
            let buffers = array.to_data();
            for buffer in buffers.buffers() {
                black_box(buffer.as_slice().to_vec());
            }
            rows += array.len();
        }
    }
    rows as f64
}

/// Random positions, one after the other.
fn points(tables: &Tables, score: impl Fn(usize, usize) -> f64) -> f64 {
    let mut random = Random::new(7);
    let mut sum = 0.0;
    for _ in 0..tables.rows / 10 {
        let row = random.below(tables.rows as u64) as usize;
        let block = row / BLOCK_ROWS;
        sum += score(block, row % BLOCK_ROWS);
    }
    sum
}

fn frozen_points(tables: &Tables) -> f64 {
    points(tables, |block, row| {
        let mut scratch = Vec::new();
        match tables.frozen[block].value(SCORE, row as u32, &mut scratch) {
            ValueRef::Double(score) => score,
            _ => f64::NAN,
        }
    })
}

fn plain_points(tables: &Tables) -> f64 {
    points(tables, |block, row| {
        tables.arrays[block][4]
            .as_primitive::<Float64Type>()
            .value(row)
    })
}
