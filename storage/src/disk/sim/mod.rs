//! The simulated disk: all files in memory, every operation counted, failing where it is told to, and an
//! account of what a power loss would leave.
//!
//! ```text
//!   program --> SimDisk --> cache    what reads give: all that was written
//!                  |   \--> medium   what is durable, and what is loose   --> images after a crash
//!                  \------> events   all that happened, for who wants to crash anywhere afterwards
//! ```
//!
//! 1. Every operation that changes something or makes it durable is counted. [`SimDisk::fail`] says which one
//!    fails, and a [`Fault`] how; a capacity makes the disk full.
//! 2. With [`SimDisk::record`] the events are kept. [`Medium`] follows them one by one, so that one run
//!    of a program is enough to look at a crash at each of its operations.
//! 3. A program that was crashed goes on from an [`Image`], on [`SimDisk::with`], or from [`SimDisk::crashed`] or
//!    [`SimDisk::torn`]. One that was only killed goes on from the cache, with all that is loose in it, on what
//!    [`SimDisk::restart`] returns.
//! 4. Time is simulated, too: it goes on by [`OPERATION_TIME`] with each operation, by what a sync is said to
//!    take, and where somebody says so.
//!
//! ```
//! use remora_storage::disk::{Disk, Image, Medium, SimDisk, Tear};
//! let disk = SimDisk::recording();
//! let file = disk.create("new")?;
//! file.write_at(0, b"whole")?;
//! file.sync()?;
//! disk.rename("new", "current")?;
//! disk.sync_dir("")?;
//!
//! let mut medium = Medium::new(&Image::default());
//! for event in disk.take_events() {
//!     medium.apply(&event);
//!     let loose = medium.loose(Tear::Byte);
//!     for choice in 0..1_u32 << loose.len() {
//!         let image = medium.image(&loose, |at| choice >> at & 1 == 1, false);
//!         if let Some(bytes) = image.files.get("current") {
//!             assert_eq!(***bytes, *b"whole", "named only once it is whole");
//!         }
//!     }
//! }
//! # Ok::<(), remora_storage::Error>(())
//! ```
//!
//! Clones are the same disk, used by the same process. It is as deterministic as the program above it.

mod event;
mod fault;
mod file;
mod image;
mod medium;
#[cfg(test)]
mod tests;

pub use event::{Event, FileId};
pub use fault::Fault;
pub use image::{Decay, Image};
pub use medium::{Loose, Medium, Tear};

use super::{Disk, DiskFile, io_error, relative};
use crate::error::{Error, Result};
use crate::time::TimeSource;
use event::folder_of;
use fault::Verdict;
use file::SimFile;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long an operation takes that changes something.
pub const OPERATION_TIME: Duration = Duration::from_micros(1);
/// When simulated time begins: some moment of the year 2000.
const BEGINNING: Duration = Duration::from_secs(950_000_000);

/// A simulated disk, as one process sees it.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    /// Which of the processes that have used it one after the other.
    process: u64,
}

#[derive(Default)]
struct State {
    /// The process that lives.
    process: u64,
    origin: Origin,
    /// Time since the beginning.
    elapsed: Duration,
    /// How much of it a sync takes.
    sync_time: Duration,
    names: BTreeMap<String, FileId>,
    /// The files as the program sees them, also those that have no name any more.
    files: Vec<Arc<Vec<u8>>>,
    folders: BTreeSet<String>,
    locked: BTreeSet<String>,
    medium: Medium,
    events: Option<Vec<Event>>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    /// Whether the operation came that the last fault is for.
    has_failed: bool,
    capacity: Option<u64>,
}

/// What instants are counted from: they can only be made from one of the system's, and only what lies between two of
/// them tells anything.
struct Origin(Instant);

impl Default for Origin {
    fn default() -> Self {
        Self(Instant::now())
    }
}

/// Holds the lock; dropping it lets go.
struct SimLock {
    disk: SimDisk,
    path: String,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that keeps its events.
    pub fn recording() -> Self {
        let disk = Self::default();
        disk.record();
        disk
    }

    /// A disk with an image on it, all of it durable.
    pub fn with(image: &Image) -> Self {
        let mut names = BTreeMap::new();
        let mut files = Vec::new();
        for (path, bytes) in &image.files {
            // Numbered as the medium does it.
            names.insert(path.clone(), FileId(files.len()));
            files.push(Arc::clone(bytes));
        }
        let state = State {
            names,
            files,
            folders: image.folders.clone(),
            medium: Medium::new(image),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            process: 0,
        }
    }

    /// The process ends as it is, and lets go of its locks; what it wrote stays in the cache. The result is
    /// the same disk for the next process: by this one, its clones and its files nothing can be done any more.
    ///
    /// ```
    /// use remora_storage::disk::{Disk, SimDisk};
    /// let disk = SimDisk::new();
    /// let file = disk.create("a")?;
    /// file.write_at(0, b"cached")?;
    /// let next = disk.restart();
    /// assert!(file.write_at(0, b"by the dead").is_err());
    /// assert_eq!(next.open("a")?.len()?, 6);
    /// assert!(!next.crashed().exists("a")?, "the power has not failed yet");
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    #[must_use = "who is left without it has a dead process's disk"]
    pub fn restart(&self) -> Self {
        let mut state = self.state.lock();
        state.process += 1;
        state.locked.clear();
        Self {
            state: Arc::clone(&self.state),
            process: state.process,
        }
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.state.lock().elapsed += time;
    }

