//! A frame: one commit in the log, or a part of one. A header, then operations.
//!
//! ```text
//!   0        4       8     16            24          32         36           40
//!   | length | crc32 | lsn | durable lsn | timestamp | timeline | operations | operation ...
//! ```
//!
//! - `length` counts the whole frame; `crc32` covers all of it but itself.
//! - `lsn` is the frame's own position, so a frame that was copied or left over elsewhere does not
//!   pass for one.
//! - `durable lsn` is how far the log was known to be durable when the frame was written: it bears
//!   witness that everything below was once whole (see `recovery`).
//! - The two highest bits of `operations` are none of the number. The highest one says that the operations are
//!   compressed (see `packing`). The next one says that the transaction goes on in the next frame: a large
//!   one is a *run* of frames, one behind the other in one segment, of which the last one, without the bit,
//!   is the commit. A run without its last frame is worth nothing: its frames were written together.
//! - `timestamp` is the commit's, in all frames of a run; timestamps rise from commit to commit. A frame that
//!   only tells where sequences go on is no commit, and has the timestamp of the one before it.

use crate::format::{u32_at, u64_at};
use crate::ids::{Lsn, Timestamp};

/// Bytes before the operations.
pub const FRAME_HEADER_LEN: usize = 40;
/// The longest frame, header included.
pub const FRAME_BYTES_MAX: usize = 1 << 31;
/// The bit of `operations` that says that they are compressed.
pub(super) const PACKED: u32 = 1 << 31;
/// The bit of `operations` that says that the transaction goes on in the next frame. No frame is long enough
/// for so many operations.
pub(super) const GOES_ON: u32 = 1 << 30;

/// What stands before the operations of a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Bytes of the whole frame.
    pub length: u32,
    /// The checksum of all the rest.
    pub crc: u32,
    /// The frame's position.
    pub lsn: Lsn,
    /// How far the log was known to be durable.
    pub durable: Lsn,
    /// The commit's timestamp.
    pub timestamp: Timestamp,
    /// The history the frame belongs to.
    pub timeline: u32,
    /// How many operations follow.
    pub operations: u32,
    /// Whether they are compressed.
    pub is_packed: bool,
    /// Whether the transaction goes on in the next frame.
    pub goes_on: bool,
}

/// Why bytes are not the frame that should be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// Where, counted from the frame's first byte.
    pub at: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Flaw {
    /// Evidence that `found` stands at `at`, where `expected` should.
    pub fn new(at: u64, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            at,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

impl FrameHeader {
    /// Reads a header; whether it is one is told by [`Self::check`] and [`Self::check_sum`].
    pub fn read(bytes: &[u8; FRAME_HEADER_LEN]) -> Self {
        Self {
            length: u32_at(bytes, 0),
            crc: u32_at(bytes, 4),
            lsn: Lsn(u64_at(bytes, 8)),
            durable: Lsn(u64_at(bytes, 16)),
            timestamp: Timestamp(u64_at(bytes, 24)),
            timeline: u32_at(bytes, 32),
            operations: u32_at(bytes, 36) & !(PACKED | GOES_ON),
            is_packed: u32_at(bytes, 36) & PACKED != 0,
            goes_on: u32_at(bytes, 36) & GOES_ON != 0,
        }
    }

    /// Whether the header may stand at `lsn` with `remaining` bytes of file from there on. A length
    /// that passes needs no more memory than the file has bytes.
    pub fn check(&self, lsn: Lsn, timeline: u32, remaining: u64) -> Result<(), Flaw> {
        if self.lsn != lsn {
            return Err(Flaw::new(8, format!("lsn {lsn}"), self.lsn.to_string()));
        }
        let length = u64::from(self.length);
        if length < FRAME_HEADER_LEN as u64 || length > FRAME_BYTES_MAX as u64 || length > remaining
        {
            let most = remaining.min(FRAME_BYTES_MAX as u64);
            let expected = format!("a frame of {FRAME_HEADER_LEN} to {most} bytes");
            return Err(Flaw::new(0, expected, format!("a length of {length}")));
        }
        if self.timeline != timeline {
            let found = self.timeline.to_string();
            return Err(Flaw::new(32, format!("timeline {timeline}"), found));
        }
        Ok(())
    }

    /// Whether the whole frame's bytes have the header's checksum.
    pub fn check_sum(&self, frame: &[u8]) -> Result<(), Flaw> {
        let computed = checksum(frame);
        if computed == self.crc {
            return Ok(());
        }
        let (expected, found) = (format!("crc32 {computed:08x}"), format!("{:08x}", self.crc));
        Err(Flaw::new(4, expected, found))
    }
}

/// What is known of a commit when it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) durable: Lsn,
    pub(crate) timestamp: Timestamp,
    pub(crate) timeline: u32,
}

/// Completes a frame whose first [`FRAME_HEADER_LEN`] bytes are reserved for the header.
pub(super) fn seal(frame: &mut [u8], lsn: Lsn, stamp: Stamp, operations: u32) {
    let length = u32::try_from(frame.len()).expect("the log reserves room for no longer frame");
    frame[0..4].copy_from_slice(&length.to_le_bytes());
    frame[8..16].copy_from_slice(&lsn.0.to_le_bytes());
    frame[16..24].copy_from_slice(&stamp.durable.0.to_le_bytes());
    frame[24..32].copy_from_slice(&stamp.timestamp.0.to_le_bytes());
    frame[32..36].copy_from_slice(&stamp.timeline.to_le_bytes());
    frame[36..40].copy_from_slice(&operations.to_le_bytes());
    let crc = checksum(frame);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// The checksum over everything but its own four bytes.
fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..4]);
    #[cfg(any(test, feature = "sabotage"))]
    if crate::sabotage::is_made(crate::sabotage::Mistake::ShortChecksum) {
        hasher.update(&frame[8..FRAME_HEADER_LEN]);
        return hasher.finalize();
    }
    hasher.update(&frame[8..]);
    hasher.finalize()
}
