//! Limits, and what they decide.

use super::bucket::Bucket;
use super::decision::{Decision, written};
use super::quota::{Entry, LIMIT_MAX, LOG_MAX, Quota};
use crate::error::Result;
use std::time::Duration;

/// How much of something a key may take.
///
/// ```
/// use remora::limit::Limit;
/// use std::time::Duration;
///
/// let logins = Limit::fixed_window(5, Duration::from_secs(60))?;
/// let requests = Limit::token_bucket(100.0, 20.0)?;
/// assert!(logins != requests);
/// assert_eq!(Limit::token_bucket(0.0, 20.0).unwrap_err().sqlstate(), "22023");
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limit {
    pub(super) kind: Kind,
    pub(super) rule: Rule,
}

/// Kinds of limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Token,
    Leaky,
    Window,
    Fixed,
    Log,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Token,
        Self::Leaky,
        Self::Window,
        Self::Fixed,
        Self::Log,
    ];

    /// The name in SQL.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Leaky => "leaky",
            Self::Window => "window",
            Self::Fixed => "fixed",
            Self::Log => "log",
        }
    }
}

/// The numbers of a limit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Rule {
    Bucket(Bucket),
    Quota(Quota),
}

/// How much of a limit is used.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Usage {
    /// As the last call that took something has said.
    pub(super) limit: Limit,
    /// When that was, in microseconds since 1970.
    pub(super) last: i64,
    pub(super) used: Used,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Used {
    /// Of a bucket: femtoseconds until nothing is used any more.
    Level(i128),
    /// Of the window before that of `last`, and of that.
    Counts([i64; 2]),
    /// Of a log, the oldest first.
    Entries(Vec<Entry>),
}

impl Usage {
    /// Bytes beyond its own size.
    pub(super) fn heap_bytes(&self) -> u64 {
        match &self.used {
            Used::Entries(entries) => size_of_val(entries.as_slice()) as u64,
            Used::Level(_) | Used::Counts(_) => 0,
        }
    }

    /// The counts at a moment; those of windows of another length are forgotten.
    fn counts(&self, quota: &Quota, at: i64) -> [i64; 2] {
        match (&self.used, &self.limit.rule) {
            (Used::Counts(counts), Rule::Quota(other)) if other.window == quota.window => {
                quota.counts_at(*counts, self.last, at)
            }
            _ => [0; 2],
        }
    }
}

impl Limit {
    /// A token bucket: a call takes tokens, of which there are `capacity` at first and again after a pause, and
    /// `per_second` come back. So a burst of `capacity` passes, and then that rate.
    ///
    /// # Errors
    /// 22023 where a number is not above zero, `per_second` is above 1e9, or the bucket would take more than a hundred years to
    /// fill.
    pub fn token_bucket(capacity: f64, per_second: f64) -> Result<Self> {
        Self::bucket(Kind::Token, capacity, per_second)
    }

    /// A leaky bucket, as a meter: a call fills it, up to `capacity`, and `per_second` leaks out. It allows what a token
    /// bucket allows; where the capacity is raised, there is room for more at once.
    ///
    /// # Errors
    /// As for [`Limit::token_bucket`].
    pub fn leaky_bucket(capacity: f64, per_second: f64) -> Result<Self> {
        Self::bucket(Kind::Leaky, capacity, per_second)
    }

    /// A sliding window: about `limit` in any stretch of this length. It counts by fixed windows, and of the one before as much
    /// as is left of it.
    ///
    /// # Errors
    /// 22023 where the limit is not above zero or the window not from a microsecond to a hundred years.
    pub fn sliding_window(limit: i64, window: Duration) -> Result<Self> {
        Self::quota(Kind::Window, limit, micros(window))
    }

    /// A fixed window: `limit` in each window. Windows begin at multiples of their length since 1970.
    ///
    /// # Errors
    /// As for [`Limit::sliding_window`].
    pub fn fixed_window(limit: i64, window: Duration) -> Result<Self> {
        Self::quota(Kind::Fixed, limit, micros(window))
    }

    /// A sliding log: never more than `limit` in any stretch of this length. It keeps a list of all that was taken in the last one.
    ///
    /// # Errors
    /// As for [`Limit::sliding_window`]; 22023 where the limit is above 100,000.
    pub fn sliding_log(limit: i64, window: Duration) -> Result<Self> {
        Self::quota(Kind::Log, limit, micros(window))
    }

