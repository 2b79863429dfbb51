//! The store: everything together, behind one handle.
//!
//! ```text
//!   Store --> Core          tables, transactions             both kinds
//!         --> Durable       log, checkpoints, lock, mark     only where there is a directory
//!         --> Background    log flusher, checkpoints (`schedule`)   unless maintenance is manual
//! ```
//!
//! 1. Opening recovers the directory, attaches the log to the core and starts the background.
//! 2. Closing stops the background, refuses commits, makes the log durable, writes the closing mark
//!    and gives the directory free. The last handle that is dropped closes.
//!
//! Invariants
//! - The lock is given back only when nothing writes to the directory any more.
//! - Nobody who asks for `Durability::Sync` is told of a commit that a crash could take back, whoever
//!   made it: commits and readers wait until the log is durable up to what they saw. While the log is full
//!   or has failed, nobody is, whatever he asks for ([`crate::wal::condition`]).
//! - A crash takes back the last commits, all from some one on; those that it takes had returned within one
//!   loss window ([`crate::wal::Flusher`]).
//!
//! If we crash: at the next opening `recovery` restores every commit that was durable.

mod archive;
mod background;
mod check;
mod copy;
mod durable;
mod kept;
mod options;
mod pace;
mod schedule;
mod verify;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use crate::checkpoint::backup::BackupReport;
pub use crate::checkpoint::kept::{KeptCheckpoint, KeptCheckpoints};
pub use crate::checkpoint::{CheckpointInfo, CheckpointReason, CheckpointReport};
pub use crate::recovery::{
    Damage, Loss, Lost, Newer, RecoveryListener, RecoveryMode, RecoveryPhase, RecoveryProgress,
    RecoveryReport, RestoreReport, Verification,
};
pub use crate::transaction::{Compacted, Durability, DurabilityStatus};
pub use crate::wal::{LogCondition, LogStatus};
pub use check::CheckReport;
pub use options::StoreOptions;
pub use schedule::{CheckpointSettings, Schedule};

use crate::catalog::Catalog;
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Result};
use crate::format::DatabaseId;
use crate::ids::{Lsn, TableId, Timestamp, TransactionId};
use crate::pool::{Ledger, Pool, PoolOptions, PressureChange, default_budget};
use crate::recovery;
use crate::stop::Stop;
use crate::time::DatabaseTime;
use crate::transaction::{Core, Reader, Transaction, TransactionOptions, Waited};
use durable::Durable;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A database without SQL. Clones share it; the last one closes it.
///
/// ```
/// use remora_storage::{Store, StoreOptions};
/// let store = Store::in_memory(StoreOptions::default())?;
/// let transaction = store.begin()?;
/// assert!(!transaction.has_writes());
/// transaction.rollback();
/// # Ok::<(), remora_storage::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    core: Arc<Core>,
    ledger: Arc<Ledger>,
    durability: Durability,
    closed: AtomicBool,
    durable: Option<Durable>,
}

impl Store {
    /// A store that lives in memory only.
    ///
    /// # Errors
    /// `OutOfMemory` where the budget is too small to begin with.
    pub fn in_memory(options: StoreOptions) -> Result<Self> {
        let pool = pool(&options);
        let ledger = pool.ledger().clone();
        let core = Core::with_pool(pool, options.time_in_memory(), options.manual_maintenance)?;
        apply(&core, &options);
        Ok(Self::new(core, ledger, None, &options))
    }

