//! Walks the log from the manifest's position to its end.
//!
//! 1. Check the headers of all segments from the manifest's on; they raise the floor.
//! 2. Walk the frames and give each to the caller.
//! 3. At the first thing that is no frame, look behind it for frames that raise the floor, and for frames that
//!    are out of their places, and decide by [`super::decision`].
//!
//! Invariants
//! - Nothing is written here.
//! - What is given to the caller is an unbroken prefix of the log.

use super::decision::{Case, Standing, decide};
use crate::checkpoint::manifest::Manifest;
use crate::codec::DecodeError;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::{DatabaseId, check_database, corrupt};
use crate::ids::{Lsn, Timestamp};
use crate::wal::frame::{Flaw, FrameHeader};
use crate::wal::segment::{self, SEGMENT_HEADER_LEN};
use crate::wal::{Displaced, Next, SegmentReader, SegmentStart};

/// Where the log ends, and what is behind its end.
#[derive(Debug)]
pub(super) struct LogEnd {
    /// The segments from the manifest's on.
    pub(super) segments: Vec<SegmentStart>,
    /// The end of the last frame.
    pub(super) end: Lsn,
    /// Its place in the last segment.
    pub(super) offset: u64,
    /// Where frames begin, in the last segment, that nothing bears witness to as durable.
    pub(super) doubtful: u64,
    /// The timestamp of the last commit.
    pub(super) timestamp: Timestamp,
    /// Frames given to the caller.
    pub(super) frames: u64,
    /// What is behind the end, if anything.
    pub(super) tail: Option<Tail>,
    /// A last segment that was still being made.
    pub(super) unmade_segment: Option<u64>,
}

/// Bytes behind the end of the log.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) bytes: u64,
    pub(super) because: String,
}

/// A frame, and where its operations stand.
pub(super) struct Found<'r> {
    pub(super) header: FrameHeader,
    pub(super) body: &'r [u8],
    pub(super) path: &'r str,
    pub(super) body_offset: u64,
}

impl Found<'_> {
    /// Where in the file that is which stands at `at` of the operations. Where they are compressed, that is
    /// not known so well.
    pub(super) fn offset_of(&self, at: usize) -> u64 {
        match self.header.is_packed {
            true => self.body_offset,
            false => self.body_offset + at as u64,
        }
    }

    /// The error that operations do not decode.
    pub(super) fn damaged(&self, error: DecodeError) -> Error {
        let at = self.offset_of(error.offset);
        corrupt(self.path, at, error.expected, error.found)
    }
}

/// How far a log is walked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Until {
    /// To its end, which is that of the manifest's history.
    End,
    /// To where a later history begins, if one does.
    NextHistory,
}

/// The log to be walked.
pub(super) struct Scan {
    readers: Vec<SegmentReader>,
    floor: Lsn,
    position: Lsn,
    timestamp: Timestamp,
    frames: u64,
    unmade_segment: Option<(u64, u64)>,
}

impl Scan {
    /// Opens all segments from the manifest's on.
    pub(super) fn open(
        disk: &dyn Disk,
        database: DatabaseId,
        manifest: &Manifest,
        closed_at: Option<Lsn>,
        until: Until,
    ) -> Result<Self> {
        let mut scan = Self {
            readers: Vec::new(),
            floor: manifest.lsn.max(closed_at.unwrap_or_default()),
            position: manifest.lsn,
            timestamp: manifest.timestamp,
            frames: 0,
            unmade_segment: None,
        };
        let names = disk.list(segment::FOLDER)?;
        let numbers = names.iter().filter_map(|name| segment::number_of(name));
        let numbers: Vec<u64> = numbers.filter(|n| *n >= manifest.segment).collect();
        let last = numbers.last().copied().unwrap_or(manifest.segment);
        for number in manifest.segment..=last {
            let path = segment::path(number);
            if numbers.binary_search(&number).is_err() {
                return Err(corrupt(&path, 0, "a segment of the log", "no file"));
            }
            let may_be_unmade = number == last && number != manifest.segment;
            if may_be_unmade && is_unmade(disk, number, manifest.timeline)? {
                let length = disk.open(&path)?.len()?;
                scan.unmade_segment = Some((number, length));
                continue;
            }
            let reader = SegmentReader::open(disk, number)?;
            let is_later = reader.header().timeline > manifest.timeline;
            if until == Until::NextHistory && is_later && number != manifest.segment {
                break;
            }
            check_header(&reader, database, number, manifest.timeline)?;
            scan.floor = scan.floor.max(reader.header().first);
            scan.readers.push(reader);
        }
        let first = &mut scan.readers[0];
        if !first.seek(manifest.lsn) {
            let expected = format!("the frame at position {}", manifest.lsn);
            return Err(corrupt(
                first.path(),
                first.length(),
                expected,
                "end of file",
            ));
        }
        Ok(scan)
    }

