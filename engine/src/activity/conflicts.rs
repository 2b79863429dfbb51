//! The last conflicts, for those who want to know who stands in whose way.
//!
//! ```text
//!   41   42   43   44       numbers; the oldest goes when there are 1,024, or no memory for one more
//!   |    |    |    \- an increment that is about to be run again: whom it met is looked up by who reads
//!   |    |    \------ a COMMIT that failed: whom it met was looked up for the error
//! ```
//!
//! Transactions that meet often are those that are run again by themselves. So what they leave here is
//! what they have at hand: no text is copied or looked up. One that meets the same rival again and again leaves one
//! conflict, which counts its tries.
//!
//! Invariants
//! - Memory is reserved before a conflict is kept; where it is refused, older ones go, or it is not kept.

use parking_lot::Mutex;
use remora_storage::pool::{Ledger, Owner, Reservation};
use remora_storage::{Conflict, Error, Isolation};
use std::collections::VecDeque;
use std::sync::Arc;

/// Conflicts that are remembered.
const REMEMBERED: usize = 1 << 10;
/// What is reserved grows by this much.
const RESERVE_STEP: u64 = 16 << 10;

/// A transaction as its rival sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rival {
    /// When it began, in microseconds since 1970, if that is still known.
    pub started: Option<i64>,
    /// Its last statement, if that is still known.
    pub statement: Option<Arc<str>>,
}

/// A conflict that was raised.
#[derive(Clone, Debug)]
pub(crate) struct Raised {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// In which transaction.
    pub transaction: u64,
    /// Of which session.
    pub session: u32,
    /// In which statement.
    pub statement: Option<Arc<str>>,
    /// The transaction's level.
    pub isolation: Isolation,
    /// What happened.
    pub what: Arc<Error>,
    /// Who was first; `None` where nobody has asked yet.
    pub rival: Option<Rival>,
    /// Whether it is run again by itself.
    pub is_retried: bool,
    /// How often the statement or transaction met this rival.
    pub tries: u32,
}

/// The last conflicts of a database.
#[derive(Debug, Default)]
pub(crate) struct Conflicts(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    raised: VecDeque<Raised>,
    /// The number of the first.
    first: u64,
    /// What all of them take.
    bytes: u64,
    memory: Option<Reservation>,
}

impl Raised {
    /// How the two met, if that was over data.
    pub(crate) fn conflict(&self) -> Option<&Conflict> {
        match &*self.what {
            Error::Conflict(conflict) => Some(conflict),
            _ => None,
        }
    }

    fn bytes(&self) -> u64 {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let conflict = self.conflict();
        let conflict = conflict.map_or(0, |conflict| {
            size_of::<Conflict>() + conflict.table.capacity() + conflict.key.capacity()
        });
        let rival = self
            .rival
            .as_ref()
            .map_or(0, |rival| text(&rival.statement));
        let bytes = size_of::<Self>() + size_of::<Error>() + conflict;
        (bytes + text(&self.statement) + rival) as u64
    }
}

impl Conflicts {
    /// Keeps a conflict; returns its number.
    pub(crate) fn push(&self, raised: Raised, ledger: &Arc<Ledger>) -> u64 {
        let mut ring = self.0.lock();
        if ring.raised.len() >= REMEMBERED {
            ring.forget_first();
        }
        ring.bytes += raised.bytes();
        ring.raised.push_back(raised);
        ring.reserve(ledger);
        ring.first + ring.raised.len() as u64 - 1
    }

    /// Counts another try of the conflict of that number, now in this transaction; returns whether the conflict is still
    /// kept.
    pub(crate) fn again(&self, number: u64, transaction: u64) -> bool {
        let ring = &mut *self.0.lock();
        let at = number.checked_sub(ring.first);
        let Some(raised) = at.and_then(|at| ring.raised.get_mut(at as usize)) else {
            return false;
        };
        raised.tries += 1;
        raised.transaction = transaction;
        true
    }

    /// The conflict of that number is not run again after all, if it is still kept.
    pub(crate) fn report(&self, number: u64, rival: Option<Rival>, ledger: &Arc<Ledger>) {
        let ring = &mut *self.0.lock();
        let Some(at) = number.checked_sub(ring.first) else {
            return;
        };
        if let Some(raised) = ring.raised.get_mut(at as usize) {
            let before = raised.bytes();
            raised.is_retried = false;
            raised.rival = rival;
            let after = raised.bytes();
            ring.bytes = ring.bytes - before + after;
            ring.reserve(ledger);
        }
    }

