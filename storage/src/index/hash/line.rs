//! A bucket: twelve entries on two cache lines that are next to each other, and more on lines
//! chained behind them.
//!
//! ```text
//!  0        4        6        8                16                              64
//!  | low 32 | tag 0  | tag 1  | tags 2 .. 5    | word 0 | word 1 | .. | word 5 |
//!                                                            or: link to the next line
//!  low 32   of a bucket's first line: version (29 bits) | LIVE | CHANGING | LATCHED
//!           of all others: CHAINED
//! ```
//!
//! The first two lines are the bucket's *root*, in the directory. A look-up loads both at once,
//! compares their tags in one go ([`matching`]), and the word of a slot whose tag is equal then
//! tells whether it is the entry. Tags stand where the number of an equal one gives the place of
//! its word at once; the processor foresees every branch of that, unless an entry is further down
//! the chain, so that it goes on to the next look-up while this one's lines are on their way.
//!
//! - Writers take LATCHED, one at a time. To fill or empty a slot of an unchained bucket is one
//!   store of a word, and no reader needs to know: it sees the entry or does not.
//! - Whatever *moves* an entry sets CHANGING first and counts the version up at the end. A reader
//!   that wants to know that there is nothing, or nothing else, and that saw CHANGING, or another
//!   version after reading than before, reads again.
//! - A slot that is emptied and filled again under a reader's eyes may give it the word of one entry
//!   with the tag of the other: an entry that is going or coming is missed, or a row is named that
//!   has another key, and readers look at the row anyway.
//!
//! Invariants
//! - The first line is always followed by the second. Of a chain longer than the root, all lines
//!   but the last are full, the last has two to six entries at its front. A bucket that is a root
//!   only may have empty slots anywhere.
//! - A line taken out of a chain may be put into another at once: its readers validate the version
//!   of the root they came from, which has changed, before they follow a link and at the end. It
//!   goes back to the pool only after the epoch.

use super::identity::{Entry, Identity, Target};
use crate::ids::RowId;
use crate::pool::prefetch;
use crate::sync::Backoff;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicU64, fence};
use std::ptr;

/// Entries in one line.
pub(super) const SLOTS: usize = 6;
/// The slot that holds the link to the next line of a chain.
pub(super) const LINK: usize = SLOTS - 1;
/// Bytes of a line.
pub(super) const LINE_BYTES: usize = size_of::<Line>();
/// Bytes of a bucket but for what is chained.
pub(super) const ROOT_BYTES: usize = size_of::<Root>();

const LATCHED: u64 = 1;
const CHANGING: u64 = 2;
/// The bucket is part of the index; memory that is not, or no longer, lacks it.
const LIVE: u64 = 4;
const VERSION: u64 = 8;
/// The control word proper, without the two tags beside it.
const CONTROL_MASK: u64 = u32::MAX as u64;
/// The last slot is a link; never in a bucket's first line.
const CHAINED: u64 = 1;

/// Tags that stand together in 64 bits.
const LANES: usize = 4;
/// Lanes before the first tag; as many as words before the first slot's.
const LANES_BEFORE: usize = 2;
/// Of eight lanes, a bit each, those that are tags.
const TAGS: u32 = 0b1111_1100;
const ROOT_TAGS: u32 = TAGS << 8 | TAGS;
/// The bit of the last slot of a root.
const ROOT_LINK: u32 = 1 << 15;

const _: () = assert!(LINE_BYTES == 64, "a line is a cache line");
const _: () = assert!(LANES_BEFORE * size_of::<u64>() == std::mem::offset_of!(Line, words));

/// Six entries. All bytes zero: empty and not part of the index.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Line {
    /// Control word and two tags; four tags.
    lanes: [AtomicU64; 2],
    words: [AtomicU64; SLOTS],
}

/// The first two lines of a bucket.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Root {
    pub(super) first: Line,
    pub(super) second: Line,
}

/// The 16-bit lanes of four words that are equal to `tag`, a bit each.
#[cfg(target_arch = "x86_64")]
#[inline]
fn matching(lanes: [u64; 4], tag: u16) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_packs_epi16, _mm_set_epi64x, _mm_set1_epi16,
    };
    let [a, b, c, d] = lanes.map(u64::cast_signed);
    // SAFETY: every processor of this architecture has these instructions.
    let equal = unsafe {
        let tags = _mm_set1_epi16(tag.cast_signed());
        let first = _mm_cmpeq_epi16(_mm_set_epi64x(b, a), tags);
        let second = _mm_cmpeq_epi16(_mm_set_epi64x(d, c), tags);
        _mm_movemask_epi8(_mm_packs_epi16(first, second))
    };
    equal.cast_unsigned()
}

