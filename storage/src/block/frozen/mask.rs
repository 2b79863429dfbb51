//! Which rows of a vector are chosen.

use super::pack::VECTOR;
use super::simd::kernel;
use std::ops::Range;

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

    /// Whether a row is chosen.
    pub fn contains(&self, row: usize) -> bool {
        self.0[row / 64] >> (row % 64) & 1 != 0
    }

    /// Chooses a row.
    pub(in crate::block) fn insert(&mut self, row: usize) {
        self.0[row / 64] |= 1 << (row % 64);
    }

    /// Chooses a row no more.
    pub(in crate::block) fn remove(&mut self, row: usize) {
        self.0[row / 64] &= !(1 << (row % 64));
    }

    /// Keeps the rows that are within a range.
    pub(in crate::block) fn keep_within(&mut self, rows: &Range<usize>) {
        for (n, word) in self.0.iter_mut().enumerate() {
            let first = n * 64;
            // Bits from a place within the word on; none where it begins beyond.
            let from = |at: usize| match at.saturating_sub(first) {
                inside @ 0..64 => u64::MAX << inside,
                _ => 0,
            };
            *word &= from(rows.start) & !from(rows.end);
        }
    }

    /// Keeps the rows that another mask chooses, too.
    pub(in crate::block) fn keep_chosen(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word &= other;
        }
    }

    /// Keeps the rows whose flag is 1; the others' are 0. There are flags for all rows that are
    /// chosen, and for a multiple of 64.
    pub(in crate::block) fn keep_flagged(&mut self, flags: &[u8]) {
        keep_flagged(&mut self.0, flags);
    }
}

kernel! {
    fn keep_flagged(words: &mut [u64; VECTOR / 64], flags: &[u8]) = keep_flagged_any;
}

#[inline(always)]
fn keep_flagged_any(words: &mut [u64; VECTOR / 64], flags: &[u8]) {
    for (word, flags) in words.iter_mut().zip(flags.as_chunks::<64>().0) {
        let mut bits = 0;
        for (at, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
            // Gathers the lowest bits of eight bytes in the highest byte.
            let byte = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            bits |= byte << (at * 8);
        }
        *word &= bits;
    }
}

kernel! {
    /// The sum of the values of the rows that are chosen, -0 of none, which is what adds nothing to
    /// any float. Values are added up in eight sums, so that the last digits may differ from those
    /// of adding them in order; but not whether the sum overflows: NaN where one of them is so large
    /// that the order may decide it. There are values for all rows that are chosen, and for a
    /// multiple of 64.
    pub fn sum_f64(values: &[f64], chosen: &Mask) -> f64 = sum_f64_any;
}

/// 2^959. A vector of values below it adds up to less than half of the last place of the greatest
/// float: whatever finite sum it is added to stays finite, in any order.
const LARGE: f64 = f64::from_bits((1023 + 959) << 52);

#[inline(always)]
fn sum_f64_any(values: &[f64], chosen: &Mask) -> f64 {
    let nothing = (-0.0_f64).to_bits();
    let mut sums = [-0.0; 8];
    let mut greatest = [0.0; 8];
    for (word, values) in chosen.0.iter().zip(values.as_chunks::<64>().0) {
        for (at, eight) in values.as_chunks::<8>().0.iter().enumerate() {
            let byte = word >> (at * 8);
            for bit in 0..8 {
                // All ones or all zeros: what is not chosen is -0, whatever it was.
                let keep = (byte >> bit & 1).wrapping_neg();
                let value = f64::from_bits(eight[bit].to_bits() & keep | nothing & !keep);
                sums[bit] += value;
                let size = value.abs();
                greatest[bit] = if size > greatest[bit] {
                    size
                } else {
                    greatest[bit]
                };
            }
        }
    }
    match greatest.iter().all(|size| *size < LARGE) {
        true => sums.iter().fold(-0.0, |sum, part| sum + part),
        false => f64::NAN,
    }
}

kernel! {
    /// The sum of the values of the rows that are chosen; as many values as for [`sum_f64`].
    pub fn sum_i64(values: &[i64], chosen: &Mask) -> i128 = sum_i64_any;
}

#[inline(always)]
fn sum_i64_any(values: &[i64], chosen: &Mask) -> i128 {
    // The upper and the lower halves of 1,024 values cannot overflow 64 bits.
    let (mut high, mut low) = (0_i64, 0_u64);
    for (word, values) in chosen.0.iter().zip(values.as_chunks::<64>().0) {
        for (bit, value) in values.iter().enumerate() {
            let value = value & (word >> bit & 1).wrapping_neg() as i64;
            high += value >> 32;
            low += value as u64 & 0xFFFF_FFFF;
        }
    }
    (i128::from(high) << 32) + i128::from(low)
}

