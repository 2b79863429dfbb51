//! The ordered index: leaves of keys below a directory.
//!
//! ```text
//!  directory   [ -inf | "f.." | "m.." | "t.." ]      lowest key of each leaf, shared lock
//!                 |       |       |       |
//!  leaves       sorted  sorted  sorted  sorted        a lock each
//! ```
//!
//! 1. Every call takes the directory's lock shared, finds its leaf by halving, and takes the leaf's
//!    lock: shared to read, exclusive to change. So callers wait only for changes of the very leaf
//!    they want.
//! 2. A leaf that has grown to [`LEAF_KEYS_MAX`] keys is split, and one that has shrunk to a
//!    quarter is merged into its left neighbour if the two then fill at most half a leaf. Both take
//!    the directory's lock exclusively, once in some hundred changes.
//!
//! Invariants
//! - The first leaf's lowest key is the empty key; lowest keys ascend strictly.
//! - All keys of a leaf are at or above its lowest key and below the next leaf's.
//! - Locks are taken in the order directory, leaf; one leaf at a time, except under the exclusive
//!   directory lock, where leaves are reached without locking.

use super::bytes::KeyBytes;
use super::cursor::{Cursor, Entries};
use super::leaf::{LEAF_KEYS_MAX, Leaf};
use super::probe::{Head, Probe};
use crate::error::Result;
use crate::ids::RowId;
use crate::pool::Ledger;
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::ops::Bound;
use std::sync::Arc;

/// Entries in key order.
#[derive(Debug)]
pub struct OrderedIndex {
    ledger: Arc<Ledger>,
    directory: RwLock<Directory>,
    /// Entries; relaxed, because it guards nothing.
    len: AtomicUsize,
}

/// The leaves by their lowest keys. Heads stand apart from what is looked at only at the end of a
/// search.
#[derive(Debug)]
struct Directory {
    heads: Vec<Head>,
    #[allow(
        clippy::vec_box,
        reason = "a leaf that is put in moves pointers, not leaves"
    )]
    leaves: Vec<Box<Place>>,
}

#[derive(Debug)]
struct Place {
    lowest_tail: KeyBytes,
    leaf: RwLock<Leaf>,
}

impl OrderedIndex {
    pub(super) fn new(ledger: &Arc<Ledger>) -> Result<Self> {
        Ok(Self {
            ledger: Arc::clone(ledger),
            directory: RwLock::new(Directory::new(Leaf::new(ledger)?)),
            len: AtomicUsize::new(0),
        })
    }

    pub(super) fn insert(&self, key: &[u8], row: RowId) -> Result<()> {
        let probe = Probe::new(key);
        let directory = self.directory.read();
        let mut leaf = directory.leaf_of(probe).write();
        if !leaf.insert(probe, row)? {
            return Ok(());
        }
        self.len.fetch_add(1, Relaxed);
        let full = leaf.keys() >= LEAF_KEYS_MAX;
        drop(leaf);
        drop(directory);
        if full {
            self.directory.write().split(probe, &self.ledger);
        }
        Ok(())
    }

    pub(super) fn remove(&self, key: &[u8], row: RowId) -> bool {
        let probe = Probe::new(key);
        let directory = self.directory.read();
        let mut leaf = directory.leaf_of(probe).write();
        if !leaf.remove(probe, row) {
            return false;
        }
        self.len.fetch_sub(1, Relaxed);
        // Not at every removal below the mark: most neighbours stay too full to merge with.
        let keys = leaf.keys();
        let sparse = keys == LEAF_KEYS_MAX / 4 || keys == LEAF_KEYS_MAX / 16 || keys == 0;
        drop(leaf);
        drop(directory);
        if sparse {
            self.directory.write().merge(probe);
        }
        true
    }

    pub(super) fn get(&self, key: &[u8], out: &mut Vec<RowId>) {
        let probe = Probe::new(key);
        let directory = self.directory.read();
        let leaf = directory.leaf_of(probe).read();
        if let Some(rows) = leaf.get(probe) {
            rows.copy_to(out);
        }
    }

    pub(super) fn scan(&self, cursor: &mut Cursor, limit: usize, out: &mut Entries) {
        out.clear();
        if cursor.is_done() || limit == 0 {
            return;
        }
        let directory = self.directory.read();
        let (first, last) = directory.leaves_between(cursor.bounds());
        let mut collect = |at: usize| {
            let leaf = directory.leaves[at].leaf.read();
            leaf.collect(cursor, limit, out)
        };
        let more = match cursor.is_reverse() {
            true => (first..=last).rev().all(&mut collect),
            false => (first..=last).all(&mut collect),
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
        let leaves = directory.leaves.iter();
        leaves.map(|place| place.leaf.read().bytes()).sum()
    }
}

impl Directory {
    fn new(first: Leaf) -> Self {
        let lowest = Probe::new(&[]);
        let place = Place {
            lowest_tail: KeyBytes::new(lowest.tail),
            leaf: RwLock::new(first),
        };
        Self {
            heads: vec![lowest.head],
            leaves: vec![Box::new(place)],
        }
    }

    /// Where the leaf of a key stands: the last one whose lowest key is not above it.
    fn find(&self, probe: Probe<'_>) -> usize {
        // The first leaf's lowest key is below or at any other.
        match probe.find(&self.heads, |at| &self.leaves[at].lowest_tail) {
            Ok(at) => at,
            Err(above) => above - 1,
        }
    }

    fn leaf_of(&self, probe: Probe<'_>) -> &RwLock<Leaf> {
        &self.leaves[self.find(probe)].leaf
    }

    /// First and last leaf that may hold keys between the bounds.
    fn leaves_between(&self, (low, high): (Bound<&[u8]>, Bound<&[u8]>)) -> (usize, usize) {
        let at = |bound, unbounded| match bound {
            Bound::Included(key) | Bound::Excluded(key) => self.find(Probe::new(key)),
            Bound::Unbounded => unbounded,
        };
        (at(low, 0), at(high, self.leaves.len() - 1))
    }

    /// Splits the leaf of a key, if it is (still) full. Where the ledger refuses, the leaf stays as
    /// it is, larger than wanted but right, and the next insert tries again.
    fn split(&mut self, probe: Probe<'_>, ledger: &Arc<Ledger>) {
        let at = self.find(probe);
        let leaf = self.leaves[at].leaf.get_mut();
        if leaf.keys() < LEAF_KEYS_MAX {
            return;
        }
        let Ok(((head, lowest_tail), right)) = leaf.split(probe, ledger) else {
            return;
        };
        let place = Place {
            lowest_tail,
            leaf: RwLock::new(right),
        };
        self.heads.insert(at + 1, head);
        self.leaves.insert(at + 1, Box::new(place));
    }

    /// Merges the leaf of a key into its left neighbour, if both together are small.
    fn merge(&mut self, probe: Probe<'_>) {
        let at = self.find(probe);
        let Some([left, right]) = self.leaves.get_mut(at.wrapping_sub(1)..=at) else {
            return;
        };
        let (left, right) = (left.leaf.get_mut(), right.leaf.get_mut());
        if right.keys() > 0 && left.keys() + right.keys() > LEAF_KEYS_MAX / 2 {
            return;
        }
        if left.absorb(right).is_err() {
            // No memory to gather them: they stay two leaves.
            return;
        }
        self.heads.remove(at);
        self.leaves.remove(at);
        if self.heads.len() < self.heads.capacity() / 4 {
            self.heads.shrink_to(2 * self.heads.len());
            self.leaves.shrink_to(2 * self.leaves.len());
        }
    }
}
