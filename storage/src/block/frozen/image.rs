//! The bytes of a frozen block: one allocation of the pool that holds all of its columns.

use crate::error::Result;
use crate::pool::{Claim, Owner, Pool};
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes that nobody changes, in pool memory.
pub(super) struct Image {
    pool: Arc<Pool>,
    pointer: NonNull<u8>,
    len: usize,
}

// SAFETY: the bytes are this value's own and are not changed between `copy_of` and `drop`; the pool
// is shared between threads anyway.
unsafe impl Send for Image {}
// SAFETY: as above: a shared image is only read.
unsafe impl Sync for Image {}

impl Image {
    /// A copy of `bytes`.
    pub(super) fn copy_of(pool: &Arc<Pool>, claim: Claim, bytes: &[u8]) -> Result<Self> {
        let pointer = pool.allocate_for(claim, Owner::Table, bytes.len().max(1))?;
        // SAFETY: the allocation is new, so it does not overlap, and has room for all bytes.
        unsafe {
            pointer
                .as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        Ok(Self {
            pool: Arc::clone(pool),
            pointer,
            len: bytes.len(),
        })
    }
}

impl Deref for Image {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `copy_of` initialised that many bytes, which live and do not change until `drop`.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: allocated in `copy_of` for this owner and size; no borrow outlives the value.
        unsafe {
            self.pool.free(Owner::Table, self.pointer, self.len.max(1));
        }
    }
}
