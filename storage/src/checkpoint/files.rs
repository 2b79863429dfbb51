//! Reading images from the data files that hold them.

use super::image::{Image, path};
use super::list::ImageRef;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::format::{
    DatabaseId, FileKind, PROLOGUE_LEN, check_database, check_prologue, corrupt, read_file,
};
use crate::ids::Timestamp;
use crate::pool::Ledger;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Data files, open for reading.
#[derive(Debug)]
pub struct DataFiles(BTreeMap<u64, DataFile>);

#[derive(Debug)]
struct DataFile {
    path: String,
    file: Arc<dyn DiskFile>,
    length: u64,
}

impl DataFiles {
    /// Opens those with these numbers, which all belong to the database.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedFormat`, `Io`.
    pub fn open(disk: &dyn Disk, database: DatabaseId, numbers: &BTreeSet<u64>) -> Result<Self> {
        let opened = numbers.iter().map(|number| {
            let file = DataFile::open(disk, database, path(*number))?;
            Ok((*number, file))
        });
        opened.collect::<Result<_>>().map(Self)
    }

    /// Opens those with these numbers whose beginning can be read, whatever it says: every image is checked by
    /// itself. `note` is given what is wrong with the others.
    ///
    /// # Errors
    /// Those of `note`.
    pub fn open_readable(
        disk: &dyn Disk,
        numbers: &BTreeSet<u64>,
        mut note: impl FnMut(Error) -> Result<()>,
    ) -> Result<Self> {
        let mut files = BTreeMap::new();
        for number in numbers {
            match DataFile::open_unchecked(disk, path(*number)) {
                Ok(file) => drop(files.insert(*number, file)),
                Err(error) => note(error)?,
            }
        }
        Ok(Self(files))
    }

    /// The path of the file that an image is in.
    pub fn path(&self, image: &ImageRef) -> &str {
        let file = self.0.get(&image.file);
        &file.expect("an image that was read").path
    }

    /// Bytes of a file.
    pub fn length(&self, number: u64) -> Option<u64> {
        self.0.get(&number).map(|file| file.length)
    }

    /// Reads an image and finds that it is the one that was written; `base` is the timestamp of the block's first
    /// image.
    ///
    /// # Errors
    /// `Corrupt`, `OutOfMemory`, `Io`.
    pub fn read(&self, ledger: &Arc<Ledger>, image: &ImageRef, base: Timestamp) -> Result<Image> {
        let Some(file) = self.0.get(&image.file) else {
            let path = path(image.file);
            return Err(corrupt(&path, image.offset, "a data file", "no file"));
        };
        let (path, offset) = (file.path.as_str(), image.offset);
        let end = offset.checked_add(image.length);
        if end.is_none_or(|end| end > file.length) {
            let expected = format!("an image of {} bytes", image.length);
            let found = format!("{} bytes in all", file.length);
            return Err(corrupt(path, offset.min(file.length), expected, found));
        }
        // Within the file: no more than there is.
        let memory = Image::reserve(ledger, image.length)?;
        let mut bytes = vec![0; image.length as usize];
        let read = file.file.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        let found = Image::check(path, offset, bytes, memory)?;
        let header = &found.header;
        let is_it = (header.table, header.block, header.kind, header.timestamp)
            == (image.table, image.block, image.kind, image.timestamp);
        let crc = crate::format::u32_at(&found.bytes, 8);
        if !is_it || crc != image.crc {
            let what =
                |table, block, crc| format!("block {block} of table {table}, crc32 {crc:08x}");
            let expected = what(image.table, image.block, image.crc);
            let found = what(header.table, header.block, crc);
            return Err(corrupt(path, offset, expected, found));
        }
        if header.base != base {
            let expected = format!("an image over that of {base}");
            return Err(corrupt(
                path,
                offset + 36,
                expected,
                header.base.to_string(),
            ));
        }
        Ok(found)
    }
}

impl DataFile {
    fn open(disk: &dyn Disk, database: DatabaseId, path: String) -> Result<Self> {
        let opened = Self::open_unchecked(disk, path.clone())?;
        let prologue = read_file(disk, &path, PROLOGUE_LEN as u64)?;
        let found = check_prologue(FileKind::Image, &path, &prologue)?;
        check_database(&path, found, database)?;
        Ok(opened)
    }

    fn open_unchecked(disk: &dyn Disk, path: String) -> Result<Self> {
        if !disk.exists(&path)? {
            return Err(corrupt(&path, 0, "a data file", "no file"));
        }
        let file = disk.open(&path)?;
        let length = file.len()?;
        Ok(Self { path, file, length })
    }
}
