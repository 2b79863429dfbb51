//! How the plan cache of a session does, as others see it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Counts of a session's plan cache, or of the plans that sessions share. One thread at a time writes them; each is true for
/// itself.
#[derive(Debug, Default)]
pub(crate) struct PlanCacheUse {
    hits: AtomicU64,
    misses: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// The counts of a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlanCacheCounts {
    /// Texts whose plan was found.
    pub hits: u64,
    /// Texts that were planned.
    pub misses: u64,
    /// Plans in the cache.
    pub entries: u64,
    /// Memory reserved for the plans, in bytes.
    pub bytes: u64,
}

impl PlanCacheUse {
    /// Counts a text, whose plan was found or not.
    #[inline]
    pub(crate) fn count(&self, is_hit: bool) {
        let counter = if is_hit { &self.hits } else { &self.misses };
        // One thread at a time writes it.
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }

    /// Sets how many plans the cache has, and their bytes.
    pub(crate) fn set_size(&self, entries: u64, bytes: u64) {
        self.entries.store(entries, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }

    /// The counts now.
    pub(crate) fn counts(&self) -> PlanCacheCounts {
        PlanCacheCounts {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            entries: self.entries.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }
}
