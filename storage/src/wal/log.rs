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
//!    runs, all commits that come meanwhile gather for the next: syncs are fewer than commits.
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

use super::builder::FrameBuilder;
use super::frame::FRAME_BYTES_MAX;
use super::segment;
use super::writer::{Entry, LogStart, SegmentStart, Writer};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::ids::{Lsn, Timestamp};
use crate::pool::{Ledger, Owner, Reservation};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Queued bytes beyond which whoever reserves room for a commit first helps to write.
const QUEUE_BYTES_MAX: u64 = 8 << 20;

/// The log, shared by all transactions.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    ledger: Arc<Ledger>,
    gate: Arc<Gate>,
    queue: Mutex<Queue>,
    progress: Mutex<Progress>,
    progressed: Condvar,
    writer: Mutex<Writer>,
    /// A copy of `progress.timestamp` that is read without its lock.
    durable_timestamp: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    entries: Vec<Entry>,
    bytes: u64,
    end: Lsn,
    timestamp: Timestamp,
    /// Set with `Progress::failure`: nobody will write what is queued.
    failed: bool,
}

#[derive(Debug)]
struct Progress {
    durable: Lsn,
    timestamp: Timestamp,
    leading: bool,
    failure: Option<String>,
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
            }),
            progress: Mutex::new(Progress {
                durable: end,
                timestamp,
                leading: false,
                failure: None,
            }),
            progressed: Condvar::new(),
            writer: Mutex::new(writer),
            durable_timestamp: AtomicU64::new(timestamp.0),
        })
    }

    /// Makes the memory that the frame brings as much as it needs ([`Owner::Log`], if need be from
    /// the emergency reserve: a full database must be able to commit) and checks that the log takes
    /// it. Called before the commit section; the frame keeps the reservation until it is written
    /// or dropped. Helps to write when much is queued.
    ///
    /// # Errors
    /// `OutOfMemory`, `LimitExceeded`, `LogFailed` after an earlier failure, `Closed`.
    pub fn reserve(&self, frame: &mut FrameBuilder) -> Result<()> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "the logged size of a transaction",
                found: frame.len() as u64,
                limit: FRAME_BYTES_MAX as u64,
            });
        }
        if self.queue.lock().bytes > QUEUE_BYTES_MAX {
            self.flush()?;
        }
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
        queue.end
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

    /// Returns once everything before `lsn` is durable.
    ///
    /// # Errors
    /// `OutcomeUnknown` where the log failed before that was known.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        debug_assert!(lsn <= self.end(), "nobody waits for what was not appended");
        #[cfg(feature = "sabotage")]
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
        self.wait_durable(self.end()).map_err(|error| match error {
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
        let durable = progress.durable;
        let result = MutexGuard::unlocked(progress, || self.write_queued(durable));
        progress.leading = false;
        match result {
            Ok((end, timestamp)) => {
                progress.durable = end;
                progress.timestamp = progress.timestamp.max(timestamp);
                let durable = progress.timestamp.0;
                self.durable_timestamp.store(durable, Ordering::Release);
            }
            Err(error) => self.fail(progress, error.to_string()),
        }
        self.progressed.notify_all();
    }

    fn write_queued(&self, durable: Lsn) -> Result<(Lsn, Timestamp)> {
        let mut writer = self.writer.lock();
        let (mut batch, timestamp) = {
            let mut queue = self.queue.lock();
            queue.bytes = 0;
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
        Ok(self.end())
    }
}
