//! An image file: the rows of all tables at one moment.
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
//! `length` counts the whole image, `crc32` covers all of it but itself. A block of much data is
//! written as several images. The manifest holds the file's length and checksum besides, so that a
//! file that lacks an image is no whole file.

use crate::codec::{DecodeError, Decoder, encode_value, put_varint, value_bytes_max};
use crate::disk::{Disk, DiskFile};
use crate::error::Result;
use crate::format::{
    DatabaseId, FileKind, PROLOGUE_LEN, check_database, check_prologue, corrupt, encode_prologue,
    u32_at,
};
use crate::ids::{BLOCK_SLOTS, BlockNo, ColumnId, RowId, Slot, TableId};
use crate::pool::{Ledger, Owner, Reservation};
use crate::value::{Value, ValueRef};
use std::path::Path;
use std::sync::Arc;

use super::manifest::ImageFile;

/// The folder of the images.
pub const FOLDER: &str = "data";
/// Bytes of an image before its columns and rows.
pub const IMAGE_HEADER_LEN: usize = 20;
/// An image that has reached this length is closed and another one of the same block begun.
pub const IMAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes that an image is given room for at first.
const IMAGE_ROOM_MIN: usize = 64 << 10;

/// The path of the image file with that number.
pub fn path(number: u64) -> String {
    format!("{FOLDER}/{number:010}.img")
}

/// The number of the image file with that name; `None` where no image file is called so.
pub fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".img")?;
    let number = digits.parse().ok()?;
    (format!("{number:010}") == digits).then_some(number)
}

/// Writes an image file, row by row.
#[derive(Debug)]
pub struct ImageWriter {
    number: u64,
    file: Arc<dyn DiskFile>,
    offset: u64,
    hasher: crc32fast::Hasher,
    rows: u64,
    /// The image being built: its block, its bytes with the header's place kept free, its rows.
    target: Option<(TableId, BlockNo)>,
    image: Vec<u8>,
    image_rows: u32,
    /// For the image's bytes.
    memory: Reservation,
}

impl ImageWriter {
    /// Begins the image file with that number. Memory is taken from the emergency reserve, if need
    /// be: a full database must be able to write a checkpoint.
    ///
    /// # Errors
    /// `Io`, `DiskFull`, `OutOfMemory`.
    pub fn create(
        disk: &dyn Disk,
        ledger: &Arc<Ledger>,
        database: DatabaseId,
        number: u64,
    ) -> Result<Self> {
        let mut writer = Self {
            number,
            file: disk.create(&path(number))?,
            offset: 0,
            hasher: crc32fast::Hasher::new(),
            rows: 0,
            target: None,
            image: Vec::new(),
            image_rows: 0,
            memory: ledger.reserve(Owner::Log, 0)?,
        };
        writer.write(&encode_prologue(FileKind::Image, database))?;
        Ok(writer)
    }

    /// Adds a row; rows come table by table, in order of their ids, always with the same columns.
    ///
    /// # Errors
    /// `Io`, `DiskFull`, `OutOfMemory`.
    pub fn push<'v>(
        &mut self,
        table: TableId,
        columns: &[ColumnId],
        row: RowId,
        values: impl IntoIterator<Item = ValueRef<'v>, IntoIter: Clone>,
    ) -> Result<()> {
        let values = values.into_iter();
        let target = Some((table, row.block()));
        if self.target != target || self.image.len() >= IMAGE_BYTES_MAX {
            self.end_image()?;
            self.target = target;
            self.make_room(IMAGE_HEADER_LEN + 10 + 10 * columns.len())?;
            self.image.resize(IMAGE_HEADER_LEN, 0);
            put_varint(&mut self.image, columns.len() as u64);
            for column in columns {
                put_varint(&mut self.image, column.0.into());
            }
        }
        let bytes = values.clone().map(value_bytes_max).sum::<usize>();
        self.make_room(10 + bytes)?;
        put_varint(&mut self.image, row.slot().0.into());
        for value in values {
            encode_value(&mut self.image, value);
        }
        self.image_rows += 1;
        Ok(())
    }

    /// Makes sure that `more` bytes fit into the image, and that they are reserved.
    fn make_room(&mut self, more: usize) -> Result<()> {
        let wanted = self.image.len() + more;
        if wanted > self.image.capacity() {
            let room = wanted.max(2 * self.image.capacity()).max(IMAGE_ROOM_MIN);
            self.memory.resize_emergency(room as u64)?;
            self.image.reserve_exact(room - self.image.len());
        }
        Ok(())
    }

    /// Ends the file; it is durable on return, and its name too.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub fn finish(mut self, disk: &dyn Disk) -> Result<ImageFile> {
        self.end_image()?;
        self.file.sync()?;
        disk.sync_dir(FOLDER)?;
        Ok(ImageFile {
            number: self.number,
            bytes: self.offset,
            crc: self.hasher.finalize(),
            rows: self.rows,
        })
    }

    fn end_image(&mut self) -> Result<()> {
        let Some((table, block)) = self.target.take() else {
            return Ok(());
        };
        let mut image = std::mem::take(&mut self.image);
        let length = u32::try_from(image.len()).expect("an image of some values at most");
        image[0..4].copy_from_slice(&length.to_le_bytes());
        image[8..12].copy_from_slice(&table.0.to_le_bytes());
        image[12..16].copy_from_slice(&block.0.to_le_bytes());
        image[16..20].copy_from_slice(&self.image_rows.to_le_bytes());
        let crc = checksum(&image);
        image[4..8].copy_from_slice(&crc.to_le_bytes());
        self.rows += u64::from(self.image_rows);
        self.image_rows = 0;
        self.write(&image)?;
        // A single row may have been of any size.
        if image.capacity() <= 2 * IMAGE_BYTES_MAX {
            image.clear();
            self.image = image;
        } else {
            drop(image);
            self.memory.shrink(0);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_at(self.offset, bytes)?;
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

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
        self.fill(bytes, IMAGE_HEADER_LEN as u64)?;
        let length = u64::from(u32_at(bytes, 0));
        let Some(rest) = length.checked_sub(IMAGE_HEADER_LEN as u64) else {
            let expected = format!("an image of at least {IMAGE_HEADER_LEN} bytes");
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
    let base = start + IMAGE_HEADER_LEN as u64;
    let damaged = |error: DecodeError| error.in_file(Path::new(path), base);
    let (table, block) = (TableId(u32_at(image, 8)), BlockNo(u32_at(image, 12)));
    let mut decoder = Decoder::new(&image[IMAGE_HEADER_LEN..]);
    let columns = decoder.count(1).map_err(damaged)?;
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

fn number(
    decoder: &mut Decoder<'_>,
    most: u64,
    expected: &'static str,
) -> std::result::Result<u64, DecodeError> {
    let offset = decoder.offset();
    match decoder.varint()? {
        number if number <= most => Ok(number),
        number => Err(DecodeError {
            offset,
            expected,
            found: number.to_string(),
        }),
    }
}

/// The checksum over everything but its own four bytes.
fn checksum(image: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&image[..4]);
    hasher.update(&image[8..]);
    hasher.finalize()
}
