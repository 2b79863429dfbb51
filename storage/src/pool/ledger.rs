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
//!
//! ```text
//!  0                                          budget - reserve        budget
//!  |== used ======>                                  |                   |
//!  |<----------- reserve() gives up to here -------->|<- emergency only ->|
//! ```
//!
//! **How large the reserve is.** 8 MiB, or an eighth of a budget below 64 MiB. A DELETE of 10,000 rows
//! by scan takes 192 KiB for the ids of its targets, 576 KiB for its write set (16,384 entries of 24
//! bytes, and the 8,192 it grew from), 2 MiB for the tombstones of rows that have versions (10,000 of
//! 32 bytes, in an extent of their own if the pool has no slab to spare) and 224 KiB for its log
//! frame: 3 MiB. COMMIT has its log frame already, but for 4 KiB: a transaction reserves it as it
//! writes. CHECKPOINT takes 2 MiB for the image being built. ROLLBACK, a SELECT by key and garbage
//! collection reserve nothing. So the reserve serves a DELETE while a checkpoint and a compaction
//! of one block are under way; all of it is promised from a budget of 32 MiB on.
//!
//! Invariants
//! - `used <= budget` at every moment.
//! - `used` is the sum of all live reservations; a reservation is never counted twice.
//!
//! All atomics are relaxed: the counters guard no other memory, and each is only ever changed by
//! read-modify-write operations, whose order on one atomic is total.

use super::claim::Claim;
use super::pressure::{Fill, Pressure, PressureThresholds};
use super::tally::Tallies;
use crate::error::{Error, Result};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
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
}

impl Ledger {
    /// The emergency reserve is an eighth of the budget, up to this many bytes.
    pub const EMERGENCY_BYTES_MAX: u64 = 8 << 20;

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
            budget: AtomicU64::new(budget),
            initial_budget: budget,
            emergency: AtomicU64::new(emergency),
            changing: Mutex::new(()),
            accounts: Default::default(),
            slots: Tallies::default(),
            pressure: Pressure::new(thresholds, fill),
        })
    }

    /// Takes `bytes` from the budget, or fails with [`Error::OutOfMemory`].
    pub fn reserve(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<Reservation> {
        self.reserve_for(Claim::Ordinary, owner, bytes)
    }

    /// Like [`Self::reserve`], but may take all of the emergency reserve. Only for what makes the
    /// database smaller or ends a transaction.
    ///
    /// ```
    /// use remora_storage::pool::{Ledger, Owner};
    /// let ledger = Ledger::new(8000);
    /// let _all = ledger.reserve(Owner::Table, 7000)?;
    /// assert!(ledger.reserve(Owner::Table, 1).is_err());
    /// assert!(ledger.reserve_emergency(Owner::Transaction, 1000).is_ok());
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
        self.take(owner, bytes, claim)?;
        Ok(Reservation {
            ledger: Arc::clone(self),
            owner,
            bytes,
        })
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
    /// assert!(ledger.set_budget(7199).is_err());
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

    fn take(&self, owner: Owner, bytes: u64, claim: Claim) -> Result<()> {
        let kept = claim.kept(self.emergency());
        // Nothing fits always, also where the emergency reserve was dipped into before.
        let fits = |left: u64| match bytes {
            0 => Some(left),
            _ => left.checked_sub(bytes).filter(|&rest| rest >= kept),
        };
        match self.left.fetch_update(Relaxed, Relaxed, fits) {
            Ok(before) => {
                self.accounts[owner as usize]
                    .reserved
                    .fetch_add(bytes, Relaxed);
                if self.pressure.is_alarmed(before - bytes) {
                    self.pressure.rise(self.fill());
                }
                Ok(())
            }
            Err(left) => Err(self.refusal(owner.name(), bytes, left.saturating_sub(kept))),
        }
    }

    /// Gives back bytes of a reservation that was dropped or [kept](Reservation::keep).
    pub(super) fn give(&self, owner: Owner, bytes: u64) {
        let before = self.accounts[owner as usize]
            .reserved
            .fetch_sub(bytes, Relaxed);
        debug_assert!(before >= bytes, "what is given back was taken");
        self.left.fetch_add(bytes, Relaxed);
    }
}

