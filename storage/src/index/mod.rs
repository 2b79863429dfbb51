//! Indexes: from key bytes to the rows that have, or had, that key.
//!
//! An index holds *entries*, pairs of key bytes (see [`key`]) and [`RowId`]. It knows nothing of
//! versions, visibility or uniqueness: there is an entry for the key of every version that some
//! snapshot may still want, so one row may stand under several keys, and several rows under one
//! key of a unique index. Whoever reads an entry looks at the row and accepts the entry only if the
//! version it sees has exactly that key; whoever adds or removes one holds the key's latch
//! ([`KeyLatches`]).
//!
//! - [`OrderedIndex`]: points, ranges, order. Leaves of some hundred keys in sorted arrays, each
//!   behind its own lock, below one directory of their lowest keys.
//! - [`HashIndex`]: points only. Shards of open-addressing tables, each behind its own lock.
//!
//! Both keep a key once, short keys (up to 22 bytes: any single number, date or UUID) without a
//! heap allocation, and a lone row beside its key. Both shrink when keys go. What they allocate is
//! reserved from the ledger under [`crate::pool::Owner::Index`] as an upper bound.
//!
//! They are the first, plain implementations: readers take shared locks, so they touch the lock's
//! cache line, and a point look-up in the ordered index compares about log2(n) integers, most of them cache misses. An adaptive
//! radix tree and a hash table with lock-free readers are to replace them behind this interface.
//!
//! Invariants
//! - No lock is held after a call returned; a scan is resumed by its [`Cursor`], which names the
//!   last entry given out.
//! - An insert that fails changed nothing; a removal never fails and never needs memory.

mod bytes;
mod cursor;
mod hash;
pub mod key;
mod latch;
mod leaf;
mod ordered;
mod probe;
mod rows;

#[cfg(test)]
mod tests;

pub use cursor::{Cursor, Entries};
pub use hash::HashIndex;
pub use key::{KeyColumn, encode_key, is_key_of_word, prefix_end};
pub use latch::{KeyGuard, KeyLatches};
pub use ordered::OrderedIndex;

use crate::error::{Error, Result};
use crate::ids::RowId;
use crate::limits::KEY_BYTES_MAX;
use crate::pool::Ledger;
use std::sync::Arc;

/// The entries of an index, in either structure.
#[derive(Debug)]
pub enum Index {
    /// Points, ranges and order.
    Ordered(OrderedIndex),
    /// Points only.
    Hash(HashIndex),
}

impl Index {
    /// An empty ordered index.
    pub fn ordered(ledger: &Arc<Ledger>) -> Result<Self> {
        OrderedIndex::new(ledger).map(Self::Ordered)
    }

    /// An empty hash index.
    pub fn hash(ledger: &Arc<Ledger>) -> Result<Self> {
        HashIndex::new(ledger).map(Self::Hash)
    }

    /// Adds the entry; nothing happens where it exists. Fails with [`Error::LimitExceeded`] for a
    /// key longer than [`KEY_BYTES_MAX`] and with [`Error::OutOfMemory`].
    pub fn insert(&self, key: &[u8], row: RowId) -> Result<()> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "index key length",
                found: key.len() as u64,
                limit: KEY_BYTES_MAX as u64,
            });
        }
        match self {
            Self::Ordered(index) => index.insert(key, row),
            Self::Hash(index) => index.insert(key, row),
        }
    }

    /// Removes the entry; returns whether it existed.
    pub fn remove(&self, key: &[u8], row: RowId) -> bool {
        match self {
            Self::Ordered(index) => index.remove(key, row),
            Self::Hash(index) => index.remove(key, row),
        }
    }

    /// Appends the rows of exactly this key to `out`, ascending.
    pub fn get(&self, key: &[u8], out: &mut Vec<RowId>) {
        match self {
            Self::Ordered(index) => index.get(key, out),
            Self::Hash(index) => index.get(key, out),
        }
    }

    /// Replaces `out` by the next entries of the scan, at most `limit`; none at its end.
    ///
    /// An entry that is added or removed between two calls may be seen or not; every other entry
    /// in the range is seen exactly once, in order.
    ///
    /// # Panics
    /// When the index is a hash index: it has no order to scan in.
    pub fn scan(&self, cursor: &mut Cursor, limit: usize, out: &mut Entries) {
        match self {
            Self::Ordered(index) => index.scan(cursor, limit, out),
            Self::Hash(_) => panic!("only ordered indexes are scanned"),
        }
    }

    /// Whether the index is ordered, so that [`Self::scan`] may be called.
    pub fn is_ordered(&self) -> bool {
        matches!(self, Self::Ordered(_))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Ordered(index) => index.len(),
            Self::Hash(index) => index.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes reserved for the index.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Ordered(index) => index.bytes(),
            Self::Hash(index) => index.bytes(),
        }
    }
}
