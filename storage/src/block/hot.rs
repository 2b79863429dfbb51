//! The block itself: memory, slots, and the life of a row.

use super::chain::Link;
use super::heap::Heap;
use super::image;
use super::layout::{Layout, ROW_HEADER_BYTES};
use super::row::RowRef;
use crate::error::Result;
use crate::ids::{ColumnId, Slot, Timestamp, TransactionId};
use crate::mvcc::{
    Garbage, Head, HeadWord, NewVersion, Registration, Resolved, Stamp, StampKind, StampWord,
    Viewpoint,
};
use crate::pool::{Owner, Pool};
use crate::value::ValueRef;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Slots that share one counter of unsettled rows.
pub const RANGE_SLOTS: usize = 1024;

/// What every base row starts with.
#[derive(Debug)]
#[repr(C)]
pub(super) struct RowHeader {
    pub(super) begin: StampWord,
    pub(super) head: HeadWord,
}

const _: () = assert!(size_of::<RowHeader>() == ROW_HEADER_BYTES);

/// A hot block.
#[derive(Debug)]
pub struct Block {
    layout: Arc<Layout>,
    pool: Arc<Pool>,
    rows: NonNull<u8>,
    capacity: u32,
    /// Slots below were claimed.
    next: AtomicU32,
    /// Slots that hold no row and never will again.
    dead: AtomicU32,
    unsettled: Box<[AtomicU32]>,
    heap: Heap,
}

// SAFETY: the block owns its memory. Row headers are atomics; row bodies follow the rules of the
// module's header, under which writers are alone and readers see published bytes.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

