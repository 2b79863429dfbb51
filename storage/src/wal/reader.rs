//! Reads one segment, frame by frame, and says what stands where a frame should.
//!
//! Nothing read is trusted before its checksum: a length takes no more memory than the file has
//! bytes, and a frame that is out of place is none.

use super::frame::{FRAME_HEADER_LEN, Flaw, FrameHeader};
use super::packing::unpack;
use super::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::disk::{Disk, DiskFile};
use crate::error::Result;
use crate::format::{corrupt, u32_at, u64_at};
use crate::ids::Lsn;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read at once where frames are shorter.
const WINDOW_BYTES: u64 = 1 << 20;
/// Bytes that are looked at together where one that is not zero is sought.
const PIECE_BYTES: usize = 4 << 10;
/// How many times its own length is read of a segment for frames that are none.
const WASTED_TIMES_MAX: u64 = 64;

/// What stands at the reader's position.
#[derive(Debug)]
pub enum Next<'r> {
    /// A whole frame, and its operations as bytes.
    Frame(FrameHeader, &'r [u8]),
    /// The end of the file, or of what was written to it.
    End,
    /// Something else.
    Flaw(Flaw),
}

/// A segment being read.
#[derive(Debug)]
pub struct SegmentReader {
    path: String,
    file: Arc<dyn DiskFile>,
    length: u64,
    header: SegmentHeader,
    position: Lsn,
    window: Vec<u8>,
    window_at: u64,
    /// Bytes that were read for what looked like frames and was none.
    wasted: u64,
    /// The end of the run that is being read, all of which is whole.
    run_end: Lsn,
    /// Where the last one that was not whole is broken.
    broken_at: Lsn,
    /// The operations of a frame that has them compressed.
    unpacked: Vec<u8>,
    /// The end of what is not zero in the file, once somebody has asked.
    written: Option<u64>,
}

impl SegmentReader {
    /// Where frames begin in the file.
    pub const BEGIN: u64 = SEGMENT_HEADER_LEN as u64;

    /// Opens a segment and checks its header.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedFormat`, `Io`.
    pub fn open(disk: &dyn Disk, number: u64) -> Result<Self> {
        let path = segment::path(number);
        let file = disk.open(&path)?;
        let length = file.len()?;
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        let read = file.read_at(0, &mut bytes)?;
        let header = SegmentHeader::decode(&path, &bytes[..read])?;
        Ok(Self::with_header(path, file, length, header))
    }

    /// Opens a segment whose header cannot be read, as if it said this.
    ///
    /// # Errors
    /// `Io`.
    pub fn open_as(disk: &dyn Disk, header: SegmentHeader) -> Result<Self> {
        let path = segment::path(header.number);
        let file = disk.open(&path)?;
        // One that is shorter than a header has no frames.
        let length = file.len()?.max(Self::BEGIN);
        Ok(Self::with_header(path, file, length, header))
    }

    fn with_header(
        path: String,
        file: Arc<dyn DiskFile>,
        length: u64,
        header: SegmentHeader,
    ) -> Self {
        Self {
            path,
            file,
            length,
            header,
            position: header.first,
            window: Vec::new(),
            window_at: 0,
            wasted: 0,
            run_end: Lsn(0),
            broken_at: Lsn(0),
            unpacked: Vec::new(),
            written: None,
        }
    }

    /// The segment's header.
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// The segment's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file's length.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where the next frame begins.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// The place of a position in the file; `None` where it is below the segment.
    pub fn offset_of(&self, lsn: Lsn) -> Option<u64> {
        let frames = lsn.0.checked_sub(self.header.first.0)?;
        frames.checked_add(SEGMENT_HEADER_LEN as u64)
    }

    /// The place of the next frame in the file.
    pub fn offset(&self) -> u64 {
        self.offset_of(self.position)
            .expect("the reader's position is within its segment")
    }

    /// Goes to a position, which is the beginning of a frame; `false` where the file ends before.
    pub fn seek(&mut self, lsn: Lsn) -> bool {
        let within = self.offset_of(lsn).is_some_and(|at| at <= self.length);
        if within {
            self.position = lsn;
        }
        within
    }

