//! Salvage: of a damaged directory everything is kept that verifies.
//!
//! 1. Read all of it as leniently as can be, and note each loss:
//!    - where an older checkpoint that is kept is whole, and the log from there on, nothing is lost;
//!    - else, where `MANIFEST` is damaged, the newest kept one that is not takes its place;
//!    - rows of images that do not verify are lost, others are not;
//!    - of the log every whole frame is applied. Behind a gap that is as much of it as fits: a new row needs
//!      its table, a change or a deletion needs its row.
//! 2. Write what was kept as a checkpoint of its own, with which a new history begins: a new segment, a data file
//!    that refers to no other, and, by rename, `MANIFEST`.
//! 3. Move everything else into `quarantine/` and the number of the new history.
//!
//! ```text
//!   MANIFEST   wal/..7 ..8   data/..3 ..4        MANIFEST   wal/..9   data/..5
//!      |          |  X          X  |      --->
//!      +----------+----------------+             quarantine/2/MANIFEST.6 CLOSED wal/.. data/..
//! ```
//!
//! What is kept is not a moment of the past where something is lost: later commits are there, earlier ones
//! may not be. Rows that unique keys, checks or foreign keys would not allow together can be among it.
//!
//! Invariants
//! - Nothing is written before all that can be read was read. Until the new manifest is installed nothing of what was
//!   there is changed or moved, and only new names are given.
//! - No byte of what was there is removed.
//!
//! If we crash: before the new manifest is installed everything is as it was, beside a segment and a data file
//! that nobody names, and salvage begins anew; after it there is the whole new state, and the next opening, in
//! whatever mode, goes on with 3 (`quarantine`).

use super::losses::Losses;
use super::progress::Progress;
use super::replay::{Misfits, Replay};
use super::report::Lost;
use super::salvage_log::LogSalvage;
use super::timeline::Past;
use super::{Contents, Recovered, RecoveryOptions, RecoveryPhase, RecoveryReport};
use super::{quarantine, restore};
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::checkpoint::{CheckpointReason, LastCheckpoint, begin_history, image, kept};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::DatabaseId;
use crate::ids::{Lsn, Timestamp};
use crate::transaction::Core;
use crate::wal::segment::{self, SegmentHeader};
use crate::wal::{Log, LogStart, SegmentReader, SegmentStart, closing, create_segment};
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Instant;

/// Opens what can be kept of a directory that cannot be opened otherwise, for that reason.
pub(super) fn open(
    disk: &Arc<dyn Disk>,
    options: &RecoveryOptions,
    lock: Box<dyn Send + Sync>,
    because: Error,
) -> Result<Recovered> {
    let salvage = Salvage { disk, options };
    let losses = Losses::default();
    let manifests = salvage.whole_manifests(&losses)?;
    let past = Past::read(&**disk)?;
    let found = match salvage.load_whole(&manifests, &past)? {
        Some(found) => {
            losses.note(because, Lost::Nothing)?;
            found
        }
        None => salvage.load_damaged(&manifests, &losses, because)?,
    };
    let header = past.beginning(found.database)?;
    let manifest = salvage.write(&found.core, &header)?;
    let log = salvage.log(&header, &found)?;
    let quarantine = quarantine::move_away(&**disk, &manifest, found.database)?;
    Ok(Recovered {
        core: found.core,
        log: Arc::new(log),
        database: found.database,
        timeline: header.timeline,
        checkpoint_end: header.first,
        images: LastCheckpoint::default(),
        closed_at: None,
        lock,
        report: RecoveryReport {
            mode: options.mode,
            losses: losses.into_list(),
            quarantine: Some(quarantine),
            ..found.report
        },
    })
}

/// A salvage on its way.
struct Salvage<'a> {
    disk: &'a Arc<dyn Disk>,
    options: &'a RecoveryOptions,
}

/// A manifest that can be read.
struct Whole {
    path: String,
    manifest: Manifest,
    database: DatabaseId,
}

impl Whole {
    fn contents<'d>(&'d self, disk: &'d dyn Disk, closed_at: Option<Lsn>) -> Contents<'d> {
        Contents {
            disk,
            path: &self.path,
            manifest: &self.manifest,
            database: self.database,
            closed_at,
        }
    }
}

/// What can be kept.
struct Kept {
    core: Arc<Core>,
    database: DatabaseId,
    /// That of the last commit.
    timestamp: Timestamp,
    report: RecoveryReport,
}

