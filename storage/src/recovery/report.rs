//! What recovery found and did, as data.

use crate::ids::{BlockNo, Lsn, Timestamp};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// What recovery does where it finds damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RecoveryMode {
    /// It is an error that names file and byte, and nothing is written.
    #[default]
    Strict,
    /// What verifies is kept, and each loss reported; what was there is moved out of the way, into `quarantine/`.
    Salvage,
}

impl RecoveryMode {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Salvage => "salvage",
        }
    }
}

/// What a salvage found damaged, and what is lost with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loss {
    /// Which file, in the database's directory.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// What is lost.
    pub what: Lost,
    /// What should be there, and what is.
    pub because: String,
}

/// What is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Nothing: what the file says is known from elsewhere.
    Nothing,
    /// Rows of a block of a table, as they were at the checkpoint.
    Rows {
        /// The table's name.
        table: String,
        /// Which of its blocks.
        block: BlockNo,
        /// How many rows.
        rows: u64,
    },
    /// The part of the log between two positions.
    Log(Range<Lsn>),
    /// Changes behind a loss that do not fit what is left: of rows, tables or sequences that are lost.
    Changes(u64),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, .. } = self;
        match &self.what {
            Lost::Nothing => write!(f, "nothing is lost with {file}, byte {offset}")?,
            Lost::Rows { table, block, rows } => write!(
                f,
                "{rows} rows of block {block} of {table} are lost with {file}, byte {offset}"
            )?,
            Lost::Log(Range { start, end }) => write!(
                f,
                "the log from position {start} to {end} is lost with {file}, byte {offset}"
            )?,
            Lost::Changes(count) => {
                write!(
                    f,
                    "{count} changes do not fit what is left, the first in {file}, byte {offset}"
                )?;
            }
        }
        write!(f, ": {}", self.because)
    }
}

/// What recovery found and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveryReport {
    /// Whether the directory was new.
    pub created: bool,
    /// Whether the last close was clean.
    pub clean: bool,
    /// What was done about damage.
    pub mode: RecoveryMode,
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
    /// What was damaged, and what is lost with it; nothing unless it was a salvage.
    pub losses: Vec<Loss>,
    /// Where a salvage has moved what was there; nothing where nothing was damaged.
    pub quarantine: Option<String>,
    /// Why the database was opened for reading only, for want of room on the disk. Writing goes on as soon as there
    /// is some.
    pub full: Option<String>,
    /// How far the time that the files say is ahead of the wall clock, where that is more than a minute: time goes on from
    /// there at half speed, until it is caught up.
    pub ahead: Option<Duration>,
    /// Time of loading images, replaying, building indexes.
    pub elapsed: [Duration; 3],
}

impl RecoveryReport {
    /// How long all of it took.
    pub fn total(&self) -> Duration {
        self.elapsed.iter().sum()
    }

    /// Changes of rows replayed a second; nothing where there were too few to tell.
    pub fn replay_rate(&self) -> Option<f64> {
        rate(self.changes_replayed, self.elapsed[1])
    }
}

/// Shorter times say more of the clock and of what comes before the first thing.
const TELLING: Duration = Duration::from_millis(1);

fn rate(count: u64, took: Duration) -> Option<f64> {
    (count > 0 && took >= TELLING).then(|| count as f64 / took.as_secs_f64())
}
