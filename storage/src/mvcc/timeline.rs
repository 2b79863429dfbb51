//! The clock, the registered snapshots, and the state of every running transaction.
//!
//! A fixed table of slots, one cache line each. A slot is claimed without a lock when a transaction
//! (or a view outside any) begins, and released when the last holder leaves.
//!
//! ```text
//!   state      free -> active -> committed at ts -> free
//!                          \---> rolling back ----> free
//!   snapshot   the timestamp it reads at; IDLE while nothing is registered
//! ```
//!
//! *Registering* publishes the clock's value in the slot and then reads the clock again, until both
//! agree. *The horizon* reads the clock first and the slots after it. Each has a `SeqCst` fence
//! between its two steps, and fences have one order: if the horizon missed a snapshot, its fence
//! was before the registering thread's, hence that thread reads the clock again later than the
//! horizon did, and ends up with a snapshot at or above it.
//!
//! *What is durable* is a second clock, behind the first. While the log takes frames nobody reads by it, but the
//! horizon never passes it: when the log takes no more, snapshots of transactions go back to it
//! ([`Timeline::show_durable_only`]), and what they see then must still be there. Without a log everything
//! counts as durable.
//!
//! *Committing* stores the state before it moves the clock. A snapshot at or above the commit's
//! timestamp therefore finds the state committed; an older one sees `active` or a timestamp above
//! its own, and both mean: not visible.

use super::late_commits::LateCommits;
use super::registration::Registration;
use super::snapshots::Snapshots;
use super::stamp::{OwnerId, SLOTS_MAX};
use crate::error::{Error, Result};
use crate::ids::{Timestamp, TransactionId};
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence};
use crate::sync::{Fault, is_left_out};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

const FREE: u64 = 0;
const ACTIVE: u64 = 1;
const COMMITTED: u64 = 2;
const STATE_BITS: u32 = 2;
/// What zeroed memory says: slots that were never claimed take no memory.
const IDLE: u64 = 0;

/// Commits whose transaction is remembered, to name the rival in a conflict.
const RECENT: usize = 4096;

/// Ids that a slot takes at a time, so that beginning does not touch a counter that all share.
const ID_RUN: u64 = 64;

/// Two cache lines, because some machines fetch them in pairs.
#[repr(align(128))]
#[derive(Debug)]
struct Slot {
    state: AtomicU64,
    /// Twice what is one above the registered timestamp, and one more where its owner may validate what
    /// it has read; or IDLE.
    snapshot: AtomicU64,
    /// The id of its owner, or of the last one.
    transaction: AtomicU64,
    holders: AtomicU32,
    /// Whether its owner sees commits later than its snapshot.
    has_late: AtomicBool,
}

/// A snapshot that is registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldSnapshot {
    /// By whom.
    pub transaction: TransactionId,
    /// The timestamp that is read at.
    pub snapshot: Timestamp,
    /// The transaction itself and the statements that read through it.
    pub holders: u32,
}

/// What became of a slot's owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It runs, rolls back, or is gone.
    Undecided,
    /// It committed.
    Committed(Timestamp),
}

/// The clock and all registered snapshots of one database.
#[derive(Debug)]
pub struct Timeline {
    clock: AtomicU64,
    /// All commits up to here are durable. It may be ahead of the clock for the moment between the log and the
    /// clock in a commit section; `u64::MAX` where nothing is logged.
    durable: AtomicU64,
    /// Whether new transactions see what is durable only.
    shows_durable_only: AtomicBool,
    /// Slots at and above this index were never claimed.
    high: AtomicUsize,
    /// Ids that slots have taken.
    ids: AtomicU64,
    slots: Box<[Slot]>,
    /// How many transactions there can be; 0 for as many as there are slots. Where there is a limit, the
    /// first [`OWN_SLOTS`] are for the engine's own snapshots, and those behind them for transactions.
    transactions_max: AtomicUsize,
    /// Which transaction committed at a timestamp, the last [`RECENT`] of them.
    recent: Box<[AtomicU64]>,
    /// No snapshot whose owner may validate, now or later, was below this when somebody asked for the
    /// horizon last.
    validating: AtomicU64,
    late: LateCommits,
}

