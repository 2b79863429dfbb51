//! Which slots of a block were claimed, and how many there ever will be.
//!
//! Both are one word, so that a block which is closed while others claim slots of it has a last one.

use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

const END_SHIFT: u32 = u32::BITS;

/// The first so many slots are claimed, of so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Claimable {
    pub(super) claimed: u32,
    pub(super) end: u32,
}

impl Claimable {
    fn word(self) -> u64 {
        u64::from(self.end) << END_SHIFT | u64::from(self.claimed)
    }

    fn of(word: u64) -> Self {
        Self {
            claimed: word as u32,
            end: (word >> END_SHIFT) as u32,
        }
    }

    /// Whether no slot is left to claim.
    pub(super) fn is_full(self) -> bool {
        self.claimed == self.end
    }
}

/// The word.
#[derive(Debug)]
pub(super) struct Claims(AtomicU64);

impl Claims {
    pub(super) fn new(claimed: usize, end: usize) -> Self {
        let (claimed, end) = (claimed as u32, end as u32);
        Self(AtomicU64::new(Claimable { claimed, end }.word()))
    }

    #[inline]
    pub(super) fn load(&self) -> Claimable {
        // Acquire: with a slot comes the count that says it is unsettled.
        Claimable::of(self.0.load(Acquire))
    }

    /// Claims the next slot, unless the word is not `seen` any more.
    pub(super) fn claim(&self, seen: Claimable) -> Result<u32, Claimable> {
        debug_assert!(!seen.is_full(), "a slot is left");
        let next = Claimable {
            claimed: seen.claimed + 1,
            ..seen
        };
        // Release: whoever sees the claim sees what was counted before.
        let old = (seen.word(), next.word());
        let done = self.0.compare_exchange_weak(old.0, old.1, AcqRel, Relaxed);
        done.map(|_| seen.claimed).map_err(Claimable::of)
    }

    /// Gives up the slots that are not claimed. Returns how many slots there are now, and how many there were.
    pub(super) fn close(&self) -> (Claimable, u32) {
        let end = |word| {
            let now = Claimable::of(word);
            let end = now.claimed;
            Some(Claimable { end, ..now }.word())
        };
        let before = self.0.fetch_update(AcqRel, Acquire, end);
        let before = Claimable::of(before.expect("an end for every word"));
        let end = before.claimed;
        (Claimable { end, ..before }, before.end)
    }
}
