//! The closing mark: how far the log went when the database was last closed.
//!
//! ```text
//!   CLOSED
//!   0          36    44         48      52
//!   | prologue | lsn | timeline | crc32 |
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
pub const CLOSING_MARK_LEN: usize = PROLOGUE_LEN + 16;

/// Bytes that the checksum covers.
const SUMMED: usize = CLOSING_MARK_LEN - 4;

/// Notes that the log is durable, and closed, up to `lsn`.
///
/// # Errors
/// `Io`, `DiskFull`.
pub fn write(disk: &dyn Disk, database: DatabaseId, timeline: u32, lsn: Lsn) -> Result<()> {
    let mut bytes = [0; CLOSING_MARK_LEN];
    bytes[..PROLOGUE_LEN].copy_from_slice(&encode_prologue(FileKind::ClosingMark, database));
    bytes[36..44].copy_from_slice(&lsn.0.to_le_bytes());
    bytes[44..48].copy_from_slice(&timeline.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..SUMMED]);
    bytes[SUMMED..].copy_from_slice(&crc.to_le_bytes());
    install(disk, CLOSING_MARK, &bytes)
}

/// Reads the mark; `None` where the database was never closed, or not in this history.
///
/// # Errors
/// `Corrupt`, `UnsupportedFormat`, `Io`.
pub fn read(disk: &dyn Disk, database: DatabaseId, timeline: u32) -> Result<Option<Lsn>> {
    let Some((of, closed, lsn)) = read_any(disk)? else {
        return Ok(None);
    };
    check_database(CLOSING_MARK, of, database)?;
    Ok((closed == timeline).then_some(lsn))
}

/// Reads the mark, whatever history it is of: the database, the history and the position.
///
/// # Errors
/// `Corrupt`, `UnsupportedFormat`, `Io`.
pub fn read_any(disk: &dyn Disk) -> Result<Option<(DatabaseId, u32, Lsn)>> {
    if !disk.exists(CLOSING_MARK)? {
        return Ok(None);
    }
    let bytes = read_file(disk, CLOSING_MARK, CLOSING_MARK_LEN as u64)?;
    let database = check_prologue(FileKind::ClosingMark, CLOSING_MARK, &bytes)?;
    if bytes.len() != CLOSING_MARK_LEN {
        let expected = format!("{CLOSING_MARK_LEN} bytes");
        let (at, found) = (bytes.len() as u64, format!("{} bytes", bytes.len()));
        return Err(corrupt(CLOSING_MARK, at, expected, found));
    }
    let stored = u32_at(&bytes, SUMMED);
    check_crc(CLOSING_MARK, SUMMED as u64, &bytes[..SUMMED], stored)?;
    Ok(Some((
        database,
        u32_at(&bytes, 44),
        Lsn(u64_at(&bytes, 36)),
    )))
}
