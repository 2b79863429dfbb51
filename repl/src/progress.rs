//! How far the opening of a large database is, for who waits at a terminal.
//!
//! One line on standard error, written over again and again, and taken away at the end; nothing where
//! opening takes less than a second.

use remora::{RecoveryPhase, RecoveryProgress};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// What takes less shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows each progress that it is called with.
pub(crate) fn shown() -> impl Fn(RecoveryProgress) + Send + Sync + 'static {
    let started = Instant::now();
    move |progress| {
        if started.elapsed() < PATIENCE {
            return;
        }
        let is_last = progress.phase == RecoveryPhase::Indexes && progress.done == progress.total;
        let line = if is_last {
            String::new()
        } else {
            line(progress)
        };
        // What cannot be shown is not worth an error.
        let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
    }
}

fn line(progress: RecoveryProgress) -> String {
    let RecoveryProgress { phase, done, total } = progress;
    let percent = (u128::from(done) * 100)
        .checked_div(total.into())
        .unwrap_or(100);
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    match phase {
        RecoveryPhase::Images | RecoveryPhase::Log => {
            let what = match phase {
                RecoveryPhase::Images => "loading images",
                _ => "replaying the log",
            };
            let (done, total) = (megabytes(done), megabytes(total));
            format!("{what}: {done:.0} of {total:.0} MB ({percent} %)")
        }
        RecoveryPhase::Indexes => {
            format!("building indexes: {done} of {total} entries ({percent} %)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let line = |phase, done, total| line(RecoveryProgress { phase, done, total });
        assert_eq!(
            line(RecoveryPhase::Log, 5_000_000, 20_000_000),
            "replaying the log: 5 of 20 MB (25 %)"
        );
        assert_eq!(
            line(RecoveryPhase::Indexes, 0, 0),
            "building indexes: 0 of 0 entries (100 %)"
        );
    }
}
