//! Runs: requests of more than a slot and up to an extent, and all of tables, which get pages in a row.

use super::allocator::Pool;
use super::claim::Claim;
use super::extent::{Extents, Want};
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
