//! Writes what the fuzz targets begin with: frozen blocks of every type and shape, and values.
//!
//!     cargo run --bin seeds
#![allow(clippy::print_stdout, reason = "a command reports to its terminal")]

use remora_storage::block::Frozen;
use remora_storage::codec::encode_value;
use remora_storage::pool::{Ledger, Pool};
use remora_storage::succinct::BitVector;
use remora_storage::value::{ColumnBuilder, NumericModifier};
use remora_storage::{ColumnId, DataType, Interval, Numeric, Value};
use std::error::Error;
use std::fs;
use std::path::Path;

const MONEY: DataType = DataType::Numeric(Some(NumericModifier {
    precision: 38,
    scale: 2,
}));

const TYPES: [DataType; 16] = [
    DataType::Boolean,
    DataType::SmallInt,
    DataType::Integer,
    DataType::BigInt,
    DataType::Real,
    DataType::Double,
    DataType::Numeric(None),
    MONEY,
    DataType::Text,
    DataType::Bytea,
    DataType::Date,
    DataType::Time,
    DataType::Timestamp,
    DataType::TimestampTz,
    DataType::Interval,
    DataType::Uuid,
];

/// What each row has: the same, more and more, one of a few, long runs, anything; a NULL between.
type Shape = fn(i64) -> Option<i64>;

const SHAPES: [Shape; 6] = [
    |_| Some(7),
    |row| Some(row * 3 - 100),
    |row| Some(row * row % 5 * 1_000_003),
    |row| Some(row / 20 * 12_345),
    |row| Some(row.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 7),
    |row| (row % 4 > 0).then_some(row % 11),
];

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new(Ledger::new(1 << 30));
    let (blocks, rows) = (Path::new("corpus/frozen_decoder"), Path::new("corpus/row_codec"));
    fs::create_dir_all(blocks)?;
    fs::create_dir_all(rows)?;
    let mut count = 0;
    for data_type in TYPES {
        for (shape_no, shape) in SHAPES.into_iter().enumerate() {
            for (slots, live_every) in [(70, 1), (200, 3), (1100, 1)] {
                let live = BitVector::from_fn(slots, |slot| slot % live_every == 0);
                let mut builder = ColumnBuilder::new(data_type, slots);
                let mut values = Vec::new();
                for row in 0..live.ones() as i64 {
                    let value = shape(row).map_or(Value::Null, |n| value(data_type, n));
                    builder.push(value.as_ref());
                    encode_value(&mut values, value.as_ref());
                }
                let columns = [(ColumnId(1), data_type, builder.finish())];
                let mut bytes = Vec::new();
                Frozen::build(&pool, &live, &columns)?.encode(&mut bytes);
                let name = format!("{data_type}-{shape_no}-{slots}").replace(' ', "-");
                fs::write(blocks.join(&name), bytes)?;
                values.truncate(400);
                fs::write(rows.join(&name), values)?;
                count += 1;
            }
        }
    }
    println!("{count} seeds for each target");
    Ok(())
}

fn value(data_type: DataType, n: i64) -> Value {
    match data_type {
        DataType::Boolean => Value::Boolean(n % 2 == 0),
        DataType::SmallInt => Value::SmallInt(n as i16),
        DataType::Integer => Value::Integer(n as i32),
        DataType::BigInt => Value::BigInt(n),
        DataType::Real => Value::Real(n as f32 / 4.0),
        DataType::Double if n % 50 == 3 => Value::Double((n as f64).sqrt()),
        DataType::Double => Value::Double(n as f64 / 100.0),
        DataType::Numeric(modifier) => {
            let scale = modifier.map_or(n.rem_euclid(4) as u8, |m| m.scale);
            Numeric::new(n.into(), scale).map_or(Value::Null, Value::Numeric)
        }
        DataType::Bytea => Value::Bytea(n.to_le_bytes()[..(n & 7) as usize].to_vec()),
        DataType::Date => Value::Date(n as i32),
        DataType::Time => Value::Time(n.rem_euclid(86_400_000_000)),
        DataType::Timestamp => Value::Timestamp(n),
        DataType::TimestampTz => Value::TimestampTz(n),
        DataType::Interval => Value::Interval(Interval {
            months: n as i32 % 12,
            days: n as i32 % 31,
            micros: n % 1000,
        }),
        DataType::Uuid => Value::Uuid((n as u128).to_le_bytes()),
        _ => match n % 3 {
            0 => Value::Text(format!("user{:07}@example.com", n.rem_euclid(10_000_000))),
            _ => Value::Text(format!("the shark and the whale, number {n}: été")),
        },
    }
}
