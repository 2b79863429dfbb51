//! A directory of the file system.
//!
//! Reads and writes name their offset, so a file handle has no position that threads could fight
//! over. A file that may not be written (a read-only medium, or permissions) is opened for reading
//! only; writing it then fails with an error that says so.
//!
//! If we crash: what is promised at which moment stands with [`Disk`]. `sync` is `fdatasync`, which
//! also makes a file's new length durable; a folder's names are made durable by syncing the folder.
//! [`Disk::create_folder`] is the one call that syncs by itself, because no later `sync_dir` could
//! reach the folder in which the database directory itself stands.

use super::{Disk, DiskFile, io_error, relative, wanting};
use crate::error::{Error, Result};
use crate::time::TimeSource;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Result as IoResult};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of the file system.
#[derive(Clone, Debug)]
pub struct RealDisk {
    root: PathBuf,
}

#[derive(Debug)]
struct RealFile {
    path: PathBuf,
    file: File,
}

impl RealDisk {
    /// The directory `root`, which need not exist yet: `create_folder("")` makes it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, operation: &'static str, path: &str) -> Result<PathBuf> {
        relative(operation, path).map(|path| self.root.join(path))
    }
}

/// Runs a system call on a file, and names both in the error.
fn on<T>(operation: &'static str, path: &Path, call: impl FnOnce() -> IoResult<T>) -> Result<T> {
    call().map_err(|error| io_error(operation, path, error))
}

fn open_for_writing_or_reading(path: &Path, options: &mut OpenOptions) -> IoResult<File> {
    match options.read(true).write(true).open(path) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            // The first error tells more if reading is not possible either.
            File::open(path).map_err(|_| error)
        }
        opened => opened,
    }
}

fn sync_folder(path: &Path) -> Result<()> {
    on("sync", path, || File::open(path)?.sync_all())
}

impl TimeSource for RealDisk {}

impl Disk for RealDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let path = self.path("open", path)?;
        let file = on("open", &path, || {
            open_for_writing_or_reading(&path, &mut OpenOptions::new())
        })?;
        Ok(Arc::new(RealFile { path, file }))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let path = self.path("create", path)?;
        let file = on("create", &path, || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)
        })?;
        Ok(Arc::new(RealFile { path, file }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        let path = self.path("find", path)?;
        on("find", &path, || path.try_exists())
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.path("list", folder)?;
        let mut names = Vec::new();
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
            entries => on("list", &path, || entries)?,
        };
        for entry in entries {
            let entry = on("list", &path, || entry)?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_folder(&self, folder: &str) -> Result<()> {
        let path = self.path("create", folder)?;
        let missing: Vec<_> = path.ancestors().take_while(|p| !p.is_dir()).collect();
        on("create", &path, || fs::create_dir_all(&path))?;
        for made in missing.iter().rev() {
            match made.parent() {
                // A relative root of one component stands in the current directory.
                Some(parent) if parent.as_os_str().is_empty() => sync_folder(Path::new("."))?,
                Some(parent) => sync_folder(parent)?,
                None => {}
            }
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.path("rename", from)?, self.path("rename", to)?);
        on("rename", &from, || fs::rename(&from, &to))
    }

    fn remove(&self, path: &str) -> Result<()> {
        let path = self.path("remove", path)?;
        on("remove", &path, || fs::remove_file(&path))
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        sync_folder(&self.path("sync", folder)?)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>> {
        let path = self.path("lock", path)?;
        // Never truncated: the file may be another process's.
        let file = on("lock", &path, || {
            open_for_writing_or_reading(&path, OpenOptions::new().create(true).truncate(false))
        })?;
        match file.try_lock() {
            // The lock goes with the file handle, and so with the process if it dies.
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Locked {
                path: self.root.clone(),
            }),
            Err(TryLockError::Error(error)) => Err(io_error("lock", &path, error)),
        }
    }

    fn directory_number(&self) -> u64 {
        fs::metadata(&self.root).map_or(0, |found| found.ino())
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("read", &self.path, error)),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        on("write", &self.path, || {
            self.file.write_all_at(bytes, offset)
        })
        .map_err(|error| wanting(error, bytes.len() as u64))
    }

    fn len(&self) -> Result<u64> {
        on("measure", &self.path, || Ok(self.file.metadata()?.len()))
    }

    fn truncate(&self, len: u64) -> Result<()> {
        on("truncate", &self.path, || self.file.set_len(len))
    }

    #[cfg(target_os = "linux")]
    fn allocate(&self, len: u64) -> Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        on("allocate", &self.path, || {
            Ok(fallocate(&self.file, FallocateFlags::empty(), 0, len)?)
        })
    }

    fn sync(&self) -> Result<()> {
        on("sync", &self.path, || self.file.sync_data())
    }
}
