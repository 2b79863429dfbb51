//! Where the log stands, as data, and the measuring of syncs.

use super::condition::LogCondition;
use crate::ids::{Lsn, Timestamp};
use std::time::{Duration, Instant};

/// Where the log stands. What is committed and not durable is *at risk*: a crash now could take it back.
#[derive(Clone, Debug)]
pub struct LogStatus {
    /// The last commit, and where its frame ends.
    pub committed: (Timestamp, Lsn),
    /// The last commit that is known to be durable, and how far the log is.
    pub durable: (Timestamp, Lsn),
    /// How long the oldest commit at risk has been so.
    pub oldest: Option<Duration>,
    /// The longest that a commit has been at risk since the database was opened.
    pub longest: Duration,
    /// How often the log was made durable since then.
    pub syncs: u64,
    /// How long that takes, as it went lately: rather too much than too little.
    pub sync_time: Duration,
    /// How long a commit that nobody waits for may be at risk; `None` where nobody sees to it.
    pub loss_window: Option<Duration>,
    /// Whether the log takes frames. Where it has failed, what is at risk will not become durable.
    pub condition: LogCondition,
}

impl LogStatus {
    /// Commits at risk: each takes the next timestamp.
    pub fn transactions_at_risk(&self) -> u64 {
        self.committed.0.0.saturating_sub(self.durable.0.0)
    }

    /// Bytes of the log at risk.
    pub fn bytes_at_risk(&self) -> u64 {
        self.committed.1.0 - self.durable.1.0
    }
}

/// How long batches take, and how long their commits waited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    batches: u64,
    sync_time: Duration,
    longest: Duration,
}

impl Meter {
    /// A batch is durable now: its writing began at `began`, its first commit came at `since`.
    pub(super) fn note(&mut self, began: Instant, since: Option<Instant>, now: Instant) {
        // The greatest of late, so that one quick sync among slow ones promises nothing.
        let forgotten = self.sync_time - self.sync_time / 8;
        self.sync_time = now.saturating_duration_since(began).max(forgotten);
        self.batches += 1;
        if let Some(since) = since {
            self.longest = self.longest.max(now.saturating_duration_since(since));
        }
    }

    pub(super) fn batches(&self) -> u64 {
        self.batches
    }

    pub(super) fn sync_time(&self) -> Duration {
        self.sync_time
    }

    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// How long the first commit of a batch may wait for others. Half of the window is kept for a sync that
    /// takes longer than the last ones.
    pub(super) fn patience(&self, window: Duration) -> Duration {
        (window / 2).saturating_sub(self.sync_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_the_medium_the_sooner_it_is_written_to() {
        let window = Duration::from_millis(100);
        let mut meter = Meter::default();
        assert_eq!(meter.patience(window), window / 2);
        let now = Instant::now() + window;
        let ago = |millis| now - Duration::from_millis(millis);
        meter.note(ago(30), Some(ago(70)), now);
        assert!(meter.patience(window) <= Duration::from_millis(20));
        assert!(meter.longest() >= Duration::from_millis(70));
        // One that is quick is not believed at once.
        meter.note(ago(0), None, now);
        assert!(meter.sync_time() >= Duration::from_millis(26));
        meter.note(ago(50), None, now);
        assert_eq!(meter.patience(window), Duration::ZERO);
        for _ in 0..100 {
            meter.note(ago(0), None, now);
        }
        assert!(meter.patience(window) > Duration::from_millis(45));
        assert_eq!(meter.batches(), 103);
    }
}
