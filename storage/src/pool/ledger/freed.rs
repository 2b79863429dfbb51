//! Freed memory of the heap, of Rust's collections, that the allocator has not given to the
//! system. The ledger does not count it, but it is of the process.
//!
//! Reservations that are no slots of the pool stand for such memory. How much of it was given back in large pieces is
//! summed up here; where that is much, the allocator is told to give the system what it keeps:
//!
//! 1. at the end of a query, and of a statement whose functions made long values, where it is a good part of the budget
//!    ([`BUDGET_PART`]);
//! 2. by maintenance, once nothing large was freed for a [second](REST): a busy database uses the same memory again, and to
//!    have it made resident anew costs more than what is done with it;
//! 3. when the ledger goes.

use super::{Ledger, Owner};
use crate::pool::trim_heap;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Smaller pieces are used again soon.
const PIECE_BYTES: u64 = 64 << 10;
/// So much is worth a pass through the heap.
const WORTH_BYTES: u64 = 4 << 20;
/// The part of the budget that no statement leaves in the heap.
const BUDGET_PART: u64 = 8;

/// How long nothing large must have been freed for maintenance to trim.
const REST: Duration = Duration::from_secs(1);

/// Freed bytes of the heap, since it was trimmed last. Relaxed: they guard nothing.
#[derive(Debug, Default)]
pub(super) struct Freed {
    bytes: AtomicU64,
    /// `bytes` as maintenance has seen it, and since when.
    seen: Mutex<Option<(u64, Instant)>>,
}

impl Freed {
    /// Notes that a reservation was given back.
    #[inline]
    pub(super) fn note(&self, owner: Owner, bytes: u64) {
        let is_heap = matches!(
            owner,
            Owner::Query | Owner::Cache | Owner::Transaction | Owner::Catalog | Owner::Log
        );
        if bytes >= PIECE_BYTES && is_heap {
            self.bytes.fetch_add(bytes, Relaxed);
        }
    }

    fn trim(&self) {
        self.bytes.store(0, Relaxed);
        trim_heap();
    }
}

impl Drop for Freed {
    fn drop(&mut self) {
        if self.bytes.load(Relaxed) > WORTH_BYTES {
            trim_heap();
        }
    }
}

impl Ledger {
    /// To be called at the end of a statement: what it has freed goes to the system if it is much beside the budget.
    #[inline]
    pub fn trim_after_statement(&self) {
        if self.freed.bytes.load(Relaxed) > WORTH_BYTES {
            self.trim_if_much();
        }
    }

    #[cold]
    fn trim_if_much(&self) {
        if self.freed.bytes.load(Relaxed) > self.budget() / BUDGET_PART {
            self.freed.trim();
        }
    }

    /// To be called now and then: what was freed goes to the system once nothing large was freed for a while.
    pub fn trim_at_rest(&self, now: Instant) {
        let bytes = self.freed.bytes.load(Relaxed);
        if bytes <= WORTH_BYTES {
            return;
        }
        let mut seen = self.freed.seen.lock();
        match *seen {
            Some((then, since)) if then == bytes => {
                if now.duration_since(since) >= REST {
                    *seen = None;
                    self.freed.trim();
                }
            }
            _ => *seen = Some((bytes, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_large_reservations_left_is_trimmed_once_nothing_more_comes() {
        let ledger = Ledger::new(1 << 30);
        let freed = || ledger.freed.bytes.load(Relaxed);
        drop(ledger.reserve(Owner::Query, PIECE_BYTES - 1).unwrap());
        assert_eq!(freed(), 0, "small pieces do not count");
        drop(ledger.reserve(Owner::Query, WORTH_BYTES + 1).unwrap());
        ledger.trim_after_statement();
        assert_eq!(freed(), WORTH_BYTES + 1, "little beside the budget");
        let now = Instant::now();
        ledger.trim_at_rest(now);
        drop(ledger.reserve(Owner::Query, PIECE_BYTES).unwrap());
        ledger.trim_at_rest(now + REST);
        assert!(freed() > WORTH_BYTES, "not while statements go on");
        ledger.trim_at_rest(now + 2 * REST);
        assert_eq!(freed(), 0);
        drop(ledger.reserve(Owner::Query, (1 << 30) / 4).unwrap());
        ledger.trim_after_statement();
        assert_eq!(freed(), 0, "much beside the budget");
    }
}
