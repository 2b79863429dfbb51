//! Puts batches of frames into segment files. Only the leader of a group commit writes.
//!
//! 1. A batch goes into the current segment with few writes and one sync.
//! 2. Ahead of the frames the medium is asked for room: for as much again as there is, up to the length of a
//!    segment. So nearly all writes change bytes in place, and a sync need not write down a new length. A short
//!    log takes little room, and what is left of it is given back when the segment is finished or the log
//!    is closed. What stands there is zero, and to readers the same as the end of the file.
//! 3. A new segment begins where a checkpoint asked for one, or when the current one is full. Its
//!    header and its name are durable before a frame is written to it, and everything in the
//!    segment before is durable by then. Where the medium has no room for a segment the current one goes on,
//!    beyond its length if need be: a checkpoint names a position, not the beginning of a segment.
//! 4. Where it has no room for a frame, the writer goes back to the end of what is durable, and writes the frames
//!    of the batch one by one, as many as there is room for. They are synced; what follows on them is the
//!    caller's, who brings it again ([`super::condition`]).
//!
//! Invariants
//! - Segments are numbered without gaps and their frames join without gaps. A run of frames is within one.
//! - Only the last segment can have bytes that are not durable.
//! - Behind the last frame stands what was never acknowledged, and else nothing but zeros. Files are not used
//!   again for other parts of the log, although that would spare finding room: it is no quicker than writing to
//!   room that was found in time, and frames of the past would stand where others are to come.
//! - Before a segment begins, what an attempt without room has left behind the last frame of the one before is
//!   cut off, durably.
//!
//! If we crash: with room ahead, with a part of it, or without it although frames were written there,
//! the log ends where its frames do; in the middle of a batch, or of a second attempt, the segment ends in a torn
//! tail, none of which had been acknowledged; in the making of a segment, see `segment`.

use super::builder::FrameBuilder;
use super::frame::Stamp;
use super::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::format::DatabaseId;
use crate::ids::{Lsn, Timestamp};
use crate::mvcc::Timeline;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A segment that exists, and where it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentStart {
    /// Its number.
    pub number: u64,
    /// The position of its first frame.
    pub first: Lsn,
}

/// Where the log stands when the store opens, and whose it is.
#[derive(Debug)]
pub struct LogStart {
    /// The database.
    pub database: DatabaseId,
    /// The history being written.
    pub timeline: u32,
    /// The segments that exist, oldest first, at least one.
    pub segments: Vec<SegmentStart>,
    /// The end of the last frame.
    pub end: Lsn,
    /// The timestamp of the last commit.
    pub timestamp: Timestamp,
    /// The length beyond which a segment gets no further batch.
    pub segment_bytes_max: u64,
    /// How long a commit that nobody waits for may be at risk; `None` where nobody sees to it.
    pub loss_window: Option<Duration>,
    /// The clock of the transactions, which is told what is durable.
    pub clock: Arc<Timeline>,
    /// Work that recovery has left to be done before the first frame is written, if the medium had no room for it.
    pub unfinished: Option<UnfinishedRecovery>,
}

/// The last step of a recovery, for which the medium had no room.
pub struct UnfinishedRecovery {
    /// Why it was not done.
    pub because: Error,
    /// Does it, as often as it is tried; returns the segments that exist then.
    pub finish: Box<dyn Fn() -> Result<Vec<SegmentStart>> + Send>,
}

impl fmt::Debug for UnfinishedRecovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnfinishedRecovery")
            .field("because", &self.because)
            .finish_non_exhaustive()
    }
}

/// Why a batch was not written to its end.
#[derive(Debug)]
pub(super) enum WriteFailure {
    /// There is no room for what follows on the durable frames.
    Full(Error),
    /// Nothing is known about the bytes on their way.
    Final(Error),
}

