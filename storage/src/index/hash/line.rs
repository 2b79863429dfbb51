//! A line: six entries on one cache line, and the word that controls a bucket.
//!
//! ```text
//!  0        8                          48           56                    64
//!  | word 0 | word 1 | .. | word 5     | tags 0 - 3 | control | tags 4, 5 |
//!                           or: link to the next line of the chain
//!
//!  control   version (28 bits) | CHAINED | LIVE | CHANGING | LATCHED
//! ```
//!
//! The first line of a bucket is its *root*, in the directory; a bucket with more than six entries
//! is a chain of lines. The root's control word speaks for the chain. The six tags are compared at
//! once, four in a word; the word of a slot then tells whether it is the entry.
//!
//! - Writers take LATCHED, one at a time. To fill or empty a slot of an unchained bucket is one
//!   store of a word, and no reader needs to know: it sees the entry or does not.
//! - Whatever *moves* an entry sets CHANGING first and counts the version up at the end. A reader
//!   that saw CHANGING, or another version after reading than before, reads again.
//! - A slot that is emptied and filled again under a reader's eyes may give it the word of one entry
//!   with the tag of the other: an entry that is going or coming is missed, or a row is named that
//!   has another key, and readers look at the row anyway.
//!
//! Invariants
//! - Of a chain, all lines but the last have five entries and a link, the last has two to six at
//!   its front. A bucket of one line may have empty slots anywhere.
//! - A line taken out of a chain may be put into another at once: its readers validate the version
//!   of the root they came from, which has changed, before they follow a link and at the end. It
//!   goes back to the pool only after the epoch.

use super::identity::{Entry, Identity, Target};
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

const LATCHED: u64 = 1;
const CHANGING: u64 = 2;
/// The bucket is part of the index; memory that is not, or no longer, lacks it.
const LIVE: u64 = 4;
/// The last slot is a link.
const CHAINED: u64 = 8;
const VERSION: u64 = 16;
/// The control word proper, without the two tags beside it.
const CONTROL_MASK: u64 = u32::MAX as u64;

/// Slots whose tags stand together.
const TAGGED: usize = 4;
const TAG_LANES: u64 = 0x0001_0001_0001_0001;

const _: () = assert!(LINE_BYTES == 64, "a line is a cache line");

/// Six entries. All bytes zero: empty and not part of the index.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Line {
    words: [AtomicU64; SLOTS],
    tags: AtomicU64,
    control: AtomicU64,
}

/// The highest bits of the 16-bit lanes that are equal to `tag`, and perhaps of others above those.
fn equal_lanes(lanes: u64, tag: u16) -> u64 {
    let differ = lanes ^ (u64::from(tag) * TAG_LANES);
    differ.wrapping_sub(TAG_LANES) & !differ & (TAG_LANES << 15)
}

/// `lanes` with another tag in one lane.
fn with_lane(lanes: u64, lane: usize, tag: u16) -> u64 {
    let shift = 16 * lane;
    lanes & !(0xFFFF << shift) | u64::from(tag) << shift
}

/// Slots that may hold an identity, a bit each.
#[derive(Clone, Copy)]
struct Candidates(u64);

impl Candidates {
    fn new(tags: u64, control: u64, identity: Identity) -> Self {
        let tag = identity.tag();
        // Slots 4 and 5 are the upper lanes beside the control word; their bits go below those of
        // the upper lanes of the others.
        let beside = equal_lanes(control, tag) & !CONTROL_MASK;
        Self(equal_lanes(tags, tag) | beside >> 1)
    }
}

impl Iterator for Candidates {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit / 16 + 2 * (!bit & 1))
    }
}

impl Line {
    /// Calls `visit` with what the entries of an identity in the first `slots` slots lead to.
    pub(super) fn for_each(
        &self,
        identity: Identity,
        slots: usize,
        mut visit: impl FnMut(usize, Target),
    ) {
        let (tags, control) = (self.tags.load(Acquire), self.control.load(Acquire));
        for slot in Candidates::new(tags, control, identity) {
            let word = self.words[slot].load(Acquire);
            if slot < slots
                && let Some(target) = identity.target_of(word)
            {
                visit(slot, target);
            }
        }
    }

