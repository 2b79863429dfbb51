//! The long strings of a block's base rows.
//!
//! Chunks are only ever added, and bytes in them written once, before the row that names them is
//! published; so a string found through a row is immutable. All goes with the block: strings of
//! rows that are deleted or superseded stay until then. Folding never adds a string (see
//! [`super::Block::fold`]), so a heap grows by insertions only and is bounded by them. It grows
//! beyond its usual bound for the first row of a block, however long its strings are, and in recovery: there
//! it takes the strings of updates, too, since rows must come back to their places.

use crate::error::{Error, Result};
use crate::pool::{Owner, Pool, rounded_bytes};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::{Arc, OnceLock};

const CHUNKS_MAX: usize = 64;
/// What a table has comes in pages of that size.
const CHUNK_BYTES_MIN: usize = 4 << 10;
/// No chunk has more, so that each of its bytes has an offset.
const CHUNK_BYTES_MOST: usize = 1 << 31;
/// Strings after which a block takes no more rows with long strings, as part of the emergency reserve: freezing it must be
/// possible with what a full database has left, and takes twice as much.
const HEAP_PART: u64 = 4;
/// A heap beyond that grows by half of its size at a time.
const QUARTERS_BYTES_MAX: usize = 16 << 20;

#[derive(Debug)]
struct Chunk {
    memory: NonNull<u8>,
    /// Fewer once the heap is closed; relaxed, because nobody reads what is gone.
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Cursor {
    /// Chunks there are; the last one is being filled.
    chunks: usize,
    /// Bytes used and had of the last one.
    used: usize,
    end: usize,
    /// Bytes of all chunks.
    total: usize,
}

/// Where a string is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) chunk: u32,
    pub(super) offset: u32,
}

/// The string heap of one block.
#[derive(Debug)]
pub(super) struct Heap {
    pool: Arc<Pool>,
    /// Bytes after which it takes only strings that must come.
    most: usize,
    /// Bytes of each chunk; `None` for chunks that grow with the heap.
    chunk_bytes: Option<usize>,
    chunks: [OnceLock<Chunk>; CHUNKS_MAX],
    cursor: Mutex<Cursor>,
}

