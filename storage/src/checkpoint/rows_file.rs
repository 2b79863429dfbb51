//! Image files of builds before there were images by block: one file with the rows of all tables.
//!
//! ```text
//!   data/0000000003.img
//!   0          36
//!   | prologue | image | image | ...
//!
//!   an image: rows of one block
//!   0        4       8       12      16     20
//!   | length | crc32 | table | block | rows | column ids and rows, `length` - 20 bytes |
//!
//!   then: a varint of the number of columns, a varint for each one's id, and for each row the
//!   slot as a varint and a value for each column
//! ```
//!
//! They are read and no longer written. `length` counts the whole image, `crc32` covers all of it but
//! itself. The manifest holds the file's length and checksum besides, so that a file that lacks an image
//! is no whole file.

use super::image::{columns_of, number, path};
use super::manifest::ImageFile;
use crate::codec::{DecodeError, Decoder};
use crate::disk::{Disk, DiskFile};
use crate::error::Result;
use crate::format::{
    DatabaseId, FileKind, PROLOGUE_LEN, check_database, check_prologue, corrupt, u32_at,
};
use crate::ids::{BLOCK_SLOTS, BlockNo, ColumnId, RowId, Slot, TableId};
use crate::value::Value;
use std::path::Path;

/// Bytes of an image before its columns and rows.
pub const ROWS_HEADER_LEN: usize = 20;

/// What is done with a row that was read: its table, its id, its values, and where its image begins
/// in the file.
type Each<'e> = dyn FnMut(TableId, RowId, &[(ColumnId, Value)], u64) -> Result<()> + 'e;

/// Reads the image file of a manifest and gives `each` row to the caller.
///
/// # Errors
/// `Corrupt`, `UnsupportedFormat`, `Io`, and those of `each`.
pub fn read(
    disk: &dyn Disk,
    database: DatabaseId,
    manifest: &ImageFile,
    mut each: impl FnMut(TableId, RowId, &[(ColumnId, Value)], u64) -> Result<()>,
) -> Result<()> {
    let path = path(manifest.number);
    if !disk.exists(&path)? {
        return Err(corrupt(&path, 0, "an image file", "no file"));
    }
    let file = disk.open(&path)?;
    let length = file.len()?;
    if length != manifest.bytes {
        let at = length.min(manifest.bytes);
        let expected = format!("{} bytes", manifest.bytes);
        return Err(corrupt(&path, at, expected, format!("{length} bytes")));
    }
    let mut reader = ImageReader {
        path: &path,
        file: &*file,
        offset: 0,
        length,
        hasher: crc32fast::Hasher::new(),
    };
    let mut bytes = Vec::new();
    reader.fill(&mut bytes, PROLOGUE_LEN as u64)?;
    let found = check_prologue(FileKind::Image, &path, &bytes)?;
    check_database(&path, found, database)?;
    while reader.offset < length {
        let start = reader.offset;
        reader.next_image(&mut bytes)?;
        rows_of(&path, start, &bytes, &mut each)?;
    }
    let crc = reader.hasher.finalize();
    if crc != manifest.crc {
        let (expected, found) = (
            format!("a file of crc32 {:08x}", manifest.crc),
            format!("{crc:08x}"),
        );
        return Err(corrupt(&path, 0, expected, found));
    }
    Ok(())
}

struct ImageReader<'f> {
    path: &'f str,
    file: &'f dyn DiskFile,
    offset: u64,
    length: u64,
    hasher: crc32fast::Hasher,
}

impl ImageReader<'_> {
    /// Reads the next `count` bytes to the end of `bytes`; they must be within the file.
    fn fill(&mut self, bytes: &mut Vec<u8>, count: u64) -> Result<()> {
        let remaining = self.length - self.offset;
        if count > remaining {
            let expected = format!("{count} bytes");
            return Err(corrupt(
                self.path,
                self.offset,
                expected,
                format!("{remaining} bytes up to the end of the file"),
            ));
        }
        let start = bytes.len();
        bytes.resize(start + count as usize, 0);
        self.file.read_at(self.offset, &mut bytes[start..])?;
        self.hasher.update(&bytes[start..]);
        self.offset += count;
        Ok(())
    }

    /// Reads a whole image and checks its sum.
    fn next_image(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let start = self.offset;
        bytes.clear();
        self.fill(bytes, ROWS_HEADER_LEN as u64)?;
        let length = u64::from(u32_at(bytes, 0));
        let Some(rest) = length.checked_sub(ROWS_HEADER_LEN as u64) else {
            let expected = format!("an image of at least {ROWS_HEADER_LEN} bytes");
            return Err(corrupt(
                self.path,
                start,
                expected,
                format!("a length of {length}"),
            ));
        };
        self.fill(bytes, rest)?;
        let (computed, stored) = (checksum(bytes), u32_at(bytes, 4));
        if computed != stored {
            let (expected, found) = (format!("crc32 {computed:08x}"), format!("{stored:08x}"));
            return Err(corrupt(self.path, start + 4, expected, found));
        }
        Ok(())
    }
}

/// Gives the rows of one image to `each`.
fn rows_of(path: &str, start: u64, image: &[u8], each: &mut Each<'_>) -> Result<()> {
    let base = start + ROWS_HEADER_LEN as u64;
    let damaged = |error: DecodeError| error.in_file(Path::new(path), base);
    let (table, block) = (TableId(u32_at(image, 8)), BlockNo(u32_at(image, 12)));
    let mut decoder = Decoder::new(&image[ROWS_HEADER_LEN..]);
    let columns = columns_of(&mut decoder).map_err(damaged)?;
    let mut values = Vec::with_capacity(columns);
    for _ in 0..columns {
        let id = number(&mut decoder, u32::MAX.into(), "a column's id").map_err(damaged)?;
        values.push((ColumnId(id as u32), Value::Null));
    }
    for _ in 0..u32_at(image, 16) {
        let slot = number(&mut decoder, BLOCK_SLOTS as u64 - 1, "a slot").map_err(damaged)?;
        for (_, value) in &mut values {
            *value = decoder.value().map_err(damaged)?.to_owned();
        }
        each(table, RowId::new(block, Slot(slot as u16)), &values, start)?;
    }
    decoder.finish().map_err(damaged)
}

/// The checksum over everything but its own four bytes.
fn checksum(image: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&image[..4]);
    hasher.update(&image[8..]);
    hasher.finalize()
}
