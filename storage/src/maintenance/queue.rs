//! Committed write sets on their way to the collector.
//!
//! ```text
//!   thread A --> [ set ][ set ]   A collects them with a later commit
//!   thread B --> [ set ]          B does ..
//!   thread C --> [ set ]          .. and the background thread what is left behind
//! ```
//!
//! Each thread has a list of its own, as long as threads are few. Rows that it wrote, and versions
//! that it replaced, are in the cache of its core: whoever else collects them waits for each, and
//! has that core wait when it comes back to them.
//!
//! Sets are only taken out by who has the collector, so that nobody misses one that is under way.

use crate::ids::Timestamp;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Mutex, per_thread};
use crate::write_set::{Place, WriteSet};
use std::collections::VecDeque;

/// Lists there are.
const STRIPES: usize = 8;

/// A write set that waits for the horizon.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) timestamp: Timestamp,
    pub(super) writes: WriteSet,
    /// Writes before it were collected.
    pub(super) done: Place,
    /// Entries before this one were looked at in vain ([`super::prune`]), as far as that has come.
    pub(super) looked: usize,
}

/// Committed write sets, handed over by their transactions.
#[derive(Debug, Default)]
pub struct GarbageQueue {
    stripes: [Stripe; STRIPES],
    /// Writes in all write sets that wait.
    writes: AtomicUsize,
}

/// On cache lines of its own, in pairs, because some machines fetch them so.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(Mutex<VecDeque<Waiting>>);

/// The list of this thread.
fn own_stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    per_thread! {
        static STRIPE: usize = THREADS.fetch_add(1, Relaxed) % STRIPES;
    }
    // Where the thread is ending, any list will do.
    STRIPE.try_with(|stripe| *stripe).unwrap_or_default()
}

impl GarbageQueue {
    /// Hands over a committed write set, which is taken out of its place. Called before the transaction's snapshot is
    /// given up, so that the horizon cannot pass it unnoticed.
    pub fn push(&self, timestamp: Timestamp, writes: &mut WriteSet) {
        self.writes.fetch_add(writes.len(), Relaxed);
        self.own().lock().push_back(Waiting {
            timestamp,
            writes: std::mem::take(writes),
            done: Place::default(),
            looked: 0,
        });
    }

    fn own(&self) -> &Mutex<VecDeque<Waiting>> {
        &self.stripes[own_stripe()].0
    }

    /// The oldest set of this thread, if it is at or below the horizon.
    #[inline]
    pub(super) fn pop_own(&self, horizon: Timestamp) -> Option<Waiting> {
        let mut own = self.own().lock();
        own.pop_front_if(|set| set.timestamp <= horizon)
    }

    /// Puts back what is left of it.
    pub(super) fn push_back_own(&self, set: Waiting) {
        self.own().lock().push_front(set);
    }

    /// The sets of all threads, oldest first.
    pub(super) fn take_all(&self) -> VecDeque<Waiting> {
        let mut all = VecDeque::new();
        for stripe in &self.stripes {
            all.append(&mut stripe.0.lock());
        }
        all.make_contiguous().sort_by_key(|set| set.timestamp);
        all
    }

    /// Notes that so many writes do not wait any more.
    pub(super) fn forget(&self, writes: usize) {
        self.writes.fetch_sub(writes, Relaxed);
    }

    /// How many writes wait.
    pub fn len(&self) -> usize {
        self.writes.load(Relaxed)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
