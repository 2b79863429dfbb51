//! What others may know of a session, and ask of it.

use super::interrupt::Interrupt;
use super::plan_cache::PlanCacheUse;
use super::texts::{PLACES, Texts, place};
use super::{Activity, NUMBER_MASK, about_now};
use crate::notification::Listener;
use remora_storage::Isolation;
use remora_storage::time::IdClock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock};

/// In place of a transaction that a statement waits for: room in a table.
const ROOM: u64 = u64::MAX;

/// A session as others see it. Only the session itself writes to it, except for the interrupt and
/// with atomics only: others read while it runs.
#[derive(Debug)]
pub(crate) struct SessionRecord {
    number: u32,
    interrupt: Interrupt,
    activity: Arc<Activity>,
    /// The number of the statement that runs, or 0.
    running: AtomicU32,
    /// The number of the last one.
    last: AtomicU32,
    /// Which texts are known to others.
    published: [AtomicU32; PLACES],
    texts: Texts,
    /// The transaction block that is open, or the last one.
    transaction: AtomicU64,
    is_open: AtomicBool,
    read_only: AtomicBool,
    /// Whether the block's level is snapshot.
    is_snapshot: AtomicBool,
    /// Whether that of its last statement of its own was.
    is_snapshot_alone: AtomicBool,
    /// Whether its statement waits for its turn.
    waits: AtomicBool,
    /// The transaction that its statement waits for, [`ROOM`], or 0.
    rival: AtomicU64,
    /// When the block began, or 0.
    started: AtomicI64,
    statements: AtomicU64,
    rows_written: AtomicU64,
    /// Where its random numbers have come to, and whether they follow from a seed.
    random: AtomicU64,
    is_seeded: AtomicBool,
    /// Of its UUIDs that rise.
    uuids: IdClock,
    plan_cache: Arc<PlanCacheUse>,
    /// Since it has listened to a channel first.
    listener: OnceLock<Arc<Listener>>,
}

/// A transaction block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    /// Its transaction.
    pub transaction: u64,
    /// Whether it is still open.
    pub is_open: bool,
    /// Whether it can only read.
    pub read_only: bool,
    /// Its level.
    pub isolation: Isolation,
    /// When it began, in microseconds since 1970, if that was noted.
    pub started: Option<i64>,
    /// Statements that were run in it.
    pub statements: u64,
    /// Rows that those of them wrote that are done.
    pub rows_written: u64,
}

// Relaxed everywhere: each word is true for itself, and none guards another.
impl SessionRecord {
    /// From here on its random numbers follow from this one. Only its own thread asks for them.
    pub(crate) fn set_seed(&self, seed: u64) {
        self.random.store(seed, Relaxed);
        self.is_seeded.store(true, Relaxed);
    }

    /// The next random number, if there is a seed: SplitMix64.
    pub(crate) fn next_random(&self) -> Option<u64> {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        if !self.is_seeded.load(Relaxed) {
            return None;
        }
        let mut z = self.random.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    }

    /// The clock of its UUIDs that rise.
    pub(crate) fn uuids(&self) -> &IdClock {
        &self.uuids
    }

    pub(super) fn new(number: u32, activity: Arc<Activity>) -> Self {
        Self {
            number,
            interrupt: Interrupt::default(),
            activity,
            running: AtomicU32::new(0),
            last: AtomicU32::new(0),
            published: Default::default(),
            texts: Texts::default(),
            transaction: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            is_snapshot: AtomicBool::new(false),
            is_snapshot_alone: AtomicBool::new(false),
            random: AtomicU64::new(0),
            is_seeded: AtomicBool::new(false),
            uuids: IdClock::default(),
            waits: AtomicBool::new(false),
            rival: AtomicU64::new(0),
            started: AtomicI64::new(0),
            statements: AtomicU64::new(0),
            rows_written: AtomicU64::new(0),
            plan_cache: Arc::default(),
            listener: OnceLock::new(),
        }
    }

    /// Its number: no two sessions have the same at a time.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// By which it is asked to stop.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// How its plan cache does.
    pub(crate) fn plan_cache(&self) -> &Arc<PlanCacheUse> {
        &self.plan_cache
    }

    /// Notifications that it hears, if it has ever listened.
    pub(crate) fn listener(&self) -> Option<&Arc<Listener>> {
        self.listener.get()
    }

    /// Like [`Self::listener`], but makes one where there is none.
    pub(crate) fn listener_or(&self, make: impl FnOnce() -> Arc<Listener>) -> &Arc<Listener> {
        self.listener.get_or_init(make)
    }

    /// The database's activity.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// The session begins a statement, which has a number of its own that is not 0.
    #[inline]
    pub(crate) fn begin_statement(&self, number: u32, text: &Arc<str>) {
        if self.published[place(number)].load(Relaxed) != number {
            self.publish(number, text);
        }
        self.running.store(number, Relaxed);
        self.last.store(number, Relaxed);
    }

    #[cold]
    fn publish(&self, number: u32, text: &Arc<str>) {
        self.published[place(number)].store(number, Relaxed);
        self.texts.put(number, text);
    }

