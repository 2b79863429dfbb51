//! Token bucket and leaky bucket. Both keep one number: how long it takes until nothing is used any more, the *level*. A token
//! bucket has as many tokens less than its capacity as flow back in that time.
//!
//! ```text
//!   capacity 5 at 1 per second
//!   level    0 s   5 tokens     a call of cost 1 adds 1 s; allowed if the level stays within 5 s
//!            3 s   2 tokens
//!            5 s   none         the next is allowed after 1 s
//! ```
//!
//! Times are counted in femtoseconds, so that a token is a whole number of them at any rate that makes sense. The level of `n`
//! tokens is `n` times that, without rounding.

use super::decision::{Decision, SECONDS_MAX, shown, written};
use crate::error::Result;
use std::time::Duration;

const FEMTOS_PER_SECOND: f64 = 1e15;
const FEMTOS_PER_MICRO: i128 = 1_000_000_000;
/// The greatest level of any bucket, in femtoseconds.
pub(super) const LEVEL_MAX: i128 = SECONDS_MAX as i128 * 1_000_000_000_000_000;
const PER_SECOND_MAX: f64 = 1e9;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Bucket {
    pub(super) capacity: f64,
    pub(super) per_second: f64,
    /// Femtoseconds until one has flowed.
    unit: i128,
}

impl Bucket {
    /// # Errors
    /// 22023
    pub(super) fn new(capacity: f64, per_second: f64) -> Result<Self> {
        let invalid = |what: &str, number: f64, hint: &str| {
            let number = written(number);
            let error = sql_error!(
                INVALID_PARAMETER_VALUE,
                "invalid {what} of a limit: {number}"
            );
            error.with_hint(hint.to_owned())
        };
        if !(per_second > 0.0 && per_second <= PER_SECOND_MAX) {
            let hint = "The rate is above 0 and at most 1e9 a second.";
            return Err(invalid("rate", per_second, hint));
        }
        let seconds = capacity / per_second;
        if !(capacity > 0.0 && seconds <= SECONDS_MAX as f64) {
            let hint = "The capacity is above 0, and comes back within a hundred years.";
            return Err(invalid("capacity", capacity, hint));
        }
        Ok(Self {
            capacity,
            per_second,
            unit: (FEMTOS_PER_SECOND / per_second) as i128,
        })
    }

    /// How long an amount takes to flow, in femtoseconds.
    fn span(&self, amount: f64) -> i128 {
        let whole = amount.trunc();
        whole as i128 * self.unit + ((amount - whole) * self.unit as f64) as i128
    }

    /// The amount that flows in so many femtoseconds.
    fn amount(&self, span: i128) -> f64 {
        (span / self.unit) as f64 + (span % self.unit) as f64 / self.unit as f64
    }

    /// The level of another bucket after some microseconds, in this one: either its tokens stay, or what has filled it.
    pub(super) fn level(
        &self,
        keeps_tokens: bool,
        other: &Self,
        level: i128,
        passed: i128,
    ) -> i128 {
        let level = (level - passed * FEMTOS_PER_MICRO).max(0);
        if other == self {
            return level;
        }
        let used = other.amount(level);
        self.span(match keeps_tokens {
            true => self.capacity - (other.capacity - used).clamp(0.0, self.capacity),
            false => used,
        })
    }

    /// Decides on a call; returns the level after it.
    pub(super) fn take(&self, level: i128, cost: f64) -> (Decision, i128) {
        let capacity = self.span(self.capacity);
        let wanted = level + self.span(cost);
        let (allowed, after) = match wanted <= capacity {
            true => (true, wanted),
            false => (false, level),
        };
        let wait = (wanted - capacity).max(0);
        let decision = Decision {
            allowed,
            remaining: shown(self.amount((capacity - after).max(0))),
            retry_after: Duration::from_micros(micros(wait) as u64),
        };
        (decision, after)
    }
}

/// A level in microseconds, rounded up.
pub(super) fn micros(level: i128) -> i64 {
    let micros = (level + FEMTOS_PER_MICRO - 1) / FEMTOS_PER_MICRO;
    i64::try_from(micros).unwrap_or(i64::MAX)
}
