//! The ledger: one account of every byte the database holds, with a hard budget.
//!
//! 1. Whoever takes memory takes a [`Reservation`] first, under the name of an [`Owner`]; dropping
//!    it gives the bytes back. One atomic says what is *left*, so two takers can never both pass,
//!    and neither can a taker and somebody who lowers the budget ([`Ledger::set_budget`]).
//! 2. The last part of the budget, the *emergency reserve*, is for whoever has a [`Claim`] to it:
//!    what a full database needs to get out of being full (ROLLBACK, COMMIT, DELETE, compaction)
//!    still succeeds when ordinary statements get 53200. Of its first quarter small queries may take.
//! 3. The pool reserves whole extents and hands out slots of them. Slots change hands without the
//!    sum changing, so they are noted beside it, and an owner's line is its own reservations plus
//!    the slots it holds. What is left of the extents is the line of [`Owner::Pool`].
//! 4. Where taking crosses a threshold the level of [`Pressure`] rises.
//! 5. Before a request is refused, the pools of the ledger give back the pages that nobody has
//!    (`Pool::purge`): so memory that is free in a pool serves whatever reserves, of any size.
//!
//! ```text
//!  0                                          budget - reserve             budget
//!  |== used ======>                                  |                        |
//!  |<----------- reserve() gives up to here -------->|<- emergency ->|<-small->|
//! ```
//!
//! **How large the reserve is.** 8 MiB, or an eighth of a budget below 64 MiB. A quarter of it is for small
//! queries, so that a full database can be looked at whatever has taken the rest; three quarters are for:
//!
//! | what | takes at most |
//! |---|---|
//! | DELETE of any rows | a set of slots a block for its targets, its write set and its log frame: at most 2 KiB each a block of 16,384 rows |
//! | CHECKPOINT | 2 MiB for the image being built, if no row is longer than that |
//! | the compaction of a block | the block encoded, and twice its largest column: a block takes strings up to a quarter of the reserve |
//! | nodes of an index that become smaller or move | some nodes at a time, until their readers are gone |
//! | COMMIT | next to nothing: log frame and place in the queue were reserved by its writes |
//! | ROLLBACK, a SELECT by key, garbage collection | nothing |
//!
//! So a DELETE has its memory for certain; from a budget of 32 MiB on (3 MiB for these) a CHECKPOINT beside it, or the
//! compaction of a block of rows that are not very long. A block whose first row is longer than a quarter of the reserve may
//! stay as it is on a full database: COMPACT says so.
//!
//! Invariants
//! - `used <= budget` at every moment; by its own count it cannot be otherwise. That all is counted
//!   is seen from outside: [`super::Pool::bytes`] is never more.
//! - `used` is the sum of all live reservations; a reservation is never counted twice.
//!
//! All atomics are relaxed: the counters guard no other memory, and each is only ever changed by
//! read-modify-write operations, whose order on one atomic is total.

mod freed;

use super::allocator::Pool;
use super::claim::{self, Claim};
use super::pressure::{Fill, Pressure, PressureThresholds};
use super::tally::Tallies;
use crate::error::{Error, Result};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use freed::Freed;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// Who holds memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(usize)]
pub enum Owner {
    /// Blocks and their strings.
    Table,
    /// Versions over blocks.
    Version,
    /// Index nodes and keys.
    Index,
    /// Log buffers.
    Log,
    /// The catalog.
    Catalog,
    /// Write sets of transactions, running or waiting to be collected, and what they left over.
    Transaction,
    /// Sorts, hash tables, results.
    Query,
    /// Plans and other caches.
    Cache,
    /// What the pool took from the system and nobody holds now.
    Pool,
}

impl Owner {
    /// All owners, in the order of the account.
    pub const ALL: [Self; 9] = [
        Self::Table,
        Self::Version,
        Self::Index,
        Self::Log,
        Self::Catalog,
        Self::Transaction,
        Self::Query,
        Self::Cache,
        Self::Pool,
    ];

