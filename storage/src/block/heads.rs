//! The heads of a frozen block: sparse, since few of its rows change.
//!
//! ```text
//!   chunks   [ none ][ * ][ none ][ * ]          one for every range of 1,024 slots
//!                      |            |
//!                      v            +--> MOVED, one chunk for all blocks: every head says moved
//!                 [ head ] x 1,024
//! ```
//!
//! A chunk comes with the first change in its range and stays for as long as the block. Sealing a
//! range in which nothing changed takes one exchange: its missing chunk becomes the one that says
//! *moved* everywhere.

use super::slots::RANGE_SLOTS;
use crate::error::Result;
use crate::ids::Slot;
use crate::mvcc::HeadWord;
use crate::pool::{Claim, Owner, Pool};
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{AcqRel, Acquire};
use std::ptr::{self, NonNull};
use std::sync::Arc;

const CHUNK_BYTES: usize = RANGE_SLOTS * size_of::<HeadWord>();

type Chunk = [HeadWord; RANGE_SLOTS];

/// Nobody changes a head that says *moved*, so one chunk serves all.
static MOVED: Chunk = [const { HeadWord::moved() }; RANGE_SLOTS];

/// The heads of one frozen block.
#[derive(Debug)]
pub(super) struct Heads {
    pool: Arc<Pool>,
    chunks: Box<[AtomicPtr<Chunk>]>,
}

/// Zeroed memory for one chunk, not yet part of any block.
#[derive(Debug)]
pub(super) struct Spare {
    pool: Arc<Pool>,
    /// `None` once a block has it.
    chunk: Option<NonNull<Chunk>>,
}

impl Spare {
    pub(super) fn new(pool: &Arc<Pool>, claim: Claim) -> Result<Self> {
        let memory = pool.allocate_for(claim, Owner::Table, CHUNK_BYTES)?;
        Ok(Self {
            pool: Arc::clone(pool),
            chunk: Some(memory.cast()),
        })
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some(chunk) = self.chunk {
            // SAFETY: it came from this pool with these bytes, and no block has it.
            unsafe { self.pool.free(Owner::Table, chunk.cast(), CHUNK_BYTES) }
        }
    }
}

impl Heads {
    pub(super) fn new(pool: &Arc<Pool>, slots: usize) -> Self {
        let chunks = slots.div_ceil(RANGE_SLOTS);
        Self {
            pool: Arc::clone(pool),
            chunks: (0..chunks).map(|_| AtomicPtr::default()).collect(),
        }
    }

    /// The head of a slot; `None` where none in its range was ever used.
    pub(super) fn get(&self, slot: Slot) -> Option<&HeadWord> {
        let slot = usize::from(slot.0);
        // Acquire: pairs with `add`; a chunk is zeroed before it is shown.
        let chunk = self.chunks[slot / RANGE_SLOTS].load(Acquire);
        // SAFETY: chunks are added once and freed with `self`; they are atomics only, for which
        // zeroed memory is valid. The static one lives for ever.
        let chunk = unsafe { chunk.as_ref()? };
        Some(&chunk[slot % RANGE_SLOTS])
    }

    /// The head of a slot, to be changed.
    pub(super) fn get_or_add(&self, slot: Slot, shrinks: bool) -> Result<&HeadWord> {
        if let Some(head) = self.get(slot) {
            return Ok(head);
        }
        self.add(slot, Spare::new(&self.pool, Claim::of_change(shrinks))?);
        Ok(self.get(slot).expect("there is a chunk by now"))
    }

    /// Lends a chunk to a slot's range, unless it has one.
    pub(super) fn add(&self, slot: Slot, mut spare: Spare) {
        let chunk = &self.chunks[usize::from(slot.0) / RANGE_SLOTS];
        let lent = spare.chunk.map_or(ptr::null_mut(), NonNull::as_ptr);
        let exchanged = chunk.compare_exchange(ptr::null_mut(), lent, AcqRel, Acquire);
        if exchanged.is_ok() {
            spare.chunk = None;
        }
    }

    /// Seals the range of a slot at once if nothing was ever chained there. What was written to the
    /// successor before is readable for whoever finds it through these heads.
    pub(super) fn seal_range(&self, slot: Slot) -> bool {
        let chunk = &self.chunks[usize::from(slot.0) / RANGE_SLOTS];
        let moved = ptr::from_ref(&MOVED).cast_mut();
        chunk
            .compare_exchange(ptr::null_mut(), moved, AcqRel, Acquire)
            .is_ok()
    }

    /// Bytes of its chunks.
    pub(super) fn bytes(&self) -> usize {
        let own = |chunk: &&AtomicPtr<Chunk>| is_own(chunk.load(Acquire));
        self.chunks.iter().filter(own).count() * CHUNK_BYTES
    }
}

fn is_own(chunk: *const Chunk) -> bool {
    !chunk.is_null() && !ptr::eq(chunk, &raw const MOVED)
}

impl Drop for Heads {
    fn drop(&mut self) {
        for chunk in &mut self.chunks {
            let chunk = *chunk.get_mut();
            if !is_own(chunk) {
                continue;
            }
            // SAFETY: `&mut self`: nobody else looks at the chunk any more. It came from this pool
            // with these bytes.
            unsafe {
                for head in &mut *chunk {
                    head.free_chain(&self.pool);
                }
                let memory = NonNull::new_unchecked(chunk).cast();
                self.pool.free(Owner::Table, memory, CHUNK_BYTES);
            }
        }
    }
}
