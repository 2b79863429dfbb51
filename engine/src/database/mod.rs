//! The database: what a program opens, shares between its threads and connects to.

mod checkpoints;
mod copies;
mod functions;
mod handle_states;
mod lanes;
mod limiter;
mod options;
mod verify;

pub use checkpoints::Checkpoints;
pub(crate) use lanes::Lanes;
pub use limiter::Limiter;
pub use options::Options;
pub use verify::{Damage, Verified};

use handle_states::HandleStates;

use crate::activity::Opening;
use crate::error::Result;
use crate::session::{Connection, Sessions, Transaction};
use remora_storage::disk::Disk;
use remora_storage::pool::{PressureChange, PressureLevel};
use remora_storage::store::{
    CheckReport, CheckpointReport, Compacted, DurabilityStatus, RecoveryReport,
};
use remora_storage::{Durability, Lsn, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A database. Clones are the same database; it can be used from any thread. When the last clone
/// and the last connection are gone it is closed.
///
/// ```
/// let directory = tempfile::tempdir().expect("a temporary directory");
/// let db = remora::Database::open(directory.path())?;
/// db.connect()?.execute_batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (42)")?;
/// db.close()?;
///
/// let db = remora::Database::open(directory.path())?;
/// let n: i64 = db.connect()?.query_row("SELECT n FROM t", [], |row| row.get(0))?;
/// assert_eq!(n, 42);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Database {
    store: Store,
    origin: Arc<Origin>,
    sessions: Arc<Sessions>,
    handle_states: Arc<HandleStates>,
}

/// Where a database came from.
#[derive(Debug)]
struct Origin {
    directory: Option<PathBuf>,
    recovery: RecoveryReport,
}

impl Database {
    /// A new database in memory. It ends with its last clone and connection.
    ///
    /// # Errors
    /// 53200 where the machine grants no memory.
    pub fn in_memory() -> Result<Self> {
        Self::in_memory_with(Options::default())
    }

    /// As [`Database::in_memory`], with options. Its durability is always
    /// [`Durability::Memory`].
    ///
    /// # Errors
    /// As for [`Database::in_memory`].
    pub fn in_memory_with(options: Options) -> Result<Self> {
        let sessions = Sessions::new(&options.limits, Durability::Memory);
        let store = Store::in_memory(options.durability(Durability::Memory).into())?;
        let recovery = RecoveryReport {
            created: true,
            ..RecoveryReport::default()
        };
        Self::new(store, None, recovery, sessions)
    }

