//! Reading: without a lock, validated.

use super::HashIndex;
use super::directory::bucket_of;
use super::identity::{Identity, Target};
use super::line::{LINK, SLOTS};
use crate::ids::RowId;
use crate::mvcc::epoch::{Guard, pin};
use crate::sync::{Backoff, Fault, is_left_out};

/// Rows of one key that need no allocation.
const FEW: usize = 8;

/// The rows found for a key.
#[derive(Debug)]
pub(super) struct Matches {
    few: [RowId; FEW],
    len: usize,
    /// All of them, where they are more.
    many: Vec<RowId>,
}

impl Matches {
    pub(super) fn none() -> Self {
        Self {
            few: [RowId(0); FEW],
            len: 0,
            many: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.len = 0;
        self.many.clear();
    }

    fn push(&mut self, row: RowId) {
        if self.len < FEW && self.many.is_empty() {
            self.few[self.len] = row;
            self.len += 1;
        } else {
            self.all().push(row);
        }
    }

    /// All rows as a vector.
    fn all(&mut self) -> &mut Vec<RowId> {
        self.many.extend_from_slice(&self.few[..self.len]);
        self.len = 0;
        &mut self.many
    }

    /// The rows, ascending, each once.
    pub(super) fn sorted(&mut self) -> &[RowId] {
        if !self.many.is_empty() {
            self.many.sort_unstable();
            // A row that was taken out and added again meanwhile may have been met twice.
            self.many.dedup();
            return &self.many;
        }
        let rows = &mut self.few[..self.len];
        if rows.len() < 2 {
            return rows;
        }
        rows.sort_unstable();
        let mut kept = 1;
        for at in 1..rows.len() {
            if rows[at] != rows[kept - 1] {
                rows[kept] = rows[at];
                kept += 1;
            }
        }
        &rows[..kept]
    }
}

impl HashIndex {
    /// A row of an identity, if one look at its bucket finds one: mostly all that is wanted. No
    /// more is known of it than that it was there, and of none, nothing.
    #[inline(always)]
    pub(super) fn glance(&self, identity: Identity) -> Option<RowId> {
        let guard = pin();
        let number = bucket_of(identity, self.directory.buckets());
        self.directory.bucket(number, &guard)?.glance(identity)
    }

    /// Finds the rows of an identity.
    pub(super) fn read(&self, identity: Identity) -> Matches {
        let mut found = Matches::none();
        let guard = pin();
        let mut backoff = Backoff::default();
        while self.try_read(identity, &mut found, &guard).is_none() {
            found.clear();
            backoff.wait();
        }
        found
    }

    /// Reads the bucket of an identity once; `None` where something moved meanwhile.
    fn try_read(&self, identity: Identity, found: &mut Matches, guard: &Guard) -> Option<()> {
        let number = bucket_of(identity, self.directory.buckets());
        let reading = self.directory.bucket(number, guard)?.begin_reading()?;
        // It may have been split or merged before the reading began. From here to the end of a
        // valid reading it was not: see `directory`.
        if bucket_of(identity, self.directory.buckets()) != number
            && !is_left_out(Fault::BucketNotChecked)
        {
            return None;
        }
        let mut is_heavy = false;
        let mut visit = |_, target| match target {
            Target::Row(row) => found.push(row),
            Target::Heavy => is_heavy = true,
        };
        reading.root.first.for_each(identity, SLOTS, &mut visit);
        let mut line = &reading.root.second;
        loop {
            let is_chained = line.is_chained();
            let slots = if is_chained { LINK } else { SLOTS };
            line.for_each(identity, slots, &mut visit);
            if !is_chained {
                break;
            }
            let next = line.link();
            if !reading.is_valid() {
                return None;
            }
            // SAFETY: valid up to here, so the link slot had the address of the chain's next line
            // when it was loaded; that line goes back to the pool only through the epoch, after
            // the guard was taken.
            line = unsafe { &*next };
        }
        if is_heavy {
            self.heavy.copy_to(identity, found.all());
        }
        reading.is_valid().then_some(())
    }
}
