//! Time: where a database learns it ([`TimeSource`]), and what it makes of it ([`DatabaseTime`]).
//!
//! Commit order is another matter: timestamps are numbers of the timeline ([`crate::mvcc::Timeline`]), and nobody asks what
//! time it was for them.

mod database_time;
mod id_clock;
mod manual;
#[cfg(all(test, feature = "shuttle"))]
mod models;

pub use database_time::{DatabaseTime, TIME_MAX};
pub use id_clock::{EPOCH_MILLIS, EPOCH_REACH_MILLIS, IdClock, NODE_MAX, Snowflakes, Tick};
pub use manual::ManualTime;

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where a database learns what time it is; by itself, from the system.
///
/// A program's tests can say what time it is with [`ManualTime`].
pub trait TimeSource: Send + Sync + Debug {
    /// The time of day, which somebody may set forward and back.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// A clock that never goes back, by which it is measured how long something takes.
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// The system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTimeSource;

impl TimeSource for SystemTimeSource {}

/// Microseconds since 1970; of what is beyond all measure, the most.
pub fn micros(time: SystemTime) -> i64 {
    let micros = |distance: Duration| i64::try_from(distance.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    }
}
