//! One change within a frame.
//!
//! ```text
//!   insert 1, update 2   | kind | table | row | (column + 1, value) ... | 0 |
//!   delete 3             | kind | table | row |
//!   catalog 4            | kind | length | a `CatalogChange` as JSON |
//!   sequence 5           | kind | sequence | last, zigzag | 1 if that was taken |
//!   delete some 6        | kind | table | block | slots, as [`crate::succinct::SlotSet`] says |
//!   time 7               | kind | microseconds since 1970, zigzag |
//! ```
//!
//! The kind is a byte, values are as in [`crate::codec`], all else are varints. Columns go by
//! id, so a frame stays readable whatever is done to the table later.

use crate::catalog::{CatalogChange, SequencePosition};
use crate::codec::{DecodeError, Decoder, encode_value, put_bytes, put_varint, value_bytes_max};
use crate::ids::{BlockNo, ColumnId, RowId, SequenceId, TableId};
use crate::succinct::SlotSet;
use crate::value::ValueRef;

/// What an operation does; the numbers are those on disk and keep their meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Insert = 1,
    Update = 2,
    Delete = 3,
    Catalog = 4,
    Sequence = 5,
    DeleteSome = 6,
    Time = 7,
}

/// Columns of a row and their values.
pub type RowValues<'v> = [(ColumnId, ValueRef<'v>)];

/// An operation, as read back.
#[derive(Clone, PartialEq, Debug)]
pub enum Operation<'v> {
    /// A row came, with its values.
    Insert(TableId, RowId, &'v RowValues<'v>),
    /// These columns of a row changed.
    Update(TableId, RowId, &'v RowValues<'v>),
    /// A row went.
    Delete(TableId, RowId),
    /// Rows of one block went.
    DeleteSome(TableId, BlockNo, SlotSet),
    /// A step of DDL.
    Catalog(CatalogChange),
    /// Where a sequence goes on from.
    Sequence(SequenceId, SequencePosition),
    /// It was so late, in microseconds since 1970.
    Time(i64),
}

pub(super) fn put_row<'v>(
    out: &mut Vec<u8>,
    kind: Kind,
    table: TableId,
    row: RowId,
    values: impl IntoIterator<Item = (ColumnId, ValueRef<'v>)>,
) {
    put_target(out, kind, table, row);
    for (column, value) in values {
        put_varint(out, u64::from(column.0) + 1);
        encode_value(out, value);
    }
    put_varint(out, 0);
}

pub(super) fn put_target(out: &mut Vec<u8>, kind: Kind, table: TableId, row: RowId) {
    out.push(kind as u8);
    put_varint(out, table.0.into());
    put_varint(out, row.0);
}

pub(super) fn put_slots(out: &mut Vec<u8>, table: TableId, block: BlockNo, slots: &SlotSet) {
    out.push(Kind::DeleteSome as u8);
    put_varint(out, table.0.into());
    put_varint(out, block.0.into());
    slots.encode(out);
}

/// The most bytes that a deletion takes in a frame: kind, table, row; or kind, table, block, beside the slots.
pub const TARGET_BYTES_MAX: usize = 1 + 5 + 10;

/// The most bytes that an insert or update of these values takes in a frame.
pub fn row_bytes_max<'v>(values: impl IntoIterator<Item = ValueRef<'v>>) -> usize {
    let column = |value| 5 + value_bytes_max(value);
    TARGET_BYTES_MAX + 1 + values.into_iter().map(column).sum::<usize>()
}

pub(super) fn put_catalog(out: &mut Vec<u8>, change: &CatalogChange) {
    out.push(Kind::Catalog as u8);
    let json = serde_json::to_vec(change).expect("definitions are plain data");
    put_bytes(out, &json);
}

pub(super) fn put_sequence(out: &mut Vec<u8>, id: SequenceId, position: SequencePosition) {
    out.push(Kind::Sequence as u8);
    put_varint(out, id.0.into());
    put_varint(out, zigzag(position.last));
    out.push(position.is_called.into());
}

/// The most bytes that a time takes in a frame.
pub const TIME_BYTES_MAX: usize = 1 + 10;

pub(super) fn put_time(out: &mut Vec<u8>, micros: i64) {
    out.push(Kind::Time as u8);
    put_varint(out, zigzag(micros));
}

/// Small numbers of either sign as small numbers.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

impl<'v> Operation<'v> {
    /// Reads the next operation. Its values, if it has any, take the place of those that `values` holds: so
    /// one list is enough for many operations.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn decode<'b: 'v>(
        decoder: &mut Decoder<'b>,
        values: &'v mut Vec<(ColumnId, ValueRef<'b>)>,
    ) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        match decoder.u8()? {
            1 => {
                let (table, row) = target(decoder)?;
                read_values(decoder, values)?;
                Ok(Self::Insert(table, row, values))
            }
            2 => {
                let (table, row) = target(decoder)?;
                read_values(decoder, values)?;
                Ok(Self::Update(table, row, values))
            }
            3 => {
                let (table, row) = target(decoder)?;
                Ok(Self::Delete(table, row))
            }
            4 => {
                let json = decoder.bytes()?;
                let change = serde_json::from_slice(json).map_err(|error| DecodeError {
                    offset: decoder.offset() - json.len(),
                    expected: "a change of the catalog",
                    found: error.to_string(),
                })?;
                Ok(Self::Catalog(change))
            }
            5 => {
                let sequence = SequenceId(id(decoder, "a sequence's id")?);
                let position = SequencePosition {
                    last: unzigzag(decoder.varint()?),
                    is_called: decoder.u8()? != 0,
                };
                Ok(Self::Sequence(sequence, position))
            }
            6 => {
                let table = TableId(id(decoder, "a table's id")?);
                let block = BlockNo(id(decoder, "a block's number")?);
                Ok(Self::DeleteSome(table, block, SlotSet::decode(decoder)?))
            }
            7 => Ok(Self::Time(unzigzag(decoder.varint()?))),
            kind => Err(DecodeError {
                offset,
                expected: "an operation's kind",
                found: kind.to_string(),
            }),
        }
    }
}

