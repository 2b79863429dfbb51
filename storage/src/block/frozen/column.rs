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
use super::mask::Mask;
use super::pack::VECTOR;
use super::plain;
use super::source::Source;
use crate::codec::{DecodeError, Decoder, put_varint};
use crate::ids::ColumnId;
use crate::succinct::Bloom;
use crate::value::{DataType, Value, ValueRef};
use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

/// A zone map keeps strings up to this long, and nothing of longer ones.
const ZONE_BYTES_MAX: usize = 64;
/// A bloom filter must cost at most a quarter of this many bits a row to pay.
const BLOOM_WIDTH_MIN: usize = Bloom::BITS_PER_KEY * 3;

const HAS_NULLS: u8 = 1;

/// A column; its bytes are in the image that is passed to each call.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) id: ColumnId,
    pub(super) data_type: DataType,
    pub(super) data: Data,
    /// A bit for each row, set where it has a value; `None` where all have.
    valid: Option<Range<usize>>,
    /// Nothing below, where known.
    pub(super) low: Option<Value>,
    /// Nothing above, where known.
    pub(super) high: Option<Value>,
    pub(super) bloom: Option<Bloom>,
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
            low: None,
            high: None,
            bloom: None,
        })
    }

    /// Whether all values can be read; if so, derives what follows from them.
    pub(super) fn derive(&mut self, image: &[u8], rows: usize) -> bool {
        let nothing = matches!(self.data, Data::Nothing);
        if nothing != (self.count_valid(image, rows) == 0) {
            return false;
        }
        if !self.data.is_valid(image, self.data_type, rows) {
            return false;
        }
        self.derive_zone(image, rows);
        self.derive_bloom(image, rows);
        true
    }

    fn count_valid(&self, image: &[u8], rows: usize) -> usize {
        (0..rows).filter(|row| self.is_valid(image, *row)).count()
    }

    fn derive_zone(&mut self, image: &[u8], rows: usize) {
        let (low, high) = match &self.data {
            Data::Nothing => return,
            // Values of a dictionary are in order.
            Data::Dictionary(dictionary) => {
                let at = |entry| {
                    let mut scratch = Vec::new();
                    let value = dictionary
                        .values
                        .value(image, self.data_type, entry, &mut scratch);
                    value.to_owned()
                };
                (at(0), at(dictionary.entries - 1))
            }
            _ => self.least_and_greatest(image, rows),
        };
        self.low = Some(low).filter(is_short);
        self.high = Some(high).filter(is_short);
    }

    fn least_and_greatest(&self, image: &[u8], rows: usize) -> (Value, Value) {
        let (mut low, mut high) = (Value::Null, Value::Null);
        let mut scratch = Vec::new();
        for row in (0..rows).filter(|row| self.is_valid(image, *row)) {
            let value = self.data.value(image, self.data_type, row, &mut scratch);
            if low.is_null() || value.compare(low.as_ref()) == Some(Ordering::Less) {
                low = value.to_owned();
            }
            if high.is_null() || value.compare(high.as_ref()) == Some(Ordering::Greater) {
                high = value.to_owned();
            }
        }
        (low, high)
    }

    /// A filter pays where it is small beside the values, and where nothing else answers as fast:
    /// a dictionary is searched, integers are compared where they are packed.
    fn derive_bloom(&mut self, image: &[u8], rows: usize) {
        let bits = match &self.data {
            Data::Strings(strings) => strings.width(rows),
            Data::Fixed { width, .. } => width * 8,
            _ => 0,
        };
        if bits < BLOOM_WIDTH_MIN {
            return;
        }
        let mut bloom = Bloom::with_capacity(rows);
        let mut scratch = Vec::new();
        for row in (0..rows).filter(|row| self.is_valid(image, *row)) {
            let value = self.data.value(image, self.data_type, row, &mut scratch);
            bloom.insert(hash(value));
        }
        self.bloom = Some(bloom);
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
            Some(Value::Bytea(bytes)) => bytes.capacity(),
            _ => 0,
        };
        let bloom = self.bloom.as_ref().map_or(0, |_| Bloom::bytes_for(rows));
        self.data.heap_bytes() + bloom + string(&self.low) + string(&self.high)
    }
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.len() <= ZONE_BYTES_MAX,
        Value::Bytea(bytes) => bytes.len() <= ZONE_BYTES_MAX,
        _ => true,
    }
}

/// A hash by which equal values are equal. Nothing that is stored depends on it.
pub(super) fn hash(value: ValueRef<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        ValueRef::Real(v) => float_bits(v.into()).hash(&mut hasher),
        ValueRef::Double(v) => float_bits(v).hash(&mut hasher),
        ValueRef::Numeric(v) => v.hash(&mut hasher),
        ValueRef::Interval(v) => v.hash(&mut hasher),
        ValueRef::Text(v) => v.hash(&mut hasher),
        ValueRef::Bytea(v) => v.hash(&mut hasher),
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

fn float_bits(v: f64) -> u64 {
    match v {
        v if v.is_nan() => f64::NAN.to_bits(),
        0.0 => 0,
        v => v.to_bits(),
    }
}

fn wrong(offset: usize, expected: &'static str, found: u64) -> DecodeError {
    DecodeError {
        offset,
        expected,
        found: found.to_string(),
    }
}
