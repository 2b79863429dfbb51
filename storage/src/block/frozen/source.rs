//! A column before it is encoded: its values in their plain form, and which of them are NULL.

use super::plain::{self, Plain};
use crate::value::{DataType, Numeric, ValueRef, value_at};
use arrow_array::Array;

/// A column's values.
pub(in crate::block) struct Source<'a> {
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
    pub(super) fn of_array(data_type: DataType, array: &'a dyn Array) -> Self {
        let values = (0..array.len()).map(|row| value_at(array, data_type, row));
        Self::new(data_type, values)
    }

    /// These values of a type.
    pub(in crate::block) fn new(
        data_type: DataType,
        values: impl Iterator<Item = ValueRef<'a>> + Clone,
    ) -> Self {
        let plain = values.map(|value| plain::plain(data_type, value));
        let valid: Vec<bool> = plain.clone().map(|value| value.is_some()).collect();
        let nulls = valid.iter().filter(|valid| !**valid).count();
        let values = match () {
            () if nulls == valid.len() => Values::Nothing,
            () if plain::is_bytes(data_type) => Values::Strings(plain.map(string).collect()),
            () if plain.clone().flatten().all(|value| int(value).is_some()) => {
                Values::Ints(filled(plain, int).collect())
            }
            () => fixed(data_type, plain),
        };
        Self {
            data_type,
            valid: (nulls > 0).then_some(valid),
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

    /// The most bytes that encoding takes beside the values: what is encoded, another form of it, and lists.
    pub(super) fn scratch_bytes(&self) -> usize {
        /// Codes of a dictionary, its table, and offsets.
        const ROW_BYTES: usize = 48;
        let bytes = match &self.values {
            Values::Nothing => 0,
            Values::Ints(ints) => size_of_val(&**ints),
            Values::Fixed { bytes, .. } => bytes.len(),
            Values::Strings(strings) => strings.iter().flatten().map(|string| string.len()).sum(),
        };
        2 * bytes + self.len() * ROW_BYTES
    }
}

fn string<'a>(value: Option<Plain<'a>>) -> Option<&'a [u8]> {
    match value {
        Some(Plain::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}

fn int(value: Plain<'_>) -> Option<i64> {
    match value {
        Plain::Int(n) => Some(n),
        _ => None,
    }
}

/// Values in another form; a NULL has that of its neighbour.
fn filled<'a, T: Copy + Default>(
    plain: impl Iterator<Item = Option<Plain<'a>>> + Clone,
    form: impl Fn(Plain<'a>) -> Option<T> + Copy,
) -> impl Iterator<Item = T> {
    let mut last = plain.clone().flatten().find_map(form).unwrap_or_default();
    plain.map(move |value| {
        last = value.and_then(form).unwrap_or(last);
        last
    })
}

/// Fixed bytes; of a `NUMERIC(p,s)` of which some values are beyond 64 bits, all are.
fn fixed<'a>(
    data_type: DataType,
    plain: impl Iterator<Item = Option<Plain<'a>>> + Clone,
) -> Values<'a> {
    let width = plain::fixed_width(data_type).expect("neither integers nor strings");
    let form = |value: Plain<'a>| match value {
        Plain::Fixed(bytes) => Some(bytes),
        Plain::Int(n) => {
            let mut all = [0; Numeric::BYTES];
            all[..16].copy_from_slice(&i128::from(n).to_le_bytes());
            Some(all)
        }
        Plain::Bytes(_) => None,
    };
    let mut bytes = Vec::new();
    for value in filled(plain, form) {
        bytes.extend_from_slice(&value[..width]);
    }
    Values::Fixed { bytes, width }
}
