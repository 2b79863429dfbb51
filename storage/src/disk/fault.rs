//! A disk that fails at a chosen operation, for tests.
//!
//! Every operation that changes something or makes it durable is counted: `write_at`, `truncate`,
//! `sync`, `create`, `create_folder`, `rename`, `remove`, `sync_dir`, from 0 on. A test runs a story
//! once to count them, then once for each number with the failure there, and looks at what is left:
//!
//! ```
//! use remora_storage::disk::{Disk, Fault, FaultDisk};
//! fn story(disk: &dyn Disk) -> remora_storage::Result<()> {
//!     let file = disk.create("new")?;
//!     file.write_at(0, b"whole")?;
//!     file.sync()?;
//!     disk.rename("new", "current")?;
//!     disk.sync_dir("")
//! }
//! let counted = FaultDisk::new(u64::MAX, Fault::PowerLoss);
//! story(&counted)?;
//! for at in 0..counted.operations() {
//!     let disk = FaultDisk::new(at, Fault::PowerLoss);
//!     assert!(story(&disk).is_err());
//!     let left = disk.medium().after_crash();
//!     assert!(!left.exists("current")?, "named only once it is whole");
//! }
//! # Ok::<(), remora_storage::Error>(())
//! ```
//!
//! At a power loss a change that was asked for is made but not synced, so that
//! [`MemDisk::after_crash_keeping`] may tear it; a sync that was asked for did not happen. From then
//! on every operation fails.

use super::{Disk, DiskFile, MemDisk, io_error};
use crate::error::Result;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

/// How the chosen operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It and everything after it fails.
    PowerLoss,
    /// It alone fails, with this error, and does nothing.
    Once(ErrorKind),
    /// It and everything after it fails with this error; what is there can be read.
    Onwards(ErrorKind),
    /// It alone fails, with this error: a write when half of it was done.
    InPart(ErrorKind),
}

/// A [`MemDisk`] that fails at a chosen operation.
#[derive(Clone, Debug)]
pub struct FaultDisk {
    medium: MemDisk,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct Plan {
    at: u64,
    fault: Fault,
    /// Operations so far; relaxed, because it guards nothing.
    operations: AtomicU64,
}

/// What is to happen to an operation.
enum Verdict {
    Works,
    /// Fails without having done anything.
    Fails(ErrorKind),
    /// Fails after having been done.
    Lost,
}

#[derive(Debug)]
struct FaultFile {
    file: Arc<dyn DiskFile>,
    path: String,
    plan: Arc<Plan>,
}

impl FaultDisk {
    /// An empty disk whose operation number `at` fails.
    pub fn new(at: u64, fault: Fault) -> Self {
        Self::over(MemDisk::new(), at, fault)
    }

    /// A disk that begins with what is on `medium`.
    pub fn over(medium: MemDisk, at: u64, fault: Fault) -> Self {
        let plan = Plan {
            at,
            fault,
            operations: AtomicU64::new(0),
        };
        Self {
            medium,
            plan: Arc::new(plan),
        }
    }

    /// The disk below, which does not fail.
    pub fn medium(&self) -> &MemDisk {
        &self.medium
    }

    /// How many operations were asked for so far.
    pub fn operations(&self) -> u64 {
        self.plan.operations.load(Relaxed)
    }

    fn wrap(&self, path: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultFile {
            file,
            path: path.to_owned(),
            plan: Arc::clone(&self.plan),
        })
    }
}

impl Plan {
    fn next(&self) -> Verdict {
        let number = self.operations.fetch_add(1, Relaxed);
        match self.fault {
            Fault::PowerLoss if number == self.at => Verdict::Lost,
            Fault::PowerLoss if number > self.at => Verdict::Fails(ErrorKind::BrokenPipe),
            Fault::Once(kind) | Fault::InPart(kind) if number == self.at => Verdict::Fails(kind),
            Fault::Onwards(kind) if number >= self.at => Verdict::Fails(kind),
            _ => Verdict::Works,
        }
    }

    /// An operation that changes something: when the power fails, it was on its way.
    fn change<T>(
        &self,
        operation: &'static str,
        path: &str,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        match self.next() {
            Verdict::Works => call(),
            Verdict::Fails(kind) => Err(failed(operation, path, kind)),
            Verdict::Lost => {
                call()?;
                Err(failed(operation, path, ErrorKind::BrokenPipe))
            }
        }
    }

    /// An operation that makes changes durable: when the power fails, it did not.
    fn sync(&self, path: &str, call: impl FnOnce() -> Result<()>) -> Result<()> {
        match self.next() {
            Verdict::Works => call(),
            Verdict::Fails(kind) => Err(failed("sync", path, kind)),
            Verdict::Lost => Err(failed("sync", path, ErrorKind::BrokenPipe)),
        }
    }

    /// An operation that only reads is not counted, but fails without power.
    fn read<T>(
        &self,
        operation: &'static str,
        path: &str,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        match self.fault {
            Fault::PowerLoss if self.operations.load(Relaxed) > self.at => {
                Err(failed(operation, path, ErrorKind::BrokenPipe))
            }
            _ => call(),
        }
    }
}

fn failed(operation: &'static str, path: &str, kind: ErrorKind) -> crate::Error {
    let error = IoError::new(kind, "the simulated disk fails here");
    io_error(operation, Path::new(path), error)
}

impl Disk for FaultDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let file = self.plan.read("open", path, || self.medium.open(path))?;
        Ok(self.wrap(path, file))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let create = || self.medium.create(path);
        let file = self.plan.change("create", path, create)?;
        Ok(self.wrap(path, file))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.plan.read("find", path, || self.medium.exists(path))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.plan.read("list", folder, || self.medium.list(folder))
    }

    fn create_folder(&self, folder: &str) -> Result<()> {
        let create = || self.medium.create_folder(folder);
        self.plan.change("create", folder, create)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let rename = || self.medium.rename(from, to);
        self.plan.change("rename", from, rename)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.plan
            .change("remove", path, || self.medium.remove(path))
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        self.plan.sync(folder, || self.medium.sync_dir(folder))
    }

    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>> {
        self.plan.read("lock", path, || self.medium.lock(path))
    }

    fn now(&self) -> SystemTime {
        self.medium.now()
    }

    fn instant(&self) -> Instant {
        self.medium.instant()
    }
}

impl DiskFile for FaultFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let read = || self.file.read_at(offset, buffer);
        self.plan.read("read", &self.path, read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let write = || self.file.write_at(offset, bytes);
        self.plan.change("write", &self.path, write)
    }

    fn len(&self) -> Result<u64> {
        self.plan.read("measure", &self.path, || self.file.len())
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let truncate = || self.file.truncate(len);
        self.plan.change("truncate", &self.path, truncate)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let allocate = || self.file.allocate(len);
        self.plan.change("allocate", &self.path, allocate)
    }

    fn sync(&self) -> Result<()> {
        self.plan.sync(&self.path, || self.file.sync())
    }
}
