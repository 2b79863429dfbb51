//! Hot rows: one fixed stride in pool memory, each with its header.

use super::layout::{Layout, ROW_HEADER_BYTES};
use crate::error::Result;
use crate::ids::Slot;
use crate::mvcc::{HeadWord, StampWord};
use crate::pool::{Owner, Pool};
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
#[derive(Debug)]
pub(super) struct Rows {
    pool: Arc<Pool>,
    memory: NonNull<u8>,
    stride: usize,
    body_bytes: usize,
    capacity: u32,
}

// SAFETY: the rows own their memory. Headers are atomics; bodies follow the rules of the module's
// header, under which writers are alone and readers see published bytes.
unsafe impl Send for Rows {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

impl Rows {
    pub(super) fn new(layout: &Layout, pool: &Arc<Pool>, capacity: usize) -> Result<Self> {
        let memory = pool.allocate(Owner::Table, layout.stride() * capacity)?;
        Ok(Self {
            pool: Arc::clone(pool),
            memory,
            stride: layout.stride(),
            body_bytes: layout.body_bytes(),
            capacity: capacity as u32,
        })
    }

    #[inline]
    pub(super) fn start(&self, slot: Slot) -> NonNull<u8> {
        assert!(u32::from(slot.0) < self.capacity, "a slot of this block");
        // SAFETY: within the allocation of stride * capacity bytes.
        unsafe { self.memory.add(usize::from(slot.0) * self.stride) }
    }

    #[inline]
    pub(super) fn header(&self, slot: Slot) -> &RowHeader {
        // SAFETY: every row starts with a header, zeroed memory is a valid one, strides keep it
        // aligned to 8, and it is atomics only.
        unsafe { self.start(slot).cast().as_ref() }
    }

    #[inline]
    pub(super) fn body(&self, slot: Slot) -> &[u8] {
        // SAFETY: a row is this long. The caller was led to the base by the begin stamp and an
        // empty link under a registered snapshot, so nobody writes to it while it is borrowed.
        unsafe {
            let start = self.start(slot).add(ROW_HEADER_BYTES);
            slice::from_raw_parts(start.as_ptr(), self.body_bytes)
        }
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

/// Has the processor fetch the cache line at an address, which need not be one of anything.
#[inline(always)]
pub(super) fn fetch(_at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: fetching into the cache is no access: any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(_at.cast()) };
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        let bytes = self.stride * self.capacity as usize;
        // SAFETY: the rows came from this pool with these bytes, and go with their block.
        unsafe { self.pool.free(Owner::Table, self.memory, bytes) }
    }
}
