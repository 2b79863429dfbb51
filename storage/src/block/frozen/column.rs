//! One column of a frozen block: its encoded values, which are NULL, and what is known about them.
//!
//! ```text
//!  written   id | type | flags | validity bits, where there are NULLs | data
//!  derived   least and greatest value (the zone map), a bloom filter where it pays
//! ```
//!
//! What follows from the values is not written: it is derived when a block is built or read, in the
//! same pass that checks that every value can be read. So it can never disagree with them.

use super::data::Data;
use super::derive::Derived;
use super::floats::key;
use super::mask::Mask;
use super::pack::VECTOR;
use super::plain;
use super::source::Source;
use crate::codec::{DecodeError, Decoder, put_varint};
use crate::ids::ColumnId;
use crate::succinct::Bloom;
use crate::value::{DataType, Value, ValueRef};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

const HAS_NULLS: u8 = 1;

/// A column; its bytes are in the image that is passed to each call.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) id: ColumnId,
    pub(super) data_type: DataType,
    pub(super) data: Data,
    /// A bit for each row, set where it has a value; `None` where all have.
    valid: Option<Range<usize>>,
    pub(super) derived: Derived,
}

impl Column {
    /// Appends a column.
    pub(super) fn encode(id: ColumnId, source: &Source<'_>, out: &mut Vec<u8>) {
        put_varint(out, id.0.into());
        plain::put_type(out, source.data_type);
        match &source.valid {
            None => out.push(0),
            Some(valid) => {
                out.push(HAS_NULLS);
                out.extend(valid.chunks(8).map(|bits| {
                    let byte = |byte, (at, bit): (usize, &bool)| byte | u8::from(*bit) << at;
                    bits.iter().enumerate().fold(0, byte)
                }));
            }
        }
        Data::encode(source, out);
    }

    /// Reads what `encode` wrote of `rows` rows.
    pub(super) fn parse(decoder: &mut Decoder<'_>, rows: usize) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        let id = decoder.varint()?;
        let id = u32::try_from(id).map_err(|_| wrong(offset, "a column's id", id))?;
        let data_type = plain::read_type(decoder)?;
        let offset = decoder.offset();
        let valid = match decoder.u8()? {
            0 => None,
            HAS_NULLS => {
                let bytes = rows.div_ceil(8);
                decoder.take(bytes)?;
                Some(decoder.offset() - bytes..decoder.offset())
            }
            other => return Err(wrong(offset, "a column's flags", other.into())),
        };
        let data = Data::parse(decoder, data_type, rows)?;
        Ok(Self {
            id: ColumnId(id),
            data_type,
            data,
            valid,
            derived: Derived::default(),
        })
    }

    /// Whether all values can be read; if so, derives what follows from them.
    pub(super) fn derive(&mut self, image: &[u8], rows: usize) -> bool {
        let nothing = matches!(self.data, Data::Nothing);
        let is_whole = nothing != self.is_any_valid(image, rows);
        if !is_whole || !self.data.is_valid(image, self.data_type, rows) {
            return false;
        }
        self.derived = Derived::of(image, self, rows);
        true
    }

    fn is_any_valid(&self, image: &[u8], rows: usize) -> bool {
        (0..rows).any(|row| self.is_valid(image, row))
    }

    /// The rows of a vector of `count` rows that have a value.
    pub(super) fn present(&self, image: &[u8], vector: usize, count: usize) -> Mask {
        let mut mask = Mask::first(count);
        self.clear_nulls(image, vector, &mut mask);
        mask
    }

    /// Whether the row has a value.
    pub(super) fn is_valid(&self, image: &[u8], row: usize) -> bool {
        match &self.valid {
            None => true,
            Some(valid) => image[valid.clone()][row / 8] >> (row % 8) & 1 == 1,
        }
    }

    /// Whether some row is NULL.
    pub(super) fn has_nulls(&self) -> bool {
        self.valid.is_some()
    }

    /// Takes out of a mask the rows of a vector that are NULL.
    pub(super) fn clear_nulls(&self, image: &[u8], vector: usize, mask: &mut Mask) {
        let Some(valid) = &self.valid else {
            return;
        };
        let bytes = &image[valid.clone()][vector * VECTOR / 8..];
        for (word, bytes) in mask.words_mut().iter_mut().zip(bytes.chunks(8)) {
            let mut all = [0; 8];
            all[..bytes.len()].copy_from_slice(bytes);
            *word &= u64::from_le_bytes(all);
        }
    }

    /// The value of a row.
    pub(super) fn value<'a>(
        &'a self,
        image: &'a [u8],
        row: usize,
        scratch: &'a mut Vec<u8>,
    ) -> ValueRef<'a> {
        match self.is_valid(image, row) {
            true => self.data.value(image, self.data_type, row, scratch),
            false => ValueRef::Null,
        }
    }

    /// Bytes that the parsed and the derived take on the heap.
    pub(super) fn heap_bytes(&self, rows: usize) -> usize {
        let string = |value: &Option<Value>| match value {
            Some(Value::Text(text)) => text.capacity(),
            Some(Value::Bytea(bytes) | Value::Packed(_, bytes)) => bytes.capacity(),
            _ => 0,
        };
        let Derived { low, high, bloom } = &self.derived;
        let bloom = bloom.as_ref().map_or(0, |_| Bloom::bytes_for(rows));
        self.data.heap_bytes() + bloom + string(low) + string(high)
    }
}

/// A hash by which equal values are equal. Nothing that is stored depends on it.
pub(super) fn hash(value: ValueRef<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        ValueRef::Real(v) => key(v.into()).hash(&mut hasher),
        ValueRef::Double(v) => key(v).hash(&mut hasher),
        ValueRef::Numeric(v) => v.hash(&mut hasher),
        ValueRef::Interval(v) => v.hash(&mut hasher),
        ValueRef::Text(v) => v.as_bytes().hash(&mut hasher),
        ValueRef::Bytea(v) | ValueRef::Packed(_, v) => v.hash(&mut hasher),
        ValueRef::Uuid(v) => v.hash(&mut hasher),
        ValueRef::Boolean(v) => v.hash(&mut hasher),
        ValueRef::SmallInt(v) => v.hash(&mut hasher),
        ValueRef::Integer(v) | ValueRef::Date(v) => v.hash(&mut hasher),
        ValueRef::BigInt(v)
        | ValueRef::Time(v)
        | ValueRef::Timestamp(v)
        | ValueRef::TimestampTz(v) => v.hash(&mut hasher),
        ValueRef::Null => {}
    }
    hasher.finish()
}

fn wrong(offset: usize, expected: &'static str, found: u64) -> DecodeError {
    DecodeError {
        offset,
        expected,
        found: found.to_string(),
    }
}
