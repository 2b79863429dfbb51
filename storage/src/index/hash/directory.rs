//! Where the buckets are: chunks of roots that come and go at the end.
//!
//! ```text
//!   small    [ 0 - 7 | 8 - 15 | 16 - 31 | .. | 256 - 511 ]     chunks of the first 512 buckets
//!   chunks   [ - | 512 - 1023 | 1024 - 1535 | .. ]             512 buckets in each
//!                    `-> 512 roots
//! ```
//!
//! The array `chunks` is replaced by one of twice the length when it is full.
//!
//! The number of buckets is any number: *linear hashing*. With n buckets and 2^l <= n < 2^(l+1), an
//! identity's bucket is its lowest l + 1 bits, or, where there is no such bucket yet, its lowest l.
//! So bucket n comes by splitting bucket n - 2^l, and goes by merging into it again.
//!
//! Invariants
//! - One thread at a time opens and closes buckets.
//! - Buckets below the number are LIVE and in a chunk that is linked. The number changes only while
//!   the two buckets concerned are latched and CHANGING. So who holds a latch, or reads validly,
//!   and then finds that the number still leads to that bucket, has the right one.

use super::chain::free_links;
use super::identity::Identity;
use super::line::{ROOT_BYTES, Root};
use crate::error::Result;
use crate::index::memory::Memory;
use crate::mvcc::epoch::{Guard, pin};
use crate::pool::{Claim, Owner, rounded_bytes};
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicPtr, AtomicUsize};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Buckets of an empty index: what the first small chunk has.
pub(super) const BUCKETS_MIN: usize = 1 << FIRST_BITS;
/// Above this there are no more buckets; their chains grow.
pub(super) const BUCKETS_MAX: usize = 1 << 36;

/// Models grow from fewer, so that they are short.
const FIRST_BITS: u32 = if cfg!(feature = "shuttle") { 1 } else { 3 };
/// Buckets of a chunk, small ones aside.
const CHUNK_BITS: u32 = 9;
const SMALL_CHUNKS: usize = (CHUNK_BITS - FIRST_BITS + 1) as usize;
const CHUNKS_MIN: usize = 16;

/// A link to a chunk.
type Link = AtomicPtr<Root>;

/// The buckets of an index.
#[derive(Debug)]
pub(super) struct Directory {
    buckets: AtomicUsize,
    chunks: AtomicPtr<Link>,
    small: [Link; SMALL_CHUNKS],
    /// Links that `chunks` has.
    length: AtomicUsize,
    memory: Arc<Memory>,
}

/// The bucket of an identity, of so many buckets.
#[inline(always)]
pub(super) fn bucket_of(identity: Identity, buckets: usize) -> usize {
    // There is one bucket at least; said so that it need not be asked.
    let mask = usize::MAX >> (buckets | 1).leading_zeros();
    let (low, high) = (mask >> 1, mask);
    let bits = identity.bits() as usize;
    if bits & high < buckets {
        bits & high
    } else {
        bits & low
    }
}

/// The bucket that bucket `number` is split from.
pub(super) fn origin_of(number: usize) -> usize {
    number - (1 << number.ilog2())
}

/// Small chunk of a bucket, and its place there.
fn small_place(bucket: usize) -> (usize, usize) {
    match bucket >> FIRST_BITS {
        0 => (0, bucket),
        _ => {
            let bits = bucket.ilog2();
            ((bits - FIRST_BITS + 1) as usize, bucket - (1 << bits))
        }
    }
}

/// The buckets of the chunk that has this bucket.
fn chunk_of(bucket: usize) -> Range<usize> {
    match bucket >> CHUNK_BITS {
        0 if bucket < BUCKETS_MIN => 0..BUCKETS_MIN,
        0 => 1 << bucket.ilog2()..2 << bucket.ilog2(),
        chunk => chunk << CHUNK_BITS..(chunk + 1) << CHUNK_BITS,
    }
}

impl Directory {
    /// Room for [`BUCKETS_MIN`] buckets.
    pub(super) fn new(claim: Claim, memory: &Arc<Memory>) -> Result<Self> {
        let directory = Self {
            buckets: AtomicUsize::new(0),
            chunks: AtomicPtr::default(),
            small: Default::default(),
            length: AtomicUsize::new(0),
            memory: Arc::clone(memory),
        };
        directory.open_for(claim, 0, &pin())?;
        Ok(directory)
    }

    /// How many buckets there are.
    #[inline(always)]
    pub(super) fn buckets(&self) -> usize {
        // Acquire: who sees a number finds the chunks below it.
        self.buckets.load(Acquire)
    }

    /// Says how many there are; under the latches of those concerned.
    pub(super) fn set_buckets(&self, buckets: usize) {
        self.buckets.store(buckets, Release);
    }

