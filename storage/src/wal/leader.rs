//! Group commit: one waiter writes and syncs for all.
//!
//! A waiter whose frame is not durable becomes the leader if there is none, and takes all that is queued; the
//! others sleep until it is done. A leader waits a little for those who are about to come ([`super::crowd`]).
//! The leader tells all of them in which condition it has found the log ([`super::condition`]).
//!
//! Locks, in order: `progress`, then `queue`. The writer's is taken without `progress`.

use super::condition::LogCondition;
use super::crowd::Crowd;
use super::log::Log;
use super::queue::{FlusherState, Queue};
use super::status::Meter;
use super::writer::{Entry, WriteFailure};
use crate::error::{Error, Result};
use crate::ids::{Lsn, Timestamp};
use parking_lot::MutexGuard;
use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the flusher of a full log waits until it tries again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How far the log is, and who is at it.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) durable: Lsn,
    leading: bool,
    pub(super) condition: LogCondition,
    pub(super) meter: Meter,
    crowd: Crowd,
}

impl Progress {
    /// The progress of a log that is durable up to there.
    pub(super) fn new(durable: Lsn, condition: LogCondition) -> Self {
        Self {
            durable,
            leading: false,
            condition,
            meter: Meter::default(),
            crowd: Crowd::default(),
        }
    }
}

/// The end of an attempt to write what was queued.
struct Written {
    /// The end of what is durable.
    end: Lsn,
    /// The timestamp of the last commit that became durable, if one did.
    timestamp: Option<Timestamp>,
    failure: Option<WriteFailure>,
}

/// A function that is called whenever more commits have become durable; without one, leaders look at one word.
#[derive(Default)]
pub(super) struct DurableListener(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for DurableListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableListener")
    }
}

/// Dropped where the leader panics: those who wait for it must not wait for ever.
struct Unwinding<'l>(&'l Log);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        let mut progress = self.0.progress.lock();
        progress.leading = false;
        let cause = "the thread that wrote it panicked";
        self.0.fail(&mut progress, cause.to_owned());
        self.0.progressed.notify_all();
    }
}

