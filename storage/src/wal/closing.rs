//! The closing mark: how far the log went when the database was last closed, and how late it was.
//!
//! ```text
//!   CLOSED
//!   0          36    44         48       56      60
//!   | prologue | lsn | timeline | micros | crc32 |         before there were times: 52 bytes, without micros
//! ```
//!
//! The mark is a file of its own and not the log's last frame, because it shall also bear witness
//! when the log was cut: everything below its position was durable once, so a log that ends before
//! it has been damaged, at whatever byte it ends. The mark stays true when the log goes on, so it is
//! never removed, only replaced at the next close.
//!
//! If we crash: the mark is replaced by rename, so there is the old one or the new one, both true.

use crate::disk::Disk;
use crate::error::Result;
use crate::format::{
    DatabaseId, FileKind, PROLOGUE_LEN, check_crc, check_database, check_prologue, corrupt,
    encode_prologue, install, read_file, u32_at, u64_at,
};
use crate::ids::Lsn;

/// The closing mark's path.
pub const CLOSING_MARK: &str = "CLOSED";
/// Bytes of a closing mark.
pub const CLOSING_MARK_LEN: usize = PROLOGUE_LEN + 24;
/// Bytes of one that does not say how late it was.
const TIMELESS_LEN: usize = PROLOGUE_LEN + 16;

/// A closing mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClosingMark {
    /// Of which database.
    pub database: DatabaseId,
    /// Of which of its histories.
    pub timeline: u32,
    /// The log was durable, and closed, up to here.
    pub lsn: Lsn,
    /// The time of the database, in microseconds since 1970; 0 where an older build wrote it.
    pub micros: i64,
}

impl ClosingMark {
    /// Writes it in place of the one before.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub fn write(&self, disk: &dyn Disk) -> Result<()> {
        let mut bytes = Vec::with_capacity(CLOSING_MARK_LEN);
        bytes.extend(encode_prologue(FileKind::ClosingMark, self.database));
        bytes.extend(self.lsn.0.to_le_bytes());
        bytes.extend(self.timeline.to_le_bytes());
        bytes.extend(self.micros.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        install(disk, CLOSING_MARK, &bytes)
    }

    /// Reads it, whatever history it is of; `None` where the database was never closed.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedFormat`, `Io`.
    pub fn read(disk: &dyn Disk) -> Result<Option<Self>> {
        if !disk.exists(CLOSING_MARK)? {
            return Ok(None);
        }
        let bytes = read_file(disk, CLOSING_MARK, CLOSING_MARK_LEN as u64)?;
        let database = check_prologue(FileKind::ClosingMark, CLOSING_MARK, &bytes)?;
        if ![CLOSING_MARK_LEN, TIMELESS_LEN].contains(&bytes.len()) {
            let expected = format!("{CLOSING_MARK_LEN} bytes");
            let (at, found) = (bytes.len() as u64, format!("{} bytes", bytes.len()));
            return Err(corrupt(CLOSING_MARK, at, expected, found));
        }
        let summed = bytes.len() - 4;
        let stored = u32_at(&bytes, summed);
        check_crc(CLOSING_MARK, summed as u64, &bytes[..summed], stored)?;
        let has_time = bytes.len() == CLOSING_MARK_LEN;
        Ok(Some(Self {
            database,
            timeline: u32_at(&bytes, 44),
            lsn: Lsn(u64_at(&bytes, 36)),
            micros: if has_time {
                u64_at(&bytes, 48) as i64
            } else {
                0
            },
        }))
    }
}

/// How far the log went when this history of a database was last closed; `None` where it never was.
///
/// # Errors
/// As for [`ClosingMark::read`].
pub fn closed_at(disk: &dyn Disk, database: DatabaseId, timeline: u32) -> Result<Option<Lsn>> {
    let Some(mark) = ClosingMark::read(disk)? else {
        return Ok(None);
    };
    check_database(CLOSING_MARK, mark.database, database)?;
    Ok((mark.timeline == timeline).then_some(mark.lsn))
}
