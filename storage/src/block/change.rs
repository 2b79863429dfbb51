//! Changing rows: versions and deletions come, are stamped or taken back, and are folded.
//!
//! ```text
//!   update, delete --> marker --> stamp: committed --> fold: cut what is older, into the base
//!                        \\--> undo: as before
//! ```

use super::chain::Link;
use super::image;
use super::row::RowRef;
use super::slots::{Base, Block};
use crate::error::Result;
use crate::ids::{ColumnId, Slot, Timestamp, TransactionId};
use crate::mvcc::{Garbage, Head, Operation, Resolved, Stamp, StampKind, Viewpoint};
use crate::sync::atomic::Ordering::{Relaxed, Release};
use crate::sync::yield_now;
use crate::value::ValueRef;

/// What became of an update or a deletion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// It was chained.
    Done,
    /// The command does not see the row, or has changed it already.
    Skipped,
    /// Another transaction was first; whether it has committed.
    Conflict(TransactionId, bool),
}

impl Block {
    /// Chains a changed version over a row.
    pub fn update(
        &self,
        slot: Slot,
        viewpoint: &Viewpoint<'_>,
        marker: Stamp,
        changes: &[(ColumnId, ValueRef<'_>)],
    ) -> Result<Written> {
        self.write(slot, viewpoint, |block, seen, old| {
            let version = image::updated(&self.pool, marker, old, changes)?;
            let head = block.head_word(slot)?;
            Ok(head.push(seen, version).is_ok())
        })
    }

    /// Deletes a row. Over a hot row, and over a version, that takes no memory.
    pub fn delete(&self, slot: Slot, viewpoint: &Viewpoint<'_>, marker: Stamp) -> Result<Written> {
        self.write(slot, viewpoint, |block, seen, _| match seen {
            Head::Version(newest) => {
                let is_deleted = block.used_head(slot).delete_over(newest, marker);
                if !is_deleted {
                    // Another deleter may be putting back what it wrote to the record.
                    yield_now();
                }
                Ok(is_deleted)
            }
            _ => block.delete_bare(slot, marker),
        })
    }

    /// First writer wins: `chain` is called with the newest state if the viewpoint sees it, and
    /// says whether it was still the newest.
    fn write(
        &self,
        slot: Slot,
        viewpoint: &Viewpoint<'_>,
        chain: impl Fn(&Self, Head<'_>, &RowRef<'_>) -> Result<bool>,
    ) -> Result<Written> {
        let mut block = self;
        loop {
            // Counted before it is chained, so that no scan takes the range for settled.
            let unsettled = block.unsettled(usize::from(slot.0));
            unsettled.fetch_add(1, Relaxed);
            let written = block.try_write(slot, viewpoint, &chain);
            if !matches!(written, Ok(Some(Written::Done))) {
                unsettled.fetch_sub(1, Release);
            }
            match written? {
                Some(written) => return Ok(written),
                None => block = block.moved_to(),
            }
        }
    }

    /// The same in this block; `None` when the row has moved.
    #[inline]
    fn try_write(
        &self,
        slot: Slot,
        viewpoint: &Viewpoint<'_>,
        chain: impl Fn(&Self, Head<'_>, &RowRef<'_>) -> Result<bool>,
    ) -> Result<Option<Written>> {
        let proof = viewpoint.operation();
        loop {
            let seen = self.head(slot, proof);
            if matches!(seen, Head::Moved) {
                return Ok(None);
            }
            let link = self.link(slot, proof, seen);
            let resolved = viewpoint.resolve(|| link.stamp());
            if viewpoint.sees_resolved(resolved) {
                // Looked at where it is: to move it costs more than to make it.
                match &link.image() {
                    None => return Ok(Some(Written::Skipped)),
                    Some(old) if chain(self, seen, old)? => return Ok(Some(Written::Done)),
                    Some(_) => continue,
                }
            }
            match resolved {
                // A rival is taking its change back: look again.
                Resolved::Nothing if !link.is_base() => yield_now(),
                Resolved::Nothing | Resolved::Own(_) => return Ok(Some(Written::Skipped)),
                newest => {
                    let first = self.winner(slot, viewpoint, newest);
                    let has_committed = matches!(first, Resolved::Committed(_));
                    let rival = viewpoint.rival(first);
                    return Ok(Some(Written::Conflict(rival, has_committed)));
                }
            }
        }
    }

    /// Who was first where the newest state is a rival's: one who has committed, if there is one. Against
    /// him it is lost whatever becomes of the newest.
    #[cold]
    fn winner(&self, slot: Slot, viewpoint: &Viewpoint<'_>, newest: Resolved) -> Resolved {
        let chain = self.chain(slot, viewpoint.operation());
        let mut states = chain.map(|link| viewpoint.resolve(|| link.stamp()));
        let committed = states.find(|resolved| matches!(resolved, Resolved::Committed(_)));
        let committed = committed.filter(|resolved| !viewpoint.sees_resolved(*resolved));
        committed.unwrap_or(newest)
    }

    /// Gives everything that the transaction wrote to the row its commit timestamp.
    pub fn stamp(&self, slot: Slot, proof: &Operation<'_>, timestamp: Timestamp) {
        let stamp = Stamp::committed(timestamp);
        let is_own = |stamp: Stamp| match stamp.kind() {
            StampKind::Uncommitted { owner, .. } => owner == proof.owner(),
            _ => false,
        };
        let mut head = self.head(slot, proof);
        match head {
            Head::Deleted(marker)
                if is_own(marker) && !self.stamp_deletion(slot, marker, stamp) =>
            {
                // Nothing else than moving can happen to a deletion that is not committed.
                head = Head::Moved;
            }
            Head::DeletedOver(version) => {
                if is_own(version.deleted().load()) {
                    version.deleted().store(stamp);
                }
                head = Head::Version(version);
            }
            _ => {}
        }
        if matches!(head, Head::Moved) {
            return self.moved_to().stamp(slot, proof, timestamp);
        }
        while let Head::Version(version) = head {
            let begin = version.begin().load();
            if is_own(begin) {
                version.begin().store(stamp);
            } else if matches!(begin.kind(), StampKind::Committed(at) if at <= timestamp) {
                // Below are older commits; and this transaction's, which are stamped already.
                return;
            }
            head = version.older().load(proof);
        }
        // Rows do not move before their insertion is stamped and below the horizon.
        if let Base::Hot(rows) = &self.base
            && is_own(rows.header(slot).begin.load())
        {
            rows.header(slot).begin.store(stamp);
        }
    }

    /// Takes back the insertion of a row.
    pub fn undo_insert(&self, slot: Slot) {
        self.rows().header(slot).begin.store(Stamp::ABORTED);
    }

    /// Takes back the newest change of a row, which is the caller's own.
    pub fn undo_change(&self, slot: Slot, proof: &Operation<'_>) -> Option<Garbage> {
        let garbage = match self.head(slot, proof) {
            Head::Version(newest) => Some(self.used_head(slot).undo_version(newest)),
            Head::DeletedOver(newest) => {
                self.used_head(slot).undo_delete_over(newest);
                None
            }
            Head::Deleted(marker) => {
                self.undo_deletion(slot, marker);
                None
            }
            Head::Empty => unreachable!("a change to be undone is still there"),
            Head::Moved => unreachable!("the collector, who undoes, finds the block of today"),
        };
        // The row is as settled as it was before.
        self.unsettled(usize::from(slot.0)).fetch_sub(1, Release);
        garbage
    }

    /// Notes that so many insertions in the range of a slot are at or below the horizon.
    pub fn settle_inserts(&self, slot: Slot, rows: u32) {
        self.settled(slot, rows);
    }

    /// When the only version over a row began to count, if there is one and no more.
    pub fn lone_version(&self, slot: Slot, proof: &Operation<'_>) -> Option<Stamp> {
        match self.head(slot, proof) {
            Head::Version(version) if version.older().is_empty() => Some(version.begin().load()),
            _ => None,
        }
    }

    /// Lets go of what is below a state that everybody sees: cuts the chain there, and folds the
    /// state into the base or the head word if it is the newest and can be.
    ///
    /// The caller is the collector (one at a time); the state is committed, and no snapshot sees an
    /// older one, now or later. Nor does anybody read the base for another reason.
    pub fn fold(
        &self,
        slot: Slot,
        cut: &Link<'_>,
        proof: &Operation<'_>,
        mut retire: impl FnMut(Garbage),
    ) {
        let Some(version) = cut.version().or(cut.deleted_version()) else {
            return;
        };
        let head = self.used_head(slot);
        let mut unlinked = 0;
        version.cut_older(proof, |garbage| {
            unlinked += 1;
            retire(garbage);
        });
        let stamp = version.begin().load();
        if cut.deleted_version().is_some() {
            // The deletion stays unsettled, now in the head word, until it is buried.
            if let Some(garbage) = head.unlink_deleted(version, proof) {
                unlinked += 1;
                retire(garbage);
            }
        } else if head.leads_to(version) {
            // A block that was built later than the version has it for its base already.
            if !self.was_built_from(stamp) {
                let image = version.image();
                if !self.can_fold(image) {
                    return self.settled(slot, unlinked);
                }
                let rows = self.rows();
                rows.body_mut(slot).copy_from_slice(image);
                rows.header(slot).begin.store(stamp);
            }
            // A newer version may have come: then the base says the same as this one.
            if let Some(garbage) = head.fold(version) {
                unlinked += 1;
                retire(garbage);
            }
        }
        self.settled(slot, unlinked);
    }

    /// Unlinks a version that no snapshot sees from below the next `newer` one; `None` where the state
    /// is no version. The caller is the collector.
    pub fn unlink(&self, slot: Slot, newer: &Link<'_>, gone: &Link<'_>) -> Option<Garbage> {
        let gone = gone.version()?;
        let garbage = match newer.version() {
            Some(newer) => newer.unlink_older(gone),
            None => {
                newer.deleted_version()?;
                self.used_head(slot).unlink_deleted(gone, newer.proof())?
            }
        };
        self.settled(slot, 1);
        Some(garbage)
    }

    /// Notes that so much less of the range of a slot is not settled.
    fn settled(&self, slot: Slot, less: u32) {
        if less > 0 {
            // Release: whoever finds the range settled finds the base as it is.
            self.unsettled(usize::from(slot.0)).fetch_sub(less, Release);
        }
    }

    /// Whether the base row was made of a state that began so.
    fn was_built_from(&self, stamp: Stamp) -> bool {
        matches!(stamp.kind(), StampKind::Committed(at) if self.built_at().is_some_and(|built| at <= built))
    }
}
