//! Walks a log that is damaged, and gives everything that is whole.
//!
//! ```text
//!   frame | frame | damage ..... | frame | frame | ..   next segment
//!                 ^ lost up to   ^ the next frame that stands in its place, wherever that is
//! ```
//!
//! - Every frame carries its own position, so one that is whole is where it belongs, whatever is before it.
//! - What a crash may leave at the end of the log is dropped, as always; what is missing below the highest
//!   position that something bears witness to is a loss.
//! - A segment whose header is damaged is read as what its number and the segment before it say. One of another
//!   database or history is not read.

use super::losses::Losses;
use super::report::Lost;
use super::scan::{Found, Tail, check_order, displaced_flaw};
use crate::checkpoint::manifest::Manifest;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::{DatabaseId, corrupt};
use crate::ids::{Lsn, Timestamp};
use crate::wal::frame::{FRAME_HEADER_LEN, Flaw};
use crate::wal::segment::{self, SegmentHeader};
use crate::wal::{Next, SegmentReader};

/// A log on its way through.
pub(super) struct LogSalvage<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) database: DatabaseId,
    pub(super) timeline: u32,
    pub(super) losses: &'a Losses,
    /// The highest position that something bears witness to.
    pub(super) floor: Lsn,
    /// Up to here everything was given, or is noted as lost.
    pub(super) position: Lsn,
    /// The timestamp of the last commit.
    pub(super) timestamp: Timestamp,
    /// Frames that were given.
    pub(super) frames: u64,
    /// Damage from the position on, whose end is not known yet.
    damage: Option<Error>,
    /// What a crash has left.
    pub(super) tail: Option<Tail>,
}

impl<'a> LogSalvage<'a> {
    /// From the manifest's position on; the log was closed there, if it was.
    pub(super) fn new(
        disk: &'a dyn Disk,
        database: DatabaseId,
        manifest: &Manifest,
        closed_at: Option<Lsn>,
        losses: &'a Losses,
    ) -> Self {
        Self {
            disk,
            database,
            timeline: manifest.timeline,
            losses,
            floor: manifest.lsn.max(closed_at.unwrap_or_default()),
            position: manifest.lsn,
            timestamp: manifest.timestamp,
            frames: 0,
            damage: None,
            tail: None,
        }
    }

