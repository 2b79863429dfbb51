//! The block itself: memory, slots, and the life of a row.

use super::heap::Heap;
use super::image;
use super::layout::{Layout, ROW_HEADER_BYTES};
use super::row::RowRef;
use crate::error::Result;
use crate::ids::{ColumnId, Slot};
use crate::mvcc::{HeadWord, Registration, Stamp, StampWord};
use crate::pool::{Owner, Pool};
use crate::sync::atomic::AtomicU32;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::value::ValueRef;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

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
    pub(super) fn body_mut(&self, slot: Slot) -> &mut [u8] {
        // SAFETY: a row is this long. Callers are the claimant of the slot before the begin stamp
        // is set, and folding; in both cases nobody else reads or writes the body.
        unsafe {
            let start = self.row_start(slot).add(ROW_HEADER_BYTES);
            slice::from_raw_parts_mut(start.as_ptr(), self.layout.body_bytes())
        }
    }

    /// Whether an image has no strings of its own: those would have to move into the heap, which
    /// never shrinks.
    pub(super) fn can_fold(&self, image: &[u8]) -> bool {
        image.len() == self.layout.body_bytes()
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn write_restored(
        &self,
        slot: Slot,
        write: impl FnOnce(&Layout, &Heap, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        write(&self.layout, &self.heap, self.body_mut(slot))
    }

    pub(super) fn unsettled(&self, slot: usize) -> &AtomicU32 {
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