    /// Opens the database in a directory; makes both if they are missing. What a crash has left is
    /// recovered ([`Database::recovery_report`] tells what was done).
    ///
    /// # Errors
    /// 55006 where another process has it open, 58P01 where the directory holds something else or
    /// a newer format, XX001 where it is damaged (naming file and offset), 58030 for the system's
    /// own errors.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(directory, Options::default())
    }

    /// As [`Database::open`], with options.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn open_with(directory: impl AsRef<Path>, options: Options) -> Result<Self> {
        let directory = directory.as_ref();
        let limits = options.limits.clone();
        let (store, recovery) = Store::open(directory, options.into())?;
        let sessions = Sessions::new(&limits, store.durability());
        let directory = Some(directory.to_owned());
        Self::new(store, directory, recovery, sessions)
    }

    fn new(
        store: Store,
        directory: Option<PathBuf>,
        recovery: RecoveryReport,
        sessions: Arc<Sessions>,
    ) -> Result<Self> {
        sessions.sweeper.follow(&store.catalog(), &store)?;
        sessions.note_opening(Opening {
            report: recovery.clone(),
            disk: store.disk().cloned(),
        });
        Ok(Self {
            store,
            origin: Arc::new(Origin {
                directory,
                recovery,
            }),
            sessions,
            handle_states: Arc::default(),
        })
    }

    /// Opens or makes the database on any disk; on a [`remora_storage::disk::SimDisk`] a program can be
    /// crashed at each of its steps.
    ///
    /// ```
    /// use remora::testing::SimDisk;
    /// use remora::{Database, Options};
    /// use std::sync::Arc;
    ///
    /// let disk = SimDisk::new();
    /// let options = Options::new().manual_maintenance(true);
    /// let db = Database::open_on(Arc::new(disk.clone()), options.clone())?;
    /// db.connect()?.execute_batch("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1)")?;
    ///
    /// let left = disk.crashed();
    /// let db = Database::open_on(Arc::new(left), options)?;
    /// let n: i32 = db.connect()?.query_row("SELECT n FROM t", [], |row| row.get(0))?;
    /// assert_eq!(n, 1);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Database::open`]; paths in errors are relative to the disk.
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Self> {
        let limits = options.limits.clone();
        let (store, recovery) = Store::open_on(disk, options.into())?;
        let sessions = Sessions::new(&limits, store.durability());
        Self::new(store, None, recovery, sessions)
    }

    /// A new connection. Connections are cheap; give each thread its own.
    ///
    /// # Errors
    /// 57P03 where the database is being closed, 58030 where its time limits need a thread and the system
    /// has none.
    pub fn connect(&self) -> Result<Connection> {
        self.sessions.connect(&self.store)
    }

    /// Runs `f` in a transaction on a connection of its own, again where it loses a conflict: see
    /// [`Connection::transact`], which is quicker for whoever does it often.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # db.connect()?.execute_batch("CREATE TABLE counter (n BIGINT); INSERT INTO counter VALUES (0)")?;
    /// let n: i64 = db.transact(|tx| {
    ///     tx.execute("UPDATE counter SET n = n + 1", [])?;
    ///     tx.query_row("SELECT n FROM counter", [], |row| row.get(0))
    /// })?;
    /// assert_eq!(n, 1);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Connection::transact`]; 57P01 where the database was closed.
    pub fn transact<T>(&self, f: impl FnMut(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        self.connect()?.transact(f)
    }

    /// Writes an image of all tables, so that the log before it can go and opening is quick.
    /// Others read and write meanwhile. In memory it does nothing.
    ///
    /// # Errors
    /// 58030 and 53100 of the disk; the database is as before then.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        Ok(self.store.checkpoint()?)
    }

    /// Encodes the full blocks of a table, or of all tables, without their deleted rows, so that
    /// their memory comes back. In the background the same happens to blocks that nobody changes or
    /// that have lost many rows. Others read and write meanwhile. On a full database blocks for which the reserve is
    /// too small stay as they are, and the result says how many.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// db.connect()?.execute("CREATE TABLE t (k INTEGER)", [])?;
    /// let report = db.compact(Some("t"))?;
    /// assert_eq!((report.rows, report.bytes, report.blocks_left), (0, 0, 0));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 42P01 where there is no such table.
    pub fn compact(&self, table: Option<&str>) -> Result<Compacted> {
        let catalog = self.store.catalog();
        let id = match table {
            Some(name) => match catalog.table(name) {
                Some(entry) => Some(entry.def.id),
                None => {
                    return Err(sql_error!(
                        UNDEFINED_TABLE,
                        "relation \"{name}\" does not exist"
                    ));
                }
            },
            None => None,
        };
        Ok(self.store.compact(id)?)
    }

    /// Reads all tables and indexes and compares them, and recounts the memory: for tests, and for who has
    /// a doubt. To be called while nothing else runs.
    ///
    /// # Errors
    /// 57P01 where the database was closed.
    pub fn check(&self) -> Result<CheckReport> {
        Ok(self.store.check()?)
    }

    /// Closes the database for all its clones and connections. Open transactions are lost.
    ///
    /// # Errors
    /// 58030 where the log cannot be synced.
    pub fn close(&self) -> Result<()> {
        Ok(self.store.close()?)
    }

    /// Closes the database in an orderly way: from now on there are no new connections (57P03) and
    /// statements (57P01), but what runs may end, for as long as `patience` lasts. What runs then is
    /// stopped (57P01) and undone, and the database is closed. Transactions that are open are rolled
    /// back.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let db = remora::Database::in_memory()?;
    /// let conn = db.connect()?;
    /// db.close_within(Duration::from_secs(5))?;
    /// assert_eq!(conn.execute("SELECT 1", []).unwrap_err().sqlstate(), "57P01");
    /// assert_eq!(db.connect().unwrap_err().sqlstate(), "57P03");
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Database::close`].
    pub fn close_within(&self, patience: Duration) -> Result<()> {
        self.sessions.end(patience);
        self.close()
    }

    /// Collects garbage now, for a database without a background.
    #[cfg(test)]
    pub(crate) fn collect_garbage(&self) {
        self.store.collect_garbage();
    }

    /// The store beneath.
    #[cfg(test)]
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// How many statements run, or wait for their turn.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.sessions.running()
    }

    /// The directory; `None` in memory, and on a disk of the caller's.
    pub fn directory(&self) -> Option<&Path> {
        self.origin.directory.as_deref()
    }

    /// What opening found and did.
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.origin.recovery
    }

    /// When a commit returns that says nothing about it.
    pub fn durability(&self) -> Durability {
        self.store.durability()
    }

    /// Says that the wall clock is right, however far it has jumped: rows that have expired by it may be cleared away from now
    /// on.
    ///
    /// ```
    /// use remora::testing::ManualTime;
    /// use remora::{Database, Options};
    /// use std::sync::Arc;
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// let time = ManualTime::at(UNIX_EPOCH);
    /// let options = Options::new().time_source(Arc::new(time.clone())).manual_maintenance(true);
    /// let db = Database::in_memory_with(options)?;
    /// let conn = db.connect()?;
    /// conn.execute("CREATE TABLE t (n INT) WITH (ttl_expire_after = '1 minute')", [])?;
    /// conn.execute("INSERT INTO t VALUES (1)", [])?;
    /// let ttl = |column: &str| {
    ///     let sql = format!("SELECT {column} FROM remora_ttl");
    ///     conn.query_row(&sql, [], |row| row.get::<_, i64>(0))
    /// };
    ///
    /// time.advance(Duration::from_secs(1));
    /// time.set(UNIX_EPOCH + Duration::from_secs(24 * 3600));
    /// db.run_background()?;
    /// assert_eq!((ttl("live")?, ttl("expired")?, ttl("swept")?), (0, 1, 0));
    /// db.confirm_clock();
    /// db.run_background()?;
    /// assert_eq!((ttl("expired")?, ttl("swept")?), (0, 1));
    /// # Ok::<(), remora::Error>(())
    /// ```
    pub fn confirm_clock(&self) {
        self.store.time().confirm();
    }

    /// Does what the engine's threads would do now, for a database that has none ([`Options::manual_maintenance`]): makes
    /// commits durable that nobody waits for, if [`Options::loss_window`] was set and half of it is over, writes a checkpoint
    /// if one is due, and deletes rows that have expired.
    /// Whoever simulates a disk and its clock calls it as time passes.
    ///
    /// ```
    /// use remora::testing::SimDisk;
    /// use remora::{Database, Durability, Options};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let disk = SimDisk::new();
    /// let options = Options::new()
    ///     .durability(Durability::Buffered)
    ///     .loss_window(Duration::from_millis(100))
    ///     .manual_maintenance(true);
    /// let db = Database::open_on(Arc::new(disk.clone()), options)?;
    /// db.connect()?.execute("CREATE TABLE t (n BIGINT)", [])?;
    /// let at_risk = || db.durability_status().log.map(|log| log.transactions_at_risk());
    /// db.run_background()?;
    /// assert_eq!(at_risk(), Some(1));
    /// disk.advance(Duration::from_millis(50));
    /// db.run_background()?;
    /// assert_eq!(at_risk(), Some(0));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 25006 where the log has failed.
    pub fn run_background(&self) -> Result<()> {
        self.sessions.sweeper.sweep(self.store.core())?;
        Ok(self.store.run_background()?)
    }

    /// How durable commits are, and what a crash could take now: what `remora_durability` shows.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a temporary directory");
    /// let db = remora::Database::open(directory.path())?;
    /// db.connect()?.execute("CREATE TABLE t (n BIGINT)", [])?;
    /// let log = db.durability_status().log.expect("it is in a directory");
    /// assert_eq!(log.transactions_at_risk(), 0);
    /// # Ok::<(), remora::Error>(())
    /// ```
    pub fn durability_status(&self) -> DurabilityStatus {
        self.store.durability_status()
    }

    /// Waits until everything before `lsn` is durable, a position in the log that
    /// [`Connection::last_commit_lsn`] gave: that commit, and all before it.
    ///
    /// # Errors
    /// 08007 where the log failed before that was known: the commit may be lost or not. 54000 where the log
    /// does not go as far.
    pub fn wait_durable(&self, lsn: u64) -> Result<()> {
        Ok(self.store.wait_durable(Lsn(lsn))?)
    }

    /// Who holds how much memory now.
    pub fn memory(&self) -> MemoryReport {
        let ledger = self.store.ledger();
        let line = |entry: remora_storage::pool::LedgerEntry| MemoryLine {
            owner: entry.owner.name(),
            bytes: entry.bytes,
        };
        MemoryReport {
            budget: ledger.budget(),
            used: ledger.used(),
            mapped: self.store.mapped_bytes(),
            pressure: ledger.pressure().level(),
            lines: ledger.entries().into_iter().map(line).collect(),
        }
    }
}