impl Salvage<'_> {
    /// The manifests that can be read, the newest first; that of a new database where there is none, and the
    /// log is there from its beginning.
    fn whole_manifests(&self, losses: &Losses) -> Result<Vec<Whole>> {
        let disk = &**self.disk;
        let mut whole = Vec::new();
        for path in [vec![MANIFEST.to_owned()], kept::paths(disk)?].concat() {
            if !disk.exists(&path)? {
                continue;
            }
            match Manifest::read(disk, &path) {
                Ok((manifest, database)) => whole.push(Whole {
                    path,
                    manifest,
                    database,
                }),
                Err(error) => losses.note(error, Lost::Nothing)?,
            }
        }
        if whole.is_empty()
            && let Ok(first) = SegmentReader::open(disk, 1)
            && first.header().first == Lsn(0)
        {
            let header = first.header();
            whole.push(Whole {
                path: MANIFEST.to_owned(),
                manifest: Manifest::new_database(header.timeline),
                database: header.database,
            });
        }
        // Of those that say the same the current one comes first.
        whole.sort_by_key(|one| Reverse((one.manifest.timeline, one.manifest.lsn)));
        Ok(whole)
    }

    /// Step 1 where nothing is lost: a checkpoint that is whole, with a log that is whole from there on to
    /// the end of the latest history.
    fn load_whole(&self, manifests: &[Whole], past: &Past) -> Result<Option<Kept>> {
        let disk = &**self.disk;
        let of_now = |one: &&Whole| one.manifest.timeline == past.latest();
        // However damaged the rest is, the newest manifest bears witness to how far the log went, and that there
        // is more of it from there on.
        let Some(newest) = manifests.iter().find(of_now) else {
            return Ok(None);
        };
        if SegmentReader::open(disk, newest.manifest.segment).is_err() {
            return Ok(None);
        }
        for one in manifests.iter().filter(of_now) {
            let database = one.database;
            let closed_at = closing::closed_at(disk, database, one.manifest.timeline);
            let closed_at = closed_at.unwrap_or_default();
            let contents = one.contents(disk, closed_at.max(Some(newest.manifest.lsn)));
            let (core, mut report) = (self.options.new_core(), RecoveryReport::default());
            let listener = self.options.listener.as_ref();
            match super::load(&contents, &core, listener, &mut report) {
                Ok((end, _)) => {
                    return Ok(Some(Kept {
                        core,
                        database,
                        timestamp: end.timestamp,
                        report,
                    }));
                }
                Err(Error::Corrupt { .. } | Error::Io { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Step 1 where something is: the newest manifest whose definitions fit each other.
    fn load_damaged(
        &self,
        manifests: &[Whole],
        losses: &Losses,
        mut because: Error,
    ) -> Result<Kept> {
        for one in manifests {
            let attempt = Losses::default();
            match self.load(one, &attempt) {
                Ok(kept) => {
                    losses.append(attempt);
                    return Ok(kept);
                }
                Err(error @ Error::Corrupt { .. }) => {
                    losses.note(error.clone(), Lost::Nothing)?;
                    because = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(because)
    }

    fn load(&self, one: &Whole, losses: &Losses) -> Result<Kept> {
        let (manifest, database) = (&one.manifest, one.database);
        let (disk, listener) = (&**self.disk, self.options.listener.as_ref());
        let (core, mut report) = (self.options.new_core(), RecoveryReport::default());
        let started = Instant::now();
        report.checkpoint = manifest.is_checkpoint().then_some(manifest.timestamp);
        report.image_bytes = manifest.bytes();
        let progress = Progress::begin(listener, RecoveryPhase::Images, report.image_bytes);
        let contents = one.contents(disk, None);
        report.rows_loaded = restore::manifest(&contents, &core, &progress, Some(losses))?;
        progress.end();

        let loaded = Instant::now();
        let timestamp = replay(disk, &core, (manifest, database), losses, &mut report)?;

        let replayed = Instant::now();
        let progress = Progress::begin(listener, RecoveryPhase::Indexes, core.finish_rows()?);
        let gathered = |keys| progress.add(keys);
        report.index_entries = core.finish_recovery(timestamp, &gathered)?;
        report.ahead = core.time().begin();
        progress.end();
        report.elapsed = [loaded - started, replayed - loaded, replayed.elapsed()];
        Ok(Kept {
            core,
            database,
            timestamp,
            report,
        })
    }

    /// Step 2.
    fn write(&self, core: &Arc<Core>, header: &SegmentHeader) -> Result<Manifest> {
        let disk = &**self.disk;
        // They are missing where somebody has taken them away.
        disk.create_folder(segment::FOLDER)?;
        disk.create_folder(image::FOLDER)?;
        create_segment(disk, header)?;
        begin_history(disk, core, header, CheckpointReason::Salvage)
    }

    /// The log of the new history.
    fn log(&self, header: &SegmentHeader, kept: &Kept) -> Result<Log> {
        let start = LogStart {
            database: header.database,
            timeline: header.timeline,
            segments: vec![SegmentStart {
                number: header.number,
                first: header.first,
            }],
            end: header.first,
            timestamp: kept.timestamp,
            segment_bytes_max: self.options.segment_bytes_max,
            loss_window: self.options.loss_window,
            clock: Arc::clone(kept.core.clock()),
            unfinished: None,
        };
        Log::open(self.disk.clone(), self.options.pool.ledger().clone(), start)
    }
}

/// Applies what is whole of the log from a manifest on; returns the timestamp of the last commit.
fn replay(
    disk: &dyn Disk,
    core: &Core,
    (manifest, database): (&Manifest, DatabaseId),
    losses: &Losses,
    report: &mut RecoveryReport,
) -> Result<Timestamp> {
    let closed_at = match closing::closed_at(disk, database, manifest.timeline) {
        Ok(closed_at) => closed_at,
        Err(error) => {
            losses.note(error, Lost::Nothing)?;
            None
        }
    };
    let mut log = LogSalvage::new(disk, database, manifest, closed_at, losses);
    let mut replay = Replay::new(core)?;
    let (mut bytes, mut misfits) = (0, Misfits::default());
    log.run(manifest.segment, |found| {
        bytes += u64::from(found.header.length);
        misfits.add(replay.frame_as_far_as_it_fits(&found)?);
        Ok(())
    })?;
    // The last transaction may have lost its end.
    let mut unfit = Misfits::default();
    replay.drop_unfit_foreign_keys(&mut unfit)?;
    misfits.add(unfit);
    if let Some(first) = misfits.first {
        losses.note(first, Lost::Changes(misfits.count))?;
    }
    report.frames_replayed = log.frames;
    report.changes_replayed = replay.changes;
    report.bytes_replayed = bytes;
    report.bytes_dropped = log.tail.as_ref().map_or(0, |tail| tail.bytes);
    report.dropped_because = log.tail.map(|tail| tail.because);
    Ok(log.timestamp)
}