    /// How long each sync takes from now on, of files and of names.
    pub fn set_sync_time(&self, time: Duration) {
        self.state.lock().sync_time = time;
    }

    /// Simulated time since its beginning.
    pub fn elapsed(&self) -> Duration {
        self.state.lock().elapsed
    }

    /// From now on events are kept.
    pub fn record(&self) {
        self.state.lock().events.get_or_insert_default();
    }

    /// The events since the disk records, or since they were last taken.
    pub fn take_events(&self) -> Vec<Event> {
        let mut state = self.state.lock();
        state
            .events
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// How many operations were asked for so far.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Makes an operation fail: the one that comes after `operations` others, counted from now on.
    ///
    /// ```
    /// use remora_storage::disk::{Disk, Fault, SimDisk};
    /// fn story(disk: &dyn Disk) -> remora_storage::Result<()> {
    ///     let file = disk.create("new")?;
    ///     file.write_at(0, b"whole")?;
    ///     file.sync()?;
    ///     disk.rename("new", "current")?;
    ///     disk.sync_dir("")
    /// }
    /// for at in 0.. {
    ///     let disk = SimDisk::new();
    ///     disk.fail(at, Fault::PowerLoss);
    ///     let told = story(&disk);
    ///     if !disk.has_failed() {
    ///         assert!(disk.crashed().exists("current")?);
    ///         break;
    ///     }
    ///     assert!(told.is_err());
    ///     assert!(!disk.crashed().exists("current")?, "named only once it is whole");
    /// }
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    pub fn fail(&self, operations: u64, fault: Fault) {
        let mut state = self.state.lock();
        state.fault = Some((state.operations + operations, fault));
        state.has_failed = false;
    }

    /// Returns whether the operation came that the last [`Self::fail`] chose.
    pub fn has_failed(&self) -> bool {
        self.state.lock().has_failed
    }

    /// Has nothing fail any more.
    pub fn mend(&self) {
        self.state.lock().fault = None;
    }

    /// How many bytes fit on it; `None` for any number.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Bytes of all files that have a name.
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// All files as the program sees them: what is left when only the process ends.
    pub fn image(&self) -> Image {
        let state = self.state.lock();
        let bytes = |id: &FileId| Arc::clone(&state.files[id.0]);
        Image {
            files: state
                .names
                .iter()
                .map(|(path, id)| (path.clone(), bytes(id)))
                .collect(),
            folders: state.folders.clone(),
        }
    }

    /// The medium as it is now.
    pub fn medium(&self) -> Medium {
        self.state.lock().medium.clone()
    }

    /// Returns another disk, with the least that a power loss leaves of this one: all that is durable.
    pub fn crashed(&self) -> Self {
        let image = self.state.lock().medium.image(&[], |_| false, false);
        Self::with(&image)
    }

    /// Returns another disk, with the state that a power loss leaves if it tears every write: all that is
    /// durable, all changes of names, all lengths that were set, and the beginning of each write.
    pub fn torn(&self) -> Self {
        let medium = self.medium();
        let loose = medium.loose(Tear::Byte);
        let is_kept = |at: usize| match &loose[at] {
            Loose::Names(_) | Loose::Resize { .. } => true,
            // The first byte, and those up to a third.
            Loose::Piece { part, .. } => part.start <= 1,
            Loose::Length(_) => false,
        };
        Self::with(&medium.image(&loose, is_kept, false))
    }
}

impl State {
    fn used(&self) -> u64 {
        let files = self.names.values();
        files.map(|id| self.files[id.0].len() as u64).sum()
    }

    fn note(&mut self, event: Event) {
        self.medium.apply(&event);
        if let Some(events) = &mut self.events {
            events.push(event);
        }
    }

    fn next(&mut self) -> Verdict {
        let number = self.operations;
        self.operations += 1;
        self.elapsed += OPERATION_TIME;
        match self.fault {
            Some((at, fault)) if number == at => {
                self.has_failed = true;
                fault.strikes()
            }
            Some((at, fault)) if number > at => fault.lasts(),
            _ => Verdict::Works,
        }
    }

    fn next_sync(&mut self) -> Verdict {
        self.elapsed += self.sync_time;
        self.next()
    }

    /// Reading is not counted, but needs power.
    fn check_power(&self, operation: &'static str, path: &str) -> Result<()> {
        match self.fault {
            Some((at, Fault::PowerLoss)) if self.operations > at => {
                Err(failed(operation, path, ErrorKind::BrokenPipe))
            }
            _ => Ok(()),
        }
    }

    fn find(&self, operation: &'static str, path: &str) -> Result<FileId> {
        let file = self.names.get(path).copied();
        file.ok_or_else(|| failed(operation, path, ErrorKind::NotFound))
    }

