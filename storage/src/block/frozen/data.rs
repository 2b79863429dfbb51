//! The encodings of a column, and which one a column gets.
//!
//! ```text
//!  Nothing      every row is NULL
//!  Ints         integers: packed around a line, or runs                    ints.rs
//!  Decimal      floats that are decimals: integers and two powers of ten   decimal.rs
//!  Fixed        values of some bytes, one after the other
//!  Strings      common prefix and suffix, symbol table                     strings.rs
//!  Dictionary   the distinct values in order, and for each row which one, as integers
//! ```
//!
//! A column is written in each form that its type allows and that has a chance; the shortest stays.
//! Constants need no form of their own: they are integers of no bits, or a dictionary of one value.

use super::decimal::Decimal;
use super::ints::Ints;
use super::plain;
use super::source::{Source, Values};
use super::strings::Strings;
use crate::codec::{DecodeError, Decoder, put_varint};
use crate::value::{DataType, ValueRef};
use hashbrown::HashMap;
use std::hash::Hash;
use std::ops::Range;

/// A column's values, encoded; the bytes are in the image that is passed to each call.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Nothing,
    Ints(Ints),
    Decimal(Decimal),
    Fixed { at: Range<usize>, width: usize },
    Strings(Strings),
    Dictionary(Box<Dictionary>),
}

/// Distinct values, and which one each row has.
#[derive(Clone, Debug)]
pub(super) struct Dictionary {
    /// In order; never a dictionary itself.
    pub(super) values: Data,
    pub(super) entries: usize,
    pub(super) codes: Ints,
}

const NOTHING: u8 = 0;
const INTS: u8 = 1;
const FIXED: u8 = 2;
const STRINGS: u8 = 3;
const DICTIONARY: u8 = 4;
const DECIMAL: u8 = 5;

impl Data {
    /// Appends a column in its shortest form.
    pub(super) fn encode(source: &Source<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        encode_plain(source.data_type, &source.values, out);
        // What is short already is not searched for repetitions.
        let bytes = out.len() - start;
        if bytes * 8 <= source.len() {
            return;
        }
        let mut dictionary = Vec::new();
        if encode_dictionary(source, &mut dictionary) && dictionary.len() * 8 < bytes * 7 {
            out.truncate(start);
            out.append(&mut dictionary);
        }
    }