    /// Opens or creates the database in a directory of the file system.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path().join("db");
    /// use remora_storage::{Store, StoreOptions};
    /// let (store, report) = Store::open(&directory, StoreOptions::default())?;
    /// assert!(report.created);
    /// store.close()?;
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Locked` where another process has it open, `NotADatabase` where the directory holds
    /// something else, `Corrupt` and `UnsupportedFormat` where its files cannot be used,
    /// `OutOfMemory` where the data exceed the budget, `Io` and `DiskFull`.
    pub fn open(directory: &Path, options: StoreOptions) -> Result<(Self, RecoveryReport)> {
        if directory.is_file() {
            return Err(no_directory(directory));
        }
        let disk = Arc::new(RealDisk::new(directory));
        Self::open_on(disk, options).map_err(|error| located(error, directory))
    }

    /// Opens or creates the database on any disk.
    ///
    /// # Errors
    /// As for [`Self::open`]; paths in errors are relative to the disk.
    pub fn open_on(disk: Arc<dyn Disk>, options: StoreOptions) -> Result<(Self, RecoveryReport)> {
        let pool = pool(&options);
        let ledger = pool.ledger().clone();
        let durability = options.durability_on_disk();
        let recovered = recovery::open(&disk, &options.recovery(pool, disk.clone()))?;
        let (core, report) = (recovered.core.clone(), recovered.report.clone());
        core.attach_log(recovered.log.clone(), durability == Durability::Sync);
        apply(&core, &options);
        let durable = Durable::start(disk, recovered, &options)?;
        if options.accept_clock {
            durable.keep_time()?;
        }
        let store = Self::new(core, ledger, Some(durable), &options);
        Ok((store, report))
    }

    fn new(
        core: Arc<Core>,
        ledger: Arc<Ledger>,
        durable: Option<Durable>,
        options: &StoreOptions,
    ) -> Self {
        let durability = match durable {
            Some(_) => options.durability_on_disk(),
            None => Durability::Memory,
        };
        let identity = durable.as_ref().map(Durable::identity);
        let (name, directory) = identity.unwrap_or_else(|| (DatabaseId::random(), 0));
        let chosen = (options.node_id, options.snowflake_epoch);
        let flakes = core.time().snowflakes();
        flakes.open(chosen, (name.0, directory));
        let inner = Inner {
            core,
            ledger,
            durability,
            closed: AtomicBool::new(false),
            durable,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Starts a transaction on the latest committed state, with the options that are the default.
    ///
    /// # Errors
    /// `Closed`, and `TooManyTransactions`.
    pub fn begin(&self) -> Result<Transaction> {
        self.begin_with(TransactionOptions::default())
    }

    /// Starts a transaction on the latest committed state.
    ///
    /// ```
    /// use remora_storage::{Isolation, Store, StoreOptions, TransactionOptions};
    /// let store = Store::in_memory(StoreOptions::default())?;
    /// let transaction = store.begin_with(TransactionOptions {
    ///     isolation: Isolation::Snapshot,
    ///     read_only: true,
    ///     ..TransactionOptions::default()
    /// })?;
    /// assert!(transaction.commit()?.timestamp.is_none());
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Self::begin`].
    pub fn begin_with(&self, options: TransactionOptions) -> Result<Transaction> {
        if self.inner.is_closed() {
            return Err(Error::Closed);
        }
        self.inner.core.begin_with(options)
    }

    /// A place from which a session reads by key without transactions; `None` where transactions are counted or slots
    /// become scarce. It is not to be used once the store [is closed](Self::is_closed).
    pub fn reader(&self) -> Option<Reader> {
        self.inner.core.reader()
    }

    /// Whether nothing begins any more.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// The core, which its transactions share.
    pub fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }

    /// The time of the database.
    pub fn time(&self) -> &Arc<DatabaseTime> {
        self.inner.core.time()
    }

    /// The catalog that a transaction sees which begins now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.core.shown_catalog()
    }

    /// Whether memory is cleared as soon as it is freed.
    pub fn secure_delete(&self) -> bool {
        self.inner.core.pool().options().secure_delete
    }

    /// Waits for what becomes of a rival ([`Core::wait_for`]).
    pub fn wait_for(
        &self,
        rival: TransactionId,
        own: Option<TransactionId>,
        until: Instant,
        patience: Duration,
        is_wanted: impl Fn() -> bool,
    ) -> Waited {
        let core = &self.inner.core;
        core.wait_for(rival, own, until, patience, is_wanted)
    }

    /// Waits for room in a table ([`Core::wait_for_room`]).
    pub fn wait_for_room(
        &self,
        table: TableId,
        own: Option<TransactionId>,
        until: Option<Instant>,
        is_wanted: impl Fn() -> bool,
    ) -> Waited {
        self.inner.core.wait_for_room(table, own, until, is_wanted)
    }

    /// How many transactions there can be at a time.
    pub fn max_transactions(&self) -> usize {
        self.inner.core.max_transactions()
    }

    /// The memory account.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.inner.ledger
    }

    /// Bytes that the system has given for rows, strings, versions and index nodes. They are counted
    /// apart from the account, which has to have them reserved.
    pub fn mapped_bytes(&self) -> u64 {
        self.inner.core.pool().bytes()
    }

    /// From now on `listener` is called with every change of memory pressure, soon after it: by a
    /// thread of the store, outside of all its locks. What panics in it is contained.
    pub fn on_pressure(&self, listener: impl Fn(&PressureChange) + Send + Sync + 'static) {
        self.inner.core.on_pressure(listener);
    }

    /// Frees memory for a statement that was refused `wanted` bytes when `available` ones were left, and has given back
    /// what it had: collects garbage, builds blocks anew that lost many rows, and empties sparse slabs of the pool,
    /// until it can have all of that and some more. Returns whether there is more room than before. What the caller's
    /// own snapshot sees stays.
    pub fn relieve(&self, wanted: u64, available: u64) -> bool {
        let core = &self.inner.core;
        let before = core.room();
        let had = before.saturating_sub(available);
        core.relieve(wanted.saturating_add(had)) || core.room() > before
    }

    /// Does what garbage collection can do now, and waits for readers under way. Returns how many writes and unlinked
    /// things are left. The background does it unasked; a store without one
    /// ([`StoreOptions::manual_maintenance`]) does it where memory is short, and here.
    pub fn collect_garbage(&self) -> usize {
        self.inner.core.collect_garbage()
    }

    /// When commits return that say nothing about it.
    pub fn durability(&self) -> Durability {
        self.inner.durability
    }

    /// How durable commits are, and what is at risk now.
    pub fn durability_status(&self) -> DurabilityStatus {
        self.inner.core.durability_status()
    }

    /// Waits until everything before `lsn` is durable: a commit ([`crate::transaction::Committed::lsn`])
    /// and all before it. Who committed at [`Durability::Buffered`] learns so that nothing can take
    /// it back any more.
    ///
    /// # Errors
    /// `OutcomeUnknown` where the log failed before that was known, or has no room for it now; `LimitExceeded`
    /// where the log does not go as far.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        let end = self.log_end();
        if lsn > end {
            return Err(Error::LimitExceeded {
                what: "a position in the log",
                found: lsn.0,
                limit: end.0,
            });
        }
        let durable = self.inner.durable.as_ref();
        durable.map_or(Ok(()), |durable| durable.log().wait_durable(lsn))
    }

    /// Waits until everything that a snapshot of `timestamp` shows is durable. In memory nothing is,
    /// and nobody waits.
    ///
    /// # Errors
    /// `SnapshotNotDurable` where the log is full or has failed: a transaction that begins now sees what is
    /// durable.
    pub fn wait_shown(&self, timestamp: Timestamp) -> Result<()> {
        let durable = self.inner.durable.as_ref();
        durable.map_or(Ok(()), |durable| {
            durable.log().wait_durable_timestamp(timestamp)
        })
    }

    /// Checks that what a snapshot of `timestamp` shows may be shown to who does not wait until it is durable.
    ///
    /// # Errors
    /// As for [`Self::wait_shown`].
    pub fn check_shown(&self, timestamp: Timestamp) -> Result<()> {
        let durable = self.inner.durable.as_ref();
        durable.map_or(Ok(()), |durable| durable.log().check_shown(timestamp))
    }

    /// Checks that a transaction which writes could commit now. Where the disk was full, it is tried whether it
    /// still is.
    ///
    /// # Errors
    /// `DiskFull`; `LogFailed` until the store is opened again.
    pub fn check_writable(&self) -> Result<()> {
        self.inner.core.check_writable()
    }

    /// Waits until everything that was logged so far is durable, numbers of sequences too.
    ///
    /// # Errors
    /// `LogFailed` where that can no longer be, `DiskFull` where there is no room for it now.
    pub fn wait_logged(&self) -> Result<()> {
        self.inner.core.wait_logged()
    }

    /// Does what the background would do now to the log and about checkpoints, for a store that has none
    /// ([`StoreOptions::manual_maintenance`]): writes what has waited for half of the loss window, if
    /// that was set (by the clock of its disk), and a checkpoint if one is due.
    ///
    /// # Errors
    /// `LogFailed`, `DiskFull`.
    pub fn run_background(&self) -> Result<()> {
        let durable = self.inner.durable.as_ref();
        durable.map_or(Ok(()), Durable::run_background)
    }

    /// The end of the log; nothing is logged in memory.
    pub fn log_end(&self) -> Lsn {
        let durable = self.inner.durable.as_ref();
        durable.map_or(Lsn(0), |durable| durable.log().end())
    }

    /// Writes a consistent image of all tables, after which the log before it is deleted. In
    /// memory it does nothing. Readers and writers go on meanwhile.
    ///
    /// # Errors
    /// `Io`, `DiskFull`, `LogFailed`, `OutOfMemory`, `Closed`: the checkpoint before remains.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        if self.inner.is_closed() {
            return Err(Error::Closed);
        }
        match &self.inner.durable {
            Some(durable) => durable.checkpoint(CheckpointReason::Command),
            None => Ok(CheckpointReport {
                timestamp: self.inner.core.latest(),
                ..CheckpointReport::default()
            }),
        }
    }

    /// When checkpoints are written by themselves; never in memory.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.inner.durable.as_ref().map(Durable::schedule)
    }

    /// Encodes every full block of a table, or of all tables, without the rows that are dead: what
    /// the background does with blocks that are cold or have lost many rows. Readers and writers go
    /// on meanwhile, and row ids stay. On a full database blocks for which the reserve is too small stay as they
    /// are; the result says how many.
    ///
    /// ```
    /// use remora_storage::{Store, StoreOptions};
    /// let store = Store::in_memory(StoreOptions::default())?;
    /// assert_eq!(store.compact(None)?.rows, 0);
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Closed`, `UndefinedRelation`, `TooManyTransactions`.
    pub fn compact(&self, table: Option<TableId>) -> Result<Compacted> {
        self.compact_unless(table, Stop::NEVER)
    }

    /// As [`Self::compact`], as long as nobody wants it to stop.
    ///
    /// # Errors
    /// `Interrupted` besides: what was encoded stays so.
    pub fn compact_unless(&self, table: Option<TableId>, stop: Stop<'_>) -> Result<Compacted> {
        if self.inner.is_closed() {
            return Err(Error::Closed);
        }
        let catalog = self.inner.core.catalog();
        let undefined = |id: TableId| Error::UndefinedRelation(id.to_string());
        let entry = table
            .map(|id| catalog.table_by_id(id).ok_or_else(|| undefined(id)))
            .transpose()?;
        self.inner.core.compact_unless(entry.map(Arc::as_ref), stop)
    }

    /// Syncs the log, writes the closing mark and refuses further transactions. Running ones fail
    /// at commit. Closing again does nothing.
    ///
    /// # Errors
    /// `LogFailed`, `Io`, `DiskFull`: the store is closed all the same, and what was acknowledged
    /// at [`Durability::Sync`] is durable. A full disk is no error where nothing was committed: what closing
    /// would write then only saves the next opening some work.
    pub fn close(&self) -> Result<()> {
        self.inner.close()
    }
}

impl Inner {
    fn is_closed(&self) -> bool {
        // Relaxed: the flag guards no data. What must not happen after closing is refused by the
        // log and the checkpointer under their own locks.
        self.closed.load(Ordering::Relaxed)
    }

    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.durable.as_ref().map_or(Ok(()), Durable::close)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to be told; the next opening finds an unclean close and recovers.
        let _ = self.close();
    }
}

fn apply(core: &Core, options: &StoreOptions) {
    if let Some(count) = options.max_transactions {
        core.limit_transactions(count);
    }
    if let Some(after) = options.freeze_after() {
        core.set_freeze_after(after);
    }
}

fn pool(options: &StoreOptions) -> Arc<Pool> {
    let budget = options.max_memory.unwrap_or_else(default_budget);
    let pool = PoolOptions {
        secure_delete: options.secure_delete,
    };
    Pool::with_options(
        Ledger::with_thresholds(budget, options.pressure_thresholds),
        pool,
    )
}

/// The directory of a database that must be there.
///
/// # Errors
/// `NotADatabase` where it is missing, or a file.
fn existing(directory: &Path) -> Result<RealDisk> {
    match directory.is_file() || !directory.exists() {
        true => Err(no_directory(directory)),
        false => Ok(RealDisk::new(directory)),
    }
}

fn no_directory(path: &Path) -> Error {
    let reason = match path.exists() {
        true => "it is a file, not a directory",
        false => "it does not exist",
    };
    Error::NotADatabase {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Errors of a disk name files relative to it; users want to know where they are.
fn located(mut error: Error, directory: &Path) -> Error {
    if let Error::NotADatabase { path, .. }
    | Error::Corrupt { path, .. }
    | Error::UnsupportedFormat { path, .. }
    | Error::UnsupportedFeatures { path, .. }
    | Error::NotEmpty { path } = &mut error
    {
        // Joining the empty path would end in a separator.
        *path = match path.as_os_str().is_empty() {
            true => directory.to_owned(),
            false => directory.join(&*path),
        };
    }
    if let Error::Locked { path } = &mut error
        && path.as_os_str().is_empty()
    {
        *path = directory.to_owned();
    }
    error
}