// SAFETY: chunk memory is owned by the heap; writes to it go to places that the cursor handed out
// once, reads to places that were published after being written.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let most = pool.ledger().emergency() / HEAP_PART;
        Self {
            most: most as usize,
            chunk_bytes: None,
            pool,
            chunks: [const { OnceLock::new() }; CHUNKS_MAX],
            cursor: Mutex::default(),
        }
    }

    /// Takes no more than so many bytes, unless a string must come, and all of them in one chunk: where heaps come and go,
    /// one takes the place of another.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.most = self.most.min(bytes);
        self.chunk_bytes = Some(self.most);
    }

    /// Stores a string; `None` when the heap is full, unless it must not be.
    pub(super) fn place(&self, string: &[u8], must: bool) -> Result<Option<Place>> {
        let mut cursor = self.cursor.lock();
        if cursor.used + string.len() > cursor.end
            && !self.add_chunk(&mut cursor, string.len(), must)?
        {
            return Ok(None);
        }
        let place = Place {
            chunk: cursor.chunks as u32 - 1,
            offset: cursor.used as u32,
        };
        cursor.used += string.len();
        drop(cursor);
        let chunk = self.chunks[place.chunk as usize]
            .get()
            .expect("the cursor names chunks that exist");
        // SAFETY: the cursor gave [offset, offset + length) of this chunk to this call alone.
        unsafe {
            let target = chunk.memory.add(place.offset as usize);
            ptr::copy_nonoverlapping(string.as_ptr(), target.as_ptr(), string.len());
        }
        Ok(Some(place))
    }

    fn add_chunk(&self, cursor: &mut Cursor, wanted: usize, must: bool) -> Result<bool> {
        let is_full = cursor.total > 0 && cursor.total + wanted > self.most;
        if (is_full || cursor.chunks == CHUNKS_MAX) && !must {
            return Ok(false);
        }
        if cursor.chunks == CHUNKS_MAX {
            return Err(Error::LimitExceeded {
                what: "bytes of strings in one block",
                found: (cursor.total + wanted) as u64,
                limit: cursor.total as u64,
            });
        }
        let (memory, bytes) = self.allocate(cursor.total, wanted)?;
        self.end_chunk(cursor);
        let bytes_now = AtomicUsize::new(bytes);
        let fresh = self.chunks[cursor.chunks].set(Chunk {
            memory,
            bytes: bytes_now,
        });
        assert!(fresh.is_ok(), "a chunk is added once");
        cursor.chunks += 1;
        cursor.used = 0;
        cursor.end = bytes;
        cursor.total += bytes;
        Ok(true)
    }

    /// Memory for a chunk: more than is wanted, if there is that much.
    fn allocate(&self, total: usize, wanted: usize) -> Result<(NonNull<u8>, usize)> {
        // A quarter more each time: little is left unused, and 64 chunks are more than enough.
        let more = match (self.chunk_bytes, total) {
            (Some(bytes), _) => bytes,
            (None, 0..QUARTERS_BYTES_MAX) => total / 4,
            (None, _) => total / 2,
        };
        let more = more.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MOST);
        let sizes = [wanted.max(more), wanted];
        // What the pool would round it up to is used.
        let [bytes, least] = sizes.map(|bytes| rounded_bytes(Owner::Table, bytes));
        match self.pool.allocate(Owner::Table, bytes) {
            Err(Error::OutOfMemory { .. }) if least < bytes => {
                Ok((self.pool.allocate(Owner::Table, least)?, least))
            }
            memory => Ok((memory?, bytes)),
        }
    }

    /// Takes no more strings, and gives back what is left for them.
    pub(super) fn close(&self) {
        let mut cursor = self.cursor.lock();
        self.end_chunk(&mut cursor);
    }

    /// Gives back what is left of the chunk that is being filled.
    fn end_chunk(&self, cursor: &mut Cursor) {
        let Some(at) = cursor.chunks.checked_sub(1) else {
            return;
        };
        let chunk = self.chunks[at]
            .get()
            .expect("the cursor names chunks that exist");
        let (bytes, keep) = (cursor.end, cursor.used.max(1));
        // SAFETY: the chunk came from this pool with these bytes, and nobody was given a place behind those used, nor
        // will be.
        let left = unsafe { self.pool.shrink(Owner::Table, chunk.memory, bytes, keep) };
        chunk.bytes.store(left, Relaxed);
        cursor.total -= bytes - left;
        cursor.end = cursor.used;
    }

    /// Bytes of its chunks, as the ledger counts them.
    pub(super) fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().map_while(OnceLock::get);
        chunks
            .map(|chunk| rounded_bytes(Owner::Table, chunk.bytes.load(Relaxed)))
            .sum()
    }

    /// A string stored before; its place was read from a published row.
    pub(super) fn get(&self, place: Place, length: usize) -> &[u8] {
        let chunk = self.chunks[place.chunk as usize]
            .get()
            .expect("a row names chunks that exist");
        let end = place.offset as usize + length;
        assert!(
            end <= chunk.bytes.load(Relaxed),
            "a row names bytes within its chunk"
        );
        // SAFETY: within the chunk; written before the row was published, and never again.
        unsafe { slice::from_raw_parts(chunk.memory.as_ptr().add(place.offset as usize), length) }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        for chunk in self.chunks.iter_mut().filter_map(OnceLock::get_mut) {
            // SAFETY: the chunk came from this pool with these bytes; `&mut self`: no reader.
            unsafe {
                self.pool
                    .free(Owner::Table, chunk.memory, *chunk.bytes.get_mut())
            }
        }
    }
}
