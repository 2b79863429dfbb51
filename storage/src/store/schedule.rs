//! When checkpoints are written by themselves.
//!
//! 1. When the log since the last one has reached a length.
//! 2. When to replay that log would take longer than recovery may take (`recovery_target`): the rate is
//!    what the last recovery has shown, and until one has replayed enough to tell, a rate that any machine
//!    should reach. What will be logged while the checkpoint is written counts, too: as much as was logged in
//!    the time that the last one took.
//! 3. When anything was logged and the last one is some time ago.
//! 4. When the database is closed, if that is wished, the target says so, or unlogged tables have rows to be kept.
//!
//! A checkpoint that nobody waits for is written at a limited pace ([`super::pace`]). One that fails is tried
//! again after a while that doubles each time: on a full disk each try takes the room that the log needs.

use super::options::StoreOptions;
use super::pace::{Hurry, Limit, Pace, PacedDisk};
use crate::checkpoint::{CheckpointReason, CheckpointReport, Checkpointer};
use crate::disk::Disk;
use crate::error::Result;
use crate::ids::Lsn;
use crate::recovery::{Recovered, RecoveryReport};
use crate::wal::Log;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of log that a second replays where nothing is known: updates of a column, of which a core replays
/// well above half a million a second, take some 64 bytes each.
const REPLAY_RATE_ASSUMED: f64 = (32 << 20) as f64;
/// A recovery that has replayed less says little of the rate.
const REPLAY_BYTES_TELLING: u64 = 1 << 20;

/// How long after a checkpoint that failed the next one is tried, at first and at most.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What can be changed while the database is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CheckpointSettings {
    /// How long after a checkpoint the next one comes, if anything is logged; `None` for never.
    pub timeout: Option<Duration>,
    /// How long the replay of the log may take after a crash; `None` for any time.
    pub recovery_target: Option<Duration>,
}

/// Writes the checkpoints of a store in a directory.
#[derive(Debug)]
pub struct Schedule {
    checkpointer: Checkpointer,
    log: Arc<Log>,
    pace: Arc<Pace>,
    /// Bytes of log after which one is due.
    log_bytes: u64,
    /// Bytes a second for those that nobody waits for.
    rate: Option<u64>,
    on_close: bool,
    /// Bytes of log that a second replays.
    replay_rate: f64,
    initial: CheckpointSettings,
    settings: Mutex<CheckpointSettings>,
    last: Mutex<Last>,
    /// After a checkpoint that failed.
    retry: Mutex<Option<Retry>>,
}

/// When a checkpoint that failed may be tried again, and how long that is after it failed.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Instant,
    pause: Duration,
}

impl Retry {
    fn after(failed: Option<Self>) -> Self {
        let pause = failed.map_or(RETRY_MIN, |before| RETRY_MAX.min(before.pause * 2));
        Self {
            at: Instant::now() + pause,
            pause,
        }
    }
}

/// The last checkpoint.
#[derive(Clone, Copy, Debug)]
struct Last {
    ended: Instant,
    took: Duration,
}

