//! A database as one piece of bytes.
//!
//! ```text
//!   | file | file | ... | index: path and length of each file, as JSON | index length | crc32 | magic |
//!   |                   |                                              | 4            | 4     | 8     |
//! ```
//!
//! The files are those of a copy ([`crate::checkpoint::backup`]), each with checksums of its own; `crc32`
//! covers the index. That comes last, so that no file has to be moved once it is written.
//!
//! Until they are one piece the files serve as a disk in memory, on which nothing is more durable than
//! the memory it is in. They are reserved from the ledger.

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::format::{corrupt, u32_at};
use crate::pool::{Ledger, Owner, Reservation};
use crate::time::TimeSource;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Error as IoError, ErrorKind};
use std::sync::Arc;

/// What the bytes are called in errors.
const NAME: &str = "serialized database";
/// The last bytes.
const MAGIC: &[u8; 8] = b"REMORAsz";
/// Bytes behind the index.
const TRAILER_LEN: usize = 16;

/// Files in memory.
pub(super) struct Archive {
    ledger: Arc<Ledger>,
    files: Mutex<BTreeMap<String, Arc<ArchiveFile>>>,
}

struct ArchiveFile {
    contents: Mutex<Contents>,
}

struct Contents {
    bytes: Vec<u8>,
    memory: Reservation,
}

impl Archive {
    /// Without files.
    pub(super) fn empty(ledger: &Arc<Ledger>) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            files: Mutex::default(),
        }
    }

    /// The files of what [`Self::into_bytes`] gave.
    ///
    /// # Errors
    /// `Corrupt` where it is not that, `OutOfMemory`.
    pub(super) fn of(bytes: &[u8], ledger: &Arc<Ledger>) -> Result<Self> {
        let index_end = bytes.len().checked_sub(TRAILER_LEN).ok_or_else(|| {
            let expected = format!("at least {TRAILER_LEN} bytes");
            corrupt(NAME, 0, expected, format!("{} bytes", bytes.len()))
        })?;
        let trailer = &bytes[index_end..];
        if trailer[8..] != MAGIC[..] {
            let expected = format!("\"{}\"", MAGIC.escape_ascii());
            let found = format!("\"{}\"", trailer[8..].escape_ascii());
            return Err(corrupt(NAME, index_end as u64 + 8, expected, found));
        }
        let length = u32_at(trailer, 0) as usize;
        let index_at = index_end.checked_sub(length).ok_or_else(|| {
            let expected = format!("an index of up to {index_end} bytes");
            corrupt(NAME, index_end as u64, expected, length.to_string())
        })?;
        let index = &bytes[index_at..index_end];
        let (computed, stored) = (crc32fast::hash(index), u32_at(trailer, 4));
        if computed != stored {
            let (expected, found) = (format!("crc32 {computed:08x}"), format!("{stored:08x}"));
            return Err(corrupt(NAME, index_end as u64 + 4, expected, found));
        }
        let index: Vec<(String, u64)> = serde_json::from_slice(index)
            .map_err(|error| corrupt(NAME, index_at as u64, "an index", error.to_string()))?;
        let archive = Self::empty(ledger);
        let mut rest = &bytes[..index_at];
        for (path, length) in index {
            let at = (index_at - rest.len()) as u64;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some((file, behind)) = rest.split_at_checked(length) else {
                let expected = format!("{path} of {length} bytes");
                return Err(corrupt(NAME, at, expected, format!("{} bytes", rest.len())));
            };
            archive.create(&path)?.write_at(0, file)?;
            rest = behind;
        }
        match rest.is_empty() {
            true => Ok(archive),
            false => {
                let at = (index_at - rest.len()) as u64;
                let found = format!("{} bytes", rest.len());
                Err(corrupt(NAME, at, "the index", found))
            }
        }
    }

    /// All files in one piece, and the memory of it.
    ///
    /// # Errors
    /// `OutOfMemory` where there is no room for the small files beside the large one.
    pub(super) fn into_bytes(self) -> Result<(Vec<u8>, Reservation)> {
        let mut files: Vec<_> = self.files.into_inner().into_iter().collect();
        // The longest one stays where it is.
        let length = |file: &ArchiveFile| file.contents.lock().bytes.len();
        files.sort_by_key(|(_, file)| std::cmp::Reverse(length(file)));
        let index: Vec<(&String, usize)> = files
            .iter()
            .map(|(path, file)| (path, length(file)))
            .collect();
        let index = serde_json::to_vec(&index).expect("plain data");
        let mut files = files.into_iter().map(|(_, file)| file);
        let (mut bytes, mut memory) = match files.next() {
            Some(longest) => longest.contents.lock().take(),
            None => (Vec::new(), self.ledger.reserve(Owner::Log, 0)?),
        };
        let small: usize = files.clone().map(|file| length(&file)).sum();
        let end = bytes.len() + small + index.len() + TRAILER_LEN;
        // A piece as large as this grows by being mapped elsewhere, not by being copied.
        memory.resize(end.max(bytes.capacity()) as u64)?;
        bytes.reserve_exact(end - bytes.len());
        for file in files {
            bytes.extend_from_slice(&file.contents.lock().bytes);
        }
        bytes.extend_from_slice(&index);
        bytes.extend_from_slice(&(index.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&index).to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        Ok((bytes, memory))
    }

    fn find(&self, operation: &'static str, path: &str) -> Result<Arc<ArchiveFile>> {
        let found = self.files.lock().get(path).cloned();
        found.ok_or_else(|| Error::Io {
            operation,
            path: path.into(),
            source: Arc::new(IoError::from(ErrorKind::NotFound)),
        })
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.lock().keys()).finish()
    }
}

