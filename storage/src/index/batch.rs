//! Entries gathered to be put into an empty index at once: `CREATE INDEX`, recovery.
//!
//! 1. Keys are gathered one behind the other, with a place and a row each, as the rows are read.
//! 2. They are sorted on all cores: the entries are parted at their median, the parts likewise, one
//!    a core, and each is sorted by itself. Most comparisons are of a *head*: the 8 bytes after
//!    what all keys begin with, as an integer.
//! 3. What was gathered twice goes. Equal keys are then neighbours, so that those which repeat in a
//!    unique index are found in one pass.
//! 4. The index is built over the sorted entries, bottom up and full.
//!
//! What this takes is reserved before; it is about 64 bytes an entry and twice its key, for the
//! time of the building.

use crate::error::Result;
use crate::ids::RowId;
use crate::parallel::threads;
use crate::pool::{Ledger, Owner, Reservation, reserve_huge};
use crate::sort::{select_by, sort_by};
use crate::stop::Stop;
use crate::sync::Mutex;
use std::cmp::Ordering;
use std::sync::Arc;

/// Entries that are worth another thread.
const SHARE_MIN: usize = 1 << 15;
/// Entries between two questions whether to stop.
pub(super) const STRETCH: usize = 1 << 13;
/// Bytes of the smallest reservation.
const BYTES_MIN: usize = 4096;

/// Entries on their way into an index.
#[derive(Debug)]
pub struct Batch {
    keys: Vec<u8>,
    entries: Vec<Entry>,
    reservation: Reservation,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    head: u64,
    start: usize,
    len: u32,
    /// Whether another row may have the same key in a unique index.
    may_repeat: bool,
    row: RowId,
}

/// An entry as it is compared with those of other batches: head, key, row.
pub(super) type Ranked<'a> = (u64, &'a [u8], RowId);

impl Entry {
    fn key<'a>(&self, keys: &'a [u8]) -> &'a [u8] {
        &keys[self.start..self.start + self.len as usize]
    }

    fn compare(&self, other: &Self, keys: &[u8]) -> Ordering {
        let heads = self.head.cmp(&other.head);
        heads
            .then_with(|| self.key(keys).cmp(other.key(keys)))
            .then_with(|| self.row.cmp(&other.row))
    }
}

impl Batch {
    /// No entries yet.
    pub fn new(ledger: &Arc<Ledger>) -> Result<Self> {
        Ok(Self {
            keys: Vec::new(),
            entries: Vec::new(),
            reservation: ledger.reserve(Owner::Index, 0)?,
        })
    }

    /// Adds an entry; `may_repeat` says that its key may be that of another row, too, also in a
    /// unique index, because there is a NULL in it.
    pub fn push(&mut self, key: &[u8], row: RowId, may_repeat: bool) -> Result<()> {
        super::check_key(key)?;
        let end = self.keys.len() + key.len();
        if end > self.keys.capacity() || self.entries.len() == self.entries.capacity() {
            self.grow(end)?;
        }
        self.entries.push(Entry {
            head: 0,
            start: self.keys.len(),
            len: key.len() as u32,
            may_repeat,
            row,
        });
        self.keys.extend_from_slice(key);
        Ok(())
    }

    /// Doubles what is too small, once the ledger has granted old and new side by side.
    fn grow(&mut self, keys: usize) -> Result<()> {
        let double = |held: usize, wanted: usize| match held < wanted {
            true => (2 * held).max(wanted).max(BYTES_MIN),
            false => held,
        };
        let keys = double(self.keys.capacity(), keys);
        let entries = double(self.entries.capacity(), self.entries.len() + 1);
        self.reservation
            .resize(self.bytes() + bytes_of(keys, entries))?;
        reserve_huge(&mut self.keys, keys);
        reserve_huge(&mut self.entries, entries);
        self.reservation.shrink(self.bytes());
        Ok(())
    }

    fn bytes(&self) -> u64 {
        bytes_of(self.keys.capacity(), self.entries.capacity())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sorts the entries by key, then row, and leaves one of those that are equal.
    ///
    /// # Errors
    /// `Interrupted`, where it is to stop.
    pub fn sort(&mut self, stop: Stop<'_>) -> Result<()> {
        let Some(first) = self.first_key() else {
            return Ok(());
        };
        let common = self.common_with(first, stop)?;
        self.sort_after(common, threads(), stop)?;
        self.leave_one_of_each(stop)
    }

    /// The key that was added first.
    pub(super) fn first_key(&self) -> Option<&[u8]> {
        self.entries.first().map(|entry| entry.key(&self.keys))
    }

    /// How many first bytes all keys have in common with this one.
    pub(super) fn common_with(&self, first: &[u8], stop: Stop<'_>) -> Result<usize> {
        let same = |key: &[u8]| first.iter().zip(key).take_while(|(a, b)| a == b).count();
        let mut common = first.len();
        for stretch in self.entries.chunks(STRETCH) {
            stop.check()?;
            let keys = stretch.iter().map(|entry| entry.key(&self.keys));
            common = common.min(keys.map(same).min().unwrap_or(common));
        }
        Ok(common)
    }

    /// Sorts the entries by key, then row, where all keys begin with the same `common` bytes; heads are
    /// of what follows them.
    pub(super) fn sort_after(
        &mut self,
        common: usize,
        threads: usize,
        stop: Stop<'_>,
    ) -> Result<()> {
        let keys = &self.keys;
        for stretch in self.entries.chunks_mut(STRETCH) {
            stop.check()?;
            for entry in stretch {
                entry.head = head(&entry.key(keys)[common..]);
            }
        }
        sort_on(&mut self.entries, keys, threads, stop)
    }

    /// Entry number `at`, with its head, which is in the same order as what follows it.
    pub(super) fn ranked(&self, at: usize) -> Ranked<'_> {
        let entry = &self.entries[at];
        (entry.head, entry.key(&self.keys), entry.row)
    }