    /// A name can only be given in a folder that exists.
    fn check_folder(&self, operation: &'static str, path: &str) -> Result<()> {
        let folder = folder_of(path);
        if !folder.is_empty() && !self.folders.contains(folder) {
            return Err(failed(operation, path, ErrorKind::NotFound));
        }
        Ok(())
    }

    /// The file of that name, which is made where it is missing.
    fn find_or_make(&mut self, path: &str) -> FileId {
        if let Some(file) = self.names.get(path) {
            return *file;
        }
        let file = FileId(self.files.len());
        self.files.push(Arc::default());
        self.names.insert(path.to_owned(), file);
        self.note(Event::Names(vec![(path.to_owned(), Some(file))]));
        file
    }
}

fn failed(operation: &'static str, path: &str, kind: ErrorKind) -> Error {
    let error = IoError::new(kind, "the simulated disk fails here");
    io_error(operation, Path::new(path), error)
}

impl SimDisk {
    /// The state, for a process that lives.
    fn state(&self, operation: &'static str, path: &str) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        match state.process == self.process {
            true => Ok(state),
            false => Err(failed(operation, path, ErrorKind::BrokenPipe)),
        }
    }

    /// The state, for an operation that reads.
    fn read(&self, operation: &'static str, path: &str) -> Result<MutexGuard<'_, State>> {
        relative(operation, path)?;
        let state = self.state(operation, path)?;
        state.check_power(operation, path)?;
        Ok(state)
    }

    /// Does an operation that changes names, or not, as its number wants it.
    fn change<T>(
        &self,
        operation: &'static str,
        path: &str,
        call: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        relative(operation, path)?;
        let mut state = self.state(operation, path)?;
        match state.next() {
            Verdict::Works => call(&mut state),
            Verdict::Fails(kind) | Verdict::InPart(kind) => Err(failed(operation, path, kind)),
            Verdict::Lost => {
                call(&mut state)?;
                Err(failed(operation, path, ErrorKind::BrokenPipe))
            }
        }
    }

    fn file(&self, path: &str, id: FileId) -> Arc<dyn DiskFile> {
        Arc::new(SimFile::new(self.clone(), id, path))
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let id = self.read("open", path)?.find("open", path)?;
        Ok(self.file(path, id))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let id = self.change("create", path, |state| {
            state.check_folder("create", path)?;
            let file = state.find_or_make(path);
            if !state.files[file.0].is_empty() {
                state.files[file.0] = Arc::default();
                state.note(Event::Resize { file, len: 0 });
            }
            Ok(file)
        })?;
        Ok(self.file(path, id))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.read("find", path)?.names.contains_key(path))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let state = self.read("list", folder)?;
        let all = state.names.keys().chain(&state.folders);
        let inside = all.filter(|path| folder_of(path) == folder);
        let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
        let mut names: Vec<_> = inside.map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create_folder(&self, folder: &str) -> Result<()> {
        self.change("create", folder, |state| {
            let mut missing = folder;
            while !missing.is_empty() {
                state.folders.insert(missing.to_owned());
                missing = folder_of(missing);
            }
            state.note(Event::Folder(folder.to_owned()));
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        relative("rename", to)?;
        self.change("rename", from, |state| {
            let file = state.find("rename", from)?;
            state.check_folder("rename", to)?;
            state.names.remove(from);
            state.names.insert(to.to_owned(), file);
            let changes = vec![(from.to_owned(), None), (to.to_owned(), Some(file))];
            state.note(Event::Names(changes));
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.change("remove", path, |state| {
            state.find("remove", path)?;
            state.names.remove(path);
            state.note(Event::Names(vec![(path.to_owned(), None)]));
            Ok(())
        })
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        relative("sync", folder)?;
        let mut state = self.state("sync", folder)?;
        if !folder.is_empty() && !state.folders.contains(folder) {
            return Err(failed("sync", folder, ErrorKind::NotFound));
        }
        match state.next_sync() {
            Verdict::Works => {
                state.note(Event::SyncNames(folder.to_owned()));
                Ok(())
            }
            Verdict::Fails(kind) | Verdict::InPart(kind) => Err(failed("sync", folder, kind)),
            Verdict::Lost => Err(failed("sync", folder, ErrorKind::BrokenPipe)),
        }
    }

    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>> {
        let mut state = self.read("lock", path)?;
        state.check_folder("lock", path)?;
        if !state.locked.insert(path.to_owned()) {
            let path = folder_of(path).into();
            return Err(Error::Locked { path });
        }
        state.find_or_make(path);
        Ok(Box::new(SimLock {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }
}

impl TimeSource for SimDisk {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + BEGINNING + self.elapsed()
    }

    fn instant(&self) -> Instant {
        let state = self.state.lock();
        state.origin.0 + state.elapsed
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        // What a dead process had is somebody else's now.
        if let Ok(mut state) = self.disk.state("unlock", &self.path) {
            state.locked.remove(&self.path);
        }
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("SimDisk")
            .field("files", &state.names.len())
            .field("operations", &state.operations)
            .finish_non_exhaustive()
    }
}