    /// The root of a bucket below a number that [`Self::buckets`] gave, if its chunk was not closed
    /// since. It stays readable under the guard.
    #[inline(always)]
    pub(super) fn bucket<'g>(&self, number: usize, guard: &'g Guard) -> Option<&'g Root> {
        let (link, at) = match number >> CHUNK_BITS {
            0 => {
                let (chunk, at) = small_place(number);
                (&self.small[chunk], at)
            }
            chunk => (self.link(chunk, guard), number & ((1 << CHUNK_BITS) - 1)),
        };
        let roots = NonNull::new(link.load(Acquire))?;
        // SAFETY: a chunk has the roots that are counted in it, zeroed or used as roots since. It
        // is freed through the epoch after it was unlinked (`close`), so not under the guard.
        Some(unsafe { roots.add(at).as_ref() })
    }

    /// The link to a chunk of a bucket that is open, or was when the guard's holder looked.
    #[inline(always)]
    fn link<'g>(&self, chunk: usize, _guard: &'g Guard) -> &'g Link {
        let links = self.chunks.load(Acquire);
        debug_assert!(chunk < self.length.load(Acquire), "it was opened");
        // SAFETY: an array that has this link was stored before the chunk was opened (`open`), so
        // before the number of buckets that led here, which was loaded with acquire; later ones
        // are longer. It is freed through the epoch after it was replaced.
        unsafe { &*links.add(chunk) }
    }

    /// Makes sure that a bucket has memory. Called by one thread at a time.
    pub(super) fn open(&self, number: usize, guard: &Guard) -> Result<()> {
        self.open_for(Claim::Ordinary, number, guard)
    }

    fn open_for(&self, claim: Claim, number: usize, guard: &Guard) -> Result<()> {
        let chunk = number >> CHUNK_BITS;
        if chunk >= self.length.load(Relaxed).max(1) {
            self.lengthen(guard)?;
        }
        let link = match chunk {
            0 => &self.small[small_place(number).0],
            _ => self.link(chunk, guard),
        };
        if link.load(Relaxed).is_null() {
            let bytes = chunk_of(number).len() * ROOT_BYTES;
            let roots = self.memory.supply(claim).allocate(bytes)?;
            link.store(roots.as_ptr().cast(), Release);
        }
        Ok(())
    }

    /// Doubles the array of chunks.
    fn lengthen(&self, guard: &Guard) -> Result<()> {
        let length = self.length.load(Relaxed);
        let bytes = rounded_bytes(
            Owner::Index,
            (2 * length).max(CHUNKS_MIN) * size_of::<Link>(),
        );
        let longer = bytes / size_of::<Link>();
        let new = self.memory.to_grow().allocate(bytes)?;
        let new: NonNull<Link> = new.cast();
        for chunk in 0..length {
            let roots = self.link(chunk, guard).load(Relaxed);
            // SAFETY: the new array is longer than `length`, zeroed, and this thread's alone.
            unsafe { new.add(chunk).as_ref().store(roots, Relaxed) };
        }
        let old = self.chunks.swap(new.as_ptr(), AcqRel);
        self.length.store(longer, Release);
        if let Some(old) = NonNull::new(old) {
            // SAFETY: allocated here with as many bytes, and replaced just now: who pins from here
            // on does not find it.
            unsafe {
                let bytes = length * size_of::<Link>();
                self.memory.retire(old.cast(), bytes);
            }
        }
        Ok(())
    }

    /// Gives a chunk back if a bucket, which is no longer live, was the first of it. Called by one
    /// thread at a time.
    pub(super) fn close(&self, number: usize, guard: &Guard) {
        let buckets = chunk_of(number);
        if number > buckets.start {
            return;
        }
        let link = match number >> CHUNK_BITS {
            0 => &self.small[small_place(number).0],
            chunk => self.link(chunk, guard),
        };
        if let Some(roots) = NonNull::new(link.swap(ptr::null_mut(), Relaxed)) {
            // SAFETY: `open` allocated it with these bytes; it is unlinked just now, and its
            // buckets are not live: who pins from here on does not find it.
            unsafe {
                let bytes = buckets.len() * ROOT_BYTES;
                self.memory.retire(roots.cast(), bytes);
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let guard = pin();
        for number in 0..self.buckets() {
            let root = self.bucket(number, &guard).expect("it is open");
            free_links(root, &self.memory);
        }
        let length = self.length.load(Relaxed);
        let chunks = (1..length).map(|chunk| (chunk << CHUNK_BITS, self.link(chunk, &guard)));
        let first = |chunk| {
            if chunk == 0 {
                0
            } else {
                BUCKETS_MIN << (chunk - 1)
            }
        };
        let small = self.small.iter().enumerate();
        let small = small.map(|(chunk, link)| (first(chunk), link));
        for (bucket, link) in small.chain(chunks) {
            if let Some(roots) = NonNull::new(link.load(Relaxed)) {
                let bytes = chunk_of(bucket).len() * ROOT_BYTES;
                // SAFETY: allocated by `open` with these bytes; nobody else has the index.
                unsafe { self.memory.free(roots.cast(), bytes) }
            }
        }
        if let Some(links) = NonNull::new(self.chunks.load(Relaxed)) {
            let bytes = length * size_of::<Link>();
            // SAFETY: allocated by `lengthen` with these bytes; nobody else has the index.
            unsafe { self.memory.free(links.cast(), bytes) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_fill_one_chunk_after_the_other() {
        let mut expected = 0..BUCKETS_MIN;
        for bucket in 0..10_000 {
            if bucket == expected.end {
                let length = expected.end.min(1 << CHUNK_BITS);
                expected = expected.end..expected.end + length;
            }
            assert_eq!(chunk_of(bucket), expected, "bucket {bucket}");
        }
        let mut expected = (0, 0);
        for bucket in 0..1 << CHUNK_BITS {
            assert_eq!(small_place(bucket), expected, "bucket {bucket}");
            expected.1 += 1;
            if bucket + 1 == chunk_of(bucket).end {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(expected.0, SMALL_CHUNKS);
    }
}
