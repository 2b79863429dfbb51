//! The ordered index: an adaptive radix tree with buckets.
//!
//! ```text
//!  root slot
//!     |
//!   Node4 "01 80 00 00 00 00"                    prefix: what all keys below have in common
//!     00 |          | 0F
//!   Node256        Bucket [3A 07: row][3B 90: row] ..   entries as sorted arrays
//!    00 | .. | FF
//!   Node256                                      the last byte of dense keys:
//!    [row][row][row] ..                          a row is the slot itself
//! ```
//!
//! The bytes that the tree branches on are those of the key and then the row's number, big-endian:
//! so every entry is unique, the rows of one key are neighbours, and a key with a million rows
//! needs nothing special. Where the key ends within a subtree, its inner nodes say so
//! ([`node::Inner::row_bytes`]).
//!
//! - *Inner nodes* for 4, 16, 48 or 256 children with path compression (Leis, Kemper, Neumann, "The
//!   Adaptive Radix Tree", ICDE 2013): `node.rs`.
//! - *Buckets* of up to 256 entries (`bucket.rs`). A radix tree with a node or leaf an entry takes
//!   more than 24 bytes an entry for random 64-bit keys; in buckets a key costs 16 bytes, a head and
//!   a row, and a scan runs over arrays. The tree above is small enough for the processor's cache,
//!   so that a look-up costs about the one miss of its bucket, or Node256.
//! - *Concurrency* by optimistic lock coupling (Leis, Scheibner, Kemper, Neumann, "The ART of
//!   Practical Synchronization", DaMoN 2016): `version.rs`. Readers write nothing to the tree.
//!   Changes: `change.rs`. What is replaced is freed once its readers are gone: `memory.rs`,
//!   [`crate::mvcc::epoch`].
//!
//! What is worse than elsewhere: a bucket is split by one whole byte, not in two. Where that gives
//! many small parts (random keys just above 256 times a power of 256, or a few rows each under
//! dense leading columns) an entry takes up to 40 bytes until the parts have filled.
//!
//! Invariants
//! - Keys are prefix-free: no key is a proper prefix of another one of the index ([`super::key`]
//!   makes such keys, and a test of it says so).
//! - The bytes that lead to a node never change. A node that is not obsolete when a reader notes its
//!   version is the node for these bytes.
//! - Nodes are looked at only under a [`epoch::Guard`], or by who owns the whole tree; no guard
//!   outlives a call, and none is held while a caller's function runs.

mod bucket;
mod build;
mod change;
mod evacuate;
mod gather;
mod node;
mod rest;
mod scan;
mod sink;
mod tidy;
mod together;
mod version;
mod word;

#[cfg(test)]
mod tests;

use super::batch::{Batch, Ranked, STRETCH};
use super::counter::Counter;
use super::cursor::{Cursor, Cut};
use super::merge::Merged;
use crate::error::Result;
use crate::ids::RowId;
use crate::index::memory::Memory;
use crate::mvcc::epoch;
use crate::parallel::threads;
use crate::pool::{Claim, Owner, Pool, Reservation};
#[cfg(test)]
use crate::sync::atomic::Ordering::Relaxed;
use bucket::Found;
use build::Item;
use change::{Insertion, Removal, Stop};
use rest::{Rest, Short};
use sink::{Rows, Sink};
use std::ptr;
use std::sync::Arc;
use version::{Again, Version};
use word::{Child, Slot, Word};

/// Rows of a key with many that are visited before more are looked for; four times as many each time.
const MANY_FIRST: usize = 16;
const MANY_MOST: usize = 4096;

/// Where a look-up comes to from a node.
enum Step<R> {
    /// A word below, and what is left of the key.
    Down(Word, R),
    /// No further: this is what there is.
    Done(Found),
}

/// Entries in key order.
#[derive(Debug)]
pub struct OrderedIndex {
    version: Version,
    root: Slot,
    pub(super) memory: Memory,
    entries: Box<Counter>,
    /// For this struct itself.
    own: Reservation,
}

impl OrderedIndex {
    pub(super) fn new(claim: Claim, pool: &Arc<Pool>) -> Result<Self> {
        let bytes = (size_of::<Self>() + size_of::<Counter>()) as u64;
        let own = pool.ledger().reserve_for(claim, Owner::Index, bytes)?;
        Ok(Self {
            version: Version::default(),
            root: Slot::new(ptr::null_mut()),
            memory: Memory::new(pool),
            entries: Box::default(),
            own,
        })
    }

    pub(super) fn insert(&self, key: &[u8], row: RowId) -> Result<()> {
        self.add(key, row, false).map(drop)
    }

