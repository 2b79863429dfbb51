//! The heads of a frozen block: sparse, since few of its rows change.
//!
//! ```text
//!   chunks   [ words: none | deleted: 41, of 0110.. ][ words: * | .. ][ words: * | .. ]     one for 1,024 rows
//!                                                             |               |
//!                                                             v               +--> MOVED: every head says moved
//!                                                        [ head ] x 1,024
//! ```
//!
//! Heads are found by the position of their row among those of the block, so that a block that has
//! lost most of its rows has few. A slot without a row needs none: nothing is ever chained there.
//!
//! **Deletions need no memory.** As long as nothing else happens to the rows of a chunk, it has no words: a bit says
//! which rows are deleted, and one stamp by whom. So the rows of one command are deleted, and those of a later one
//! once the first are dead to everybody; a full database deletes all that it has. What one stamp cannot tell, a
//! second deleter beside the first or a version, gives the chunk a word for each row, which stay as long as the
//! block.
//!
//! Whoever changes what a chunk without words says holds the latch of the block's heads, so none of it is lost
//! when words come or the chunk moves. Readers take no latch:
//!
//! - They look for words (Acquire), and only then at the bits: bits that became words stay as they were.
//! - Of a row with its bit they read the stamp, and then whether the row is dead. A stamp is given to a later
//!   command once all rows with a bit are dead. So a reader who finds the later stamp finds the row dead, which
//!   is an answer for every snapshot: deleted long ago.

use crate::error::Result;
use crate::ids::Timestamp;
use crate::mvcc::{Head, HeadWord, Operation, Stamp, StampWord};
use crate::pool::{Claim, Owner, Pool};
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicPtr, AtomicU64};
use crate::sync::{Fault, Mutex, is_left_out};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Heads of a chunk.
const CHUNK_ROWS: usize = 1024;
const WORDS_BYTES: usize = CHUNK_ROWS * size_of::<HeadWord>();
const WORD_BITS: usize = u64::BITS as usize;

type Words = [HeadWord; CHUNK_ROWS];

/// Nobody changes a head that says *moved*, so these words serve all.
static MOVED: Words = [const { HeadWord::moved() }; CHUNK_ROWS];

/// The heads of one frozen block.
#[derive(Debug)]
pub(super) struct Heads {
    pool: Arc<Pool>,
    chunks: Box<[Chunk]>,
    /// Held by whoever changes what chunks without words say.
    changing: Mutex<()>,
}

/// The heads of some neighbouring rows.
#[derive(Debug, Default)]
struct Chunk {
    words: AtomicPtr<Words>,
    /// Without words: when the rows were deleted that have their bit.
    deleted: StampWord,
    rows: [AtomicU64; CHUNK_ROWS / WORD_BITS],
}

impl Chunk {
    /// The words, if it has some. They are filled before they are shown.
    fn words(&self) -> Option<&Words> {
        // SAFETY: words are added once and freed with the heads; they are atomics only. The static
        // ones live for ever.
        unsafe { self.words.load(Acquire).as_ref() }
    }

    fn bit(&self, position: u32) -> (&AtomicU64, u64) {
        let at = position as usize % CHUNK_ROWS;
        (&self.rows[at / WORD_BITS], 1 << (at % WORD_BITS))
    }

    fn has_bit(&self, position: u32) -> bool {
        let (word, bit) = self.bit(position);
        // Acquire: the stamp was set before.
        word.load(Acquire) & bit != 0
    }

    /// The positions with a bit, of which the chunk's first one is `first`.
    fn bits(&self, first: u32) -> impl Iterator<Item = u32> {
        (first..first + CHUNK_ROWS as u32).filter(|position| self.has_bit(*position))
    }
}

/// Zeroed memory for the words of one chunk, not yet part of any block.
#[derive(Debug)]
pub(super) struct Spare {
    pool: Arc<Pool>,
    /// `None` once a block has it.
    words: Option<NonNull<Words>>,
}

impl Spare {
    pub(super) fn new(pool: &Arc<Pool>, claim: Claim) -> Result<Self> {
        let memory = pool.allocate_for(claim, Owner::Table, WORDS_BYTES)?;
        Ok(Self {
            pool: Arc::clone(pool),
            words: Some(memory.cast()),
        })
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some(words) = self.words {
            // SAFETY: it came from this pool with these bytes, and no block has it.
            unsafe { self.pool.free(Owner::Table, words.cast(), WORDS_BYTES) }
        }
    }
}

