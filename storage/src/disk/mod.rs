//! The one door to storage media. Everything durable passes through [`Disk`].
//!
//! Paths are relative to the database directory, with `/` between folders; the empty path is the
//! directory itself. A path that would lead out of it is refused: names may come from a damaged
//! manifest. [`RealDisk`] maps paths onto a directory. [`SimDisk`] is a disk for tests: it lies in memory,
//! fails where it is told to, and tells all that a crash may leave. Errors name the operation and the path; a
//! full medium, a quota that is used up and a file that may not grow are [`crate::Error::DiskFull`], everything
//! else that the system refuses is [`crate::Error::Io`].
//!
//! What is assumed of a medium (and nothing more)
//! - Bytes written are durable after `sync` of their file returned, in any order before that.
//! - A created, renamed or removed name is durable after `sync_dir` returned.
//! - `rename` onto an existing name is atomic: a crash leaves the old file or the new one.
//! - After a failed `sync` nothing is known about the unsynced bytes, also if a later sync succeeds.

mod real;
mod sim;
#[cfg(test)]
mod tests;

pub use real::RealDisk;
pub use sim::{Decay, Event, Fault, FileId, Image, Loose, Medium, OPERATION_TIME, SimDisk, Tear};

use crate::error::{Error, Result};
use crate::time::TimeSource;
use std::fmt::Debug;
use std::io::{Error as IoError, ErrorKind};
use std::path::{Component, Path};
use std::sync::Arc;

/// An open file.
#[allow(
    clippy::len_without_is_empty,
    reason = "a length is asked of the medium and may fail; nobody asks for emptiness"
)]
pub trait DiskFile: Send + Sync + Debug {
    /// Fills `buffer` from `offset` on; returns how many bytes there were (less only at the end).
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
    /// Writes all of `bytes` at `offset`, extending the file as needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> Result<u64>;
    /// Cuts or extends the file to `len` bytes; new bytes are zero.
    fn truncate(&self, len: u64) -> Result<()>;
    /// Makes the file at least `len` bytes long, and has the medium find room for them if it can; new bytes
    /// are zero, and as durable as any until the next sync. Writing there changes neither the file's length
    /// nor where it lies, so that a sync has less to do.
    fn allocate(&self, len: u64) -> Result<()> {
        match self.len()? < len {
            true => self.truncate(len),
            false => Ok(()),
        }
    }
    /// Returns once all bytes written are durable.
    fn sync(&self) -> Result<()>;
    /// Called again and again by who writes much that nobody waits for, when it holds nothing that others
    /// need: a medium with a limit sleeps here, and not while it writes.
    fn breathe(&self) -> Result<()> {
        Ok(())
    }
}

/// A directory of files on some medium. Where a medium is simulated, so is the time that it takes, and the time of day.
pub trait Disk: TimeSource {
    /// Opens an existing file for reading and writing (reading only, on a read-only medium).
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>>;
    /// Creates an empty file; an existing one is emptied.
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>>;
    /// Whether the file exists.
    fn exists(&self, path: &str) -> Result<bool>;
    /// Names (not paths) of what is in a folder, files and folders, sorted; empty where the folder
    /// is missing. A name that is not UTF-8 is given with replacement characters: it is not ours.
    fn list(&self, folder: &str) -> Result<Vec<String>>;
    /// Makes a folder and those above it; nothing happens where it exists.
    fn create_folder(&self, folder: &str) -> Result<()>;
    /// Renames a file, replacing any file of the new name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> Result<()>;
    /// Returns once the names in the folder are durable.
    fn sync_dir(&self, folder: &str) -> Result<()>;
    /// Takes the exclusive right to the directory, held until the result is dropped; a second
    /// taker gets [`crate::Error::Locked`].
    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>>;
    /// A number that a copy of the directory beside it does not have; 0 where the medium has none.
    fn directory_number(&self) -> u64 {
        0
    }
}

/// The path, if it stays within the database directory.
fn relative<'a>(operation: &'static str, path: &'a str) -> Result<&'a Path> {
    let inside = |component| matches!(component, Component::Normal(_));
    if Path::new(path).components().all(inside) {
        return Ok(Path::new(path));
    }
    let reason = "the path leads out of the database directory";
    let error = IoError::new(ErrorKind::InvalidInput, reason);
    Err(io_error(operation, Path::new(path), error))
}

/// Says of an error, if it is that there is no room, how many bytes were to be written.
fn wanting(error: Error, bytes: u64) -> Error {
    match error {
        Error::DiskFull { path, .. } => Error::DiskFull {
            path,
            wanted: bytes,
        },
        other => other,
    }
}

/// The error of an operation on a file.
fn io_error(operation: &'static str, path: &Path, error: IoError) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::DiskFull {
                path: path.to_owned(),
                wanted: 0,
            }
        }
        _ => Error::Io {
            operation,
            path: path.to_owned(),
            source: Arc::new(error),
        },
    }
}
