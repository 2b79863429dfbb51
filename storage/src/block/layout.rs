//! Where each column is in a row.

use crate::ids::{BLOCK_SLOTS, ColumnId};
use crate::value::{DataType, Numeric};

/// Bytes before the columns of a base row: begin stamp and head.
pub(super) const ROW_HEADER_BYTES: usize = 16;
/// Bytes of the rows of one block, unless a single row is huge.
const BLOCK_BYTES_MAX: usize = 1 << 20;
const CAPACITY_MIN: usize = 16;
/// Slots of a table's first block: small tables stay small.
const FIRST_CAPACITY: usize = 64;
/// Bytes of a string view, Arrow's ByteView.
pub(super) const VIEW_BYTES: usize = 16;

/// One column in the row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) column: ColumnId,
    pub(super) data_type: DataType,
    /// Byte offset in the body, that is after the row's header.
    pub(super) offset: usize,
    /// Which null bit; the bit is set where the value is NULL.
    pub(super) null: usize,
    null_byte: u32,
    null_mask: u8,
}

impl Field {
    /// Whether its values are strings of bytes, which a row has views of.
    pub(super) fn is_viewed(&self) -> bool {
        self.data_type.is_variable()
    }
}

/// The places of the columns of one table in a row, keyed by column id.
///
/// The widest columns come first, so that each is naturally aligned; null bits come last.
#[derive(Debug)]
pub struct Layout {
    /// In the order of the table's columns.
    fields: Vec<Field>,
    /// The same by column id; ids are small and dense.
    by_id: Vec<Option<Field>>,
    null_offset: usize,
    body_bytes: usize,
}

impl Layout {
    /// The layout of rows of these columns.
    pub fn new(columns: impl IntoIterator<Item = (ColumnId, DataType)>) -> Self {
        let mut fields: Vec<Field> = columns
            .into_iter()
            .enumerate()
            .map(|(null, (column, data_type))| Field {
                column,
                data_type,
                offset: 0,
                null,
                null_byte: 0,
                null_mask: 1 << (null % 8),
            })
            .collect();
        let mut order: Vec<usize> = (0..fields.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(alignment(fields[*at].data_type)));
        let mut null_offset = 0;
        for at in order {
            fields[at].offset = null_offset;
            null_offset += width(fields[at].data_type);
        }
        let ids = fields.iter().map(|field| field.column.0 as usize + 1).max();
        let mut by_id = vec![None; ids.unwrap_or(0)];
        for field in &mut fields {
            field.null_byte = (null_offset + field.null / 8) as u32;
            by_id[field.column.0 as usize] = Some(*field);
        }
        Self {
            null_offset,
            body_bytes: null_offset + fields.len().div_ceil(8),
            by_id,
            fields,
        }
    }

    #[inline]
    pub(super) fn field(&self, column: ColumnId) -> Option<&Field> {
        self.by_id.get(column.0 as usize)?.as_ref()
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Bytes of a row without its header and without its long strings.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Byte and mask of a field's null bit.
    #[inline]
    pub(super) fn null_bit(&self, field: &Field) -> (usize, u8) {
        debug_assert_eq!(field.null_byte as usize, self.null_offset + field.null / 8);
        (field.null_byte as usize, field.null_mask)
    }

    /// Says in a row that all of its columns are NULL.
    #[inline]
    pub(super) fn set_all_null(&self, body: &mut [u8]) {
        let mut left = self.fields.len();
        for byte in &mut body[self.null_offset..self.body_bytes] {
            *byte = if left < 8 { (1 << left) - 1 } else { u8::MAX };
            left = left.saturating_sub(8);
        }
    }

    /// Bytes from one row to the next.
    pub fn stride(&self) -> usize {
        (ROW_HEADER_BYTES + self.body_bytes).next_multiple_of(8)
    }

    /// Slots of the table's `nth` block.
    pub fn capacity(&self, nth: u32) -> usize {
        let full = (BLOCK_BYTES_MAX / self.stride()).clamp(CAPACITY_MIN, BLOCK_SLOTS);
        full.min(FIRST_CAPACITY << (2 * nth.min(8)))
    }
}

/// Bytes of a column in a row.
pub(super) fn width(data_type: DataType) -> usize {
    match data_type {
        DataType::Boolean => 1,
        DataType::SmallInt => 2,
        DataType::Integer | DataType::Real | DataType::Date => 4,
        DataType::BigInt
        | DataType::Double
        | DataType::Time
        | DataType::Timestamp
        | DataType::TimestampTz => 8,
        DataType::Numeric(Some(_)) | DataType::Interval | DataType::Uuid => 16,
        DataType::Numeric(None) => Numeric::BYTES,
        DataType::Text
        | DataType::Varchar(_)
        | DataType::Char(_)
        | DataType::Bytea
        | DataType::Json
        | DataType::Packed(_) => VIEW_BYTES,
    }
}

fn alignment(data_type: DataType) -> usize {
    match width(data_type) {
        Numeric::BYTES => 1,
        width => width,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_two_integers_is_half_a_cache_line() {
        let layout = Layout::new([
            (ColumnId(1), DataType::Integer),
            (ColumnId(2), DataType::Integer),
        ]);
        assert_eq!(layout.stride(), 32);
        assert_eq!(layout.capacity(0), FIRST_CAPACITY);
        assert_eq!(layout.capacity(1000), BLOCK_SLOTS);
    }

    #[test]
    fn fields_do_not_overlap_and_wide_ones_come_first() {
        let types = [
            DataType::Boolean,
            DataType::Numeric(None),
            DataType::Text,
            DataType::SmallInt,
            DataType::BigInt,
        ];
        let columns = types.iter().enumerate();
        let layout = Layout::new(columns.map(|(id, ty)| (ColumnId(id as u32 * 3), *ty)));
        let mut ends: Vec<(usize, usize)> = layout
            .fields()
            .iter()
            .map(|f| (f.offset, f.offset + width(f.data_type)))
            .collect();
        ends.sort_unstable();
        assert!(ends.windows(2).all(|pair| pair[0].1 == pair[1].0));
        assert_eq!(layout.field(ColumnId(6)).map(|f| f.offset), Some(0), "text");
        assert!(layout.field(ColumnId(1)).is_none());
        assert!(layout.field(ColumnId(99)).is_none());
    }
}
