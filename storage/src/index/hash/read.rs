//! Reading: without a lock, validated.

use super::HashIndex;
use super::directory::bucket_of;
use super::identity::{Identity, Target};
use super::line::{LINK, Line, SLOTS};
use crate::ids::RowId;
use crate::index::epoch::{Guard, pin};
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

/// What one look at the first line of a bucket gave.
pub(super) enum Glance {
    /// There are no rows.
    Nothing,
    /// There is this row.
    Only(RowId),
    /// There is this row, and there may be others.
    First(RowId),
    /// There may be rows.
    Unknown,
}

impl HashIndex {
    /// Looks at the first line of an identity's bucket: mostly that is all.
    pub(super) fn glance(&self, identity: Identity) -> Glance {
        let guard = pin();
        let buckets = self.directory.buckets();
        let number = bucket_of(identity, buckets);
        let root = self.directory.bucket(number, &guard);
        let Some(reading) = root.and_then(Line::begin_reading) else {
            return Glance::Unknown;
        };
        let (first, mut has_more) = reading.first(identity);
        // It is the right bucket if the number did not change; see `try_read`.
        let is_right = self.directory.buckets() == buckets || is_left_out(Fault::BucketNotChecked);
        has_more |= !is_right || !reading.is_valid();
        match (first, has_more) {
            (Some(Target::Row(row)), true) => Glance::First(row),
            (Some(Target::Row(row)), false) => Glance::Only(row),
            (None, false) => Glance::Nothing,
            _ => Glance::Unknown,
        }
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
        let (mut line, mut is_chained) = (reading.root, reading.is_chained());
        while is_chained {
            line.for_each(identity, LINK, &mut visit);
            let next = line.link();
            if !reading.is_valid() {
                return None;
            }
            // SAFETY: valid up to here, so the link slot had the address of the chain's next line
            // when it was loaded; that line goes back to the pool only through the epoch, after
            // the guard was taken.
            line = unsafe { &*next };
            is_chained = line.is_chained();
        }
        line.for_each(identity, SLOTS, &mut visit);
        if is_heavy {
            self.heavy.copy_to(identity, found.all());
        }
        reading.is_valid().then_some(())
    }
}