    /// Reads what `encode` wrote of `len` values of the type.
    pub(super) fn parse(
        decoder: &mut Decoder<'_>,
        data_type: DataType,
        len: usize,
    ) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        let tag = decoder.u8()?;
        let width = plain::fixed_width(data_type);
        match (tag, width) {
            (NOTHING, _) => Ok(Self::Nothing),
            (INTS, _) if plain::int_range(data_type).is_some() => {
                Ok(Self::Ints(Ints::parse(decoder, len)?))
            }
            (FIXED, Some(width)) => {
                decoder.take(len * width)?;
                let at = decoder.offset() - len * width..decoder.offset();
                Ok(Self::Fixed { at, width })
            }
            (DECIMAL, Some(width)) if matches!(data_type, DataType::Real | DataType::Double) => {
                Ok(Self::Decimal(Decimal::parse(decoder, width, len)?))
            }
            (STRINGS, _) if plain::is_bytes(data_type) => {
                Ok(Self::Strings(Strings::parse(decoder, len)?))
            }
            (DICTIONARY, _) => {
                let dictionary = Dictionary::parse(decoder, data_type, len)?;
                Ok(Self::Dictionary(Box::new(dictionary)))
            }
            _ => Err(DecodeError {
                offset,
                expected: "an encoding of the column's type",
                found: format!("{tag} of {data_type}"),
            }),
        }
    }

    /// Value `index`, which is not NULL.
    pub(super) fn value<'a>(
        &'a self,
        image: &'a [u8],
        data_type: DataType,
        index: usize,
        scratch: &'a mut Vec<u8>,
    ) -> ValueRef<'a> {
        self.try_value(image, data_type, index, scratch)
            .expect("values were checked when they were read")
    }

    /// Value `index`; `None` where the bytes are of no value of the type.
    pub(super) fn try_value<'a>(
        &'a self,
        image: &'a [u8],
        data_type: DataType,
        index: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Option<ValueRef<'a>> {
        match self {
            Self::Nothing => Some(ValueRef::Null),
            Self::Ints(ints) => Some(plain::int_value(data_type, ints.get(image, index))),
            Self::Decimal(decimal) => Some(match data_type {
                DataType::Real => ValueRef::Real(decimal.get(image, index) as f32),
                _ => ValueRef::Double(decimal.get(image, index)),
            }),
            Self::Fixed { .. } => self.fixed(image, data_type, index),
            Self::Strings(strings) => {
                plain::bytes_value(data_type, strings.get(image, index, scratch))
            }
            Self::Dictionary(dictionary) => {
                let code = dictionary.codes.get(image, index) as usize;
                dictionary.values.try_value(image, data_type, code, scratch)
            }
        }
    }

    /// Value `index` of values that are fixed bytes.
    pub(super) fn fixed(
        &self,
        image: &[u8],
        data_type: DataType,
        index: usize,
    ) -> Option<ValueRef<'static>> {
        let Self::Fixed { at, width } = self else {
            return None;
        };
        plain::fixed_value(data_type, &image[at.clone()][index * width..][..*width])
    }

    /// Whether every one of `len` values can be read. Values must be valid before they are read.
    pub(super) fn is_valid(&self, image: &[u8], data_type: DataType, len: usize) -> bool {
        match self {
            Self::Nothing => true,
            Self::Ints(ints) => {
                let range = plain::int_range(data_type).expect("`parse` checked");
                ints.is_within(image, &range)
            }
            Self::Decimal(decimal) => decimal.is_valid(image, len),
            Self::Fixed { at, width } => image[at.clone()]
                .chunks_exact(*width)
                .all(|bytes| plain::fixed_value(data_type, bytes).is_some()),
            Self::Strings(strings) => {
                let mut valid = strings.is_valid(image, len);
                if valid {
                    strings.each(image, &(0..len), |string| {
                        valid &= plain::bytes_value(data_type, string).is_some();
                    });
                }
                valid
            }
            Self::Dictionary(dictionary) => dictionary.is_valid(image, data_type),
        }
    }

    /// Bytes that the parsed form takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Strings(strings) => strings.heap_bytes(),
            Self::Dictionary(dictionary) => {
                size_of::<Dictionary>() + dictionary.values.heap_bytes()
            }
            _ => 0,
        }
    }
}

impl Dictionary {
    fn parse(
        decoder: &mut Decoder<'_>,
        data_type: DataType,
        len: usize,
    ) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        let entries = decoder.varint()?;
        let wrong = |found: u64| DecodeError {
            offset,
            expected: "a dictionary of at least one value, at most one a row",
            found: format!("{found} values"),
        };
        if entries == 0 || entries > len as u64 {
            return Err(wrong(entries));
        }
        let entries = entries as usize;
        let values = Data::parse_plain(decoder, data_type, entries)?;
        let codes = Ints::parse(decoder, len)?;
        Ok(Self {
            values,
            entries,
            codes,
        })
    }

    fn is_valid(&self, image: &[u8], data_type: DataType) -> bool {
        let codes = 0..=self.entries as i64 - 1;
        self.values.is_valid(image, data_type, self.entries)
            && self.codes.is_within(image, &codes)
            && self.is_sorted(image, data_type)
    }

    fn is_sorted(&self, image: &[u8], data_type: DataType) -> bool {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        (1..self.entries).all(|at| {
            let low = self.values.value(image, data_type, at - 1, &mut one);
            let high = self.values.value(image, data_type, at, &mut two);
            match (low.bytes(), high.bytes()) {
                (Some(low), Some(high)) => low <= high,
                _ => low.compare(high).is_some_and(|order| order.is_le()),
            }
        })
    }

    /// How many of the values `are_below`, which holds for the first ones up to some value.
    pub(super) fn partition_point(
        &self,
        image: &[u8],
        data_type: DataType,
        are_below: impl Fn(ValueRef<'_>) -> bool,
    ) -> usize {
        let mut scratch = Vec::new();
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = (low + high) / 2;
            match are_below(self.values.value(image, data_type, middle, &mut scratch)) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }
}

