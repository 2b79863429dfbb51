//! Limits of an amount for each window of time: sliding window, fixed window, log.
//!
//! ```text
//!   limit 100 a minute    | window before: 80 | this one: 40   .      |
//!                                   left of it: half ---^ now
//!   sliding window        80 * 1/2 + 40 = 80 are used
//!   fixed window          40 are used
//! ```
//!
//! Windows begin at multiples of their length since 1970. A usage of another window's length is forgotten.

use super::decision::{Decision, SECONDS_MAX, shown};
use crate::error::Result;
use std::time::Duration;

/// Entries that a log may have.
pub(super) const LOG_MAX: i64 = 100_000;
/// The greatest number up to which a `f64` has all whole numbers.
pub(super) const LIMIT_MAX: i64 = 1 << 53;

/// An amount that was taken at a moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Entry {
    pub(super) at: i64,
    pub(super) amount: i64,
}

impl Entry {
    /// Whether it is less old than a window is long.
    pub(super) fn is_within(&self, window: i64, at: i64) -> bool {
        at.saturating_sub(self.at) < window
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Quota {
    pub(super) limit: i64,
    /// In microseconds.
    pub(super) window: i64,
}

impl Quota {
    /// # Errors
    /// 22023
    pub(super) fn new(limit: i64, limit_max: i64, window: i64) -> Result<Self> {
        if !(1..=limit_max).contains(&limit) {
            let error = sql_error!(INVALID_PARAMETER_VALUE, "invalid limit: {limit}");
            return Err(error.with_hint(format!("The limit is from 1 to {limit_max}.")));
        }
        if !(1..=SECONDS_MAX * 1_000_000).contains(&window) {
            let error = sql_error!(
                INVALID_PARAMETER_VALUE,
                "invalid window of a limit: {} seconds",
                window as f64 / 1e6
            );
            return Err(error.with_hint("A window is from a microsecond to a hundred years."));
        }
        Ok(Self { limit, window })
    }

    /// The number of the window that a moment is in.
    fn index(&self, at: i64) -> i64 {
        at.div_euclid(self.window)
    }

    /// Microseconds that are left of the window of a moment.
    fn left(&self, at: i64) -> i64 {
        self.window - at.rem_euclid(self.window)
    }

    /// Counts that were of the window before that of `last`, and of that, as they are of the windows of another moment.
    pub(super) fn counts_at(&self, [earlier, now]: [i64; 2], last: i64, at: i64) -> [i64; 2] {
        match self.index(at).saturating_sub(self.index(last)) {
            0 => [earlier, now],
            1 => [now, 0],
            _ => [0, 0],
        }
    }

    /// Decides on a call by the counts of the window before that of the call, and of that; returns the counts after it. A fixed
    /// window has nothing of the one before.
    pub(super) fn take_of_windows(
        &self,
        is_sliding: bool,
        [earlier, now]: [i64; 2],
        cost: i64,
        at: i64,
    ) -> (Decision, [i64; 2]) {
        let earlier = if is_sliding { earlier } else { 0 };
        let (window, left) = (i128::from(self.window), i128::from(self.left(at)));
        let used = |now: i64| i128::from(earlier) * left + i128::from(now) * window;
        let room = |now: i64| i128::from(self.limit) * window - used(now);
        let with_cost = now.saturating_add(cost);
        let allowed = room(with_cost) >= 0;
        let after = if allowed { with_cost } else { now };
        let wait = match (allowed, is_sliding) {
            (true, _) => 0,
            (false, true) => self.wait([earlier, now], cost, left),
            (false, false) => left,
        };
        let decision = Decision {
            allowed,
            remaining: shown(room(after).max(0) as f64 / window as f64),
            retry_after: Duration::from_micros(wait as u64),
        };
        (decision, [earlier, after])
    }

    /// How long until a sliding window allows a call that it refuses now: until so little is left of a window that its count, in
    /// proportion, fits beside what was taken since.
    fn wait(&self, [earlier, now]: [i64; 2], cost: i64, left: i128) -> i128 {
        let window = i128::from(self.window);
        let fits = |room: i64, count: i64| i128::from(room) * window / i128::from(count);
        let room = self.limit - cost;
        match now <= room {
            true => left - fits(room - now, earlier),
            // The amount in this window is in the way also when it is the one before.
            false => left + window - fits(room, now),
        }
    }

    /// Decides on a call by a log; returns the log after it.
    pub(super) fn take_of_log(
        &self,
        entries: &[Entry],
        cost: i64,
        at: i64,
    ) -> (Decision, Vec<Entry>) {
        let mut entries = entries.to_vec();
        entries.retain(|entry| entry.is_within(self.window, at));
        let amounts = entries.iter().map(|entry| entry.amount);
        let used = amounts.fold(0_i64, i64::saturating_add);
        let over = used.saturating_add(cost) - self.limit;
        if over > 0 {
            let decision = Decision {
                allowed: false,
                remaining: (self.limit - used).max(0) as f64,
                retry_after: Duration::from_micros(self.wait_for(over, &entries, at) as u64),
            };
            return (decision, entries);
        }
        match entries.last_mut() {
            Some(last) if last.at == at => last.amount += cost,
            _ => entries.push(Entry { at, amount: cost }),
        }
        let decision = Decision {
            allowed: true,
            remaining: -over as f64,
            retry_after: Duration::ZERO,
        };
        (decision, entries)
    }

    /// How long until so much of a log is as old as the window.
    fn wait_for(&self, mut over: i64, entries: &[Entry], at: i64) -> i64 {
        let last = entries.iter().find(|entry| {
            over -= entry.amount;
            over <= 0
        });
        last.map_or(0, |entry| self.window - (at - entry.at))
    }
}
