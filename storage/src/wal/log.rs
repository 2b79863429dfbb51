//! The log's front: the queue, group commit, and waiting.
//!
//! ```text
//!   commit section          waiters                                  medium
//!   append --> [ queue ] -> one becomes leader, takes the queue  --> write, sync
//!   append --> [ queue ]    the others sleep                           |
//!                           all wake; who is not served yet leads <----+
//! ```
//!
//! 1. [`Log::reserve`] does all that can fail. [`Log::append`] gives the frame its position.
//! 2. A waiter whose position is not durable leads if nobody does, else sleeps. So while one sync
//!    runs, all commits that come meanwhile gather for the next: syncs are fewer than commits. A leader
//!    waits a little for those who are about to come ([`super::crowd`]).
//!    Whoever does not wait leaves it to the [`super::Flusher`].
//! 3. When a write or a sync fails the log is *failed* for good, because nothing is known about the
//!    bytes on the way, even if a later sync succeeds: every frame that is not known to be durable
//!    has an unknown outcome, and no frame is taken any more until the database is reopened.
//!
//! Invariants
//! - The order of positions is the order of timestamps.
//! - `durable` never passes bytes whose sync has not returned.
//! - After [`Log::close`] returned no frame is queued or written.
//!
//! If we crash: what was acknowledged at `Durability::Sync` is durable; what was only queued is
//! gone as a whole, or ends in a torn tail that recovery drops.

use super::builder::{FrameBuilder, part_bytes};
use super::crowd::Crowd;
use super::frame::FRAME_BYTES_MAX;
use super::segment;
use super::status::{LogStatus, Meter};
use super::writer::{Entry, LogStart, SegmentStart, Writer};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::ids::{Lsn, Timestamp};
use crate::pool::{Ledger, Owner, Reservation};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Queued bytes beyond which whoever reserves room for a commit first helps to write.
const QUEUE_BYTES_MAX: u64 = 8 << 20;
/// Frames that are queued between two looks at the clock, where nothing else is a reason for one.
const FRAMES_PER_LOOK: usize = 64;

/// The log, shared by all transactions.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    ledger: Arc<Ledger>,
    gate: Arc<Gate>,
    queue: Mutex<Queue>,
    progress: Mutex<Progress>,
    progressed: Condvar,
    /// Where a leader waits for others to come.
    gathered: Condvar,
    writer: Mutex<Writer>,
    /// A copy of `progress.timestamp` that is read without its lock.
    durable_timestamp: AtomicU64,
    /// Where the flusher sleeps.
    arrived: Condvar,
    /// How long a commit that nobody waits for may be at risk, if somebody sees to it.
    loss_window: Option<Duration>,
    part_bytes: usize,
}

#[derive(Debug)]
struct Queue {
    entries: Vec<Entry>,
    bytes: u64,
    end: Lsn,
    timestamp: Timestamp,
    /// Set with `Progress::failure`: nobody will write what is queued.
    failed: bool,
    /// When the first of the frames came.
    since: Option<Instant>,
    /// What the leader is writing; after a failure, what it has lost.
    on_its_way: Option<OnItsWay>,
    flusher: FlusherState,
    /// Whether syncs take so long that the flusher writes without pause.
    is_slow: bool,
}

impl Queue {
    /// The end of what has been at risk for too long, if anything has. The clock is not looked at for each
    /// commit, but where one can expect it.
    fn late(&self, window: Duration, now: impl FnOnce() -> Instant) -> Option<Lsn> {
        let looks = self.is_slow || self.entries.len() % FRAMES_PER_LOOK == FRAMES_PER_LOOK - 1;
        let since = self.since.filter(|_| looks);
        let end = self.end;
        let queued = since.map(|since| OnItsWay { since, end });
        let oldest = self.on_its_way.or(queued)?;
        (now().saturating_duration_since(oldest.since) > window).then_some(oldest.end)
    }
}

/// Frames that left the queue and are not durable yet.
#[derive(Clone, Copy, Debug)]
struct OnItsWay {
    since: Instant,
    end: Lsn,
}

/// What the flusher does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FlusherState {
    /// It looks by itself, or there is none.
    Looks,
    /// It sleeps until a frame comes.
    Sleeps,
    /// It is to end.
    Ends,
}

#[derive(Debug)]
struct Progress {
    durable: Lsn,
    timestamp: Timestamp,
    leading: bool,
    failure: Option<String>,
    meter: Meter,
    crowd: Crowd,
}

