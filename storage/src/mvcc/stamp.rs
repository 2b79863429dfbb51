//! When something begins to count, in 62 bits.
//!
//! ```text
//!   bit 61   60            59 .. 48   47 .. 0
//!   0        0             committed timestamp (0: never, what zeroed memory says)
//!   0        1 (marker)    slot       command
//!   1        0             aborted
//! ```
//!
//! Two bits are left free, because the head word of a row packs a stamp beside a tag of two bits.
//! A marker needs no count of how often its slot was claimed: a slot is released only when its
//! transaction and all views of it are gone, so nobody can take a later owner's marker for theirs.

use crate::ids::Timestamp;

const MARKER: u64 = 1 << 60;
const ABORTED: u64 = 1 << 61;
const SLOT_SHIFT: u32 = 48;
const COMMAND_MASK: u64 = (1 << SLOT_SHIFT) - 1;

/// Slots that a stamp can name.
pub(super) const SLOTS_MAX: usize = 1 << 12;

/// Who holds a slot, by the slot's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OwnerId(pub(super) u16);

impl OwnerId {
    /// The number of the slot.
    #[inline]
    pub fn number(self) -> usize {
        self.0.into()
    }
}

/// When a row, a version or a deletion begins to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(pub(super) u64);

/// What a stamp says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StampKind {
    /// Nothing was ever here.
    Never,
    /// From that commit on.
    Committed(Timestamp),
    /// When its owner commits; to the owner itself, from the command after `command` on.
    Uncommitted {
        /// Whose.
        owner: OwnerId,
        /// By which of its commands.
        command: u64,
    },
    /// It was rolled back.
    Aborted,
}

impl Stamp {
    /// What zeroed memory says.
    pub const NEVER: Self = Self(0);
    /// It was rolled back.
    pub const ABORTED: Self = Self(ABORTED);

    /// From that commit on.
    pub fn committed(timestamp: Timestamp) -> Self {
        assert!(timestamp.0 < MARKER, "a timestamp fits its 60 bits");
        Self(timestamp.0)
    }

    /// When its owner commits.
    pub fn uncommitted(owner: OwnerId, command: u64) -> Self {
        assert!(command <= COMMAND_MASK, "a command fits its 48 bits");
        Self(MARKER | u64::from(owner.0) << SLOT_SHIFT | command)
    }

    /// Whether it says *committed*, at or before that time.
    #[inline]
    pub fn is_committed_by(self, latest: Timestamp) -> bool {
        // Never is 0, and markers are above all timestamps.
        self.0.wrapping_sub(1) < latest.0.min(MARKER - 1)
    }

    /// What it says.
    pub fn kind(self) -> StampKind {
        if self.0 & ABORTED != 0 {
            StampKind::Aborted
        } else if self.0 & MARKER != 0 {
            StampKind::Uncommitted {
                owner: OwnerId(((self.0 >> SLOT_SHIFT) & (SLOTS_MAX as u64 - 1)) as u16),
                command: self.0 & COMMAND_MASK,
            }
        } else if self.0 == 0 {
            StampKind::Never
        } else {
            StampKind::Committed(Timestamp(self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_says_what_it_was_made_of() {
        let owner = OwnerId(SLOTS_MAX as u16 - 1);
        let kinds = [
            (Stamp::NEVER, StampKind::Never),
            (Stamp::ABORTED, StampKind::Aborted),
            (
                Stamp::committed(Timestamp(7)),
                StampKind::Committed(Timestamp(7)),
            ),
            (
                Stamp::uncommitted(owner, COMMAND_MASK),
                StampKind::Uncommitted {
                    owner,
                    command: COMMAND_MASK,
                },
            ),
        ];
        for (stamp, kind) in kinds {
            assert_eq!(stamp.kind(), kind);
            assert!(stamp.0 < 1 << 62, "two bits stay free for a head's tag");
            for latest in [0, 6, 7, 8, MARKER - 1, u64::MAX] {
                let is_by = matches!(kind, StampKind::Committed(at) if at.0 <= latest);
                assert_eq!(stamp.is_committed_by(Timestamp(latest)), is_by);
            }
        }
    }
}
