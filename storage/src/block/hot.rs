//! Hot rows: one fixed stride in pool memory, each with its header.

use super::layout::{Layout, ROW_HEADER_BYTES};
use crate::error::Result;
use crate::ids::Slot;
use crate::mvcc::{HeadWord, StampWord};
use crate::pool::{Owner, Pool, rounded_bytes};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

/// What every hot row starts with.
#[derive(Debug)]
#[repr(C)]
pub(super) struct RowHeader {
    pub(super) begin: StampWord,
    pub(super) head: HeadWord,
}

const _: () = assert!(size_of::<RowHeader>() == ROW_HEADER_BYTES);

/// The rows of a hot block.
///
/// Slots that were given up have none: their memory goes while others read (`trim`). In recovery, where nobody does,
/// there is memory for few slots at first, and it grows (`restore_room`): a block of long strings never had more rows.
#[derive(Debug)]
pub(super) struct Rows {
    pool: Arc<Pool>,
    /// Relaxed, as the two below: it changes in recovery only, while one thread knows the block.
    memory: AtomicPtr<u8>,
    /// Slots that have a row in memory.
    slots: AtomicU32,
    /// Size that the memory is freed with.
    bytes: AtomicUsize,
    stride: usize,
    body_bytes: usize,
}

/// One of the rows: its place, which is found once for header and body.
#[derive(Clone, Copy)]
pub(super) struct HotRow<'a> {
    start: NonNull<u8>,
    body_bytes: usize,
    rows: PhantomData<&'a Rows>,
}

/// The first rows of a block: where they are was found once, for many look-ups.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    memory: NonNull<u8>,
    slots: usize,
    stride: usize,
    body_bytes: usize,
    rows: PhantomData<&'a Rows>,
}

impl<'a> Run<'a> {
    /// The row of a slot, if it is one of them.
    #[inline(always)]
    pub(super) fn row(self, slot: Slot) -> Option<HotRow<'a>> {
        let slot = usize::from(slot.0);
        (slot < self.slots).then(|| HotRow {
            // SAFETY: within the allocation of stride * slots bytes, which stays while somebody has the rows.
            start: unsafe { self.memory.add(slot * self.stride) },
            body_bytes: self.body_bytes,
            rows: PhantomData,
        })
    }

    /// As [`Rows::address`].
    #[inline(always)]
    pub(super) fn address(self, slot: Slot) -> *const u8 {
        let offset = usize::from(slot.0) * self.stride;
        self.memory.as_ptr().wrapping_add(offset)
    }
}

impl<'a> HotRow<'a> {
    #[inline]
    pub(super) fn header(self) -> &'a RowHeader {
        // SAFETY: every row starts with a header, zeroed memory is a valid one, strides keep it
        // aligned to 8, and it is atomics only.
        unsafe { self.start.cast().as_ref() }
    }

    #[inline]
    pub(super) fn body(self) -> &'a [u8] {
        // SAFETY: a row is this long. The caller was led to the base by the begin stamp and an
        // empty link under a registered snapshot, so nobody writes to it while it is borrowed.
        unsafe {
            let start = self.start.add(ROW_HEADER_BYTES);
            slice::from_raw_parts(start.as_ptr(), self.body_bytes)
        }
    }
}

impl Rows {
    pub(super) fn new(layout: &Layout, pool: &Arc<Pool>, slots: usize) -> Result<Self> {
        let bytes = layout.stride() * slots;
        let memory = pool.allocate(Owner::Table, bytes)?;
        Ok(Self {
            pool: Arc::clone(pool),
            memory: AtomicPtr::new(memory.as_ptr()),
            slots: AtomicU32::new(slots as u32),
            bytes: AtomicUsize::new(bytes),
            stride: layout.stride(),
            body_bytes: layout.body_bytes(),
        })
    }

    /// Slots that have memory.
    pub(super) fn slots(&self) -> usize {
        self.slots.load(Relaxed) as usize
    }

    /// Bytes that it takes, as the ledger counts them.
    pub(super) fn bytes(&self) -> usize {
        rounded_bytes(Owner::Table, self.bytes.load(Relaxed))
    }

    /// Where a row begins that may not be there: for who only wants it near.
    pub(super) fn address(&self, slot: Slot) -> *const u8 {
        let offset = usize::from(slot.0) * self.stride;
        self.memory.load(Relaxed).wrapping_add(offset)
    }

