//! A disk that stops at a chosen operation, for tests.
//!
//! Every operation that changes the medium counts. When the allowance is used up the operation is
//! not done (a write is done by half) and the disk is dead: everything fails from then on. What a
//! power loss leaves, and what the end of the process alone leaves, can both be had afterwards.

use crate::disk::{Disk, DiskFile, MemDisk};
use crate::error::{Error, Result};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The disk.
#[derive(Clone, Debug)]
pub(super) struct CrashDisk {
    inner: MemDisk,
    left: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CrashFile {
    inner: Arc<dyn DiskFile>,
    left: Arc<AtomicU64>,
}

impl CrashDisk {
    /// A disk over `inner` that does `operations` operations.
    pub(super) fn new(inner: MemDisk, operations: u64) -> Self {
        let left = Arc::new(AtomicU64::new(operations));
        Self { inner, left }
    }

    /// Whether the allowance was used up.
    pub(super) fn is_dead(&self) -> bool {
        self.left.load(Relaxed) == u64::MAX
    }
}

/// Takes one operation off; `false` where it is the one that is not done.
fn step(left: &AtomicU64) -> Result<bool> {
    let before = left.fetch_update(Relaxed, Relaxed, |left| match left {
        u64::MAX => None,
        0 => Some(u64::MAX),
        more => Some(more - 1),
    });
    match before {
        Ok(before) => Ok(before > 0),
        Err(_) => Err(dead()),
    }
}

fn alive(left: &AtomicU64) -> Result<()> {
    match left.load(Relaxed) {
        u64::MAX => Err(dead()),
        _ => Ok(()),
    }
}

fn dead() -> Error {
    Error::Io {
        operation: "use",
        path: "medium".into(),
        source: Arc::new(io::Error::other("the medium is gone")),
    }
}

/// Does the operation unless it is the one at which the disk stops.
fn unless_dying<T>(left: &AtomicU64, operation: impl FnOnce() -> Result<T>) -> Result<T> {
    match step(left)? {
        true => operation(),
        false => Err(dead()),
    }
}

impl Disk for CrashDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        alive(&self.left)?;
        Ok(Arc::new(CrashFile {
            inner: self.inner.open(path)?,
            left: self.left.clone(),
        }))
    }
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let inner = unless_dying(&self.left, || self.inner.create(path))?;
        Ok(Arc::new(CrashFile {
            inner,
            left: self.left.clone(),
        }))
    }
    fn exists(&self, path: &str) -> Result<bool> {
        alive(&self.left)?;
        self.inner.exists(path)
    }
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        alive(&self.left)?;
        self.inner.list(folder)
    }
    fn create_folder(&self, folder: &str) -> Result<()> {
        unless_dying(&self.left, || self.inner.create_folder(folder))
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        unless_dying(&self.left, || self.inner.rename(from, to))
    }
    fn remove(&self, path: &str) -> Result<()> {
        unless_dying(&self.left, || self.inner.remove(path))
    }
    fn sync_dir(&self, folder: &str) -> Result<()> {
        unless_dying(&self.left, || self.inner.sync_dir(folder))
    }
    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>> {
        alive(&self.left)?;
        self.inner.lock(path)
    }
}

impl DiskFile for CrashFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        alive(&self.left)?;
        self.inner.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        match step(&self.left)? {
            true => self.inner.write_at(offset, bytes),
            false => {
                self.inner.write_at(offset, &bytes[..bytes.len() / 2])?;
                Err(dead())
            }
        }
    }
    fn len(&self) -> Result<u64> {
        alive(&self.left)?;
        self.inner.len()
    }
    fn truncate(&self, len: u64) -> Result<()> {
        unless_dying(&self.left, || self.inner.truncate(len))
    }
    fn sync(&self) -> Result<()> {
        unless_dying(&self.left, || self.inner.sync())
    }
}