impl Log {
    /// Returns once everything before `lsn` is durable; `lsn` is not beyond [`Self::end`].
    ///
    /// # Errors
    /// `OutcomeUnknown` where the log failed before that was known, or has no room for it now.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        #[cfg(any(test, feature = "sabotage"))]
        if crate::sabotage::is_made(crate::sabotage::Mistake::AcknowledgeBeforeLog) {
            return Ok(());
        }
        let condition = self.wait(lsn);
        condition.cause().map_or(Ok(()), |cause| {
            Err(Error::OutcomeUnknown {
                lsn,
                cause,
                is_queued: matches!(condition, LogCondition::Full(_)),
            })
        })
    }

    /// Waits until everything before `lsn` is durable, and returns `Open`; or the condition that is in the way,
    /// after an attempt.
    fn wait(&self, lsn: Lsn) -> LogCondition {
        let mut progress = self.progress.lock();
        let mut has_tried = false;
        loop {
            if progress.durable >= lsn {
                return LogCondition::Open;
            }
            match &progress.condition {
                LogCondition::Failed(_) => return progress.condition.clone(),
                LogCondition::Full(_) if has_tried => return progress.condition.clone(),
                _ => {}
            }
            has_tried = true;
            if progress.leading {
                if progress.crowd.join() {
                    self.gathered.notify_one();
                }
                self.progressed.wait(&mut progress);
            } else {
                self.lead(&mut progress);
            }
        }
    }

    /// Returns once every commit up to `timestamp` is durable; for readers, who have nothing at
    /// stake.
    ///
    /// # Errors
    /// `SnapshotNotDurable` where it is not, and the log is full or has failed: a snapshot that is taken then is.
    pub fn wait_durable_timestamp(&self, timestamp: Timestamp) -> Result<()> {
        if self.durable_timestamp() >= timestamp {
            return Ok(());
        }
        let condition = self.wait(self.end());
        condition
            .cause()
            .map_or(Ok(()), |cause| Err(Error::SnapshotNotDurable { cause }))
    }

    /// Checks that what a snapshot of `timestamp` shows may be shown, by who does not wait until it is durable.
    ///
    /// # Errors
    /// `SnapshotNotDurable` as for [`Self::wait_durable_timestamp`].
    pub fn check_shown(&self, timestamp: Timestamp) -> Result<()> {
        if !self.clock.is_durable_only() || self.durable_timestamp() >= timestamp {
            return Ok(());
        }
        let cause = self.condition().cause();
        cause.map_or(Ok(()), |cause| Err(Error::SnapshotNotDurable { cause }))
    }

    /// Returns once everything appended so far is durable.
    ///
    /// # Errors
    /// `LogFailed`, `DiskFull`.
    pub fn flush(&self) -> Result<()> {
        self.wait_written(self.end())
    }

    /// As [`Self::wait_durable`], for those who have nothing at stake.
    ///
    /// # Errors
    /// `LogFailed`, `DiskFull`.
    pub fn wait_written(&self, lsn: Lsn) -> Result<()> {
        self.wait(lsn).refusal(0).map_or(Ok(()), Err)
    }

    /// Has everything queued so far written, rotations too.
    pub(super) fn drain(&self) -> Result<()> {
        let mut progress = self.progress.lock();
        while progress.leading {
            self.progressed.wait(&mut progress);
        }
        if !matches!(progress.condition, LogCondition::Failed(_)) {
            self.lead(&mut progress);
        }
        progress.condition.refusal(0).map_or(Ok(()), Err)
    }

    /// Tries to write where the medium was full, unless somebody is at it; returns the condition then.
    pub(super) fn retry(&self) -> LogCondition {
        let mut progress = self.progress.lock();
        if progress.leading {
            while progress.leading {
                self.progressed.wait(&mut progress);
            }
        } else if matches!(progress.condition, LogCondition::Full(_)) {
            self.lead(&mut progress);
        }
        progress.condition.clone()
    }

    /// Writes what is queued, as the leader. The lock is open meanwhile.
    fn lead(&self, progress: &mut MutexGuard<'_, Progress>) {
        progress.leading = true;
        self.gather(progress);
        let durable = progress.durable;
        let began = self.disk.instant();
        let written = MutexGuard::unlocked(progress, || {
            let unwinding = Unwinding(self);
            let written = self.write_queued(durable);
            std::mem::forget(unwinding);
            written
        });
        progress.leading = false;
        progress.durable = written.end;
        match written.failure {
            None => self.note_open(progress, written.timestamp, began),
            Some(WriteFailure::Full(error)) => self.note_full(progress, written.timestamp, error),
            Some(WriteFailure::Final(error)) => {
                self.note_durable(&self.queue.lock(), written.timestamp);
                self.fail(progress, error.to_string());
            }
        }
        progress.crowd.wake();
        self.progressed.notify_all();
        if let Some(listener) = self.durable_listener.0.get() {
            // Waiters go on meanwhile, and another of them may lead.
            MutexGuard::unlocked(progress, listener);
        }
    }

    /// From now on `listener` is called, without a lock, after each attempt to make commits durable; the clock of the
    /// transactions says how far they are. Commits of which nothing is logged may become durable without a call, in their
    /// own commit section. The first listener stays; others are not called.
    pub fn on_durable(&self, listener: impl Fn() + Send + Sync + 'static) {
        // One there is belongs to the same database.
        let _ = self.durable_listener.0.set(Box::new(listener));
    }

    /// Waits for those who are about to come with their commits, so that one sync serves them all.
    fn gather(&self, progress: &mut MutexGuard<'_, Progress>) {
        let sync_time = progress.meter.sync_time();
        if let Some(patience) = progress.crowd.gather(sync_time) {
            let until = Instant::now() + patience;
            let crowd = |progress: &mut Progress| !progress.crowd.is_complete();
            self.gathered.wait_while_until(progress, crowd, until);
            progress.crowd.gathered();
        }
        progress.crowd.depart();
    }

    fn write_queued(&self, durable: Lsn) -> Written {
        let mut writer = self.writer.lock();
        let (mut batch, timestamp) = self.queue.lock().take();
        let (done, result) = writer.write(&mut batch, durable);
        let end = writer.durable();
        let Err(failure) = result else {
            return Written {
                end,
                timestamp: Some(timestamp),
                failure: None,
            };
        };
        let mut written = batch.drain(..done).rev();
        let timestamp = written.find_map(|entry| match entry {
            Entry::Frame { timestamp, .. } => Some(timestamp),
            Entry::Rotate => None,
        });
        drop(written);
        if matches!(failure, WriteFailure::Full(_)) {
            self.queue.lock().put_back(batch);
        }
        Written {
            end,
            timestamp,
            failure: Some(failure),
        }
    }

    /// Everything that was taken is durable.
    fn note_open(&self, progress: &mut Progress, timestamp: Option<Timestamp>, began: Instant) {
        let mut queue = self.queue.lock();
        let since = queue.note_written();
        // Commits of which nothing is logged may have come since.
        let last = queue.is_idle().then_some(queue.timestamp);
        self.note_durable(&queue, last.or(timestamp));
        progress.meter.note(began, since, self.disk.instant());
        let window = self.loss_window.unwrap_or(Duration::MAX);
        queue.is_slow = progress.meter.patience(window).is_zero();
        progress.condition = LogCondition::Open;
        self.clock.show_durable_only(false);
    }

    /// There was no room for all of it; what was not written is queued again.
    fn note_full(&self, progress: &mut Progress, timestamp: Option<Timestamp>, error: Error) {
        let mut queue = self.queue.lock();
        self.note_durable(&queue, timestamp);
        progress.condition = LogCondition::Full(error);
        self.show_durable_only();
        if queue.flusher == FlusherState::Sleeps {
            queue.flusher = FlusherState::Looks;
        }
        self.arrived.notify_all();
    }

    /// Before anybody is told of the condition.
    fn show_durable_only(&self) {
        #[cfg(any(test, feature = "sabotage"))]
        if crate::sabotage::is_made(crate::sabotage::Mistake::ShowQueued) {
            return;
        }
        self.clock.show_durable_only(true);
    }

    /// Commits up to there are durable. Under the queue's lock, so that a status is of one moment.
    fn note_durable(&self, _queue: &Queue, timestamp: Option<Timestamp>) {
        if let Some(timestamp) = timestamp {
            self.clock.set_durable(timestamp);
        }
    }

    /// From now on nothing is taken and nothing is written.
    fn fail(&self, progress: &mut Progress, cause: String) {
        if !matches!(progress.condition, LogCondition::Failed(_)) {
            progress.condition = LogCondition::Failed(cause);
        }
        self.show_durable_only();
        self.queue.lock().fail();
        // The flusher has nothing left to do.
        self.arrived.notify_all();
    }

    /// Gives up what is queued, for good.
    pub(super) fn abandon(&self, cause: &str) {
        let mut progress = self.progress.lock();
        while progress.leading {
            self.progressed.wait(&mut progress);
        }
        self.fail(&mut progress, cause.to_owned());
    }

    /// To be called by who will not wait for its commit, before it reserves room. Where what is not durable has
    /// been so for longer than the loss window, it waits until that is: so all that a crash takes
    /// had returned within one window, however slow the medium is.
    ///
    /// # Errors
    /// `LogFailed`, `DiskFull`.
    pub fn keep_window(&self) -> Result<()> {
        let Some(window) = self.loss_window else {
            return Ok(());
        };
        loop {
            // The lock is not kept while it waits.
            let late = self.queue.lock().late(window, || self.disk.instant());
            match late {
                Some(late) => self.wait_written(late)?,
                None => return Ok(()),
            }
        }
    }

    /// Sleeps until it is time to write what is queued; `false` where the flusher is to end.
    pub(super) fn sleep_until_due(&self) -> bool {
        let window = self.loss_window.unwrap_or_default();
        loop {
            let (patience, is_full) = {
                let progress = self.progress.lock();
                let is_full = matches!(progress.condition, LogCondition::Full(_));
                (progress.meter.patience(window), is_full)
            };
            let mut queue = self.queue.lock();
            if queue.failed || queue.flusher == FlusherState::Ends {
                return false;
            }
            if is_full {
                self.arrived.wait_for(&mut queue, RETRY_PAUSE);
                return !queue.failed && queue.flusher != FlusherState::Ends;
            }
            match queue.since.map(|since| since + patience) {
                None => {
                    queue.flusher = FlusherState::Sleeps;
                    self.arrived.wait(&mut queue);
                }
                Some(due) if Instant::now() < due => {
                    self.arrived.wait_until(&mut queue, due);
                }
                Some(_) => return true,
            }
        }
    }

    /// Writes what is queued, or tries whether there is room again.
    ///
    /// # Errors
    /// `LogFailed`, `DiskFull`.
    pub(super) fn write_due(&self) -> Result<()> {
        match self.clock.is_durable_only() {
            true => self.retry().refusal(0).map_or(Ok(()), Err),
            false => self.flush(),
        }
    }

    /// Does what the flusher would do now, for who does without its thread.
    ///
    /// # Errors
    /// `LogFailed`, `DiskFull`.
    pub fn flush_if_due(&self) -> Result<()> {
        let Some(window) = self.loss_window else {
            return Ok(());
        };
        let patience = self.progress.lock().meter.patience(window);
        let due = self.queue.lock().since.map(|since| since + patience);
        let is_due = due.is_some_and(|due| due <= self.disk.instant());
        match is_due || self.clock.is_durable_only() {
            true => self.write_due(),
            false => Ok(()),
        }
    }

    /// Has the flusher end.
    pub(super) fn end_flusher(&self) {
        self.queue.lock().flusher = FlusherState::Ends;
        self.arrived.notify_all();
    }
}
