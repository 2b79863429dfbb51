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
    /// Rows loaded from block images.
    pub rows_loaded: u64,
    /// Frames applied.
    pub frames_replayed: u64,
    /// Bytes of a torn tail that were dropped.
    pub bytes_dropped: u64,
    /// Why they were, with file and offset.
    pub dropped_because: Option<String>,
    /// Time of loading images, replaying, building indexes.
    pub elapsed: [Duration; 3],
}