    /// How many entries come before one of any batch, once both are sorted and have heads of the same.
    pub(super) fn before(&self, other: Ranked<'_>) -> usize {
        let rank = |entry: &Entry| (entry.head, entry.key(&self.keys), entry.row);
        self.entries.partition_point(|entry| rank(entry) < other)
    }

    fn leave_one_of_each(&mut self, stop: Stop<'_>) -> Result<()> {
        let mut kept = 0;
        for at in 1..self.entries.len() {
            if at % STRETCH == 0 {
                stop.check()?;
            }
            if self.entries[at]
                .compare(&self.entries[kept], &self.keys)
                .is_ne()
            {
                kept += 1;
                self.entries[kept] = self.entries[at];
            }
        }
        self.entries.truncate(kept + 1);
        Ok(())
    }

    /// Keys that may not repeat, with how many rows have each; once the entries are sorted.
    pub fn singular_keys(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let keys = &self.keys;
        let same = |a: &Entry, b: &Entry| a.head == b.head && a.key(keys) == b.key(keys);
        let groups = self.entries.chunk_by(same);
        let singular = groups.filter(|group| !group[0].may_repeat);
        singular.map(|group| (group[0].key(keys), group.len()))
    }

    /// Keys and rows, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], RowId)> {
        self.entries
            .iter()
            .map(|entry| (entry.key(&self.keys), entry.row))
    }
}

fn bytes_of(keys: usize, entries: usize) -> u64 {
    (keys + entries * size_of::<Entry>()) as u64
}

/// The first bytes as an integer of the same order.
pub(super) fn head(rest: &[u8]) -> u64 {
    let mut head = [0; 8];
    let len = rest.len().min(head.len());
    head[..len].copy_from_slice(&rest[..len]);
    u64::from_be_bytes(head)
}

fn sort_on(entries: &mut [Entry], keys: &[u8], threads: usize, stop: Stop<'_>) -> Result<()> {
    let order = |a: &Entry, b: &Entry| a.compare(b, keys);
    if threads < 2 || entries.len() < 2 * SHARE_MIN {
        return sort_by(entries, &order, &mut || stop.check());
    }
    let lower = threads / 2;
    let at = entries.len() / threads * lower;
    select_by(entries, at, &order, &mut || stop.check())?;
    let (low, high) = entries.split_at_mut(at);
    let low = Mutex::new(Some(low));
    let sort_low = || match low.lock().take() {
        Some(low) => sort_on(low, keys, lower, stop),
        None => Ok(()),
    };
    std::thread::scope(|scope| {
        let started = std::thread::Builder::new().spawn_scoped(scope, sort_low);
        let sorted = sort_on(high, keys, threads - lower, stop);
        let other = match started {
            Ok(thread) => {
                let result = thread.join();
                result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            // The system has no thread to spare: then it takes longer.
            Err(_) => sort_low(),
        };
        sorted.and(other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_sorted_and_what_repeats_is_named() {
        let ledger = Ledger::new(64 << 20);
        let mut batch = Batch::new(&ledger).unwrap();
        let key = |n: u64| [b"common", &n.wrapping_mul(0x9E37_79B1).to_be_bytes()[..]].concat();
        for n in 0..100_000 {
            batch.push(&key(n), RowId(n), false).unwrap();
        }
        batch.push(b"null", RowId(1), true).unwrap();
        batch.push(b"null", RowId(0), true).unwrap();
        assert!(ledger.used() >= batch.bytes(), "it is reserved");
        batch.sort(Stop::NEVER).unwrap();
        assert!(batch.iter().is_sorted_by(|a, b| a < b));
        let repeated = |batch: &Batch| -> Vec<Vec<u8>> {
            let keys = batch.singular_keys().filter(|(_, rows)| *rows > 1);
            keys.map(|(key, _)| key.to_vec()).collect()
        };
        assert_eq!((batch.len(), repeated(&batch)), (100_002, vec![]));
        assert_eq!(batch.singular_keys().count(), 100_000);
        batch.push(&key(7), RowId(1 << 40), false).unwrap();
        batch.push(&key(8), RowId(8), false).unwrap();
        batch.sort(Stop::NEVER).unwrap();
        assert_eq!(repeated(&batch), [key(7)]);
        assert_eq!(batch.len(), 100_003, "an entry is there once");
        drop(batch);
        assert_eq!(ledger.used(), 0);
    }

    #[test]
    fn a_batch_beyond_the_budget_is_refused() {
        let ledger = Ledger::new(1 << 20);
        let mut batch = Batch::new(&ledger).unwrap();
        let error = (0..).find_map(|n| batch.push(b"key", RowId(n), true).err());
        assert_eq!(error.unwrap().sqlstate(), "53200");
    }
}
