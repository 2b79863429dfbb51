//! A column before it is encoded: its values in their plain form, and which of them are NULL.

use super::plain::{self, Plain};
use crate::value::{DataType, value_at};
use arrow_array::Array;

/// A column's values.
pub(super) struct Source<'a> {
    pub(super) data_type: DataType,
    /// Whether each row has a value, where some have none.
    pub(super) valid: Option<Vec<bool>>,
    pub(super) values: Values<'a>,
}

/// Values in plain form. Rows that are NULL have the value of a neighbour, which costs the least
/// bits; strings say so.
pub(super) enum Values<'a> {
    /// Every row is NULL.
    Nothing,
    Ints(Vec<i64>),
    Fixed {
        bytes: Vec<u8>,
        width: usize,
    },
    Strings(Vec<Option<&'a [u8]>>),
}

impl<'a> Source<'a> {
    /// The values of an array of `data_type.arrow()`.
    pub(super) fn new(data_type: DataType, array: &'a dyn Array) -> Self {
        let plain: Vec<Option<Plain<'a>>> = (0..array.len())
            .map(|row| plain::plain(data_type, value_at(array, data_type, row)))
            .collect();
        let nulls = plain.iter().filter(|value| value.is_none()).count();
        let valid = (nulls > 0).then(|| plain.iter().map(Option::is_some).collect());
        let values = match () {
            () if nulls == plain.len() => Values::Nothing,
            () if plain::is_bytes(data_type) => Values::Strings(strings(&plain)),
            () if plain.iter().flatten().all(is_int) => Values::Ints(ints(&plain)),
            () => fixed(data_type, &plain),
        };
        Self {
            data_type,
            valid,
            values,
        }
    }

    /// How many values there are; 0 where all are NULL.
    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Nothing => 0,
            Values::Ints(ints) => ints.len(),
            Values::Fixed { bytes, width } => bytes.len() / width,
            Values::Strings(strings) => strings.len(),
        }
    }
}

fn is_int(value: &Plain<'_>) -> bool {
    matches!(value, Plain::Int(_))
}

fn strings<'a>(plain: &[Option<Plain<'a>>]) -> Vec<Option<&'a [u8]>> {
    let string = |value: &Option<Plain<'a>>| match value {
        Some(Plain::Bytes(bytes)) => Some(*bytes),
        _ => None,
    };
    plain.iter().map(string).collect()
}

fn ints(plain: &[Option<Plain<'_>>]) -> Vec<i64> {
    let int = |value: &Option<Plain<'_>>| match value {
        Some(Plain::Int(n)) => Some(*n),
        _ => None,
    };
    let mut last = plain.iter().find_map(int).unwrap_or(0);
    let fill = |value| {
        last = int(value).unwrap_or(last);
        last
    };
    plain.iter().map(fill).collect()
}

/// Fixed bytes; of a `NUMERIC(p,s)` of which some values are beyond 64 bits, all are.
fn fixed<'a>(data_type: DataType, plain: &[Option<Plain<'_>>]) -> Values<'a> {
    let width = plain::fixed_width(data_type).expect("neither integers nor strings");
    let mut bytes = Vec::with_capacity(plain.len() * width);
    let fixed = |value: &Option<Plain<'_>>| match value {
        Some(Plain::Fixed(bytes)) => Some(*bytes),
        Some(Plain::Int(n)) => {
            let mut all = [0; 17];
            all[..16].copy_from_slice(&i128::from(*n).to_le_bytes());
            Some(all)
        }
        _ => None,
    };
    let mut last = plain.iter().find_map(fixed).unwrap_or_default();
    for value in plain {
        last = fixed(value).unwrap_or(last);
        bytes.extend_from_slice(&last[..width]);
    }
    Values::Fixed { bytes, width }
}
