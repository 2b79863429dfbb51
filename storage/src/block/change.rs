//! Changing rows: versions and deletions come, are stamped or taken back, and are folded.
//!
//! ```text
//!   update, delete --> marker --> stamp: committed --> fold: cut what is older, into the base
//!                        \\--> undo: as before
//! ```

use super::chain::Link;
use super::hot::Block;
use super::image;
use super::row::RowRef;
use crate::error::Result;
use crate::ids::{ColumnId, Slot, Timestamp, TransactionId};
use crate::mvcc::{Garbage, Head, NewVersion, Registration, Resolved, Stamp, StampKind, Viewpoint};
use crate::sync::atomic::Ordering::{Relaxed, Release};
use crate::value::ValueRef;
use std::thread;

/// What became of an update or a deletion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// It was chained.
    Done,
    /// The command does not see the row, or has changed it already.
    Skipped,
    /// Another transaction was first.
    Conflict(TransactionId),
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
        self.write(slot, viewpoint, |seen, old| {
            let version = image::updated(self.pool(), marker, old, changes)?;
            Ok(self.header(slot).head.push(seen, version).is_ok())
        })
    }

    /// Chains a deletion over a row.
    pub fn delete(&self, slot: Slot, viewpoint: &Viewpoint<'_>, marker: Stamp) -> Result<Written> {
        let head = &self.header(slot).head;
        self.write(slot, viewpoint, |seen, _| {
            if matches!(seen, Head::Empty) {
                return Ok(head.delete(marker));
            }
            let tombstone = NewVersion::tombstone(self.pool(), marker)?;
            Ok(head.push(seen, tombstone).is_ok())
        })
    }

    /// First writer wins: `chain` is called with the newest state if the viewpoint sees it, and
    /// says whether it was still the newest.
    fn write(
        &self,
        slot: Slot,
        viewpoint: &Viewpoint<'_>,
        chain: impl Fn(Head<'_>, &RowRef<'_>) -> Result<bool>,
    ) -> Result<Written> {
        let proof = viewpoint.registration();
        let unsettled = self.unsettled(usize::from(slot.0));
        unsettled.fetch_add(1, Relaxed);
        let written = loop {
            let seen = self.header(slot).head.load(proof);
            let link = self.link(slot, proof, seen);
            let resolved = viewpoint.resolve(|| link.stamp());
            if viewpoint.sees_resolved(resolved) {
                let Some(old) = link.image() else {
                    break Ok(Written::Skipped);
                };
                match chain(seen, &old) {
                    Ok(true) => return Ok(Written::Done),
                    Ok(false) => continue,
                    Err(error) => break Err(error),
                }
            }
            match resolved {
                // A rival is taking its change back: look again.
                Resolved::Nothing if !link.is_base() => thread::yield_now(),
                Resolved::Nothing | Resolved::Own(_) => break Ok(Written::Skipped),
                other => break Ok(Written::Conflict(viewpoint.rival(other))),
            }
        };
        unsettled.fetch_sub(1, Release);
        written
    }

    /// Gives everything that the transaction wrote to the row its commit timestamp.
    pub fn stamp(&self, slot: Slot, proof: &Registration, timestamp: Timestamp) {
        let stamp = Stamp::committed(timestamp);
        let header = self.header(slot);
        let is_own = |stamp: Stamp| match stamp.kind() {
            StampKind::Uncommitted { owner, .. } => owner == proof.owner(),
            _ => false,
        };
        let mut head = header.head.load(proof);
        if matches!(head, Head::Deleted(marker) if is_own(marker)) {
            header.head.stamp_deletion(stamp);
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
        if is_own(header.begin.load()) {
            header.begin.store(stamp);
        }
    }

    /// Takes back the insertion of a row.
    pub fn undo_insert(&self, slot: Slot) {
        self.header(slot).begin.store(Stamp::ABORTED);
    }

    /// Takes back the newest change of a row, which is the caller's own.
    pub fn undo_change(&self, slot: Slot, proof: &Registration) -> Option<Garbage> {
        let head = &self.header(slot).head;
        let garbage = match head.load(proof) {
            Head::Version(newest) => Some(head.undo_version(newest)),
            Head::Deleted(_) => {
                head.undo_deletion();
                None
            }
            Head::Empty => unreachable!("a change to be undone is still there"),
        };
        // The row is as settled as it was before.
        self.unsettled(usize::from(slot.0)).fetch_sub(1, Release);
        garbage
    }

    /// Notes that the insertion of a row is at or below the horizon.
    pub fn settle_insert(&self, slot: Slot) {
        self.unsettled(usize::from(slot.0)).fetch_sub(1, Release);
    }

    /// Lets go of what is below a state that everybody sees: cuts the chain there, and folds the
    /// state into the base or the head word if it is the newest and can be.
    ///
    /// The caller is the collector (one at a time), and the state is committed at or below the
    /// horizon.
    pub fn fold(
        &self,
        slot: Slot,
        cut: &Link<'_>,
        proof: &Registration,
        mut retire: impl FnMut(Garbage),
    ) {
        let Some(version) = cut.version() else {
            return;
        };
        let header = self.header(slot);
        let mut unlinked = 0;
        version.cut_older(proof, |garbage| {
            unlinked += 1;
            retire(garbage);
        });
        let stamp = version.begin().load();
        match version.image() {
            None => {
                // The deletion stays unsettled, now in the head word.
                if let Some(garbage) = header.head.replace(version, Head::Deleted(stamp)) {
                    retire(garbage);
                }
            }
            Some(image) if self.can_fold(image) && header.head.leads_to(version) => {
                self.body_mut(slot).copy_from_slice(image);
                header.begin.store(stamp);
                // A newer version may have come: then the base says the same as this one.
                if let Some(garbage) = header.head.replace(version, Head::Empty) {
                    unlinked += 1;
                    retire(garbage);
                }
            }
            Some(_) => {}
        }
        if unlinked > 0 {
            self.unsettled(usize::from(slot.0))
                .fetch_sub(unlinked, Release);
        }
    }
}
