//! Epochs: when memory that was unlinked may be freed. By `crossbeam-epoch`, with its default collector.
//!
//! ```text
//!  reader      pin (a full fence) |  follows links ..                     | unpin
//!  reclaimer   unlink ..      | begins a grace period |  ..  | it is over: frees what it had unlinked
//! ```
//!
//! 1. A thread that follows links which others may unlink is *pinned*: with an operation on rows, with a look-up in an
//!    index. References end there, however long the snapshot is that they are read for. A pin within a pin is a number
//!    that is counted up and down.
//! 2. A reclaimer begins a *grace period* ([`Grace`]) when it has unlinked something: it is over once all have ended that
//!    were pinned then. Threads that are pinned later do not find what was unlinked before.
//!
//! Memory stays with whoever unlinked it, so that dropping an index frees all it had, at once: the function that is
//! deferred here, and may be called on any thread, sets a flag and nothing else.
//!
//! No pin is held during input and output, while waiting for somebody, or while memory is asked back: all that is
//! unlinked meanwhile would wait for it.

use crate::sync::{model, yield_now};
use crossbeam_epoch as crossbeam;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

/// Rounds of pinning in which a grace period is over, where no other thread is pinned: an epoch ends in each.
const ROUNDS: u32 = 3;

/// The right to follow links; what is unlinked from now on stays until the guard is gone. It stays on its thread.
pub(crate) struct Guard(crossbeam::Guard);

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

/// Announces that this thread follows links.
#[inline(always)]
pub(crate) fn pin() -> Guard {
    #[cfg(feature = "shuttle")]
    if model() != 0 {
        return Guard(modelled::pin());
    }
    Guard(crossbeam::pin())
}

/// Whether this thread follows links at the moment: then it cannot wait for all who do.
pub(crate) fn is_pinned() -> bool {
    model() == 0 && crossbeam::is_pinned()
}

/// The time until all threads have ended what they were pinned for when it began.
#[derive(Clone, Debug)]
pub struct Grace(Arc<AtomicBool>);

impl Grace {
    /// Begins one. What was unlinked before is found by nobody who is pinned from now on.
    pub fn begin() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let guard = pin();
        // Release: what the pinned threads did comes before it, as crossbeam's epochs have it, and so before whoever
        // finds the flag.
        guard.0.defer(move || flag.store(true, Release));
        guard.0.flush();
        Self(is_over)
    }

    /// Whether it is over. It ends by itself where threads go on being pinned, and is helped here where none is.
    pub fn is_over(&self) -> bool {
        let is_over = || self.0.load(Acquire);
        let helped = || {
            pin().0.flush();
            is_over()
        };
        is_over() || (0..ROUNDS).any(|_| helped())
    }

    /// Waits until it is over, as long as `goes_on`; not from within an operation, which would wait for itself. Others'
    /// operations are short; the longest is the rebuild of a block.
    pub(crate) fn wait<E>(&self, mut goes_on: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        debug_assert!(!is_pinned(), "it would wait for itself");
        while !self.is_over() {
            goes_on()?;
            yield_now();
        }
        Ok(())
    }
}

/// Waits for those who follow links when it is called: tests of one process share the epochs.
#[cfg(test)]
pub(crate) fn wait_for_others() {
    let waited: Result<(), ()> = Grace::begin().wait(|| Ok(()));
    assert_eq!(waited, Ok(()));
}

/// Pins of one run of a model. Its tasks share a thread, so each pin is a participant of its own; and when the run fails,
/// some of them never come to an end.
#[cfg(feature = "shuttle")]
mod modelled {
    use super::crossbeam::{Collector, Guard};
    use super::model;
    use crate::sync::{Fault, is_left_out};
    use std::cell::RefCell;

    thread_local! {
        static RUN: RefCell<(u64, Collector)> = RefCell::new((0, Collector::new()));
    }

    pub(super) fn pin() -> Guard {
        if is_left_out(Fault::NotPinned) {
            return Collector::new().register().pin();
        }
        RUN.with_borrow_mut(|(run, collector)| {
            if *run != model() {
                (*run, *collector) = (model(), Collector::new());
            }
            collector.register().pin()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_waits_for_those_who_are_pinned() {
        let outer = pin();
        let inner = pin();
        let grace = Grace::begin();
        assert!(!grace.is_over(), "this thread is pinned");
        drop(outer);
        assert!(is_pinned() && !grace.is_over(), "the inner guard is there");
        drop(inner);
        // Other tests of this process may be pinned, but not for ever.
        let waited: Result<(), ()> = grace.wait(|| Ok(()));
        assert_eq!(waited, Ok(()));
    }

    #[test]
    fn a_wait_ends_where_it_is_told_to() {
        let (pinned, is_pinned) = std::sync::mpsc::channel();
        let (ended, end) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            let _guard = pin();
            pinned.send(()).unwrap();
            let _ = end.recv();
        });
        is_pinned.recv().unwrap();
        let mut rounds = 0;
        let waited = Grace::begin().wait(|| {
            rounds += 1;
            if rounds < 10 { Ok(()) } else { Err("enough") }
        });
        assert_eq!((waited, rounds), (Err("enough"), 10));
        drop(ended);
        other.join().unwrap();
    }
}