impl WriteFailure {
    /// The failure of an operation that is no sync, and can be repeated where it found no room.
    fn of_write(error: Error) -> Self {
        match error {
            Error::DiskFull { .. } => Self::Full(error),
            other => Self::Final(other),
        }
    }
}

type Written<T> = std::result::Result<T, WriteFailure>;

/// An entry of the queue.
#[derive(Debug)]
pub(super) enum Entry {
    /// A commit, to be put at that position.
    Frame {
        frame: FrameBuilder,
        lsn: Lsn,
        timestamp: Timestamp,
    },
    /// The next frame begins a segment.
    Rotate,
}

impl Entry {
    /// Bytes that it takes in the log.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Frame { frame, .. } => frame.len() as u64,
            Self::Rotate => 0,
        }
    }

    /// Whether all of it is before `end`.
    fn is_before(&self, end: Lsn) -> bool {
        match self {
            Self::Frame { lsn, .. } => lsn.0 + self.bytes() <= end.0,
            Self::Rotate => true,
        }
    }
}

/// The end of the log on disk.
#[derive(Debug)]
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    database: DatabaseId,
    timeline: u32,
    segment_bytes_max: u64,
    /// All segments that exist, oldest first; the last one is written to.
    segments: Vec<SegmentStart>,
    file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    end: Lsn,
    /// The end of the frames that a sync has covered.
    durable: Lsn,
    /// The length up to which the current segment is not asked for room any more.
    room: u64,
    /// Whether an attempt without room may have left bytes behind the last frame.
    is_dirty: bool,
    unfinished: Option<UnfinishedRecovery>,
    /// Short frames on their way to the file; they end at `end`.
    buffer: Vec<u8>,
}

/// Frames up to this length share a write.
const BUFFER_BYTES_MAX: usize = 1 << 20;
/// Room is asked for in multiples of this.
const ROOM_BYTES: u64 = 4 << 10;

impl Writer {
    /// Continues the last segment of `start` where its frames end.
    pub(super) fn resume(disk: Arc<dyn Disk>, start: LogStart) -> Result<Self> {
        let last = start.segments.last();
        let last = last.expect("a log has at least one segment");
        let file = disk.open(&segment::path(last.number))?;
        let room = file.len()?;
        Ok(Self {
            disk,
            database: start.database,
            timeline: start.timeline,
            segment_bytes_max: start.segment_bytes_max,
            segments: start.segments,
            file,
            end: start.end,
            durable: start.end,
            room,
            is_dirty: false,
            unfinished: start.unfinished,
            buffer: Vec::new(),
        })
    }

    /// The end of the frames that a sync has covered.
    pub(super) fn durable(&self) -> Lsn {
        self.durable
    }

    /// Writes a batch, and returns when it is durable. Returns how many entries are durable; all of them unless
    /// it failed.
    pub(super) fn write(&mut self, batch: &mut [Entry], durable: Lsn) -> (usize, Written<()>) {
        if let Err(failure) = self.finish_recovery() {
            return (0, Err(failure));
        }
        let (done, result) = self.attempt(batch, durable, false);
        if !matches!(result, Err(WriteFailure::Full(_))) || batch.len() - done < 2 {
            return (done, result);
        }
        // One by one some of them may find room.
        let (more, result) = self.attempt(&mut batch[done..], durable, true);
        (done + more, result)
    }

    fn finish_recovery(&mut self) -> Written<()> {
        if let Some(unfinished) = &self.unfinished {
            // A sync that fails is none of ours: what it was to cover is written again the next time.
            self.segments = (unfinished.finish)().map_err(WriteFailure::of_write)?;
            self.room = self.file.len().map_err(WriteFailure::Final)?;
            self.unfinished = None;
        }
        Ok(())
    }