thread_local! {
    /// The slot this thread had last: most likely free, and warm in its cache.
    static LAST_SLOT: Cell<usize> = const { Cell::new(0) };
}

fn free_slots() -> Box<[Slot]> {
    let zeroed = Box::new_zeroed_slice(SLOTS_MAX);
    // SAFETY: a slot is atomics only, for which zeroed memory is valid; it says FREE and IDLE.
    unsafe { zeroed.assume_init() }
}

/// Slots for the engine itself where transactions are limited.
const OWN_SLOTS: usize = 16;

/// Slots that can be seats: the others are always left to transactions.
const SEATS_MAX: usize = SLOTS_MAX / 4;

const _: () = assert!(FREE == 0 && IDLE == 0, "zeroed slots are free");

/// A registered timestamp, and whether its owner may validate.
fn unpacked(snapshot: u64) -> (Timestamp, bool) {
    (Timestamp((snapshot >> 1) - 1), snapshot & 1 != 0)
}

impl Timeline {
    /// A timeline at timestamp 0.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: AtomicU64::new(0),
            durable: AtomicU64::new(u64::MAX),
            shows_durable_only: AtomicBool::new(false),
            high: AtomicUsize::new(0),
            ids: AtomicU64::new(0),
            slots: free_slots(),
            transactions_max: AtomicUsize::new(0),
            recent: (0..RECENT).map(|_| AtomicU64::new(0)).collect(),
            validating: AtomicU64::new(0),
            late: LateCommits::default(),
        })
    }

    /// The latest committed timestamp.
    pub fn latest(&self) -> Timestamp {
        // Acquire: takes over what was committed up to then.
        Timestamp(self.clock.load(Acquire))
    }

    /// The latest commit up to which all are durable; the latest one where nothing is logged.
    pub fn durable(&self) -> Timestamp {
        // Acquire pairs with the Release below: who sees the timestamp may tell others about commits up to
        // it, and their sync happened before. Read before the clock, which is behind it for a moment.
        let durable = self.durable.load(Acquire);
        Timestamp(durable.min(self.clock.load(Acquire)))
    }

    /// All commits up to a timestamp are durable from now on. The first call says that there is a log; the
    /// timestamp never falls after that.
    pub fn set_durable(&self, timestamp: Timestamp) {
        self.durable.store(timestamp.0, Release);
    }

    /// Whether transactions that begin now see what is durable only.
    pub fn is_durable_only(&self) -> bool {
        // SeqCst: whoever was told of a failure by one who has set this, begins with what is durable.
        self.shows_durable_only.load(SeqCst)
    }

    /// Has transactions that begin from now on see what is durable only, or everything that is committed.
    /// Transactions that began before keep their snapshots, and have to ask whether these may be shown.
    pub fn show_durable_only(&self, only: bool) {
        self.shows_durable_only.store(only, SeqCst);
    }

    /// Snapshot of a transaction that begins now.
    fn shown(&self) -> Timestamp {
        match self.is_durable_only() {
            true => self.durable(),
            false => self.latest(),
        }
    }

    /// Sets the clock, before the first transaction.
    pub fn start_at(&self, timestamp: Timestamp) {
        self.clock.store(timestamp.0, Release);
        // Relaxed: nobody else is there yet.
        self.validating.store(timestamp.0, Relaxed);
    }

    /// Claims a slot and registers a snapshot of the latest committed state.
    ///
    /// # Errors
    /// `TooManyTransactions` when all slots are taken.
    pub fn register(self: &Arc<Self>) -> Result<Registration> {
        self.register_among(self.own_slots(), false, Self::latest)
    }

    /// As [`Self::register`], for a view that sees what a transaction sees which begins now.
    ///
    /// # Errors
    /// `TooManyTransactions` when all slots are taken.
    pub fn register_shown(self: &Arc<Self>) -> Result<Registration> {
        self.register_among(self.own_slots(), false, Self::shown)
    }

    fn own_slots(&self) -> Range<usize> {
        match self.transactions_max.load(Relaxed) {
            0 => 0..SLOTS_MAX,
            _ => 0..OWN_SLOTS,
        }
    }

    /// The same for a transaction, of which there can be [`Self::max_transactions`], and which may ask
    /// what was committed since. It sees the last durable state where others are not to be shown.
    ///
    /// # Errors
    /// `TooManyTransactions`.
    pub fn register_transaction(self: &Arc<Self>, validates: bool) -> Result<Registration> {
        let slots = match self.transactions_max.load(Relaxed) {
            0 => 0..SLOTS_MAX,
            limit => OWN_SLOTS..OWN_SLOTS + limit,
        };
        self.register_among(slots, validates, Self::shown)
    }

    /// How many transactions there can be.
    pub fn max_transactions(&self) -> usize {
        match self.transactions_max.load(Relaxed) {
            0 => SLOTS_MAX,
            limit => limit,
        }
    }

    /// Limits how many transactions there can be, before the first one.
    pub fn limit_transactions(&self, count: usize) {
        let count = count.clamp(1, SLOTS_MAX - OWN_SLOTS);
        self.transactions_max.store(count, Relaxed);
    }

    fn register_among(
        self: &Arc<Self>,
        slots: Range<usize>,
        validates: bool,
        seen: fn(&Self) -> Timestamp,
    ) -> Result<Registration> {
        let limit = slots.len() as u64;
        let index = self.claim(slots);
        let index = index.ok_or(Error::TooManyTransactions { limit })?;
        let slot = &self.slots[index];
        let id = self.next_id(slot);
        slot.holders.store(1, Relaxed);
        let now = self.publish(slot, validates, seen);
        let owner = OwnerId(index as u16);
        Ok(Registration::new(Arc::clone(self), owner, now, id))
    }

    /// Registers in a slot what `seen` gives, once it has stayed the same.
    #[inline]
    fn publish(&self, slot: &Slot, validates: bool, seen: fn(&Self) -> Timestamp) -> Timestamp {
        let mut now = seen(self);
        loop {
            // Release: whoever sees it, and not the last owner's, knows that that one is done.
            let snapshot = (now.0 + 1) << 1 | u64::from(validates);
            slot.snapshot.store(snapshot, Release);
            // Between publishing and reading the clock again, and before the first read of a row;
            // pairs with the fence of `registered`.
            fence(SeqCst);
            // It may also be an earlier one now, which is not below the horizon either.
            match seen(self) {
                same if same == now || is_left_out(Fault::ClockReadOnce) => return now,
                later => now = later,
            }
        }
    }

    /// Claims a slot for a reader that registers snapshots in it again and again ([`super::Seat`]), and none for now.
    /// `None` where slots are counted or become scarce: then each statement claims one.
    pub(super) fn claim_seat(self: &Arc<Self>) -> Option<Registration> {
        if self.transactions_max.load(Relaxed) != 0 {
            return None;
        }
        let index = self.claim(0..SEATS_MAX)?;
        let slot = &self.slots[index];
        let id = self.next_id(slot);
        slot.holders.store(1, Relaxed);
        let owner = OwnerId(index as u16);
        Some(Registration::new(Arc::clone(self), owner, Timestamp(0), id))
    }

    /// Registers the latest committed state in a slot that was claimed before. `None` where not all of it is durable:
    /// then its owner may have to wait before it shows anything.
    #[inline]
    pub(super) fn sit_down(&self, owner: OwnerId) -> Option<Timestamp> {
        let slot = &self.slots[usize::from(owner.0)];
        let now = self.publish(slot, false, Self::latest);
        // Acquire: as in `durable`.
        if self.durable.load(Acquire) >= now.0 {
            return Some(now);
        }
        self.get_up(owner);
        None
    }

    /// Registers nothing in a slot any more, which stays claimed.
    #[inline]
    pub(super) fn get_up(&self, owner: OwnerId) {
        // Release: what the snapshot has read, it has read before this.
        self.slots[usize::from(owner.0)]
            .snapshot
            .store(IDLE, Release);
    }

    fn next_id(&self, slot: &Slot) -> TransactionId {
        // Only the owner of the slot writes it.
        let last = slot.transaction.load(Relaxed);
        let id = match last % ID_RUN {
            0 => self.ids.fetch_add(ID_RUN, Relaxed) + 1,
            _ => last + 1,
        };
        slot.transaction.store(id, Relaxed);
        TransactionId(id)
    }

    fn claim(&self, slots: Range<usize>) -> Option<usize> {
        let hint = LAST_SLOT.get();
        let index = if slots.contains(&hint) && self.try_claim(hint) {
            hint
        } else {
            slots.into_iter().find(|index| self.try_claim(*index))?
        };
        LAST_SLOT.set(index);
        // Before the snapshot is published behind a fence, so that the horizon looks that far.
        if self.high.load(Relaxed) <= index {
            self.high.fetch_max(index + 1, Relaxed);
        }
        Some(index)
    }

    fn try_claim(&self, index: usize) -> bool {
        let state = &self.slots[index].state;
        // Relaxed is enough to look; Acquire on success takes over what the last owner left.
        state.load(Relaxed) == FREE
            && state
                .compare_exchange(FREE, ACTIVE, Acquire, Relaxed)
                .is_ok()
    }

    pub(super) fn hold(&self, owner: OwnerId) {
        self.slots[usize::from(owner.0)]
            .holders
            .fetch_add(1, Relaxed);
    }

    pub(super) fn leave(&self, owner: OwnerId) {
        let slot = &self.slots[usize::from(owner.0)];
        // As in Arc: what any holder did happens before the release. The last holder is alone:
        // a share is only made from another one.
        if slot.holders.load(Acquire) == 1 || slot.holders.fetch_sub(1, AcqRel) == 1 {
            if slot.has_late.load(Relaxed) {
                slot.has_late.store(false, Relaxed);
                self.late.forget(owner);
            }
            slot.snapshot.store(IDLE, Release);
            slot.state.store(FREE, Release);
        }
    }

    /// Lets the owner of a slot see a commit that is later than its snapshot ([`LateCommits`]).
    pub(super) fn see_late(&self, owner: OwnerId, commit: Timestamp) {
        self.late.add(owner, commit);
        // Relaxed: the owner, and views on other threads that it hands over later, are the only ones who ask.
        self.slots[usize::from(owner.0)]
            .has_late
            .store(true, Relaxed);
    }

    /// Whether the owner of a slot sees a commit that is later than its snapshot.
    pub(super) fn sees_late(&self, owner: OwnerId, commit: Timestamp) -> bool {
        let slot = &self.slots[usize::from(owner.0)];
        slot.has_late.load(Relaxed) && self.late.has(owner, commit)
    }

    pub(super) fn state(&self, owner: OwnerId) -> State {
        // Acquire: the caller re-reads the word with the marker after this load.
        let state = self.slots[usize::from(owner.0)].state.load(Acquire);
        if state & ((1 << STATE_BITS) - 1) == COMMITTED {
            State::Committed(Timestamp(state >> STATE_BITS))
        } else {
            State::Undecided
        }
    }

    /// The one step that makes a transaction's changes visible. The caller holds the commit
    /// section, and `timestamp` is one above [`Self::latest`].
    pub fn commit(&self, registration: &Registration, timestamp: Timestamp) {
        debug_assert_eq!(timestamp.0, self.latest().0 + 1, "commits are in order");
        let slot = &self.slots[usize::from(registration.owner().0)];
        if is_left_out(Fault::ClockBeforeState) {
            self.clock.store(timestamp.0, SeqCst);
        }
        slot.state
            .store(timestamp.0 << STATE_BITS | COMMITTED, Release);
        self.recent[timestamp.0 as usize % RECENT].store(registration.transaction().0, Relaxed);
        // Release: whoever reads this time finds the state, and the catalog of this commit.
        self.clock.store(timestamp.0, Release);
    }

    /// Whether a transaction may still commit: it runs, or is being read through after it was rolled back.
    pub fn is_running(&self, transaction: TransactionId) -> bool {
        let high = self.high.load(Relaxed);
        // Acquire: who finds it committed finds what it has changed, too. A slot's owner writes its number
        // after it has claimed it, so one that was claimed anew may be taken for the last owner's for a
        // moment.
        self.slots[..high].iter().any(|slot| {
            slot.transaction.load(Relaxed) == transaction.0 && slot.state.load(Acquire) == ACTIVE
        })
    }

    /// The transaction that holds a slot now.
    pub fn transaction_of(&self, owner: OwnerId) -> TransactionId {
        TransactionId(self.slots[usize::from(owner.0)].transaction.load(Relaxed))
    }

    /// The transaction that committed at a timestamp; `TransactionId(0)` when that is long ago.
    pub fn transaction_at(&self, timestamp: Timestamp) -> TransactionId {
        let id = self.recent[timestamp.0 as usize % RECENT].load(Relaxed);
        let recent = self.latest().0.saturating_sub(timestamp.0) < RECENT as u64;
        TransactionId(if recent { id } else { 0 })
    }

    /// The timestamp at or above which transactions begin from now on, whatever becomes of the log.
    pub fn earliest_to_come(&self) -> Timestamp {
        match is_left_out(Fault::DurableNotKept) {
            true => self.latest(),
            false => self.durable(),
        }
    }

    /// The registered snapshots, and a bound that is read before: whoever is missing here because he
    /// came meanwhile, or changes his snapshot yet, ends up with one at or above the bound.
    fn registered(&self) -> (Timestamp, impl Iterator<Item = (Timestamp, bool)>) {
        let bound = self.earliest_to_come();
        // Between reading the clock and looking at the slots. Pairs with the fence of `register`.
        fence(SeqCst);
        let high = self.high.load(Relaxed);
        let snapshots = self.slots[..high]
            .iter()
            // Acquire: what a snapshot that is given up has read, it has read before this.
            .map(|slot| slot.snapshot.load(Acquire))
            .filter(|snapshot| *snapshot != IDLE);
        (bound, snapshots.map(unpacked))
    }

    /// All snapshots that are registered.
    pub fn snapshots(&self) -> Snapshots {
        if is_left_out(Fault::SnapshotsBeforeClock) {
            let early = self.registered().1.map(|(at, _)| at).collect();
            return Snapshots::new(self.earliest_to_come(), early);
        }
        let (bound, snapshots) = self.registered();
        Snapshots::new(bound, snapshots.map(|(at, _)| at).collect())
    }

    /// The registered snapshots. They come and go meanwhile: each line is true for itself.
    pub fn held(&self) -> Vec<HeldSnapshot> {
        let high = self.high.load(SeqCst);
        let held = self.slots[..high].iter().filter_map(|slot| {
            let snapshot = slot.snapshot.load(SeqCst);
            (snapshot != IDLE).then(|| HeldSnapshot {
                transaction: TransactionId(slot.transaction.load(Relaxed)),
                snapshot: unpacked(snapshot).0,
                holders: slot.holders.load(Relaxed),
            })
        });
        held.collect()
    }

    /// The timestamp at or above which all present and future snapshots are. Remembers the same of
    /// those whose owners may validate.
    pub fn horizon(&self) -> Timestamp {
        let (bound, snapshots) = self.registered();
        let (mut horizon, mut validating) = (bound, bound);
        for (snapshot, validates) in snapshots {
            horizon = horizon.min(snapshot);
            if validates {
                validating = validating.min(snapshot);
            }
        }
        // Relaxed: what it says is true for ever, whoever reads it and when. Threads that ask at once may
        // leave the lower value.
        if self.validating.load(Relaxed) != validating.0 {
            self.validating.store(validating.0, Relaxed);
        }
        horizon
    }

    /// A timestamp at or above which the snapshots of all are who may validate, now or later: as of when
    /// somebody asked for the [horizon](Self::horizon).
    pub fn validation_horizon(&self) -> Timestamp {
        Timestamp(self.validating.load(Relaxed))
    }
}
