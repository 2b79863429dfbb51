//! Blocks by themselves: every type there and back, full heaps, columns that came later.

use super::*;
use crate::ids::{ColumnId, Slot, Timestamp};
use crate::mvcc::{Stamp, Timeline};
use crate::pool::{Ledger, Pool};
use crate::value::{DataType, Interval, Numeric, NumericModifier, ValueRef, value_at};
use arrow_array::ArrayRef;
use std::sync::Arc;

fn block(types: &[DataType]) -> Block {
    let columns = types.iter().enumerate();
    let layout = Layout::new(columns.map(|(id, ty)| (ColumnId(id as u32), *ty)));
    let pool = Pool::new(Ledger::new(64 << 20));
    Block::new(&Arc::new(layout), &pool, 8).unwrap()
}

fn fill(block: &Block, values: &[ValueRef<'_>]) -> Option<Slot> {
    let claimed = block.claim()?;
    let slot = claimed.slot();
    let values = values.iter().enumerate();
    let values = values.map(|(id, value)| (ColumnId(id as u32), *value));
    let stamp = Stamp::committed(Timestamp(1));
    claimed.fill(values, stamp).unwrap().then_some(slot)
}

/// One column of rows.
fn gather(rows: &[RowRef<'_>], column: ColumnId, data_type: DataType) -> ArrayRef {
    let mut gatherer = Gatherer::new(&[(column, data_type)], &[]);
    gatherer.take_rows(&[], rows);
    assert_eq!(gatherer.held(), rows.len(), "there are no bounds");
    gatherer.finish().0.remove(0)
}

#[test]
fn every_type_is_read_as_it_was_written() {
    let fixed = DataType::Numeric(Some(NumericModifier {
        precision: 10,
        scale: 2,
    }));
    let long = "a string that is too long for its view";
    let cases = [
        (DataType::Boolean, ValueRef::Boolean(true)),
        (DataType::SmallInt, ValueRef::SmallInt(-2)),
        (DataType::Integer, ValueRef::Integer(i32::MIN)),
        (DataType::BigInt, ValueRef::BigInt(i64::MAX)),
        (DataType::Real, ValueRef::Real(1.5)),
        (DataType::Double, ValueRef::Double(f64::NAN)),
        (fixed, ValueRef::Numeric(Numeric::new(-12_345, 2).unwrap())),
        (fixed, ValueRef::Numeric(Numeric::NAN)),
        (
            DataType::Numeric(None),
            ValueRef::Numeric(Numeric::INFINITY),
        ),
        (DataType::Text, ValueRef::Text("twelve bytes")),
        (DataType::Varchar(Some(99)), ValueRef::Text(long)),
        (DataType::Char(1), ValueRef::Text("")),
        (DataType::Bytea, ValueRef::Bytea(&[0; 100])),
        (DataType::Date, ValueRef::Date(-1)),
        (DataType::Time, ValueRef::Time(86_400_000_000)),
        (DataType::Timestamp, ValueRef::Timestamp(i64::MIN)),
        (DataType::TimestampTz, ValueRef::TimestampTz(7)),
        (
            DataType::Interval,
            ValueRef::Interval(Interval {
                months: 1,
                days: -2,
                micros: 3,
            }),
        ),
        (DataType::Uuid, ValueRef::Uuid([7; 16])),
    ];
    let types: Vec<DataType> = cases.iter().map(|(ty, _)| *ty).collect();
    let values: Vec<ValueRef<'_>> = cases.iter().map(|(_, value)| *value).collect();
    let nulls = vec![ValueRef::Null; cases.len()];
    let block = block(&types);
    let slots = [&values, &nulls, &values].map(|row| fill(&block, row).unwrap());

    let timeline = Timeline::new();
    timeline.start_at(Timestamp(1));
    let registration = timeline.register().unwrap();
    let proof = registration.enter();
    let viewpoint = proof.viewpoint(0);
    let rows: Vec<RowRef<'_>> = slots
        .iter()
        .map(|slot| block.visible(*slot, &viewpoint).unwrap())
        .collect();
    for (at, (data_type, expected)) in cases.iter().enumerate() {
        let column = ColumnId(at as u32);
        let array = gather(&rows, column, *data_type);
        assert_eq!(array.data_type(), &data_type.arrow());
        for (row, expected) in rows.iter().zip([*expected, ValueRef::Null, *expected]) {
            assert_eq!(row.get(column), expected);
        }
        assert_eq!(value_at(&array, *data_type, 0), *expected);
        assert!(value_at(&array, *data_type, 1).is_null());
        assert_eq!(value_at(&array, *data_type, 2), *expected);
    }
    // A column that came after the block was made.
    let later = ColumnId(99);
    assert!(rows[0].get(later).is_null());
    let array = gather(&rows, later, DataType::Text);
    assert_eq!((array.len(), array.null_count()), (3, 3));
}

#[test]
fn a_block_whose_heap_is_full_takes_short_rows_only() {
    let block = block(&[DataType::Bytea]);
    let long = vec![7; 60_000];
    let mut taken = 0;
    let full = loop {
        match fill(&block, &[ValueRef::Bytea(&long)]) {
            Some(_) => taken += 1,
            None => break block.claimed(),
        }
    };
    assert!((30..36).contains(&taken), "2 MiB are {taken} such strings");
    assert_eq!(full, taken + 1, "the slot that was refused is dead");
    assert!(fill(&block, &[ValueRef::Bytea(&[1, 2])]).is_some());
    assert!(fill(&block, &[ValueRef::Bytea(&long)]).is_none());
    // What nobody will use is given back.
    let before = block.bytes();
    assert!(!block.close() && block.is_full() && block.claim().is_none());
    let rows = block.layout.stride() * block.claimed();
    assert!(
        block.bytes() < before,
        "{before} and {} bytes",
        block.bytes()
    );
    let least = rows + taken * long.len();
    assert!(
        (least..least + 32_000).contains(&block.bytes()),
        "{} bytes of {least}",
        block.bytes()
    );
    let timeline = Timeline::new();
    timeline.start_at(Timestamp(1));
    let registration = timeline.register().unwrap();
    let proof = registration.enter();
    let refused = Slot(taken as u16);
    assert!(block.visible(refused, &proof.viewpoint(0)).is_none());
}
