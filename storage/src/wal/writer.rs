//! Puts batches of frames into segment files. Only the leader of a group commit writes.
//!
//! 1. A batch goes into the current segment with few writes and one sync.
//! 2. Ahead of the frames the medium is asked for room: for as much again as there is, up to the length of a
//!    segment. So nearly all writes change bytes in place, and a sync need not write down a new length. A short
//!    log takes little room, and what is left of it is given back when the segment is finished or the log
//!    is closed. What stands there is zero, and to readers the same as the end of the file.
//! 3. A new segment begins where a checkpoint asked for one, or when the current one is full. Its
//!    header and its name are durable before a frame is written to it, and everything in the
//!    segment before is durable by then.
//!
//! Invariants
//! - Segments are numbered without gaps and their frames join without gaps. A run of frames is within one.
//! - Only the last segment can have bytes that are not durable.
//! - Behind the last frame stands what was never acknowledged, and else nothing but zeros. Files are not used
//!   again for other parts of the log, although that would spare finding room: it is no quicker than writing to
//!   room that was found in time, and frames of the past would stand where others are to come.
//!
//! If we crash: with room ahead, with a part of it, or without it although frames were written there,
//! the log ends where its frames do; in the middle of a batch the segment ends in a torn tail, none of which had been
//! acknowledged; in the making of a segment, see `segment`.

use super::builder::FrameBuilder;
use super::frame::Stamp;
use super::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::format::DatabaseId;
use crate::ids::{Lsn, Timestamp};
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
}

/// What waits to be written.
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
    /// The length up to which the current segment is not asked for room any more.
    room: u64,
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
            room,
            buffer: Vec::new(),
        })
    }

    /// Writes a batch and returns once it is durable: the new end of the log.
    pub(super) fn write(&mut self, batch: &mut [Entry], durable: Lsn) -> Result<Lsn> {
        for entry in batch {
            match entry {
                Entry::Rotate => self.rotate()?,
                Entry::Frame {
                    frame,
                    lsn,
                    timestamp,
                } => {
                    if self.is_full() {
                        self.rotate()?;
                    }
                    debug_assert_eq!(*lsn, self.end, "frames join without gaps");
                    let stamp = Stamp {
                        durable,
                        timestamp: *timestamp,
                        timeline: self.timeline,
                    };
                    for mut part in frame.take_parts() {
                        self.put(part.seal(self.end, stamp))?;
                    }
                    self.put(frame.seal(self.end, stamp))?;
                }
            }
        }
        self.sync()?;
        Ok(self.end)
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

    /// Adds a frame at the end: through the buffer where it is short, directly where it is long.
    fn put(&mut self, frame: &[u8]) -> Result<()> {
        if self.buffer.len() + frame.len() > BUFFER_BYTES_MAX {
            self.write_out()?;
        }
        if frame.len() > BUFFER_BYTES_MAX {
            let offset = self.offset(self.end);
            self.make_room(offset, offset + frame.len() as u64);
            self.file.write_at(offset, frame)?;
        } else {
            self.buffer.extend_from_slice(frame);
        }
        self.end.0 += frame.len() as u64;
        Ok(())
    }

    fn write_out(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            let end = self.offset(self.end);
            let offset = end - self.buffer.len() as u64;
            self.make_room(offset, end);
            self.file.write_at(offset, &self.buffer)?;
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

    /// Gives back the room behind the last frame, because no other will come. Everything is written by then. If
    /// it cannot be given back, or the power fails, it is still there, and nothing is wrong.
    fn trim(&mut self) -> bool {
        let end = self.offset(self.end);
        let is_trimmed = self.room > end && self.file.truncate(end).is_ok();
        if is_trimmed {
            self.room = end;
        }
        is_trimmed
    }

    fn sync(&mut self) -> Result<()> {
        self.write_out()?;
        self.file.sync()
    }

    /// Begins a new segment, unless the current one is still empty.
    fn rotate(&mut self) -> Result<()> {
        let last = self.current();
        if last.first == self.end {
            return Ok(());
        }
        self.write_out()?;
        self.trim();
        self.file.sync()?;
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
        self.file = create_segment(&*self.disk, &header)?;
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
    let file = disk.create(&segment::path(header.number))?;
    file.write_at(0, &header.encode())?;
    file.sync()?;
    disk.sync_dir(segment::FOLDER)?;
    Ok(file)
}
