//! Writing images into the data file of a checkpoint.
//!
//! The file is made with the first image; a checkpoint that finds nothing changed has none. One image is
//! in memory at a time, with its packed form; an image of frozen columns is written from where it is.

use super::image::{
    FOLDER, IMAGE_BYTES_MAX, IMAGE_HEADER_LEN, ImageHeader, ImageKind, PACKED_FROM_MAX, checksum,
    path,
};
use super::list::ImageRef;
use crate::block::frozen::put_live;
use crate::codec::{encode_value, put_varint, value_bytes_max};
use crate::disk::{Disk, DiskFile};
use crate::error::Result;
use crate::format::{DatabaseId, FileKind, PROLOGUE_LEN, encode_prologue};
use crate::ids::{BlockNo, ColumnId, Slot, TableId, Timestamp};
use crate::pool::{Ledger, Owner, Reservation};
use crate::succinct::BitVector;
use crate::value::ValueRef;
use std::sync::Arc;

/// Bytes that an image is given room for at first.
const IMAGE_ROOM_MIN: usize = 64 << 10;
/// A body is written packed where that saves one byte in so many.
const SAVES_ONE_IN: usize = 8;
/// The most bytes that tell which slots are live.
const LIVE_BYTES_MAX: usize = 16 + crate::ids::BLOCK_SLOTS / 8;

/// The block whose images are being written.
#[derive(Clone, Copy, Debug)]
struct Target {
    table: TableId,
    block: BlockNo,
    /// When its first image was written.
    base: Timestamp,
}

/// A moment in the writing, to which it can go back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    offset: u64,
    images: usize,
}

/// Writes the data file of one checkpoint.
#[derive(Debug)]
pub(super) struct ImageWriter<'d> {
    disk: &'d dyn Disk,
    database: DatabaseId,
    number: u64,
    timestamp: Timestamp,
    file: Option<Arc<dyn DiskFile>>,
    offset: u64,
    /// Where the file ends: further on, where the writer has gone back.
    end: u64,
    target: Option<Target>,
    /// The image being built: its bytes with the header's place kept free, and its rows.
    image: Vec<u8>,
    image_rows: u32,
    packed: Vec<u8>,
    /// For both.
    memory: Reservation,
    /// What was written.
    images: Vec<ImageRef>,
}

