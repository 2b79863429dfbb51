//! Findings behind a place where the log has no frame: witnesses, and frames that are out of their places.
//!
//! A crash leaves the log torn: from some byte on anything that was not synced may be missing. Bytes that were
//! inserted, deleted, doubled or moved since look much the same, since every frame behind them is at a byte where its
//! position does not belong. What tells them apart is a whole frame there.
//!
//! **No crash leaves a whole frame out of its place.** The place of a frame is its position less the first position of
//! the segment, behind the header.
//! 1. A segment file is created, and gets its header, before its first frame; nothing else is ever renamed to it, and
//!    its frames are of one history (`segment`, `writer`).
//! 2. Every write to it puts bytes of frames to their places: the writer computes the offset of a write from the
//!    position of what it writes. A batch that found no room is written again, with the same positions
//!    ([`super::condition`]); recovery writes again what stands where it stands.
//! 3. All else that happens to the file changes its length: room ahead is zeros, a torn tail is cut off.
//! 4. A medium may keep any of these, in pieces and in any order, older over newer ([`crate::disk::Medium`]). But a
//!    piece is kept where it was written. So each byte of the file is zero, or belongs there in some version of
//!    the frame that has that place.
//! 5. A frame whose checksum is right and whose position is another one's would have to consist of such bytes. Either
//!    somebody has moved it there, or a frame holds it as a value.
//!
//! For the last reason frames within the extent of a frame that is in its place, but is not whole, do not count;
//! unless one is that which must follow, or a later one after which the log goes on to the end of all that was
//! written. Both can happen where bytes of that frame were deleted. What remains is a torn frame whose header is lost
//! too, and that holds a log as a value, not compressed: that is taken for damage, and has to be salvaged.
//!
//! Whole frames in their places behind a torn one are the torn tail: that is what a crash leaves of a batch.
//!
//! The search is linear in what was written: at every byte a header is compared with what it may be, and checksums are
//! computed where it may be one, for a multiple of the file's length in all. Bytes that were made to look like
//! headers use that up, and the search finds nothing more.

use super::frame::{FRAME_HEADER_LEN, FrameHeader};
use super::reader::SegmentReader;
use super::segment::SEGMENT_BYTES_MAX;
use crate::error::Result;
use crate::ids::{Lsn, Timestamp};

/// How many times its own length is read of a segment for frames that may be out of their places.
const CHECKED_TIMES_MAX: u64 = 16;

/// Findings behind a place where no frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Behind {
    /// The highest durable position that a whole frame in its place bears witness to.
    pub witness: Option<Lsn>,
    /// The first whole frame that is out of its place.
    pub displaced: Option<Displaced>,
}

/// A whole frame that is out of its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Displaced {
    /// Where it stands in the file.
    pub offset: u64,
    /// The position of what belongs there.
    pub expected: Lsn,
    /// Its position.
    pub found: Lsn,
    /// The position behind it.
    pub end: Lsn,
}

/// A frame in its place that is not whole: what it says of its length.
#[derive(Clone, Copy, Default)]
struct Claim {
    /// Where it ends in the file.
    end: u64,
    /// The position of the frame that follows.
    next: Lsn,
}

/// The state of a search.
struct Search {
    /// Where what was written ends.
    end: u64,
    /// The timestamp of the last commit before the place without a frame.
    before: Timestamp,
    claim: Claim,
    /// Bytes whose checksums may still be computed.
    budget: u64,
}

