//! Floats a vector at a time, whatever their encoding, and bounds of them.
//!
//! A bound of floats is compared through their *keys*: integers in the order that index keys have,
//! NaN above everything and `-0` equal to `0`, which a loop compares without a branch.

use super::data::Data;
use super::pack::VECTOR;
use super::simd::kernel;
use crate::value::{ColumnBounds, Value};
use std::ops::{Bound, RangeInclusive};

/// Unpacks a vector of a column of REAL or DOUBLE into `out`, which is as long as the vector.
pub(super) fn unpack(image: &[u8], data: &Data, vector: usize, out: &mut [f64]) {
    match data {
        Data::Decimal(decimal) => decimal.unpack(image, vector, out),
        Data::Fixed { at, width } => {
            let bytes = &image[at.clone()][vector * VECTOR * width..];
            match width {
                4 => {
                    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                        *out = f32::from_le_bytes(*bytes).into();
                    }
                }
                _ => {
                    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                        *out = f64::from_le_bytes(*bytes);
                    }
                }
            }
        }
        Data::Dictionary(dictionary) => {
            let mut codes = [0; VECTOR];
            dictionary.codes.unpack(image, vector, &mut codes);
            for (out, code) in out.iter_mut().zip(codes) {
                *out = get(image, &dictionary.values, code as usize);
            }
        }
        // Every row is NULL: what stands there means nothing.
        Data::Nothing | Data::Ints(_) | Data::Strings(_) => out.fill(0.0),
    }
}

fn get(image: &[u8], data: &Data, index: usize) -> f64 {
    match data {
        Data::Decimal(decimal) => decimal.get(image, index),
        Data::Fixed { at, width } => {
            super::decimal::float(&image[at.clone()][index * width..][..*width])
        }
        _ => unreachable!("the values of a dictionary of floats"),
    }
}

/// The keys of the floats within the bounds. `None` where there are none.
pub(super) fn keys(bounds: &ColumnBounds) -> Option<RangeInclusive<i64>> {
    let low = match &bounds.low {
        Bound::Unbounded => i64::MIN,
        Bound::Included(value) => key_of(value)?,
        Bound::Excluded(value) => key_of(value)?.checked_add(1)?,
    };
    let high = match &bounds.high {
        Bound::Unbounded => i64::MAX,
        Bound::Included(value) => key_of(value)?,
        Bound::Excluded(value) => key_of(value)?.checked_sub(1)?,
    };
    (low <= high).then_some(low..=high)
}

fn key_of(value: &Value) -> Option<i64> {
    match value {
        Value::Real(value) => Some(key((*value).into())),
        Value::Double(value) => Some(key(*value)),
        _ => None,
    }
}

/// The key of a float.
#[inline(always)]
pub(in crate::block) fn key(value: f64) -> i64 {
    // Adding zero makes -0 zero.
    let bits = (value + 0.0).to_bits() as i64;
    let ordered = bits ^ ((bits >> 63) as u64 >> 1) as i64;
    if value.is_nan() { i64::MAX } else { ordered }
}

kernel! {
    /// Sets a flag for each float whose key lies in the range.
    pub(super) fn flags(values: &[f64], keys: &RangeInclusive<i64>, flags: &mut [u8]) = flags_any;
}

#[inline(always)]
fn flags_any(values: &[f64], keys: &RangeInclusive<i64>, flags: &mut [u8]) {
    let (low, high) = (*keys.start(), *keys.end());
    for (flag, value) in flags.iter_mut().zip(values) {
        let key = key(*value);
        *flag = u8::from((key >= low) & (key <= high));
    }
}
