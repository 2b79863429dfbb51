//! Choosing rows by bounds of columns, on encoded values where they allow it.
//!
//! 1. For a block, each column's bounds become a test in the terms of its encoding: a range of
//!    packed integers, a range of a dictionary's codes, or the bounds themselves. Zone map, bloom
//!    filter and dictionary may answer already that no row can pass.
//! 2. For a vector of 1,024 rows, the tests that compare integers make a flag a row in loops
//!    without a branch; the flags become bits, and what remains of the bits is given to the others.

use super::column::{Column, hash};
use super::data::Data;
use super::ints::Ints;
use super::pack::VECTOR;
use super::{Frozen, plain};
use crate::value::{ColumnBounds, DataType, Value, ValueRef};
use std::ops::{Bound, Range, RangeInclusive};

/// Which rows of a vector are chosen, a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mask([u64; VECTOR / 64]);

impl Mask {
    /// The first `count` rows.
    pub fn first(count: usize) -> Self {
        let word = |at: usize| match count.saturating_sub(at * 64) {
            0 => 0,
            some @ 1..64 => (1 << some) - 1,
            _ => u64::MAX,
        };
        Self(std::array::from_fn(word))
    }

    /// The bits, 64 a word, least significant first.
    pub fn words(&self) -> &[u64; VECTOR / 64] {
        &self.0
    }

    pub(super) fn words_mut(&mut self) -> &mut [u64; VECTOR / 64] {
        &mut self.0
    }

    /// How many rows are chosen.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; VECTOR / 64]
    }

    /// The rows chosen, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0
            .into_iter()
            .enumerate()
            .flat_map(|(index, mut rest)| {
                std::iter::from_fn(move || {
                    let bit = (rest != 0).then(|| index * 64 + rest.trailing_zeros() as usize)?;
                    rest &= rest - 1;
                    Some(bit)
                })
            })
    }

    /// Keeps the rows whose flag is 1.
    fn keep_flagged(&mut self, flags: &[u8; VECTOR]) {
        for (word, flags) in self.0.iter_mut().zip(flags.as_chunks::<64>().0) {
            let mut bits = 0;
            for (at, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
                // Gathers the lowest bits of eight bytes in the highest byte.
                let byte = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
                bits |= byte << (at * 8);
            }
            *word &= bits;
        }
    }
}

/// What bounds ask of one column, in the terms of its encoding.
#[derive(Debug)]
enum Test<'f> {
    /// Rows that are not NULL.
    Present,
    /// Rows whose integer (value or code) is in the range.
    Range(&'f Ints, RangeInclusive<i64>),
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

    /// Whether a row may pass the bounds; `false` is certain.
    pub fn may_match(&self, bounds: &[ColumnBounds]) -> bool {
        self.rows() > 0 && self.filter(bounds).is_some()
    }

    /// Appends the positions within the range whose rows pass all bounds, in order.
    pub fn select(&self, bounds: &[ColumnBounds], positions: Range<u32>, out: &mut Vec<u32>) {
        if let Some(filter) = self.filter(bounds) {
            filter.select(positions, out);
        }
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
                Test::Each(bounds) => keep_each(image, column, bounds, vector, &mut mask),
            }
        }
        mask
    }

    /// Appends the positions within the range whose rows pass, in order.
    pub fn select(&self, positions: Range<u32>, out: &mut Vec<u32>) {
        let end = (positions.end as usize).min(self.frozen.rows());
        let start = positions.start as usize;
        for vector in start / VECTOR..end.div_ceil(VECTOR) {
            let first = vector * VECTOR;
            let chosen = self.mask(vector);
            let within = chosen.iter().map(|at| first + at);
            let within = within.filter(|at| (start..end).contains(at));
            out.extend(within.map(|at| at as u32));
        }
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
fn test<'f>(image: &[u8], column: &'f Column, bounds: &'f ColumnBounds) -> Option<Test<'f>> {
    if matches!(column.data, Data::Nothing) || is_outside(column, bounds) {
        return None;
    }
    if matches!(
        (&bounds.low, &bounds.high),
        (Bound::Unbounded, Bound::Unbounded)
    ) {
        return Some(Test::Present);
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
        Data::Fixed { .. } | Data::Strings(_) => Some(Test::Each(bounds)),
    }
}

/// Whether zone map or bloom filter say that no value is within the bounds.
fn is_outside(column: &Column, bounds: &ColumnBounds) -> bool {
    let known = |value: &Option<Value>, admits: &dyn Fn(ValueRef<'_>) -> bool| {
        value.as_ref().is_some_and(|value| !admits(value.as_ref()))
    };
    if known(&column.high, &|high| bounds.admits_from_below(high))
        || known(&column.low, &|low| bounds.admits_from_above(low))
    {
        return true;
    }
    match (&column.bloom, bounds.point()) {
        (Some(bloom), Some(value)) => !bloom.may_contain(hash(value)),
        _ => false,
    }
}

/// The integers of a type that are within the bounds. `None` where there are none.
fn int_bounds(data_type: DataType, bounds: &ColumnBounds) -> Option<RangeInclusive<i64>> {
    let all = plain::int_range(data_type)?;
    let value = |n| plain::int_value(data_type, n);
    let low = partition(&all, |n| !bounds.admits_from_below(value(n)));
    let high = partition(&all, |n| bounds.admits_from_above(value(n))) - 1;
    let (low, high) = (i64::try_from(low).ok()?, i64::try_from(high).ok()?);
    (low <= high).then_some(low..=high)
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