impl SegmentReader {
    /// Looks at everything from the reader's position on, where no frame is, or a run that is not whole; the last
    /// commit before it has the timestamp `before`. The position stays.
    ///
    /// # Errors
    /// `Io`; `Corrupt` where there are the beginnings of many frames in their places, none of which is whole.
    pub fn look_behind(&mut self, before: Timestamp) -> Result<Behind> {
        let offset = self.offset();
        let mut search = Search {
            end: self.written_end(offset)?,
            before,
            claim: Claim::default(),
            budget: CHECKED_TIMES_MAX * self.length(),
        };
        let mut behind = Behind::default();
        let mut at = offset;
        while at < search.end && at + FRAME_HEADER_LEN as u64 <= self.length() {
            let header = self.header_at(at)?;
            let own = self.lsn_at(at);
            if header.lsn == own {
                if let Ok(whole) = self.frame_at(at)? {
                    behind.witness = behind.witness.max(Some(whole.durable));
                    at += u64::from(whole.length);
                    continue;
                }
                self.waste(at)?;
                let (timeline, remaining) = (self.header().timeline, self.length() - at);
                if header.check(own, timeline, remaining).is_ok() {
                    search.claim = Claim {
                        end: at + u64::from(header.length),
                        next: Lsn(own.0 + u64::from(header.length)),
                    };
                }
            } else if self.is_displaced(&header, at, &mut search)? {
                behind.displaced = Some(Displaced {
                    offset: at,
                    expected: own,
                    found: header.lsn,
                    end: Lsn(header.lsn.0 + u64::from(header.length)),
                });
                return Ok(behind);
            }
            at += 1;
        }
        Ok(behind)
    }

    /// Whether what stands there is a whole frame that belongs to another place, and no value of a frame.
    fn is_displaced(&mut self, header: &FrameHeader, at: u64, search: &mut Search) -> Result<bool> {
        if !self.is_plausible(header, at, search.before) || !self.is_whole(header, at, search)? {
            return Ok(false);
        }
        let (claim, length) = (search.claim, u64::from(header.length));
        if at + length > claim.end || header.lsn == claim.next {
            return Ok(true);
        }
        Ok(header.lsn > claim.next && self.goes_to_the_end(at, search)?)
    }

    /// Whether a header may be that of a frame of this history, somewhere.
    fn is_plausible(&self, header: &FrameHeader, at: u64, before: Timestamp) -> bool {
        let length = u64::from(header.length);
        // Where bytes were deleted, frames of the end stand before their places.
        let most = self
            .lsn_at(self.length())
            .0
            .saturating_add(SEGMENT_BYTES_MAX);
        let is_later = header.lsn >= self.position();
        header.timeline == self.header().timeline
            && (FRAME_HEADER_LEN as u64..=self.length() - at).contains(&length)
            && header.operations > 0
            && header.durable <= header.lsn
            && header.lsn.0 <= most
            && header.timestamp < Timestamp::END
            && match is_later {
                true => header.timestamp >= before,
                false => header.timestamp <= before,
            }
    }

    fn is_whole(&mut self, header: &FrameHeader, at: u64, search: &mut Search) -> Result<bool> {
        let length = u64::from(header.length);
        let Some(left) = search.budget.checked_sub(length) else {
            return Ok(false);
        };
        search.budget = left;
        let frame = self.bytes(at, length)?;
        Ok(header.check_sum(frame).is_ok())
    }

    /// Whether whole frames follow, one on the other, up to the end of what was written.
    fn goes_to_the_end(&mut self, at: u64, search: &mut Search) -> Result<bool> {
        let mut at = at;
        let mut next = None;
        while at < search.end {
            if at + FRAME_HEADER_LEN as u64 > self.length() {
                return Ok(false);
            }
            let header = self.header_at(at)?;
            let is_next = next.is_none_or(|next| next == header.lsn);
            if !is_next
                || !self.is_plausible(&header, at, search.before)
                || !self.is_whole(&header, at, search)?
            {
                return Ok(false);
            }
            next = Some(Lsn(header.lsn.0 + u64::from(header.length)));
            at += u64::from(header.length);
        }
        Ok(true)
    }

    fn header_at(&mut self, at: u64) -> Result<FrameHeader> {
        let bytes = self.bytes(at, FRAME_HEADER_LEN as u64)?;
        let bytes = bytes.first_chunk().expect("as many bytes as asked for");
        Ok(FrameHeader::read(bytes))
    }
}