#[cfg(not(target_arch = "x86_64"))]
fn matching(lanes: [u64; 4], tag: u16) -> u32 {
    matching_one_by_one(lanes, tag)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn matching_one_by_one(lanes: [u64; 4], tag: u16) -> u32 {
    let lane = |at: usize| (lanes[at / LANES] >> (16 * (at % LANES))) as u16;
    (0..16).fold(0, |bits, at| bits | u32::from(lane(at) == tag) << at)
}

/// The word of lanes that has a slot's tag, and how far up.
fn lane_of(slot: usize) -> (usize, u32) {
    let lane = slot + LANES_BEFORE;
    (lane / LANES, 16 * (lane % LANES) as u32)
}

/// `lanes` with another tag at `shift`.
fn with_lane(lanes: u64, shift: u32, tag: u16) -> u64 {
    lanes & !(0xFFFF << shift) | u64::from(tag) << shift
}

/// Numbers of bits that are set, ascending.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (set != 0).then(|| set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        bit
    })
}

impl Line {
    /// Calls `visit` with what the entries of an identity in the first `slots` slots lead to.
    pub(super) fn for_each(
        &self,
        identity: Identity,
        slots: usize,
        mut visit: impl FnMut(usize, Target),
    ) {
        let [low, high] = self.lanes();
        let equal = matching([low, high, 0, 0], identity.tag()) & TAGS;
        for slot in bits(equal >> LANES_BEFORE) {
            let word = self.words[slot].load(Acquire);
            if slot < slots
                && let Some(target) = identity.target_of(word)
            {
                visit(slot, target);
            }
        }
    }

    #[inline]
    fn lanes(&self) -> [u64; 2] {
        [self.lanes[0].load(Acquire), self.lanes[1].load(Acquire)]
    }

    /// The entry in a slot; under the bucket's latch.
    pub(super) fn entry(&self, slot: usize) -> Option<Entry> {
        let (lanes, shift) = lane_of(slot);
        let entry = Entry {
            word: self.words[slot].load(Relaxed),
            tag: (self.lanes[lanes].load(Relaxed) >> shift) as u16,
        };
        (entry.word != 0).then_some(entry)
    }

    /// Empties a slot; under the bucket's latch.
    pub(super) fn clear(&self, slot: usize) {
        self.words[slot].store(0, Release);
    }

    /// What the link slot says: an address, if the line is chained.
    pub(super) fn link(&self) -> *const Self {
        ptr::with_exposed_provenance(self.words[LINK].load(Acquire) as usize)
    }

    /// Points the link slot to another line.
    pub(super) fn set_link(&self, next: *const Self) {
        self.words[LINK].store(next.expose_provenance() as u64, Release);
    }

    /// Whether a line that is not a bucket's first is chained further.
    pub(super) fn is_chained(&self) -> bool {
        self.lanes[0].load(Acquire) & CHAINED != 0
    }

    /// Says whether a line that is not a bucket's first is chained further.
    pub(super) fn set_chained(&self, chained: bool) {
        let lanes = self.lanes[0].load(Relaxed) & !CHAINED;
        self.lanes[0].store(lanes | u64::from(chained), Release);
    }

    /// How many of its slots are for entries; of a line that is not a bucket's first.
    pub(super) fn slots(&self) -> usize {
        SLOTS - usize::from(self.is_chained())
    }
}

impl Root {
    /// A row of an identity, if the root has one. No more is known of it than that it was there.
    #[inline(always)]
    pub(super) fn glance(&self, identity: Identity) -> Option<RowId> {
        let ([a, b], [c, d]) = (self.first.lanes(), self.second.lanes());
        let link = (c & CHAINED) as u32 * ROOT_LINK;
        let equal = matching([a, b, c, d], identity.tag()) & ROOT_TAGS & !link;
        bits(equal).find_map(|bit| identity.row_of(self.word_at(bit).load(Acquire)))
    }

