//! What a slot of a node holds: nothing, a row, or a node with its kind.
//!
//! ```text
//!  0                    nothing
//!  row id     | 1       a lone entry whose key ends here: no node, no bytes besides the slot
//!  address    | kind    nodes are aligned to 16, which leaves four bits; the lowest is clear
//! ```
//!
//! The kind stands in the slot, so that a search knows what to read of a node before it has read
//! any of it.

use super::bucket::Bucket;
use super::node::{Header, Inner};
use crate::ids::RowId;
use crate::pool::prefetch;
use crate::sync::atomic::{AtomicPtr, Ordering};
use std::ptr::{self, NonNull};

/// A place for a word, in a node or at the root.
pub(super) type Slot = AtomicPtr<u8>;

/// What holds all of a bucket of usual size.
const PREFETCHED_LINES: usize = 5;
const LINE_BYTES: usize = 64;

const ROW: usize = 1;
const KIND: usize = 0b1110;
/// The tag of a Node256 without a prefix: which slot to read of it follows from the key alone, and a
/// look-up reads nothing else of it.
const PLAIN_256: usize = 0b1110;

const _: () = assert!(usize::BITS == 64, "a slot holds a row id and a bit");

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Node4,
    Node16,
    Node48,
    Node256,
    Bucket,
}

impl Kind {
    const fn tag(self) -> usize {
        (self as usize + 1) << 1
    }
}

/// The content of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word(*mut u8);

/// A word, taken apart. Nodes are as alive as what vouched for the word: a guard, or a lock on
/// the whole tree.
#[derive(Clone, Copy)]
pub(super) enum Child {
    Nothing,
    Row(RowId),
    Inner(Inner),
    Bucket(Bucket),
}

impl Word {
    pub(super) const NOTHING: Self = Self(ptr::null_mut());

    /// A lone row; `None` where the row's number leaves no bit.
    pub(super) fn row(row: u64) -> Option<Self> {
        let shifted = (row as usize) << 1;
        (shifted >> 1 == row as usize).then(|| Self(ptr::without_provenance_mut(shifted | ROW)))
    }

    /// The word for a Node256 without a prefix.
    pub(super) fn plain_256(at: NonNull<u8>) -> Self {
        Self(at.as_ptr().map_addr(|address| address | PLAIN_256))
    }

    pub(super) fn node(at: NonNull<u8>, kind: Kind) -> Self {
        Self(at.as_ptr().map_addr(|address| address | kind.tag()))
    }

    #[inline(always)]
    pub(super) fn load(slot: &Slot) -> Self {
        // Acquire: a node's first content comes before the word that leads to it.
        Self(slot.load(Ordering::Acquire))
    }

    #[inline(always)]
    pub(super) fn store(self, slot: &Slot) {
        slot.store(self.0, Ordering::Release);
    }

    #[inline(always)]
    pub(super) fn is_nothing(self) -> bool {
        self.0.is_null()
    }

    /// The row, if it is one.
    #[inline(always)]
    pub(super) fn as_row(self) -> Option<RowId> {
        let address = self.0.addr();
        (address & ROW != 0).then_some(RowId((address >> 1) as u64))
    }

    /// The node, if it is a Node256 without a prefix.
    #[inline(always)]
    pub(super) fn as_plain_256(self) -> Option<Inner> {
        let address = self.0.map_addr(|address| address.wrapping_sub(PLAIN_256));
        let at = NonNull::new(address.cast::<Header>())?;
        (address.addr() % 16 == 0).then(|| Inner::new(at, Kind::Node256))
    }

    /// Asks for the first lines of a node that will be looked at soon, all at once: a bucket is
    /// searched in the time of one miss of the cache, not of one a line.
    #[inline(always)]
    pub(super) fn prefetch(self) {
        for line in 0..PREFETCHED_LINES {
            self.prefetch_line(line);
        }
    }

    /// Asks for the lines after those, up to so many bytes: of a large bucket, whose search would
    /// wait for one after the other.
    #[inline(always)]
    pub(super) fn prefetch_beyond(self, bytes: usize) {
        for line in PREFETCHED_LINES..=bytes / LINE_BYTES {
            self.prefetch_line(line);
        }
    }

    /// Asks for what a search for these bytes reads first of the node.
    #[inline(always)]
    pub(super) fn prefetch_for(self, rest: &[u8]) {
        match (self.as_plain_256(), self.child()) {
            (Some(inner), _) => {
                let byte = rest.first().copied().unwrap_or(0);
                prefetch(ptr::from_ref(&inner.slots_256()[usize::from(byte)]).cast());
            }
            (None, Child::Inner(_)) => self.prefetch_line(0),
            (None, Child::Bucket(_)) => self.prefetch(),
            (None, Child::Row(_) | Child::Nothing) => {}
        }
    }

    #[inline(always)]
    fn prefetch_line(self, line: usize) {
        prefetch(self.0.wrapping_add(line * LINE_BYTES));
    }

    #[inline(always)]
    pub(super) fn child(self) -> Child {
        if let Some(row) = self.as_row() {
            return Child::Row(row);
        }
        let tag = self.0.addr() & KIND;
        let at = self.0.map_addr(|address| address & !KIND).cast::<Header>();
        let Some(at) = NonNull::new(at) else {
            return Child::Nothing;
        };
        const NODE4: usize = Kind::Node4.tag();
        const NODE16: usize = Kind::Node16.tag();
        const NODE48: usize = Kind::Node48.tag();
        const NODE256: usize = Kind::Node256.tag();
        match tag {
            NODE4 => Child::Inner(Inner::new(at, Kind::Node4)),
            NODE16 => Child::Inner(Inner::new(at, Kind::Node16)),
            NODE48 => Child::Inner(Inner::new(at, Kind::Node48)),
            NODE256 | PLAIN_256 => Child::Inner(Inner::new(at, Kind::Node256)),
            _ => Child::Bucket(Bucket::new(at)),
        }
    }
}
