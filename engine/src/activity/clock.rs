//! The time at which transactions begin, for those who ask later.
//!
//! Every transaction that changes something notes it, and hardly any is ever asked: so it is read from
//! the clock that the system moves forward by itself every few milliseconds, which takes as long as
//! reading a few words of memory.

/// Microseconds since 1970 UTC, up to some milliseconds ago.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn about_now() -> i64 {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::RealtimeCoarse);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

/// Microseconds since 1970 UTC.
#[cfg(not(target_os = "linux"))]
pub(crate) fn about_now() -> i64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