/// A slot that the holder alone may fill. Dropped unfilled, it is dead.
#[derive(Debug)]
pub struct Claimed<'b> {
    block: &'b Block,
    slot: Slot,
}

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
    /// An empty block, the `nth` of its table.
    pub fn new(layout: &Arc<Layout>, pool: &Arc<Pool>, nth: u32) -> Result<Self> {
        let capacity = layout.capacity(nth);
        let rows = pool.allocate(Owner::Table, layout.stride() * capacity)?;
        let ranges = capacity.div_ceil(RANGE_SLOTS);
        Ok(Self {
            layout: Arc::clone(layout),
            pool: Arc::clone(pool),
            rows,
            capacity: capacity as u32,
            next: AtomicU32::new(0),
            dead: AtomicU32::new(0),
            unsettled: (0..ranges).map(|_| AtomicU32::new(0)).collect(),
            heap: Heap::new(Arc::clone(pool)),
        })
    }

    /// Slots that were claimed so far.
    pub fn claimed(&self) -> usize {
        // Acquire: with a slot comes the count that says it is unsettled.
        self.next.load(Acquire) as usize
    }

    /// Slots there are.
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    fn row_start(&self, slot: Slot) -> NonNull<u8> {
        assert!(u32::from(slot.0) < self.capacity, "a slot of this block");
        // SAFETY: within the allocation of stride * capacity bytes.
        unsafe { self.rows.add(usize::from(slot.0) * self.layout.stride()) }
    }

    pub(super) fn header(&self, slot: Slot) -> &RowHeader {
        // SAFETY: every row starts with a header, zeroed memory is a valid one, strides keep it
        // aligned to 8, and it is atomics only.
        unsafe { self.row_start(slot).cast().as_ref() }
    }

    pub(super) fn row<'a>(&'a self, image: &'a [u8]) -> RowRef<'a> {
        RowRef {
            layout: &self.layout,
            image,
            heap: &self.heap,
        }
    }

    pub(super) fn base(&self, slot: Slot) -> RowRef<'_> {
        // SAFETY: a row is this long. The caller was led to the base by the begin stamp and an
        // empty link under a registered snapshot, so nobody writes to it while it is borrowed.
        let body = unsafe {
            let start = self.row_start(slot).add(ROW_HEADER_BYTES);
            slice::from_raw_parts(start.as_ptr(), self.layout.body_bytes())
        };
        self.row(body)
    }

    #[allow(
        clippy::mut_from_ref,
        reason = "exclusive by the module's rules, not by borrow"
    )]
    fn body_mut(&self, slot: Slot) -> &mut [u8] {
        // SAFETY: a row is this long. Callers are the claimant of the slot before the begin stamp
        // is set, and folding; in both cases nobody else reads or writes the body.
        unsafe {
            let start = self.row_start(slot).add(ROW_HEADER_BYTES);
            slice::from_raw_parts_mut(start.as_ptr(), self.layout.body_bytes())
        }
    }

    pub(super) fn write_restored(
        &self,
        slot: Slot,
        write: impl FnOnce(&Layout, &Heap, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        write(&self.layout, &self.heap, self.body_mut(slot))
    }

    fn unsettled(&self, slot: usize) -> &AtomicU32 {
        &self.unsettled[slot / RANGE_SLOTS]
    }

    /// Whether every registered snapshot sees exactly the base rows of the range that `slot` is
    /// in, as far as they were claimed when [`Self::claimed`] was read before.
    pub fn is_settled(&self, slot: usize) -> bool {
        // Acquire: takes over what the last one to settle a row of the range wrote.
        self.unsettled(slot).load(Acquire) == 0
    }

    /// Base rows of a settled range.
    pub fn settled_rows<'a>(
        &'a self,
        slots: Range<usize>,
        _proof: &'a Registration,
    ) -> impl Iterator<Item = (Slot, RowRef<'a>)> {
        slots.map(|slot| {
            let slot = Slot(slot as u16);
            (slot, self.base(slot))
        })
    }

    /// Claims the next slot; `None` when the block is full.
    pub fn claim(&self) -> Option<Claimed<'_>> {
        let mut next = self.next.load(Relaxed);
        while next < self.capacity {
            // Counted before the slot can be seen as claimed, so that no scan takes it for settled.
            let unsettled = self.unsettled(next as usize);
            unsettled.fetch_add(1, Relaxed);
            match self
                .next
                .compare_exchange_weak(next, next + 1, Release, Relaxed)
            {
                Ok(_) => {
                    return Some(Claimed {
                        block: self,
                        slot: Slot(next as u16),
                    });
                }
                Err(now) => {
                    unsettled.fetch_sub(1, Relaxed);
                    next = now;
                }
            }
        }
        None
    }

    /// Claims all slots below `end` that are left, for good: the block takes no rows there.
    pub fn skip_to(&self, end: usize) {
        while self.claimed() < end {
            drop(self.claim());
        }
    }

    /// Notes that a slot is dead; whether all of a full block are.
    pub fn bury(&self) -> bool {
        self.dead.fetch_add(1, AcqRel) + 1 == self.capacity
    }

    /// Whether no slot holds a row or ever will.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Acquire) == self.capacity
    }

    /// Chains a changed version over a row.
    pub fn update(
        &self,
        slot: Slot,
        viewpoint: &Viewpoint<'_>,
        marker: Stamp,
        changes: &[(ColumnId, ValueRef<'_>)],
    ) -> Result<Written> {
        self.write(slot, viewpoint, |seen, old| {
            let version = image::updated(&self.pool, marker, old, changes)?;
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
            let tombstone = NewVersion::tombstone(&self.pool, marker)?;
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
                Resolved::Nothing if !link.is_base() => std::hint::spin_loop(),
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
        let is_own = |stamp: Stamp| matches!(stamp.kind(), StampKind::Uncommitted { owner, .. } if owner == proof.owner());
        let mut head = header.head.load(proof);
        if matches!(head, Head::Deleted(marker) if is_own(marker)) {
            header.head.stamp_deletion(stamp);
        }
        while let Head::Version(version) = head {
            match version.begin().load() {
                marker if is_own(marker) => version.begin().store(stamp),
                // Below are older commits; and this transaction's, if they are stamped already.
                Stamp::NEVER | Stamp::ABORTED => {}
                other => {
                    if matches!(other.kind(), StampKind::Committed(at) if at <= timestamp) {
                        return;
                    }
                }
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
            Some(image) if image.len() == self.layout.body_bytes() => {
                self.body_mut(slot).copy_from_slice(image);
                header.begin.store(stamp);
                if let Some(garbage) = header.head.replace(version, Head::Empty) {
                    unlinked += 1;
                    retire(garbage);
                }
            }
            // Its strings would have to move into the heap, which never shrinks.
            Some(_) => {}
        }
        if unlinked > 0 {
            self.unsettled(usize::from(slot.0))
                .fetch_sub(unlinked, Release);
        }
    }
}

impl<'b> Claimed<'b> {
    /// Which slot it is.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Writes the row and shows it under `begin`; `false` (and a dead slot) when the block's heap
    /// is full.
    pub fn fill<'v>(
        self,
        values: impl Iterator<Item = (ColumnId, ValueRef<'v>)>,
        begin: Stamp,
    ) -> Result<bool> {
        let block = self.block;
        let body = block.body_mut(self.slot);
        if !image::write_base(&block.layout, &block.heap, body, values, false)? {
            return Ok(false);
        }
        block.header(self.slot).begin.store(begin);
        std::mem::forget(self);
        Ok(true)
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.block.undo_insert(self.slot);
        self.block.bury();
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        for slot in 0..self.claimed() {
            // SAFETY: `&mut self`: nobody else looks at the row any more.
            let header = unsafe {
                self.row_start(Slot(slot as u16))
                    .cast::<RowHeader>()
                    .as_mut()
            };
            header.head.free_chain(&self.pool);
        }
        let bytes = self.layout.stride() * self.capacity();
        // SAFETY: the rows came from this pool with these bytes, and go with the block.
        unsafe { self.pool.free(Owner::Table, self.rows, bytes) }
    }
}