    /// Walks all segments from that number on, and gives each whole frame.
    pub(super) fn run(
        &mut self,
        from: u64,
        mut each: impl FnMut(Found<'_>) -> Result<()>,
    ) -> Result<()> {
        let names = self.disk.list(segment::FOLDER)?;
        let numbers = names.iter().filter_map(|name| segment::number_of(name));
        let mut readers = Vec::new();
        for number in numbers.filter(|number| *number >= from) {
            let opened = self.open(number, readers.last_mut())?;
            readers.extend(opened);
        }
        let count = readers.len();
        for (at, mut reader) in readers.into_iter().enumerate() {
            let first = reader.header().first;
            self.floor = self.floor.max(first);
            if first > self.position {
                self.lost_up_to(first, reader.path())?;
            }
            self.damage = None;
            if reader.seek(self.position) {
                self.walk(&mut reader, at + 1 == count, &mut each)?;
            }
            // Used where something should follow, and does not.
            let expected = format!("the frame at position {}", self.position);
            let ended = || corrupt(reader.path(), reader.length(), expected, "end of file");
            self.damage.get_or_insert_with(ended);
        }
        if self.position < self.floor {
            self.lost_up_to(self.floor, segment::FOLDER)?;
        }
        Ok(())
    }

    /// Opens a segment of this history, as well as that can be done.
    fn open(
        &mut self,
        number: u64,
        before: Option<&mut SegmentReader>,
    ) -> Result<Option<SegmentReader>> {
        let opened = SegmentReader::open(self.disk, number);
        let error = match opened {
            Ok(reader) => {
                let header = *reader.header();
                let is_ours = header.database == self.database && header.timeline == self.timeline;
                if is_ours && header.number == number {
                    return Ok(Some(reader));
                }
                let found = format!("timeline {}, database {}", header.timeline, header.database);
                let error = corrupt(reader.path(), 0, "a segment of this history", found);
                let end = Lsn(header.first.0 + (reader.length() - SegmentReader::BEGIN));
                let what = match header.database == self.database && header.first < end {
                    true => Lost::Log(header.first..end),
                    false => Lost::Nothing,
                };
                self.losses.note(error, what)?;
                return Ok(None);
            }
            Err(error) => error,
        };
        self.losses.note(error, Lost::Nothing)?;
        // No header: it begins where the one before ends. Where that is not known its first frame tells.
        let ends = match before {
            Some(before) => before.possible_ends(),
            None => [self.position; 2],
        };
        let assumed = |first| SegmentHeader {
            database: self.database,
            number,
            first,
            timeline: self.timeline,
        };
        for end in ends {
            let mut reader = SegmentReader::open_as(self.disk, assumed(end))?;
            if reader.has_frames()? {
                return Ok(Some(reader));
            }
        }
        let Some(first) =
            SegmentReader::open_as(self.disk, assumed(self.position))?.claimed_first()?
        else {
            return Ok(None);
        };
        let mut reader = SegmentReader::open_as(self.disk, assumed(first))?;
        Ok(reader.has_frames()?.then_some(reader))
    }

    fn walk(
        &mut self,
        reader: &mut SegmentReader,
        is_last: bool,
        each: &mut impl FnMut(Found<'_>) -> Result<()>,
    ) -> Result<()> {
        let path = reader.path().to_owned();
        loop {
            let (position, offset) = (reader.position(), reader.offset());
            let mut flaw = match reader.advance() {
                Ok(Next::Frame(header, body)) => {
                    let next = Lsn(position.0 + u64::from(header.length));
                    match check_order(&path, offset, &header, self.timestamp) {
                        Ok(()) => {
                            self.timestamp = header.timestamp;
                            self.floor = self.floor.max(header.durable);
                            self.frames += 1;
                            let (path, body_offset) = (&*path, offset + FRAME_HEADER_LEN as u64);
                            each(Found {
                                header,
                                body,
                                path,
                                body_offset,
                            })?;
                        }
                        Err(error) => self.losses.note(error, Lost::Log(position..next))?,
                    }
                    self.position = next;
                    continue;
                }
                Ok(Next::End) => return Ok(()),
                Ok(Next::Flaw(flaw)) => flaw,
                Err(error) => {
                    self.damage = Some(error);
                    return Ok(());
                }
            };
            if is_last && !self.is_lost(reader, position, &mut flaw)? {
                self.tail = Some(Tail {
                    bytes: reader.written_end(offset)? - offset,
                    because: describe(&path, offset, &flaw),
                });
                return Ok(());
            }
            if reader.take_run_apart() {
                // A part of a transaction that was durable once is better than nothing of it.
                continue;
            }
            let (at, expected) = (offset + flaw.at, flaw.expected);
            self.damage = Some(corrupt(&path, at, expected, flaw.found));
            let Some(next) = reader.whole_behind()? else {
                return Ok(());
            };
            self.lost_up_to(next, &path)?;
            reader.seek(next);
        }
    }

    /// Whether what is no frame in the last segment was one once. A frame that is out of its place says so, and
    /// how far the log went.
    fn is_lost(
        &mut self,
        reader: &mut SegmentReader,
        position: Lsn,
        flaw: &mut Flaw,
    ) -> Result<bool> {
        if position < self.floor {
            return Ok(true);
        }
        let behind = reader.look_behind(self.timestamp)?;
        self.floor = self.floor.max(behind.witness.unwrap_or_default());
        if let Some(displaced) = behind.displaced {
            self.floor = self.floor.max(displaced.end);
            *flaw = displaced_flaw(&displaced, reader.offset());
            if position >= self.floor {
                // It was given before, from its place.
                let at = displaced.offset;
                let error = corrupt(reader.path(), at, &flaw.expected, &flaw.found);
                self.losses.note(error, Lost::Nothing)?;
            }
        }
        Ok(position < self.floor)
    }

    /// Everything from the position up to there is lost, for the damage that was found or because it is not
    /// there.
    fn lost_up_to(&mut self, end: Lsn, path: &str) -> Result<()> {
        let range = self.position..end;
        let missing = || {
            let expected = format!("the log from position {} on", range.start);
            corrupt(path, 0, expected, "nothing")
        };
        let damage = self.damage.take().unwrap_or_else(missing);
        self.position = end;
        self.losses.note(damage, Lost::Log(range))
    }
}

fn describe(path: &str, offset: u64, flaw: &Flaw) -> String {
    format!(
        "{path} has no whole frame at byte {}: expected {}, found {}",
        offset + flaw.at,
        flaw.expected,
        flaw.found
    )
}