impl Schedule {
    /// Takes over what recovery opened.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        recovered: &mut Recovered,
        options: &StoreOptions,
    ) -> Self {
        let log = &recovered.log;
        let pace = Arc::new(Pace::new(Arc::clone(log)));
        let paced: Arc<dyn Disk> = Arc::new(PacedDisk::new(disk, Arc::clone(&pace)));
        let initial = options.checkpoint_settings();
        Self {
            checkpointer: Checkpointer::new(
                paced,
                recovered.database,
                Arc::clone(&recovered.core),
                Arc::clone(log),
                recovered.checkpoint_end,
                options.keep_checkpoints(),
                std::mem::take(&mut recovered.images),
            ),
            log: Arc::clone(log),
            pace,
            log_bytes: options.checkpoint_log_bytes(),
            rate: options.checkpoint_rate(),
            on_close: options.checkpoint_on_close,
            replay_rate: replay_rate(&recovered.report),
            initial,
            settings: Mutex::new(initial),
            last: Mutex::new(Last {
                ended: Instant::now(),
                took: Duration::ZERO,
            }),
            retry: Mutex::new(None),
        }
    }

    /// What is set.
    pub fn settings(&self) -> CheckpointSettings {
        *self.settings.lock()
    }

    /// What was set when the store was opened.
    pub fn initial_settings(&self) -> CheckpointSettings {
        self.initial
    }

    /// Sets something else from now on.
    pub fn set(&self, settings: CheckpointSettings) {
        *self.settings.lock() = settings;
    }

    /// How long the replay of so many bytes of log is likely to take.
    pub fn replay_time(&self, bytes: u64) -> Duration {
        Duration::try_from_secs_f64(bytes as f64 / self.replay_rate).unwrap_or(Duration::MAX)
    }

    /// Bytes logged since the last checkpoint; nothing while one is being written.
    pub fn logged_since(&self) -> u64 {
        self.checkpointer.logged_since()
    }

    /// Writes a checkpoint for somebody who waits for it.
    pub(super) fn run_now(&self, reason: CheckpointReason) -> Result<CheckpointReport> {
        let _hurry = self.pace.hurry();
        self.run(reason)
    }

    /// Writes a checkpoint if one is due.
    pub(super) fn run_if_due(&self) {
        let logged = self.logged_since();
        let Some(reason) = self.due(logged) else {
            return;
        };
        let failed = *self.retry.lock();
        if failed.is_some_and(|failed| Instant::now() < failed.at) {
            return;
        }
        self.pace.limit(self.rate.map(|rate| Limit {
            rate,
            until: self.patience(logged),
        }));
        if self.run(reason).is_err() {
            // Without it the log only grows on.
            *self.retry.lock() = Some(Retry::after(failed));
        }
        self.pace.limit(None);
    }

    /// Nobody shall wait for a slow checkpoint from now on.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.pace.hurry()
    }

    /// Writes a last checkpoint where there shall be one, and refuses further ones.
    pub(super) fn close(&self) -> Result<()> {
        let logged = self.logged_since();
        let is_due = logged > 0 && (self.on_close || self.is_beyond_target(logged));
        let written = match is_due || self.checkpointer.has_unlogged_to_keep() {
            true => self.run(CheckpointReason::Close).map(drop),
            false => Ok(()),
        };
        self.checkpointer.close();
        written
    }

    fn run(&self, reason: CheckpointReason) -> Result<CheckpointReport> {
        let began = Instant::now();
        let report = self.checkpointer.run(reason)?;
        *self.last.lock() = Last {
            ended: Instant::now(),
            took: began.elapsed(),
        };
        *self.retry.lock() = None;
        Ok(report)
    }

    /// Why a checkpoint is due, if it is, with so many bytes logged since the last one.
    fn due(&self, logged: u64) -> Option<CheckpointReason> {
        let last = *self.last.lock();
        let since = last.ended.elapsed();
        // What comes while the checkpoint is written has to be replayed, too, if we crash then.
        let share = last.took.as_secs_f64() / since.as_secs_f64().max(f64::MIN_POSITIVE);
        let meanwhile = (logged as f64 * share.min(1.0)) as u64;
        let is_old = |timeout| since >= timeout;
        if logged == 0 {
            None
        } else if logged >= self.log_bytes {
            Some(CheckpointReason::Size)
        } else if self.is_beyond_target(logged + meanwhile) {
            Some(CheckpointReason::RecoveryTarget)
        } else {
            let timeout = self.settings().timeout;
            timeout
                .is_some_and(is_old)
                .then_some(CheckpointReason::Time)
        }
    }

    fn is_beyond_target(&self, bytes: u64) -> bool {
        let target = self.settings().recovery_target;
        target.is_some_and(|target| self.replay_time(bytes) >= target)
    }

    /// Where the log's end makes a checkpoint urgent that begins with so many bytes logged: as many again as
    /// make one due, or as recovery may replay.
    fn patience(&self, logged: u64) -> Lsn {
        let last = self.log.end().0.saturating_sub(logged);
        let target = self.settings().recovery_target.map(|target| {
            // Saturates.
            (target.as_secs_f64() * self.replay_rate) as u64
        });
        let most = self.log_bytes.saturating_mul(2);
        Lsn(last.saturating_add(target.map_or(most, |bytes| bytes.min(most))))
    }
}

fn replay_rate(report: &RecoveryReport) -> f64 {
    let took = report.elapsed[1].as_secs_f64();
    match report.bytes_replayed >= REPLAY_BYTES_TELLING && took > 0.0 {
        true => report.bytes_replayed as f64 / took,
        false => REPLAY_RATE_ASSUMED,
    }
}