    /// Its statement runs in a transaction, of its own or of the block.
    #[inline]
    pub(crate) fn runs_in(&self, transaction: u64) {
        let statement = self.last.load(Relaxed);
        self.activity.note(transaction, self.number, statement);
    }

    /// Its statement runs in a transaction of its own, which changes something or only reads.
    #[inline]
    pub(crate) fn runs_alone(&self, transaction: u64, isolation: Isolation, changes: bool) {
        let is_snapshot = isolation == Isolation::Snapshot;
        self.is_snapshot_alone.store(is_snapshot, Relaxed);
        self.runs_in(transaction);
        if changes {
            self.activity.note_start(transaction, about_now());
        }
    }

    /// The level of its last statement with a transaction of its own.
    pub(crate) fn isolation_alone(&self) -> Isolation {
        level(&self.is_snapshot_alone)
    }

    /// The session begins a transaction block. One that only reads need not look at the clock: nobody loses against it.
    pub(crate) fn begin_block(&self, transaction: u64, isolation: Isolation, read_only: bool) {
        let started = (!read_only).then(about_now);
        if let Some(started) = started {
            self.activity.note_start(transaction, started);
        }
        self.started.store(started.unwrap_or(0), Relaxed);
        let is_snapshot = isolation == Isolation::Snapshot;
        self.is_snapshot.store(is_snapshot, Relaxed);
        self.read_only.store(read_only, Relaxed);
        self.statements.store(0, Relaxed);
        self.rows_written.store(0, Relaxed);
        self.transaction.store(transaction, Relaxed);
        self.is_open.store(true, Relaxed);
        self.runs_in(transaction);
    }

    /// Its statement runs in the block.
    #[inline]
    pub(crate) fn runs_in_block(&self, transaction: u64, read_only: bool) {
        self.read_only.store(read_only, Relaxed);
        // Nobody else writes it.
        self.statements
            .store(self.statements.load(Relaxed) + 1, Relaxed);
        self.runs_in(transaction);
    }

    /// Its statement in the block is done.
    #[inline]
    pub(crate) fn wrote_in_block(&self, rows: u64) {
        self.rows_written
            .store(self.rows_written.load(Relaxed) + rows, Relaxed);
    }

    /// The session comes to rest, with or without an open block.
    #[inline]
    pub(crate) fn rest(&self, in_block: bool) {
        self.running.store(0, Relaxed);
        self.is_open.store(in_block, Relaxed);
    }

    /// It goes on with a statement whose rows are being handed out.
    #[inline]
    pub(crate) fn resume(&self) {
        self.running.store(self.last.load(Relaxed), Relaxed);
    }

    /// It waits until more rows are asked for.
    #[inline]
    pub(crate) fn pause(&self) {
        self.running.store(0, Relaxed);
    }

    /// Its statement begins, or ends, to wait for its turn.
    pub(crate) fn wait_for_turn(&self, waits: bool) {
        self.waits.store(waits, Relaxed);
    }

    /// Whether its statement waits for its turn.
    pub(crate) fn waits_for_turn(&self) -> bool {
        self.waits.load(Relaxed)
    }

    /// Its statement begins to wait for a transaction, or ends to wait: 0.
    pub(crate) fn wait_for_rival(&self, transaction: u64) {
        self.rival.store(transaction, Relaxed);
    }

    /// The transaction that its statement waits for.
    pub(crate) fn rival(&self) -> Option<u64> {
        match self.rival.load(Relaxed) {
            0 | ROOM => None,
            rival => Some(rival),
        }
    }

    /// Its statement begins, or ends, to wait for room in a table.
    pub(crate) fn wait_for_room(&self, waits: bool) {
        self.rival.store(if waits { ROOM } else { 0 }, Relaxed);
    }

    /// Whether its statement waits for room in a table.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.rival.load(Relaxed) == ROOM
    }

    /// Whether a statement runs.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Relaxed) != 0
    }

    /// The transaction block that is open, or the last one.
    pub(crate) fn block(&self) -> Option<Block> {
        let transaction = self.transaction.load(Relaxed);
        (transaction != 0).then(|| Block {
            transaction,
            is_open: self.is_open.load(Relaxed),
            read_only: self.read_only.load(Relaxed),
            isolation: level(&self.is_snapshot),
            started: Some(self.started.load(Relaxed)).filter(|started| *started != 0),
            statements: self.statements.load(Relaxed),
            rows_written: self.rows_written.load(Relaxed),
        })
    }

    /// The text of its last statement, if that is still known.
    pub(crate) fn last_statement(&self) -> Option<Arc<str>> {
        self.text(self.last.load(Relaxed))
    }

    pub(super) fn text(&self, number: u32) -> Option<Arc<str>> {
        self.texts.get(number)
    }

    /// The number of the statement after another.
    pub(crate) fn number_after(last: u32) -> u32 {
        last % NUMBER_MASK as u32 + 1
    }
}

fn level(is_snapshot: &AtomicBool) -> Isolation {
    match is_snapshot.load(Relaxed) {
        true => Isolation::Snapshot,
        false => Isolation::Serializable,
    }
}

impl Drop for SessionRecord {
    fn drop(&mut self) {
        self.activity.leave(self.number);
    }
}
