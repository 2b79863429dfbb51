//! A bloom filter whose every look-up touches one cache line: the split-block filter of Parquet.
//!
//! ```text
//!  block   8 words of 32 bits; the upper half of the hash names the block, the lower half sets
//!          (or tests) one bit in each word
//! ```
//!
//! With ten bits a key about one look-up in a hundred finds what is not there (Putze, Sanders,
//! Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", WEA 2007; the constants are those of
//! Parquet's specification).

/// Odd numbers that spread the lower half of a hash over the words of a block.
const SALT: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// A set of hashes that may say yes wrongly, never no.
///
/// ```
/// use remora_storage::succinct::Bloom;
/// let mut bloom = Bloom::with_capacity(100);
/// bloom.insert(0x1234_5678_9abc_def0);
/// assert!(bloom.may_contain(0x1234_5678_9abc_def0));
/// ```
#[derive(Clone, Debug)]
pub struct Bloom {
    blocks: Box<[[u32; 8]]>,
}

impl Bloom {
    /// Bits for each key.
    pub const BITS_PER_KEY: usize = 10;

    /// An empty filter for so many keys.
    pub fn with_capacity(keys: usize) -> Self {
        Self {
            blocks: vec![[0; 8]; Self::blocks_for(keys)].into(),
        }
    }

    /// Bytes that a filter for so many keys takes.
    pub fn bytes_for(keys: usize) -> usize {
        Self::blocks_for(keys) * size_of::<[u32; 8]>()
    }

    fn blocks_for(keys: usize) -> usize {
        (keys * Self::BITS_PER_KEY).div_ceil(256).max(1)
    }

    /// Adds a hash; all its 64 bits should be good.
    pub fn insert(&mut self, hash: u64) {
        let block = self.block_of(hash);
        for (word, bit) in self.blocks[block].iter_mut().zip(bits_of(hash)) {
            *word |= bit;
        }
    }

    /// Whether the hash may have been added.
    pub fn may_contain(&self, hash: u64) -> bool {
        let block = &self.blocks[self.block_of(hash)];
        block.iter().zip(bits_of(hash)).all(|(w, bit)| w & bit != 0)
    }

    /// The upper half of the hash, scaled to the number of blocks.
    fn block_of(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }
}

fn bits_of(hash: u64) -> [u32; 8] {
    SALT.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> u64 {
        let z = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn what_was_added_is_found_and_little_else() {
        for keys in [1, 10, 1000, 16_384] {
            let mut bloom = Bloom::with_capacity(keys);
            assert!(!bloom.may_contain(hash(1)), "an empty filter has nothing");
            for key in 0..keys as u64 {
                bloom.insert(hash(key));
            }
            assert!((0..keys as u64).all(|key| bloom.may_contain(hash(key))));
            let wrong = (0..20_000).filter(|n| bloom.may_contain(hash(1 << 40 | n)));
            assert!(wrong.count() < 600, "at most 3 in a hundred of {keys}");
            assert!(Bloom::bytes_for(keys) <= keys * 10 / 8 + 32);
        }
    }
}