    /// The entry in a slot; under the bucket's latch.
    pub(super) fn entry(&self, slot: usize) -> Option<Entry> {
        let (lanes, lane) = match slot < TAGGED {
            true => (&self.tags, slot),
            false => (&self.control, slot - 2),
        };
        let entry = Entry {
            word: self.words[slot].load(Relaxed),
            tag: (lanes.load(Relaxed) >> (16 * lane)) as u16,
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

    /// Whether a line that is not a root is chained further.
    pub(super) fn is_chained(&self) -> bool {
        self.control.load(Acquire) & CHAINED != 0
    }

    /// Says whether a line that is not a root is chained further.
    pub(super) fn set_chained(&self, chained: bool) {
        let control = self.control.load(Relaxed) & !CHAINED;
        let control = control | if chained { CHAINED } else { 0 };
        self.control.store(control, Release);
    }

    /// Begins to read a bucket; `None` where it is not in a state to be read.
    pub(super) fn begin_reading(&self) -> Option<Reading<'_>> {
        // Acquire: pairs with the release of the latch after the last move.
        let control = self.control.load(Acquire);
        (control & (CHANGING | LIVE) == LIVE).then_some(Reading {
            root: self,
            control,
        })
    }
}

/// A root being read, and its version.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) root: &'a Line,
    control: u64,
}

impl Reading<'_> {
    /// What the first entry of an identity in the root leads to, and whether there may be more.
    pub(super) fn first(&self, identity: Identity) -> (Option<Target>, bool) {
        let slots = if self.is_chained() { LINK } else { SLOTS };
        // The tags beside the control word may be older than those of entries added since: then
        // these came after the reading began.
        let tags = self.root.tags.load(Acquire);
        let mut candidates = Candidates::new(tags, self.control, identity);
        let first = candidates.find_map(|slot| {
            let word = self.root.words[slot].load(Acquire);
            identity.target_of(word).filter(|_| slot < slots)
        });
        (first, candidates.0 != 0 || self.is_chained())
    }

    pub(super) fn is_chained(&self) -> bool {
        self.control & CHAINED != 0
    }

    /// Whether nothing was moved in the bucket since the reading began.
    pub(super) fn is_valid(&self) -> bool {
        // The loads before stay before the load below; pairs with the fence in `change`: who saw
        // anything stored after that sees CHANGING here, or a later version.
        fence(Acquire);
        let now = self.root.control.load(Relaxed);
        (now ^ self.control) & CONTROL_MASK & !LATCHED == 0
    }
}

/// The right to change a bucket; released on drop.
pub(super) struct Latch<'a> {
    pub(super) root: &'a Line,
    /// The control word as it will be after the release, but for version and CHANGING.
    control: u64,
}

impl<'a> Latch<'a> {
    /// Waits for the latch of a bucket and takes it.
    pub(super) fn take(root: &'a Line) -> Self {
        let mut backoff = Backoff::default();
        loop {
            let control = root.control.load(Relaxed);
            // Acquire: pairs with the release by the last holder.
            if control & LATCHED == 0
                && root
                    .control
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
        self.root.control.store(self.control | LATCHED, Relaxed);
        // The stores of the change stay behind the store above; see `Reading::is_valid`.
        fence(Release);
    }

    /// Fills a slot of a line of the bucket, or of one that is to become so.
    pub(super) fn put(&mut self, line: &Line, slot: usize, entry: Entry) {
        if slot < TAGGED {
            let tags = with_lane(line.tags.load(Relaxed), slot, entry.tag);
            line.tags.store(tags, Release);
        } else if ptr::eq(line, self.root) {
            self.control = with_lane(self.control, slot - 2, entry.tag);
            line.control.store(self.control | LATCHED, Release);
        } else {
            let control = with_lane(line.control.load(Relaxed), slot - 2, entry.tag);
            line.control.store(control, Release);
        }
        line.words[slot].store(entry.word, Release);
    }

    pub(super) fn is_live(&self) -> bool {
        self.control & LIVE != 0
    }

    /// Says whether the bucket is part of the index; within a change.
    pub(super) fn set_live(&mut self, live: bool) {
        self.set(LIVE, live);
    }

    /// Whether a line of the bucket is chained further.
    pub(super) fn is_chained(&self, line: &Line) -> bool {
        match ptr::eq(line, self.root) {
            true => self.control & CHAINED != 0,
            false => line.is_chained(),
        }
    }

    /// Says so; within a change.
    pub(super) fn set_chained(&mut self, line: &Line, chained: bool) {
        match ptr::eq(line, self.root) {
            true => self.set(CHAINED, chained),
            false => line.set_chained(chained),
        }
    }

    fn set(&mut self, flag: u64, on: bool) {
        debug_assert!(self.control & CHANGING != 0, "readers wait");
        match on {
            true => self.control |= flag,
            false => self.control &= !flag,
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
        self.root.control.store(control, Release);
    }
}
