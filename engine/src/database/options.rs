//! How a database is opened.

use crate::session::Limits;
use remora_storage::pool::PressureThresholds;
use remora_storage::store::{RecoveryListener, RecoveryMode, RecoveryProgress};
use remora_storage::time::{TimeSource, micros};
use remora_storage::{Durability, StoreOptions};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How a database is opened; made by [`Options::new`] and changed by its methods.
///
/// ```
/// use remora::{Database, Durability, Options};
///
/// let options = Options::new().max_memory(256 << 20).durability(Durability::Buffered);
/// let db = Database::in_memory_with(options)?;
/// assert_eq!(db.memory().budget, 256 << 20);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    store: StoreOptions,
    pub(super) limits: Limits,
}

impl Options {
    /// The defaults: durability `sync`, 80 % of the memory that machine or container grants.
    pub fn new() -> Self {
        Self::default()
    }

    /// When a commit returns, unless its session (`SET synchronous_commit`) or its transaction
    /// ([`TransactionOptions::durability`](crate::TransactionOptions::durability)) has chosen between `buffered`
    /// and `sync` itself. A directory that is opened with `memory` is opened with `buffered`: a change that is
    /// logged must never stand on one that is not.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.store.durability = durability;
        self
    }

    /// How long after its return a commit at [`Durability::Buffered`] may still be lost by a crash; 100 ms
    /// unless said otherwise. Syncs that take longer than half of it can make it longer; then commits are
    /// held up, so that all that a crash takes had returned within one such window. `remora_durability` shows how
    /// long it was at most.
    #[must_use]
    pub fn loss_window(mut self, window: Duration) -> Self {
        self.store.loss_window = Some(window);
        self
    }

    /// How many bytes of memory the database may take in all. A statement that would pass it
    /// fails with 53200 and changes nothing.
    #[must_use]
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.store.max_memory = Some(bytes);
        self
    }

    /// How many checkpoints before the current one are kept, with all that they need; 2 unless said
    /// otherwise. [`crate::Database::restore_checkpoint`] goes back to one of them.
    #[must_use]
    pub fn keep_checkpoints(mut self, count: usize) -> Self {
        self.store.keep_checkpoints = Some(count);
        self
    }

    /// How long after a checkpoint the next one is written, if anything was logged meanwhile; 5 minutes
    /// unless said otherwise, `Duration::MAX` for never. What the setting `checkpoint_timeout` has to begin with.
    #[must_use]
    pub fn checkpoint_timeout(mut self, timeout: Duration) -> Self {
        self.store.checkpoint_timeout = Some(timeout);
        self
    }

    /// How long the replay of the log may take after a crash: checkpoints are written often enough for that,
    /// judged by what the last recovery replayed a second. Loading the checkpoint and filling the indexes
    /// come on top. Any time unless there is a target. What the setting `recovery_target` has to begin with.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a temporary directory");
    /// use remora::{Database, Options};
    /// use std::time::Duration;
    ///
    /// let options = Options::new().recovery_target(Duration::from_millis(500));
    /// let conn = Database::open_with(directory.path(), options)?.connect()?;
    /// conn.execute("SET recovery_target = '2s'", [])?;
    /// conn.execute("RESET recovery_target", [])?;
    /// let shown: String = conn.query_row("SHOW recovery_target", [], |row| row.get(0))?;
    /// assert_eq!(shown, "500ms");
    /// # Ok::<(), remora::Error>(())
    /// ```
    #[must_use]
    pub fn recovery_target(mut self, target: Duration) -> Self {
        self.store.recovery_target = Some(target);
        self
    }

    /// How many bytes a second are written to a checkpoint that nobody waits for, so that commits stay quick
    /// meanwhile; 64 MiB unless said otherwise, `u64::MAX` for no limit.
    #[must_use]
    pub fn checkpoint_rate(mut self, bytes: u64) -> Self {
        self.store.checkpoint_rate = Some(bytes);
        self
    }

    /// Whether closing writes a checkpoint, so that the next opening has no log to replay; off unless asked
    /// for.
    #[must_use]
    pub fn checkpoint_on_close(mut self, wished: bool) -> Self {
        self.store.checkpoint_on_close = wished;
        self
    }

    /// How long nobody must have changed a block of rows for the background to encode it, so that it
    /// takes less memory; 10 seconds by default, `Duration::MAX` for never.
    #[must_use]
    pub fn freeze_after(mut self, quiet: Duration) -> Self {
        self.store.freeze_after = Some(quiet);
        self
    }

    /// Whether the memory of rows, strings and versions is cleared as soon as it is free, so that
    /// deleted values do not stay in the process; off unless asked for. It does not reach what
    /// indexes, statements and the log's buffers held, nor the files of a directory.
    ///
    /// ```
    /// use remora::{Database, Options};
    ///
    /// let db = Database::in_memory_with(Options::new().secure_delete(true))?;
    /// # Ok::<(), remora::Error>(())
    /// ```
    #[must_use]
    pub fn secure_delete(mut self, secure: bool) -> Self {
        self.store.secure_delete = secure;
        self
    }
}

