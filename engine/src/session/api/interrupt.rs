//! Stopping a statement from another thread.

use crate::activity::{Request, SessionRecord};
use std::fmt;
use std::sync::Arc;

/// Stops what a connection runs; from any thread, without a lock, also from a signal handler.
///
/// ```
/// # let db = remora::Database::in_memory()?;
/// let conn = db.connect()?;
/// let handle = conn.interrupt_handle();
/// std::thread::spawn(move || handle.interrupt()).join().expect("no panic");
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone)]
pub struct InterruptHandle {
    session: Arc<SessionRecord>,
}

impl fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterruptHandle").finish_non_exhaustive()
    }
}

impl InterruptHandle {
    pub(in crate::session) fn new(session: Arc<SessionRecord>) -> Self {
        Self { session }
    }

    /// Makes the running statement end with 57014 (query_canceled) at its next check. The end of
    /// any statement, cancelled or not, takes the request back; one that comes while nothing runs
    /// meets the next statement, unless [`InterruptHandle::clear`] is called before that.
    pub fn interrupt(&self) {
        self.session.interrupt().request(Request::Cancel);
    }

    /// Takes an interrupt back that no statement has met yet.
    pub fn clear(&self) {
        self.session.interrupt().withdraw_one(Request::Cancel);
    }
}
