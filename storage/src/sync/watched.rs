//! Atomics as ThreadSanitizer understands them, for builds with `--cfg tsan` (`.ci/sanitize`).
//!
//! The sanitizer does not model fences: what two threads agree on through a fence looks like a race to
//! it. Here a fence is an exchange on one word that all fences share, which orders at least as much.
//! So races between what lies on two sides of fences may go unseen; those without a fence do not.

/// The standard atomics, and fences that are exchanges.
pub mod atomic {
    pub use std::sync::atomic::*;

    static FENCES: AtomicU64 = AtomicU64::new(0);

    /// In place of the fence.
    pub fn fence(_order: Ordering) {
        FENCES.fetch_add(0, Ordering::AcqRel);
    }
}
