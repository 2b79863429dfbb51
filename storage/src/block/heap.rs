//! The long strings of a block's base rows.
//!
//! Chunks are only ever added, and bytes in them written once, before the row that names them is
//! published; so a string found through a row is immutable. All goes with the block: strings of
//! rows that are deleted or superseded stay until then. Folding never adds a string (see
//! [`super::Block::fold`]), so a heap grows by insertions only and is bounded by them. It grows
//! beyond its usual bound, by half of its size at a time, for the first row of a block, however long
//! its strings are, and in recovery: there it takes the strings of updates, too, since rows must come
//! back to their places.

use crate::error::{Error, Result};
use crate::pool::{Owner, Pool, rounded_bytes};
use crate::sync::Mutex;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::{Arc, OnceLock};

const CHUNKS_MAX: usize = 64;
/// What a table has comes in pages of that size.
const CHUNK_BYTES_MIN: usize = 4 << 10;
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// No chunk has more, so that each of its bytes has an offset.
const CHUNK_BYTES_MOST: usize = 1 << 31;
/// Bytes of strings after which a block takes no more rows with long strings.
const HEAP_BYTES_MAX: usize = 16 << 20;

#[derive(Debug)]
struct Chunk {
    memory: NonNull<u8>,
    bytes: usize,
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
        Self {
            pool,
            chunks: [const { OnceLock::new() }; CHUNKS_MAX],
            cursor: Mutex::default(),
        }
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
        // A quarter more each time: little is left unused, and 64 chunks are more than enough.
        let (more, most) = match must {
            true => (cursor.total / 2, CHUNK_BYTES_MOST),
            false => (cursor.total / 4, CHUNK_BYTES_MAX),
        };
        let bytes = more.clamp(CHUNK_BYTES_MIN, most).max(wanted);
        // What the pool would round it up to is used.
        let bytes = rounded_bytes(Owner::Table, bytes);
        let full = cursor.total > 0 && cursor.total + bytes > HEAP_BYTES_MAX;
        if (full || cursor.chunks == CHUNKS_MAX) && !must {
            return Ok(false);
        }
        if cursor.chunks == CHUNKS_MAX {
            return Err(Error::LimitExceeded {
                what: "bytes of strings in one block",
                found: (cursor.total + wanted) as u64,
                limit: cursor.total as u64,
            });
        }
        let memory = self.pool.allocate(Owner::Table, bytes)?;
        let fresh = self.chunks[cursor.chunks].set(Chunk { memory, bytes });
        assert!(fresh.is_ok(), "a chunk is added once");
        cursor.chunks += 1;
        cursor.used = 0;
        cursor.end = bytes;
        cursor.total += bytes;
        Ok(true)
    }

    /// Bytes of its chunks, as the ledger counts them.
    pub(super) fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().map_while(OnceLock::get);
        chunks
            .map(|chunk| rounded_bytes(Owner::Table, chunk.bytes))
            .sum()
    }

    /// A string stored before; its place was read from a published row.
    pub(super) fn get(&self, place: Place, length: usize) -> &[u8] {
        let chunk = self.chunks[place.chunk as usize]
            .get()
            .expect("a row names chunks that exist");
        let end = place.offset as usize + length;
        assert!(end <= chunk.bytes, "a row names bytes within its chunk");
        // SAFETY: within the chunk; written before the row was published, and never again.
        unsafe { slice::from_raw_parts(chunk.memory.as_ptr().add(place.offset as usize), length) }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        for chunk in self.chunks.iter_mut().filter_map(OnceLock::get_mut) {
            // SAFETY: the chunk came from this pool with these bytes; `&mut self`: no reader.
            unsafe { self.pool.free(Owner::Table, chunk.memory, chunk.bytes) }
        }
    }
}
