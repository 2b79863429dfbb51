//! One file of the log: its name and the header before its frames.
//!
//! ```text
//!   wal/0000000007.log
//!   0          36       44          52         56      60
//!   | prologue | number | first lsn | timeline | crc32 | frame | frame | ...
//! ```
//!
//! A frame stands at `SEGMENT_HEADER_LEN + (its lsn - first lsn)`: log positions count frames only,
//! so they run on from one segment to the next without a gap.
//!
//! If we crash while a segment is being made: its header is synced before the first frame is
//! written to it, so a header that is not whole means that the segment holds nothing.

use crate::error::Result;
use crate::format::{
    DatabaseId, FileKind, NUMBERS_END, PROLOGUE_LEN, check_crc, check_number, check_prologue,
    corrupt, encode_prologue, u32_at, u64_at,
};
use crate::ids::Lsn;

/// The folder of the segments.
pub const FOLDER: &str = "wal";
/// Bytes before the first frame.
pub const SEGMENT_HEADER_LEN: usize = PROLOGUE_LEN + 24;
/// A segment that has reached this length gets no further batch of frames.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Bytes of the header that its checksum covers.
const SUMMED: usize = SEGMENT_HEADER_LEN - 4;

/// Which part of the log a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// The database.
    pub database: DatabaseId,
    /// The number in the file's name.
    pub number: u64,
    /// The position of the first frame.
    pub first: Lsn,
    /// The history that the frames belong to.
    pub timeline: u32,
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        bytes[..PROLOGUE_LEN].copy_from_slice(&encode_prologue(FileKind::Segment, self.database));
        bytes[36..44].copy_from_slice(&self.number.to_le_bytes());
        bytes[44..52].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.timeline.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..SUMMED]);
        bytes[SUMMED..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// `Corrupt` or `UnsupportedFormat`.
    pub fn decode(path: &str, bytes: &[u8]) -> Result<Self> {
        let database = check_prologue(FileKind::Segment, path, bytes)?;
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEADER_LEN>() else {
            let expected = format!("a segment header of {SEGMENT_HEADER_LEN} bytes");
            return Err(corrupt(path, bytes.len() as u64, expected, "end of file"));
        };
        check_crc(path, SUMMED as u64, &bytes[..SUMMED], u32_at(bytes, SUMMED))?;
        let header = Self {
            database,
            number: u64_at(bytes, 36),
            first: Lsn(u64_at(bytes, 44)),
            timeline: u32_at(bytes, 52),
        };
        check_number(path, 36, "a segment's number", header.number)?;
        check_number(path, 44, "a position in the log", header.first.0)?;
        Ok(header)
    }
}

/// The path of the segment with that number.
pub fn path(number: u64) -> String {
    format!("{FOLDER}/{number:010}.log")
}

/// The number of the segment with that file name; `None` where no segment is called so.
pub fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let number = digits.parse().ok().filter(|number| *number < NUMBERS_END)?;
    (format!("{number:010}") == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(path(7), "wal/0000000007.log");
        assert_eq!(number_of("0000000007.log"), Some(7));
        for foreign in [
            "7.log",
            "+000000007.log",
            "0000000007.log.bak",
            "x.log",
            ".log",
        ] {
            assert_eq!(number_of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn numbers_that_leave_no_room_for_the_next_are_refused() {
        for (number, first) in [(u64::MAX, 0), (1, u64::MAX - 1000)] {
            let header = SegmentHeader {
                database: DatabaseId([3; 16]),
                number,
                first: Lsn(first),
                timeline: 1,
            };
            let read = SegmentHeader::decode("f", &header.encode());
            assert!(
                matches!(read, Err(crate::Error::Corrupt { .. })),
                "{read:?}"
            );
        }
    }

    #[test]
    fn a_flip_anywhere_in_the_header_is_noticed() {
        let header = SegmentHeader {
            database: DatabaseId([3; 16]),
            number: 7,
            first: Lsn(1234),
            timeline: 1,
        };
        let good = header.encode();
        assert_eq!(SegmentHeader::decode("f", &good).expect("good"), header);
        for at in 0..SEGMENT_HEADER_LEN {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(SegmentHeader::decode("f", &bad).is_err(), "flip at {at}");
            assert!(
                SegmentHeader::decode("f", &good[..at]).is_err(),
                "cut at {at}"
            );
        }
    }
}
