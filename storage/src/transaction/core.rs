//! The core: everything that transactions share.

use super::compact::Compactor;
use super::relief::InVain;
use super::shown::ReplacedCatalogs;
use super::waiting::Waiting;
use super::{Durability, ReadView, Transaction, TransactionOptions};
use crate::catalog::{Catalog, LatestCatalog};
use crate::error::{Error, Result};
use crate::ids::{IndexId, Lsn, SchemaId, SequenceId, TableId, Timestamp};
use crate::maintenance::{
    self, Collector, GarbageQueue, Pace, PressureListeners, Sightings, SnapshotUse,
};
use crate::mvcc::{Operation, Registration, Snapshots, Timeline};
use crate::pool::{Ledger, Pool, PressureChange, PressureLevel};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::sync::{Mutex, MutexGuard};
use crate::time::DatabaseTime;
use crate::wal::{Log, LogStatus};
use crate::write_set::WriteSet;
use arc_swap::Guard;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// Writes that are collected in a round. After each the background thread lets go of the lock.
const ROUND_WRITES: usize = 4096;
/// Writes that may wait for the collector without being reserved for: a megabyte or so.
const QUEUED_FREE: usize = 1024;
/// Writes that wait before a commit collects some.
const COOPERATE_FROM: usize = 64;

/// How often operations of others are waited for, for a while each time. All threads of a process share the epochs, and the
/// longest operation is the rebuild of a block, perhaps another database's, which may take seconds on a slow machine.
const GRACE_ROUNDS: u32 = if cfg!(feature = "shuttle") {
    1000
} else {
    20_000
};
/// The first so many of them last as long as others want to go on; the rest half a millisecond.
const YIELDS: u32 = 500;

