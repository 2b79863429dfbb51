//! A bit vector with rank and select.
//!
//! ```text
//!  bits     [ 512 bits ][ 512 bits ][ 512 bits ] ..
//!  before     0           301         640         ones before each group
//!  samples    0     0     1     2                 the group that holds one number 0, 256, 512 ..
//! ```
//!
//! *Rank* (how many ones are before a bit) is a counter and at most eight counts of a word. *Select*
//! (which bit is the n-th one) looks between two samples for the group, then within the group. For
//! the 16,384 slots of a block that is at most five steps; nothing depends on how many bits there
//! are before the one that is asked for.
//!
//! Beside the bits this takes an eighth of them at most (Jacobson, "Space-efficient Static Trees and
//! Graphs", FOCS 1989, of which this is the practical form).

const GROUP_WORDS: usize = 8;
const GROUP_BITS: usize = GROUP_WORDS * 64;
/// A sample for so many ones.
const SAMPLE_ONES: usize = 256;

/// Bits that do not change, with counters over them.
///
/// ```
/// use remora_storage::succinct::BitVector;
/// let live = BitVector::from_fn(100, |slot| slot % 3 == 0);
/// assert_eq!((live.get(33), live.rank(33)), (true, 11));
/// assert_eq!(live.select(11), Some(33));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BitVector {
    words: Box<[u64]>,
    len: usize,
    /// Ones before each group of words, and at the end all of them.
    before: Box<[u32]>,
    /// In which group the ones number 0, 256, 512 .. are.
    samples: Box<[u32]>,
}

impl BitVector {
    /// `len` bits, each as `bit` says.
    pub fn from_fn(len: usize, mut bit: impl FnMut(usize) -> bool) -> Self {
        let mut words = vec![0_u64; len.div_ceil(64)];
        for at in 0..len {
            words[at / 64] |= u64::from(bit(at)) << (at % 64);
        }
        Self::over(words, len)
    }

    /// `len` bits that are all set.
    pub fn ones_only(len: usize) -> Self {
        Self::from_fn(len, |_| true)
    }

    /// The first `len` bits of `words`, least significant first. `None` where the words are not
    /// as many as that takes, or a bit beyond is set.
    pub fn from_words(words: Vec<u64>, len: usize) -> Option<Self> {
        let beyond = match len % 64 {
            0 => 0,
            used => words.last().copied().unwrap_or(0) >> used,
        };
        (words.len() == len.div_ceil(64) && beyond == 0).then(|| Self::over(words, len))
    }

    fn over(words: Vec<u64>, len: usize) -> Self {
        assert!(u32::try_from(len).is_ok(), "positions are 32 bits");
        let mut before = Vec::with_capacity(words.len().div_ceil(GROUP_WORDS) + 1);
        let mut samples = Vec::new();
        let mut ones = 0;
        for (group, chunk) in words.chunks(GROUP_WORDS).enumerate() {
            before.push(ones);
            ones += chunk.iter().map(|word| word.count_ones()).sum::<u32>();
            while samples.len() * SAMPLE_ONES < ones as usize {
                samples.push(group as u32);
            }
        }
        before.push(ones);
        Self {
            words: words.into(),
            len,
            before: before.into(),
            samples: samples.into(),
        }
    }

    /// How many bits there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bits are set.
    pub fn ones(&self) -> usize {
        self.before[self.before.len() - 1] as usize
    }

    /// Whether the bit is set; bits beyond the end are not.
    pub fn get(&self, at: usize) -> bool {
        at < self.len && self.words[at / 64] >> (at % 64) & 1 == 1
    }

    /// How many of the first `at` bits are set.
    ///
    /// # Panics
    /// When there are fewer bits.
    pub fn rank(&self, at: usize) -> usize {
        assert!(at <= self.len, "bit {at} of {}", self.len);
        if self.ones() == self.len {
            return at;
        }
        let group = at / GROUP_BITS;
        let whole = &self.words[group * GROUP_WORDS..at / 64];
        let mut ones = self.before[group] + whole.iter().map(|w| w.count_ones()).sum::<u32>();
        if !at.is_multiple_of(64) {
            ones += (self.words[at / 64] & ((1 << (at % 64)) - 1)).count_ones();
        }
        ones as usize
    }

