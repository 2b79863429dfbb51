//! The log's front: reserving room, queueing frames, and what is known of them.
//!
//! ```text
//!   commit section          waiters                                  medium
//!   append --> [ queue ] -> one becomes leader, takes the queue  --> write, sync
//!   append --> [ queue ]    the others sleep                           |
//!                           all wake; who is not served yet leads <----+
//! ```
//!
//! 1. [`Log::reserve`] does all that can fail. [`Log::append`] gives the frame its position.
//! 2. A waiter whose position is not durable leads if nobody does, else sleeps (`leader`). So while one sync
//!    runs, all commits that come meanwhile gather for the next: syncs are fewer than commits.
//!    Whoever does not wait leaves it to the [`super::Flusher`].
//! 3. Where the medium has no room, or a sync fails, the log is *full* or *failed*: [`super::condition`] says
//!    what that means for whom.
//!
//! Invariants
//! - The order of positions is the order of timestamps.
//! - `durable` never passes bytes whose sync has not returned.
//! - After [`Log::close`] returned no frame is queued or written.
//!
//! If we crash: what was acknowledged at `Durability::Sync` is durable; what was only queued is
//! gone as a whole, or ends in a torn tail that recovery drops.

use super::builder::{FrameBuilder, part_bytes};
use super::condition::LogCondition;
use super::frame::FRAME_BYTES_MAX;
use super::gate::{Gate, Space};
use super::leader::{DurableListener, Progress};
use super::queue::{FlusherState, Queue};
use super::segment;
use super::status::LogStatus;
use super::writer::{Entry, LogStart, SegmentStart, Writer};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::ids::{Lsn, Timestamp};
use crate::mvcc::Timeline;
use crate::pool::{Ledger, Owner, Reservation};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Queued bytes beyond which whoever reserves room for a commit first helps to write.
const QUEUE_BYTES_MAX: u64 = 8 << 20;

/// The log, shared by all transactions.
#[derive(Debug)]
pub struct Log {
    pub(super) disk: Arc<dyn Disk>,
    ledger: Arc<Ledger>,
    gate: Arc<Gate>,
    pub(super) queue: Mutex<Queue>,
    pub(super) progress: Mutex<Progress>,
    pub(super) progressed: Condvar,
    /// Where a leader waits for others to come.
    pub(super) gathered: Condvar,
    pub(super) writer: Mutex<Writer>,
    pub(super) durable_listener: DurableListener,
    /// The clock of the transactions: it is told what is durable, and what may be shown.
    pub(super) clock: Arc<Timeline>,
    /// Where the flusher sleeps.
    pub(super) arrived: Condvar,
    /// How long a commit that nobody waits for may be at risk, if somebody sees to it.
    pub(super) loss_window: Option<Duration>,
    part_bytes: usize,
    /// Where the log ended when the rows of unlogged tables were written to a checkpoint, or taken from one.
    unlogged_kept: AtomicU64,
}

impl Log {
    /// Opens the log for appending where `start` says. It is full from the beginning where recovery has left
    /// something to be done.
    ///
    /// # Errors
    /// `Io` where the last segment cannot be opened.
    pub fn open(disk: Arc<dyn Disk>, ledger: Arc<Ledger>, start: LogStart) -> Result<Self> {
        let (end, timestamp) = (start.end, start.timestamp);
        let loss_window = start.loss_window;
        let part_bytes = part_bytes(start.segment_bytes_max);
        let clock = Arc::clone(&start.clock);
        let unfinished = start.unfinished.as_ref();
        let condition = match unfinished.map(|unfinished| unfinished.because.clone()) {
            Some(because) => LogCondition::Full(because),
            None => LogCondition::Open,
        };
        let writer = Writer::resume(disk.clone(), start)?;
        clock.set_durable(timestamp);
        clock.show_durable_only(condition.cause().is_some());
        Ok(Self {
            disk,
            ledger,
            gate: Arc::default(),
            queue: Mutex::new(Queue::new(end, timestamp)),
            progress: Mutex::new(Progress::new(end, condition)),
            progressed: Condvar::new(),
            gathered: Condvar::new(),
            writer: Mutex::new(writer),
            durable_listener: DurableListener::default(),
            clock,
            arrived: Condvar::new(),
            loss_window,
            part_bytes,
            unlogged_kept: AtomicU64::new(u64::MAX),
        })
    }