    /// Writes entries until one finds no room: those before it stay if they were written one by one, else only
    /// those that were durable by then.
    fn attempt(
        &mut self,
        batch: &mut [Entry],
        durable: Lsn,
        one_by_one: bool,
    ) -> (usize, Written<()>) {
        let mut passed = 0;
        let mut result = Ok(());
        let mut start = self.end;
        for entry in batch.iter_mut() {
            start = self.end;
            result = self.entry(entry, durable, one_by_one);
            if result.is_err() {
                break;
            }
            passed += 1;
        }
        if result.is_ok() {
            result = self.sync();
        }
        if let Err(WriteFailure::Full(_)) = result {
            self.buffer.clear();
            self.is_dirty = true;
            self.end = if one_by_one { start } else { self.durable };
            if self.durable < self.end
                && let Err(failure) = self.sync()
            {
                result = Err(failure);
            }
        }
        let is_durable = |entry: &&Entry| entry.is_before(self.durable);
        let done = batch[..passed].iter().take_while(is_durable).count();
        (done, result)
    }

    fn entry(&mut self, entry: &mut Entry, durable: Lsn, one_by_one: bool) -> Written<()> {
        let Entry::Frame {
            frame,
            lsn,
            timestamp,
        } = entry
        else {
            return self.rotate();
        };
        if self.is_full() {
            self.rotate()?;
        }
        debug_assert_eq!(*lsn, self.end, "frames join without gaps");
        let stamp = Stamp {
            durable,
            timestamp: *timestamp,
            timeline: self.timeline,
        };
        for part in frame.parts() {
            self.put(part.seal(self.end, stamp), one_by_one)?;
        }
        self.put(frame.seal(self.end, stamp), one_by_one)
    }

    /// The segments of which nothing at or above `lsn` is left, taken off the list.
    pub(super) fn take_before(&mut self, lsn: Lsn) -> Vec<SegmentStart> {
        let next_starts = self.segments.iter().skip(1);
        let unneeded = next_starts.take_while(|next| next.first <= lsn).count();
        self.segments.drain(..unneeded).collect()
    }

    /// The segment that holds, or will hold, the frame at `lsn`.
    pub(super) fn segment_of(&self, lsn: Lsn) -> SegmentStart {
        let holder = self.segments.iter().rev().find(|s| s.first <= lsn);
        *holder.expect("the position is at or above the oldest segment's start")
    }

    fn current(&self) -> SegmentStart {
        *self
            .segments
            .last()
            .expect("a log has at least one segment")
    }

    /// Where the byte at `lsn` stands in the current segment.
    fn offset(&self, lsn: Lsn) -> u64 {
        SEGMENT_HEADER_LEN as u64 + (lsn.0 - self.current().first.0)
    }

    fn is_full(&self) -> bool {
        self.offset(self.end) >= self.segment_bytes_max
    }

    /// Adds a frame at the end: through the buffer where it is short, directly where it is long or is to be
    /// written alone.
    fn put(&mut self, frame: &[u8], alone: bool) -> Written<()> {
        if self.buffer.len() + frame.len() > BUFFER_BYTES_MAX {
            self.write_out()?;
        }
        if alone || frame.len() > BUFFER_BYTES_MAX {
            let offset = self.offset(self.end);
            self.make_room(offset, offset + frame.len() as u64);
            let written = self.file.write_at(offset, frame);
            written.map_err(WriteFailure::of_write)?;
        } else {
            self.buffer.extend_from_slice(frame);
        }
        self.end.0 += frame.len() as u64;
        Ok(())
    }

