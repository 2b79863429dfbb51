//! The time that this thread has on its core: what others do on a busy machine is not counted,
//! except for what they push out of the caches.

use std::time::Instant;

/// A running measurement.
pub(crate) struct Timer {
    start: Instant,
    core: Option<f64>,
}

impl Timer {
    /// Begins to measure.
    pub(crate) fn start() -> Self {
        let (start, core) = (Instant::now(), core_seconds());
        Self { start, core }
    }

    /// Seconds since the start; by the wall clock where the system does not say more.
    pub(crate) fn seconds(&self) -> f64 {
        match (self.core, core_seconds()) {
            (Some(before), Some(after)) => after - before,
            _ => self.start.elapsed().as_secs_f64(),
        }
    }
}

/// How long this thread has run, where the system says so.
#[cfg(target_os = "linux")]
fn core_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

#[cfg(not(target_os = "linux"))]
fn core_seconds() -> Option<f64> {
    None
}
