//! Spans: pieces of more than an extent, each with memory of its own from the system.

use super::allocator::{Pool, rounded_bytes};
use super::claim::Claim;
use super::ledger::Owner;
use super::system::Mapping;
use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::ptr::NonNull;

/// Spans are multiples of this: pages of all systems are not larger.
pub(super) const SPAN_UNIT: usize = 64 << 10;

/// Counters of spans, and what else is written to often, apart from what is only read.
#[repr(align(128))]
#[derive(Default)]
pub(super) struct Spans {
    pub(super) count: AtomicU64,
    pub(super) asked: AtomicU64,
    pub(super) bytes: AtomicU64,
}

impl Pool {
    pub(super) fn allocate_span(
        &self,
        owner: Owner,
        bytes: usize,
        claim: Claim,
    ) -> Result<(NonNull<u8>, bool)> {
        let taken = bytes.checked_next_multiple_of(SPAN_UNIT);
        let taken = taken.filter(|taken| isize::try_from(*taken).is_ok());
        let taken = taken.ok_or(Error::LimitExceeded {
            what: "allocation",
            found: bytes as u64,
            limit: isize::MAX as u64,
        })?;
        let reservation = self.ledger.reserve_for(claim, owner, taken as u64)?;
        let mapping = Mapping::new(taken, SPAN_UNIT);
        let mapping = mapping.ok_or_else(|| self.ledger.refused_by_system(taken as u64))?;
        mapping.advise(true);
        let start = mapping.start();
        // The bytes stay mapped and reserved until `free_span`; nobody has to carry the proof.
        mapping.keep();
        reservation.keep();
        self.spans.count.fetch_add(1, Relaxed);
        self.spans.asked.fetch_add(bytes as u64, Relaxed);
        self.spans.bytes.fetch_add(taken as u64, Relaxed);
        Ok((start, true))
    }

    /// # Safety
    /// As for [`Self::free`], for a span.
    pub(super) unsafe fn free_span(&self, owner: Owner, pointer: NonNull<u8>, bytes: usize) {
        let taken = rounded_bytes(owner, bytes);
        // SAFETY: `allocate_span` kept a mapping of these bytes there, and by contract it is freed
        // once and nobody uses it.
        drop(unsafe { Mapping::kept(pointer, taken, SPAN_UNIT) });
        self.spans.count.fetch_sub(1, Relaxed);
        self.spans.asked.fetch_sub(bytes as u64, Relaxed);
        self.spans.bytes.fetch_sub(taken as u64, Relaxed);
        // Last, so that no more is counted than is reserved.
        self.ledger.give(owner, taken as u64);
    }
}