    /// Reads the frame at the position and goes behind it. A flaw leaves the position as it is, and of a run
    /// that is not whole no frame is given. Where nothing
    /// but zeros follow, the file may as well end: they are room for what was not written.
    ///
    /// # Errors
    /// `Io`; `Corrupt` where what is compressed is not, although its checksum is right.
    pub fn advance(&mut self) -> Result<Next<'_>> {
        let offset = self.offset();
        if offset == self.length {
            return Ok(Next::End);
        }
        let header = match self.frame_at(offset)? {
            Ok(header) => header,
            Err(_) if self.written_end(offset)? == offset => return Ok(Next::End),
            Err(flaw) => return Ok(Next::Flaw(flaw)),
        };
        if header.goes_on && self.position >= self.run_end {
            match self.end_of_run(&header, offset)? {
                Ok(end) => self.run_end = end,
                Err(flaw) => return Ok(Next::Flaw(flaw)),
            }
        }
        if header.is_packed {
            self.unpack(&header, offset)?;
        }
        self.position.0 += u64::from(header.length);
        let body = match header.is_packed {
            true => &self.unpacked,
            false => &self.bytes(offset, u64::from(header.length))?[FRAME_HEADER_LEN..],
        };
        Ok(Next::Frame(header, body))
    }

    /// The end of the run that begins with the frame at `offset`, if all its frames are whole.
    fn end_of_run(
        &mut self,
        first: &FrameHeader,
        offset: u64,
    ) -> Result<std::result::Result<Lsn, Flaw>> {
        let mut at = offset + u64::from(first.length);
        loop {
            let flaw = match self.frame_at(at)? {
                Ok(next) if next.timestamp != first.timestamp => {
                    let expected = format!("timestamp {}, as before", first.timestamp);
                    Flaw::new(24, expected, next.timestamp.to_string())
                }
                Ok(next) => {
                    at += u64::from(next.length);
                    if next.goes_on {
                        continue;
                    }
                    return Ok(Ok(self.lsn_at(at)));
                }
                Err(flaw) => flaw,
            };
            self.broken_at = self.lsn_at(at);
            // Told from the run's first byte on.
            let at = flaw.at + (at - offset);
            return Ok(Err(Flaw { at, ..flaw }));
        }
    }

    /// Where a run at the position is not whole: has what is whole at its beginning given all the same, from now
    /// on; `false` where there is nothing.
    pub fn take_run_apart(&mut self) -> bool {
        let has_begun = self.broken_at > self.position;
        self.run_end = self.run_end.max(self.broken_at);
        has_begun
    }

    fn unpack(&mut self, header: &FrameHeader, offset: u64) -> Result<()> {
        let mut unpacked = std::mem::take(&mut self.unpacked);
        let body = &self.bytes(offset, u64::from(header.length))?[FRAME_HEADER_LEN..];
        let done = unpack(body, &mut unpacked);
        self.unpacked = unpacked;
        done.map_err(|flaw| corrupt(&self.path, offset + flaw.at, flaw.expected, flaw.found))
    }

    /// The end of what is not zero, from `offset` on; `offset` where there is nothing.
    ///
    /// # Errors
    /// `Io`.
    pub fn written_end(&mut self, offset: u64) -> Result<u64> {
        if self.written.is_none() {
            self.written = Some(self.find_written_end()?);
        }
        Ok(self.written.unwrap_or_default().max(offset))
    }

    fn find_written_end(&mut self) -> Result<u64> {
        let (mut at, mut end) = (0, 0);
        while at < self.length {
            let bytes = self.bytes(at, WINDOW_BYTES.min(self.length - at))?;
            if let Some(last) = last_written(bytes) {
                end = at + last as u64 + 1;
            }
            at += bytes.len() as u64;
        }
        Ok(end)
    }

    /// Where its last frame may end, so that the next segment begins there: at the end of the file, from which unused
    /// room was cut, or, where that did not come about, behind the last one that can be read on from the first.
    /// The position stays.
    pub fn possible_ends(&mut self) -> [Lsn; 2] {
        let position = self.position;
        self.position = self.header.first;
        while let Ok(Next::Frame(..)) = self.advance() {}
        let behind_last = std::mem::replace(&mut self.position, position);
        [self.lsn_at(self.length), behind_last]
    }

    /// The first whole frame in its place that begins in a part of the file.
    fn whole_frame(&mut self, part: Range<u64>) -> Result<Option<(u64, FrameHeader)>> {
        for at in part {
            if at + FRAME_HEADER_LEN as u64 > self.length {
                break;
            }
            // There are many offsets, and this tells nearly all of them.
            let lsn = self.lsn_at(at);
            let may_be = u64_at(self.bytes(at, FRAME_HEADER_LEN as u64)?, 8) == lsn.0;
            if !may_be {
                continue;
            }
            if let Ok(header) = self.frame_at(at)? {
                return Ok(Some((at, header)));
            }
            self.waste(at)?;
        }
        Ok(None)
    }

    /// Counts the bytes that were read for what looked like a frame at `at` and was none. What was written here
    /// once comes to little of it, however damaged; what was made for it would have us read for days.
    pub(super) fn waste(&mut self, at: u64) -> Result<()> {
        let start = self.bytes(at, FRAME_HEADER_LEN as u64)?;
        let length = u64::from(u32_at(start, 0));
        self.wasted += length.min(self.length - at);
        if self.wasted <= WASTED_TIMES_MAX * self.length {
            return Ok(());
        }
        let found = "the beginnings of many frames, none of which is whole";
        Err(corrupt(&self.path, at, "frames", found))
    }

    /// Whether there is any whole frame in its place. The position stays.
    ///
    /// # Errors
    /// `Io`.
    pub fn has_frames(&mut self) -> Result<bool> {
        let start = SEGMENT_HEADER_LEN as u64;
        let end = self.written_end(start)?;
        Ok(self.whole_frame(start..end)?.is_some())
    }

    /// The position of the first whole frame in its place behind the reader's.
    ///
    /// # Errors
    /// `Io`.
    pub fn whole_behind(&mut self) -> Result<Option<Lsn>> {
        let offset = self.offset();
        let end = self.written_end(offset)?;
        let found = self.whole_frame(offset + 1..end)?;
        Ok(found.map(|(at, _)| self.lsn_at(at)))
    }

    /// The position that the first frame says it has, whole or not; nothing where there is no room for one, or it
    /// is none that a segment can begin with.
    ///
    /// # Errors
    /// `Io`.
    pub fn claimed_first(&mut self) -> Result<Option<Lsn>> {
        if self.length < Self::BEGIN + FRAME_HEADER_LEN as u64 {
            return Ok(None);
        }
        let first = u64_at(self.bytes(Self::BEGIN, FRAME_HEADER_LEN as u64)?, 8);
        let is_possible = first.checked_add(self.length).is_some();
        Ok(is_possible.then_some(Lsn(first)))
    }

    /// Checks the frame at `offset`, which is within the file's length.
    pub(super) fn frame_at(
        &mut self,
        offset: u64,
    ) -> Result<std::result::Result<FrameHeader, Flaw>> {
        let (remaining, timeline) = (self.length - offset, self.header.timeline);
        let lsn = self.lsn_at(offset);
        if remaining < FRAME_HEADER_LEN as u64 {
            let expected = format!("a frame header of {FRAME_HEADER_LEN} bytes");
            return Ok(Err(Flaw::new(remaining, expected, "end of file")));
        }
        let start = self.bytes(offset, FRAME_HEADER_LEN as u64)?;
        let start = start.first_chunk().expect("as many bytes as asked for");
        let header = FrameHeader::read(start);
        if let Err(flaw) = header.check(lsn, timeline, remaining) {
            return Ok(Err(flaw));
        }
        let frame = self.bytes(offset, u64::from(header.length))?;
        Ok(header.check_sum(frame).map(|()| header))
    }

    /// The position of the byte at `offset`.
    pub(super) fn lsn_at(&self, offset: u64) -> Lsn {
        Lsn(self.header.first.0 + (offset - SEGMENT_HEADER_LEN as u64))
    }

    /// Bytes of the file, all of which are within its length.
    pub(super) fn bytes(&mut self, offset: u64, count: u64) -> Result<&[u8]> {
        let window_end = self.window_at + self.window.len() as u64;
        if offset < self.window_at || offset + count > window_end {
            let size = count.max(WINDOW_BYTES).min(self.length - offset);
            self.window.resize(size as usize, 0);
            self.window_at = offset;
            let read = self.file.read_at(offset, &mut self.window)?;
            // A file that shrinks under us reads as zeros, which are no frame.
            self.window[read..].fill(0);
        }
        let from = (offset - self.window_at) as usize;
        Ok(&self.window[from..from + count as usize])
    }
}

/// Where the last byte stands that is not zero.
fn last_written(bytes: &[u8]) -> Option<usize> {
    // Piece by piece, because whether there is any such byte is found out much quicker than where.
    let pieces = bytes.chunks(PIECE_BYTES).enumerate();
    let is_blank = |piece: &[u8]| piece.iter().fold(0, |all, byte| all | byte) == 0;
    let (number, piece) = pieces.rev().find(|(_, piece)| !is_blank(piece))?;
    let last = piece.iter().rposition(|byte| *byte != 0)?;
    Some(number * PIECE_BYTES + last)
}