/// Counts the frames between reservation and queue, so that closing waits for them.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    inside: usize,
}

/// What a reservation gives a frame: a pass through the gate until it is queued, and memory until
/// it is written.
#[derive(Debug)]
pub(super) struct Space {
    pass: Option<Pass>,
    _memory: Reservation,
}

#[derive(Debug)]
struct Pass(Arc<Gate>);

/// Dropped where the leader panics: those who wait for it must not wait for ever.
struct Unwinding<'l>(&'l Log);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        let mut progress = self.0.progress.lock();
        progress.leading = false;
        self.0.fail(
            &mut progress,
            "the thread that wrote it panicked".to_owned(),
        );
        self.0.progressed.notify_all();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.state.lock().inside -= 1;
        self.0.emptied.notify_all();
    }
}

impl Log {
    /// Opens the log for appending where `start` says.
    ///
    /// # Errors
    /// `Io` where the last segment cannot be opened.
    pub fn open(disk: Arc<dyn Disk>, ledger: Arc<Ledger>, start: LogStart) -> Result<Self> {
        let (end, timestamp) = (start.end, start.timestamp);
        let loss_window = start.loss_window;
        let part_bytes = part_bytes(start.segment_bytes_max);
        let writer = Writer::resume(disk.clone(), start)?;
        Ok(Self {
            disk,
            ledger,
            gate: Arc::default(),
            queue: Mutex::new(Queue {
                entries: Vec::new(),
                bytes: 0,
                end,
                timestamp,
                failed: false,
                since: None,
                on_its_way: None,
                flusher: FlusherState::Looks,
                is_slow: false,
            }),
            progress: Mutex::new(Progress {
                durable: end,
                timestamp,
                leading: false,
                failure: None,
                meter: Meter::default(),
                crowd: Crowd::default(),
            }),
            progressed: Condvar::new(),
            gathered: Condvar::new(),
            writer: Mutex::new(writer),
            durable_timestamp: AtomicU64::new(timestamp.0),
            arrived: Condvar::new(),
            loss_window,
            part_bytes,
        })
    }

