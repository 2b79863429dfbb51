//! How long whoever lost a conflict waits before he tries again.
//!
//! Nobody waits for a row (unless he was told to: `session::execute::lock_wait`): who comes second has lost, and what
//! he did is undone before he is told. So there is always one who goes on, and there is no deadlock; what is
//! left to avoid is that losers take the processor from the winner.
//!
//! 1. At first only the processor is offered to others: most rivals are done in microseconds.
//! 2. A rival that was put to sleep with the row in his hands must be woken, and that a loser who is
//!    ready to run all the time does not do. From the third try on he sleeps, so that the system has
//!    nobody else to run.
//! 3. The sleep doubles from try to try and is drawn at random below its limit, so that those who met
//!    once do not meet again in step.
//!
//! One policy for statements of their own and for [`Connection::transact`](crate::Connection::transact).

use super::Interrupt;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Tries that only offer the processor to others.
const YIELDS: u32 = 2;
/// Below this the first sleep is drawn.
const SLEEP_FIRST: Duration = Duration::from_micros(64);
/// Above this no sleep is drawn.
const SLEEP_MAX: Duration = Duration::from_millis(10);
/// Longer sleeps are interrupted to look whether somebody wants it to end.
const SLICE: Duration = Duration::from_millis(1);

/// How often, and for how long, a transaction that loses conflicts is tried; the conflict is the
/// caller's after that. 100 times if nothing else is said, which is half a second of pauses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryLimit {
    attempts: u32,
    time: Option<Duration>,
}

impl Default for RetryLimit {
    fn default() -> Self {
        Self {
            attempts: 100,
            time: None,
        }
    }
}

impl RetryLimit {
    /// The limit if nothing else is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tries in all, the first included.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// No try begins later than this after the first has failed.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }
}

/// The pauses of one statement or transaction.
#[derive(Default)]
pub(crate) struct Backoff {
    limit: RetryLimit,
    failed: u32,
    /// When no try begins any more.
    end: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(limit: RetryLimit) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Pauses and returns true, or returns false when it is time to give up.
    pub(crate) fn pause(&mut self, interrupt: &Interrupt) -> bool {
        self.failed += 1;
        if self.failed >= self.limit.attempts || interrupt.is_set() {
            return false;
        }
        if self.failed <= YIELDS && self.limit.time.is_none() {
            std::thread::yield_now();
            return true;
        }
        let mut pause = self.draw();
        if let Some(time) = self.limit.time {
            let now = Instant::now();
            let end = *self.end.get_or_insert_with(|| now + time);
            if now >= end {
                return false;
            }
            pause = pause.min(end - now);
        }
        sleep(pause, interrupt);
        true
    }

    fn draw(&self) -> Duration {
        let doubled = self.failed.saturating_sub(YIELDS + 1).min(16);
        let limit = SLEEP_MAX.min(SLEEP_FIRST * (1 << doubled));
        // A fresh RandomState is seeded differently each time: randomness enough for a pause.
        let random = RandomState::new().hash_one(self.failed);
        Duration::from_nanos(random % (limit.as_nanos() as u64).max(1))
    }
}

fn sleep(pause: Duration, interrupt: &Interrupt) {
    let end = Instant::now() + pause;
    while let Some(left) = end.checked_duration_since(Instant::now())
        && !interrupt.is_set()
    {
        std::thread::sleep(left.min(SLICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Request;

    #[test]
    fn it_gives_up_after_the_last_try_and_when_interrupted() {
        let calm = Interrupt::default();
        let asked = Interrupt::default();
        asked.request(Request::Cancel);
        assert!(!Backoff::default().pause(&asked));
        let mut backoff = Backoff::new(RetryLimit::new().attempts(3));
        assert!(backoff.pause(&calm));
        assert!(backoff.pause(&calm));
        assert!(!backoff.pause(&calm));
        assert!(!Backoff::new(RetryLimit::new().attempts(1)).pause(&calm));
        assert!(!Backoff::new(RetryLimit::new().attempts(0)).pause(&calm));
    }

    #[test]
    fn it_gives_up_when_time_is_over() {
        let limit = RetryLimit::new().time(Duration::from_millis(20));
        let mut backoff = Backoff::new(limit.attempts(u32::MAX));
        let start = Instant::now();
        let calm = Interrupt::default();
        while backoff.pause(&calm) {}
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(!Backoff::new(limit.time(Duration::ZERO)).pause(&calm));
    }

    #[test]
    fn a_sleep_is_never_long() {
        for failed in [1, 3, 10, 1000, u32::MAX] {
            let backoff = Backoff {
                failed,
                ..Backoff::default()
            };
            assert!(backoff.draw() < SLEEP_MAX);
        }
    }
}
