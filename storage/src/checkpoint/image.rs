//! Images: what blocks hold, in data files that later checkpoints go on referring to.
//!
//! ```text
//!   data/0000000003.img
//!   0          36
//!   | prologue | image | image | ...           back to back, of any tables and blocks
//!
//!   an image
//!   0        8       12     13       14  16      20      24     28          36     44    52
//!   | length | crc32 | kind | packed | 0 | table | block | rows | timestamp | base | raw | body
//! ```
//!
//! `length` counts the whole image, `crc32` covers all of it but itself. `rows` are those in the body,
//! `timestamp` is that of the checkpoint that wrote it. `raw` is the length of the body when it is
//! unpacked (lz4, where `packed` is 1).
//!
//! What a block holds is its images, one applied after the other:
//! - *frozen*: the rows of the block as encoded columns, as in a frozen block ([`Frozen::encoded`]). Always
//!   the first one.
//! - *rows*: rows by slot. Each takes the place of what is in its slot.
//! - *delta*: rows as well, and besides which slots of the block are live: all others are not. The last
//!   image of a set that leaves out what an earlier image has: `base` is the timestamp of the first image
//!   of the block.
//!
//! ```text
//!   body of rows    columns | id .. | slot values .. | slot values .. |
//!   body of a delta the same, then the live slots as in frozen blocks
//! ```
//!
//! Columns, ids and slots are varints. A block of much data has several images of rows.

use crate::block::frozen::{Frozen, read_live};
use crate::codec::{DecodeError, Decoder};
use crate::error::Result;
use crate::format::{NUMBERS_END, corrupt, u32_at, u64_at};
use crate::ids::{BLOCK_SLOTS, BlockNo, ColumnId, Slot, TableId, Timestamp};
use crate::limits::COLUMNS_MAX;
use crate::pool::{Ledger, Owner, Reservation};
use crate::succinct::BitVector;
use crate::value::ValueRef;
use crate::wal::RowValues;
use std::path::Path;
use std::sync::Arc;

/// The folder of the images.
pub const FOLDER: &str = "data";
/// Bytes of an image before its body.
pub const IMAGE_HEADER_LEN: usize = 52;
/// An image of rows that has reached this length is closed and another one of the same block begun.
pub const IMAGE_BYTES_MAX: usize = 1 << 20;
/// Bodies that are longer are not packed: this is far below what lz4 can do.
pub(super) const PACKED_FROM_MAX: usize = 1 << 30;
/// No body becomes so many times shorter.
const PACKED_TIMES_MAX: u64 = 256;

/// The path of the data file with that number.
pub fn path(number: u64) -> String {
    format!("{FOLDER}/{number:010}.img")
}

/// The number of the data file with that name; `None` where no data file is called so.
pub fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".img")?;
    let number = digits.parse().ok().filter(|number| *number < NUMBERS_END)?;
    (format!("{number:010}") == digits).then_some(number)
}

/// What an image is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageKind {
    /// Rows by slot.
    Rows = 1,
    /// Encoded columns.
    Frozen = 2,
    /// Rows by slot, and which slots are live.
    Delta = 3,
}

impl ImageKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Rows, Self::Frozen, Self::Delta];

    /// The kind of that number.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What stands before the body of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageHeader {
    /// Bytes of the image.
    pub length: u64,
    /// What it is.
    pub kind: ImageKind,
    /// Whether its body is packed.
    pub packed: bool,
    /// The table.
    pub table: TableId,
    /// The block.
    pub block: BlockNo,
    /// Rows in it.
    pub rows: u32,
    /// When it was written: all its rows were committed by then.
    pub timestamp: Timestamp,
    /// The same of the block's first image.
    pub base: Timestamp,
    /// Bytes of the body, unpacked.
    pub raw: u64,
}

