//! Which rows of a vector are chosen.

use super::pack::VECTOR;
use super::simd::kernel;

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

    /// Keeps the rows whose flag is 1; the others' are 0.
    pub(super) fn keep_flagged(&mut self, flags: &[u8; VECTOR]) {
        keep_flagged(&mut self.0, flags);
    }
}

kernel! {
    fn keep_flagged(words: &mut [u64; VECTOR / 64], flags: &[u8; VECTOR]) = keep_flagged_any;
}

#[inline(always)]
fn keep_flagged_any(words: &mut [u64; VECTOR / 64], flags: &[u8; VECTOR]) {
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
    /// The sum of the values of the rows that are chosen. Values are added up in eight sums, so
    /// that the last digits may differ from those of adding them in order.
    pub fn sum_f64(values: &[f64; VECTOR], chosen: &Mask) -> f64 = sum_f64_any;
}

#[inline(always)]
fn sum_f64_any(values: &[f64; VECTOR], chosen: &Mask) -> f64 {
    let mut sums = [0.0; 8];
    for (word, values) in chosen.0.iter().zip(values.as_chunks::<64>().0) {
        for (at, eight) in values.as_chunks::<8>().0.iter().enumerate() {
            let byte = word >> (at * 8);
            for (bit, (sum, value)) in sums.iter_mut().zip(eight).enumerate() {
                // All ones or all zeros: what is not chosen is +0, whatever it was.
                let keep = (byte >> bit & 1).wrapping_neg();
                *sum += f64::from_bits(value.to_bits() & keep);
            }
        }
    }
    sums.iter().sum()
}

kernel! {
    /// The sum of the values of the rows that are chosen.
    pub fn sum_i64(values: &[i64; VECTOR], chosen: &Mask) -> i128 = sum_i64_any;
}

#[inline(always)]
fn sum_i64_any(values: &[i64; VECTOR], chosen: &Mask) -> i128 {
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
    }
}