    /// The name in messages and statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Version => "version",
            Self::Index => "index",
            Self::Log => "log",
            Self::Catalog => "catalog",
            Self::Transaction => "transaction",
            Self::Query => "query",
            Self::Cache => "cache",
            Self::Pool => "pool",
        }
    }
}

/// One line of the account.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// Who.
    pub owner: Owner,
    /// Bytes reserved now.
    pub bytes: u64,
}

/// Counters of one owner, alone on their cache line so that owners do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Account {
    /// Bytes of its reservations.
    reserved: AtomicU64,
}

/// The account of memory.
#[derive(Debug)]
pub struct Ledger {
    /// What is not reserved; `budget - left` is used.
    left: AtomicU64,
    /// What small queries have taken of the reserve.
    small: AtomicU64,
    budget: AtomicU64,
    /// The budget it was made with.
    initial_budget: u64,
    /// The last part of the budget, for emergencies.
    emergency: AtomicU64,
    /// Held while the budget changes.
    changing: Mutex<()>,
    accounts: [Account; Owner::ALL.len()],
    /// Bytes of the pool's slots and runs by owner; they are part of the pool's reservations.
    slots: Tallies,
    pressure: Pressure,
    /// Pools that reserve from it.
    pools: Mutex<Vec<Weak<Pool>>>,
    relief: Mutex<Option<Weak<dyn Relief>>>,
    freed: Freed,
}

/// Frees memory that somebody could do without.
pub trait Relief: Send + Sync {
    /// Frees memory until so many bytes can be reserved. Returns whether they can be.
    fn relieve(self: Arc<Self>, wanted: u64) -> bool;
}

impl fmt::Debug for dyn Relief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relief")
    }
}

impl Ledger {
    /// The emergency reserve is an eighth of the budget, up to this many bytes, and of a large budget this share: a
    /// deletion of all rows takes a bit for each.
    pub const EMERGENCY_BYTES: u64 = 8 << 20;
    /// As [`Self::EMERGENCY_BYTES`].
    pub const EMERGENCY_SHARE: u64 = 64;

    /// A ledger with `budget` bytes to give.
    pub fn new(budget: u64) -> Arc<Self> {
        Self::with_thresholds(budget, PressureThresholds::default())
    }

    /// The same, with other thresholds of pressure.
    pub fn with_thresholds(budget: u64, thresholds: PressureThresholds) -> Arc<Self> {
        let emergency = emergency_of(budget);
        let fill = Fill {
            used: 0,
            budget,
            limit: budget - emergency,
        };
        Arc::new(Self {
            left: AtomicU64::new(budget),
            small: AtomicU64::new(0),
            budget: AtomicU64::new(budget),
            initial_budget: budget,
            emergency: AtomicU64::new(emergency),
            changing: Mutex::new(()),
            accounts: Default::default(),
            slots: Tallies::default(),
            pressure: Pressure::new(thresholds, fill),
            pools: Mutex::default(),
            relief: Mutex::default(),
            freed: Freed::default(),
        })
    }

    /// From now on [`Self::relieve`] asks `relief`.
    pub fn relieve_by(&self, relief: Weak<dyn Relief>) {
        *self.relief.lock() = Some(relief);
    }

    /// Frees memory for a request that was refused, if somebody can. Returns whether so many bytes can be reserved
    /// then. Not to be called where a lock is held, nor within an operation on rows.
    #[cold]
    pub fn relieve(&self, wanted: u64) -> bool {
        let relief = self.relief.lock().as_ref().and_then(Weak::upgrade);
        relief.is_some_and(|relief| relief.relieve(wanted))
    }

