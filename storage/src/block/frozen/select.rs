//! Choosing rows by bounds of columns, on encoded values where they allow it.
//!
//! 1. For a block, each column's bounds become a test in the terms of its encoding: a range of
//!    packed integers, a range of a dictionary's codes, or the bounds themselves. Zone map, bloom
//!    filter and dictionary may answer already that no row can pass.
//! 2. For a vector of 1,024 rows, the tests that compare integers make a flag a row in loops
//!    without a branch; the flags become bits, and what remains of the bits is given to the others.

use super::column::{Column, hash};
use super::data::Data;
use super::decimal::{self, Decimal};
use super::ints::Ints;
use super::mask::Mask;
use super::pack::VECTOR;
use super::{Frozen, floats, plain};
use crate::value::{ColumnBounds, DataType, Value, ValueRef};
use std::ops::{Bound, RangeInclusive};

/// What bounds ask of one column, in the terms of its encoding.
#[derive(Debug)]
enum Test<'f> {
    /// Rows that are not NULL.
    Present,
    /// Rows whose integer (value or code) is in the range.
    Range(&'f Ints, RangeInclusive<i64>),
    /// Rows whose float, made of an integer in the range (if any is), is within the bounds;
    /// exceptions are compared with these.
    Floats(&'f Decimal, Option<RangeInclusive<i64>>, &'f ColumnBounds),
    /// Rows whose float's key is in the range.
    Keys(RangeInclusive<i64>),
    /// Rows whose value is within the bounds.
    Each(&'f ColumnBounds),
}

/// Bounds made ready for one block. See [`Frozen::filter`].
#[derive(Debug)]
pub struct Filter<'f> {
    frozen: &'f Frozen,
    /// The cheap ones first.
    tests: Vec<(&'f Column, Test<'f>)>,
}

impl Frozen {
    /// The bounds, all of which must hold, made ready to choose rows of this block. `None` where no
    /// row can pass: by zone map, bloom filter or dictionary.
    pub fn filter<'f>(&'f self, bounds: &'f [ColumnBounds]) -> Option<Filter<'f>> {
        let mut tests = Vec::with_capacity(bounds.len());
        for bounds in bounds {
            // NULL is within no bounds, and a column that the block does not have is NULL.
            let column = self.column(bounds.column)?;
            let test = test(&self.image, column, bounds)?;
            tests.push((column, test));
        }
        tests.sort_by_key(|(_, test)| matches!(test, Test::Each(_)));
        Some(Filter {
            frozen: self,
            tests,
        })
    }
}

impl Filter<'_> {
    /// Which rows of a vector pass: of positions `1024 * vector ..`, up to 1,024 of them.
    pub fn mask(&self, vector: usize) -> Mask {
        let image = &self.frozen.image;
        let mut mask = Mask::first(self.frozen.vector_len(vector));
        for (column, test) in &self.tests {
            column.clear_nulls(image, vector, &mut mask);
            match test {
                Test::Present => {}
                Test::Range(ints, range) => {
                    let mut flags = [0; VECTOR];
                    ints.flags(image, vector, range, &mut flags);
                    mask.keep_flagged(&flags);
                }
                Test::Floats(decimal, range, bounds) => {
                    let mut flags = [0; VECTOR];
                    if let Some(range) = range {
                        decimal.ints.flags(image, vector, range, &mut flags);
                    }
                    decimal.each_exception(image, vector, |at, value| {
                        let value = float_value(column.data_type, value);
                        flags[at] = u8::from(bounds.admits(value));
                    });
                    mask.keep_flagged(&flags);
                }
                Test::Keys(keys) => {
                    let (mut values, mut flags) = ([0.0; VECTOR], [0; VECTOR]);
                    let count = self.frozen.vector_len(vector);
                    floats::unpack(image, &column.data, vector, &mut values[..count]);
                    floats::flags(&values, keys, &mut flags);
                    mask.keep_flagged(&flags);
                }
                Test::Each(bounds) => keep_each(image, column, bounds, vector, &mut mask),
            }
        }
        mask
    }
}

fn keep_each(image: &[u8], column: &Column, bounds: &ColumnBounds, vector: usize, mask: &mut Mask) {
    let mut scratch = Vec::new();
    for (index, word) in mask.words_mut().iter_mut().enumerate() {
        let mut rest = *word;
        while rest != 0 {
            let bit = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let row = vector * VECTOR + index * 64 + bit;
            let value = column
                .data
                .value(image, column.data_type, row, &mut scratch);
            if !bounds.admits(value) {
                *word &= !(1 << bit);
            }
        }
    }
}

