//! Runs: requests of more than a slot and up to an extent, and all of tables, which get pages in a row.

use super::allocator::Pool;
use super::claim::Claim;
use super::extent::{EXTENT_BYTES, Extents, Want};
use super::ledger::Owner;
use super::pages::PAGE_BYTES;
use crate::error::Result;
use std::ptr::NonNull;

/// The pages of a request.
fn pages_of(bytes: usize) -> usize {
    bytes.div_ceil(PAGE_BYTES).max(1)
}

impl Pool {
    pub(super) fn allocate_run(
        &self,
        owner: Owner,
        bytes: usize,
        claim: Claim,
    ) -> Result<(NonNull<u8>, bool)> {
        let place = self.take_pages(Want::Run(pages_of(bytes)), claim)?;
        self.note_run(owner, bytes, 1);
        Ok((place.start(), place.zero))
    }

    /// # Safety
    /// As for [`Self::free`], for a run.
    pub(super) unsafe fn free_run(&self, owner: Owner, pointer: NonNull<u8>, bytes: usize) {
        self.note_run(owner, bytes, -1);
        let want = Want::Run(pages_of(bytes));
        self.give_pages(Extents::place_of(&self.map, pointer, want));
    }

    /// Gives back the end of what a table has, as far as that is whole pages; returns how large the rest is, which is
    /// freed as if it had been asked for like that.
    ///
    /// # Safety
    /// As for [`Self::free`], for what lies behind the first `keep` bytes, of which there is at least one.
    pub unsafe fn shrink(
        &self,
        owner: Owner,
        pointer: NonNull<u8>,
        bytes: usize,
        keep: usize,
    ) -> usize {
        debug_assert!(
            owner == Owner::Table && 0 < keep && keep <= bytes,
            "part of what is had"
        );
        let (all, kept) = (pages_of(bytes), pages_of(keep));
        if bytes > EXTENT_BYTES || kept == all {
            return bytes;
        }
        // SAFETY: within the run, which is of whole pages.
        let rest = unsafe { pointer.add(kept * PAGE_BYTES) };
        if self.options().secure_delete {
            // SAFETY: by contract nobody is there any more.
            unsafe { rest.write_bytes(0, (all - kept) * PAGE_BYTES) };
        }
        self.note_run(owner, bytes, -1);
        self.note_run(owner, keep, 1);
        let want = Want::Run(all - kept);
        self.give_pages(Extents::place_of(&self.map, rest, want));
        keep
    }

    fn note_run(&self, owner: Owner, bytes: usize, sign: i64) {
        let taken = pages_of(bytes) * PAGE_BYTES;
        self.ledger
            .slots()
            .shared()
            .note(owner, sign * taken as i64);
        let runs = &mut self.space.0.lock().runs;
        runs.count = runs.count.wrapping_add_signed(sign);
        runs.bytes_asked = runs.bytes_asked.wrapping_add_signed(sign * bytes as i64);
        runs.bytes = runs.bytes.wrapping_add_signed(sign * taken as i64);
    }
}
