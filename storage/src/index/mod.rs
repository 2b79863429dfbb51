//! Indexes: from key bytes to the rows that have, or had, that key.
//!
//! An index holds *entries*, pairs of key bytes (see [`key`]) and [`RowId`]. It knows nothing of
//! versions, visibility or uniqueness: there is an entry for the key of every version that some
//! snapshot may still want, so one row may stand under several keys, and several rows under one
//! key of a unique index. Whoever reads an entry looks at the row and accepts the entry only if the
//! version it sees has exactly that key; whoever adds or removes one holds the key's latch
//! ([`KeyLatches`]), except for who adds the first of a key ([`Index::insert_new`]) or the first of
//! a row.
//!
//! - [`OrderedIndex`]: points, ranges, order. An adaptive radix tree whose readers write nothing
//!   and wait for nobody but a writer at the very node.
//! - [`HashIndex`]: points only. Buckets of one cache line, read without a lock. It keeps no keys
//!   but some bits of their hash, and so may take two keys for one.
//!
//! [`GoneRanges`] has scans of queues pass what was taken from them.
//!
//! Both take their memory from the pool, shrink when keys go, and are accounted for under
//! [`crate::pool::Owner::Index`].
//!
//! Invariants
//! - No lock is held after a call returned; a scan is resumed by its [`Cursor`], which names the
//!   last entry given out.
//! - An insert that fails changed nothing; a removal never fails and never needs memory.

mod batch;
mod counter;
mod cursor;
mod evacuate;
mod gone;
mod hash;
mod int_entries;
pub mod key;
mod latch;
mod memory;
mod merge;
mod sample;
mod tree;

#[cfg(all(test, feature = "shuttle"))]
mod models;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use hash::tests::with_identity_bits;

pub use batch::Batch;
pub(crate) use counter::Counter;
pub use cursor::{Cursor, Entries};
pub use evacuate::Pass;
pub use gone::{GoneRanges, Look, WALKED};
pub use hash::{HashIndex, ROWS_MAX};
pub use int_entries::IntEntries;
pub(crate) use key::END_OF_TEXT_BYTES;
pub(crate) use key::column_len;
pub use key::{
    Key, KeyBuffer, KeyColumn, encode_column, encode_key, int_of_key, is_key_of_words, prefix_end,
};
pub use latch::{KeyGuard, KeyLatches};
pub use tree::OrderedIndex;

use crate::error::{Error, Result};
use crate::ids::RowId;
use crate::limits::KEY_BYTES_MAX;
use crate::pool::{Claim, Pool};
use crate::stop::Stop;
use std::sync::Arc;

/// Keys that are looked up at once.
pub const TOGETHER: usize = 16;

/// The entries of an index, in either structure.
#[derive(Debug)]
pub enum Index {
    /// Points, ranges and order.
    Ordered(OrderedIndex),
    /// Points only.
    Hash(Box<HashIndex>),
}

impl Index {
    /// An empty ordered index.
    pub fn ordered(pool: &Arc<Pool>) -> Result<Self> {
        Self::ordered_for(Claim::Ordinary, pool)
    }

    /// An empty hash index.
    pub fn hash(pool: &Arc<Pool>) -> Result<Self> {
        Self::hash_for(Claim::Ordinary, pool)
    }

    /// Like [`Self::ordered`], with the little that it takes from as far as the claim reaches.
    pub fn ordered_for(claim: Claim, pool: &Arc<Pool>) -> Result<Self> {
        Ok(Self::Ordered(OrderedIndex::new(claim, pool)?))
    }

    /// Like [`Self::hash`], with the little that it takes from as far as the claim reaches.
    pub fn hash_for(claim: Claim, pool: &Arc<Pool>) -> Result<Self> {
        Ok(Self::Hash(Box::new(HashIndex::new(claim, pool)?)))
    }

    /// Adds the entry; nothing happens where it exists. Fails with [`Error::LimitExceeded`] for a
    /// key longer than [`KEY_BYTES_MAX`] and with [`Error::OutOfMemory`].
    pub fn insert(&self, key: &[u8], row: RowId) -> Result<()> {
        check_key(key)?;
        match self {
            Self::Ordered(index) => index.insert(key, row),
            Self::Hash(index) => index.insert(key, row),
        }
    }

