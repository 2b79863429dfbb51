//! The memory of values that functions make, while they are on their way.
//!
//! Operators reserve what they keep (`exec::memory`), storage what it stores. Between these are values that an
//! expression has made and nobody keeps yet: arguments of the next call, columns of a batch, the row that is about
//! to be written. One tracker a statement counts those longer than [`SHORT_BYTES`], and reserves what it counts.
//!
//! ```text
//!  level  |            repeat  upper                    evaluation is a stack: a call takes its arguments off
//!         |           .------.------.                   and puts its result there
//!         |  md5     |      |      |------ length
//!         |----------'              '-----------------  the row is written, the batch was read: back to where it began
//! ```
//!
//! 1. A function that knows how long its result will be asks for [`EvalContext::room`] before it makes it.
//! 2. Whatever calls functions notes the level before, and has the tracker [settle](MemoryTracker::settle) on the
//!    result after: arguments and all that was asked for are gone by then.
//! 3. Whatever goes from row to row or from batch to batch goes [back](MemoryTracker::back_to) to its level.
//! 4. Over a batch there is a *cap*: where its values take more, the attempt is given up, and the batch is cut
//!    (`exec::cut`). A refusal for that reason says so by [`MemoryTracker::take_cut`], and never reaches anybody else.
//!
//! A level that nobody goes back to counts too much, never too little, and ends with the statement. What is short is
//! not counted: a batch of such values has some megabytes at most.
//!
//! All atomics are relaxed: one thread at a time evaluates a statement; they are atomics because its context is shared.

use super::check_size;
use crate::activity::relieved;
use crate::error::{Error, Result};
use crate::function::EvalContext;
use remora_storage::Value;
use remora_storage::pool::{Claim, Ledger, Owner, Reservation};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Values up to this length are not counted.
const SHORT_BYTES: usize = 1024;
/// The reservation follows in steps.
const STEP: u64 = 64 << 10;
/// Reserved bytes beyond the level that are not given back at once: the next batch wants them.
const KEPT: u64 = 4 << 20;
/// The most that the values of one batch may take, and the part of the budget, if that is less.
pub(crate) const BATCH_BYTES_MAX: u64 = 4 << 20;
const BATCH_PART: u64 = 16;
/// While a plan is made, a value that is longer is work that asks whether to go on, and soon told not to.
const IN_ADVANCE_BYTES_MAX: usize = 64 << 10;

/// Counts the values of one statement; without an account (while a plan is made, in tests) nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryTracker(Option<Arc<Account>>);

#[derive(Debug)]
struct Account {
    ledger: Arc<Ledger>,
    level: AtomicU64,
    /// The level beyond which a batch is to be cut.
    cap: AtomicU64,
    /// Whether the last refusal was the cap's.
    is_cut: AtomicBool,
    reserved: AtomicU64,
    reservation: Mutex<Option<Reservation>>,
}

impl MemoryTracker {
    /// Of a session's statements.
    #[cold]
    pub(crate) fn new(ledger: &Arc<Ledger>) -> Self {
        Self(Some(Arc::new(Account {
            ledger: Arc::clone(ledger),
            level: AtomicU64::new(0),
            cap: AtomicU64::new(u64::MAX),
            is_cut: AtomicBool::new(false),
            reserved: AtomicU64::new(0),
            reservation: Mutex::new(None),
        })))
    }

    /// Bytes counted now.
    #[inline]
    pub(crate) fn level(&self) -> u64 {
        match &self.0 {
            Some(account) => account.level.load(Relaxed),
            None => 0,
        }
    }

    /// Counts `bytes` more.
    ///
    /// # Errors
    /// 53200 where the budget does not allow it, or the batch is to be cut.
    pub(crate) fn take(&self, bytes: usize) -> Result<()> {
        match &self.0 {
            Some(account) => account.reach(account.level.load(Relaxed) + bytes as u64),
            None => Ok(()),
        }
    }

    /// Everything counted since the level was `level` is gone.
    #[inline]
    pub(crate) fn back_to(&self, level: u64) {
        if let Some(account) = &self.0
            && account.level.load(Relaxed) > level
        {
            account.fall(level);
        }
    }