    /// The length at which a frame that is being built is put aside, to become a part of a run.
    pub fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    /// Makes the memory that the frame brings as much as it needs ([`Owner::Log`], if need be from
    /// the emergency reserve: a full database must be able to commit) and checks that the log takes
    /// it. A long frame becomes shorter here, where that pays. Called before the commit section; the
    /// frame keeps the reservation until it is written or dropped. Helps to write when much is queued.
    ///
    /// # Errors
    /// `OutOfMemory`, `LimitExceeded`, `LogFailed` after an earlier failure, `Closed`.
    pub fn reserve(&self, frame: &mut FrameBuilder) -> Result<()> {
        if frame.longest() > FRAME_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "the logged size of a change",
                found: frame.longest() as u64,
                limit: FRAME_BYTES_MAX as u64,
            });
        }
        if self.queue.lock().bytes > QUEUE_BYTES_MAX {
            self.flush()?;
        }
        frame.pack(&self.ledger);
        let memory = self.memory(frame)?;
        if let Some(cause) = self.failure() {
            return Err(Error::LogFailed { cause });
        }
        let mut gate = self.gate.state.lock();
        if gate.closed {
            return Err(Error::Closed);
        }
        gate.inside += 1;
        frame.space = Some(Space {
            pass: Some(Pass(self.gate.clone())),
            _memory: memory,
        });
        Ok(())
    }

    fn memory(&self, frame: &mut FrameBuilder) -> Result<Reservation> {
        let bytes = frame.len() as u64;
        let mut memory = match frame.memory.take() {
            Some(memory) => memory,
            None => self.ledger.reserve(Owner::Log, 0)?,
        };
        if memory.bytes() >= bytes {
            memory.shrink(bytes);
        } else if memory.resize_emergency(bytes).is_err() {
            // What is queued holds memory until it is written.
            self.flush()?;
            memory.resize_emergency(bytes)?;
        }
        Ok(memory)
    }

    /// Queues the frame and returns where it ends. Called inside the commit section, so that the
    /// order in the log is the order of timestamps. Cannot fail: whether the frame got to the
    /// medium is learnt from [`Self::wait_durable`].
    pub fn append(&self, mut frame: FrameBuilder, timestamp: Timestamp) -> Lsn {
        // Declared before the queue's lock and so dropped after it: the locks never nest.
        let _pass = frame.space.as_mut().and_then(|space| space.pass.take());
        let mut queue = self.queue.lock();
        debug_assert!(
            timestamp >= queue.timestamp,
            "timestamps never fall along the log"
        );
        let (lsn, length) = (queue.end, frame.len() as u64);
        queue.end.0 += length;
        queue.timestamp = timestamp;
        if !queue.failed {
            queue.bytes += length;
            queue.entries.push(Entry::Frame {
                frame,
                lsn,
                timestamp,
            });
        }
        let end = queue.end;
        if queue.since.is_none() {
            // Once a batch: commits behind the first one read no clock and wake nobody.
            queue.since = Some(self.disk.instant());
            if queue.flusher == FlusherState::Sleeps {
                queue.flusher = FlusherState::Looks;
                drop(queue);
                self.arrived.notify_all();
            }
        }
        end
    }

    /// Has the next frame begin a new segment, and returns its position. Called inside the commit
    /// section, where a checkpoint takes its timestamp. Cannot fail, like [`Self::append`].
    pub fn rotate(&self) -> Lsn {
        let mut queue = self.queue.lock();
        if !queue.failed {
            queue.entries.push(Entry::Rotate);
        }
        queue.end
    }

    /// Returns once everything before `lsn` is durable; `lsn` is not beyond [`Self::end`].
    ///
    /// # Errors
    /// `OutcomeUnknown` where the log failed before that was known.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        #[cfg(any(test, feature = "sabotage"))]
        if crate::sabotage::is_made(crate::sabotage::Mistake::AcknowledgeBeforeLog) {
            return Ok(());
        }
        let mut progress = self.progress.lock();
        loop {
            if progress.durable >= lsn {
                return Ok(());
            }
            if let Some(cause) = progress.failure.clone() {
                return Err(Error::OutcomeUnknown { lsn, cause });
            }
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
    /// `LogFailed` where that can no longer be.
    pub fn wait_durable_timestamp(&self, timestamp: Timestamp) -> Result<()> {
        if self.durable_timestamp() >= timestamp {
            return Ok(());
        }
        self.flush()
    }

    /// Returns once everything appended so far is durable.
    ///
    /// # Errors
    /// `LogFailed` where that can no longer be.
    pub fn flush(&self) -> Result<()> {
        self.wait_written(self.end())
    }

    /// As [`Self::wait_durable`], for those who have nothing at stake.
    fn wait_written(&self, lsn: Lsn) -> Result<()> {
        self.wait_durable(lsn).map_err(|error| match error {
            Error::OutcomeUnknown { cause, .. } => Error::LogFailed { cause },
            other => other,
        })
    }

    /// Has everything queued so far written, rotations too.
    fn drain(&self) -> Result<()> {
        let mut progress = self.progress.lock();
        while progress.leading {
            self.progressed.wait(&mut progress);
        }
        if progress.failure.is_none() {
            self.lead(&mut progress);
        }
        match progress.failure.clone() {
            Some(cause) => Err(Error::LogFailed { cause }),
            None => Ok(()),
        }
    }

    /// The latest timestamp all of whose commits are known to be durable.
    pub fn durable_timestamp(&self) -> Timestamp {
        // Acquire pairs with the leader's Release: who sees the timestamp may tell others about
        // commits up to it, and their sync happened before.
        Timestamp(self.durable_timestamp.load(Ordering::Acquire))
    }

    /// How far the log is known to be durable.
    pub fn durable(&self) -> Lsn {
        self.progress.lock().durable
    }

    /// The end of the log: where the next frame goes.
    pub fn end(&self) -> Lsn {
        self.queue.lock().end
    }

    /// The first failure, after which the log takes nothing more.
    pub fn failure(&self) -> Option<String> {
        self.progress.lock().failure.clone()
    }

    /// Writes what is queued, as the leader. The lock is open meanwhile.
    fn lead(&self, progress: &mut MutexGuard<'_, Progress>) {
        progress.leading = true;
        self.gather(progress);
        let durable = progress.durable;
        let began = self.disk.instant();
        let result = MutexGuard::unlocked(progress, || {
            let unwinding = Unwinding(self);
            let result = self.write_queued(durable);
            std::mem::forget(unwinding);
            result
        });
        progress.leading = false;
        match result {
            Ok((end, timestamp)) => {
                progress.durable = end;
                progress.timestamp = progress.timestamp.max(timestamp);
                let durable = progress.timestamp.0;
                self.durable_timestamp.store(durable, Ordering::Release);
                let mut queue = self.queue.lock();
                let written = queue.on_its_way.take();
                let since = written.map(|batch| batch.since);
                progress.meter.note(began, since, self.disk.instant());
                let window = self.loss_window.unwrap_or(Duration::MAX);
                queue.is_slow = progress.meter.patience(window).is_zero();
            }
            Err(error) => self.fail(progress, error.to_string()),
        }
        progress.crowd.wake();
        self.progressed.notify_all();
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

    fn write_queued(&self, durable: Lsn) -> Result<(Lsn, Timestamp)> {
        let mut writer = self.writer.lock();
        let (mut batch, timestamp) = {
            let mut queue = self.queue.lock();
            queue.bytes = 0;
            let end = queue.end;
            queue.on_its_way = queue.since.take().map(|since| OnItsWay { since, end });
            (std::mem::take(&mut queue.entries), queue.timestamp)
        };
        let end = writer.write(&mut batch, durable)?;
        Ok((end, timestamp))
    }

    /// From now on nothing is taken and nothing is written.
    fn fail(&self, progress: &mut Progress, cause: String) {
        progress.failure.get_or_insert(cause);
        let mut queue = self.queue.lock();
        queue.failed = true;
        queue.bytes = 0;
        queue.entries.clear();
        // The flusher has nothing left to do.
        self.arrived.notify_all();
    }

    /// Where the log stands, and what is at risk: all of it of one moment.
    pub fn status(&self) -> LogStatus {
        let progress = self.progress.lock();
        let queue = self.queue.lock();
        let oldest = queue.on_its_way.map(|batch| batch.since).or(queue.since);
        LogStatus {
            committed: (queue.timestamp, queue.end),
            durable: (progress.timestamp, progress.durable),
            oldest: oldest.map(|since| self.disk.instant().saturating_duration_since(since)),
            longest: progress.meter.longest(),
            syncs: progress.meter.batches(),
            sync_time: progress.meter.sync_time(),
            loss_window: self.loss_window,
            failure: progress.failure.clone(),
        }
    }

    /// To be called by who will not wait for its commit, before it reserves room. Where what is not durable has
    /// been so for longer than the loss window, it waits until that is: so all that a crash takes
    /// had returned within one window, however slow the medium is.
    ///
    /// # Errors
    /// `LogFailed`.
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
            let patience = self.progress.lock().meter.patience(window);
            let mut queue = self.queue.lock();
            if queue.failed || queue.flusher == FlusherState::Ends {
                return false;
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

    /// Does what the flusher would do now, for who does without its thread.
    ///
    /// # Errors
    /// `LogFailed`.
    pub fn flush_if_due(&self) -> Result<()> {
        let Some(window) = self.loss_window else {
            return Ok(());
        };
        let patience = self.progress.lock().meter.patience(window);
        let due = self.queue.lock().since.map(|since| since + patience);
        match due.is_some_and(|due| due <= self.disk.instant()) {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Has the flusher end.
    pub(super) fn end_flusher(&self) {
        self.queue.lock().flusher = FlusherState::Ends;
        self.arrived.notify_all();
    }

    /// The segment that holds the frame at `lsn`; everything before it is durable on return.
    ///
    /// # Errors
    /// `LogFailed`.
    pub fn segment_of(&self, lsn: Lsn) -> Result<SegmentStart> {
        self.drain()?;
        Ok(self.writer.lock().segment_of(lsn))
    }

    /// Deletes the segments that hold nothing at or above `lsn`.
    ///
    /// # Errors
    /// `Io`; what could not be deleted is left over, and removed at the next opening.
    pub fn remove_before(&self, lsn: Lsn) -> Result<()> {
        let unneeded = self.writer.lock().take_before(lsn);
        for start in unneeded {
            self.disk.remove(&segment::path(start.number))?;
        }
        Ok(())
    }

    /// Refuses further frames, waits for those that were promised room, and makes all durable.
    /// Returns the end of the log.
    ///
    /// # Errors
    /// `LogFailed`; the log is closed all the same.
    pub fn close(&self) -> Result<Lsn> {
        let mut gate = self.gate.state.lock();
        gate.closed = true;
        while gate.inside > 0 {
            self.gate.emptied.wait(&mut gate);
        }
        drop(gate);
        self.flush()?;
        self.writer.lock().finish();
        Ok(self.end())
    }
}
