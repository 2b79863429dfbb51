//! Recovery: from the files of a directory to a running database.
//!
//! 1. Look at the directory; make a database where there is none; lock it.
//! 2. Read the manifest, restore its tables, and load its images.
//! 3. Walk the log from the manifest's position and apply each frame's operations in order.
//! 4. Fill the indexes and set the clock.
//! 5. Only now, when everything was read and found whole: mark a directory that a build with fewer
//!    features wrote, cut the torn tail off, sync what the walk found, remove what no manifest needs, and
//!    open the log for writing. Where the medium has no room for that, the database is open all the same, for
//!    reading: its log is full ([`crate::wal::condition`]), and does the step before it writes a frame.
//!
//! ```text
//!   MANIFEST --> data/0000000003.img ..  rows as of C
//!       |
//!       +------> wal/0000000009.log -> 10 -> 11 | torn tail
//!                frames above C, in order      ^ cut, then new frames
//! ```
//!
//! Invariants
//! - What is restored is an unbroken prefix of the commits, and all that were known to be durable:
//!   the table in `decision` says what is a torn tail and what is damage.
//! - Damage is an error that names file and byte. Nothing has been written then.
//! - Recovering twice gives the same as once.
//!
//! If we crash: before 5 nothing was written but the lock; in 5 every step leaves what the next
//! recovery finds and finishes. It may be done several times in one process for the same reason.

mod decision;
mod directory;
mod fits;
mod images;
mod losses;
mod progress;
mod quarantine;
mod replay;
mod report;
mod restore;
mod salvage;
mod salvage_log;
mod scan;
mod timeline;
mod verify;

pub use progress::{RecoveryListener, RecoveryPhase, RecoveryProgress};
pub use report::{Loss, Lost, RecoveryMode, RecoveryReport};
pub use timeline::{Newer, RestoreReport, rewind};
pub use verify::{Damage, Verification, verify};

use crate::catalog::TableEntry;
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::checkpoint::{CheckpointReason, LastCheckpoint, sweep};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::format::{DatabaseId, FEATURES_KNOWN, PROLOGUE_LEN, ROOT, features, install, read_file};
use crate::ids::Lsn;
use crate::pool::Pool;
use crate::time::{DatabaseTime, TimeSource};
use crate::transaction::Core;
use crate::wal::segment::{self, SEGMENT_HEADER_LEN};
use crate::wal::{Log, LogStart, SegmentReader, SegmentStart, UnfinishedRecovery, closing};
use directory::Directory;
use progress::Progress;
use replay::Replay;
use scan::{LogEnd, Scan, Until};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of the log that are written again at a time.
const REWRITTEN_AT_ONCE: u64 = 1 << 20;

/// A database that was opened.
pub struct Recovered {
    /// Its state.
    pub core: Arc<Core>,
    /// Its log, open for writing; not attached to the core yet.
    pub log: Arc<Log>,
    /// Its name.
    pub database: DatabaseId,
    /// The history that is being written.
    pub timeline: u32,
    /// Where the log goes on from the last checkpoint.
    pub checkpoint_end: Lsn,
    /// What the last checkpoint has of each block.
    pub images: LastCheckpoint,
    /// Where the log was last closed.
    pub closed_at: Option<Lsn>,
    /// The right to the directory, as long as it is kept.
    pub lock: Box<dyn Send + Sync>,
    /// What was found and done.
    pub report: RecoveryReport,
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// Where its memory comes from.
    pub pool: Arc<Pool>,
    /// Whether nothing runs in the background.
    pub manual_maintenance: bool,
    /// The length beyond which a segment of the log gets no further batch.
    pub segment_bytes_max: u64,
    /// What is done about damage.
    pub mode: RecoveryMode,
    /// Who is told how far it is.
    pub listener: Option<RecoveryListener>,
    /// The name of a new database; `None` for a random one.
    pub database_id: Option<[u8; 16]>,
    /// How long a commit that nobody waits for may be at risk; `None` where nothing runs in the
    /// background.
    pub loss_window: Option<Duration>,
    /// The source of the time.
    pub time: Arc<dyn TimeSource>,
    /// Whether the wall clock is right where files are far ahead of it.
    pub accept_clock: bool,
}

impl RecoveryOptions {
    fn new_core(&self) -> Arc<Core> {
        let time = DatabaseTime::new(Arc::clone(&self.time), self.accept_clock);
        Core::recovering(Arc::clone(&self.pool), time, self.manual_maintenance)
    }
}