    pub(crate) fn bucket(kind: Kind, capacity: f64, per_second: f64) -> Result<Self> {
        let rule = Rule::Bucket(Bucket::new(capacity, per_second)?);
        Ok(Self { kind, rule })
    }

    pub(crate) fn quota(kind: Kind, limit: i64, window: i64) -> Result<Self> {
        let limit_max = match kind {
            Kind::Log => LOG_MAX,
            _ => LIMIT_MAX,
        };
        let rule = Rule::Quota(Quota::new(limit, limit_max, window)?);
        Ok(Self { kind, rule })
    }

    /// The kind.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Decides on a call at a moment, in microseconds since 1970, after `before` was taken. Returns also what is taken then,
    /// where that is something else.
    ///
    /// # Errors
    /// 22023 where the cost is negative or above what the limit ever allows, or no whole number where calls are counted.
    pub(crate) fn take(
        &self,
        before: Option<&Usage>,
        cost: f64,
        at: i64,
    ) -> Result<(Decision, Option<Usage>)> {
        self.check_cost(cost)?;
        let at = before.map_or(at, |before| at.max(before.last));
        let (decision, used) = self.decide(before, cost, at);
        let usage = (decision.allowed && cost > 0.0).then_some(Usage {
            limit: *self,
            last: at,
            used,
        });
        Ok((decision, usage))
    }

    fn decide(&self, before: Option<&Usage>, cost: f64, at: i64) -> (Decision, Used) {
        match &self.rule {
            Rule::Bucket(bucket) => {
                let level = before.map_or(0, |before| self.level(bucket, before, at));
                let (decision, level) = bucket.take(level, cost);
                (decision, Used::Level(level))
            }
            Rule::Quota(quota) if self.kind == Kind::Log => {
                let entries = match before.map(|before| &before.used) {
                    Some(Used::Entries(entries)) => entries.as_slice(),
                    _ => &[],
                };
                let (decision, entries) = quota.take_of_log(entries, cost as i64, at);
                (decision, Used::Entries(entries))
            }
            Rule::Quota(quota) => {
                let is_sliding = self.kind == Kind::Window;
                let counts = before.map_or([0; 2], |before| before.counts(quota, at));
                let (decision, counts) = quota.take_of_windows(is_sliding, counts, cost as i64, at);
                (decision, Used::Counts(counts))
            }
        }
    }

    /// The level of its bucket at a moment.
    fn level(&self, bucket: &Bucket, before: &Usage, at: i64) -> i128 {
        let (Used::Level(level), Rule::Bucket(other)) = (&before.used, &before.limit.rule) else {
            return 0;
        };
        let passed = i128::from(at) - i128::from(before.last);
        bucket.level(self.kind == Kind::Token, other, *level, passed)
    }

    /// The decision on a call that costs one, or all there is if that is less; what remains is as it is before it.
    pub(crate) fn peek(&self, usage: Option<&Usage>, at: i64) -> Result<Decision> {
        let (now, _) = self.take(usage, 0.0, at)?;
        let (one, _) = self.take(usage, self.cost_max().min(1.0), at)?;
        Ok(Decision {
            remaining: now.remaining,
            ..one
        })
    }

    /// The most that a call may cost.
    fn cost_max(&self) -> f64 {
        match &self.rule {
            Rule::Bucket(bucket) => bucket.capacity,
            Rule::Quota(quota) => quota.limit as f64,
        }
    }

    fn check_cost(&self, cost: f64) -> Result<()> {
        let is_counted = matches!(self.rule, Rule::Quota(_));
        if cost >= 0.0 && cost <= self.cost_max() {
            return match is_counted && cost.fract() > 0.0 {
                false => Ok(()),
                true => Err(sql_error!(
                    INVALID_PARAMETER_VALUE,
                    "a call cannot cost {} where calls are counted",
                    written(cost)
                )
                .with_hint("The cost is a whole number.")),
            };
        }
        let error = sql_error!(
            INVALID_PARAMETER_VALUE,
            "a call cannot cost {} where {} is the limit",
            written(cost),
            written(self.cost_max())
        );
        Err(error.with_hint("The cost is from 0 to the limit."))
    }
}

/// As many microseconds, as far as there are.
fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