    /// Bytes that may be frames.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = |reader: &SegmentReader| reader.length() - reader.offset();
        self.readers.iter().map(bytes).sum()
    }

    /// Walks all frames; `each` sees those that are later than the manifest.
    pub(super) fn run(mut self, mut each: impl FnMut(Found<'_>) -> Result<()>) -> Result<LogEnd> {
        let count = self.readers.len();
        let mut tail = None;
        for at in 0..count {
            let later = self.readers.get(at + 1).map(|next| next.header().first);
            let (case, flaw) = self.walk_segment(at, later, &mut each)?;
            let reader = &mut self.readers[at];
            match case {
                Case::Replay | Case::NextSegment | Case::End => {}
                Case::TornTail => {
                    // Room behind it is no part of it.
                    let offset = reader.offset();
                    tail = Some(Tail {
                        bytes: reader.written_end(offset)? - offset,
                        because: describe(reader, &flaw),
                    });
                }
                Case::Cut | Case::Damage => {
                    let offset = reader.offset() + flaw.at;
                    return Err(corrupt(reader.path(), offset, flaw.expected, flaw.found));
                }
            }
        }
        Ok(self.end(tail))
    }

    /// Walks the frames of one segment up to the first thing that is none, and decides on it.
    fn walk_segment(
        &mut self,
        at: usize,
        later: Option<Lsn>,
        each: &mut impl FnMut(Found<'_>) -> Result<()>,
    ) -> Result<(Case, Flaw)> {
        let reader = &mut self.readers[at];
        let path = reader.path().to_owned();
        loop {
            let (position, offset) = (reader.position(), reader.offset());
            let (mut standing, mut flaw) = match reader.advance()? {
                Next::Frame(header, body) => {
                    let below = later.is_none_or(|first| position < first);
                    if decide(Standing::Whole, later.is_some(), below) != Case::Replay {
                        let flaw = Flaw::new(0, "the end of the segment", "a frame");
                        reader.seek(position);
                        return Ok((Case::Damage, flaw));
                    }
                    let (path, timestamp) = (path.as_str(), header.timestamp);
                    let body_offset = offset + (crate::wal::frame::FRAME_HEADER_LEN as u64);
                    check_order(path, offset, &header, self.timestamp)?;
                    self.timestamp = timestamp;
                    self.position = Lsn(position.0 + u64::from(header.length));
                    self.floor = self.floor.max(header.durable);
                    self.frames += 1;
                    each(Found {
                        header,
                        body,
                        path,
                        body_offset,
                    })?;
                    continue;
                }
                Next::End => (Standing::EndOfFile, None),
                Next::Flaw(flaw) => (Standing::NoFrame, Some(flaw)),
            };
            if standing == Standing::NoFrame && later.is_none() {
                let behind = reader.look_behind(self.timestamp)?;
                self.floor = self.floor.max(behind.witness.unwrap_or_default());
                if let Some(displaced) = behind.displaced {
                    standing = Standing::Displaced;
                    flaw = Some(displaced_flaw(&displaced, offset));
                }
            }
            // A later segment's first position is part of the floor, but what matters here is only
            // whether this segment reaches it.
            let below = position < later.unwrap_or(self.floor);
            let case = decide(standing, later.is_some(), below);
            let expected = format!("the frame at position {position} of {}", self.floor);
            let flaw = flaw.unwrap_or_else(|| Flaw::new(0, expected, "nothing more"));
            return Ok((case, flaw));
        }
    }

    fn end(self, mut tail: Option<Tail>) -> LogEnd {
        let last = self.readers.last().expect("the manifest's segment exists");
        if let (None, Some((number, bytes))) = (&tail, self.unmade_segment) {
            tail = Some(Tail {
                bytes,
                because: format!("{} was still being made", segment::path(number)),
            });
        }
        // Whose floor is below the segment knows nothing of its frames.
        let doubtful = last
            .offset_of(self.floor)
            .unwrap_or(SEGMENT_HEADER_LEN as u64);
        LogEnd {
            segments: self.readers.iter().map(start_of).collect(),
            end: self.position,
            offset: last.offset(),
            doubtful: doubtful.min(last.offset()),
            timestamp: self.timestamp,
            frames: self.frames,
            tail,
            unmade_segment: self.unmade_segment.map(|(number, _)| number),
        }
    }
}

/// The flaw of a frame that is out of its place, told from `offset` on.
pub(super) fn displaced_flaw(displaced: &Displaced, offset: u64) -> Flaw {
    Flaw::new(
        displaced.offset - offset,
        format!("the log at position {}", displaced.expected),
        format!("a whole frame of position {}", displaced.found),
    )
}

/// Whether a segment behind all others holds nothing: its header was never completed, or it is the
/// beginning of a history later than `timeline` that never began.
pub(super) fn is_unmade(disk: &dyn Disk, number: u64, timeline: u32) -> Result<bool> {
    match SegmentReader::open(disk, number) {
        Ok(mut reader) => Ok(reader.header().timeline > timeline && !reader.has_frames()?),
        Err(Error::Corrupt { .. }) => {
            let length = disk.open(&segment::path(number))?.len()?;
            Ok(length <= SEGMENT_HEADER_LEN as u64)
        }
        Err(error) => Err(error),
    }
}

fn start_of(reader: &SegmentReader) -> SegmentStart {
    SegmentStart {
        number: reader.header().number,
        first: reader.header().first,
    }
}

fn describe(reader: &SegmentReader, flaw: &Flaw) -> String {
    format!(
        "{} has no whole frame at byte {}: expected {}, found {}",
        reader.path(),
        reader.offset() + flaw.at,
        flaw.expected,
        flaw.found
    )
}

fn check_header(
    reader: &SegmentReader,
    database: DatabaseId,
    number: u64,
    timeline: u32,
) -> Result<()> {
    let (path, header) = (reader.path(), reader.header());
    check_database(path, header.database, database)?;
    if header.number != number {
        let (expected, found) = (format!("number {number}"), header.number.to_string());
        return Err(corrupt(path, 36, expected, found));
    }
    if header.timeline != timeline {
        let (expected, found) = (format!("timeline {timeline}"), header.timeline.to_string());
        return Err(corrupt(path, 52, expected, found));
    }
    Ok(())
}

/// A frame whose checksum is right and which is yet impossible.
pub(super) fn check_order(
    path: &str,
    offset: u64,
    header: &FrameHeader,
    before: Timestamp,
) -> Result<()> {
    if header.durable > header.lsn {
        let expected = format!("a durable position up to {}", header.lsn);
        return Err(corrupt(
            path,
            offset + 16,
            expected,
            header.durable.to_string(),
        ));
    }
    // What tells of sequences is no commit, and has the timestamp of the one before.
    if header.timestamp < before || header.timestamp >= Timestamp::END {
        return Err(corrupt(
            path,
            offset + 24,
            format!("a timestamp from {before} to {}", Timestamp::END),
            header.timestamp.to_string(),
        ));
    }
    Ok(())
}