/// Opens or makes the database of a directory.
///
/// # Errors
/// `Locked`, `NotADatabase`, `UnsupportedFormat`, `Corrupt`, `OutOfMemory`, `Io`, `DiskFull`.
pub fn open(disk: &Arc<dyn Disk>, options: &RecoveryOptions) -> Result<Recovered> {
    let salvages = options.mode == RecoveryMode::Salvage;
    let (lock, is_new) = match take_directory(&**disk) {
        // There is a database, and no manifest.
        Err(error @ Error::Corrupt { .. }) if salvages => {
            let lock = disk.lock(directory::LOCK)?;
            return salvage::open(disk, options, lock, error);
        }
        taken => taken?,
    };
    let proved = match prove(&**disk, options, is_new) {
        Err(error @ (Error::Corrupt { .. } | Error::Io { .. })) if salvages && !is_new => {
            return salvage::open(disk, options, lock, error);
        }
        proved => proved?,
    };
    go_on(disk, options, lock, proved)
}

/// A database that was read and found whole.
struct Proved {
    manifest: Manifest,
    database: DatabaseId,
    closed_at: Option<Lsn>,
    core: Arc<Core>,
    end: LogEnd,
    images: LastCheckpoint,
    report: RecoveryReport,
}

/// Steps 2 to 4, after a database was made where there is none.
fn prove(disk: &dyn Disk, options: &RecoveryOptions, is_new: bool) -> Result<Proved> {
    let (manifest, database) = match is_new {
        true => directory::create(disk, options.database_id)?,
        false => Manifest::read(disk, MANIFEST)?,
    };
    let closed_at = closing::closed_at(disk, database, manifest.timeline)?;
    let directory = Contents {
        disk,
        path: MANIFEST,
        manifest: &manifest,
        database,
        closed_at,
    };
    let (core, end, images, report) = read(&directory, options, is_new)?;
    Ok(Proved {
        manifest,
        database,
        closed_at,
        core,
        end,
        images,
        report,
    })
}

/// Step 5; the first that writes where a database was.
fn go_on(
    disk: &Arc<dyn Disk>,
    options: &RecoveryOptions,
    lock: Box<dyn Send + Sync>,
    proved: Proved,
) -> Result<Recovered> {
    let Proved {
        manifest,
        database,
        closed_at,
        core,
        end,
        images,
        mut report,
    } = proved;
    let (timeline, checkpoint_end) = (manifest.timeline, manifest.lsn);
    let keeps_unlogged = is_unlogged_kept(&manifest, closed_at, end.end);
    let (log_end, timestamp, found) = (end.end, end.timestamp, end.segments.clone());
    let finish = finishing(Arc::clone(disk), manifest, database, end);
    let (segments, unfinished) = match finish() {
        Ok(segments) => (segments, None),
        Err(because @ Error::DiskFull { .. }) => {
            sync_found(&**disk, &found)?;
            (found, Some(because))
        }
        Err(error) => return Err(error),
    };
    report.full = unfinished.as_ref().map(Error::to_string);
    let start = LogStart {
        database,
        timeline,
        segments,
        end: log_end,
        timestamp,
        segment_bytes_max: options.segment_bytes_max,
        loss_window: options.loss_window,
        clock: Arc::clone(core.clock()),
        unfinished: unfinished.map(|because| UnfinishedRecovery {
            because,
            finish: Box::new(finish),
        }),
    };
    let log = Log::open(disk.clone(), options.pool.ledger().clone(), start)?;
    if keeps_unlogged {
        log.keep_unlogged();
    }
    Ok(Recovered {
        core,
        log: Arc::new(log),
        database,
        timeline,
        checkpoint_end,
        images,
        closed_at,
        lock,
        report,
    })
}

/// Step 5 as far as it precedes writing to the log; returns the segments that remain. It can be repeated.
fn finishing(
    disk: Arc<dyn Disk>,
    manifest: Manifest,
    database: DatabaseId,
    end: LogEnd,
) -> impl Fn() -> Result<Vec<SegmentStart>> + Send {
    move || {
        mark_features(&*disk, &manifest, database)?;
        tidy(&*disk, &manifest, database, &end)
    }
}

/// Makes durable what is about to be shown, as far as that takes no room. If it was a sync that failed before, it
/// would have to be written again, and nobody can tell.
fn sync_found(disk: &dyn Disk, segments: &[SegmentStart]) -> Result<()> {
    let last = segments.last().expect("the manifest's segment exists");
    let synced = disk
        .open(&segment::path(last.number))
        .and_then(|file| file.sync())
        .and_then(|()| disk.sync_dir(segment::FOLDER));
    match synced {
        Err(Error::DiskFull { .. }) => Ok(()),
        synced => synced,
    }
}