fn emergency_of(budget: u64) -> u64 {
    (budget / 8).min(Ledger::EMERGENCY_BYTES_MAX)
}

/// Bytes taken from a ledger, given back on drop.
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    owner: Owner,
    bytes: u64,
}

impl Reservation {
    /// Makes it `bytes` in all: takes or gives back the difference. On error nothing changed.
    pub fn resize(&mut self, bytes: u64) -> Result<()> {
        self.resize_for(Claim::Ordinary, bytes)
    }

    /// Like [`Self::resize`], but may take all of the emergency reserve.
    pub fn resize_emergency(&mut self, bytes: u64) -> Result<()> {
        self.resize_for(Claim::Emergency, bytes)
    }

    /// Like [`Self::resize`], as far as the claim reaches.
    pub fn resize_for(&mut self, claim: Claim, bytes: u64) -> Result<()> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.ledger.take(self.owner, more, claim)?,
            None => self.ledger.give(self.owner, self.bytes - bytes),
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back all but `bytes`; nothing happens where it holds no more.
    pub fn shrink(&mut self, bytes: u64) {
        if let Some(less) = self.bytes.checked_sub(bytes) {
            self.ledger.give(self.owner, less);
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
        self.bytes -= bytes;
        Self {
            ledger: Arc::clone(&self.ledger),
            owner: self.owner,
            bytes,
        }
    }

    /// Adds the bytes of another reservation of the same owner and ledger.
    pub fn absorb(&mut self, mut other: Self) {
        debug_assert_eq!(self.owner, other.owner, "one owner");
        debug_assert!(Arc::ptr_eq(&self.ledger, &other.ledger), "one ledger");
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Lets the bytes stay taken without the reservation; [`Ledger::give`] gives them back.
    pub(super) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ledger.give(self.owner, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::PressureLevel;
    use super::*;

    fn line(ledger: &Ledger, owner: Owner) -> u64 {
        ledger.entries()[owner as usize].bytes
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let ledger = Ledger::new(1000);
        let mut one = ledger.reserve(Owner::Index, 300).unwrap();
        let two = ledger.reserve(Owner::Query, 500).unwrap();
        assert_eq!((ledger.used(), line(&ledger, Owner::Index)), (800, 300));
        one.resize(375).unwrap();
        let full = one.resize(376).unwrap_err();
        assert_eq!(full.sqlstate(), "53200");
        assert_eq!(one.bytes(), 375);
        one.resize(10).unwrap();
        drop(two);
        assert_eq!(ledger.used(), 10);
        drop(one);
        assert_eq!(ledger.used(), 0);
        assert_eq!(line(&ledger, Owner::Index), 0);
    }

    #[test]
    fn a_request_beyond_all_numbers_is_refused() {
        let ledger = Ledger::new(1 << 30);
        let _held = ledger.reserve(Owner::Table, 5).unwrap();
        assert!(ledger.reserve(Owner::Table, u64::MAX).is_err());
        assert!(ledger.reserve_emergency(Owner::Table, u64::MAX).is_err());
    }

    #[test]
    fn a_full_ledger_still_lets_a_rollback_through_but_not_beyond_the_budget() {
        let ledger = Ledger::new(800);
        let mut full = ledger.reserve(Owner::Table, 700).unwrap();
        assert!(ledger.reserve(Owner::Transaction, 1).is_err());
        let rollback = ledger.reserve_emergency(Owner::Transaction, 100).unwrap();
        assert!(ledger.reserve_emergency(Owner::Transaction, 1).is_err());
        assert!(full.resize_emergency(701).is_err());
        assert!(
            ledger.reserve(Owner::Query, 0).is_ok(),
            "nothing fits always"
        );
        drop(rollback);
        full.resize_emergency(800).unwrap();
        assert_eq!(ledger.used(), ledger.budget());
    }

    #[test]
    fn small_queries_take_a_quarter_of_the_reserve_and_no_more() {
        let ledger = Ledger::new(8000);
        let _full = ledger.reserve(Owner::Table, 7000).unwrap();
        let small = |bytes| ledger.reserve_for(Claim::Small, Owner::Query, bytes);
        let mut queries = small(0).unwrap();
        for step in 1..=5 {
            queries.resize_for(Claim::Small, 50 * step).unwrap();
        }
        assert!(small(1).is_err());
        assert!(queries.resize_for(Claim::Small, 251).is_err());
        assert!(ledger.reserve_emergency(Owner::Transaction, 750).is_ok());
    }

    #[test]
    fn threads_never_pass_the_budget_together() {
        let ledger = Ledger::new(8000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..2000 {
                        let held = ledger.reserve(Owner::Query, 1 + n % 3000);
                        assert!(ledger.used() <= 7000, "used <= budget - reserve");
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(ledger.used(), 0);
    }

    #[test]
    fn a_refusal_says_who_holds_the_most() {
        let ledger = Ledger::new(800);
        let _index = ledger.reserve(Owner::Index, 100).unwrap();
        let _table = ledger.reserve(Owner::Table, 500).unwrap();
        let refused = ledger.reserve(Owner::Query, 300).unwrap_err().to_string();
        assert_eq!(
            refused,
            "out of memory: 300 bytes wanted by query, 100 of 800 available; \
             table holds the most, 500 bytes"
        );
    }

    #[test]
    fn a_budget_is_lowered_to_what_is_used_and_the_reserve_at_most() {
        let ledger = Ledger::new(8000);
        let held = ledger.reserve(Owner::Table, 3500).unwrap();
        for too_low in [0, 3500, 3998] {
            assert_eq!(ledger.set_budget(too_low).unwrap_err().sqlstate(), "53200");
        }
        assert_eq!((ledger.budget(), ledger.used()), (8000, 3500));
        ledger.set_budget(4000).unwrap();
        assert_eq!((ledger.budget(), ledger.used()), (4000, 3500));
        assert_eq!(ledger.pressure().level(), PressureLevel::Slow);
        assert!(ledger.reserve(Owner::Table, 1).is_err());
        let way_out = ledger.reserve_emergency(Owner::Transaction, 500);
        assert!(way_out.is_ok(), "the reserve is there");
        drop((held, way_out));
        assert_eq!(ledger.used(), 0);
        assert!(ledger.reserve(Owner::Table, 3500).is_ok());
        assert!(ledger.reserve(Owner::Table, 3501).is_err());
        assert_eq!(ledger.initial_budget(), 8000);
    }

    #[test]
    fn whoever_lowers_the_budget_and_whoever_takes_never_pass_it_together() {
        let ledger = Ledger::new(8000);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for n in 0..2000 {
                        drop(ledger.reserve_emergency(Owner::Query, 1 + n % 3000));
                    }
                });
            }
            for n in 0..2000 {
                let _ = ledger.set_budget(8000 - n % 7000);
                let left = ledger.left.load(Relaxed);
                assert!(left <= 8000, "what is left never wraps: {left}");
            }
        });
        assert_eq!(ledger.used(), 0);
    }

    #[test]
    fn taking_across_a_threshold_raises_the_level() {
        let ledger = Ledger::new(8000);
        let _most = ledger.reserve(Owner::Table, 4899).unwrap();
        assert_eq!(ledger.pressure().level(), PressureLevel::Normal);
        let _one = ledger.reserve(Owner::Table, 1).unwrap();
        assert_eq!(
            ledger.pressure().level(),
            PressureLevel::Shed,
            "70 % of 7000"
        );
        let _rest = ledger.reserve_emergency(Owner::Log, 3000).unwrap();
        assert_eq!(ledger.pressure().level(), PressureLevel::Slow);
    }
}
