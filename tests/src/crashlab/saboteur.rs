//! Breaks on purpose, to see whether the lab notices: a lab that finds nothing proves nothing.
//!
//! Most of them are a disk between the engine and the simulated one that does not do what it is told to.
//! What the engine sees is the same as ever; what is on the medium is what an engine would leave that had
//! forgotten the call. The others are made by the engine itself, where it was built for that (feature
//! `sabotage`).
//!
//! Whoever looks at what a crash has left makes no mistake, so that it is the promises that are found broken and not
//! the recovery; but for a checksum that is wrong where it is written and where it is read, as it would be.

use remora::testing::{Disk, DiskFile, SimDisk};
use remora_storage::Result;
#[cfg(feature = "sabotage")]
use remora_storage::sabotage::{self, Mistake};
use remora_storage::time::TimeSource;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime};

/// Something that is done wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// The log is written and not synced.
    SkipLogSync,
    /// Data files of checkpoints are written and not synced.
    SkipDataSync,
    /// Names in the database's directory are not synced: those of the manifest.
    SkipRootSync,
    /// Names of segments are not synced.
    SkipLogFolderSync,
    /// Names of data files are not synced.
    SkipDataFolderSync,
    /// A new file takes the place of the old one, and only then is it synced.
    RenameBeforeSync,
    /// A commit returns, and then its frame is made durable.
    AcknowledgeBeforeSync,
    /// What recovery finds after a kill is shown without being made durable.
    RecoverWithoutSync,
    /// What recovery finds after a failed sync is synced without being written again.
    RecoverWithoutRewriting,
    /// What is due in the background is not done.
    BackgroundSleeps,
    /// The engine itself makes a mistake.
    #[cfg(feature = "sabotage")]
    Engine(Mistake),
}

impl Mutation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::SkipLogSync,
        Self::SkipDataSync,
        Self::SkipRootSync,
        Self::SkipLogFolderSync,
        Self::SkipDataFolderSync,
        Self::RenameBeforeSync,
        Self::AcknowledgeBeforeSync,
        Self::RecoverWithoutSync,
        Self::RecoverWithoutRewriting,
        Self::BackgroundSleeps,
        #[cfg(feature = "sabotage")]
        Self::Engine(Mistake::ShortChecksum),
        #[cfg(feature = "sabotage")]
        Self::Engine(Mistake::AcknowledgeBeforeLog),
    ];

    /// Has the engine make its mistake on this thread, if this is one of the engine's, for as long as `call`
    /// takes: running a script, or (`is_looking`) looking at what it has left.
    pub fn made_by_engine<T>(self, is_looking: bool, call: impl FnOnce() -> T) -> T {
        #[cfg(feature = "sabotage")]
        if let Self::Engine(mistake) = self
            && (!is_looking || mistake == Mistake::ShortChecksum)
        {
            return sabotage::making(mistake, call);
        }
        let _ = is_looking;
        call()
    }
}

/// A disk that does not do what it is told to.
#[derive(Debug)]
pub struct Saboteur {
    disk: SimDisk,
    mutation: Mutation,
    /// Whether it is being recovered from.
    recovering: Arc<AtomicBool>,
    /// A sync that was said to be done.
    owed: Arc<Owed>,
}

#[derive(Debug, Default)]
struct Owed(Mutex<Option<Arc<dyn DiskFile>>>);

#[derive(Debug)]
struct File {
    file: Arc<dyn DiskFile>,
    path: String,
    mutation: Mutation,
    recovering: Arc<AtomicBool>,
    owed: Arc<Owed>,
}

impl Owed {
    fn file(&self) -> MutexGuard<'_, Option<Arc<dyn DiskFile>>> {
        self.0.lock().expect("no panic under the lock")
    }

    fn pay(&self) -> Result<()> {
        let file = self.file().take();
        file.map_or(Ok(()), |file| file.sync())
    }
}

impl Saboteur {
    /// Between an engine and its disk, which is to be recovered from or not.
    pub fn over(disk: &SimDisk, mutation: Mutation, recovering: bool) -> Self {
        Self {
            disk: disk.clone(),
            mutation,
            recovering: Arc::new(recovering.into()),
            owed: Arc::default(),
        }
    }

    /// From now on the database is open.
    pub fn has_recovered(&self) {
        self.recovering.store(false, Relaxed);
    }

    fn makes(&self, mutation: Mutation) -> bool {
        self.mutation == mutation && self.recovering.load(Relaxed)
    }

    fn wrap(&self, path: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(File {
            file,
            path: path.to_owned(),
            mutation: self.mutation,
            recovering: Arc::clone(&self.recovering),
            owed: Arc::clone(&self.owed),
        })
    }
}

impl Disk for Saboteur {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        self.disk.open(path).map(|file| self.wrap(path, file))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        self.owed.pay()?;
        self.disk.create(path).map(|file| self.wrap(path, file))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.disk.exists(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn create_folder(&self, folder: &str) -> Result<()> {
        self.disk.create_folder(folder)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk.rename(from, to)?;
        match self.mutation {
            Mutation::RenameBeforeSync => self.disk.open(to)?.sync(),
            _ => Ok(()),
        }
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.owed.pay()?;
        self.disk.remove(path)
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        if self.makes(Mutation::RecoverWithoutSync) {
            return Ok(());
        }
        match (self.mutation, folder) {
            (Mutation::SkipRootSync, "")
            | (Mutation::SkipLogFolderSync, "wal")
            | (Mutation::SkipDataFolderSync, "data") => Ok(()),
            _ => self.disk.sync_dir(folder),
        }
    }

    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

impl TimeSource for Saboteur {
    fn now(&self) -> SystemTime {
        self.disk.now()
    }

    fn instant(&self) -> Instant {
        self.disk.instant()
    }
}

impl File {
    fn makes(&self, mutation: Mutation) -> bool {
        self.mutation == mutation && self.recovering.load(Relaxed)
    }

    /// Whether these bytes are there already.
    fn has(&self, offset: u64, bytes: &[u8]) -> Result<bool> {
        let mut there = vec![0; bytes.len()];
        let read = self.file.read_at(offset, &mut there)?;
        Ok(there[..read] == *bytes)
    }
}

impl DiskFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.owed.pay()?;
        if self.makes(Mutation::RecoverWithoutRewriting) && self.has(offset, bytes)? {
            return Ok(());
        }
        self.file.write_at(offset, bytes)
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.owed.pay()?;
        self.file.truncate(len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.owed.pay()?;
        self.file.allocate(len)
    }

    fn sync(&self) -> Result<()> {
        let (is_log, is_data) = (
            self.path.starts_with("wal/"),
            self.path.starts_with("data/"),
        );
        match self.mutation {
            Mutation::SkipLogSync if is_log => Ok(()),
            Mutation::SkipDataSync if is_data => Ok(()),
            Mutation::RenameBeforeSync if self.path.ends_with(".tmp") => Ok(()),
            Mutation::AcknowledgeBeforeSync if is_log => {
                self.owed.pay()?;
                *self.owed.file() = Some(Arc::clone(&self.file));
                Ok(())
            }
            Mutation::RecoverWithoutSync if self.makes(self.mutation) => Ok(()),
            _ => self.file.sync(),
        }
    }
}
