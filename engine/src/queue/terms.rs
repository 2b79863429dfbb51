//! Options of a queue and of a push.

use crate::error::Result;
use crate::kv::interval;
use remora_storage::Interval;
use std::time::Duration;

/// How long a lease lasts, if nothing is said.
const LEASE: Duration = Duration::from_secs(30);

/// Options of a queue, for [`Database::queue_with`](crate::Database::queue_with). They hold for all handles of the queue, from now on
/// and as long as the database is open; an option that is not given stays as it is.
///
/// ```
/// use remora::queue::QueueOptions;
/// use std::time::Duration;
///
/// let db = remora::Database::in_memory()?;
/// let minute = Duration::from_secs(60);
/// let jobs = db.queue_with("jobs", QueueOptions::new().max_len(1000).lease(minute).max_attempts(5))?;
/// assert!(jobs.is_empty()?);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueOptions {
    pub(super) max_len: Option<u64>,
    lease: Option<Duration>,
    max_attempts: Option<u32>,
}

impl QueueOptions {
    /// As the queue is: without a bound, with leases of 30 seconds and any number of attempts, if nothing was said before.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most items that may be in the queue, leased ones too. A push to a full one waits. The table keeps it.
    #[must_use]
    pub fn max_len(mut self, items: u64) -> Self {
        self.max_len = Some(items);
        self
    }

    /// How long a lease lasts.
    #[must_use]
    pub fn lease(mut self, length: Duration) -> Self {
        self.lease = Some(length);
        self
    }

    /// How often an item is leased before it goes to the dead letters.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }
}

/// Terms of the leases of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) lease: Interval,
    /// The greatest number where there is no bound.
    pub(super) attempts_max: i32,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            lease: Interval {
                months: 0,
                days: 0,
                micros: LEASE.as_micros() as i64,
            },
            attempts_max: i32::MAX,
        }
    }
}

impl Terms {
    /// These terms with what the options say.
    ///
    /// # Errors
    /// 22023 where a lease lasts no time or there are no attempts, 22008 where a lease is too long.
    pub(super) fn with(mut self, options: QueueOptions) -> Result<Self> {
        if let Some(length) = options.lease {
            self.lease = lease_length(length)?;
        }
        if let Some(attempts) = options.max_attempts {
            if attempts == 0 {
                return Err(sql_error!(
                    INVALID_PARAMETER_VALUE,
                    "an item needs at least one attempt"
                )
                .with_hint("Give max_attempts a number above zero."));
            }
            self.attempts_max = i32::try_from(attempts).unwrap_or(i32::MAX);
        }
        Ok(self)
    }

    /// Whether an item has had all its attempts.
    pub(super) fn are_used_up(self, attempts: i32) -> bool {
        attempts >= self.attempts_max
    }
}

/// The length of a lease as an interval.
pub(super) fn lease_length(length: Duration) -> Result<Interval> {
    if length.is_zero() {
        return Err(
            sql_error!(INVALID_PARAMETER_VALUE, "a lease cannot last no time")
                .with_hint("Give a time above zero."),
        );
    }
    interval(length)
}

/// A delay as an interval; `None` for none.
pub(super) fn delay(length: Duration) -> Result<Option<Interval>> {
    (!length.is_zero()).then(|| interval(length)).transpose()
}

/// How an item is pushed, for [`Queue::push_with`](super::Queue::push_with): at priority 0, ready at once, and waiting for room as long as
/// it takes, if nothing is said.
///
/// ```
/// use remora::queue::{Push, QueueOptions};
/// use std::time::Duration;
/// # let db = remora::Database::in_memory()?;
/// let jobs = db.queue_with("jobs", QueueOptions::new().max_len(2))?;
/// jobs.push("sweep the floor")?;
/// jobs.push_with("put out the fire", Push::new().priority(9))?;
/// let briefly = Push::new().timeout(Duration::from_millis(1));
/// assert_eq!(jobs.push_with("one too many", briefly).unwrap_err().sqlstate(), "55P03");
/// assert_eq!(jobs.pop::<String>()?.as_deref(), Some("put out the fire"));
///
/// jobs.push_with("not yet", Push::new().priority(9).delay(Duration::from_secs(60)))?;
/// assert_eq!(jobs.pop::<String>()?.as_deref(), Some("sweep the floor"));
/// assert_eq!(jobs.pop::<String>()?, None);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Push {
    pub(super) priority: i32,
    pub(super) delay: Duration,
    pub(super) timeout: Option<Duration>,
}

impl Push {
    /// At priority 0, ready at once, waiting for room as long as it takes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Items of a greater priority are taken first.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// The item is ready after this time.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How long to wait for room in a full queue: whole milliseconds, at least one.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}
