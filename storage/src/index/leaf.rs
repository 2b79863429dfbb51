//! A leaf of the ordered index: some hundred keys in sorted arrays.
//!
//! ```text
//!  heads    [ h0 | h1 | h2 | .. ]        searched in halves, 16 bytes each
//!  entries  [ t0 r0 | t1 r1 | .. ]       tail and rows at the same place
//! ```
//!
//! Invariants
//! - Keys ascend strictly; both arrays have the same length and the same capacity.
//! - What the arrays, long tails and row sets take is at most what the leaf has reserved; it is
//!   reserved before it is taken.

use super::bytes::KeyBytes;
use super::cursor::{Cursor, Entries};
use super::probe::{Head, Probe};
use super::rows::{Removed, Rows};
use crate::error::Result;
use crate::ids::RowId;
use crate::pool::{Ledger, Owner, Reservation};
use std::ops::{Bound, Range};
use std::sync::Arc;

/// Keys in a leaf before it is split.
pub(super) const LEAF_KEYS_MAX: usize = 256;
/// Room of the smallest arrays.
const LEAF_KEYS_MIN: usize = 8;
/// Bytes of a leaf without its arrays, with its place in the directory (up to twice, because the
/// directory doubles) and what the system's allocator adds.
const LEAF_BYTES: u64 = 256;
/// Bytes of one place in the arrays.
const PLACE_BYTES: usize = size_of::<Head>() + size_of::<(KeyBytes, Rows)>();
/// Leaves reserve in steps of this many bytes, so that not every insert asks the ledger.
const STEP_BYTES: u64 = 512;

/// Sorted keys with their rows.
#[derive(Debug)]
pub(super) struct Leaf {
    heads: Vec<Head>,
    entries: Vec<(KeyBytes, Rows)>,
    /// Upper bound of the bytes of long tails and row sets.
    heap_bytes: u64,
    reservation: Reservation,
}

impl Leaf {
    pub(super) fn new(ledger: &Arc<Ledger>) -> Result<Self> {
        Ok(Self {
            heads: Vec::new(),
            entries: Vec::new(),
            heap_bytes: 0,
            reservation: ledger.reserve(Owner::Index, LEAF_BYTES)?,
        })
    }

    /// How many keys it has.
    pub(super) fn keys(&self) -> usize {
        self.heads.len()
    }

    /// Bytes reserved for it.
    pub(super) fn bytes(&self) -> u64 {
        self.reservation.bytes()
    }

    /// The rows of a key.
    pub(super) fn get(&self, probe: Probe<'_>) -> Option<&Rows> {
        self.find(probe).ok().map(|at| &self.entries[at].1)
    }

    /// Where the key is, or where it belongs.
    fn find(&self, probe: Probe<'_>) -> Result<usize, usize> {
        probe.find(&self.heads, |at| &self.entries[at].0)
    }

    /// Adds an entry; false where it exists.
    pub(super) fn insert(&mut self, probe: Probe<'_>, row: RowId) -> Result<bool> {
        let room = self.heads.capacity();
        match self.find(probe) {
            Ok(at) => {
                let Some(cost) = self.entries[at].1.cost_of(row) else {
                    return Ok(false);
                };
                self.reserve(room, cost)?;
                self.heap_bytes += cost;
                self.entries[at].1.insert(row);
            }
            Err(at) => {
                let cost = KeyBytes::heap_bytes(probe.tail.len());
                if self.keys() == room {
                    self.grow(cost)?;
                } else {
                    self.reserve(room, cost)?;
                }
                self.heap_bytes += cost;
                let entry = (KeyBytes::new(probe.tail), Rows::One(row));
                self.heads.insert(at, probe.head);
                self.entries.insert(at, entry);
            }
        }
        Ok(true)
    }

    /// Removes an entry; false where there is none.
    pub(super) fn remove(&mut self, probe: Probe<'_>, row: RowId) -> bool {
        let Ok(at) = self.find(probe) else {
            return false;
        };
        let rows = &mut self.entries[at].1;
        let before = rows.heap_bytes();
        match rows.remove(row) {
            Removed::Nothing => return false,
            Removed::Row => self.heap_bytes -= before - rows.heap_bytes(),
            Removed::Last => {
                self.heads.remove(at);
                self.entries.remove(at);
                self.heap_bytes -= KeyBytes::heap_bytes(probe.tail.len());
            }
        }
        if self.keys() < self.heads.capacity() / 4 {
            let room = (2 * self.keys()).max(LEAF_KEYS_MIN);
            self.heads.shrink_to(room);
            self.entries.shrink_to(room);
        }
        self.give_back();
        true
    }

