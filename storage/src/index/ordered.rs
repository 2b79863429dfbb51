//! The ordered index: leaves of keys below a directory.
//!
//! ```text
//!  directory   [ -inf | "f.." | "m.." | "t.." ]      lowest key of each leaf, shared lock
//!                 |       |       |       |
//!  leaves       B-tree  B-tree  B-tree  B-tree        a lock each
//! ```
//!
//! 1. Every call takes the directory's lock shared, finds its leaf by binary search, and takes the
//!    leaf's lock: shared to read, exclusive to change. So callers wait only for changes of the
//!    very leaf they want.
//! 2. A leaf that has grown to [`LEAF_KEYS_MAX`] keys is split in halves, and one that has shrunk
//!    to a quarter is merged into its left neighbour if the two then fill at most half a leaf.
//!    Both take the directory's lock exclusively, once in a thousand changes or so.
//!
//! Invariants
//! - The first leaf's lowest key is the empty key; lowest keys ascend strictly.
//! - All keys of a leaf are at or above its lowest key and below the next leaf's.
//! - Locks are taken in the order directory, leaf; one leaf at a time, except under the exclusive
//!   directory lock, where leaves are reached without locking.

use super::bytes::KeyBytes;
use super::cursor::{Cursor, Entries};
use super::rows::{Removed, Rows};
use crate::error::Result;
use crate::ids::RowId;
use crate::pool::{Ledger, Owner, Reservation};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Keys in a leaf before it is split.
const LEAF_KEYS_MAX: usize = 2048;
/// Upper bound of the bytes that a key takes in a B-tree: a node of 11 keys has 452 bytes, 548
/// above other nodes, and is at least 5 keys full unless it is alone.
const KEY_NODE_BYTES: u64 = 112;
/// Bytes of an empty leaf with its first node and its place in the directory.
const LEAF_BYTES: u64 = 1024;
/// Leaves reserve in steps of this many bytes, so that not every insert asks the ledger.
const STEP_BYTES: u64 = 4096;

/// Entries in key order.
#[derive(Debug)]
pub struct OrderedIndex {
    ledger: Arc<Ledger>,
    directory: RwLock<Vec<Leaf>>,
    /// Entries; relaxed, because it guards nothing.
    len: AtomicUsize,
}

#[derive(Debug)]
struct Leaf {
    lowest: KeyBytes,
    entries: RwLock<LeafEntries>,
}

#[derive(Debug)]
struct LeafEntries {
    keys: BTreeMap<KeyBytes, Rows>,
    /// Upper bound of the bytes in use; at most what is reserved.
    bytes: u64,
    reservation: Reservation,
}

impl OrderedIndex {
    pub(super) fn new(ledger: &Arc<Ledger>) -> Result<Self> {
        let first = Leaf {
            lowest: KeyBytes::new(&[]),
            entries: RwLock::new(LeafEntries::new(ledger)?),
        };
        Ok(Self {
            ledger: Arc::clone(ledger),
            directory: RwLock::new(vec![first]),
            len: AtomicUsize::new(0),
        })
    }

    pub(super) fn insert(&self, key: &[u8], row: RowId) -> Result<()> {
        let directory = self.directory.read();
        let mut leaf = directory[leaf_of(&directory, key)].entries.write();
        if !leaf.insert(key, row)? {
            return Ok(());
        }
        self.len.fetch_add(1, Relaxed);
        let full = leaf.keys.len() >= LEAF_KEYS_MAX;
        drop(leaf);
        drop(directory);
        if full {
            self.split(key);
        }
        Ok(())
    }

    pub(super) fn remove(&self, key: &[u8], row: RowId) -> bool {
        let directory = self.directory.read();
        let mut leaf = directory[leaf_of(&directory, key)].entries.write();
        if !leaf.remove(key, row) {
            return false;
        }
        self.len.fetch_sub(1, Relaxed);
        // Not at every removal below the mark: most neighbours stay too full to merge with.
        let keys = leaf.keys.len();
        let sparse = keys == LEAF_KEYS_MAX / 4 || keys == LEAF_KEYS_MAX / 16 || keys == 0;
        drop(leaf);
        drop(directory);
        if sparse {
            self.merge(key);
        }
        true
    }

    pub(super) fn get(&self, key: &[u8], out: &mut Vec<RowId>) {
        let directory = self.directory.read();
        let leaf = directory[leaf_of(&directory, key)].entries.read();
        if let Some(rows) = leaf.keys.get(key) {
            rows.copy_to(out);
        }
    }

