//! Writes what the fuzz targets begin with: frozen blocks of every type and shape, values, the databases
//! of every format, whole and in parts, and SQL texts with a dictionary.
//!
//!     cargo run --bin seeds
#![allow(clippy::print_stdout, reason = "a command reports to its terminal")]

use remora_fuzz::{parts, statements};
use remora_storage::block::Frozen;
use remora_storage::catalog::{ColumnDef, IndexDef, TableDef};
use remora_storage::checkpoint::image::{self, IMAGE_HEADER_LEN, ImageHeader, ImageKind};
use remora_storage::checkpoint::kept;
use remora_storage::checkpoint::manifest::{MANIFEST, Manifest};
use remora_storage::codec::encode_value;
use remora_storage::disk::{Disk, RealDisk, SimDisk};
use remora_storage::format::read_file;
use remora_storage::ids::BLOCK_SLOTS;
use remora_storage::pool::{Ledger, Pool};
use remora_storage::succinct::BitVector;
use remora_storage::value::{ColumnBuilder, NumericModifier};
use remora_storage::wal::segment::{self, SEGMENT_HEADER_LEN};
use remora_storage::{
    BlockNo, ColumnId, DataType, Interval, Numeric, RowId, Store, StoreOptions, TableId, Timestamp,
    Value, ValueRef,
};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

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

/// Databases of every format.
const DATABASES: &str = "../data/format";

fn main() -> Result<(), Box<dyn Error>> {
    for target in ["images", "log_frames", "manifests", "directory"] {
        fs::create_dir_all(Path::new("corpus").join(target))?;
    }
    values()?;
    statements::write_all()?;
    for folder in fs::read_dir(DATABASES)? {
        let path = folder?.path();
        if path.is_dir() {
            let name = path.file_name().ok_or("a folder has a name")?;
            database(&name.display().to_string(), &RealDisk::new(&path))?;
        }
    }
    let changed = changed()?;
    database("changed", &changed)?;
    extremes(&parts::of(&changed)?)?;
    Ok(())
}

/// A directory as a whole, and what is in it for the targets that read such things.
fn database(name: &str, disk: &dyn Disk) -> Result<(), Box<dyn Error>> {
    let corpus = |target: &str, what: &str| {
        Path::new("corpus")
            .join(target)
            .join(format!("{name}{what}"))
    };
    fs::write(corpus("directory", ""), parts::of(disk)?)?;
    let manifests = [vec![MANIFEST.to_owned()], kept::paths(disk)?].concat();
    for (at, path) in manifests.iter().enumerate() {
        let manifest = read_file(disk, path, u64::from(u32::MAX))?;
        fs::write(corpus("manifests", &format!("-{at}")), manifest)?;
    }
    for (at, image) in Manifest::read(disk, MANIFEST)?.0.images.iter().enumerate() {
        let mut bytes = vec![0; image.length as usize];
        disk.open(&image::path(image.file))?
            .read_at(image.offset, &mut bytes)?;
        fs::write(corpus("images", &format!("-{at}")), bytes)?;
    }
    for file in disk.list(segment::FOLDER)? {
        let path = format!("{}/{file}", segment::FOLDER);
        let segment = read_file(disk, &path, u64::from(u32::MAX))?;
        fs::write(
            corpus("log_frames", &format!("-{file}")),
            &segment[SEGMENT_HEADER_LEN..],
        )?;
    }
    Ok(())
}

/// The same directory where numbers are as large as they can be.
fn extremes(parts: &[u8]) -> Result<(), Box<dyn Error>> {
    type Change = fn(&mut Manifest);
    const FAR: u64 = u64::MAX - 1000;
    const LAST_ROW: u64 = (u32::MAX as u64 + 1) * BLOCK_SLOTS as u64 - 1;
    let manifests: [Change; 5] = [
        |manifest| manifest.lsn.0 = FAR,
        |manifest| manifest.timestamp = Timestamp(Timestamp::END.0 - 1),
        |manifest| manifest.segment = u64::MAX,
        |manifest| {
            manifest
                .tables
                .iter_mut()
                .for_each(|table| table.next_row.0 = LAST_ROW)
        },
        |manifest| {
            (
                manifest.next_table.0,
                manifest.next_index.0,
                manifest.timeline,
            ) = (u32::MAX, u32::MAX, u32::MAX)
        },
    ];
    for (at, change) in manifests.into_iter().enumerate() {
        let changed = parts::changed(parts, change, |segment| match at {
            0 => segment.first.0 = FAR,
            2 => segment.number = u64::MAX,
            4 => segment.timeline = u32::MAX,
            _ => {}
        });
        fs::write(format!("corpus/directory/extreme-{at}"), changed)?;
    }
    Ok(())
}

/// A table with a full block that is encoded and one that is not, both changed since the checkpoint that
/// wrote them first, and again in the log.
fn changed() -> Result<SimDisk, Box<dyn Error>> {
    let disk = SimDisk::new();
    let options = StoreOptions {
        manual_maintenance: true,
        keep_checkpoints: Some(0),
        max_memory: Some(256 << 20),
        ..StoreOptions::default()
    };
    let (store, _) = Store::open_on(Arc::new(disk.clone()), options)?;
    let mut transaction = store.begin()?;
    let columns = vec![
        ColumnDef::new(ColumnId(0), "k", DataType::BigInt),
        ColumnDef::new(ColumnId(1), "v", DataType::Text),
    ];
    let id = transaction.create_table(TableDef::new("t", columns))?;
    transaction.create_index(IndexDef::primary_key("t_pkey", id, [ColumnId(0)]))?;
    let table = transaction
        .catalog()
        .table_by_id(id)
        .ok_or("the table")?
        .clone();
    let mut rows = Vec::new();
    for k in 0..BLOCK_SLOTS as i64 + 200 {
        rows.push(transaction.insert(&table, &[ValueRef::BigInt(k), ValueRef::Text("row")])?);
    }
    transaction.commit()?;
    let mut transaction = store.begin()?;
    // What is left is as little as a seed should be.
    let is_wanted = |row: &RowId| row.0 % 64 < 2;
    for row in rows.iter().filter(|row| !is_wanted(row)) {
        transaction.delete(&table, *row)?;
    }
    transaction.commit()?;
    rows.retain(is_wanted);
    store.compact(None)?;
    for round in ["first", "second", "in the log"] {
        store.checkpoint()?;
        let mut transaction = store.begin()?;
        for row in [rows[1], rows[2], rows[rows.len() - 1]] {
            transaction.update(&table, row, &[(ColumnId(1), ValueRef::Text(round))])?;
        }
        transaction.delete(&table, rows.swap_remove(round.len()))?;
        transaction.commit()?;
    }
    store.close()?;
    Ok(disk)
}

fn values() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new(Ledger::new(1 << 30));
    let (blocks, rows) = (
        Path::new("corpus/frozen_decoder"),
        Path::new("corpus/row_codec"),
    );
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
                let image = [&frozen_header(&bytes, live.ones()), &bytes[..]].concat();
                fs::write(Path::new("corpus/images").join(&name), image)?;
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

fn frozen_header(body: &[u8], rows: usize) -> [u8; IMAGE_HEADER_LEN] {
    let header = ImageHeader {
        length: (IMAGE_HEADER_LEN + body.len()) as u64,
        kind: ImageKind::Frozen,
        packed: false,
        table: TableId(1),
        block: BlockNo(0),
        rows: rows as u32,
        timestamp: Timestamp(1),
        base: Timestamp(1),
        raw: body.len() as u64,
    };
    header.encode()
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
