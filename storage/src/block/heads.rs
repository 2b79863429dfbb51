//! The heads of a frozen block: sparse, since few of its rows change.
//!
//! ```text
//!   chunks   [ none ][ * ][ none ][ * ]          one for every 1,024 rows
//!                      |            |
//!                      v            +--> MOVED, one chunk for all blocks: every head says moved
//!                 [ head ] x 1,024
//! ```
//!
//! Heads are found by the position of their row among those of the block, so that a block that has
//! lost most of its rows has few. A slot without a row needs none: nothing is ever chained there.
//!
//! A chunk comes with the first change of one of its rows and stays for as long as the block. Sealing
//! rows of which none changed takes one exchange: their missing chunk becomes the one that says
//! *moved* everywhere.

use crate::error::Result;
use crate::mvcc::HeadWord;
use crate::pool::{Claim, Owner, Pool};
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{AcqRel, Acquire};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Heads of a chunk.
const CHUNK_ROWS: usize = 1024;
const CHUNK_BYTES: usize = CHUNK_ROWS * size_of::<HeadWord>();

type Chunk = [HeadWord; CHUNK_ROWS];

/// Nobody changes a head that says *moved*, so one chunk serves all.
static MOVED: Chunk = [const { HeadWord::moved() }; CHUNK_ROWS];

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
    pub(super) fn new(pool: &Arc<Pool>, rows: usize) -> Self {
        let chunks = Self::chunks_of(rows);
        Self {
            pool: Arc::clone(pool),
            chunks: (0..chunks).map(|_| AtomicPtr::default()).collect(),
        }
    }

    /// How many chunks so many rows may need.
    pub(super) fn chunks_of(rows: usize) -> usize {
        rows.div_ceil(CHUNK_ROWS)
    }

    /// The positions of each chunk, if there are so many rows.
    pub(super) fn ranges(rows: usize) -> impl Iterator<Item = Range<usize>> {
        let start = |chunk| chunk * CHUNK_ROWS;
        (0..Self::chunks_of(rows)).map(move |chunk| start(chunk)..rows.min(start(chunk + 1)))
    }

    /// The head of the row at a position; `None` where none of its chunk was ever used.
    pub(super) fn get(&self, position: u32) -> Option<&HeadWord> {
        let position = position as usize;
        // Acquire: pairs with `add`; a chunk is zeroed before it is shown.
        let chunk = self.chunks[position / CHUNK_ROWS].load(Acquire);
        // SAFETY: chunks are added once and freed with `self`; they are atomics only, for which
        // zeroed memory is valid. The static one lives for ever.
        let chunk = unsafe { chunk.as_ref()? };
        Some(&chunk[position % CHUNK_ROWS])
    }

    /// The head of a row, to be changed.
    pub(super) fn get_or_add(&self, position: u32, shrinks: bool) -> Result<&HeadWord> {
        if let Some(head) = self.get(position) {
            return Ok(head);
        }
        let spare = Spare::new(&self.pool, Claim::of_change(shrinks))?;
        Ok(self.add(position, spare))
    }

    /// The head of a row, for which a chunk is lent, unless it has one.
    pub(super) fn add(&self, position: u32, mut spare: Spare) -> &HeadWord {
        let chunk = &self.chunks[position as usize / CHUNK_ROWS];
        let lent = spare.chunk.map_or(ptr::null_mut(), NonNull::as_ptr);
        let exchanged = chunk.compare_exchange(ptr::null_mut(), lent, AcqRel, Acquire);
        if exchanged.is_ok() {
            spare.chunk = None;
        }
        self.get(position).expect("there is a chunk by now")
    }

    /// Seals the chunk of a position at once if nothing was ever chained there. What was written to the
    /// successor before is readable for whoever finds it through these heads.
    pub(super) fn seal_chunk(&self, position: usize) -> bool {
        let chunk = &self.chunks[position / CHUNK_ROWS];
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
