//! What follows from the values of a column: its zone map, and a bloom filter where it pays.

use super::column::{Column, hash};
use super::data::Data;
use super::ints::Ints;
use super::pack::VECTOR;
use super::strings::Strings;
use super::{floats, plain};
use crate::succinct::Bloom;
use crate::value::{DataType, Value, ValueRef};
use std::cmp::Ordering;

/// A zone map keeps strings up to this long, and nothing of longer ones.
const ZONE_BYTES_MAX: usize = 64;
/// A bloom filter must cost at most a third of the values to pay.
const BLOOM_WIDTH_MIN: usize = Bloom::BITS_PER_KEY * 3;

/// Nothing below and nothing above, where known; hashes of all values, where there is a filter.
#[derive(Default, Debug)]
pub(super) struct Derived {
    pub(super) low: Option<Value>,
    pub(super) high: Option<Value>,
    pub(super) bloom: Option<Bloom>,
}

impl Derived {
    /// Of a column whose values were checked.
    pub(super) fn of(image: &[u8], column: &Column, rows: usize) -> Self {
        if column.data_type.is_variable() && !column.data_type.compares_as_bytes() {
            return Self::default();
        }
        let (low, high, bloom) = match &column.data {
            Data::Nothing => return Self::default(),
            Data::Ints(ints) => {
                let (low, high) = of_ints(image, column, ints);
                let value = |n| plain::int_value(column.data_type, n).to_owned();
                (value(low), value(high), None)
            }
            // Values of a dictionary are in order.
            Data::Dictionary(dictionary) => {
                let at = |entry| {
                    let mut scratch = Vec::new();
                    let values = &dictionary.values;
                    let value = values.value(image, column.data_type, entry, &mut scratch);
                    value.to_owned()
                };
                (at(0), at(dictionary.entries - 1), None)
            }
            Data::Strings(strings) => of_strings(image, column, strings, rows),
            Data::Decimal(_) => {
                let (low, high) = of_floats(image, column, rows);
                (low, high, None)
            }
            Data::Fixed { .. } => of_fixed(image, column, rows),
        };
        Self {
            low: Some(low).filter(is_short),
            high: Some(high).filter(is_short),
            bloom,
        }
    }
}

/// An empty filter for values of so many bits each, where it pays: where it is small beside them,
/// and nothing else answers as fast. A dictionary is searched, integers are compared packed.
fn bloom_for(bits: usize, rows: usize) -> Option<Bloom> {
    (bits >= BLOOM_WIDTH_MIN).then(|| Bloom::with_capacity(rows))
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.len() <= ZONE_BYTES_MAX,
        Value::Bytea(bytes) | Value::Packed(_, bytes) => bytes.len() <= ZONE_BYTES_MAX,
        _ => true,
    }
}

fn of_ints(image: &[u8], column: &Column, ints: &Ints) -> (i64, i64) {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    let mut widen = |n: i64| (low, high) = (low.min(n), high.max(n));
    ints.each(image, |vector, values| match column.has_nulls() {
        false => values.iter().for_each(|n| widen(*n)),
        true => {
            let present = column.present(image, vector, values.len());
            present.iter().for_each(|at| widen(values[at]));
        }
    });
    (low, high)
}

/// Least and greatest by their keys, which order floats as bounds do.
fn of_floats(image: &[u8], column: &Column, rows: usize) -> (Value, Value) {
    let (mut low, mut high) = ((i64::MAX, f64::NAN), (i64::MIN, f64::NAN));
    let mut values = [0.0; VECTOR];
    for vector in 0..rows.div_ceil(VECTOR) {
        let count = (rows - vector * VECTOR).min(VECTOR);
        floats::unpack(image, &column.data, vector, &mut values[..count]);
        for at in column.present(image, vector, count).iter() {
            let key = floats::key(values[at]);
            if key <= low.0 {
                low = (key, values[at]);
            }
            if key >= high.0 {
                high = (key, values[at]);
            }
        }
    }
    let value = |value: f64| match column.data_type {
        DataType::Real => Value::Real(value as f32),
        _ => Value::Double(value),
    };
    (value(low.1), value(high.1))
}

fn of_strings(
    image: &[u8],
    column: &Column,
    strings: &Strings,
    rows: usize,
) -> (Value, Value, Option<Bloom>) {
    let mut bloom = bloom_for(strings.width(rows), rows);
    let mut ends: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut row = 0;
    strings.each(image, &(0..rows), |string| {
        if column.is_valid(image, row) {
            let (low, high) = ends.get_or_insert_with(|| (string.to_vec(), string.to_vec()));
            if string < low.as_slice() {
                string.clone_into(low);
            }
            if string > high.as_slice() {
                string.clone_into(high);
            }
            if let Some(bloom) = &mut bloom {
                bloom.insert(hash(ValueRef::Bytea(string)));
            }
        }
        row += 1;
    });
    let (low, high) = ends.unwrap_or_default();
    let value = |bytes: &[u8]| {
        let value = plain::bytes_value(column.data_type, bytes);
        value.expect("it was checked").to_owned()
    };
    (value(&low), value(&high), bloom)
}

fn of_fixed(image: &[u8], column: &Column, rows: usize) -> (Value, Value, Option<Bloom>) {
    let bytes = plain::fixed_width(column.data_type).expect("it is fixed");
    let mut bloom = bloom_for(bytes * 8, rows);
    let (mut low, mut high) = (ValueRef::Null, ValueRef::Null);
    for row in (0..rows).filter(|row| column.is_valid(image, *row)) {
        let (data, data_type) = (&column.data, column.data_type);
        let value = data.fixed(image, data_type, row).expect("it was checked");
        if low.is_null() || value.compare(low) == Some(Ordering::Less) {
            low = value;
        }
        if high.is_null() || value.compare(high) == Some(Ordering::Greater) {
            high = value;
        }
        if let Some(bloom) = &mut bloom {
            bloom.insert(hash(value));
        }
    }
    (low.to_owned(), high.to_owned(), bloom)
}