impl<'d> ImageWriter<'d> {
    /// Will write the data file with that number for the checkpoint of that timestamp. Memory is taken from
    /// the emergency reserve, if need be: a full database must be able to write a checkpoint.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn new(
        disk: &'d dyn Disk,
        ledger: &Arc<Ledger>,
        database: DatabaseId,
        number: u64,
        timestamp: Timestamp,
    ) -> Result<Self> {
        Ok(Self {
            disk,
            database,
            number,
            timestamp,
            file: None,
            offset: 0,
            end: 0,
            target: None,
            image: Vec::new(),
            image_rows: 0,
            packed: Vec::new(),
            memory: ledger.reserve(Owner::Log, 0)?,
            images: Vec::new(),
        })
    }

    /// The images that were written so far.
    pub(super) fn images(&self) -> &[ImageRef] {
        &self.images
    }

    /// Bytes that were written so far, and are not forgotten.
    pub(super) fn bytes(&self) -> u64 {
        if self.images.is_empty() {
            0
        } else {
            self.offset
        }
    }

    /// This moment. No image is being built.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            offset: self.offset,
            images: self.images.len(),
        }
    }

    /// Bytes that were written since a moment, or wait to be.
    pub(super) fn bytes_since(&self, mark: Mark) -> u64 {
        self.offset - mark.offset + self.image.len() as u64
    }

    /// Forgets what was written since a moment.
    pub(super) fn rewind(&mut self, mark: Mark) {
        // A file that was begun keeps its prologue.
        self.offset = mark.offset.max(self.offset.min(PROLOGUE_LEN as u64));
        self.images.truncate(mark.images);
        self.image.clear();
        self.image_rows = 0;
    }

    /// Lets others go on. To be called between blocks, while nothing of one is held.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub(super) fn breathe(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.breathe())
    }

    /// From now on the images are of that block. `base` is when its first image was written, if that is
    /// an earlier one that stays.
    pub(super) fn begin(&mut self, table: TableId, block: BlockNo, base: Option<Timestamp>) {
        debug_assert_eq!(self.image_rows, 0, "the block before was ended");
        self.target = Some(Target {
            table,
            block,
            base: base.unwrap_or(self.timestamp),
        });
    }

    /// Writes the encoded columns of the block, of so many rows.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub(super) fn encoded(&mut self, body: &[u8], rows: usize) -> Result<()> {
        let rows = rows as u32;
        let mut header = self.header(ImageKind::Frozen, body.len(), rows);
        header.length = (IMAGE_HEADER_LEN + body.len()) as u64;
        self.emit(&header, &mut header.encode(), body, rows)
    }

    /// Adds a row of the block.
    ///
    /// # Errors
    /// `Io`, `DiskFull`, `OutOfMemory`.
    pub(super) fn row<'v>(
        &mut self,
        columns: &[ColumnId],
        slot: Slot,
        values: impl IntoIterator<Item = ValueRef<'v>, IntoIter: Clone>,
    ) -> Result<()> {
        if self.image.len() >= IMAGE_BYTES_MAX {
            self.end_image(ImageKind::Rows, 0)?;
        }
        self.begin_image(columns)?;
        let values = values.into_iter();
        let bytes = values.clone().map(value_bytes_max).sum::<usize>();
        self.make_room(10 + bytes)?;
        put_varint(&mut self.image, slot.0.into());
        for value in values {
            encode_value(&mut self.image, value);
        }
        self.image_rows += 1;
        Ok(())
    }

    /// Ends a set of images of rows: the block has so many rows with them.
    ///
    /// # Errors
    /// `Io`, `DiskFull`, `OutOfMemory`.
    pub(super) fn end_rows(&mut self, rows: u32) -> Result<()> {
        match self.image_rows {
            0 => Ok(()),
            _ => self.end_image(ImageKind::Rows, rows),
        }
    }

    /// Ends a delta: of the slots of the block these are live, and all others are not.
    ///
    /// # Errors
    /// As [`Self::end_rows`].
    pub(super) fn end_delta(&mut self, columns: &[ColumnId], live: &BitVector) -> Result<()> {
        self.begin_image(columns)?;
        self.make_room(LIVE_BYTES_MAX)?;
        put_live(live, &mut self.image);
        self.end_image(ImageKind::Delta, live.ones() as u32)
    }

    /// Begins an image of rows, unless one is begun.
    fn begin_image(&mut self, columns: &[ColumnId]) -> Result<()> {
        if !self.image.is_empty() {
            return Ok(());
        }
        self.make_room(IMAGE_HEADER_LEN + 10 + 10 * columns.len())?;
        self.image.resize(IMAGE_HEADER_LEN, 0);
        put_varint(&mut self.image, columns.len() as u64);
        for column in columns {
            put_varint(&mut self.image, column.0.into());
        }
        Ok(())
    }

    /// Makes sure that `more` bytes fit into the image, and that they are reserved.
    fn make_room(&mut self, more: usize) -> Result<()> {
        let wanted = self.image.len() + more;
        if wanted > self.image.capacity() {
            let room = wanted.max(2 * self.image.capacity()).max(IMAGE_ROOM_MIN);
            self.reserve(room, self.packed.capacity())?;
            self.image.reserve_exact(room - self.image.len());
        }
        Ok(())
    }

    fn reserve(&mut self, image: usize, packed: usize) -> Result<()> {
        self.memory.resize_emergency((image + packed) as u64)
    }

    fn header(&self, kind: ImageKind, raw: usize, rows: u32) -> ImageHeader {
        let target = self.target.expect("a block was begun");
        ImageHeader {
            length: 0,
            kind,
            packed: false,
            table: target.table,
            block: target.block,
            rows,
            timestamp: self.timestamp,
            base: target.base,
            raw: raw as u64,
        }
    }

    /// Writes the image of rows that was built; the block has so many `rows` with it.
    fn end_image(&mut self, kind: ImageKind, rows: u32) -> Result<()> {
        let mut image = std::mem::take(&mut self.image);
        let raw = image.len() - IMAGE_HEADER_LEN;
        let rows_in_it = std::mem::take(&mut self.image_rows);
        let mut header = self.header(kind, raw, rows_in_it);
        let mut packed = std::mem::take(&mut self.packed);
        let length = self.pack(&image, image.capacity(), &mut packed)?;
        header.packed = length.is_some();
        let whole = match length {
            Some(length) => &mut packed[..length],
            None => &mut image[..],
        };
        header.length = whole.len() as u64;
        let (first, body) = whole.split_at_mut(IMAGE_HEADER_LEN);
        first.copy_from_slice(&header.encode());
        let image_ref = self.refer(&header, first, body, rows);
        self.write(whole)?;
        self.images.push(image_ref);
        // A single row may have been of any size.
        if image.capacity() <= 2 * IMAGE_BYTES_MAX {
            image.clear();
            (self.image, self.packed) = (image, packed);
        } else {
            drop((image, packed));
            self.memory.shrink(0);
        }
        Ok(())
    }

    /// Packs an image, for which `held` bytes are taken, and returns the length of the result where that
    /// pays.
    fn pack(&mut self, image: &[u8], held: usize, packed: &mut Vec<u8>) -> Result<Option<usize>> {
        let body = &image[IMAGE_HEADER_LEN..];
        if body.len() > PACKED_FROM_MAX {
            return Ok(None);
        }
        let room = IMAGE_HEADER_LEN + lz4_flex::block::get_maximum_output_size(body.len());
        if room > packed.len() {
            self.reserve(held, room)?;
            packed.resize(room, 0);
        }
        let target = &mut packed[IMAGE_HEADER_LEN..room];
        let length = lz4_flex::block::compress_into(body, target).expect("there is room for all");
        let pays = length < body.len() - body.len() / SAVES_ONE_IN;
        Ok(pays.then_some(IMAGE_HEADER_LEN + length))
    }

    /// Completes the header, and says what the image is.
    fn refer(&self, header: &ImageHeader, first: &mut [u8], body: &[u8], rows: u32) -> ImageRef {
        let crc = checksum(first, body);
        first[8..12].copy_from_slice(&crc.to_le_bytes());
        let mut hasher = blake3::Hasher::new();
        hasher.update(first);
        hasher.update(body);
        ImageRef {
            table: header.table,
            block: header.block,
            kind: header.kind,
            file: self.number,
            // An empty file gets its prologue first.
            offset: self.offset.max(PROLOGUE_LEN as u64),
            length: header.length,
            rows,
            timestamp: header.timestamp,
            crc,
            hash: hasher.finalize().into(),
        }
    }

    fn emit(
        &mut self,
        header: &ImageHeader,
        first: &mut [u8],
        body: &[u8],
        rows: u32,
    ) -> Result<()> {
        let image_ref = self.refer(header, first, body, rows);
        self.write(first)?;
        self.write(body)?;
        self.images.push(image_ref);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => {
                let file = self.disk.create(&path(self.number))?;
                let prologue = encode_prologue(FileKind::Image, self.database);
                file.write_at(0, &prologue)?;
                self.offset = prologue.len() as u64;
                self.file.insert(file)
            }
        };
        file.write_at(self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        self.end = self.end.max(self.offset);
        Ok(())
    }

    /// Ends the file; it is durable on return, and its name too. Returns what was written.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub(super) fn finish(self) -> Result<Vec<ImageRef>> {
        match self.file {
            Some(_) if self.images.is_empty() => self.disk.remove(&path(self.number))?,
            Some(file) => {
                if self.end > self.offset {
                    file.truncate(self.offset)?;
                }
                file.sync()?;
                self.disk.sync_dir(FOLDER)?;
            }
            None => {}
        }
        Ok(self.images)
    }
}
