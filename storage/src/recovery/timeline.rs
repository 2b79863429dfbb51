//! An older checkpoint becomes the current one, and a new history begins with it.
//!
//! ```text
//!   timeline 1   [ seg 7 ]   [ seg 8 ][ seg 9 ]
//!                5           6                 |
//!                |                             | positions and segments go on, timestamps go back
//!   timeline 2   +---------------------------->[ seg 10 ..
//! ```
//!
//! 1. Read the checkpoint as opening would, to see that it is whole.
//! 2. Make a segment of a timeline that never was, behind everything that was ever logged.
//! 3. Install a manifest that names the checkpoint's tables and images, and that segment. The manifest
//!    that it replaces is kept, and so are all others: the next checkpoints forget them.
//! 4. Write a closing mark, for nothing is missing.
//!
//! Invariants
//! - No two histories have a timeline, a segment or a position in common: frames, closing marks and
//!   segments of the one never pass for those of the other.
//! - A segment whose timeline is later than the manifest's holds no frame.
//!
//! If we crash: before 3 the old manifest is there, and perhaps the segment, which the next opening
//! removes; in 3 see [`crate::checkpoint::kept`]; after 3 a mark of the old timeline, which is no mark of the
//! new one.

use super::Contents;
use super::directory::{self, Directory};
use super::progress::{Progress, RecoveryPhase};
use super::restore;
use super::scan::{Scan, Until, is_unmade};
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::checkpoint::{CheckpointInfo, CheckpointReason, kept};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::{DatabaseId, ROOT};
use crate::ids::{Lsn, Timestamp};
use crate::pool::Pool;
use crate::time::{DatabaseTime, micros};
use crate::transaction::Core;
use crate::wal::closing::{self, ClosingMark};
use crate::wal::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::wal::{SegmentReader, create_segment};
use std::sync::Arc;

/// What becomes of what was committed after the newest checkpoint, when an older one is restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Newer {
    /// It is in a checkpoint of its own, and stays until that is forgotten.
    #[default]
    Keep,
    /// It is given up; needed where it is damaged.
    Abandon,
}

/// What restoring a checkpoint did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestoreReport {
    /// The checkpoint that was restored.
    pub from: u64,
    /// What it is called as the current one.
    pub number: u64,
    /// The history that begins with it.
    pub timeline: u32,
    /// Everything committed up to here is in it.
    pub timestamp: Timestamp,
    /// Rows in it.
    pub rows: u64,
    /// The checkpoint that holds everything that was there before; nothing where what followed on the
    /// newest one was given up.
    pub before: Option<u64>,
}

/// Makes the checkpoint of that number the current one. Nothing must have been logged since the current
/// one, unless it is to be abandoned.
///
/// # Errors
/// `NotADatabase`, `Locked`, `UndefinedCheckpoint`; `Corrupt` where the checkpoint cannot be read;
/// `OutOfMemory` where it does not fit into the pool; `Io`, `DiskFull`. What was current is current still,
/// unless the very last step failed.
pub fn rewind(
    disk: &dyn Disk,
    number: u64,
    newer: Newer,
    pool: Arc<Pool>,
) -> Result<RestoreReport> {
    if directory::inspect(disk)? == Directory::New {
        return Err(Error::NotADatabase {
            path: ROOT.into(),
            reason: "it is empty".to_owned(),
        });
    }
    let _lock = disk.lock(directory::LOCK)?;
    let before = match newer {
        Newer::Keep => Some(check_that_nothing_follows(disk)?),
        Newer::Abandon => None,
    };
    let (path, checkpoint, database) = kept::find(disk, number)?;
    let core = Core::recovering(pool, DatabaseTime::default(), true);
    let progress = Progress::begin(None, RecoveryPhase::Images, checkpoint.bytes());
    let contents = Contents {
        disk,
        path: &path,
        manifest: &checkpoint,
        database,
        closed_at: None,
    };
    let rows = restore::manifest(&contents, &core, &progress, None)?;
    drop(core);

    let mut past = Past::read(disk)?;
    past.remove_leftovers(disk)?;
    // Rows that have expired stay so.
    let time = past.time.max(micros(disk.now()));
    let header = past.beginning(database)?;
    let manifest = Manifest {
        timeline: header.timeline,
        lsn: header.first,
        segment: header.number,
        info: Some(CheckpointInfo {
            number: kept::next_number(disk)?,
            micros: time,
            reason: CheckpointReason::Restore,
            rows,
            bytes: checkpoint.bytes(),
            restored_from: Some(number),
        }),
        ..checkpoint
    };
    create_segment(disk, &header)?;
    kept::install_manifest(disk, &manifest, database)?;
    let mark = ClosingMark {
        database,
        timeline: header.timeline,
        lsn: header.first,
        micros: time,
    };
    mark.write(disk)?;
    Ok(RestoreReport {
        from: number,
        number: manifest.number(),
        timeline: header.timeline,
        timestamp: manifest.timestamp,
        rows,
        before,
    })
}

