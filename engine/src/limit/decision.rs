//! Decisions of limits, and how their numbers are bounded and shown.

use std::time::Duration;

/// The answer of a limit to a call.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the call may go on: its cost was taken.
    pub allowed: bool,
    /// How much may be taken now, after this call.
    pub remaining: f64,
    /// How long until the call would be allowed, if nothing else is taken meanwhile; zero if it was.
    pub retry_after: Duration,
}

/// A number in a message: not with hundreds of digits.
pub(super) fn written(number: f64) -> String {
    match number.abs() {
        1e-6..1e15 | 0.0 => number.to_string(),
        _ => format!("{number:e}"),
    }
}

/// Longest time that a limit may look back or ahead: a hundred years.
pub(super) const SECONDS_MAX: i64 = 100 * 366 * 24 * 3600;

/// A number as it is shown: without what arithmetic leaves behind the sixth place.
pub(super) fn shown(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}
