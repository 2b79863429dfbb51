//! How far recovery is, for whoever waits for it.

use parking_lot::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The least time between two calls of a listener in one phase.
const PAUSE: Duration = Duration::from_millis(20);

/// What recovery is doing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RecoveryPhase {
    /// Loading the images of the checkpoint; counted in bytes.
    Images,
    /// Replaying the log; counted in bytes.
    Log,
    /// Filling the indexes; counted in entries.
    Indexes,
}

impl RecoveryPhase {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Log => "log",
            Self::Indexes => "indexes",
        }
    }
}

/// How far recovery is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecoveryProgress {
    /// What it is doing.
    pub phase: RecoveryPhase,
    /// How much of it is done: it never falls within a phase.
    pub done: u64,
    /// How much there is to do.
    pub total: u64,
}

/// Who is told: as each phase begins and ends, and now and then meanwhile, by whichever thread is at it. What
/// panics in it is contained.
#[derive(Clone)]
pub struct RecoveryListener(Arc<dyn Fn(RecoveryProgress) + Send + Sync>);

impl RecoveryListener {
    /// One that is called.
    pub fn new(listener: impl Fn(RecoveryProgress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }
}

impl fmt::Debug for RecoveryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryListener")
    }
}

/// One phase, counted.
pub(super) struct Progress<'l> {
    listener: Option<&'l RecoveryListener>,
    phase: RecoveryPhase,
    total: u64,
    done: AtomicU64,
    /// When the listener was told last, and of how much.
    told: Mutex<(Instant, u64)>,
}

impl<'l> Progress<'l> {
    /// Begins the phase.
    pub(super) fn begin(
        listener: Option<&'l RecoveryListener>,
        phase: RecoveryPhase,
        total: u64,
    ) -> Self {
        let progress = Self {
            listener,
            phase,
            total,
            done: AtomicU64::new(0),
            told: Mutex::new((Instant::now(), 0)),
        };
        progress.tell(0);
        progress
    }

    /// So much more is done.
    pub(super) fn add(&self, more: u64) {
        // Relaxed: a count, which nothing else depends on.
        let done = self.done.fetch_add(more, Relaxed) + more;
        if self.listener.is_none() {
            return;
        }
        // Whoever finds the lock taken leaves the telling to its holder.
        let Some(mut told) = self.told.try_lock() else {
            return;
        };
        if told.0.elapsed() >= PAUSE && done > told.1 {
            self.tell(done);
            *told = (Instant::now(), done);
        }
    }

    /// Ends the phase.
    pub(super) fn end(self) {
        self.tell(self.total);
    }

    fn tell(&self, done: u64) {
        let Some(RecoveryListener(listener)) = self.listener else {
            return;
        };
        let progress = RecoveryProgress {
            phase: self.phase,
            done: done.min(self.total),
            total: self.total,
        };
        // Its panic was reported by its own message, and is not the database's affair.
        let _ = catch_unwind(AssertUnwindSafe(|| listener(progress)));
    }
}