/// For tests that must be repeatable.
impl Options {
    /// Whether nothing runs in the background: no thread collects, freezes, writes checkpoints or makes
    /// `buffered` commits durable. Off unless asked for.
    #[must_use]
    pub fn manual_maintenance(mut self, manual: bool) -> Self {
        self.store.manual_maintenance = manual;
        self.limits.manual_maintenance = manual;
        self
    }

    /// The length in bytes beyond which a segment of the log gets no further commits; 64 MiB unless said
    /// otherwise.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.store.segment_bytes = Some(bytes);
        self
    }

    /// The name that a new database gets in its files, instead of a random one. Two databases of one name
    /// may be taken for each other.
    #[must_use]
    pub fn database_id(mut self, name: [u8; 16]) -> Self {
        self.store.database_id = Some(name);
        self
    }
}

impl Options {
    /// Where the levels of memory pressure begin, in percent of what ordinary statements may take:
    /// caches are given up, garbage is collected without pause, blocks are compacted, commits that
    /// make the database larger are slowed down. 70, 80, 90 and 95 unless said otherwise.
    ///
    /// ```
    /// use remora::{Database, Options, PressureThresholds};
    ///
    /// let thresholds = PressureThresholds::new([50, 60, 70, 80])?;
    /// let db = Database::in_memory_with(Options::new().pressure_thresholds(thresholds))?;
    /// # Ok::<(), remora::Error>(())
    /// ```
    #[must_use]
    pub fn pressure_thresholds(mut self, thresholds: PressureThresholds) -> Self {
        self.store.pressure_thresholds = thresholds;
        self
    }
}

/// Ids that are made of the time: `snowflake_id()`.
///
/// ```
/// use remora::{Database, Options};
/// let conn = Database::in_memory_with(Options::new().node_id(7))?.connect()?;
/// let node = "SELECT (snowflake_id() >> 12) & 1023";
/// assert_eq!(conn.query_row(node, [], |row| row.get::<_, i64>(0))?, 7);
/// # Ok::<(), remora::Error>(())
/// ```
impl Options {
    /// The node in the ids, 0 to 1023: databases whose ids must not meet need different ones. It is drawn from the name and
    /// the directory of the database unless said otherwise, and at random in memory. What the setting `node_id` has to
    /// begin with.
    #[must_use]
    pub fn node_id(mut self, node: u16) -> Self {
        self.store.node_id = Some(node.into());
        self
    }

    /// The moment from which on the ids count milliseconds, for 69 years; 2021-01-01 UTC unless said otherwise. What the
    /// setting `snowflake_epoch` has to begin with.
    #[must_use]
    pub fn snowflake_epoch(mut self, epoch: SystemTime) -> Self {
        self.store.snowflake_epoch = Some(micros(epoch).div_euclid(1000));
        self
    }
}

/// The time.
impl Options {
    /// Where the database learns what time it is, by itself from the system: for tests of what happens with time
    /// ([`testing::ManualTime`](crate::testing::ManualTime)). On a simulated disk it is by itself the disk's.
    #[must_use]
    pub fn time_source(mut self, source: Arc<dyn TimeSource>) -> Self {
        self.store.time = Some(source);
        self
    }

    /// Whether the wall clock is right also where the files of the database say that it was later than that. By itself
    /// time does not go back: it goes on from there at half speed until the wall clock has caught up
    /// ([`RecoveryReport::ahead`](crate::RecoveryReport::ahead)).
    #[must_use]
    pub fn accept_clock(mut self, accept: bool) -> Self {
        self.store.accept_clock = accept;
        self
    }
}

