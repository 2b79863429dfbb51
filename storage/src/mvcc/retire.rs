//! What was unlinked and waits until nobody can reach it any more.

use super::epoch::Grace;
use super::protected::Retirable;
use super::version::VersionPointer;
use crate::pool::{Owner, Pool, Reservation};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Bytes of the queue that are not accounted for.
const FREE_BYTES: usize = 64 << 10;

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

/// Garbage in order of unlinking. What was handed over together waits for one grace period, and its list goes with it.
#[derive(Debug)]
pub struct RetireQueue {
    pool: Arc<Pool>,
    /// For which no grace period has begun yet.
    fresh: Vec<Garbage>,
    waiting: VecDeque<(Grace, Vec<Garbage>)>,
    /// How many wait for one.
    in_grace: usize,
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
            in_grace: 0,
            memory: None,
        }
    }

    /// Takes over what was unlinked. It waits at least until [`Self::begin_grace`] is called.
    pub fn retire(&mut self, garbage: impl Into<Garbage>) {
        self.fresh.push(garbage.into());
    }

    /// How many wait for no grace period yet.
    pub fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// Begins a grace period for what was handed over until now: operations that begin from here on do not find it.
    pub fn begin_grace(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let fresh = std::mem::take(&mut self.fresh);
        self.in_grace += fresh.len();
        self.waiting.push_back((Grace::begin(), fresh));
        self.account();
    }

    /// Has the ledger know how long the queue is. What was unlinked must be kept in any case: where
    /// even the emergency reserve is used up, this is not accounted for until there is room.
    fn account(&mut self) {
        let bytes = self.in_grace * size_of::<Garbage>();
        let bytes = if bytes > FREE_BYTES { bytes as u64 } else { 0 };
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
        self.in_grace + self.fresh.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees what no operation can reach: all whose grace period is over.
    pub fn free(&mut self) {
        let before = self.in_grace;
        while let Some((_, garbage)) = self.waiting.pop_front_if(|(grace, _)| grace.is_over()) {
            self.in_grace -= garbage.len();
            self.release_all(garbage);
        }
        if self.in_grace < before {
            self.account();
        }
    }

    fn release_all(&self, garbage: Vec<Garbage>) {
        let each = garbage.into_iter();
        each.for_each(|garbage| self.release(garbage));
    }

    fn release(&self, garbage: Garbage) {
        match garbage {
            Garbage::Version(version) => {
                // SAFETY: it was unlinked before it was retired, and every operation that was under
                // way at that time is over (`free`): nobody holds or finds the pointer.
                unsafe { version.free(&self.pool) }
            }
            Garbage::Shared(value) => drop(value),
        }
    }
}

impl Drop for RetireQueue {
    /// The queue goes with its database, when no transaction and no view is left.
    fn drop(&mut self) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        waiting.for_each(|(_, garbage)| self.release_all(garbage));
        let fresh = std::mem::take(&mut self.fresh);
        self.release_all(fresh);
    }
}