    /// The length at which a frame that is being built is put aside, to become a part of a run.
    pub fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    /// Makes the memory that the frame brings as much as it needs ([`Owner::Log`], if need be from
    /// the emergency reserve: a full database must be able to commit) and checks that the log takes
    /// it. A long frame becomes shorter here, where that pays. Called before the commit section; the
    /// frame keeps the reservation until it is durable or dropped. Helps to write when much is queued, and
    /// where the medium was full.
    ///
    /// # Errors
    /// `OutOfMemory`, `LimitExceeded`, `DiskFull` where there is no room for what is queued already,
    /// `LogFailed` after a failure, `Closed`.
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
        self.check_takes(frame.len() as u64)?;
        frame.space = Some(Space::enter(&self.gate, memory)?);
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
            // What is queued holds memory until it is durable.
            self.flush()?;
            memory.resize_emergency(bytes)?;
        }
        Ok(memory)
    }

    /// Checks that the log takes so many bytes more. Where the medium was full, it is tried whether it still is.
    ///
    /// # Errors
    /// `DiskFull`, `LogFailed`.
    pub fn check_takes(&self, bytes: u64) -> Result<()> {
        if !self.clock.is_durable_only() {
            return Ok(());
        }
        let condition = self.retry();
        let waiting = self.queue.lock().bytes + bytes;
        condition.refusal(waiting).map_or(Ok(()), Err)
    }

    /// Queues the frame and returns where it ends. Called inside the commit section, so that the
    /// order in the log is the order of timestamps. Cannot fail: whether the frame got to the
    /// medium is learnt from [`Self::wait_durable`].
    pub fn append(&self, mut frame: FrameBuilder, timestamp: Timestamp) -> Lsn {
        // Declared before the queue's lock and so dropped after it: the locks never nest.
        let _pass = frame.space.as_mut().and_then(Space::take_pass);
        let mut queue = self.queue.lock();
        debug_assert!(
            timestamp >= queue.timestamp,
            "timestamps never fall along the log"
        );
        let lsn = queue.end;
        queue.end.0 += frame.len() as u64;
        queue.timestamp = timestamp;
        queue.push(Entry::Frame {
            frame,
            lsn,
            timestamp,
        });
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

    /// Notes a commit of which nothing is logged: it is as durable as those before it. Called inside the commit
    /// section.
    pub fn pass(&self, timestamp: Timestamp) {
        let mut queue = self.queue.lock();
        queue.timestamp = timestamp;
        if queue.is_idle() {
            self.clock.set_durable(timestamp);
        }
    }

    /// Has the next frame begin a new segment, if there is room for one, and returns its position. Called inside
    /// the commit section, where a checkpoint takes its timestamp. Cannot fail, like [`Self::append`].
    pub fn rotate(&self) -> Lsn {
        let mut queue = self.queue.lock();
        queue.push(Entry::Rotate);
        queue.end
    }

    /// Notes that the checkpoint that begins where the log ends has the rows of unlogged tables
    /// (`transaction::commit`). Called inside the commit section, or by recovery.
    pub fn keep_unlogged(&self) {
        // Relaxed: the commit section orders it.
        self.unlogged_kept.store(self.end().0, Relaxed);
    }

    /// Whether recovery may take the rows of unlogged tables from a checkpoint: one had them, and nothing was logged
    /// since. A later checkpoint without them changes nothing about it, since it may fail.
    pub fn is_unlogged_kept(&self) -> bool {
        self.unlogged_kept.load(Relaxed) == self.end().0
    }

    /// The latest timestamp all of whose commits are known to be durable.
    pub fn durable_timestamp(&self) -> Timestamp {
        self.clock.durable()
    }

    /// How far the log is known to be durable.
    pub fn durable(&self) -> Lsn {
        self.progress.lock().durable
    }

    /// The end of the log: where the next frame goes.
    pub fn end(&self) -> Lsn {
        self.queue.lock().end
    }

    /// Whether the log takes frames, and if not, why.
    pub fn condition(&self) -> LogCondition {
        self.progress.lock().condition.clone()
    }

    /// Where the log stands, and what is at risk: all of it of one moment.
    pub fn status(&self) -> LogStatus {
        let progress = self.progress.lock();
        let queue = self.queue.lock();
        let oldest = queue.on_its_way.map(|batch| batch.since).or(queue.since);
        LogStatus {
            committed: (queue.timestamp, queue.end),
            durable: (self.clock.durable(), progress.durable),
            oldest: oldest.map(|since| self.disk.instant().saturating_duration_since(since)),
            longest: progress.meter.longest(),
            syncs: progress.meter.batches(),
            sync_time: progress.meter.sync_time(),
            loss_window: self.loss_window,
            condition: progress.condition.clone(),
        }
    }

    /// The segment that holds the frame at `lsn`; everything before it is durable on return.
    ///
    /// # Errors
    /// `LogFailed`, `DiskFull`.
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
    /// Returns the end of the log; nothing where nothing was logged, and there is no room for what recovery has
    /// left to be done.
    ///
    /// # Errors
    /// `LogFailed`, `DiskFull`; the log is closed all the same.
    pub fn close(&self) -> Result<Option<Lsn>> {
        self.gate.close();
        let end = self.end();
        let written = match self.condition() {
            LogCondition::Open => self.flush(),
            _ => self.retry().refusal(0).map_or(Ok(()), Err),
        };
        if let Err(error) = written {
            // The directory may soon be another process's: nothing is written from now on.
            self.abandon("the database was closed");
            return match error {
                Error::DiskFull { .. } if self.durable() == end => Ok(None),
                other => Err(other),
            };
        }
        self.writer.lock().finish();
        Ok(Some(end))
    }
}
