//! The hash index: points only.
//!
//! The upper bits of a key's hash choose one of [`SHARDS`] shards, each an open-addressing table
//! behind its own lock; the lower bits choose the place within it. A table doubles when it is full
//! and halves when it is a quarter full, so it pauses only the callers of its own shard. The hash
//! is seeded at random for each index: no one can choose keys that collide.
//!
//! Invariants
//! - A key is in the shard of its hash, once.
//! - A shard's table never grows beyond what its reservation covers.

use super::bytes::KeyBytes;
use super::rows::{Removed, Rows};
use crate::error::Result;
use crate::ids::RowId;
use crate::pool::{Ledger, Owner, Reservation};
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

/// How many shards there are; callers in different shards never wait for each other.
const SHARDS: usize = 64;
/// Tables are not made smaller than this many keys.
const TABLE_KEYS_MIN: usize = 28;
/// Upper bound of a table of so many keys: 32 places, a byte of tag each, and a group of tags.
const TABLE_BYTES_MIN: usize = 32 * (size_of::<(KeyBytes, Rows)>() + 1) + 64;
/// Bytes of an empty shard.
const SHARD_BYTES: u64 = size_of::<RwLock<Shard>>() as u64;
/// Shards reserve in steps of this many bytes, so that not every insert asks the ledger.
const STEP_BYTES: u64 = 1024;

/// Entries by hash.
#[derive(Debug)]
pub struct HashIndex {
    shards: Box<[RwLock<Shard>]>,
    hasher: DefaultHashBuilder,
    /// Entries; relaxed, because it guards nothing.
    len: AtomicUsize,
}

#[derive(Debug)]
struct Shard {
    table: HashTable<(KeyBytes, Rows)>,
    /// Bytes of keys and rows outside the table, as an upper bound.
    heap_bytes: u64,
    reservation: Reservation,
}

impl HashIndex {
    pub(super) fn new(ledger: &Arc<Ledger>) -> Result<Self> {
        let shard = |_| {
            Ok(RwLock::new(Shard {
                table: HashTable::new(),
                heap_bytes: 0,
                reservation: ledger.reserve(Owner::Index, SHARD_BYTES)?,
            }))
        };
        Ok(Self {
            shards: (0..SHARDS).map(shard).collect::<Result<_>>()?,
            hasher: DefaultHashBuilder::default(),
            len: AtomicUsize::new(0),
        })
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // Bits that the table uses neither as place (the low ones) nor as tag (the top seven).
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    pub(super) fn insert(&self, key: &[u8], row: RowId) -> Result<()> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash).write();
        if shard.insert(hash, key, row, &self.hasher)? {
            self.len.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    pub(super) fn remove(&self, key: &[u8], row: RowId) -> bool {
        let hash = self.hasher.hash_one(key);
        let removed = self
            .shard(hash)
            .write()
            .remove(hash, key, row, &self.hasher);
        if removed {
            self.len.fetch_sub(1, Relaxed);
        }
        removed
    }

    pub(super) fn get(&self, key: &[u8], out: &mut Vec<RowId>) {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash).read();
        if let Some((_, rows)) = shard.table.find(hash, |(k, _)| k.as_slice() == key) {
            rows.copy_to(out);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        let bytes = |shard: &RwLock<Shard>| shard.read().reservation.bytes();
        self.shards.iter().map(bytes).sum()
    }
}

impl Shard {
    /// Adds an entry; false where it exists.
    fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        row: RowId,
        hasher: &DefaultHashBuilder,
    ) -> Result<bool> {
        if let Some((_, rows)) = self.table.find(hash, |(k, _)| k.as_slice() == key) {
            let Some(cost) = rows.cost_of(row) else {
                return Ok(false);
            };
            self.reserve(self.table.allocation_size(), cost)?;
            self.heap_bytes += cost;
            if let Some((_, rows)) = self.table.find_mut(hash, |(k, _)| k.as_slice() == key) {
                rows.insert(row);
            }
            return Ok(true);
        }
        let cost = KeyBytes::heap_bytes(key.len());
        if self.table.len() == self.table.capacity() {
            self.grow(cost, hasher)?;
        } else {
            self.reserve(self.table.allocation_size(), cost)?;
        }
        self.heap_bytes += cost;
        let entry = (KeyBytes::new(key), Rows::One(row));
        self.table
            .insert_unique(hash, entry, |(k, _)| hasher.hash_one(k.as_slice()));
        Ok(true)
    }

    /// Removes an entry; false where there is none.
    fn remove(&mut self, hash: u64, key: &[u8], row: RowId, hasher: &DefaultHashBuilder) -> bool {
        let is_key = |(k, _): &(KeyBytes, Rows)| k.as_slice() == key;
        let Ok(mut entry) = self.table.find_entry(hash, is_key) else {
            return false;
        };
        let rows = &mut entry.get_mut().1;
        let before = rows.heap_bytes();
        match rows.remove(row) {
            Removed::Nothing => return false,
            Removed::Row => self.heap_bytes -= before - rows.heap_bytes(),
            Removed::Last => {
                entry.remove();
                self.heap_bytes -= KeyBytes::heap_bytes(key.len());
            }
        }
        self.shrink(hasher);
        true
    }

    /// Doubles the table, once the ledger has granted old and new, which exist side by side while
    /// the entries move, and `cost` bytes beside them.
    fn grow(&mut self, cost: u64, hasher: &DefaultHashBuilder) -> Result<()> {
        let old = self.table.allocation_size();
        self.reserve(old + 2 * old.max(TABLE_BYTES_MIN), cost)?;
        let wanted = (2 * self.table.len()).max(TABLE_KEYS_MIN);
        let additional = wanted - self.table.len();
        self.table
            .reserve(additional, |(k, _)| hasher.hash_one(k.as_slice()));
        self.give_back();
        Ok(())
    }

    /// Halves the table when it is a quarter full. Old and new one exist side by side for a
    /// moment; the new one is not reserved, because a removal must not fail: it is at most half
    /// the old one, for the time of the move.
    fn shrink(&mut self, hasher: &DefaultHashBuilder) {
        let keys = self.table.len();
        let capacity = self.table.capacity();
        if capacity > TABLE_KEYS_MIN && keys < capacity / 4 {
            self.table
                .shrink_to(2 * keys, |(k, _)| hasher.hash_one(k.as_slice()));
        }
        self.give_back();
    }

    /// Makes sure that a table of that size and `more` bytes beside it are reserved.
    fn reserve(&mut self, table_bytes: usize, more: u64) -> Result<()> {
        let wanted = SHARD_BYTES + table_bytes as u64 + self.heap_bytes + more;
        if wanted > self.reservation.bytes() {
            self.reservation
                .resize(wanted.next_multiple_of(STEP_BYTES))?;
        }
        Ok(())
    }

    /// Gives back what is reserved beyond a step.
    fn give_back(&mut self) {
        let used = SHARD_BYTES + self.table.allocation_size() as u64 + self.heap_bytes;
        if self.reservation.bytes() > used + 2 * STEP_BYTES {
            self.reservation.shrink(used.next_multiple_of(STEP_BYTES));
        }
    }
}