/// The test that bounds are of a column. `None` where no row can pass.
fn test<'f>(image: &'f [u8], column: &'f Column, bounds: &'f ColumnBounds) -> Option<Test<'f>> {
    if matches!(column.data, Data::Nothing) || is_outside(column, bounds) {
        return None;
    }
    if is_inside(column, bounds) {
        return Some(Test::Present);
    }
    if column.data_type.is_variable() && !column.data_type.compares_as_bytes() {
        return Some(Test::Each(bounds));
    }
    match &column.data {
        Data::Nothing => None,
        Data::Ints(ints) => {
            let range = int_bounds(column.data_type, bounds)?;
            Some(Test::Range(ints, range))
        }
        Data::Dictionary(dictionary) => {
            let below = |are_below: &dyn Fn(ValueRef<'_>) -> bool| {
                dictionary.partition_point(image, column.data_type, are_below) as i64
            };
            let start = below(&|value| !bounds.admits_from_below(value));
            let end = below(&|value| bounds.admits_from_above(value));
            (start < end).then(|| Test::Range(&dictionary.codes, start..=end - 1))
        }
        Data::Decimal(decimal) => {
            let value = |n| float_value(column.data_type, decimal.scale.decode(n));
            let all = -decimal::INTEGER_MAX..=decimal::INTEGER_MAX;
            let range = range_of(
                &all,
                |n| bounds.admits_from_below(value(n)),
                |n| bounds.admits_from_above(value(n)),
            );
            let possible = range.is_some() || decimal.has_exceptions();
            possible.then_some(Test::Floats(decimal, range, bounds))
        }
        Data::Strings(strings) => match strings.as_ints(image) {
            None => Some(Test::Each(bounds)),
            Some(ordered) => {
                let admits = |n, admits: fn(&ColumnBounds, ValueRef<'_>) -> bool| {
                    let mut scratch = Vec::new();
                    let string = ordered.string(n, &mut scratch);
                    let value = plain::bytes_value(column.data_type, string);
                    value.is_some_and(|value| admits(bounds, value))
                };
                let range = range_of(
                    &ordered.numbers(),
                    |n| admits(n, ColumnBounds::admits_from_below),
                    |n| admits(n, ColumnBounds::admits_from_above),
                )?;
                Some(Test::Range(ordered.ints(), range))
            }
        },
        Data::Fixed { .. } => match column.data_type {
            DataType::Real | DataType::Double => floats::keys(bounds).map(Test::Keys),
            _ => Some(Test::Each(bounds)),
        },
    }
}

/// Whether zone map or bloom filter say that no value is within the bounds.
fn is_outside(column: &Column, bounds: &ColumnBounds) -> bool {
    let known = |value: &Option<Value>, admits: &dyn Fn(ValueRef<'_>) -> bool| {
        value.as_ref().is_some_and(|value| !admits(value.as_ref()))
    };
    if known(&column.derived.high, &|high| bounds.admits_from_below(high))
        || known(&column.derived.low, &|low| bounds.admits_from_above(low))
    {
        return true;
    }
    match (&column.derived.bloom, bounds.point()) {
        (Some(bloom), Some(value)) => !bloom.may_contain(hash(value)),
        _ => false,
    }
}

/// Whether the zone map says that every value is within the bounds.
fn is_inside(column: &Column, bounds: &ColumnBounds) -> bool {
    let known = |value: &Option<Value>, admits: &dyn Fn(ValueRef<'_>) -> bool| {
        value.as_ref().is_some_and(|value| admits(value.as_ref()))
    };
    let above = known(&column.derived.low, &|low| bounds.admits_from_below(low));
    let below = known(&column.derived.high, &|high| bounds.admits_from_above(high));
    (above || matches!(bounds.low, Bound::Unbounded))
        && (below || matches!(bounds.high, Bound::Unbounded))
}

/// The integers of a type that are within the bounds. `None` where there are none.
fn int_bounds(data_type: DataType, bounds: &ColumnBounds) -> Option<RangeInclusive<i64>> {
    let all = plain::int_range(data_type)?;
    let value = |n| plain::int_value(data_type, n);
    range_of(
        &all,
        |n| bounds.admits_from_below(value(n)),
        |n| bounds.admits_from_above(value(n)),
    )
}

/// The integers of a range that are high enough and low enough. `None` where there are none.
fn range_of(
    all: &RangeInclusive<i64>,
    is_high_enough: impl Fn(i64) -> bool,
    is_low_enough: impl Fn(i64) -> bool,
) -> Option<RangeInclusive<i64>> {
    let low = i64::try_from(partition(all, |n| !is_high_enough(n))).ok()?;
    let high = i64::try_from(partition(all, is_low_enough) - 1).ok()?;
    (low <= high).then_some(low..=high)
}

/// A float as a value of its type.
fn float_value(data_type: DataType, value: f64) -> ValueRef<'static> {
    match data_type {
        DataType::Real => ValueRef::Real(value as f32),
        _ => ValueRef::Double(value),
    }
}

/// The first integer of a range for which `are_below` no longer holds; it holds up to some one.
fn partition(range: &RangeInclusive<i64>, are_below: impl Fn(i64) -> bool) -> i128 {
    let (mut low, mut high) = (i128::from(*range.start()), i128::from(*range.end()) + 1);
    while low < high {
        let middle = (low + high) >> 1;
        match are_below(middle as i64) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}