    /// Adds the entry if no entry has its key; whether it did.
    pub(super) fn insert_new(&self, key: &[u8], row: RowId) -> Result<bool> {
        Ok(self.add(key, row, true)? == Insertion::Added)
    }

    fn add(&self, key: &[u8], row: RowId, only_new: bool) -> Result<Insertion> {
        let guard = epoch::pin();
        let item = Item { key, row: row.0 };
        loop {
            match self.try_insert(&guard, item, only_new) {
                Ok(insertion) => {
                    if insertion == Insertion::Added {
                        self.entries.add(1);
                    }
                    return Ok(insertion);
                }
                Err(Stop::Again) => {}
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
    }

    pub(super) fn remove(&self, key: &[u8], row: RowId) -> bool {
        let guard = epoch::pin();
        let item = Item { key, row: row.0 };
        let removal = loop {
            if let Ok(removal) = self.try_remove(&guard, &item) {
                break removal;
            }
        };
        if removal == Removal::Nothing {
            return false;
        }
        self.entries.add(-1);
        if removal == Removal::Tidy {
            while self.try_tidy(&guard, &item).unwrap_or(true) {}
        }
        true
    }

    pub(super) fn get(&self, key: &[u8], out: &mut Vec<RowId>) {
        match self.find(key) {
            Found::Nothing => {}
            Found::Row(row) => out.push(row),
            Found::Rows => {
                let (low, high) = (Cut::below(key), Cut::above(key));
                self.walk_between(
                    &low,
                    Some(&high),
                    false,
                    usize::MAX,
                    &mut Rows::new(key, out),
                );
            }
        }
    }

    /// The first result that `visit` gives for a row of exactly this key, ascending. A key with
    /// one row costs no allocation.
    #[inline(always)]
    pub(super) fn find_map<T>(
        &self,
        key: &[u8],
        mut visit: impl FnMut(RowId) -> Option<T>,
    ) -> Option<T> {
        match self.find(key) {
            Found::Nothing => None,
            Found::Row(row) => visit(row),
            Found::Rows => self.find_map_of_many(key, visit),
        }
    }

    /// [`Self::find_map`] for a key with many rows: a few at first, since most want no more.
    fn find_map_of_many<T>(
        &self,
        key: &[u8],
        mut visit: impl FnMut(RowId) -> Option<T>,
    ) -> Option<T> {
        let (mut low, high) = (Cut::below(key), Cut::above(key));
        let (mut rows, mut limit) = (Vec::new(), MANY_FIRST);
        loop {
            rows.clear();
            let mut sink = Rows::new(key, &mut rows);
            let were_all = self.walk_between(&low, Some(&high), false, limit, &mut sink);
            let found = rows.iter().find_map(|row| visit(*row));
            match rows.last() {
                Some(last) if found.is_none() && !were_all => low.move_to(key, *last, false),
                _ => return found,
            }
            limit = (limit * 4).min(MANY_MOST);
        }
    }

    #[inline(always)]
    fn find(&self, key: &[u8]) -> Found {
        let _guard = epoch::pin();
        match Short::new(key) {
            Some(key) => self.find_rest(key),
            None => self.find_rest(key),
        }
    }

    #[inline(always)]
    fn find_rest(&self, key: impl Rest) -> Found {
        loop {
            if let Ok(found) = self.try_find(key) {
                return found;
            }
        }
    }

    /// Looks for a key under a guard.
    ///
    /// A word is read from a slot that was the key's place when the look-up came to it. If its node
    /// went out of the tree since, it stands as it was then: so the word was in the tree at that
    /// moment, within this call. That is why a slot that is read alone asks for no version.
    #[inline(always)]
    fn try_find<R: Rest>(&self, key: R) -> Result<Found, Again> {
        let mut word = Word::load(&self.root);
        let mut rest = key;
        loop {
            match Self::step(word, rest)? {
                Step::Down(below, left) => (word, rest) = (below, left),
                Step::Done(found) => return Ok(found),
            }
        }
    }

    /// Goes down one level.
    #[inline(always)]
    fn step<R: Rest>(word: Word, rest: R) -> Result<Step<R>, Again> {
        // Dense keys go through nothing else, from here to the row.
        if let Some(inner) = word.as_plain_256() {
            return Ok(match rest.first() {
                Some(byte) => Step::Down(inner.word_256(byte), rest.skip(1)),
                None => Step::Done(found_beside(rest, inner)),
            });
        }
        let inner = match word.child() {
            Child::Row(row) if rest.len() == 0 => return Ok(Step::Done(Found::Row(row))),
            Child::Nothing | Child::Row(_) => return Ok(Step::Done(Found::Nothing)),
            Child::Bucket(bucket) => {
                word.prefetch();
                let seen = bucket.header().version.read()?;
                let found = bucket.find(rest);
                bucket.header().version.check(seen)?;
                return Ok(Step::Done(found));
            }
            Child::Inner(inner) => inner,
        };
        let version = &inner.header().version;
        let seen = version.read()?;
        let prefix = inner.prefix_len();
        if rest.len() <= prefix || !inner.leads(rest) {
            return Ok(Step::Done(found_beside(rest, inner)));
        }
        let below = rest.skip(prefix);
        let byte = below.first().expect("it is longer than the prefix");
        let word = inner.find(byte).map_or(Word::NOTHING, Word::load);
        version.check(seen)?;
        Ok(Step::Down(word, below.skip(1)))
    }

    /// Adds the next entries of a scan to what has none.
    pub(super) fn scan(&self, cursor: &mut Cursor, limit: usize, out: &mut impl Sink) {
        if cursor.is_done() || limit == 0 {
            return;
        }
        let (low, high) = cursor.cuts();
        let ended = self.walk_between(low, high, cursor.is_backward(), limit, out);
        match out.last() {
            Some((key, row)) if !ended => cursor.stand_at(&key, row),
            _ => cursor.finish(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.total()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.own.bytes() + self.memory.bytes()
    }

    /// Frees nodes that went out of the tree, as far as readers allow.
    pub(super) fn free_retired(&self) {
        self.memory.flush();
    }

    /// Whether a pass takes all nodes for evacuated.
    #[cfg(test)]
    pub(super) fn let_all_leave(&self, leave: bool) {
        self.memory.all_leaves.store(leave, Relaxed);
    }

    /// As [`Self::fill`], of a batch that is sorted.
    pub(super) fn fill_from(&self, batch: &Batch, stop: crate::Stop<'_>) -> Result<()> {
        let ledger = self.memory.pool().ledger();
        let bytes = batch.len() * size_of::<Item<'_>>();
        let _reservation = ledger.reserve(Owner::Index, bytes as u64)?;
        let item = |(key, row): (_, RowId)| Item { key, row: row.0 };
        let mut items = Vec::with_capacity(batch.len());
        let mut left = batch.iter();
        while left.len() > 0 {
            stop.check()?;
            items.extend(left.by_ref().take(STRETCH).map(item));
        }
        self.fill(&items, threads(), stop)
    }

    /// As [`Self::fill_from`], of batches that are not sorted, without asking the ledger beforehand.
    pub(super) fn fill_together(&self, batches: Vec<Batch>) -> Result<()> {
        let merged = Merged::new(batches)?;
        let ledger = self.memory.pool().ledger();
        let none = item_of((0, &[], RowId(0)));
        let (items, _memory) = merged.collect(ledger, none, item_of)?;
        self.build(&items, threads(), crate::Stop::NEVER)
    }

    /// Puts sorted entries without duplicates into the tree, which is empty and which nobody else
    /// changes, built by several threads. Fails before anything is built where the ledger could
    /// not grant it.
    fn fill(&self, items: &[Item<'_>], threads: usize, stop: crate::Stop<'_>) -> Result<()> {
        let ledger = self.memory.pool().ledger();
        drop(ledger.reserve(Owner::Index, build::estimate(items, stop)?)?);
        self.build(items, threads, stop)
    }

    fn build(&self, items: &[Item<'_>], threads: usize, stop: crate::Stop<'_>) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let word = build::build_parallel(&self.memory, items, threads, stop)?;
        let is_empty = Word::load(&self.root).is_nothing();
        assert!(is_empty, "only an empty index is filled at once");
        word.store(&self.root);
        self.entries.add(items.len() as isize);
        Ok(())
    }
}

fn item_of<'a>((_, key, row): Ranked<'a>) -> Item<'a> {
    Item { key, row: row.0 }
}

/// What there is of a key of which this is left, and which ends before a node branches, or goes on
/// differently.
#[cold]
fn found_beside(rest: impl Rest, inner: node::Inner) -> Found {
    let prefix = inner.prefix();
    // All entries below begin with the whole key, or none: they are its rows, or else the key is
    // the beginning of a key only.
    let is_end = rest.len() + usize::from(inner.row_bytes()) == prefix.len() + 1;
    match is_end && rest.with_bytes(|rest| prefix.starts_with(rest)) {
        true => Found::Rows,
        false => Found::Nothing,
    }
}

impl Drop for OrderedIndex {
    fn drop(&mut self) {
        let word = Word::load(&self.root);
        // SAFETY: nobody reads a tree that is being dropped.
        unsafe { build::free(&self.memory, word) };
    }
}