    /// Everything counted since the level was `level` is gone, but for a result of `bytes`.
    ///
    /// # Errors
    /// As for [`Self::take`].
    #[inline]
    pub(crate) fn settle(&self, level: u64, bytes: usize) -> Result<()> {
        self.back_to(level);
        match bytes > SHORT_BYTES {
            true => self.take(bytes),
            false => Ok(()),
        }
    }

    /// As [`Self::settle`], for a result that does not belong to rows of the batch: the cap rises with it.
    ///
    /// # Errors
    /// 53200
    pub(crate) fn settle_beside_cap(&self, level: u64, bytes: usize) -> Result<()> {
        self.back_to(level);
        match &self.0 {
            Some(account) if bytes > SHORT_BYTES => {
                let cap = account.cap.load(Relaxed);
                account.cap.store(cap.saturating_add(bytes as u64), Relaxed);
                self.take(bytes)
            }
            _ => Ok(()),
        }
    }

    /// Runs an attempt at a batch under the cap: where it takes more, it fails, and [`Self::take_cut`] is true.
    pub(crate) fn capped<T>(&self, attempt: impl FnOnce() -> Result<T>) -> Result<T> {
        match &self.0 {
            Some(account) => {
                let most = BATCH_BYTES_MAX.min(account.ledger.budget() / BATCH_PART);
                self.with_cap(account.level.load(Relaxed).saturating_add(most), attempt)
            }
            None => attempt(),
        }
    }

    /// Runs what cannot be cut: nothing but the budget bounds it.
    pub(crate) fn uncapped<T>(&self, attempt: impl FnOnce() -> Result<T>) -> Result<T> {
        self.with_cap(u64::MAX, attempt)
    }

    fn with_cap<T>(&self, cap: u64, attempt: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(account) = &self.0 else {
            return attempt();
        };
        let _cap = Cap {
            before: account.cap.swap(cap, Relaxed),
            of: &account.cap,
        };
        attempt()
    }

    /// Whether an attempt failed because the batch is to be cut; asked once.
    pub(crate) fn take_cut(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|account| account.is_cut.swap(false, Relaxed))
    }

    /// The statement has ended: nothing of it is left. One load where it made nothing long.
    #[inline]
    pub(crate) fn end(&self) {
        if let Some(account) = &self.0
            && account.reserved.load(Relaxed) > 0
        {
            account.end();
        }
    }
}

/// A cap that holds as long as this does; the one before holds again, even where an attempt panics.
struct Cap<'a> {
    of: &'a AtomicU64,
    before: u64,
}

impl Drop for Cap<'_> {
    fn drop(&mut self) {
        self.of.store(self.before, Relaxed);
    }
}

impl Account {
    #[cold]
    fn reach(&self, level: u64) -> Result<()> {
        if level > self.cap.load(Relaxed) {
            self.is_cut.store(true, Relaxed);
            return Err(Error::internal("a batch that was to be cut was not"));
        }
        if level > self.reserved.load(Relaxed) {
            let wanted = level.next_multiple_of(STEP);
            let mut held = self
                .reservation
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let reservation = match &mut *held {
                Some(reservation) => reservation,
                none => none.insert(self.ledger.reserve(Owner::Query, 0)?),
            };
            let claim = match wanted <= STEP {
                true => Claim::Small,
                false => Claim::Ordinary,
            };
            relieved(&self.ledger, || reservation.resize_for(claim, wanted))?;
            self.reserved.store(wanted, Relaxed);
        }
        self.level.store(level, Relaxed);
        Ok(())
    }

    #[cold]
    fn fall(&self, level: u64) {
        self.level.store(level, Relaxed);
        let kept = match level {
            0 => 0,
            _ => level.next_multiple_of(STEP),
        };
        if self.reserved.load(Relaxed) > kept + KEPT {
            let mut held = self
                .reservation
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(reservation) = &mut *held {
                reservation.shrink(kept);
            }
            self.reserved.store(kept, Relaxed);
        }
    }