/// Reads the database of a directory, without its log to go on with: nothing is written. Damage is an error in
/// every mode.
///
/// # Errors
/// As for [`open`]; `NotADatabase` where the directory is empty, too.
pub fn load_copy(
    disk: &dyn Disk,
    options: &RecoveryOptions,
) -> Result<(Arc<Core>, RecoveryReport)> {
    if directory::inspect(disk)? == Directory::New {
        return Err(Error::NotADatabase {
            path: ROOT.into(),
            reason: "it is empty".to_owned(),
        });
    }
    let _lock = disk.lock(directory::LOCK)?;
    let options = RecoveryOptions {
        mode: RecoveryMode::Strict,
        ..options.clone()
    };
    let proved = prove(disk, &options, false)?;
    Ok((proved.core, proved.report))
}

/// Takes a directory for a copy: one that is missing or empty, but for what an unfinished copying has left.
///
/// # Errors
/// `NotEmpty`, `Locked`, `Io`.
pub fn take_for_copy(disk: &dyn Disk) -> Result<Box<dyn Send + Sync>> {
    directory::check_free(disk)?;
    disk.create_folder(ROOT)?;
    let lock = disk.lock(directory::LOCK)?;
    // Again, because another process may have been faster with the lock and gone since.
    directory::check_free(disk)?;
    Ok(lock)
}

/// Makes a core of what a directory holds.
fn read(
    directory: &Contents<'_>,
    options: &RecoveryOptions,
    is_new: bool,
) -> Result<(Arc<Core>, LogEnd, LastCheckpoint, RecoveryReport)> {
    let core = options.new_core();
    let mut report = RecoveryReport {
        created: is_new,
        mode: options.mode,
        ..RecoveryReport::default()
    };
    let (end, images) = load(directory, &core, options.listener.as_ref(), &mut report)?;
    report.clean = is_new || (directory.closed_at == Some(end.end) && end.tail.is_none());
    Ok((core, end, images, report))
}

/// Locks the directory, which is made where it is missing; whether it is to become a database.
fn take_directory(disk: &dyn Disk) -> Result<(Box<dyn Send + Sync>, bool)> {
    if directory::inspect(disk)? == Directory::New {
        disk.create_folder(ROOT)?;
    }
    let lock = disk.lock(directory::LOCK)?;
    // Again, because another process may have been faster with the lock and gone since.
    let is_new = directory::inspect(disk)? == Directory::New;
    Ok((lock, is_new))
}

/// What is read.
struct Contents<'d> {
    disk: &'d dyn Disk,
    /// That of the manifest.
    path: &'d str,
    manifest: &'d Manifest,
    database: DatabaseId,
    closed_at: Option<Lsn>,
}

/// Steps 2 to 4: reads everything and writes nothing.
fn load(
    directory: &Contents<'_>,
    core: &Arc<Core>,
    listener: Option<&RecoveryListener>,
    report: &mut RecoveryReport,
) -> Result<(LogEnd, LastCheckpoint)> {
    let (disk, manifest) = (directory.disk, directory.manifest);
    let started = Instant::now();
    report.checkpoint = manifest.is_checkpoint().then_some(manifest.timestamp);
    report.image_bytes = manifest.bytes();
    let progress = Progress::begin(listener, RecoveryPhase::Images, report.image_bytes);
    report.rows_loaded = restore::manifest(directory, core, &progress, None)?;
    // Before the log may say that tables have other rows.
    let catalog = core.catalog();
    let is_unlogged = |table: &&Arc<TableEntry>| table.def.unlogged;
    let logged = catalog.tables().filter(|table| !is_unlogged(table));
    let mut images = LastCheckpoint::of(manifest, logged);
    progress.end();

    let loaded = Instant::now();
    let (database, closed_at) = (directory.database, directory.closed_at);
    let scan = Scan::open(disk, database, manifest, closed_at, Until::End)?;
    let progress = Progress::begin(listener, RecoveryPhase::Log, scan.bytes());
    let mut replay = Replay::new(core)?;
    let end = scan.run(|found| {
        progress.add(found.header.length.into());
        replay.frame(&found)
    })?;
    report.frames_replayed = end.frames;
    report.changes_replayed = replay.changes;
    report.bytes_replayed = end.end.0 - manifest.lsn.0;
    report.bytes_dropped = end.tail.as_ref().map_or(0, |tail| tail.bytes);
    report.dropped_because = end.tail.as_ref().map(|tail| tail.because.clone());
    drop(replay);
    progress.end();
    if is_unlogged_kept(manifest, closed_at, end.end) {
        let progress = Progress::begin(None, RecoveryPhase::Images, 0);
        report.rows_loaded += images::load(directory, core, &progress, None, true)?;
        images.extend(manifest, catalog.tables().filter(is_unlogged));
    }

    let replayed = Instant::now();
    let progress = Progress::begin(listener, RecoveryPhase::Indexes, core.finish_rows()?);
    let gathered = |keys| progress.add(keys);
    report.index_entries = core.finish_recovery(end.timestamp, &gathered)?;
    report.ahead = core.time().begin();
    progress.end();
    report.elapsed = [loaded - started, replayed - loaded, replayed.elapsed()];
    Ok((end, images))
}

