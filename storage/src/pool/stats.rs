//! What the pool says about itself.

use super::allocator::Pool;
use super::cache::{CACHED_CLASSES, Counts, Entered};
use super::class::{CLASSES, class_of, slab_pages, slot_bytes};
use super::extent::ExtentStats;
use super::pages::PAGE_BYTES;
use super::slab::Slab;
use crate::sync::atomic::Ordering::Relaxed;

/// One size class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClassStats {
    /// Bytes of a slot.
    pub slot_bytes: u64,
    /// Slabs of up to 64 KiB that serve the class.
    pub slabs: u64,
    /// Slots that these have.
    pub slots: u64,
    /// Slots handed out.
    pub slots_used: u64,
    /// Slots that threads keep for their next requests.
    pub slots_cached: u64,
    /// Bytes asked for by whoever has the slots handed out.
    pub bytes_asked: u64,
    /// Requests that a thread's own slots served.
    pub cache_hits: u64,
    /// Requests for which slots had to be taken from the class.
    pub cache_misses: u64,
}

impl ClassStats {
    /// Bytes of the slots handed out.
    pub fn bytes_used(&self) -> u64 {
        self.slots_used * self.slot_bytes
    }

    /// Bytes that serve nobody and cannot: slots are larger than what was asked for, and do not
    /// fill their slabs to the end.
    pub fn bytes_wasted(&self) -> u64 {
        let rounding = self.bytes_used().saturating_sub(self.bytes_asked);
        let pages = slab_pages(class_of(self.slot_bytes as usize));
        rounding + self.slabs * (pages * PAGE_BYTES) as u64 - self.slots * self.slot_bytes
    }
}

/// Large requests of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LargeStats {
    /// How many are held.
    pub count: u64,
    /// Bytes asked for.
    pub bytes_asked: u64,
    /// Bytes they take.
    pub bytes: u64,
}

/// The pool at one moment. Its parts are read one after the other: while threads allocate and free
/// they fit together only roughly.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PoolStats {
    /// Size classes, the smallest first.
    pub classes: Vec<ClassStats>,
    /// Large requests, and those of tables, in runs of pages.
    pub runs: LargeStats,
    /// Larger ones, which have memory of their own from the system.
    pub spans: LargeStats,
    /// What was taken from the system for all but the spans.
    pub extents: ExtentStats,
    /// Caches of threads.
    pub caches: u64,
}

impl PoolStats {
    /// Bytes taken from the system.
    pub fn bytes(&self) -> u64 {
        self.extents.bytes + self.spans.bytes
    }

    /// Bytes handed out, as rounded up.
    pub fn bytes_used(&self) -> u64 {
        let slots: u64 = self.classes.iter().map(ClassStats::bytes_used).sum();
        slots + self.runs.bytes + self.spans.bytes
    }
}

impl Pool {
    /// What it holds, by class and by kind.
    pub fn stats(&self) -> PoolStats {
        let caches = self.caches.lock();
        // No slot moves between a thread and its class while all caches are entered.
        let mut entered: Vec<_> = caches.iter().filter_map(|cache| cache.enter()).collect();
        let classes = (0..CLASSES).map(|class| self.class_stats(class, &mut entered));
        let classes = classes.collect();
        drop(entered);
        let space = self.space.0.lock();
        PoolStats {
            classes,
            runs: space.runs,
            spans: LargeStats {
                count: self.spans.count.load(Relaxed),
                bytes_asked: self.spans.asked.load(Relaxed),
                bytes: self.spans.bytes.load(Relaxed),
            },
            extents: space.extents.stats(),
            caches: caches.len() as u64,
        }
    }

    fn class_stats(&self, class: usize, entered: &mut [Entered<'_>]) -> ClassStats {
        let held = self.classes[class].0.lock();
        let mut sum = Counts::new();
        sum.add(&held.counts);
        let (used, slabs) = (held.used, held.slabs);
        drop(held);
        let mut cached = 0;
        if class < CACHED_CLASSES {
            for cache in entered {
                let line = cache.line(class);
                sum.add(&line.counts);
                cached += u64::from(line.count());
            }
        }
        ClassStats {
            slot_bytes: slot_bytes(class) as u64,
            slabs,
            slots: slabs * u64::from(Slab::capacity(class)),
            slots_used: used.saturating_sub(cached),
            slots_cached: cached,
            bytes_asked: sum.asked.max(0) as u64,
            cache_hits: sum.hits,
            cache_misses: sum.misses,
        }
    }
}