    /// From now on the pool gives back idle pages before a request is refused.
    pub(super) fn add_pool(&self, pool: Weak<Pool>) {
        let mut pools = self.pools.lock();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Takes `bytes` from the budget, or fails with [`Error::OutOfMemory`].
    pub fn reserve(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<Reservation> {
        self.reserve_for(Claim::Ordinary, owner, bytes)
    }

    /// Like [`Self::reserve`], but may take of the emergency reserve. Only for what makes the
    /// database smaller or ends a transaction.
    ///
    /// ```
    /// use remora_storage::pool::{Ledger, Owner};
    /// let ledger = Ledger::new(8000);
    /// let _all = ledger.reserve(Owner::Table, 7000)?;
    /// assert!(ledger.reserve(Owner::Table, 1).is_err());
    /// assert!(ledger.reserve_emergency(Owner::Transaction, 750).is_ok());
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    pub fn reserve_emergency(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<Reservation> {
        self.reserve_for(Claim::Emergency, owner, bytes)
    }

    /// Takes `bytes` as far as the claim reaches.
    pub fn reserve_for(
        self: &Arc<Self>,
        claim: Claim,
        owner: Owner,
        bytes: u64,
    ) -> Result<Reservation> {
        let mut reservation = Reservation {
            ledger: Arc::clone(self),
            owner,
            bytes: 0,
            small: 0,
        };
        reservation.resize_for(claim, bytes)?;
        Ok(reservation)
    }

    /// Bytes reserved now.
    pub fn used(&self) -> u64 {
        // Whoever changes the budget counts the difference as used while it does.
        self.budget().saturating_sub(self.left.load(Relaxed))
    }

    /// The budget in bytes.
    pub fn budget(&self) -> u64 {
        self.budget.load(Relaxed)
    }

    /// The budget before anybody changed it.
    pub fn initial_budget(&self) -> u64 {
        self.initial_budget
    }

    /// The last part of the budget, in bytes, which only emergencies get.
    pub fn emergency(&self) -> u64 {
        self.emergency.load(Relaxed)
    }

    /// How near the budget is.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// Leaves a level of pressure that has passed; called now and then by maintenance.
    pub fn ease_pressure(&self) {
        self.pressure.fall(self.fill(), Instant::now());
    }

    /// Changes the budget. A lower one must hold what is used and leave the whole of its emergency
    /// reserve: otherwise nobody could make the database smaller any more.
    ///
    /// ```
    /// use remora_storage::pool::{Ledger, Owner};
    /// let ledger = Ledger::new(8000);
    /// let _most = ledger.reserve(Owner::Table, 6300)?;
    /// assert!(ledger.set_budget(7198).is_err());
    /// ledger.set_budget(7200)?;
    /// assert_eq!(ledger.emergency(), 900);
    /// ledger.set_budget(16000)?;
    /// let _more = ledger.reserve(Owner::Table, 7000)?;
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// `OutOfMemory` where it does not; nothing has changed then.
    pub fn set_budget(&self, budget: u64) -> Result<()> {
        let _changing = self.changing.lock();
        let before = self.budget();
        let emergency = emergency_of(budget);
        match budget.checked_sub(before) {
            Some(more) => {
                // First, so that nobody takes of the new reserve because the old one was smaller.
                self.emergency.store(emergency, Relaxed);
                self.budget.fetch_add(more, Relaxed);
                self.left.fetch_add(more, Relaxed);
            }
            None => {
                let less = before - budget;
                let fits = |left: u64| left.checked_sub(less).filter(|&rest| rest >= emergency);
                self.left
                    .fetch_update(Relaxed, Relaxed, fits)
                    .map_err(|left| {
                        let available = left.saturating_sub(emergency);
                        self.refusal("a lower max_memory", less, available)
                    })?;
                self.budget.fetch_sub(less, Relaxed);
                self.emergency.store(emergency, Relaxed);
            }
        }
        self.pressure.rescale(self.fill());
        Ok(())
    }

    fn fill(&self) -> Fill {
        let budget = self.budget();
        Fill {
            used: self.used(),
            budget,
            limit: budget.saturating_sub(self.emergency()),
        }
    }

    /// The error of whoever wanted more than was available.
    #[cold]
    pub(super) fn refusal(&self, owner: &'static str, wanted: u64, available: u64) -> Error {
        let most = self.entries().into_iter().max_by_key(|entry| entry.bytes);
        Error::OutOfMemory {
            wanted,
            owner,
            available,
            budget: self.budget(),
            holder: most.as_ref().map_or("nobody", |entry| entry.owner.name()),
            held: most.map_or(0, |entry| entry.bytes),
        }
    }

    /// The error where the budget allows it but the system does not.
    #[cold]
    pub(super) fn refused_by_system(&self, wanted: u64) -> Error {
        self.refusal("the system allocator", wanted, 0)
    }

    /// The account, a line an owner. Lines are read one after the other: while others take and
    /// give, they need not add up to [`Self::used`].
    pub fn entries(&self) -> Vec<LedgerEntry> {
        let held = self.slots.sums();
        let slots: u64 = held.iter().sum();
        let line = |owner: Owner| {
            let reserved = self.accounts[owner as usize].reserved.load(Relaxed);
            let bytes = match owner {
                Owner::Pool => reserved.saturating_sub(slots),
                _ => reserved + held[owner as usize],
            };
            LedgerEntry { owner, bytes }
        };
        Owner::ALL.into_iter().map(line).collect()
    }

    /// Who holds how much of what the pool reserved.
    pub(super) fn slots(&self) -> &Tallies {
        &self.slots
    }

    /// Takes bytes as far as the claim reaches; before it fails, pools give back what nobody has in them. Not to
    /// be called under a latch of a pool. Returns how many of the bytes are of the part for small queries.
    fn take(&self, owner: Owner, bytes: u64, claim: Claim) -> Result<u64> {
        match self.try_take(owner, bytes, claim) {
            Err(_) if self.reclaim(bytes) => self.try_take(owner, bytes, claim),
            other => other,
        }
    }

    /// Has pools give back at least so many bytes of idle pages. Returns whether there were any.
    #[cold]
    fn reclaim(&self, bytes: u64) -> bool {
        let pools: Vec<_> = self.pools.lock().iter().filter_map(Weak::upgrade).collect();
        let mut left = bytes;
        for pool in pools {
            left = left.saturating_sub(pool.purge(left));
        }
        left < bytes
    }

    /// As [`Self::take`], of what is left now.
    fn try_take(&self, owner: Owner, bytes: u64, claim: Claim) -> Result<u64> {
        let reserve = self.emergency();
        let taken = match claim {
            Claim::Ordinary => self.take_above(bytes, reserve).map(|()| 0),
            Claim::Emergency => {
                let small = claim::small_part(reserve);
                let kept = small.saturating_sub(self.small.load(Relaxed));
                self.take_above(bytes, kept).map(|()| 0)
            }
            Claim::Small => match self.take_above(bytes, reserve) {
                Ok(()) => Ok(0),
                Err(_) => self.take_small(bytes, claim::small_part(reserve)),
            },
        };
        let small = taken.map_err(|available| self.refusal(owner.name(), bytes, available))?;
        self.accounts[owner as usize]
            .reserved
            .fetch_add(bytes, Relaxed);
        Ok(small)
    }

    /// Takes bytes if so many are `kept`; otherwise returns how many would have been available.
    fn take_above(&self, bytes: u64, kept: u64) -> Result<(), u64> {
        // Nothing fits always, also where the emergency reserve was dipped into before.
        let fits = |left: u64| match bytes {
            0 => Some(left),
            _ => left.checked_sub(bytes).filter(|&rest| rest >= kept),
        };
        let before = self.left.fetch_update(Relaxed, Relaxed, fits);
        let before = before.map_err(|left| left.saturating_sub(kept))?;
        if self.pressure.is_alarmed(before - bytes) {
            self.pressure.rise(self.fill());
        }
        Ok(())
    }

    /// Takes bytes of the part that is for small queries.
    fn take_small(&self, bytes: u64, part: u64) -> Result<u64, u64> {
        let fits = |small: u64| small.checked_add(bytes).filter(|sum| *sum <= part);
        let small = self.small.fetch_update(Relaxed, Relaxed, fits);
        small.map_err(|small| part.saturating_sub(small))?;
        let taken = self.take_above(bytes, 0);
        if taken.is_err() {
            self.small.fetch_sub(bytes, Relaxed);
        }
        taken.map(|()| bytes)
    }

    /// Gives back bytes of a reservation that was dropped or [kept](Reservation::keep).
    pub(super) fn give(&self, owner: Owner, bytes: u64) {
        let before = self.accounts[owner as usize]
            .reserved
            .fetch_sub(bytes, Relaxed);
        debug_assert!(before >= bytes, "what is given back was taken");
        self.left.fetch_add(bytes, Relaxed);
    }

    fn give_small(&self, bytes: u64) {
        if bytes > 0 {
            self.small.fetch_sub(bytes, Relaxed);
        }
    }
}

fn emergency_of(budget: u64) -> u64 {
    let large = Ledger::EMERGENCY_BYTES.max(budget / Ledger::EMERGENCY_SHARE);
    (budget / 8).min(large)
}

/// Bytes taken from a ledger, given back on drop.
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    owner: Owner,
    bytes: u64,
    /// How many of them are of the part for small queries.
    small: u64,
}

impl Reservation {
    /// Makes it `bytes` in all: takes or gives back the difference. On error nothing changed.
    pub fn resize(&mut self, bytes: u64) -> Result<()> {
        self.resize_for(Claim::Ordinary, bytes)
    }

    /// Like [`Self::resize`], but may take of the emergency reserve.
    pub fn resize_emergency(&mut self, bytes: u64) -> Result<()> {
        self.resize_for(Claim::Emergency, bytes)
    }

    /// Like [`Self::resize`], as far as the claim reaches.
    pub fn resize_for(&mut self, claim: Claim, bytes: u64) -> Result<()> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => {
                self.small += self.ledger.take(self.owner, more, claim)?;
                self.bytes = bytes;
            }
            None => self.shrink(bytes),
        }
        Ok(())
    }

