//! The flusher: makes durable what nobody waits for, within the loss window.
//!
//! ```text
//!   first commit of a batch        the flusher leads             durable
//!         |<------ patience ------------>|<------ sync ------------->|
//!         |<- half of the window, as syncs went lately ------------->|  ...the other half: reserve  |
//! ```
//!
//! 1. It sleeps until a commit comes to an empty queue, then until that commit has been at risk for half the
//!    window less the time that syncs have taken lately, and writes all that has come by then. If
//!    somebody who waits for his commit was faster, it has nothing to do.
//! 2. Where the medium is slower than that, it writes without pause, and commits that nobody waits for
//!    are held up before they begin ([`Log::keep_window`]) while something older than the window is at risk.
//! 3. While the log is full, it tries again and again whether there is room.
//!
//! So a commit is durable within the window, unless a sync takes more than half of it; and in any case, all
//! that a crash takes had returned within one window, of which `remora_durability` shows the oldest.
//! While nothing is committed, nothing runs.

use super::log::Log;
use crate::error::{Error, Result};
use std::sync::Arc;
use std::thread::JoinHandle;

/// The flusher's handle; dropping it waits for what the flusher is doing. What is queued then, closing the
/// log writes.
#[derive(Debug)]
pub struct Flusher {
    log: Arc<Log>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// Starts the flusher of a log.
    ///
    /// # Errors
    /// `Io` where the system gives no thread.
    pub fn start(log: &Arc<Log>) -> Result<Self> {
        const NAME: &str = "remora-log";
        let own = Arc::clone(log);
        let run = move || {
            while own.sleep_until_due() {
                // A failure stays with the log, which tells everybody who asks it for anything.
                let _ = own.write_due();
            }
        };
        let thread = std::thread::Builder::new().name(NAME.to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::Io {
            operation: "start the thread",
            path: NAME.into(),
            source: Arc::new(error),
        })?;
        Ok(Self {
            log: Arc::clone(log),
            thread: Some(thread),
        })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.log.end_flusher();
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported by its own message; here nothing more can be done.
            let _ = thread.join();
        }
    }
}