    fn write_out(&mut self) -> Written<()> {
        if !self.buffer.is_empty() {
            let end = self.offset(self.end);
            let offset = end - self.buffer.len() as u64;
            self.make_room(offset, end);
            let written = self.file.write_at(offset, &self.buffer);
            written.map_err(WriteFailure::of_write)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Sees to it that there is room ahead, if it can be had, where bytes from `from` to `end` are about to be
    /// written behind all others.
    fn make_room(&mut self, from: u64, end: u64) {
        if end > self.room {
            self.ask_for_room(from, end);
        }
    }

    /// Without room it is only slower: whether the medium is full, or well, writing tells. Who is refused
    /// asks again when the segment has become twice as long.
    #[cold]
    fn ask_for_room(&mut self, from: u64, end: u64) {
        let longest = |length: u64| {
            let length = length.next_multiple_of(ROOM_BYTES);
            length.min(self.segment_bytes_max).max(end)
        };
        self.room = longest(2 * end);
        for length in [self.room, longest(end + ROOM_BYTES)] {
            if length == end {
                return;
            }
            match self.file.allocate(length) {
                Ok(()) => return,
                Err(Error::DiskFull { .. }) => {
                    // Some of it may have been given. Others need it more.
                    let _ = self.file.truncate(from);
                }
                Err(_) => return,
            }
        }
    }

    /// To be called when the log is closed and everything is durable.
    pub(super) fn finish(&mut self) {
        if self.trim() {
            // What was acknowledged does not depend on it.
            let _ = self.file.sync();
        }
    }

    /// Cuts off what is behind the last frame: room, because no other frame will come, and what an attempt has
    /// left. Everything is written by then. If room cannot be given back, or the power fails, it is still there, and
    /// nothing is wrong.
    fn trim(&mut self) -> bool {
        let end = self.offset(self.end);
        let is_needed = self.is_dirty || self.room > end;
        let is_trimmed = is_needed && self.file.truncate(end).is_ok();
        if is_trimmed {
            self.room = end;
            self.is_dirty = false;
        }
        is_trimmed
    }

    fn sync(&mut self) -> Written<()> {
        self.write_out()?;
        self.file.sync().map_err(WriteFailure::Final)?;
        self.durable = self.end;
        Ok(())
    }

    /// Begins a new segment, unless the current one is still empty, or there is no room for another.
    fn rotate(&mut self) -> Written<()> {
        let last = self.current();
        if last.first == self.end {
            return Ok(());
        }
        self.write_out()?;
        #[cfg(any(test, feature = "sabotage"))]
        if crate::sabotage::is_made(crate::sabotage::Mistake::LeaveAttempt) {
            (self.is_dirty, self.room) = (false, 0);
        }
        self.trim();
        self.sync()?;
        if self.is_dirty {
            // Nothing may stand where the next segment begins.
            return Ok(());
        }
        let next = SegmentStart {
            number: last.number + 1,
            first: self.end,
        };
        let header = SegmentHeader {
            database: self.database,
            number: next.number,
            first: next.first,
            timeline: self.timeline,
        };
        let file = match write_header(&*self.disk, &header) {
            Ok(file) => file,
            Err(Error::DiskFull { .. }) => {
                // A header that is not whole is no segment: the next attempt, or recovery, removes it if this
                // does not.
                let _ = self.disk.remove(&segment::path(header.number));
                return Ok(());
            }
            Err(error) => return Err(WriteFailure::Final(error)),
        };
        make_durable(&*self.disk, &*file).map_err(WriteFailure::Final)?;
        self.file = file;
        self.room = SEGMENT_HEADER_LEN as u64;
        self.segments.push(next);
        Ok(())
    }
}

/// Creates a segment without frames; header and name are durable on return.
///
/// # Errors
/// `Io`, `DiskFull`.
pub fn create_segment(disk: &dyn Disk, header: &SegmentHeader) -> Result<Arc<dyn DiskFile>> {
    let file = write_header(disk, header)?;
    make_durable(disk, &*file)?;
    Ok(file)
}

fn write_header(disk: &dyn Disk, header: &SegmentHeader) -> Result<Arc<dyn DiskFile>> {
    let file = disk.create(&segment::path(header.number))?;
    file.write_at(0, &header.encode())?;
    Ok(file)
}

fn make_durable(disk: &dyn Disk, file: &dyn DiskFile) -> Result<()> {
    file.sync()?;
    disk.sync_dir(segment::FOLDER)
}