    /// Takes so many bytes more of what is left now; pools are not asked to give back any, so that a pool can call
    /// it under its latches.
    pub(super) fn extend(&mut self, more: u64, claim: Claim) -> Result<()> {
        self.small += self.ledger.try_take(self.owner, more, claim)?;
        self.bytes += more;
        Ok(())
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back all but `bytes`; nothing happens where it holds no more.
    pub fn shrink(&mut self, bytes: u64) {
        if let Some(less) = self.bytes.checked_sub(bytes) {
            let small = self.small.min(less);
            self.ledger.give_small(small);
            self.ledger.give(self.owner, less);
            self.ledger.freed.note(self.owner, less);
            self.small -= small;
            self.bytes = bytes;
        }
    }

    /// Makes `bytes` of it a reservation of their own.
    ///
    /// # Panics
    /// When it holds less.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Self {
        assert!(bytes <= self.bytes, "a part is at most the whole");
        let small = self.small.min(bytes);
        self.small -= small;
        self.bytes -= bytes;
        Self {
            ledger: Arc::clone(&self.ledger),
            owner: self.owner,
            bytes,
            small,
        }
    }

    /// Adds the bytes of another reservation of the same owner and ledger.
    pub fn absorb(&mut self, mut other: Self) {
        debug_assert_eq!(self.owner, other.owner, "one owner");
        debug_assert!(Arc::ptr_eq(&self.ledger, &other.ledger), "one ledger");
        self.bytes += std::mem::take(&mut other.bytes);
        self.small += std::mem::take(&mut other.small);
    }

    /// Lets the bytes stay taken without the reservation; [`Ledger::give`] gives them back.
    pub(super) fn keep(mut self) {
        self.ledger.give_small(std::mem::take(&mut self.small));
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests;
