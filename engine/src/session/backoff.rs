//! How long a statement that lost a write conflict waits before it tries again.
//!
//! The pause doubles from try to try and is drawn at random below its limit, so that rivals that
//! met once do not meet again in step. After the last try the conflict is the caller's.

use crate::activity::Interrupt;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Tries after the first.
const RETRIES_MAX: u32 = 40;
/// Below this the first pause is drawn.
const PAUSE_FIRST: Duration = Duration::from_micros(8);
/// Above this no pause is drawn.
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// Longer pauses are interrupted to look whether somebody wants it to end.
const SLICE: Duration = Duration::from_millis(1);

/// The pauses of one statement.
#[derive(Default)]
pub(super) struct Backoff {
    retries: u32,
}

impl Backoff {
    /// Pauses and returns true, or returns false when it is time to give up.
    pub(super) fn pause(&mut self, interrupt: &Interrupt) -> bool {
        if self.retries == RETRIES_MAX || interrupt.is_set() {
            return false;
        }
        let limit = PAUSE_MAX.min(PAUSE_FIRST * (1 << self.retries.min(16)));
        self.retries += 1;
        // A fresh RandomState is seeded differently each time: randomness enough for a pause.
        let random = RandomState::new().hash_one(self.retries);
        let nanos = random % (limit.as_nanos() as u64).max(1);
        // Sleeping is coarse (50 µs and more): the shortest pauses only give the processor away.
        if self.retries <= 3 {
            std::thread::yield_now();
        } else {
            sleep(Duration::from_nanos(nanos), interrupt);
        }
        true
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
        let mut backoff = Backoff {
            retries: RETRIES_MAX - 1,
        };
        assert!(backoff.pause(&calm));
        assert!(!backoff.pause(&calm));
        assert!(!Backoff::default().pause(&asked));
    }
}
