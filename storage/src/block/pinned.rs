//! What one snapshot alone keeps of a row.

use super::slots::Block;
use crate::ids::{Slot, Timestamp};
use crate::mvcc::{Operation, Snapshots, StampKind, Version};
use crate::pool::{Owner, rounded_bytes};
use smallvec::SmallVec;

/// What collection would free of a row if one snapshot went away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pinned {
    /// That snapshot.
    pub by: Timestamp,
    /// Version records; and the slot of a deleted row that nobody else sees.
    pub bytes: usize,
}

/// A committed state that somebody sees.
#[derive(Clone, Copy)]
struct Kept<'a> {
    version: Option<&'a Version>,
    is_deletion: bool,
    /// The snapshots that see it, below the next state.
    seen_by: &'a [Timestamp],
}

impl Block {
    /// For each state of a row that has been replaced, and that some snapshot sees: which one, if it
    /// is the only one to see it, and what it pins.
    pub fn pinned(
        &self,
        slot: Slot,
        snapshots: &Snapshots,
        proof: &Operation<'_>,
        mut held: impl FnMut(&[Timestamp], Option<Pinned>),
    ) {
        let mut kept = SmallVec::<[Kept<'_>; 4]>::new();
        let mut end: Option<Timestamp> = None;
        for link in self.chain(slot, proof) {
            let StampKind::Committed(begin) = link.stamp().kind() else {
                continue;
            };
            let seen_by = end.map_or(&[][..], |end| snapshots.between(begin, end));
            if end.is_none() || !seen_by.is_empty() {
                kept.push(Kept {
                    version: link.version(),
                    is_deletion: link.image().is_none(),
                    seen_by,
                });
            }
            end = Some(begin);
        }
        let Some((newest, older)) = kept.split_first() else {
            return;
        };
        for state in older {
            let pinned = match state.seen_by {
                [by] => Some(Pinned {
                    by: *by,
                    bytes: record_bytes(state.version) + self.last_bytes(newest, older.len()),
                }),
                _ => None,
            };
            held(state.seen_by, pinned);
        }
    }

    /// Bytes that go when the newest state is all that is left, after so many `older` ones.
    fn last_bytes(&self, newest: &Kept<'_>, older: usize) -> usize {
        if older > 1 {
            return 0;
        }
        let stride = if self.is_frozen() {
            0
        } else {
            self.layout.stride()
        };
        match newest.version {
            version if newest.is_deletion => record_bytes(version) + stride,
            Some(version) if self.can_fold(version.image()) => record_bytes(Some(version)),
            _ => 0,
        }
    }
}

fn record_bytes(version: Option<&Version>) -> usize {
    version.map_or(0, |version| rounded_bytes(Owner::Version, version.bytes()))
}
