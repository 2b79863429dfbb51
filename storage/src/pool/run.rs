//! Runs: requests of more than a slot and up to an extent, which get slabs in a row.

use super::allocator::Pool;
use super::claim::Claim;
use super::extent::Extents;
use super::ledger::Owner;
use super::slab::SLAB_BYTES;
use crate::error::Result;
use std::ptr::NonNull;

impl Pool {
    pub(super) fn allocate_run(
        &self,
        owner: Owner,
        bytes: usize,
        claim: Claim,
    ) -> Result<(NonNull<u8>, bool)> {
        let count = bytes.div_ceil(SLAB_BYTES);
        let place = self.take_slabs(count, claim, None)?;
        self.note_run(owner, bytes, 1);
        Ok((place.start(), place.fresh))
    }

    /// # Safety
    /// As for [`Self::free`], for a run.
    pub(super) unsafe fn free_run(&self, owner: Owner, pointer: NonNull<u8>, bytes: usize) {
        self.note_run(owner, bytes, -1);
        let count = bytes.div_ceil(SLAB_BYTES);
        self.give_slabs(Extents::place_of(&self.map, pointer, count));
    }

    fn note_run(&self, owner: Owner, bytes: usize, sign: i64) {
        let taken = bytes.next_multiple_of(SLAB_BYTES);
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
