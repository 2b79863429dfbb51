//! Growing and shrinking, a bucket at a time.
//!
//! Whoever adds or removes an entry and finds the buckets too full or too empty splits or merges a
//! few, unless another thread is at it. So no caller ever waits for the index to be rebuilt, and
//! its memory follows the number of entries closely.
//!
//! ```text
//!   split: n buckets -> n + 1            merge: n + 1 buckets -> n
//!   bucket n - 2^l | latched |           the same steps, the other way
//!   bucket n       | latched |  entries with bit l go there; number = n + 1; released
//! ```
//!
//! Growth that finds no memory is left for later: chains grow longer. Shrinking may need lines
//! for the chain that two buckets make together; it takes them from the emergency reserve.

use super::HashIndex;
use super::chain::{Chain, links_of, new_line};
use super::directory::{BUCKETS_MAX, BUCKETS_MIN, bucket_of, origin_of};
use super::identity::Entry;
use super::line::{LINE_BYTES, Latch, Line};
use crate::error::Result;
use crate::index::memory::Supply;
use crate::mvcc::epoch::{Guard, pin};
use std::ptr::NonNull;

/// With more entries a bucket than this on average, a bucket is split. In models sooner, so that
/// few entries do it often.
const FILL_MAX: usize = if cfg!(feature = "shuttle") { 5 } else { 9 };
/// With fewer than this, two are merged.
const FILL_MIN: usize = if cfg!(feature = "shuttle") { 4 } else { 7 };
/// Buckets that one caller splits or merges at most.
const STEPS_MAX: usize = 8;

/// Entries on their way from bucket to bucket; kept, so that moving them allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    moving: Vec<Entry>,
    staying: Vec<Entry>,
}

impl Scratch {
    /// An empty list for the entries of a bucket.
    pub(super) fn entries(&mut self) -> &mut Vec<Entry> {
        self.staying.clear();
        &mut self.staying
    }
}

impl HashIndex {
    /// Splits or merges some buckets if that is due.
    pub(super) fn resize(&self) {
        let Some(mut scratch) = self.resizing.try_lock() else {
            return;
        };
        let entries = self.light.total();
        for _ in 0..STEPS_MAX {
            let buckets = self.directory.buckets();
            let is_done = if entries > buckets * FILL_MAX && buckets < BUCKETS_MAX {
                self.split(buckets, &mut scratch).is_err()
            } else if entries < buckets * FILL_MIN && buckets > BUCKETS_MIN {
                self.merge(buckets, &mut scratch).is_err()
            } else {
                true
            };
            if is_done {
                return;
            }
        }
    }

    pub(super) fn latch_bucket<'g>(&self, number: usize, guard: &'g Guard) -> Chain<'g> {
        let root = self.directory.bucket(number, guard);
        Chain {
            latch: Latch::take(root.expect("the bucket is open")),
        }
    }

    /// Splits bucket `buckets` off its origin. On error nothing changed.
    fn split(&self, buckets: usize, scratch: &mut Scratch) -> Result<()> {
        let guard = pin();
        self.directory.open(buckets, &guard)?;
        let mut old = self.latch_bucket(origin_of(buckets), &guard);
        let mut new = self.latch_bucket(buckets, &guard);
        let mut lines = Vec::new();
        old.links_to(&mut lines);
        let Scratch { moving, staying } = scratch;
        staying.clear();
        old.copy_to(staying);
        let goes = |entry: &mut Entry| bucket_of(entry.identity(), buckets + 1) == buckets;
        moving.clear();
        moving.extend(staying.extract_if(.., goes));
        old.latch.change();
        new.latch.change();
        // Two chains never need more lines than the one they were.
        old.rewrite(staying, &mut lines);
        new.rewrite(moving, &mut lines);
        new.latch.set_live(true);
        self.directory.set_buckets(buckets + 1);
        drop((old, new));
        self.retire_lines(lines);
        Ok(())
    }

    /// Merges the last bucket into its origin. On error nothing changed.
    fn merge(&self, buckets: usize, scratch: &mut Scratch) -> Result<()> {
        let gone = buckets - 1;
        let guard = pin();
        let mut kept = self.latch_bucket(origin_of(gone), &guard);
        let mut last = self.latch_bucket(gone, &guard);
        let mut lines = Vec::new();
        let entries = scratch.entries();
        for chain in [&kept, &last] {
            chain.links_to(&mut lines);
            chain.copy_to(entries);
        }
        let missing = links_of(entries.len()).saturating_sub(lines.len());
        // The root that goes is two lines less.
        lines.extend(self.lines(missing, self.memory.to_shrink(), &guard)?);
        kept.latch.change();
        last.latch.change();
        kept.rewrite(entries, &mut lines);
        last.rewrite(&[], &mut lines);
        last.latch.set_live(false);
        self.directory.set_buckets(gone);
        drop((kept, last));
        self.directory.close(gone, &guard);
        self.retire_lines(lines);
        Ok(())
    }

    /// So many new lines, or none.
    pub(super) fn lines<'g>(
        &self,
        wanted: usize,
        supply: Supply<'_>,
        _guard: &'g Guard,
    ) -> Result<Vec<&'g Line>> {
        let mut lines = Vec::new();
        while lines.len() < wanted {
            match new_line(supply) {
                Ok(line) => lines.push(line),
                Err(error) => {
                    self.retire_lines(lines);
                    return Err(error);
                }
            }
        }
        Ok(lines)
    }

    /// Gives lines back that are in no chain any more.
    pub(super) fn retire_lines<'g>(&self, lines: impl IntoIterator<Item = &'g Line>) {
        for line in lines {
            // SAFETY: `new_line` gave it with these bytes, and it was taken out of its chain, or
            // was never in one: readers that pin from here on do not find it.
            unsafe {
                let line = NonNull::from(line).cast();
                self.memory.retire(line, LINE_BYTES);
            }
        }
    }
}