impl ImageHeader {
    /// Its bytes; the place of the checksum is left zero.
    pub fn encode(&self) -> [u8; IMAGE_HEADER_LEN] {
        let mut bytes = [0; IMAGE_HEADER_LEN];
        bytes[0..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[12] = self.kind as u8;
        bytes[13] = self.packed.into();
        bytes[16..20].copy_from_slice(&self.table.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.block.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.rows.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.timestamp.0.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.base.0.to_le_bytes());
        bytes[44..52].copy_from_slice(&self.raw.to_le_bytes());
        bytes
    }

    /// Reads it from the beginning of an image that stands at `offset` of a file.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn decode(path: &str, offset: u64, bytes: &[u8; IMAGE_HEADER_LEN]) -> Result<Self> {
        let kind = ImageKind::from_byte(bytes[12]).ok_or_else(|| {
            let found = bytes[12].to_string();
            corrupt(path, offset + 12, "a kind of image", found)
        })?;
        if bytes[13] > 1 || bytes[14..16] != [0, 0] {
            let found = bytes[13..16].escape_ascii().to_string();
            return Err(corrupt(path, offset + 13, "whether it is packed", found));
        }
        Ok(Self {
            length: u64_at(bytes, 0),
            kind,
            packed: bytes[13] == 1,
            table: TableId(u32_at(bytes, 16)),
            block: BlockNo(u32_at(bytes, 20)),
            rows: u32_at(bytes, 24),
            timestamp: Timestamp(u64_at(bytes, 28)),
            base: Timestamp(u64_at(bytes, 36)),
            raw: u64_at(bytes, 44),
        })
    }
}

/// The checksum over everything but its own four bytes.
pub fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..8]);
    hasher.update(&header[12..]);
    hasher.update(body);
    hasher.finalize()
}

/// The bytes of an image, which match their checksum, and their memory.
#[derive(Debug)]
pub struct Image {
    /// What stands before the body.
    pub header: ImageHeader,
    /// All of it.
    pub bytes: Vec<u8>,
    unpacked: Option<Vec<u8>>,
    place: (String, u64),
    _memory: Reservation,
}

impl Image {
    /// Checks the bytes of an image that stand at `offset` of a file, and unpacks its body. `memory` is
    /// that of the bytes.
    ///
    /// # Errors
    /// `Corrupt`, `OutOfMemory`.
    pub fn check(path: &str, offset: u64, bytes: Vec<u8>, mut memory: Reservation) -> Result<Self> {
        let Some(first) = bytes.first_chunk::<IMAGE_HEADER_LEN>() else {
            let expected = format!("an image of at least {IMAGE_HEADER_LEN} bytes");
            return Err(corrupt(
                path,
                offset,
                expected,
                format!("{} bytes", bytes.len()),
            ));
        };
        let (computed, stored) = (
            checksum(first, &bytes[IMAGE_HEADER_LEN..]),
            u32_at(first, 8),
        );
        if computed != stored {
            let (expected, found) = (format!("crc32 {computed:08x}"), format!("{stored:08x}"));
            return Err(corrupt(path, offset + 8, expected, found));
        }
        let header = ImageHeader::decode(path, offset, first)?;
        if header.length != bytes.len() as u64 {
            let expected = format!("a length of {}", bytes.len());
            return Err(corrupt(path, offset, expected, header.length.to_string()));
        }
        let packed = &bytes[IMAGE_HEADER_LEN..];
        let unpacked = match header.packed {
            true => Some(unpack(path, offset, packed, header.raw, &mut memory)?),
            false if header.raw == packed.len() as u64 => None,
            false => {
                let expected = format!("a body of {} bytes", packed.len());
                return Err(corrupt(path, offset + 44, expected, header.raw.to_string()));
            }
        };
        Ok(Self {
            header,
            bytes,
            unpacked,
            place: (path.to_owned(), offset),
            _memory: memory,
        })
    }