impl Data {
    /// Like [`Data::parse`], of the values of a dictionary.
    fn parse_plain(
        decoder: &mut Decoder<'_>,
        data_type: DataType,
        len: usize,
    ) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        let mut peek = decoder.clone();
        match peek.u8()? {
            DICTIONARY | NOTHING => Err(DecodeError {
                offset,
                expected: "the values of a dictionary",
                found: "another dictionary or nothing".to_owned(),
            }),
            _ => Self::parse(decoder, data_type, len),
        }
    }
}

/// Appends the values without a dictionary.
fn encode_plain(data_type: DataType, values: &Values<'_>, out: &mut Vec<u8>) {
    match values {
        Values::Nothing => out.push(NOTHING),
        Values::Ints(ints) => {
            out.push(INTS);
            Ints::encode(ints, out);
        }
        Values::Fixed { bytes, width } => {
            let start = out.len();
            out.push(DECIMAL);
            let shorter = |out: &Vec<u8>| out.len() - start < bytes.len();
            if matches!(width, 4 | 8) && Decimal::encode(bytes, *width, out) && shorter(out) {
                return;
            }
            out.truncate(start);
            out.push(FIXED);
            out.extend_from_slice(bytes);
        }
        Values::Strings(strings) => {
            out.push(STRINGS);
            Strings::encode(strings, data_type.is_text(), out);
        }
    }
}

/// Appends a dictionary and codes; `false`, and nothing of use, where too many values differ.
fn encode_dictionary(source: &Source<'_>, out: &mut Vec<u8>) -> bool {
    let data_type = source.data_type;
    match &source.values {
        Values::Nothing => false,
        Values::Ints(ints) => {
            let value = |n| Some(plain::int_value(data_type, n));
            let present = ints.iter().copied();
            dictionary_of(data_type, present, value, out, Values::Ints)
        }
        Values::Fixed { bytes, width } => {
            let value = |bytes| plain::fixed_value(data_type, bytes);
            let present = bytes.chunks_exact(*width);
            dictionary_of(data_type, present, value, out, |distinct| Values::Fixed {
                bytes: distinct.concat(),
                width: *width,
            })
        }
        Values::Strings(strings) => {
            // A NULL takes the place of any value: the first one there is.
            let any = strings.iter().flatten().next().copied().unwrap_or(&[]);
            let value = |bytes| Some(ValueRef::Bytea(bytes));
            let present = strings.iter().map(|string| string.unwrap_or(any));
            dictionary_of(data_type, present, value, out, |distinct| {
                Values::Strings(distinct.into_iter().map(Some).collect())
            })
        }
    }
}

fn dictionary_of<'v, T: Eq + Hash + Ord + Copy + 'v>(
    data_type: DataType,
    values: impl ExactSizeIterator<Item = T> + Clone,
    value: impl Fn(T) -> Option<ValueRef<'v>>,
    out: &mut Vec<u8>,
    as_values: impl Fn(Vec<T>) -> Values<'v>,
) -> bool {
    let limit = values.len() / 2;
    let mut code_of: HashMap<T, u32> = HashMap::new();
    for item in values.clone() {
        code_of.entry(item).or_default();
        if code_of.len() > limit {
            return false;
        }
    }
    let mut distinct: Vec<T> = code_of.keys().copied().collect();
    distinct.sort_unstable_by(|a, b| {
        let order = value(*a).zip(value(*b)).and_then(|(a, b)| a.compare(b));
        order.expect("values of one type").then_with(|| a.cmp(b))
    });
    for (code, item) in distinct.iter().enumerate() {
        code_of.insert(*item, code as u32);
    }
    let codes: Vec<i64> = values.map(|item| code_of[&item].into()).collect();
    drop(code_of);
    out.push(DICTIONARY);
    put_varint(out, distinct.len() as u64);
    encode_plain(data_type, &as_values(distinct), out);
    Ints::encode(&codes, out);
    true
}