fn target(decoder: &mut Decoder<'_>) -> Result<(TableId, RowId), DecodeError> {
    let table = id(decoder, "a table's id")?;
    Ok((TableId(table), RowId(decoder.varint()?)))
}

fn read_values<'b>(
    decoder: &mut Decoder<'b>,
    values: &mut Vec<(ColumnId, ValueRef<'b>)>,
) -> Result<(), DecodeError> {
    values.clear();
    loop {
        let column = id(decoder, "a column's id")?;
        let Some(column) = column.checked_sub(1) else {
            return Ok(());
        };
        values.push((ColumnId(column), decoder.value()?));
    }
}

fn id(decoder: &mut Decoder<'_>, expected: &'static str) -> Result<u32, DecodeError> {
    let offset = decoder.offset();
    let number = decoder.varint()?;
    u32::try_from(number).map_err(|_| DecodeError {
        offset,
        expected,
        found: number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ColumnDef, TableDef};
    use crate::ids::Slot;
    use crate::value::DataType;

    fn encoded() -> Vec<u8> {
        let mut out = Vec::new();
        let (table, row) = (TableId(3), RowId(1 << 40));
        let values = [
            (ColumnId(0), ValueRef::BigInt(-5)),
            (ColumnId(u32::MAX - 1), ValueRef::Text("väl")),
            (ColumnId(7), ValueRef::Null),
        ];
        put_row(&mut out, Kind::Insert, table, row, values);
        assert!(out.len() <= row_bytes_max(values.map(|(_, value)| value)));
        put_row(
            &mut out,
            Kind::Update,
            table,
            row,
            [(ColumnId(0), ValueRef::Boolean(true))],
        );
        put_target(&mut out, Kind::Delete, table, row);
        put_catalog(
            &mut out,
            &CatalogChange::CreateTable(TableDef {
                id: table,
                name: "t".into(),
                columns: vec![ColumnDef {
                    collation: None,
                    unlisted: false,
                    id: ColumnId(0),
                    name: "a".into(),
                    data_type: DataType::BigInt,
                    not_null: true,
                    default: None,
                    sequences: vec![],
                    identity: None,
                    generated: None,
                    time_modifier: None,
                    domain: None,
                }],
                checks: vec![],
                foreign_keys: vec![],
                schema: crate::ids::SchemaId::PUBLIC,
                on_commit: crate::catalog::OnCommit::Preserve,
                triggers: vec![],
                materialized: None,
                expiry: None,
                eviction: None,
                unlogged: false,
                bound: None,
            }),
        );
        put_sequence(&mut out, SequenceId(9), position(i64::MIN));
        put_slots(&mut out, table, BlockNo(70_000), &slots());
        put_time(&mut out, -5);
        out
    }

    fn slots() -> SlotSet {
        [3, 4, 5, 900].map(Slot).into_iter().collect()
    }

    fn position(last: i64) -> SequencePosition {
        SequencePosition {
            last,
            is_called: true,
        }
    }

    #[test]
    fn numbers_of_either_sign_keep_it() {
        for number in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
    }

    #[test]
    fn operations_are_read_as_they_were_written() {
        let bytes = encoded();
        let mut decoder = Decoder::new(&bytes);
        let mut values = Vec::new();
        let mut next = |check: &dyn Fn(Operation<'_>) -> bool| {
            let operation = Operation::decode(&mut decoder, &mut values).expect("an operation");
            assert!(check(operation.clone()), "{operation:?}");
        };
        let expected = [
            (ColumnId(0), ValueRef::BigInt(-5)),
            (ColumnId(u32::MAX - 1), ValueRef::Text("väl")),
            (ColumnId(7), ValueRef::Null),
        ];
        next(&|o| o == Operation::Insert(TableId(3), RowId(1 << 40), &expected));
        next(&|o| matches!(o, Operation::Update(_, _, values) if values.len() == 1));
        next(&|o| matches!(o, Operation::Delete(..)));
        next(&|o| matches!(o, Operation::Catalog(CatalogChange::CreateTable(_))));
        next(&|o| o == Operation::Sequence(SequenceId(9), position(i64::MIN)));
        next(&|o| o == Operation::DeleteSome(TableId(3), BlockNo(70_000), slots()));
        next(&|o| o == Operation::Time(-5));
        decoder.finish().expect("nothing is left");
    }

    fn read_all(bytes: &[u8]) {
        let (mut decoder, mut values) = (Decoder::new(bytes), Vec::new());
        while decoder.remaining() > 0 && Operation::decode(&mut decoder, &mut values).is_ok() {}
    }

    #[test]
    fn bytes_that_are_no_operation_are_an_error_and_nothing_worse() {
        let good = encoded();
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                read_all(&bad);
            }
            read_all(&good[..at]);
        }
    }
}