/// Memory pressure.
impl Database {
    /// From now on `listener` is called with every change of memory pressure, soon after it, by a
    /// thread of the database that holds no lock: it may use the database, but should not take long.
    /// What panics in it is contained.
    ///
    /// ```
    /// use remora::{Database, Options};
    /// use std::sync::mpsc;
    ///
    /// let db = Database::in_memory_with(Options::new().max_memory(32 << 20))?;
    /// let (sender, receiver) = mpsc::channel();
    /// db.on_memory_pressure(move |change| {
    ///     let _ = sender.send(change.to);
    /// });
    /// let conn = db.connect()?;
    /// conn.execute("CREATE TABLE t (v TEXT)", [])?;
    /// while conn.execute("INSERT INTO t VALUES (repeat('x', 1000000))", []).is_ok() {}
    /// let level = receiver.recv().expect("the database fills up");
    /// assert!(level > remora::PressureLevel::Normal);
    /// # Ok::<(), remora::Error>(())
    /// ```
    pub fn on_memory_pressure(&self, listener: impl Fn(&PressureChange) + Send + Sync + 'static) {
        self.store.on_pressure(listener);
    }

    /// The last changes of memory pressure, oldest first.
    pub fn memory_pressure_history(&self) -> Vec<PressureChange> {
        self.store.ledger().pressure().history()
    }

    /// Changes how much memory the database may take in all.
    ///
    /// # Errors
    /// 53200 where more than that is in use; nothing has changed then.
    pub fn set_max_memory(&self, bytes: u64) -> Result<()> {
        Ok(self.store.ledger().set_budget(bytes)?)
    }
}

/// The memory account of a database, in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MemoryReport {
    /// What it may take.
    pub budget: u64,
    /// What it has taken.
    pub used: u64,
    /// What the system has given of it for rows, strings, versions and index nodes, counted apart
    /// from the account.
    pub mapped: u64,
    /// How near the budget that is.
    pub pressure: PressureLevel,
    /// By whom.
    pub lines: Vec<MemoryLine>,
}

/// One line of a [`MemoryReport`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MemoryLine {
    /// Who, e.g. `table` or `index`.
    pub owner: &'static str,
    /// How much.
    pub bytes: u64,
}
