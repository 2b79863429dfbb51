//! What a store in a directory has besides the core.

use super::background::Background;
use super::options::StoreOptions;
use super::schedule::Schedule;
use crate::checkpoint::{CheckpointReason, CheckpointReport};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::DatabaseId;
use crate::ids::Lsn;
use crate::recovery::Recovered;
use crate::time::DatabaseTime;
use crate::wal::closing::ClosingMark;
use crate::wal::{Flusher, Log};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often it is asked whether a checkpoint is due.
const CHECKPOINT_PERIOD: Duration = Duration::from_millis(250);

/// Log, checkpoints and the right to the directory.
pub(super) struct Durable {
    disk: Arc<dyn Disk>,
    database: DatabaseId,
    timeline: u32,
    log: Arc<Log>,
    time: Arc<DatabaseTime>,
    schedule: Arc<Schedule>,
    closed_at: Option<Lsn>,
    /// The end of the log as it was opened.
    opened_at: Lsn,
    background: Mutex<Vec<Background>>,
    flusher: Mutex<Option<Flusher>>,
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl Durable {
    /// Takes over what recovery opened, and starts the background.
    pub(super) fn start(
        disk: Arc<dyn Disk>,
        mut recovered: Recovered,
        options: &StoreOptions,
    ) -> Result<Self> {
        let schedule = Schedule::new(disk.clone(), &mut recovered, options);
        let time = Arc::clone(recovered.core.time());
        let (log, database) = (recovered.log, recovered.database);
        let schedule = Arc::new(schedule);
        let (background, flusher) = match options.manual_maintenance {
            true => (Vec::new(), None),
            false => (start_background(&schedule)?, Some(Flusher::start(&log)?)),
        };
        Ok(Self {
            disk,
            database,
            timeline: recovered.timeline,
            opened_at: log.end(),
            log,
            time,
            schedule,
            closed_at: recovered.closed_at,
            background: Mutex::new(background),
            flusher: Mutex::new(flusher),
            lock: Mutex::new(Some(recovered.lock)),
        })
    }

    /// The name of the database, and the number of the directory that it lies in.
    pub(super) fn identity(&self) -> (DatabaseId, u64) {
        (self.database, self.disk.directory_number())
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(super) fn checkpoint(&self, reason: CheckpointReason) -> Result<CheckpointReport> {
        self.schedule.run_now(reason)
    }

    pub(super) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Does what the background would do now.
    pub(super) fn run_background(&self) -> Result<()> {
        let flushed = self.log.flush_if_due();
        self.schedule.run_if_due();
        flushed
    }

    /// Ends all writing in an order in which nothing comes after the closing mark. The lock goes
    /// last, and whatever happened.
    pub(super) fn close(&self) -> Result<()> {
        let _hurry = self.schedule.hurry();
        self.background.lock().clear();
        self.flusher.lock().take();
        let checkpoint = self.schedule.close();
        let closed = self.log.close().and_then(|end| match end {
            // A time that somebody was told stays past, also where nothing was committed.
            Some(end) if self.closed_at != Some(end) || self.time.told().is_some() => {
                self.mark_closed(end)
            }
            _ => Ok(()),
        });
        self.lock.lock().take();
        checkpoint.and(closed)
    }

    /// Replaces all that says another time: the log, the checkpoint and the closing mark.
    pub(super) fn keep_time(&self) -> Result<()> {
        self.checkpoint(CheckpointReason::Command)?;
        self.mark_closed(self.log.end())
    }

    fn mark_closed(&self, end: Lsn) -> Result<()> {
        let mark = ClosingMark {
            database: self.database,
            timeline: self.timeline,
            lsn: end,
            micros: self.time.kept(),
        };
        match mark.write(&*self.disk) {
            // Nothing that was asked for is missing.
            Err(Error::DiskFull { .. }) if end == self.opened_at => Ok(()),
            written => written,
        }
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("database", &self.database)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

fn start_background(schedule: &Arc<Schedule>) -> Result<Vec<Background>> {
    let schedule = schedule.clone();
    let checkpoint = move || schedule.run_if_due();
    let period = CHECKPOINT_PERIOD;
    let checkpoints = Background::every(period, "remora-checkpoint", checkpoint)?;
    Ok(vec![checkpoints])
}