/// The number of the current checkpoint, in which everything must be.
fn check_that_nothing_follows(disk: &dyn Disk) -> Result<u64> {
    let (current, database) = Manifest::read(disk, MANIFEST)?;
    let closed_at = closing::closed_at(disk, database, current.timeline)?;
    let end = Scan::open(disk, database, &current, closed_at, Until::End)?.run(|_| Ok(()))?;
    if end.end != current.lsn || end.tail.is_some() {
        // Whoever called has had all of it put into a checkpoint: someone else was here meanwhile.
        return Err(Error::Locked { path: ROOT.into() });
    }
    Ok(current.number())
}

/// All that was ever logged, as far as it can be read.
pub(super) struct Past {
    /// Of manifests, of the closing mark, and of segments that are not left over.
    highest: Highest,
    /// The latest history, be it one that was to begin and never did.
    timeline: u32,
    /// The last segment, be it one that such a history has left behind the log.
    segment: u64,
    /// The latest time, in microseconds since 1970, that the current manifest and the closing mark say.
    time: i64,
}

impl Past {
    /// Looks at what is there, whole or not. Nothing is written.
    pub(super) fn read(disk: &dyn Disk) -> Result<Self> {
        let (mut named, mut time) = (Highest::default(), 0);
        for path in [vec![MANIFEST.to_owned()], kept::paths(disk)?].concat() {
            if let Ok((manifest, _)) = Manifest::read(disk, &path) {
                named.raise(manifest.segment, manifest.lsn.0, manifest.timeline);
                if path == MANIFEST {
                    time = manifest.info.map_or(0, |info| info.micros);
                }
            }
        }
        if let Ok(Some(mark)) = ClosingMark::read(disk) {
            named.raise(0, mark.lsn.0, mark.timeline);
            time = time.max(mark.micros);
        }
        let mut past = Self {
            highest: named,
            timeline: named.timeline,
            segment: named.segment,
            time,
        };
        for number in segments(disk)? {
            // No segment has more frames than bytes, and one whose header is damaged begins where the
            // one before it ends, at most.
            let length = disk.open(&segment::path(number))?.len()?;
            let frames = length.saturating_sub(SEGMENT_HEADER_LEN as u64);
            let is_left_over = number > named.segment && is_unmade(disk, number, named.timeline)?;
            let header = SegmentReader::open(disk, number).map(|reader| *reader.header());
            let begun = header.as_ref().map_or(0, |header| header.timeline);
            past.timeline = past.timeline.max(begun);
            past.segment = past.segment.max(number);
            if !is_left_over {
                let first = header.map_or(past.highest.end, |header| header.first.0);
                let end = first.saturating_add(frames);
                past.highest.raise(number, end, begun);
            }
        }
        Ok(past)
    }

    /// The latest history that anything belongs to.
    pub(super) fn latest(&self) -> u32 {
        self.highest.timeline
    }

    /// Removes what others that were to begin have left behind the log. Whoever fails from here on leaves a log
    /// without gaps.
    fn remove_leftovers(&mut self, disk: &dyn Disk) -> Result<()> {
        for number in segments(disk)? {
            if number > self.highest.segment {
                disk.remove(&segment::path(number))?;
            }
        }
        self.segment = self.highest.segment;
        Ok(())
    }

    /// The segment with which a history begins that follows on all of it.
    pub(super) fn beginning(&self, database: DatabaseId) -> Result<SegmentHeader> {
        let timeline = self.timeline.checked_add(1).ok_or(Error::LimitExceeded {
            what: "the number of timelines",
            found: u64::from(self.timeline) + 1,
            limit: u32::MAX.into(),
        })?;
        Ok(SegmentHeader {
            database,
            number: self.segment.saturating_add(1),
            first: Lsn(self.highest.end),
            timeline,
        })
    }
}

/// The highest that there is of each.
#[derive(Clone, Copy, Default)]
struct Highest {
    segment: u64,
    end: u64,
    timeline: u32,
}

impl Highest {
    fn raise(&mut self, segment: u64, end: u64, timeline: u32) {
        self.segment = self.segment.max(segment);
        self.end = self.end.max(end);
        self.timeline = self.timeline.max(timeline);
    }
}

/// The numbers of all segments, in order.
fn segments(disk: &dyn Disk) -> Result<Vec<u64>> {
    let names = disk.list(segment::FOLDER)?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| segment::number_of(name))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}
