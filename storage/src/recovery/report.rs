//! What recovery found and did, as data.

use crate::ids::Timestamp;
use std::time::Duration;

/// What recovery found and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveryReport {
    /// Whether the directory was new.
    pub created: bool,
    /// Whether the last close was clean.
    pub clean: bool,
    /// Timestamp of the checkpoint that was loaded.
    pub checkpoint: Option<Timestamp>,
    /// Bytes of its images.
    pub image_bytes: u64,
    /// Rows loaded from block images.
    pub rows_loaded: u64,
    /// Frames applied.
    pub frames_replayed: u64,
    /// Rows that came, changed or went in them.
    pub changes_replayed: u64,
    /// Bytes of the log that they take.
    pub bytes_replayed: u64,
    /// Entries put into indexes.
    pub index_entries: u64,
    /// Bytes of a torn tail that were dropped.
    pub bytes_dropped: u64,
    /// Why they were, with file and offset.
    pub dropped_because: Option<String>,
    /// Time of loading images, replaying, building indexes.
    pub elapsed: [Duration; 3],
}

impl RecoveryReport {
    /// How long all of it took.
    pub fn total(&self) -> Duration {
        self.elapsed.iter().sum()
    }

    /// Bytes of images loaded a second; nothing where it was too little to tell.
    pub fn image_rate(&self) -> Option<f64> {
        rate(self.image_bytes, self.elapsed[0])
    }

    /// Changes of rows replayed a second; nothing where there were too few to tell.
    pub fn replay_rate(&self) -> Option<f64> {
        rate(self.changes_replayed, self.elapsed[1])
    }

    /// Index entries made a second; nothing where there were too few to tell.
    pub fn index_rate(&self) -> Option<f64> {
        rate(self.index_entries, self.elapsed[2])
    }
}

/// Shorter times say more of the clock and of what comes before the first thing.
const TELLING: Duration = Duration::from_millis(1);

fn rate(count: u64, took: Duration) -> Option<f64> {
    (count > 0 && took >= TELLING).then(|| count as f64 / took.as_secs_f64())
}