    pub(super) fn scan(&self, cursor: &mut Cursor, limit: usize, out: &mut Entries) {
        out.clear();
        if cursor.is_done() || limit == 0 {
            return;
        }
        let directory = self.directory.read();
        let (first, last) = leaves_between(&directory, cursor.bounds());
        let more = if cursor.is_reverse() {
            (first..=last)
                .rev()
                .all(|at| directory[at].collect(cursor, limit, out))
        } else {
            (first..=last).all(|at| directory[at].collect(cursor, limit, out))
        };
        match out.last() {
            Some((key, row)) if !more => cursor.stand_at(key, row),
            _ => cursor.finish(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        let directory = self.directory.read();
        let leaf_bytes = |leaf: &Leaf| leaf.entries.read().reservation.bytes();
        directory.iter().map(leaf_bytes).sum()
    }

    /// Splits the leaf of `key` in halves, if it is (still) full. Where the ledger refuses, the
    /// leaf stays as it is, larger than wanted but right, and the next insert tries again.
    fn split(&self, key: &[u8]) {
        let mut directory = self.directory.write();
        let at = leaf_of(&directory, key);
        let left = directory[at].entries.get_mut();
        if left.keys.len() < LEAF_KEYS_MAX {
            return;
        }
        let Ok(mut right) = LeafEntries::new(&self.ledger) else {
            return;
        };
        let Some(middle) = left.keys.keys().nth(left.keys.len() / 2) else {
            return;
        };
        let lowest = KeyBytes::new(middle.as_slice());
        left.move_from(&lowest, &mut right);
        let leaf = Leaf {
            lowest,
            entries: RwLock::new(right),
        };
        directory.insert(at + 1, leaf);
    }

    /// Merges the leaf of `key` into its left neighbour, if both together are small.
    fn merge(&self, key: &[u8]) {
        let mut directory = self.directory.write();
        let at = leaf_of(&directory, key);
        if at == 0 {
            return;
        }
        let right = directory[at].entries.get_mut().keys.len();
        let left = directory[at - 1].entries.get_mut().keys.len();
        if right > 0 && left + right > LEAF_KEYS_MAX / 2 {
            return;
        }
        let gone = directory.remove(at).entries.into_inner();
        directory[at - 1].entries.get_mut().absorb(gone);
        let leaves = directory.len();
        if directory.capacity() > 4 * leaves {
            directory.shrink_to(2 * leaves);
        }
    }
}

impl Leaf {
    /// Adds the leaf's entries within the cursor's bounds to `out`. Returns false once there are
    /// `limit` of them.
    fn collect(&self, cursor: &Cursor, limit: usize, out: &mut Entries) -> bool {
        let leaf = self.entries.read();
        let range = leaf.keys.range::<[u8], _>(cursor.bounds());
        let mut take = |(key, rows): (&KeyBytes, &Rows)| {
            let key = key.as_slice();
            let place = out.push_key(key);
            rows.visit(cursor.after(key), cursor.is_reverse(), |row| {
                out.push_row(place, row);
                out.len() < limit
            })
        };
        match cursor.is_reverse() {
            true => range.rev().all(&mut take),
            false => range.into_iter().all(&mut take),
        }
    }
}

impl LeafEntries {
    fn new(ledger: &Arc<Ledger>) -> Result<Self> {
        Ok(Self {
            keys: BTreeMap::new(),
            bytes: LEAF_BYTES,
            reservation: ledger.reserve(Owner::Index, LEAF_BYTES)?,
        })
    }

    /// Adds an entry; false where it exists.
    fn insert(&mut self, key: &[u8], row: RowId) -> Result<bool> {
        if let Some(rows) = self.keys.get(key) {
            let Some(cost) = rows.cost_of(row) else {
                return Ok(false);
            };
            self.grow(cost)?;
            if let Some(rows) = self.keys.get_mut(key) {
                rows.insert(row);
            }
            return Ok(true);
        }
        self.grow(key_bytes(key.len()))?;
        self.keys.insert(KeyBytes::new(key), Rows::One(row));
        Ok(true)
    }

    /// Removes an entry; false where there is none.
    fn remove(&mut self, key: &[u8], row: RowId) -> bool {
        let Some(rows) = self.keys.get_mut(key) else {
            return false;
        };
        let before = key_bytes(key.len()) + rows.heap_bytes();
        let after = match rows.remove(row) {
            Removed::Nothing => return false,
            Removed::Row => key_bytes(key.len()) + rows.heap_bytes(),
            Removed::Last => {
                self.keys.remove(key);
                0
            }
        };
        self.bytes -= before - after;
        self.shrink();
        true
    }

    /// Makes room in the reservation before memory is taken.
    fn grow(&mut self, bytes: u64) -> Result<()> {
        let wanted = self.bytes + bytes;
        if wanted > self.reservation.bytes() {
            self.reservation
                .resize(wanted.next_multiple_of(STEP_BYTES))?;
        }
        self.bytes = wanted;
        Ok(())
    }

    /// Gives back what is reserved beyond a step.
    fn shrink(&mut self) {
        if self.reservation.bytes() - self.bytes > 2 * STEP_BYTES {
            self.reservation
                .shrink(self.bytes.next_multiple_of(STEP_BYTES));
        }
    }

    /// Moves all keys at or above `lowest` to an empty leaf, with their share of the reservation.
    fn move_from(&mut self, lowest: &KeyBytes, right: &mut Self) {
        right.keys = self.keys.split_off(lowest.as_slice());
        let moved = right
            .keys
            .iter()
            .map(|(key, rows)| key_bytes(key.as_slice().len()) + rows.heap_bytes());
        let moved = moved.sum();
        self.bytes -= moved;
        right.bytes += moved;
        right.reservation.absorb(self.reservation.split(moved));
    }

    /// Takes over the entries of the right neighbour, with their reservation.
    fn absorb(&mut self, mut right: Self) {
        self.keys.append(&mut right.keys);
        self.bytes += right.bytes - LEAF_BYTES;
        self.reservation.absorb(right.reservation);
        self.shrink();
    }
}

/// Upper bound of what a key with one row takes.
fn key_bytes(len: usize) -> u64 {
    KEY_NODE_BYTES + KeyBytes::heap_bytes(len)
}

/// The leaf that a key belongs to: the last one whose lowest key is not above it.
fn leaf_of(directory: &[Leaf], key: &[u8]) -> usize {
    directory.partition_point(|leaf| leaf.lowest.as_slice() <= key) - 1
}

/// First and last leaf that may hold keys between the bounds.
fn leaves_between(directory: &[Leaf], bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> (usize, usize) {
    let first = match bounds.0 {
        Bound::Included(key) | Bound::Excluded(key) => leaf_of(directory, key),
        Bound::Unbounded => 0,
    };
    let last = match bounds.1 {
        Bound::Included(key) | Bound::Excluded(key) => leaf_of(directory, key),
        Bound::Unbounded => directory.len() - 1,
    };
    (first, last)
}