/// Opening a directory.
impl Options {
    /// What is done where the directory is damaged: it is an error that names file and byte
    /// ([`RecoveryMode::Strict`], the default), or what verifies is kept and each loss reported
    /// ([`RecoveryMode::Salvage`]; see [`RecoveryReport::losses`](crate::RecoveryReport::losses)).
    #[must_use]
    pub fn recovery(mut self, mode: RecoveryMode) -> Self {
        self.store.recovery = mode;
        self
    }

    /// Calls `listener` while a directory is being opened: as loading the images of the last checkpoint,
    /// replaying the log and building the indexes each begin and end, and some 50 times a second
    /// meanwhile. It is called by whichever thread is at work, should not take long, and what panics in it is
    /// contained.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a temporary directory");
    /// use remora::{Database, Options};
    /// use std::sync::mpsc;
    ///
    /// drop(Database::open(directory.path())?);
    /// let (sender, receiver) = mpsc::channel();
    /// let options = Options::new().on_recovery(move |progress| {
    ///     let _ = sender.send((progress.phase.name(), progress.done == progress.total));
    /// });
    /// let db = Database::open_with(directory.path(), options)?;
    /// let last = receiver.into_iter().take_while(|(phase, _)| *phase != "indexes");
    /// assert_eq!(last.last(), Some(("log", true)));
    /// # Ok::<(), remora::Error>(())
    /// ```
    #[must_use]
    pub fn on_recovery(
        mut self,
        listener: impl Fn(RecoveryProgress) + Send + Sync + 'static,
    ) -> Self {
        self.store.on_recovery = Some(RecoveryListener::new(listener));
        self
    }
}

/// Bounds on what runs. Those on time are what the settings of their names have to begin with.
///
/// ```
/// use remora::{Database, Options};
/// use std::time::Duration;
///
/// let options = Options::new()
///     .max_transactions(100)
///     .max_active_statements(8)
///     .statement_timeout(Duration::from_secs(30))
///     .idle_in_transaction_session_timeout(Duration::from_secs(60));
/// let conn = Database::in_memory_with(options)?.connect()?;
/// let show = |name: &str| conn.query_row(name, [], |row| row.get::<_, String>(0));
/// assert_eq!(show("SHOW statement_timeout")?, "30s");
/// assert_eq!(show("SHOW max_transactions")?, "100");
/// # Ok::<(), remora::Error>(())
/// ```
impl Options {
    /// How many transactions there can be at a time, with results that are still being read; one more
    /// fails with 53300. 4,096 unless said otherwise, and at most.
    #[must_use]
    pub fn max_transactions(mut self, count: usize) -> Self {
        self.store.max_transactions = Some(count);
        self
    }

    /// How many statements run at a time; others wait for their turn, in the order in which they came. No
    /// limit unless there is one. `COMMIT`, `ROLLBACK` and settings do not wait.
    #[must_use]
    pub fn max_active_statements(mut self, count: usize) -> Self {
        self.limits.active_statements = Some(count);
        self
    }

    /// How long a statement may take, its waiting included; then it fails with 57014. No limit unless
    /// there is one.
    #[must_use]
    pub fn statement_timeout(mut self, limit: Duration) -> Self {
        self.limits.statement_timeout = Some(limit);
        self
    }

    /// How long a transaction may be open; then it is rolled back, and its next statement fails with
    /// 25P04. No limit unless there is one.
    #[must_use]
    pub fn transaction_timeout(mut self, limit: Duration) -> Self {
        self.limits.transaction_timeout = Some(limit);
        self
    }

    /// How long a statement waits for a transaction that has changed or locked what it wants to change, too,
    /// before it fails with 55P03. It does not wait unless there is a limit: it fails with 40001.
    #[must_use]
    pub fn lock_timeout(mut self, limit: Duration) -> Self {
        self.limits.lock_timeout = Some(limit);
        self
    }

    /// How long a transaction may be open without a statement; then it is rolled back at once, and its
    /// next statement fails with 25P03. No limit unless there is one.
    #[must_use]
    pub fn idle_in_transaction_session_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_in_transaction_session_timeout = Some(limit);
        self
    }
}

impl From<Options> for StoreOptions {
    fn from(options: Options) -> Self {
        options.store
    }
}