/// Lets others go on for a while.
fn pause(round: u32) {
    if round < YIELDS || cfg!(feature = "shuttle") {
        crate::sync::yield_now();
    } else {
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// What transactions share: clock, snapshots, catalog, memory, log.
#[derive(Debug)]
pub struct Core {
    pub(super) timeline: Arc<Timeline>,
    pub(super) time: Arc<DatabaseTime>,
    pub(super) pool: Arc<Pool>,
    pub(super) catalog: LatestCatalog,
    pub(super) replaced: ReplacedCatalogs,
    /// Held by whoever commits.
    pub(super) commit: Mutex<()>,
    pub(super) garbage: GarbageQueue,
    /// The bound of snapshots to come up to which commits have collected all that they can.
    collected_to: AtomicU64,
    collector: Mutex<Collector>,
    /// Locked before the collector.
    pub(super) compactor: Mutex<Compactor>,
    /// Of the background thread.
    pace: Mutex<Pace>,
    sightings: Mutex<Sightings>,
    listeners: PressureListeners,
    /// Held by whoever frees memory for a request of its own.
    pub(super) relief: Mutex<Option<InVain>>,
    pub(super) waiting: Waiting,
    log: OnceLock<AttachedLog>,
    /// The ids given last.
    tables: AtomicU32,
    indexes: AtomicU32,
    sequences: AtomicU32,
    schemas: AtomicU32,
    manual_maintenance: bool,
}

#[derive(Debug)]
pub(super) struct AttachedLog {
    pub(super) log: Arc<Log>,
    /// Whether commits that say nothing about it wait until they are durable.
    wait_durable: bool,
}

impl AttachedLog {
    /// Whether a commit waits that was asked to be so durable.
    pub(super) fn waits(&self, asked: Option<Durability>) -> bool {
        asked.map_or(self.wait_durable, |level| level == Durability::Sync)
    }
}

/// How durable commits are.
#[derive(Clone, Debug)]
pub struct DurabilityStatus {
    /// The level of commits that say nothing about it.
    pub level: Durability,
    /// The last commit.
    pub committed: Timestamp,
    /// Where the log stands; `None` in memory.
    pub log: Option<LogStatus>,
}

impl Core {
    /// An empty database. Without `manual_maintenance` a background thread collects garbage until
    /// the last handle goes.
    pub fn new(ledger: Arc<Ledger>, manual_maintenance: bool) -> Result<Arc<Self>> {
        Self::with_pool(
            Pool::new(ledger),
            DatabaseTime::default(),
            manual_maintenance,
        )
    }

    /// Makes an empty database with a pool and a time of the caller's choice.
    pub fn with_pool(
        pool: Arc<Pool>,
        time: DatabaseTime,
        manual_maintenance: bool,
    ) -> Result<Arc<Self>> {
        let core = Self::recovering(pool, time, manual_maintenance);
        core.start_maintenance()?;
        Ok(core)
    }

    /// The same for who will restore what was there ([`Self::finish_recovery`]): until then nothing runs in
    /// the background, since rows are restored without the care that others would ask for.
    pub fn recovering(pool: Arc<Pool>, time: DatabaseTime, manual_maintenance: bool) -> Arc<Self> {
        let timeline = Timeline::new();
        let core = Arc::new(Self {
            collector: Mutex::new(Collector::new(&timeline, &pool)),
            compactor: Mutex::default(),
            sightings: Mutex::default(),
            timeline,
            time: Arc::new(time),
            pool,
            catalog: LatestCatalog::default(),
            replaced: ReplacedCatalogs::default(),
            commit: Mutex::new(()),
            garbage: GarbageQueue::default(),
            collected_to: AtomicU64::new(u64::MAX),
            pace: Mutex::default(),
            listeners: PressureListeners::default(),
            relief: Mutex::default(),
            waiting: Waiting::default(),
            log: OnceLock::new(),
            tables: AtomicU32::new(0),
            indexes: AtomicU32::new(0),
            sequences: AtomicU32::new(0),
            schemas: AtomicU32::new(0),
            manual_maintenance,
        });
        let relief: Weak<Self> = Arc::downgrade(&core);
        core.ledger().relieve_by(relief);
        core
    }

    pub(super) fn start_maintenance(self: &Arc<Self>) -> Result<()> {
        match self.manual_maintenance {
            true => Ok(()),
            false => maintenance::spawn(Arc::downgrade(self), |core| core.maintain()),
        }
    }

    /// From now on commits go to `log`, and wait for it if asked to. Called once, after recovery.
    pub fn attach_log(&self, log: Arc<Log>, wait_durable: bool) {
        let attached = AttachedLog { log, wait_durable };
        let first = self.log.set(attached).is_ok();
        assert!(first, "a core has one log");
    }

    /// How durable commits are, and what is at risk now.
    pub fn durability_status(&self) -> DurabilityStatus {
        let attached = self.log();
        let level = attached.map(|attached| match attached.wait_durable {
            true => Durability::Sync,
            false => Durability::Buffered,
        });
        let log = attached.map(|attached| attached.log.status());
        DurabilityStatus {
            level: level.unwrap_or(Durability::Memory),
            committed: log.as_ref().map_or(self.latest(), |log| log.committed.0),
            log,
        }
    }

    /// The time of the database.
    pub fn time(&self) -> &Arc<DatabaseTime> {
        &self.time
    }

    /// The clock, the registered snapshots, and the states of running transactions.
    pub fn clock(&self) -> &Arc<Timeline> {
        &self.timeline
    }

    /// Waits until everything that was logged so far is durable, numbers of sequences too. In memory nothing
    /// is, and nobody waits.
    ///
    /// # Errors
    /// `LogFailed` where that can no longer be, `DiskFull` where there is no room for it now.
    pub fn wait_logged(&self) -> Result<()> {
        self.log().map_or(Ok(()), |attached| attached.log.flush())
    }

    /// The end of the log: where the next commit goes. In memory nothing is logged.
    pub fn log_end(&self) -> Lsn {
        self.log().map_or(Lsn(0), |attached| attached.log.end())
    }

    /// Waits until everything that was logged before `lsn` is durable.
    ///
    /// # Errors
    /// As for [`Self::wait_logged`].
    pub fn wait_logged_to(&self, lsn: Lsn) -> Result<()> {
        self.log()
            .map_or(Ok(()), |attached| attached.log.wait_written(lsn))
    }

    /// From now on `listener` is called when more commits have become durable ([`Log::on_durable`]). In memory a commit
    /// counts as durable when it is made, and nobody is called.
    pub fn on_durable(&self, listener: impl Fn() + Send + Sync + 'static) {
        if let Some(attached) = self.log() {
            attached.log.on_durable(listener);
        }
    }

    pub(super) fn log(&self) -> Option<&AttachedLog> {
        self.log.get()
    }

    /// The account of memory.
    pub fn ledger(&self) -> &Arc<Ledger> {
        self.pool.ledger()
    }

    /// The pool that rows and versions live in.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Starts a transaction on the latest committed state, with the options that are the default.
    pub fn begin(self: &Arc<Self>) -> Result<Transaction> {
        self.begin_with(TransactionOptions::default())
    }

    /// Starts a transaction on the latest committed state; on the last durable one while the log takes no
    /// frames.
    pub fn begin_with(self: &Arc<Self>, options: TransactionOptions) -> Result<Transaction> {
        if !options.read_only && self.timeline.is_durable_only() {
            // Where there is room again, it begins with the latest state, whose rows it may want to change.
            let _ = self.check_writable();
        }
        loop {
            let registration = self.timeline.register_transaction(!options.read_only)?;
            // A commit installs its catalog before it moves the clock: between the two, rows and
            // structure would not belong together.
            if let Some(catalog) = self.catalog_at(registration.snapshot()) {
                let core = Arc::clone(self);
                return Ok(Transaction::new(core, registration, options, catalog));
            }
            // It takes the committer a few instructions, unless it was put to sleep.
            crate::sync::yield_now();
        }
    }

    /// How many transactions there can be.
    pub fn max_transactions(&self) -> usize {
        self.timeline.max_transactions()
    }

    /// Limits how many transactions there can be, before the first one.
    pub fn limit_transactions(&self, count: usize) {
        self.timeline.limit_transactions(count);
    }

    /// A view of the latest committed state, be it durable or not, outside any transaction.
    pub fn view_latest(self: &Arc<Self>) -> Result<ReadView> {
        let registration = self.timeline.register()?;
        Ok(ReadView::new(Arc::clone(self), registration, 0, None))
    }

    /// A view of what a transaction sees that begins now, outside any transaction, and the catalog of that moment.
    pub fn view_shown(self: &Arc<Self>) -> Result<(ReadView, Arc<Catalog>)> {
        loop {
            let registration = self.timeline.register_shown()?;
            if let Some(catalog) = self.catalog_at(registration.snapshot()) {
                let view = ReadView::new(Arc::clone(self), registration, 0, None);
                return Ok((view, Guard::into_inner(catalog)));
            }
            crate::sync::yield_now();
        }
    }

    /// The latest committed catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The latest committed timestamp.
    pub fn latest(&self) -> Timestamp {
        self.timeline.latest()
    }

    pub(super) fn snapshots(&self, registration: &Registration) -> Vec<SnapshotUse> {
        let held = self.timeline.held();
        let each = held.iter().map(|held| held.snapshot).collect();
        let snapshots = Snapshots::new(self.timeline.earliest_to_come(), each);
        let mut sightings = self.sightings.lock();
        sightings.look(&held);
        let catalog = self.catalog.load();
        maintenance::snapshot_uses(&catalog, &snapshots, &held, &sightings, registration)
    }

    /// Runs `f` with the latest committed timestamp while no commit can happen.
    pub fn commit_section<T>(&self, f: impl FnOnce(Timestamp) -> T) -> T {
        let _section = self.commit.lock();
        f(self.timeline.latest())
    }

    pub(super) fn collector(&self) -> MutexGuard<'_, Collector> {
        self.collector.lock()
    }

    /// Does what garbage collection can do now; returns how many writes and unlinked things wait.
    pub fn collect_garbage(&self) -> usize {
        // What is not durable stays, and all that it has replaced. Where it cannot become durable it waits.
        let _ = self.wait_logged();
        self.forget_catalogs();
        while self.collect_round() {}
        self.wait_for_retired();
        self.timeline.horizon();
        self.forget_changes();
        self.garbage.len() + self.collector().retired()
    }

    /// Frees what was unlinked, and waits for those who may look at it.
    pub(super) fn wait_for_retired(&self) {
        let catalog = self.catalog();
        maintenance::free_nodes(&catalog);
        self.wait_for_readers(|| {
            let mut collector = self.collector();
            collector.free_all();
            collector.retired() > 0
        });
        maintenance::free_nodes(&catalog);
    }

    /// Calls `is_waiting` again and again while it says that operations of others hold something up:
    /// these end soon. Not if one of them is the caller's own, and not for ever.
    fn wait_for_readers(&self, is_waiting: impl Fn() -> bool) {
        let mut round = 0;
        while is_waiting() && round < GRACE_ROUNDS && !Operation::is_under_way() {
            pause(round);
            round += 1;
        }
    }

    /// Does what garbage collection can do while old snapshots stay, however little it is.
    #[cfg(test)]
    pub(super) fn prune_all(&self) {
        self.collector().prune_all(&self.garbage, &self.catalog);
        self.collect_garbage();
    }

    /// A round of the background thread; returns whether there is more to do at once.
    fn maintain(&self) -> bool {
        self.ease();
        let mut sightings = self.sightings.lock();
        if sightings.is_due() {
            sightings.look(&self.timeline.held());
        }
        drop(sightings);
        let latest = self.timeline.latest();
        let (horizon, waiting) = (self.timeline.horizon(), self.garbage.len());
        let leaves_out = self.pace.lock().leaves_out(latest, horizon, waiting);
        let more = !leaves_out && self.collect_round()
            || self.compact_round()
            || self.collector().evacuate(&self.catalog.load());
        if !more {
            self.forget_changes();
        }
        self.forget_catalogs();
        more
    }

    /// Gives back the memory of changes that nobody will ask for. Where there are commits, they do it.
    fn forget_changes(&self) {
        let horizon = self.timeline.validation_horizon();
        for entry in self.catalog.load().tables() {
            entry.rows.recent().trim(horizon);
        }
    }

    pub(super) fn collect_round(&self) -> bool {
        let mut collector = self.collector();
        let more = collector.collect(&self.garbage, &self.catalog, ROUND_WRITES);
        collector.free_all();
        more
    }

    /// Has the blocks freed that were given up by insertions that failed.
    pub(super) fn retire_orphans(&self) {
        let catalog = self.catalog.load();
        let mut collector = self.collector();
        for garbage in catalog.tables().flat_map(|entry| entry.rows.take_orphans()) {
            collector.retire(garbage);
        }
    }

    /// Does what the level of pressure asks for, leaves the level if it has passed, and tells the
    /// listeners. Not to be called where a lock is held.
    pub fn ease(&self) {
        let pressure = self.ledger().pressure();
        let level = pressure.level();
        if level >= PressureLevel::Collect {
            // Whoever rolls back waits for one round at most.
            while self.collect_round() {}
        }
        if level >= PressureLevel::Compact {
            self.compact_scarce_round();
        }
        let untold = pressure.take_untold();
        if untold.iter().any(|change| change.to > change.from) {
            self.pool.shed_caches();
            self.pool.purge(u64::MAX);
        }
        self.ledger().ease_pressure();
        self.ledger().trim_at_rest(std::time::Instant::now());
        self.listeners.tell(&untold);
    }

    /// From now on `listener` is called with every change of memory pressure, soon after it, by a
    /// thread that does maintenance. It should not take long.
    pub fn on_pressure(&self, listener: impl Fn(&PressureChange) + Send + Sync + 'static) {
        self.listeners.add(listener);
    }

    /// Whether commits that make the database larger shall pause.
    pub(super) fn is_nearly_full(&self) -> bool {
        self.ledger().pressure().level() == PressureLevel::Slow && !self.manual_maintenance
    }

    /// Empties sparse slabs of the pool as far as that can be done now; what readers still look
    /// at stays where it is. Returns by how many bytes of memory in use the pool is smaller.
    pub fn evacuate(&self) -> u64 {
        let in_use = || {
            let extents = self.pool.stats().extents;
            extents.bytes - extents.idle_bytes
        };
        let before = in_use();
        self.collector().evacuate_soon();
        // The collector is let go between rounds, so that commits and rollbacks get to it.
        while self.collector().evacuate(&self.catalog.load()) {}
        self.collect_garbage();
        self.wait_for_readers(|| {
            let mut collector = self.collector();
            collector.evacuate(&self.catalog.load());
            collector.is_waiting_for_readers()
        });
        self.collector().end_evacuation();
        self.pool.shed_caches();
        before.saturating_sub(in_use())
    }

    /// Queues a committed write set, which is taken out of its place.
    pub(super) fn hand_over(&self, timestamp: Timestamp, set: &mut WriteSet) {
        self.garbage.push(timestamp, set);
    }

    /// Whether so much waits for the collector that a write set has to reserve what it takes there.
    pub(super) fn has_to_wait(&self) -> bool {
        self.garbage.len() >= QUEUED_FREE
    }

    /// Whether a commit should collect some: much waits, and not only to become durable.
    pub(super) fn is_behind(&self) -> bool {
        !self.manual_maintenance
            && self.garbage.len() >= COOPERATE_FROM
            // Relaxed: whoever misses it looks in vain, or leaves it to the next.
            && self.collected_to.load(Relaxed) != self.timeline.earliest_to_come().0
    }

    /// The share of collecting that a commit takes on: twice as much as it brought, so that it keeps
    /// up also where it was not its turn before, and a little more; unless somebody else is at it.
    pub(super) fn cooperate(&self, writes: usize) {
        if !self.is_behind() {
            return;
        }
        if let Some(mut collector) = self.collector.try_lock() {
            let bound = self.timeline.earliest_to_come();
            if !self.collect_own(&mut collector, 2 * writes + COOPERATE_FROM) {
                self.collected_to.store(bound.0, Relaxed);
            }
        }
    }

    /// Collects up to so many of the writes of this thread; returns whether there may be more. It goes round by round:
    /// an operation lasts a round, and while one lasts nothing is freed that was taken out of an index.
    pub(super) fn collect_own(&self, collector: &mut Collector, limit: usize) -> bool {
        let rounds = limit.div_ceil(ROUND_WRITES);
        (0..rounds).all(|round| {
            let limit = (limit - round * ROUND_WRITES).min(ROUND_WRITES);
            collector.collect_own(&self.garbage, &self.catalog, limit)
        })
    }

    pub(super) fn next_table(&self) -> Result<TableId> {
        next(&self.tables, "number of tables ever created").map(TableId)
    }

    pub(super) fn next_index(&self) -> Result<IndexId> {
        next(&self.indexes, "number of indexes ever created").map(IndexId)
    }

    pub(super) fn next_sequence(&self) -> Result<SequenceId> {
        next(&self.sequences, "number of sequences ever created").map(SequenceId)
    }

    /// An id that no schema has had since the database was opened, so that nobody mistakes one for another.
    pub(super) fn next_schema(&self) -> Result<SchemaId> {
        let id = next(&self.schemas, "number of schemas ever created")?;
        match id < SchemaId::MADE_END {
            true => Ok(SchemaId(id)),
            false => Err(Error::LimitExceeded {
                what: "number of schemas ever created",
                found: id.into(),
                limit: SchemaId::MADE_END.into(),
            }),
        }
    }

    pub(super) fn restore_next_schema(&self, last: SchemaId) {
        self.schemas.fetch_max(last.0, Relaxed);
    }

    /// The id that the next sequence is given.
    pub fn next_sequence_id(&self) -> SequenceId {
        SequenceId(self.sequences.load(Relaxed).saturating_add(1))
    }

    /// No sequence is given an id below this one any more.
    pub fn restore_next_sequence(&self, id: SequenceId) {
        self.sequences.fetch_max(id.0.saturating_sub(1), Relaxed);
    }

    /// The ids that the next table and the next index are given.
    pub fn next_ids(&self) -> (TableId, IndexId) {
        let next = |last: &AtomicU32| last.load(Relaxed).saturating_add(1);
        (TableId(next(&self.tables)), IndexId(next(&self.indexes)))
    }

    /// No table or index is given an id below these any more.
    pub fn restore_next_ids(&self, table: TableId, index: IndexId) {
        self.tables.fetch_max(table.0.saturating_sub(1), Relaxed);
        self.indexes.fetch_max(index.0.saturating_sub(1), Relaxed);
    }
}

fn next(last: &AtomicU32, what: &'static str) -> Result<u32> {
    let next = |last: u32| last.checked_add(1);
    match last.fetch_update(Relaxed, Relaxed, next) {
        Ok(last) => Ok(last + 1),
        Err(last) => Err(Error::LimitExceeded {
            what,
            found: u64::from(last) + 1,
            limit: u64::from(u32::MAX),
        }),
    }
}