/// Whether the rows that a checkpoint has of unlogged tables are those that they had in the end (`transaction::commit`).
fn is_unlogged_kept(manifest: &Manifest, closed_at: Option<Lsn>, end: Lsn) -> bool {
    let reason = manifest.info.as_ref().map(|info| info.reason);
    let at = manifest.lsn;
    reason == Some(CheckpointReason::Close) && closed_at == Some(at) && end == at
}

/// Has builds that do not know what this one may write refuse the directory, before it is written. They
/// read the manifest first; segments that they have begun may stay as they are.
///
/// If we crash: the old manifest or the new one is there, and they say the same.
fn mark_features(disk: &dyn Disk, manifest: &Manifest, database: DatabaseId) -> Result<()> {
    let bytes = read_file(disk, MANIFEST, PROLOGUE_LEN as u64)?;
    let known = bytes.first_chunk().map(features);
    if known == Some(FEATURES_KNOWN) {
        return Ok(());
    }
    install(disk, MANIFEST, &manifest.encode(database))
}

/// Step 5: makes the files what was read from them. Returns the segments that remain.
///
/// Names come first: a process that died may have given or removed them without waiting until that was
/// durable. Nothing may be built on a manifest that could become the one before again, and nothing removed
/// that one needs which could come back.
fn tidy(
    disk: &dyn Disk,
    manifest: &Manifest,
    database: DatabaseId,
    end: &LogEnd,
) -> Result<Vec<SegmentStart>> {
    disk.sync_dir(ROOT)?;
    if quarantine::is_due(manifest) {
        quarantine::move_away(disk, manifest, database)?;
    }
    if let Some(path) = end.unmade_segment.map(segment::path)
        && disk.exists(&path)?
    {
        disk.remove(&path)?;
    }
    let last = end.segments.last().expect("the manifest's segment exists");
    let file = disk.open(&segment::path(last.number))?;
    if file.len()? > end.offset {
        file.truncate(end.offset)?;
    }
    // Frames that only the system had when the process died are shown from now on: they must not be lost
    // later. If it was a sync that failed, no sync makes them durable that does not find them written anew.
    write_again(&*file, 0..SEGMENT_HEADER_LEN as u64)?;
    write_again(&*file, end.doubtful..end.offset)?;
    file.sync()?;
    disk.sync_dir(segment::FOLDER)?;

    let Ok(kept) = sweep(disk) else {
        // A kept manifest cannot be read: who knows what it needs. Nothing is removed.
        return Ok(end.segments.clone());
    };
    let mut segments = Vec::new();
    for name in disk.list(segment::FOLDER)? {
        let Some(number) = segment::number_of(&name).filter(|n| *n < manifest.segment) else {
            continue;
        };
        if number < kept.segment {
            disk.remove(&segment::path(number))?;
        } else if let Ok(reader) = SegmentReader::open(disk, number) {
            // For a kept manifest; one that is damaged is of no use to anybody.
            let first = reader.header().first;
            segments.push(SegmentStart { number, first });
        }
    }
    segments.extend(&end.segments);
    Ok(segments)
}

/// Writes what stands in a part of a file to where it stands.
///
/// If we crash: whatever part arrived, it is what was there.
fn write_again(file: &dyn DiskFile, part: Range<u64>) -> Result<()> {
    let mut bytes = vec![0; REWRITTEN_AT_ONCE.min(part.end - part.start) as usize];
    let mut at = part.start;
    while at < part.end {
        let length = (part.end - at).min(bytes.len() as u64) as usize;
        let read = file.read_at(at, &mut bytes[..length])?;
        file.write_at(at, &bytes[..read])?;
        at += read.max(1) as u64;
    }
    Ok(())
}
