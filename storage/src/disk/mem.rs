//! A disk in memory, which knows what a power loss would leave of it.
//!
//! Clones are the same disk. Each file remembers how to undo what was written since its last sync,
//! and the disk remembers the names as they were at the last sync of their folder. So
//! [`MemDisk::after_crash`] can give the least that the assumptions of [`super`] promise: synced
//! bytes under synced names, and nothing else. Between that and everything written lies what a
//! real crash may leave; a disk that injects faults chooses from there.

use super::{Disk, DiskFile, io_error, relative};
use crate::error::{Error, Result};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A disk in memory.
#[derive(Clone, Default)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    names: Names,
    /// The names as they were when their folder was last synced.
    durable_names: Names,
    folders: BTreeSet<String>,
    locked: BTreeSet<String>,
}

/// Paths to contents; a file keeps its contents when it gets another name.
type Names = BTreeMap<String, Arc<RwLock<Contents>>>;

#[derive(Clone, Default)]
struct Contents {
    bytes: Vec<u8>,
    /// What undoes the changes since the last sync, oldest first.
    undo: Vec<Undo>,
}

/// What a change replaced.
#[derive(Clone)]
struct Undo {
    len: usize,
    offset: usize,
    bytes: Vec<u8>,
}

struct MemFile {
    path: PathBuf,
    contents: Arc<RwLock<Contents>>,
}

/// Holds the lock; dropping it lets go.
struct MemLock {
    state: Arc<Mutex<State>>,
    path: String,
}

impl MemDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another disk, with what this one would have kept at worst if the power had failed now.
    pub fn after_crash(&self) -> Self {
        let state = self.state.lock();
        let names: Names = state
            .durable_names
            .iter()
            .map(|(path, contents)| (path.clone(), contents.read().durable()))
            .map(|(path, durable)| (path, Arc::new(RwLock::new(durable))))
            .collect();
        let state = State {
            durable_names: names.clone(),
            names,
            folders: state.folders.clone(),
            locked: BTreeSet::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }
}

impl Contents {
    /// Remembers the bytes at `offset` that a change replaces, up to `len` of them.
    fn remember(&mut self, offset: usize, len: usize) {
        let end = self.bytes.len().min(offset.saturating_add(len));
        let replaced = self.bytes.get(offset..end).unwrap_or_default().to_vec();
        self.undo.push(Undo {
            len: self.bytes.len(),
            offset,
            bytes: replaced,
        });
    }

    /// Makes it `len` bytes; false where memory does not suffice.
    fn resize(&mut self, len: usize) -> bool {
        let more = len.saturating_sub(self.bytes.len());
        if self.bytes.try_reserve(more).is_err() {
            return false;
        }
        self.bytes.resize(len, 0);
        true
    }

    /// What was there at the last sync.
    fn durable(&self) -> Self {
        let mut bytes = self.bytes.clone();
        for undo in self.undo.iter().rev() {
            bytes.resize(undo.len, 0);
            bytes[undo.offset.min(undo.len)..][..undo.bytes.len()].copy_from_slice(&undo.bytes);
        }
        Self {
            bytes,
            undo: Vec::new(),
        }
    }
}

impl State {
    fn find(&self, operation: &'static str, path: &str) -> Result<Arc<RwLock<Contents>>> {
        let contents = self.names.get(path).cloned();
        contents.ok_or_else(|| failed(operation, path, ErrorKind::NotFound))
    }

    /// A name can only be given in a folder that exists.
    fn check_folder(&self, operation: &'static str, path: &str) -> Result<()> {
        let folder = folder_of(path);
        if !folder.is_empty() && !self.folders.contains(folder) {
            return Err(failed(operation, path, ErrorKind::NotFound));
        }
        Ok(())
    }
}

fn failed(operation: &'static str, path: &str, kind: ErrorKind) -> Error {
    io_error(operation, Path::new(path), IoError::from(kind))
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Disk for MemDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        relative("open", path)?;
        let contents = self.state.lock().find("open", path)?;
        Ok(Arc::new(MemFile {
            path: path.into(),
            contents,
        }))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        relative("create", path)?;
        let mut state = self.state.lock();
        state.check_folder("create", path)?;
        let contents = Arc::clone(state.names.entry(path.to_owned()).or_default());
        drop(state);
        let file = MemFile {
            path: path.into(),
            contents,
        };
        file.truncate(0)?;
        Ok(Arc::new(file))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        relative("find", path)?;
        Ok(self.state.lock().names.contains_key(path))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        relative("list", folder)?;
        let state = self.state.lock();
        let all = state.names.keys().chain(&state.folders);
        let inside = all.filter(|path| folder_of(path) == folder);
        let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
        let mut names: Vec<_> = inside.map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create_folder(&self, folder: &str) -> Result<()> {
        relative("create", folder)?;
        let mut state = self.state.lock();
        let mut folder = folder;
        while !folder.is_empty() {
            state.folders.insert(folder.to_owned());
            folder = folder_of(folder);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        relative("rename", from)?;
        relative("rename", to)?;
        let mut state = self.state.lock();
        let contents = state.find("rename", from)?;
        state.check_folder("rename", to)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<()> {
        relative("remove", path)?;
        let mut state = self.state.lock();
        state.find("remove", path)?;
        state.names.remove(path);
        Ok(())
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        relative("sync", folder)?;
        let mut state = self.state.lock();
        let state = &mut *state;
        if !folder.is_empty() && !state.folders.contains(folder) {
            return Err(failed("sync", folder, ErrorKind::NotFound));
        }
        state
            .durable_names
            .retain(|path, _| folder_of(path) != folder);
        let inside = state
            .names
            .iter()
            .filter(|(path, _)| folder_of(path) == folder);
        let inside = inside.map(|(path, contents)| (path.clone(), Arc::clone(contents)));
        state.durable_names.extend(inside);
        Ok(())
    }

    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>> {
        relative("lock", path)?;
        let mut state = self.state.lock();
        state.check_folder("lock", path)?;
        if !state.locked.insert(path.to_owned()) {
            let path = folder_of(path).into();
            return Err(Error::Locked { path });
        }
        state.names.entry(path.to_owned()).or_default();
        Ok(Box::new(MemLock {
            state: Arc::clone(&self.state),
            path: path.to_owned(),
        }))
    }
}

impl DiskFile for MemFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let contents = self.contents.read();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = contents.bytes.get(start..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            // As everywhere: writing nothing beyond the end does not extend a file.
            return Ok(());
        }
        let start = usize::try_from(offset).ok();
        let Some((start, end)) = start.and_then(|s| Some((s, s.checked_add(bytes.len())?))) else {
            return Err(io_error(
                "write",
                &self.path,
                ErrorKind::InvalidInput.into(),
            ));
        };
        let mut contents = self.contents.write();
        contents.remember(start, bytes.len());
        if end > contents.bytes.len() && !contents.resize(end) {
            contents.undo.pop();
            return Err(self.full());
        }
        contents.bytes[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.contents.read().bytes.len() as u64)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let Ok(len) = usize::try_from(len) else {
            return Err(self.full());
        };
        let mut contents = self.contents.write();
        contents.remember(len, usize::MAX);
        if !contents.resize(len) {
            contents.undo.pop();
            return Err(self.full());
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.contents.write().undo.clear();
        Ok(())
    }
}

impl MemFile {
    fn full(&self) -> Error {
        Error::DiskFull {
            path: self.path.clone(),
        }
    }
}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.state.lock().locked.remove(&self.path);
    }
}

impl fmt::Debug for MemDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("MemDisk")
            .field("files", &state.names.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
