//! Limiters: rate limits of a program, which commit by themselves.

use super::Database;
use crate::activity::Interrupt;
use crate::error::Result;
use crate::limit::{Decision, Limit, decide_alone, forget_alone, usage_now};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A rate limit for each of many keys, made by [`Database::limiter`]; any number of threads may use it.
///
/// A call is a transaction of its own, which is run again where it loses a conflict. It does not wait until it is durable: a crash
/// may forget the last ones. As part of another transaction, call `rate_limit` in SQL: both count the same.
///
/// ```
/// use remora::limit::Limit;
///
/// let db = remora::Database::in_memory()?;
/// let limiter = db.limiter(Limit::token_bucket(2.0, 0.5)?);
/// assert!(limiter.take("ann", 1.0)?.allowed);
/// assert!(limiter.take("ann", 1.0)?.allowed);
/// let refused = limiter.take("ann", 1.0)?;
/// assert!(!refused.allowed && refused.retry_after.as_secs_f64() > 1.0);
/// assert!(limiter.take("bob", 1.0)?.allowed);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Limiter {
    db: Database,
    limit: Limit,
}

impl Database {
    /// A rate limit for each of many keys.
    pub fn limiter(&self, limit: Limit) -> Limiter {
        Limiter {
            db: self.clone(),
            limit,
        }
    }
}

impl Limiter {
    /// Takes a cost from what a key may take, if that is allowed. A cost of zero only asks.
    ///
    /// # Errors
    /// 22023 where the cost is negative or above the limit; 53200 and 53100 where there is no room; 40001 where others had the key
    /// for half a second.
    pub fn take(&self, key: &str, cost: f64) -> Result<Decision> {
        self.decide(key, cost, None)
    }

    /// As [`Limiter::take`], at a time that is given: for tests, and to run through what has been.
    ///
    /// ```
    /// use remora::limit::Limit;
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// let db = remora::Database::in_memory()?;
    /// let limiter = db.limiter(Limit::fixed_window(1, Duration::from_secs(60))?);
    /// assert!(limiter.take_at("ann", 1.0, UNIX_EPOCH)?.allowed);
    /// let later = UNIX_EPOCH + Duration::from_secs(45);
    /// assert_eq!(limiter.take_at("ann", 1.0, later)?.retry_after, Duration::from_secs(15));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Limiter::take`].
    pub fn take_at(&self, key: &str, cost: f64, at: SystemTime) -> Result<Decision> {
        self.decide(key, cost, Some(micros(at)))
    }

    fn decide(&self, key: &str, cost: f64, at: Option<i64>) -> Result<Decision> {
        let core = self.db.store.core();
        let caller = (None, &Interrupt::default());
        let decision = decide_alone(core, (key, &self.limit, cost), at, caller)?;
        let sweeper = &self.db.sessions.sweeper;
        sweeper.follow(&core.catalog(), &self.db.store)?;
        Ok(decision)
    }

    /// The answer to a call that costs one, of which nothing is taken.
    ///
    /// # Errors
    /// Those of reading.
    pub fn peek(&self, key: &str) -> Result<Decision> {
        let core = self.db.store.core();
        let now = core.time().tell();
        let usage = usage_now(core, key, self.limit.kind())?;
        self.limit.peek(usage.as_ref(), now)
    }

    /// Forgets what a key has taken; returns whether it had taken anything.
    ///
    /// # Errors
    /// 40001 where others had the key for half a second.
    pub fn reset(&self, key: &str) -> Result<bool> {
        forget_alone(self.db.store.core(), key, self.limit.kind())
    }
}

/// Microseconds since 1970.
fn micros(at: SystemTime) -> i64 {
    let length = |length: Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => length(after),
        Err(before) => -length(before.duration()),
    }
}