kernel! {
    /// The least and the greatest value of the rows that are chosen; of none, what is greater than
    /// all and less than all. As many values as for [`sum_f64`].
    pub fn extremes_i64(values: &[i64], chosen: &Mask) -> (i64, i64) = extremes_i64_any;
}

#[inline(always)]
fn extremes_i64_any(values: &[i64], chosen: &Mask) -> (i64, i64) {
    let (mut least, mut greatest) = ([i64::MAX; 8], [i64::MIN; 8]);
    for (word, values) in chosen.0.iter().zip(values.as_chunks::<64>().0) {
        for (at, eight) in values.as_chunks::<8>().0.iter().enumerate() {
            let byte = word >> (at * 8);
            for (bit, value) in eight.iter().enumerate() {
                let keep = (byte >> bit & 1).wrapping_neg() as i64;
                least[bit] = least[bit].min(value & keep | i64::MAX & !keep);
                greatest[bit] = greatest[bit].max(value & keep | i64::MIN & !keep);
            }
        }
    }
    let least = least.into_iter().min();
    let greatest = greatest.into_iter().max();
    (least.unwrap_or(i64::MAX), greatest.unwrap_or(i64::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn flags_are_bits_and_sums_are_of_those_chosen(
            flags in prop::collection::vec(0..2_u8, VECTOR),
            values in prop::collection::vec(any::<i64>(), VECTOR),
            count in 0..=VECTOR,
        ) {
            let flags: [u8; VECTOR] = flags.try_into().unwrap();
            let values: [i64; VECTOR] = values.try_into().unwrap();
            let mut mask = Mask::first(count);
            prop_assert_eq!(mask.count(), count);
            mask.keep_flagged(&flags);
            let chosen: Vec<usize> = (0..count).filter(|at| flags[*at] == 1).collect();
            prop_assert_eq!(mask.iter().collect::<Vec<_>>(), chosen.clone());
            prop_assert_eq!(mask.is_empty(), chosen.is_empty());
            let sum: i128 = chosen.iter().map(|at| i128::from(values[*at])).sum();
            prop_assert_eq!(sum_i64(&values, &mask), sum);
            let of_chosen = || chosen.iter().map(|at| values[*at]);
            let extremes = (of_chosen().min(), of_chosen().max());
            let extremes = (extremes.0.unwrap_or(i64::MAX), extremes.1.unwrap_or(i64::MIN));
            prop_assert_eq!(extremes_i64(&values, &mask), extremes);
            // Whole numbers, so that no order of adding differs.
            let floats = values.map(|value| (value >> 20) as f64);
            let sum: f64 = chosen.iter().map(|at| floats[*at]).sum();
            prop_assert_eq!(sum_f64(&floats, &mask), sum);
        }
    }

    #[test]
    fn what_is_not_chosen_may_be_anything() {
        let mut values = [f64::NAN; VECTOR];
        values[0] = 1.5;
        assert_eq!(sum_f64(&values, &Mask::first(1)), 1.5);
        let rows = 64;
        assert_eq!(
            sum_f64(&values[..rows], &Mask::first(1)),
            1.5,
            "values of few rows"
        );
        assert_eq!(sum_i64(&[7; 64], &Mask::first(2)), 14);
    }

    /// In order these overflow; in eight sums they would not.
    #[test]
    fn large_values_are_left_to_be_added_in_order() {
        let mut values = [0.0; 64];
        for at in [0, 1] {
            (values[at], values[at + 8]) = (1e308, -1e308);
        }
        assert!(sum_f64(&values, &Mask::first(64)).is_nan());
        assert_eq!(sum_f64(&[1e288; 64], &Mask::first(1)), 1e288);
    }

    #[test]
    fn the_sum_of_negative_zeros_is_one() {
        let values = [-0.0; 64];
        assert!(sum_f64(&values, &Mask::first(3)).is_sign_negative());
        let values: [f64; 64] = std::array::from_fn(|at| if at == 2 { 0.0 } else { -0.0 });
        assert!(sum_f64(&values, &Mask::first(3)).is_sign_positive());
        assert!(sum_f64(&values, &Mask::first(2)).is_sign_negative());
    }

    #[test]
    fn masks_are_cut_and_changed_row_by_row() {
        let mut mask = Mask::first(200);
        mask.keep_within(&(60..130));
        mask.remove(64);
        mask.insert(1000);
        let rows: Vec<usize> = (60..64).chain(65..130).chain([1000]).collect();
        assert_eq!(mask.iter().collect::<Vec<_>>(), rows);
        assert!(mask.contains(129) && !mask.contains(64) && !mask.contains(130));
        let mut both = Mask::first(62);
        both.keep_chosen(&mask);
        assert_eq!(both.iter().collect::<Vec<_>>(), [60, 61]);
    }
}
