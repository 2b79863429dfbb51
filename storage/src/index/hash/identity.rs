//! What an entry keeps of its key: 39 bits of hash.

use crate::ids::RowId;
use hashbrown::DefaultHashBuilder;
use std::hash::{BuildHasher, Hasher};

/// Bits of an [`Identity`].
pub(super) const IDENTITY_BITS: u32 = 39;
/// Lower bits of it in an entry's word, above the row; the upper 16 are its tag.
const WORD_BITS: u32 = IDENTITY_BITS - u16::BITS;
/// Bits of a word that say the row.
const ROW_BITS: u32 = u64::BITS - WORD_BITS;
const ROW_MASK: u64 = (1 << ROW_BITS) - 1;
/// Where a row would stand in the word of a [marker](Entry::heavy).
const HEAVY: u64 = ROW_MASK;

/// Row ids in an index are below this.
pub const ROWS_MAX: u64 = HEAVY - 1;

/// A key, as far as a hash index knows it. Its low bits choose the bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity(u64);

impl Identity {
    #[inline(always)]
    pub(super) fn of(hasher: &DefaultHashBuilder, key: &[u8]) -> Self {
        Self(hash(hasher, key) >> (64 - IDENTITY_BITS))
    }

    /// An identity of fewer bits: half of them choose the bucket, half are in the tag.
    #[cfg(test)]
    pub(super) fn weakened(self, bits: u32) -> Self {
        let low = bits - (bits / 2).min(u16::BITS);
        let high = (self.0 >> low) & ((1 << (bits - low)) - 1);
        Self(self.0 & ((1 << low) - 1) | high << WORD_BITS)
    }

    #[inline]
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// What a word with the tag of this identity leads to; `None` if it is not this identity's.
    pub(super) fn target_of(self, word: u64) -> Option<Target> {
        let differ = (word >> ROW_BITS ^ self.0) & ((1 << WORD_BITS) - 1);
        target(word).filter(|_| differ == 0)
    }

    /// The row that a word with the tag of this identity leads to.
    #[inline]
    pub(super) fn row_of(self, word: u64) -> Option<RowId> {
        let differ = (word >> ROW_BITS ^ self.0) & ((1 << WORD_BITS) - 1);
        // Zero, of an empty slot, becomes too large as well.
        let row = (word & ROW_MASK).wrapping_sub(1);
        (differ == 0 && row < ROWS_MAX).then_some(RowId(row))
    }

    /// The bits that tell it from others of its bucket at a glance.
    #[inline]
    pub(super) fn tag(self) -> u16 {
        (self.0 >> WORD_BITS) as u16
    }
}

/// What the row's bits of a word lead to.
fn target(word: u64) -> Option<Target> {
    match word & ROW_MASK {
        0 => None,
        HEAVY => Some(Target::Heavy),
        row => Some(Target::Row(RowId(row - 1))),
    }
}

/// A key's hash. Mark and payload of a key are written apart ([`crate::index::key`]), and read
/// apart here: a load that spans two stores waits until both have left the store buffer, and all
/// loads of the look-up before it have come back.
#[inline(always)]
fn hash(hasher: &DefaultHashBuilder, key: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    if let Some((mark, payload)) = key.split_first() {
        match *payload {
            [a, b, c, d] => hasher.write_u32(u32::from_ne_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => {
                hasher.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
            }
            _ => hasher.write(payload),
        }
        hasher.write_u32(key.len() as u32 | u32::from(*mark) << 24);
    }
    hasher.finish()
}

/// An entry, or the marker of a heavy identity: `word` has the lower bits of the identity above
/// the row's id plus one, so that no entry's word is zero; `tag` has the upper bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) word: u64,
    pub(super) tag: u16,
}

/// What an entry leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Row(RowId),
    /// The identity's rows are kept elsewhere.
    Heavy,
}

impl Entry {
    pub(super) fn new(identity: Identity, row: RowId) -> Self {
        assert!(row.0 < ROWS_MAX, "a table has fewer rows");
        Self::with(identity, row.0 + 1)
    }

    /// The marker of an identity whose rows are kept elsewhere.
    pub(super) fn heavy(identity: Identity) -> Self {
        Self::with(identity, HEAVY)
    }

    fn with(identity: Identity, row: u64) -> Self {
        Self {
            word: identity.0 << ROW_BITS | row,
            tag: identity.tag(),
        }
    }

    pub(super) fn identity(self) -> Identity {
        Identity(u64::from(self.tag) << WORD_BITS | self.word >> ROW_BITS)
    }
}
