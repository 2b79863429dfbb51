//! Puts batches of frames into segment files. Only the leader of a group commit writes.
//!
//! 1. A batch goes into the current segment with few writes and one sync.
//! 2. A new segment begins where a checkpoint asked for one, or when the current one is full. Its
//!    header and its name are durable before a frame is written to it, and everything in the
//!    segment before is durable by then.
//!
//! Invariants
//! - Segments are numbered without gaps and their frames join without gaps.
//! - Only the last segment can have bytes that are not durable.
//!
//! If we crash: in the middle of a batch the segment ends in a torn tail, none of which had been
//! acknowledged; in the making of a segment, see `segment`.

use super::builder::FrameBuilder;
use super::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::disk::{Disk, DiskFile};
use crate::error::Result;
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
    /// Short frames on their way to the file; they end at `end`.
    buffer: Vec<u8>,
}

/// Frames up to this length share a write.
const BUFFER_BYTES_MAX: usize = 1 << 20;

impl Writer {
    /// Continues the last segment of `start` where its frames end.
    pub(super) fn resume(disk: Arc<dyn Disk>, start: LogStart) -> Result<Self> {
        let last = start.segments.last();
        let last = last.expect("a log has at least one segment");
        let file = disk.open(&segment::path(last.number))?;
        Ok(Self {
            disk,
            database: start.database,
            timeline: start.timeline,
            segment_bytes_max: start.segment_bytes_max,
            segments: start.segments,
            file,
            end: start.end,
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
                    self.put(frame.seal(*lsn, durable, *timestamp, self.timeline))?;
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
            self.file.write_at(self.offset(self.end), frame)?;
        } else {
            self.buffer.extend_from_slice(frame);
        }
        self.end.0 += frame.len() as u64;
        Ok(())
    }

    fn write_out(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            let at = Lsn(self.end.0 - self.buffer.len() as u64);
            self.file.write_at(self.offset(at), &self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
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
        self.sync()?;
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