impl fmt::Debug for ArchiveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveFile").finish_non_exhaustive()
    }
}

impl Contents {
    /// The bytes with their memory; nothing is left.
    fn take(&mut self) -> (Vec<u8>, Reservation) {
        let memory = self.memory.split(self.memory.bytes());
        (std::mem::take(&mut self.bytes), memory)
    }

    /// Makes sure that `length` bytes fit, and that they are reserved.
    fn make_room(&mut self, length: usize) -> Result<()> {
        if length > self.bytes.capacity() {
            // Half as much again: a copy of a large database is large.
            let room = length.max(self.bytes.capacity() + self.bytes.capacity() / 2);
            self.memory.resize(room as u64)?;
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        Ok(())
    }
}

impl TimeSource for Archive {}

impl Disk for Archive {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.find("open", path)?)
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let contents = Contents {
            bytes: Vec::new(),
            memory: self.ledger.reserve(Owner::Log, 0)?,
        };
        let file = Arc::new(ArchiveFile {
            contents: Mutex::new(contents),
        });
        self.files.lock().insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.files.lock().contains_key(path))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let files = self.files.lock();
        let inside = files.keys().filter_map(|path| match path.rsplit_once('/') {
            Some((of, name)) => (of == folder).then_some(name),
            None => folder.is_empty().then_some(path.as_str()),
        });
        Ok(inside.map(str::to_owned).collect())
    }

    fn create_folder(&self, _folder: &str) -> Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let file = self.find("rename", from)?;
        let mut files = self.files.lock();
        files.remove(from);
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.find("remove", path)?;
        self.files.lock().remove(path);
        Ok(())
    }

    fn sync_dir(&self, _folder: &str) -> Result<()> {
        Ok(())
    }

    fn lock(&self, _path: &str) -> Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

impl DiskFile for ArchiveFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let contents = self.contents.lock();
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = contents.bytes.get(from..).unwrap_or_default();
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut contents = self.contents.lock();
        let from = usize::try_from(offset).expect("what is written fits into memory");
        let end = from + bytes.len();
        if end > contents.bytes.len() {
            contents.make_room(end)?;
            contents.bytes.resize(end, 0);
        }
        contents.bytes[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.contents.lock().bytes.len() as u64)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let mut contents = self.contents.lock();
        let length = usize::try_from(len).expect("what is written fits into memory");
        contents.make_room(length)?;
        contents.bytes.resize(length, 0);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_piece_that_files_become_is_reserved_as_long_as_it_is_the_stores() {
        let ledger = Ledger::new(64 << 20);
        let before = ledger.used();
        let archive = Archive::empty(&ledger);
        for (path, length) in [("small", 300_000), ("large", 2_000_000), ("less", 10)] {
            let file = archive.create(path).expect("a file");
            file.write_at(0, &vec![7; length]).expect("room");
        }
        let (bytes, memory) = archive.into_bytes().expect("room");
        assert!(bytes.len() > 2_300_010);
        assert_eq!(memory.bytes(), bytes.capacity() as u64);
        assert_eq!(ledger.used() - before, memory.bytes());
        drop(memory);
        assert_eq!(ledger.used(), before);
        let again = Archive::of(&bytes, &ledger).expect("the same files");
        assert_eq!(
            again
                .open("small")
                .and_then(|file| file.len())
                .expect("a file"),
            300_000
        );
    }

    #[test]
    fn without_room_to_join_them_files_stay_files() {
        let ledger = Ledger::new(4 << 20);
        let archive = Archive::empty(&ledger);
        for path in ["one", "other"] {
            let file = archive.create(path).expect("a file");
            file.write_at(0, &vec![7; 1_500_000]).expect("room");
        }
        let error = archive.into_bytes().expect_err("no room for a third");
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error:?}");
    }
}
