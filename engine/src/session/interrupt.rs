//! Stopping a statement from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops what a connection runs; from any thread, without a lock, also from a signal handler.
///
/// ```
/// # let db = remora::Database::in_memory()?;
/// let conn = db.connect()?;
/// let handle = conn.interrupt_handle();
/// std::thread::spawn(move || handle.interrupt()).join().expect("no panic");
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InterruptHandle {
    flag: Arc<AtomicBool>,
}

impl InterruptHandle {
    pub(super) fn new(flag: Arc<AtomicBool>) -> Self {
        Self { flag }
    }

    /// Makes the running statement end with 57014 (query_canceled) at its next check. The end of
    /// any statement, cancelled or not, takes the request back; one that comes while nothing runs
    /// meets the next statement, unless [`InterruptHandle::clear`] is called before that.
    pub fn interrupt(&self) {
        // Relaxed: the flag guards no other data; that it is seen soon is all that matters.
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Takes an interrupt back that no statement has met yet.
    pub fn clear(&self) {
        self.flag.store(false, Ordering::Relaxed);
    }
}
