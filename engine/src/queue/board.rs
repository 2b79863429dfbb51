//! Board: the state that all handles of a queue share: waiting takers, whether the queue is closed, its terms and counts.
//!
//! ```text
//!   push    enters (refused where it is closed) .. statement .. leaves: one waiter wakes
//!   taker   reads the generation .. statement finds nothing .. waits for another generation, or for its time to look
//! ```
//!
//! A taker that waits looks itself when none has looked for [`LOOK`]: items that SQL or a transaction's commit has pushed, and
//! those that come back, wake no one. So a queue that is idle is looked at fifty times a second, however many wait. A taker
//! that finds one so wakes another, since there may be more.

use super::tally::{Event, Tally};
use super::terms::{QueueOptions, Terms};
use crate::error::Result;
use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Time between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The state that the handles of a queue share.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Whether leases of an earlier opening were ended.
    is_open: Mutex<bool>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    terms: Terms,
    tally: Tally,
    /// Changes whenever there may be something to take.
    generation: u64,
    waiting: usize,
    /// Pushes that are under way.
    pushing: usize,
    /// When a waiting taker has looked last.
    polled: Option<Instant>,
    /// When items that come back were looked for last.
    searched: Option<Instant>,
    is_closed: bool,
    /// Whether takers have stopped to wait.
    is_over: bool,
}

/// Returns whether the last look is long enough ago; then this is the last one.
fn is_time(last: &mut Option<Instant>, now: Instant) -> bool {
    let is_time = last.is_none_or(|last| last + LOOK <= now);
    if is_time {
        *last = Some(now);
    }
    is_time
}

/// A push that is under way.
#[derive(Debug)]
pub(super) struct Pushing<'b>(&'b Board);

impl Drop for Pushing<'_> {
    fn drop(&mut self) {
        self.0.state.lock().pushing -= 1;
    }
}

impl Board {
    /// Calls `f` if no handle of this opening has.
    pub(super) fn open(&self, f: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut is_open = self.is_open.lock();
        if !*is_open {
            f()?;
            *is_open = true;
        }
        Ok(())
    }

    pub(super) fn terms(&self) -> Terms {
        self.state.lock().terms
    }

    /// Changes the terms to what the options say.
    pub(super) fn change_terms(&self, options: QueueOptions) -> Result<()> {
        let terms = &mut self.state.lock().terms;
        *terms = terms.with(options)?;
        Ok(())
    }

    pub(super) fn count(&self, event: Event, times: u64) {
        let now = Instant::now();
        self.state.lock().tally.count(event, times, now);
    }

    /// Calls `f` with the counts.
    pub(super) fn with_tally<T>(&self, f: impl FnOnce(&Tally) -> T) -> T {
        f(&self.state.lock().tally)
    }

    /// Counts a push as under way until the guard is dropped; `None` where the queue is closed.
    pub(super) fn begin_push(&self) -> Option<Pushing<'_>> {
        let mut state = self.state.lock();
        if state.is_closed {
            return None;
        }
        state.pushing += 1;
        Some(Pushing(self))
    }

    /// Whether pushes are under way.
    pub(super) fn is_pushed_to(&self) -> bool {
        self.state.lock().pushing > 0
    }

    /// Wakes takers for so many items.
    pub(super) fn wake(&self, items: u64) {
        let mut state = self.state.lock();
        state.generation = state.generation.wrapping_add(1);
        match (state.waiting, items) {
            (0, _) => {}
            (_, 1) => _ = self.changed.notify_one(),
            _ => _ = self.changed.notify_all(),
        }
    }

    /// Returns whether it is time to look for items that come back, and counts that as done.
    pub(super) fn is_time_to_search(&self) -> bool {
        is_time(&mut self.state.lock().searched, Instant::now())
    }

    /// Returns the generation, for [`Board::wait`].
    pub(super) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// Waits until the generation is another than `seen`, or it is time to look; `false` where time is up or waits have ended.
    pub(super) fn wait(&self, seen: u64, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        state.waiting += 1;
        let goes_on = loop {
            let now = Instant::now();
            if state.is_over || deadline.is_some_and(|deadline| deadline <= now) {
                break false;
            }
            if state.generation != seen || is_time(&mut state.polled, now) {
                break true;
            }
            let look = state.polled.map_or(now, |last| last + LOOK);
            let until = deadline.map_or(look, |deadline| deadline.min(look));
            self.changed.wait_until(&mut state, until);
        };
        state.waiting -= 1;
        goes_on
    }

    /// Refuses pushes from now on.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
    }

    /// Ends the waits of takers, now and later.
    pub(super) fn end_waits(&self) {
        self.state.lock().is_over = true;
        self.changed.notify_all();
    }
}
