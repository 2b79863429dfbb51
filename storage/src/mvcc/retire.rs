//! What was unlinked and waits until nobody can reach it any more.

use super::protected::Retirable;
use super::timeline::Timeline;
use super::version::VersionPointer;
use crate::ids::Timestamp;
use crate::pool::{Owner, Pool, Reservation};
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::atomic::fence;
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Places that the queue keeps when it is empty.
const QUEUE_KEPT: usize = 4096;

/// Something unlinked.
pub enum Garbage {
    /// A version record of the queue's pool.
    Version(VersionPointer),
    /// Anything that frees itself when dropped.
    Shared(Arc<dyn Any + Send + Sync>),
}

impl fmt::Debug for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(f),
            Self::Shared(_) => f.write_str("Shared"),
        }
    }
}

impl<T: Any + Send + Sync> From<Retirable<T>> for Garbage {
    fn from(value: Retirable<T>) -> Self {
        Self::Shared(value.0)
    }
}

/// Garbage in order of unlinking, each with the clock's value right after it was unlinked.
#[derive(Debug)]
pub struct RetireQueue {
    pool: Arc<Pool>,
    /// Not dated yet.
    fresh: Vec<Garbage>,
    waiting: VecDeque<(Timestamp, Garbage)>,
    /// For the queue itself, once it is longer than usual.
    memory: Option<Reservation>,
}

impl RetireQueue {
    /// An empty queue, for what came from `pool`.
    pub fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            fresh: Vec::new(),
            waiting: VecDeque::new(),
            memory: None,
        }
    }

    /// Takes over what was unlinked. It waits at least until [`Self::date`] is called.
    pub fn retire(&mut self, garbage: impl Into<Garbage>) {
        self.fresh.push(garbage.into());
    }

    /// Notes the time at or after which all that was handed over until now was unlinked: once for
    /// many, because it takes a fence.
    pub fn date(&mut self, timeline: &Timeline) {
        if self.fresh.is_empty() {
            return;
        }
        // Whoever registers a snapshot above this clock no longer finds it; pairs with the fence
        // of `Timeline::register`.
        fence(SeqCst);
        let now = timeline.latest();
        let dated = self.fresh.drain(..).map(|garbage| (now, garbage));
        self.waiting.extend(dated);
        self.fresh.shrink_to(QUEUE_KEPT);
        self.account();
    }

    /// Has the ledger know how long the queue is. What was unlinked must be kept in any case: where
    /// even the emergency reserve is used up, this is not accounted for until there is room.
    fn account(&mut self) {
        let bytes = self.waiting.capacity() * size_of::<(Timestamp, Garbage)>();
        let bytes = if self.waiting.capacity() > 4 * QUEUE_KEPT {
            bytes as u64
        } else {
            0
        };
        if self.memory.as_ref().map_or(0, Reservation::bytes) == bytes {
            return;
        }
        let ledger = self.pool.ledger();
        if self.memory.is_none() {
            self.memory = ledger.reserve(Owner::Transaction, 0).ok();
        }
        if let Some(memory) = &mut self.memory {
            let _ = memory.resize_emergency(bytes);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.fresh.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees what no registered snapshot can reach: all that was unlinked before the oldest of
    /// them. (A snapshot taken at the very timestamp of the unlinking may be older than it.)
    pub fn free(&mut self, oldest: Option<Timestamp>) {
        while let Some((unlinked, _)) = self.waiting.front()
            && oldest.is_none_or(|oldest| *unlinked < oldest)
        {
            if let Some((_, garbage)) = self.waiting.pop_front() {
                self.release(garbage);
            }
        }
        // A burst of garbage must not keep its queue for ever.
        if self.waiting.len().max(QUEUE_KEPT) * 4 < self.waiting.capacity() {
            self.waiting.shrink_to(self.waiting.len() * 2);
            self.account();
        }
    }

    fn release(&self, garbage: Garbage) {
        match garbage {
            Garbage::Version(version) => {
                // SAFETY: it was unlinked before it was retired, and every snapshot that was
                // registered at that time is gone (`free`): nobody holds or finds the pointer.
                unsafe { version.free(&self.pool) }
            }
            Garbage::Shared(value) => drop(value),
        }
    }
}

impl Drop for RetireQueue {
    /// The queue goes with its database, when no transaction and no view is left.
    fn drop(&mut self) {
        let rest = self.fresh.drain(..).map(|garbage| (Timestamp(0), garbage));
        self.waiting.extend(rest);
        self.free(None);
    }
}