impl Heads {
    pub(super) fn new(pool: &Arc<Pool>, rows: usize) -> Self {
        Self {
            pool: Arc::clone(pool),
            chunks: (0..Self::chunks_of(rows))
                .map(|_| Chunk::default())
                .collect(),
            changing: Mutex::default(),
        }
    }

    /// How many chunks so many rows have.
    pub(super) fn chunks_of(rows: usize) -> usize {
        rows.div_ceil(CHUNK_ROWS)
    }

    /// The positions of each chunk, if there are so many rows.
    pub(super) fn ranges(rows: usize) -> impl Iterator<Item = Range<usize>> {
        let start = |chunk| chunk * CHUNK_ROWS;
        (0..Self::chunks_of(rows)).map(move |chunk| start(chunk)..rows.min(start(chunk + 1)))
    }

    fn chunk(&self, position: u32) -> &Chunk {
        &self.chunks[position as usize / CHUNK_ROWS]
    }

    /// The word of the row at a position, if its chunk has words.
    pub(super) fn word(&self, position: u32) -> Option<&HeadWord> {
        let words = self.chunk(position).words()?;
        Some(&words[position as usize % CHUNK_ROWS])
    }

    /// What the head of a row says; `is_dead` tells whether nobody sees it any more.
    #[inline]
    pub(super) fn load<'a>(
        &'a self,
        position: u32,
        is_dead: impl Fn() -> bool,
        proof: &'a Operation<'a>,
    ) -> Head<'a> {
        match self.word(position) {
            Some(word) => word.load(proof),
            None => {
                let chunk = self.chunk(position);
                if !chunk.has_bit(position) {
                    return Head::Empty;
                }
                let too_early = is_left_out(Fault::DeadBeforeStamp).then(&is_dead);
                let stamp = chunk.deleted.load();
                Head::Deleted(deletion(stamp, || too_early.unwrap_or_else(is_dead)))
            }
        }
    }

    /// Whether nothing happened to the row since the block was built.
    #[inline]
    pub(super) fn is_empty(&self, position: u32) -> bool {
        match self.word(position) {
            Some(word) => word.is_empty(),
            None => !self.chunk(position).has_bit(position),
        }
    }

    /// The word of a row, to chain a version over it. `is_dead` is asked about positions.
    ///
    /// # Errors
    /// `OutOfMemory` where its chunk has no words yet.
    pub(super) fn word_to_change(
        &self,
        position: u32,
        is_dead: impl Fn(u32) -> bool,
    ) -> Result<&HeadWord> {
        if self.word(position).is_none() {
            let spare = Spare::new(&self.pool, Claim::Ordinary)?;
            let _changing = self.changing.lock();
            self.add_words(position, spare, is_dead);
        }
        Ok(self.word(position).expect("its chunk has words by now"))
    }

    /// Notes the deletion of a row that nothing has happened to; `false` where something has.
    ///
    /// # Errors
    /// `OutOfMemory` where another deleter is at work among its neighbours.
    pub(super) fn delete(
        &self,
        position: u32,
        stamp: Stamp,
        is_dead: impl Fn(u32) -> bool,
    ) -> Result<bool> {
        if let Some(word) = self.word(position) {
            return Ok(word.delete(stamp));
        }
        {
            let _changing = self.changing.lock();
            let chunk = self.chunk(position);
            if chunk.words().is_none() {
                if chunk.has_bit(position) {
                    return Ok(false);
                }
                let first = position - position % CHUNK_ROWS as u32;
                if chunk.deleted.load() == stamp || chunk.bits(first).all(&is_dead) {
                    chunk.deleted.store(stamp);
                    let (word, bit) = chunk.bit(position);
                    // Release: with the bit comes the stamp.
                    word.fetch_or(bit, Release);
                    return Ok(true);
                }
                let spare = Spare::new(&self.pool, Claim::Emergency)?;
                self.add_words(position, spare, is_dead);
            }
        }
        let word = self.word(position).expect("its chunk has words by now");
        Ok(word.delete(stamp))
    }

    /// Gives the chunk of a position words that say what its bits do, unless it has some. The caller holds the
    /// latch.
    fn add_words(&self, position: u32, mut spare: Spare, is_dead: impl Fn(u32) -> bool) {
        let chunk = self.chunk(position);
        let Some(lent) = spare.words.filter(|_| chunk.words().is_none()) else {
            return;
        };
        // SAFETY: the memory is the spare's alone, large enough, and zeroed, which is valid for the
        // atomics that words are.
        let words: &Words = unsafe { lent.as_ref() };
        let first = position - position % CHUNK_ROWS as u32;
        for deleted in chunk.bits(first) {
            let stamp = deletion(chunk.deleted.load(), || is_dead(deleted));
            words[deleted as usize % CHUNK_ROWS].carry(Head::Deleted(stamp));
        }
        spare.words = None;
        // Release: whoever finds the words finds them filled.
        chunk.words.store(lent.as_ptr(), Release);
    }

    /// Gives a deletion its final stamp; fails where the row has moved meanwhile.
    pub(super) fn stamp_deletion(&self, position: u32, marker: Stamp, stamp: Stamp) -> bool {
        if self.word(position).is_none() {
            let _changing = self.changing.lock();
            let chunk = self.chunk(position);
            if chunk.words().is_none() {
                // Of all its rows together: its owner has deleted them by one command.
                if chunk.deleted.load() == marker {
                    chunk.deleted.store(stamp);
                }
                return true;
            }
        }
        let word = self.word(position).expect("its chunk has words");
        word.stamp_deletion(marker, stamp)
    }

    /// Takes a deletion back. Only its owner may, and not while the block is being replaced.
    pub(super) fn undo_deletion(&self, position: u32, marker: Stamp) {
        if self.word(position).is_none() {
            let _changing = self.changing.lock();
            let chunk = self.chunk(position);
            if chunk.words().is_none() {
                let (word, bit) = chunk.bit(position);
                word.fetch_and(!bit, Release);
                return;
            }
        }
        let word = self.word(position).expect("its chunk has words");
        word.undo_deletion(marker);
    }

    /// Says what the head of the row in the block before said; nobody else reaches this row yet, but its neighbours.
    /// `spare` gives memory for words.
    pub(super) fn carry(&self, position: u32, head: Head<'_>, spare: impl FnOnce() -> Spare) {
        let _changing = self.changing.lock();
        let chunk = self.chunk(position);
        if chunk.words().is_none() {
            let (word, bit) = chunk.bit(position);
            word.fetch_and(!bit, Relaxed);
            let first = position - position % CHUNK_ROWS as u32;
            match head {
                Head::Empty => return,
                Head::Deleted(stamp)
                    if chunk.deleted.load() == stamp || chunk.bits(first).next().is_none() =>
                {
                    chunk.deleted.store(stamp);
                    word.fetch_or(bit, Release);
                    return;
                }
                // No row has died here: whoever replaces blocks is the one who buries.
                _ => self.add_words(position, spare(), |_| false),
            }
        }
        let word = self.word(position).expect("its chunk has words");
        word.carry(head);
    }

    /// Seals the chunk of a position at once if it has no words: `carry` is told of its deletions first. What was
    /// written to the successor before is readable for whoever finds it through these heads.
    pub(super) fn seal_chunk(
        &self,
        first: u32,
        is_dead: impl Fn(u32) -> bool,
        mut carry: impl FnMut(u32, Stamp),
    ) -> bool {
        let _changing = self.changing.lock();
        let chunk = self.chunk(first);
        if chunk.words().is_some() {
            return false;
        }
        for deleted in chunk.bits(first) {
            carry(deleted, deletion(chunk.deleted.load(), || is_dead(deleted)));
        }
        chunk.words.store(ptr::from_ref(&MOVED).cast_mut(), Release);
        true
    }

    /// Bytes of its words.
    pub(super) fn bytes(&self) -> usize {
        let own = |chunk: &&Chunk| is_own(chunk.words.load(Acquire));
        self.chunks.iter().filter(own).count() * WORDS_BYTES
    }

    /// Bytes that it has whatever happens to the rows.
    pub(super) fn own_bytes(&self) -> usize {
        size_of_val(&*self.chunks)
    }
}

/// When a row with that stamp was deleted, read before it is asked whether the row is dead.
fn deletion(stamp: Stamp, is_dead: impl FnOnce() -> bool) -> Stamp {
    match is_dead() {
        // To every snapshot.
        true => Stamp::committed(Timestamp(1)),
        false => stamp,
    }
}

fn is_own(words: *const Words) -> bool {
    !words.is_null() && !ptr::eq(words, &raw const MOVED)
}

impl Drop for Heads {
    fn drop(&mut self) {
        for chunk in &mut self.chunks {
            let words = *chunk.words.get_mut();
            if !is_own(words) {
                continue;
            }
            // SAFETY: `&mut self`: nobody else looks at the words any more. They came from this pool
            // with these bytes.
            unsafe {
                for head in &mut *words {
                    head.free_chain(&self.pool);
                }
                let memory = NonNull::new_unchecked(words).cast();
                self.pool.free(Owner::Table, memory, WORDS_BYTES);
            }
        }
    }
}