    /// Adds the entry if none has this key, or one that the index takes for the same, and says
    /// whether it did: nobody adds an entry of the key in between. Fails as [`Self::insert`] does.
    pub fn insert_new(&self, key: &[u8], row: RowId) -> Result<bool> {
        check_key(key)?;
        match self {
            Self::Ordered(index) => index.insert_new(key, row),
            Self::Hash(index) => index.insert_new(key, row),
        }
    }

    /// Puts the entries of a batch into the index, which is empty and which nobody else changes. An
    /// ordered one is built by all cores, of a sorted batch. On error, entries may be left in a hash
    /// index; the caller drops it.
    pub fn fill(&self, batch: &Batch, stop: Stop<'_>) -> Result<()> {
        match self {
            Self::Ordered(index) => index.fill_from(batch, stop),
            Self::Hash(index) => index.fill_from(batch, stop),
        }
    }

    /// The same with batches that were gathered by several threads, which nobody has sorted yet and which
    /// have no entry twice: each is sorted by a thread of its own, and a hash index filled by all of
    /// them. The ledger is asked as it is built, and not before: whoever is alone with the database
    /// takes nothing from anybody.
    pub fn fill_together(&self, batches: Vec<Batch>) -> Result<()> {
        match self {
            Self::Ordered(index) => index.fill_together(batches),
            Self::Hash(index) => {
                let fill = |batch: Batch| index.fill_from(&batch, Stop::NEVER);
                crate::parallel::map(batches, fill).into_iter().collect()
            }
        }
    }

    /// Removes the entry; returns whether it existed.
    pub fn remove(&self, key: &[u8], row: RowId) -> bool {
        match self {
            Self::Ordered(index) => index.remove(key, row),
            Self::Hash(index) => index.remove(key, row),
        }
    }

    /// Appends the rows that have an entry for this key to `out`, ascending. Some of them may have
    /// another key, which the index takes for the same ([`Self::same_entry`]).
    pub fn get(&self, key: &[u8], out: &mut Vec<RowId>) {
        match self {
            Self::Ordered(index) => index.get(key, out),
            Self::Hash(index) => index.get(key, out),
        }
    }

    /// The first result that `visit` gives for a row that [`Self::get`] gives, in any order. No lock
    /// is held meanwhile, and a key with one row costs no allocation.
    #[inline(always)]
    pub fn find_map<T>(&self, key: &[u8], visit: impl FnMut(RowId) -> Option<T>) -> Option<T> {
        match self {
            Self::Ordered(index) => index.find_map(key, visit),
            Self::Hash(index) => index.find_map(key, visit),
        }
    }

    /// Calls `visit` with the number of a key and a row that [`Self::get`] gives for it, for up to [`TOGETHER`] keys, key
    /// by key. The look-ups wait for memory together; no lock is held where it is visited.
    pub fn find_together(&self, keys: &[&[u8]], visit: impl FnMut(usize, RowId)) {
        match self {
            Self::Ordered(index) => index.find_together(keys, visit),
            Self::Hash(index) => index.find_together(keys, visit),
        }
    }

    /// Whether a row has one entry for both keys, if it has, or had, both: equal keys, and those
    /// that the index does not tell apart.
    pub fn same_entry(&self, one: &[u8], other: &[u8]) -> bool {
        one == other
            || match self {
                Self::Ordered(_) => false,
                Self::Hash(index) => index.identity_of(one) == index.identity_of(other),
            }
    }

    /// What the index knows of a key, where that is not the whole key.
    pub fn identity_of(&self, key: &[u8]) -> Option<u64> {
        match self {
            Self::Ordered(_) => None,
            Self::Hash(index) => Some(index.identity_of(key)),
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
        out.begin(limit);
        self.tree().scan(cursor, limit, out);
    }

    /// As [`Self::scan`], where keys are integers ([`IntEntries::has_others`]), of no more entries than these hold.
    pub fn scan_ints(&self, cursor: &mut Cursor, limit: usize, out: &mut IntEntries) {
        out.begin();
        self.tree()
            .scan(cursor, limit.min(int_entries::ENTRIES_MAX), out);
    }

    fn tree(&self) -> &OrderedIndex {
        match self {
            Self::Ordered(index) => index,
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

/// Fails with [`Error::LimitExceeded`] for a key longer than [`KEY_BYTES_MAX`].
fn check_key(key: &[u8]) -> Result<()> {
    if key.len() <= KEY_BYTES_MAX {
        return Ok(());
    }
    Err(Error::LimitExceeded {
        what: "index key length",
        found: key.len() as u64,
        limit: KEY_BYTES_MAX as u64,
    })
}