    /// Adds the entries within the cursor's bounds to `out`. Returns false once `out` has `limit`.
    pub(super) fn collect(&self, cursor: &Cursor, limit: usize, out: &mut Entries) -> bool {
        let mut within = self.between(cursor.bounds());
        out.reserve(within.len().min(limit.saturating_sub(out.len())));
        let mut take = |at: usize| {
            let (tail, rows) = &self.entries[at];
            let key = out.push_key(self.heads[at], tail);
            let after = cursor.after(out.key(key));
            rows.visit(after, cursor.is_reverse(), |row| {
                out.push_row(key, row);
                out.len() < limit
            })
        };
        match cursor.is_reverse() {
            true => within.rev().all(&mut take),
            false => within.all(&mut take),
        }
    }

    /// Places of the keys between the bounds.
    fn between(&self, (low, high): (Bound<&[u8]>, Bound<&[u8]>)) -> Range<usize> {
        let first_at = |key| self.find(Probe::new(key)).unwrap_or_else(|at| at);
        let first_above = |key| self.find(Probe::new(key)).map_or_else(|at| at, |at| at + 1);
        let start = match low {
            Bound::Included(key) => first_at(key),
            Bound::Excluded(key) => first_above(key),
            Bound::Unbounded => 0,
        };
        let end = match high {
            Bound::Included(key) => first_above(key),
            Bound::Excluded(key) => first_at(key),
            Bound::Unbounded => self.keys(),
        };
        start..end
    }

    /// Splits off the upper part of a full leaf, with the key that is lowest in it. Where `probe`,
    /// the key that filled the leaf, is the highest, keys come in ascending order: then only that
    /// one moves, and leaves are left full.
    pub(super) fn split(
        &mut self,
        probe: Probe<'_>,
        ledger: &Arc<Ledger>,
    ) -> Result<((Head, KeyBytes), Self)> {
        let at = match self.find(probe) {
            Ok(at) if at + 1 == self.keys() => at,
            _ => self.keys() / 2,
        };
        let moved = self.keys() - at;
        let mut right = Self::new(ledger)?;
        right.reserve(moved, 0)?;
        right.heads = Vec::with_capacity(moved);
        right.entries = Vec::with_capacity(moved);
        right.heads.extend(self.heads.drain(at..));
        right.entries.extend(self.entries.drain(at..));
        let heap = |(tail, rows): &(KeyBytes, Rows)| tail.heap() + rows.heap_bytes();
        let heap_bytes = right.entries.iter().map(heap).sum();
        self.heap_bytes -= heap_bytes;
        right.heap_bytes = heap_bytes;
        right.reservation.absorb(self.reservation.split(heap_bytes));
        let lowest = (right.heads[0], KeyBytes::new(right.entries[0].0.as_slice()));
        Ok((lowest, right))
    }

    /// Takes over the entries of the leaf to the right, if the ledger allows the larger arrays.
    pub(super) fn absorb(&mut self, right: &mut Self) -> Result<()> {
        let keys = self.keys() + right.keys();
        if keys > self.heads.capacity() {
            self.reserve(self.heads.capacity() + keys, 0)?;
            self.make_room(keys);
        }
        self.heads.append(&mut right.heads);
        self.entries.append(&mut right.entries);
        let heap_bytes = std::mem::take(&mut right.heap_bytes);
        self.heap_bytes += heap_bytes;
        let share = right.reservation.split(heap_bytes);
        self.reservation.absorb(share);
        self.give_back();
        Ok(())
    }

    /// Doubles the arrays, once the ledger has granted old and new, which exist side by side while
    /// the entries move, and `cost` bytes beside them.
    fn grow(&mut self, cost: u64) -> Result<()> {
        let room = (2 * self.keys()).max(LEAF_KEYS_MIN);
        self.reserve(self.keys() + room, cost)?;
        self.make_room(room);
        self.give_back();
        self.reserve(room, cost)
    }

    fn make_room(&mut self, room: usize) {
        self.heads.reserve_exact(room - self.heads.len());
        self.entries.reserve_exact(room - self.entries.len());
    }

    /// Makes sure that arrays of `room` places and `more` bytes beside them are reserved.
    fn reserve(&mut self, room: usize, more: u64) -> Result<()> {
        let wanted = LEAF_BYTES + (room * PLACE_BYTES) as u64 + self.heap_bytes + more;
        if wanted > self.reservation.bytes() {
            self.reservation
                .resize(wanted.next_multiple_of(STEP_BYTES))?;
        }
        Ok(())
    }

    /// Gives back what is reserved beyond a step.
    fn give_back(&mut self) {
        let used = LEAF_BYTES + (self.heads.capacity() * PLACE_BYTES) as u64 + self.heap_bytes;
        if self.reservation.bytes() > used + 2 * STEP_BYTES {
            self.reservation.shrink(used.next_multiple_of(STEP_BYTES));
        }
    }
}