    /// Reserves the memory of an image of so many bytes.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn reserve(ledger: &Arc<Ledger>, length: u64) -> Result<Reservation> {
        ledger.reserve(Owner::Log, length)
    }

    /// Its body, unpacked.
    pub fn body(&self) -> &[u8] {
        match &self.unpacked {
            Some(body) => body,
            None => &self.bytes[IMAGE_HEADER_LEN..],
        }
    }

    /// What is wrong in the body, as damage of the file. Offsets in a packed body are those of its image.
    pub fn damaged(&self, error: DecodeError) -> crate::Error {
        let (path, offset) = &self.place;
        let within = match self.unpacked {
            Some(_) => DecodeError { offset: 0, ..error },
            None => error,
        };
        within.in_file(Path::new(path), offset + IMAGE_HEADER_LEN as u64)
    }

    /// What is in it does not fit what it is said to be of.
    pub fn misfit(&self, found: String) -> crate::Error {
        let (path, offset) = &self.place;
        corrupt(path, *offset, "what fits the table", found)
    }

    /// Its rows, if it is of these.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn rows(&self) -> Result<RowReader<'_>> {
        let damaged = |error| self.damaged(error);
        let mut decoder = Decoder::new(self.body());
        let count = columns_of(&mut decoder).map_err(damaged)?;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let id = number(&mut decoder, u32::MAX.into(), "a column's id").map_err(damaged)?;
            values.push((ColumnId(id as u32), ValueRef::Null));
        }
        Ok(RowReader {
            image: self,
            decoder,
            values,
            left: self.header.rows,
        })
    }

    /// The encoded columns of a frozen block.
    ///
    /// # Errors
    /// `Corrupt`, `OutOfMemory`.
    pub fn frozen(&self, pool: &Arc<crate::pool::Pool>) -> Result<Frozen> {
        let (path, offset) = &self.place;
        let base = offset + IMAGE_HEADER_LEN as u64;
        Frozen::decode(pool, self.body(), Path::new(path), base)
    }
}

/// Reads the rows of an image one after the other.
#[derive(Debug)]
pub struct RowReader<'i> {
    image: &'i Image,
    decoder: Decoder<'i>,
    /// Of the row that was read last.
    values: Vec<(ColumnId, ValueRef<'i>)>,
    left: u32,
}

impl<'i> RowReader<'i> {
    /// The columns that each row has a value of, in this order.
    pub fn columns(&self) -> impl Iterator<Item = ColumnId> {
        self.values.iter().map(|(column, _)| *column)
    }

    /// The next row: its slot and its values.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn next_row(&mut self) -> Result<Option<(Slot, &RowValues<'i>)>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let slot = self.read_row().map_err(|error| self.image.damaged(error))?;
        Ok(Some((slot, &self.values)))
    }

    fn read_row(&mut self) -> std::result::Result<Slot, DecodeError> {
        let slot = number(&mut self.decoder, BLOCK_SLOTS as u64 - 1, "a slot")?;
        for (_, value) in &mut self.values {
            *value = self.decoder.value()?;
        }
        Ok(Slot(slot as u16))
    }

    /// The slots that are live, if the image says so. To be called behind the last row.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn finish(mut self) -> Result<Option<BitVector>> {
        let damaged = |error| self.image.damaged(error);
        let live = match self.image.header.kind {
            ImageKind::Delta => Some(read_live(&mut self.decoder).map_err(damaged)?),
            ImageKind::Rows | ImageKind::Frozen => None,
        };
        self.decoder.finish().map_err(damaged)?;
        Ok(live)
    }
}

fn unpack(
    path: &str,
    offset: u64,
    packed: &[u8],
    raw: u64,
    memory: &mut Reservation,
) -> Result<Vec<u8>> {
    let wrong = |found: String| {
        let expected = format!("{raw} packed bytes");
        corrupt(path, offset + IMAGE_HEADER_LEN as u64, expected, found)
    };
    if raw > PACKED_TIMES_MAX * packed.len() as u64 {
        return Err(wrong(format!("{} bytes", packed.len())));
    }
    memory.resize(memory.bytes() + raw)?;
    let mut body = vec![0; raw as usize];
    match lz4_flex::block::decompress_into(packed, &mut body) {
        Ok(length) if length as u64 == raw => Ok(body),
        Ok(length) => Err(wrong(format!("{length}"))),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// How many columns the rows of an image have.
pub(super) fn columns_of(decoder: &mut Decoder<'_>) -> std::result::Result<usize, DecodeError> {
    let columns = number(decoder, COLUMNS_MAX as u64, "columns of a table")?;
    Ok(columns as usize)
}

pub(super) fn number(
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
