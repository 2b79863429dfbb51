//! A clock that tests turn by hand.

use super::TimeSource;
use crate::sync::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A clock for tests of what happens with time: it stands still until it is told otherwise. Clones are one clock.
///
/// ```
/// use remora_storage::time::{ManualTime, TimeSource};
/// use std::time::{Duration, UNIX_EPOCH};
/// let time = ManualTime::at(UNIX_EPOCH);
/// time.advance(Duration::from_secs(60));
/// assert_eq!(time.now(), UNIX_EPOCH + Duration::from_secs(60));
/// // As if somebody had set the wall clock: no time has passed.
/// let before = time.instant();
/// time.set(UNIX_EPOCH);
/// assert_eq!((time.now(), time.instant()), (UNIX_EPOCH, before));
/// ```
#[derive(Clone, Debug)]
pub struct ManualTime {
    hands: Arc<Mutex<Hands>>,
}

#[derive(Debug)]
struct Hands {
    wall: SystemTime,
    steady: Instant,
}

impl ManualTime {
    /// A clock that shows this time.
    pub fn at(wall: SystemTime) -> Self {
        let steady = Instant::now();
        Self {
            hands: Arc::new(Mutex::new(Hands { wall, steady })),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let mut hands = self.hands.lock();
        hands.wall += time;
        hands.steady += time;
    }

    /// Sets the time of day, as somebody does who sets the system's clock.
    pub fn set(&self, wall: SystemTime) {
        self.hands.lock().wall = wall;
    }
}

impl TimeSource for ManualTime {
    fn now(&self) -> SystemTime {
        self.hands.lock().wall
    }

    fn instant(&self) -> Instant {
        self.hands.lock().steady
    }
}