    /// All that are kept, the oldest first.
    pub(crate) fn all(&self) -> Vec<Raised> {
        self.0.lock().raised.iter().cloned().collect()
    }
}

impl Ring {
    fn forget_first(&mut self) {
        if let Some(raised) = self.raised.pop_front() {
            self.bytes -= raised.bytes();
            self.first += 1;
        }
    }

    /// Reserves for what was added, or lets go of what there is no memory for.
    fn reserve(&mut self, ledger: &Arc<Ledger>) {
        while !self.has_memory(ledger) {
            self.forget_first();
        }
    }

    fn has_memory(&mut self, ledger: &Arc<Ledger>) -> bool {
        let held = self.memory.as_ref().map_or(0, Reservation::bytes);
        // Room that the queue has beyond its conflicts.
        let spare = self.raised.capacity() - self.raised.len();
        let wanted = self.bytes + (spare * size_of::<Raised>()) as u64;
        if wanted <= held || self.raised.is_empty() {
            return true;
        }
        let wanted = wanted.next_multiple_of(RESERVE_STEP);
        match &mut self.memory {
            Some(memory) => memory.resize(wanted).is_ok(),
            None => {
                self.memory = ledger.reserve(Owner::Cache, wanted).ok();
                self.memory.is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(transaction: u64, text: &Arc<str>) -> Raised {
        Raised {
            at: 0,
            transaction,
            session: 1,
            statement: Some(Arc::clone(text)),
            isolation: Isolation::Serializable,
            what: Arc::new(Error::Closed),
            rival: None,
            is_retried: true,
            tries: 1,
        }
    }

    #[test]
    fn the_last_are_kept_and_each_is_known_by_its_number() {
        let (conflicts, ledger) = (Conflicts::default(), Ledger::new(64 << 20));
        let text = Arc::from("UPDATE t SET v = 1");
        let numbers: Vec<u64> = (0..REMEMBERED as u64 + 5)
            .map(|transaction| conflicts.push(raised(transaction, &text), &ledger))
            .collect();
        let all = conflicts.all();
        assert_eq!((all.len(), all[0].transaction), (REMEMBERED, 5));
        let rival = || Rival {
            started: Some(7),
            statement: None,
        };
        conflicts.report(numbers[2], Some(rival()), &ledger);
        conflicts.report(numbers[9], Some(rival()), &ledger);
        let all = conflicts.all();
        let reported: Vec<_> = all.iter().filter(|one| !one.is_retried).collect();
        assert_eq!(reported.len(), 1);
        assert_eq!(reported[0].transaction, 9);
    }

    #[test]
    fn one_that_is_raised_again_is_counted_where_it_is() {
        let (conflicts, ledger) = (Conflicts::default(), Ledger::new(64 << 20));
        let text = Arc::from("UPDATE t SET v = 1");
        let first = conflicts.push(raised(1, &text), &ledger);
        conflicts.push(raised(2, &text), &ledger);
        assert!(conflicts.again(first, 7) && conflicts.again(first, 9));
        let all = conflicts.all();
        let shown: Vec<_> = all.iter().map(|one| (one.transaction, one.tries)).collect();
        assert_eq!(shown, [(9, 3), (2, 1)]);
        for transaction in 0..REMEMBERED as u64 {
            conflicts.push(raised(transaction, &text), &ledger);
        }
        assert!(!conflicts.again(first, 11), "it is not kept any more");
    }

    /// There is memory for some, and none for one that is too long: the database goes on without it.
    #[test]
    fn what_they_take_is_reserved_and_what_cannot_be_is_not_kept() {
        let (conflicts, ledger) = (Conflicts::default(), Ledger::new(1 << 20));
        let room = ledger.budget() - ledger.emergency();
        let rest = ledger.reserve(Owner::Query, room - (40 << 10)).unwrap();
        let text: Arc<str> = Arc::from("x".repeat(1000));
        for transaction in 0..100 {
            conflicts.push(raised(transaction, &text), &ledger);
        }
        let all = conflicts.all();
        assert!((10..40).contains(&all.len()), "{}", all.len());
        assert_eq!(all.last().unwrap().transaction, 99);
        let taken: u64 = all.iter().map(Raised::bytes).sum();
        assert!(ledger.used() - rest.bytes() >= taken);
        let long = Arc::from("x".repeat(100_000));
        conflicts.push(raised(100, &long), &ledger);
        assert!(conflicts.all().is_empty());
        conflicts.push(raised(101, &text), &ledger);
        assert_eq!(conflicts.all().len(), 1);
        drop(rest);
        drop(conflicts);
        assert_eq!(ledger.used(), 0);
    }
}