    /// The word of the slot whose tag is that lane of both lines: as many words from the front.
    #[inline]
    fn word_at(&self, lane: usize) -> &AtomicU64 {
        // SAFETY: a root is its two lines, and a line is eight words, all of them atomics.
        let words: &[AtomicU64; 16] = unsafe { &*ptr::from_ref(self).cast() };
        // Of sixteen lanes; said so that it need not be asked.
        &words[lane % 16]
    }

    /// Asks for both lines, which are looked at soon.
    #[inline]
    pub(super) fn prefetch(&self) {
        for line in [&self.first, &self.second] {
            prefetch(ptr::from_ref(line).cast());
        }
    }

    /// Begins to read a bucket; `None` where it is not in a state to be read.
    pub(super) fn begin_reading(&self) -> Option<Reading<'_>> {
        // Acquire: pairs with the release of the latch after the last move.
        let control = self.first.lanes[0].load(Acquire);
        (control & (CHANGING | LIVE) == LIVE).then_some(Reading {
            root: self,
            control,
        })
    }
}

/// A root being read, and its version.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) root: &'a Root,
    control: u64,
}

impl Reading<'_> {
    /// Whether nothing was moved in the bucket since the reading began.
    pub(super) fn is_valid(&self) -> bool {
        // The loads before stay before the load below; pairs with the fence in `change`: who saw
        // anything stored after that sees CHANGING here, or a later version.
        fence(Acquire);
        let now = self.root.first.lanes[0].load(Relaxed);
        (now ^ self.control) & CONTROL_MASK & !LATCHED == 0
    }
}

/// The right to change a bucket; released on drop.
pub(super) struct Latch<'a> {
    pub(super) root: &'a Root,
    /// The control word as it will be after the release, but for version and CHANGING.
    control: u64,
}

impl<'a> Latch<'a> {
    /// Waits for the latch of a bucket and takes it.
    pub(super) fn take(root: &'a Root) -> Self {
        let control_of = &root.first.lanes[0];
        let mut backoff = Backoff::default();
        loop {
            let control = control_of.load(Relaxed);
            // Acquire: pairs with the release by the last holder.
            if control & LATCHED == 0
                && control_of
                    .compare_exchange_weak(control, control | LATCHED, Acquire, Relaxed)
                    .is_ok()
            {
                return Self { root, control };
            }
            backoff.wait();
        }
    }

    /// Readers wait from here to the release: entries move.
    pub(super) fn change(&mut self) {
        self.control |= CHANGING;
        self.control_of().store(self.control | LATCHED, Relaxed);
        // The stores of the change stay behind the store above; see `Reading::is_valid`.
        fence(Release);
    }

    fn control_of(&self) -> &'a AtomicU64 {
        &self.root.first.lanes[0]
    }

    /// Fills a slot of a line of the bucket, or of one that is to become so.
    pub(super) fn put(&mut self, line: &Line, slot: usize, entry: Entry) {
        let (at, shift) = lane_of(slot);
        let lanes = &line.lanes[at];
        if ptr::eq(lanes, self.control_of()) {
            self.control = with_lane(self.control, shift, entry.tag);
            lanes.store(self.control | LATCHED, Release);
        } else {
            lanes.store(with_lane(lanes.load(Relaxed), shift, entry.tag), Release);
        }
        line.words[slot].store(entry.word, Release);
    }

    pub(super) fn is_live(&self) -> bool {
        self.control & LIVE != 0
    }

    /// Says whether the bucket is part of the index; within a change.
    pub(super) fn set_live(&mut self, live: bool) {
        debug_assert!(self.control & CHANGING != 0, "readers wait");
        match live {
            true => self.control |= LIVE,
            false => self.control &= !LIVE,
        }
    }
}

impl Drop for Latch<'_> {
    fn drop(&mut self) {
        let mut control = self.control;
        if control & CHANGING != 0 {
            let next = (control & !CHANGING).wrapping_add(VERSION);
            control = control & !CONTROL_MASK | next & CONTROL_MASK;
        }
        self.control_of().store(control, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lanes_are_found_at_once_as_one_by_one() {
        let mut state = 1_u64;
        let mut next = move || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            state >> 17
        };
        for _ in 0..10_000 {
            // Few values, so that many are equal, among them some that differ in the highest bit.
            let word = |n: u64| (n & 0x8003_8003_8003_8003) ^ ((n & 1) * 0x7FFF);
            let lanes = [next(), next(), next(), next()].map(word);
            let tag = word(next()) as u16;
            assert_eq!(matching(lanes, tag), matching_one_by_one(lanes, tag));
        }
    }
}
