//! How fast a checkpoint is written: not so fast that commits wait for the medium.
//!
//! ```text
//!   Checkpointer --write---> PacedDisk --> the disk
//!                --breathe-> PacedDisk: sleep until what was written is due, and sync after each 8 MiB,
//!                            so that the commit that syncs the log next does not wait for all of it
//! ```
//!
//! A checkpoint breathes between blocks, where it holds up nobody: within one it is in an operation, which
//! keeps from being freed whatever is unlinked meanwhile.
//!
//! The background has a limit in bytes a second. It is lifted as soon as somebody waits for the
//! checkpoint ([`Pace::hurry`]), or when the log has grown so long meanwhile that the checkpoint would
//! come too late: else a limit could let the log grow without end.

use crate::disk::{Disk, DiskFile};
use crate::error::Result;
use crate::ids::Lsn;
use crate::time::TimeSource;
use crate::wal::Log;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

/// Bytes after which those written are synced.
const SYNC_BYTES: u64 = 8 << 20;
/// How often the length of the log is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How fast the checkpoint that is being written may be written.
#[derive(Debug)]
pub(super) struct Pace {
    log: Arc<Log>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    limit: Option<Limit>,
    /// How many wait for a checkpoint.
    impatient: usize,
    /// When the bytes are due that were written.
    due: Instant,
}

/// A limit for one checkpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// Bytes a second.
    pub(super) rate: u64,
    /// Where the log's end lifts it.
    pub(super) until: Lsn,
}

/// Somebody waits; dropping it says that he does no more.
pub(super) struct Hurry<'p>(&'p Pace);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.state.lock().impatient -= 1;
    }
}

impl Pace {
    /// Without a limit.
    pub(super) fn new(log: Arc<Log>) -> Self {
        Self {
            log,
            state: Mutex::new(State {
                limit: None,
                impatient: 0,
                due: Instant::now(),
            }),
            changed: Condvar::new(),
        }
    }

    /// What is written from now on keeps to the limit.
    pub(super) fn limit(&self, limit: Option<Limit>) {
        let mut state = self.state.lock();
        state.limit = limit;
        state.due = Instant::now();
    }

    /// Nothing is held up as long as the result is kept.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.state.lock().impatient += 1;
        self.changed.notify_all();
        Hurry(self)
    }

    /// Returns when so many more bytes are due; whether there is a limit.
    fn spend(&self, bytes: u64) -> bool {
        let mut state = self.state.lock();
        let Some(limit) = self.holds(&state) else {
            return false;
        };
        let takes = Duration::from_secs_f64(bytes as f64 / limit.rate.max(1) as f64);
        state.due = state.due.max(Instant::now()) + takes;
        loop {
            let now = Instant::now();
            if now >= state.due || self.holds(&state).is_none() {
                return true;
            }
            let until = state.due.min(now + LOOK);
            self.changed.wait_until(&mut state, until);
        }
    }

    fn holds(&self, state: &State) -> Option<Limit> {
        let is_early = |limit: &Limit| self.log.end() < limit.until;
        state
            .limit
            .filter(|_| state.impatient == 0)
            .filter(is_early)
    }
}

/// A disk on which new files are written at a pace.
#[derive(Debug)]
pub(super) struct PacedDisk {
    disk: Arc<dyn Disk>,
    pace: Arc<Pace>,
}

#[derive(Debug)]
struct PacedFile {
    file: Arc<dyn DiskFile>,
    pace: Arc<Pace>,
    /// Bytes written since the last breath, and since the last sync. Relaxed: they guard nothing, and files
    /// have one writer.
    unspent: AtomicU64,
    unsynced: AtomicU64,
}

impl PacedDisk {
    pub(super) fn new(disk: Arc<dyn Disk>, pace: Arc<Pace>) -> Self {
        Self { disk, pace }
    }
}

impl Disk for PacedDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        self.disk.open(path)
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(PacedFile {
            file: self.disk.create(path)?,
            pace: Arc::clone(&self.pace),
            unspent: AtomicU64::new(0),
            unsynced: AtomicU64::new(0),
        }))
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
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        self.disk.sync_dir(folder)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

impl TimeSource for PacedDisk {
    fn now(&self) -> SystemTime {
        self.disk.now()
    }

    fn instant(&self) -> Instant {
        self.disk.instant()
    }
}

impl DiskFile for PacedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_at(offset, bytes)?;
        self.unspent.fetch_add(bytes.len() as u64, Relaxed);
        self.unsynced.fetch_add(bytes.len() as u64, Relaxed);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.file.truncate(len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.file.allocate(len)
    }

    fn sync(&self) -> Result<()> {
        self.unsynced.store(0, Relaxed);
        self.file.sync()
    }

    fn breathe(&self) -> Result<()> {
        let is_limited = self.pace.spend(self.unspent.swap(0, Relaxed));
        match is_limited && self.unsynced.load(Relaxed) >= SYNC_BYTES {
            true => self.sync(),
            false => Ok(()),
        }
    }
}