    /// The bit that is the one number `nth`, counted from 0.
    pub fn select(&self, nth: usize) -> Option<usize> {
        if nth >= self.ones() {
            return None;
        }
        let sample = nth / SAMPLE_ONES;
        let first = self.samples[sample] as usize;
        let last = match self.samples.get(sample + 1) {
            Some(group) => *group as usize,
            None => self.before.len() - 2,
        };
        let groups = &self.before[first..=last];
        let group = first + groups.partition_point(|ones| *ones as usize <= nth) - 1;
        let mut left = nth as u32 - self.before[group];
        for (index, word) in self.words[group * GROUP_WORDS..].iter().enumerate() {
            let ones = word.count_ones();
            if left < ones {
                return Some((group * GROUP_WORDS + index) * 64 + select_in_word(*word, left));
            }
            left -= ones;
        }
        unreachable!("the counters agree with the bits")
    }

    /// The bits that are set, in order.
    pub fn iter_ones(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| index * 64 + rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(bit)
            })
        })
    }

    /// The bits, 64 a word, least significant first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Bytes it takes on the heap.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.words) + size_of_val(&*self.before) + size_of_val(&*self.samples)
    }
}

fn select_in_word(mut word: u64, mut nth: u32) -> usize {
    let mut at = 0;
    for half in [32, 16, 8] {
        let low = (word & ((1 << half) - 1)).count_ones();
        if nth >= low {
            nth -= low;
            word >>= half;
            at += half;
        }
    }
    for _ in 0..nth {
        word &= word - 1;
    }
    at + word.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bits in stretches, so that groups are full, empty and mixed.
    fn bits() -> impl Strategy<Value = Vec<bool>> {
        let stretch = (
            prop::sample::select(vec![0_u32, 1, 50, 99, 100]),
            0..1500_usize,
        );
        prop::collection::vec(stretch, 0..12).prop_flat_map(|stretches| {
            let bits = stretches.into_iter().flat_map(|(percent, len)| {
                std::iter::repeat_n(prop::bool::weighted(f64::from(percent) / 100.0), len)
            });
            bits.collect::<Vec<_>>()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rank_and_select_are_as_counted(bits in bits()) {
            let vector = BitVector::from_fn(bits.len(), |at| bits[at]);
            let mut ones = 0;
            for (at, bit) in bits.iter().enumerate() {
                prop_assert_eq!(vector.get(at), *bit);
                prop_assert_eq!(vector.rank(at), ones);
                if *bit {
                    prop_assert_eq!(vector.select(ones), Some(at));
                    ones += 1;
                }
            }
            prop_assert_eq!(vector.rank(bits.len()), ones);
            prop_assert_eq!((vector.ones(), vector.len()), (ones, bits.len()));
            prop_assert_eq!(vector.select(ones), None);
            prop_assert!(!vector.get(bits.len()));
            let listed: Vec<_> = vector.iter_ones().collect();
            let counted: Vec<_> = (0..bits.len()).filter(|at| bits[*at]).collect();
            prop_assert_eq!(listed, counted);
            let again = BitVector::from_words(vector.words().to_vec(), bits.len());
            prop_assert_eq!(again.as_ref(), Some(&vector));
        }
    }

    #[test]
    fn words_that_do_not_fit_the_length_are_refused() {
        assert!(BitVector::from_words(vec![1], 1).is_some());
        assert!(BitVector::from_words(vec![2], 1).is_none());
        assert!(BitVector::from_words(vec![], 1).is_none());
        assert!(BitVector::from_words(vec![0, 0], 64).is_none());
        assert!(BitVector::from_words(vec![], 0).is_some());
    }

    #[test]
    fn the_counters_take_less_than_an_eighth_of_the_bits() {
        let vector = BitVector::ones_only(16_384);
        assert!(vector.heap_bytes() <= 16_384 / 8 * 9 / 8 + 200);
    }
}