    #[inline]
    pub(super) fn start(&self, slot: Slot) -> NonNull<u8> {
        assert!(usize::from(slot.0) < self.slots(), "a slot of this block");
        // SAFETY: within the allocation of stride * slots bytes, which is not null.
        unsafe {
            let memory = NonNull::new_unchecked(self.memory.load(Relaxed));
            memory.add(usize::from(slot.0) * self.stride)
        }
    }

    /// Gives back the memory of all slots but the first so many.
    ///
    /// # Safety
    /// Nobody looks at the others, nor ever will.
    pub(super) unsafe fn trim(&self, slots: usize) {
        let (bytes, keep) = (self.bytes.load(Relaxed), self.stride * slots.max(1));
        self.slots.store(slots as u32, Relaxed);
        let memory = NonNull::new(self.memory.load(Relaxed)).expect("rows have memory");
        // SAFETY: the memory came from this pool with these bytes; for the rest by contract.
        let left = unsafe { self.pool.shrink(Owner::Table, memory, bytes, keep) };
        self.bytes.store(left, Relaxed);
    }

    /// Makes room for the first so many slots, of at most `most`.
    ///
    /// # Safety
    /// The caller is alone with the rows, and holds no reference to one.
    pub(super) unsafe fn restore_room(&self, slots: usize, most: usize) -> Result<()> {
        if slots <= self.slots() {
            return Ok(());
        }
        let slots = slots.max(self.slots() * 2).min(most);
        let bytes = self.stride * slots;
        let memory = self.pool.allocate(Owner::Table, bytes)?;
        let old = NonNull::new(self.memory.load(Relaxed)).expect("rows have memory");
        let old_bytes = self.bytes.load(Relaxed);
        // SAFETY: both are as large as that, and the old memory came from this pool with these bytes. By contract
        // nobody else looks at it.
        unsafe {
            memory.copy_from_nonoverlapping(old, self.stride * self.slots());
            self.pool.free(Owner::Table, old, old_bytes);
        }
        self.memory.store(memory.as_ptr(), Relaxed);
        self.slots.store(slots as u32, Relaxed);
        self.bytes.store(bytes, Relaxed);
        Ok(())
    }

    /// The first so many rows, of those that have memory.
    pub(super) fn run(&self, slots: usize) -> Run<'_> {
        Run {
            memory: NonNull::new(self.memory.load(Relaxed)).expect("rows have memory"),
            slots: slots.min(self.slots()),
            stride: self.stride,
            body_bytes: self.body_bytes,
            rows: PhantomData,
        }
    }

    /// A row. The memory stays where it is while somebody has the rows.
    #[inline]
    pub(super) fn row(&self, slot: Slot) -> HotRow<'_> {
        HotRow {
            start: self.start(slot),
            body_bytes: self.body_bytes,
            rows: PhantomData,
        }
    }

    #[inline]
    pub(super) fn header(&self, slot: Slot) -> &RowHeader {
        self.row(slot).header()
    }

    #[inline]
    pub(super) fn body(&self, slot: Slot) -> &[u8] {
        self.row(slot).body()
    }

    #[allow(
        clippy::mut_from_ref,
        reason = "exclusive by the module's rules, not by borrow"
    )]
    pub(super) fn body_mut(&self, slot: Slot) -> &mut [u8] {
        // SAFETY: a row is this long. Callers are the claimant of the slot before the begin stamp
        // is set, and folding; in both cases nobody else reads or writes the body.
        unsafe {
            let start = self.start(slot).add(ROW_HEADER_BYTES);
            slice::from_raw_parts_mut(start.as_ptr(), self.body_bytes)
        }
    }

    /// Frees the versions over the first `slots` rows.
    pub(super) fn free_chains(&mut self, slots: usize) {
        for slot in 0..slots {
            // SAFETY: `&mut self`: nobody else looks at the row any more.
            let header = unsafe { self.start(Slot(slot as u16)).cast::<RowHeader>().as_mut() };
            header.head.free_chain(&self.pool);
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        let memory = NonNull::new(*self.memory.get_mut()).expect("rows have memory");
        // SAFETY: the rows came from this pool with these bytes, and go with their block.
        unsafe { self.pool.free(Owner::Table, memory, *self.bytes.get_mut()) }
    }
}