    /// Gives back what the last statement left.
    fn end(&self) {
        self.level.store(0, Relaxed);
        self.reserved.store(0, Relaxed);
        *self
            .reservation
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        self.ledger.trim_after_statement();
    }
}

/// A query that had an account of its own is gone, with all that it kept.
impl Drop for Account {
    fn drop(&mut self) {
        self.end();
    }
}

impl EvalContext {
    /// Asks for the memory of a value of `bytes` that a function is about to make. It is given back when the
    /// function returns, and its result counted instead.
    ///
    /// # Errors
    /// 54000 where no value may be so long; 53200 where the budget does not allow it.
    pub(crate) fn room(&self, bytes: Option<usize>) -> Result<usize> {
        let bytes = check_size(bytes)?;
        if bytes > SHORT_BYTES {
            self.working_memory(bytes)?;
        }
        Ok(bytes)
    }

    /// Asks for memory that a function works with until it returns.
    ///
    /// # Errors
    /// 53200
    #[cold]
    pub(crate) fn working_memory(&self, bytes: usize) -> Result<()> {
        match self.session {
            None if bytes > IN_ADVANCE_BYTES_MAX => self.check_patience(),
            _ => self.memory.take(bytes),
        }
    }
}

/// Bytes of a value beside itself.
#[inline]
pub(crate) fn owned_bytes(value: &Value) -> usize {
    value.as_ref().bytes().map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(budget: u64) -> (Arc<Ledger>, MemoryTracker) {
        let ledger = Ledger::new(budget);
        let tracker = MemoryTracker::new(&ledger);
        (ledger, tracker)
    }

    /// `length(upper(repeat(..)))`: at each step there is the argument, and the result beside it.
    #[test]
    fn evaluation_is_a_stack() {
        let (ledger, tracker) = tracker(64 << 20);
        let begin = tracker.level();
        for bytes in [10 << 20, 12 << 20, 4] {
            let beside = tracker.level();
            tracker.take(bytes).unwrap();
            assert_eq!(tracker.level(), beside + bytes as u64);
            tracker.settle(begin, bytes).unwrap();
        }
        assert_eq!(tracker.level(), 0, "a number is not counted");
        assert!(ledger.used() <= KEPT);
        tracker.end();
        assert_eq!(ledger.used(), 0);
    }

    #[test]
    fn the_budget_bounds_a_value_and_the_cap_a_batch() {
        let (ledger, tracker) = tracker(64 << 20);
        let refused = tracker.take(64 << 20).unwrap_err();
        assert_eq!(refused.sqlstate(), "53200");
        assert!(!tracker.take_cut());
        assert_eq!(ledger.used(), 0, "a refusal leaves nothing");
        let batch = |bytes| {
            tracker.capped(|| {
                tracker.take(bytes)?;
                tracker.uncapped(|| tracker.take(bytes))
            })
        };
        batch(3 << 20).unwrap();
        tracker.back_to(0);
        batch(5 << 20).unwrap_err();
        assert!(tracker.take_cut());
        assert!(!tracker.take_cut(), "asked once");
        tracker.take(5 << 20).unwrap();
        tracker.back_to(0);
        let beside_a_constant = |bytes| {
            tracker.capped(|| {
                tracker.settle_beside_cap(0, 8 << 20)?;
                tracker.take(bytes)
            })
        };
        beside_a_constant(3 << 20).unwrap();
        tracker.back_to(0);
        beside_a_constant(5 << 20).unwrap_err();
        assert!(tracker.take_cut());
    }

    #[test]
    fn what_is_made_while_a_plan_is_made_is_short() {
        let planning = EvalContext::of_planning();
        assert_eq!(
            planning.room(Some(IN_ADVANCE_BYTES_MAX)).unwrap(),
            IN_ADVANCE_BYTES_MAX
        );
        let long = || planning.room(Some(IN_ADVANCE_BYTES_MAX + 1));
        assert!((0..3).any(|_| long().is_err()));
        let too_long = planning.room(Some(1 << 30)).unwrap_err();
        assert_eq!(too_long.sqlstate(), "54000");
    }
}
