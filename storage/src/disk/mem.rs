//! A disk in memory, which knows what a power loss would leave of it.
//!
//! Clones are the same disk. Each file has its bytes twice, as written and as durable, and the list
//! of changes that lie between; a sync carries them over. The disk has its names twice likewise, as
//! given and as they were when their folder was last synced.
//!
//! ```text
//!  write_at, truncate --> written                        create, rename, remove --> names
//!        |                                                     |
//!        +--> unsynced --sync--> durable                       +--sync_dir--> durable names
//! ```
//!
//! So [`MemDisk::after_crash`] can give the least that the assumptions of [`super`] promise, synced
//! bytes under synced names and nothing else, and [`MemDisk::after_crash_keeping`] any state
//! between that and everything: what is unsynced may have reached the medium in part, in any order.

use super::{Disk, DiskFile, io_error, relative};
use crate::error::{Error, Result};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

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
    written: Vec<u8>,
    durable: Vec<u8>,
    /// What makes `written` of `durable`, oldest first.
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

/// Something that was not synced when the power failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsynced<'a> {
    /// A write of so many bytes to a file; any number of its first bytes may have been kept.
    Write {
        /// The file's durable path.
        path: &'a str,
        /// The write's length.
        bytes: usize,
    },
    /// A change of a file's length; kept or not.
    Truncate {
        /// The file's durable path.
        path: &'a str,
    },
    /// Names that came, changed or went in a folder; all kept or none.
    Names {
        /// The folder.
        folder: &'a str,
    },
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
        self.after_crash_keeping(|_| 0)
    }

    /// Another disk, with what this one might have kept: everything synced, and of each unsynced
    /// thing as much as `keep` says, in bytes of a write, and otherwise all if it is not 0.
    pub fn after_crash_keeping(&self, mut keep: impl FnMut(Unsynced<'_>) -> usize) -> Self {
        let state = self.state.lock();
        let mut kept_names = state.durable_names.clone();
        let folders = state.folders.iter().map(String::as_str);
        for folder in folders
            .chain([""])
            .filter(|folder| state.is_unsynced(folder))
        {
            if keep(Unsynced::Names { folder }) > 0 {
                carry_over(folder, &state.names, &mut kept_names);
            }
        }
        let mut names = Names::new();
        for (path, contents) in kept_names {
            let bytes = contents.read().after_crash(&path, &mut keep);
            let contents = Contents {
                written: bytes.clone(),
                durable: bytes,
                unsynced: Vec::new(),
            };
            names.insert(path, Arc::new(RwLock::new(contents)));
        }
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

impl Change {
    /// Makes the change; `kept` bytes of a write.
    fn apply(&self, to: &mut Vec<u8>, kept: usize) {
        match self {
            Self::Truncate { len } => to.resize(*len, 0),
            Self::Write { offset, bytes } => {
                let bytes = &bytes[..kept.min(bytes.len())];
                let end = offset + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Contents {
    /// Makes a change, to be carried over by the next sync; false where memory does not suffice.
    fn change(&mut self, change: Change, end: usize) -> bool {
        let more = end.saturating_sub(self.written.len());
        if self.written.try_reserve(more).is_err() {
            return false;
        }
        change.apply(&mut self.written, usize::MAX);
        self.unsynced.push(change);
        true
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable, usize::MAX);
        }
    }

    fn after_crash(&self, path: &str, keep: &mut impl FnMut(Unsynced<'_>) -> usize) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            let kept = match change {
                Change::Truncate { .. } => keep(Unsynced::Truncate { path }),
                Change::Write { bytes, .. } => keep(Unsynced::Write {
                    path,
                    bytes: bytes.len(),
                }),
            };
            if kept > 0 {
                change.apply(&mut bytes, kept);
            }
        }
        bytes
    }
}

/// Makes the names of one folder in `to` those in `from`.
fn carry_over(folder: &str, from: &Names, to: &mut Names) {
    to.retain(|path, _| folder_of(path) != folder);
    let inside = from.iter().filter(|(path, _)| folder_of(path) == folder);
    to.extend(inside.map(|(path, contents)| (path.clone(), Arc::clone(contents))));
}

impl State {
    /// Whether names of the folder would change if it were synced.
    fn is_unsynced(&self, folder: &str) -> bool {
        let inside = |names: &Names| -> Vec<_> {
            let inside = names.iter().filter(|(path, _)| folder_of(path) == folder);
            let name = |(path, contents): (&String, &Arc<_>)| (path.clone(), Arc::as_ptr(contents));
            inside.map(name).collect()
        };
        inside(&self.names) != inside(&self.durable_names)
    }

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
        carry_over(folder, &state.names, &mut state.durable_names);
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

    /// Time stands still, so that the same operations always leave the same bytes.
    fn now(&self) -> SystemTime {
        UNIX_EPOCH
    }
}

impl DiskFile for MemFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let contents = self.contents.read();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = contents.written.get(start..).unwrap_or_default();
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
        let change = Change::Write {
            offset: start,
            bytes: bytes.to_vec(),
        };
        match self.contents.write().change(change, end) {
            true => Ok(()),
            false => Err(self.full(bytes.len() as u64)),
        }
    }

    fn len(&self) -> Result<u64> {
        Ok(self.contents.read().written.len() as u64)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let Ok(length) = usize::try_from(len) else {
            return Err(self.full(len));
        };
        let change = Change::Truncate { len: length };
        match self.contents.write().change(change, length) {
            true => Ok(()),
            false => Err(self.full(len)),
        }
    }

    fn sync(&self) -> Result<()> {
        self.contents.write().sync();
        Ok(())
    }
}

impl MemFile {
    fn full(&self, wanted: u64) -> Error {
        Error::DiskFull {
            path: self.path.clone(),
            wanted,
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
