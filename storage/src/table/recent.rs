//! Rows that were changed lately, in the order of commits: what serializable transactions have to
//! look at before they commit.
//!
//! ```text
//!   complete_from 40      [ 41: row 7 ][ 41: row 9 ][ 44: row 7 ][ 45: 2,000 rows ]  <- commits
//!                          ^ gone once the horizon has passed 41
//! ```
//!
//! 1. A commit adds its rows inside the commit section, before the clock moves: whoever reads the clock
//!    finds here all that was committed up to then. Many rows are one entry, made before the section.
//! 2. What every snapshot sees whose owner may validate is taken out, by the commits that follow and by
//!    maintenance. A report that only reads holds nothing up.
//! 3. While an old snapshot holds that up, the list is bounded in rows, by a part of the budget, and by what is left
//!    of it. Where it may not grow, the older half of it goes, and whoever would need that is told so
//!    ([`Forgotten`]).
//!
//! Invariants
//! - Commits above `complete_from` are in the list with all rows that they changed.
//! - A commit never fails because of the list.

use crate::ids::{RowId, Timestamp};
use crate::pool::{Ledger, Owner, Reservation};
use crate::succinct::RowSet;
use crate::sync::Mutex;
use arrayvec::ArrayVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows that are remembered at most.
const ROWS_MAX: usize = if cfg!(test) { 1 << 13 } else { 1 << 20 };
/// The part of the budget that the list may take: with all of it, each commit would pause.
const BUDGET_PART: u64 = 4;
/// Entries that are not reserved for: every table may have them.
const FREE_ENTRIES: usize = 128;
/// Rows of one commit that are an entry each.
const FEW_ROWS: usize = 4;
/// What a large set of rows reserves at a time.
const RESERVED_AT_ONCE: u64 = 4 << 10;
/// Entries that are given out at a time, so that the latch is held shortly.
const GIVEN_AT_ONCE: usize = 1024;

/// The rows of an entry.
#[derive(Clone, Debug)]
pub enum ChangedRows {
    /// One.
    One(RowId),
    /// Those of a commit that changed many.
    Many(Arc<ManyRows>),
}

/// Rows, with the memory that they take.
#[derive(Debug)]
pub struct ManyRows {
    rows: RowSet,
    _memory: Reservation,
}

impl ChangedRows {
    /// How many they are.
    pub fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.rows.len(),
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = RowId> {
        let (one, many) = match self {
            Self::One(row) => (Some(*row), None),
            Self::Many(many) => (None, Some(many.rows.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

/// What a commit will add.
#[derive(Debug)]
pub enum Change {
    /// These rows.
    Few(ArrayVec<RowId, FEW_ROWS>),
    /// These.
    Many(Arc<ManyRows>),
    /// More than can be remembered.
    TooMany,
}

impl Change {
    /// Of these rows, among which some may be several times.
    #[inline]
    pub fn new(mut rows: impl Iterator<Item = RowId>, ledger: &Arc<Ledger>) -> Self {
        let mut few = ArrayVec::new();
        while let Some(row) = rows.next() {
            if few.try_push(row).is_err() {
                let all = few.into_iter().chain([row]).chain(rows);
                return Self::many(all, ledger).unwrap_or(Self::TooMany);
            }
        }
        Self::Few(few)
    }

    #[inline(never)]
    fn many(rows: impl Iterator<Item = RowId>, ledger: &Arc<Ledger>) -> Option<Self> {
        let mut memory = ledger.reserve(Owner::Transaction, 0).ok()?;
        let mut set = RowSet::default();
        for row in rows {
            set.insert(row);
            if set.bytes() as u64 > memory.bytes() {
                let wanted = (set.bytes() as u64).next_multiple_of(RESERVED_AT_ONCE);
                memory.resize(wanted).ok()?;
            }
            if set.len() > ROWS_MAX / 2 {
                return None;
            }
        }
        memory.shrink(set.bytes() as u64);
        Some(Self::Many(Arc::new(ManyRows {
            rows: set,
            _memory: memory,
        })))
    }
}

/// Some of what was asked for is not remembered any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forgotten;

/// The rows of one table that were changed lately.
#[derive(Debug, Default)]
pub struct RecentChanges(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<(Timestamp, ChangedRows)>,
    /// In all entries.
    rows: usize,
    complete_from: Timestamp,
    memory: Option<Reservation>,
}

impl RecentChanges {
    /// Adds what a commit changed. Called inside the commit section, so that commits come in order. Some of
    /// what was committed up to the `horizon` goes: more than comes.
    pub fn add(&self, at: Timestamp, change: &Change, horizon: Timestamp, ledger: &Arc<Ledger>) {
        let mut state = self.0.lock();
        state.trim(horizon, 2 * FEW_ROWS);
        match change {
            Change::Few(rows) => {
                for row in rows {
                    state.push(at, ChangedRows::One(*row), ledger);
                }
            }
            Change::Many(many) => state.push(at, ChangedRows::Many(Arc::clone(many)), ledger),
            Change::TooMany => state.forget_to(at),
        }
    }

    /// Forgets what every snapshot sees, now and later.
    pub fn trim(&self, horizon: Timestamp) {
        let mut state = self.0.lock();
        state.trim(horizon, usize::MAX);
        state.shrink();
    }

    /// What was committed after `from`, up to `until`: replaces `out` by a part of it, and returns up
    /// to when that is all.
    ///
    /// # Errors
    /// `Forgotten` where that is not known any more.
    pub fn after(
        &self,
        from: Timestamp,
        until: Timestamp,
        out: &mut Vec<ChangedRows>,
    ) -> Result<Timestamp, Forgotten> {
        out.clear();
        let state = self.0.lock();
        if state.complete_from > from {
            return Err(Forgotten);
        }
        let first = state.entries.partition_point(|(at, _)| *at <= from);
        let mut last = from;
        for (at, rows) in state.entries.range(first..) {
            if *at > until {
                break;
            }
            if out.len() >= GIVEN_AT_ONCE && *at > last {
                return Ok(last);
            }
            last = *at;
            out.push(rows.clone());
        }
        Ok(until)
    }
}

impl State {
    fn push(&mut self, at: Timestamp, rows: ChangedRows, ledger: &Arc<Ledger>) {
        self.rows += rows.count();
        if self.entries.len() == self.entries.capacity() && !self.grow(ledger) {
            self.forget_half();
        }
        while self.rows > ROWS_MAX && !self.entries.is_empty() {
            self.forget_half();
        }
        self.entries.push_back((at, rows));
    }

    /// Forgets entries up to the horizon, so many at most.
    fn trim(&mut self, horizon: Timestamp, entries: usize) {
        for _ in 0..entries {
            match self.entries.front() {
                Some((at, _)) if *at <= horizon => self.pop(),
                _ => break,
            }
        }
    }

    /// Makes room; whether that could be.
    fn grow(&mut self, ledger: &Arc<Ledger>) -> bool {
        let wanted = (self.entries.capacity() * 2).max(FREE_ENTRIES / 4);
        if wanted > FREE_ENTRIES {
            let bytes = Self::bytes(wanted);
            if bytes > ledger.budget() / BUDGET_PART {
                return false;
            }
            let reserved = match &mut self.memory {
                Some(memory) => memory.resize(bytes).is_ok(),
                none => match ledger.reserve(Owner::Transaction, bytes) {
                    Ok(memory) => none.replace(memory).is_none(),
                    Err(_) => false,
                },
            };
            if !reserved {
                return false;
            }
        }
        self.entries.reserve_exact(wanted - self.entries.len());
        true
    }

    fn bytes(entries: usize) -> u64 {
        (entries * size_of::<(Timestamp, ChangedRows)>()) as u64
    }

    fn pop(&mut self) {
        if let Some((at, rows)) = self.entries.pop_front() {
            self.rows -= rows.count();
            self.complete_from = at;
        }
    }

    /// Forgets the older half of the rows, and one entry at least; commits go as a whole.
    fn forget_half(&mut self) {
        let rows = self.rows / 2;
        self.pop();
        while self.rows > rows && !self.entries.is_empty() {
            self.pop();
        }
        self.forget_to(self.complete_from);
    }

    /// Forgets all commits up to one.
    fn forget_to(&mut self, last: Timestamp) {
        while let Some((at, _)) = self.entries.front()
            && *at <= last
        {
            self.pop();
        }
        self.complete_from = last;
    }

    /// Gives back room that is not needed any more.
    fn shrink(&mut self) {
        let wanted = (2 * self.entries.len()).max(FREE_ENTRIES);
        if self.entries.capacity() > 2 * wanted {
            self.entries.shrink_to(wanted);
            let capacity = self.entries.capacity();
            match &mut self.memory {
                Some(memory) if capacity > FREE_ENTRIES => memory.shrink(Self::bytes(capacity)),
                memory => *memory = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No horizon.
    const NONE: Timestamp = Timestamp(0);

    fn row(n: u64) -> RowId {
        RowId(n)
    }

    fn change(rows: &[u64], ledger: &Arc<Ledger>) -> Change {
        Change::new(rows.iter().map(|n| row(*n)), ledger)
    }

    fn rows_after(
        recent: &RecentChanges,
        mut from: u64,
        until: u64,
    ) -> Result<Vec<u64>, Forgotten> {
        let (mut rows, mut part) = (Vec::new(), Vec::new());
        while from < until {
            from = recent
                .after(Timestamp(from), Timestamp(until), &mut part)?
                .0;
            rows.extend(part.iter().flat_map(ChangedRows::iter).map(|row| row.0));
        }
        Ok(rows)
    }

    #[test]
    fn what_came_after_a_moment_is_told_in_order() {
        let ledger = Ledger::new(1 << 20);
        let recent = RecentChanges::default();
        recent.add(Timestamp(3), &change(&[7, 9], &ledger), NONE, &ledger);
        recent.add(Timestamp(5), &change(&[7], &ledger), NONE, &ledger);
        recent.add(
            Timestamp(6),
            &change(&[5, 4, 3, 2, 5], &ledger),
            NONE,
            &ledger,
        );
        assert_eq!(rows_after(&recent, 0, 9).unwrap(), [7, 9, 7, 2, 3, 4, 5]);
        assert_eq!(rows_after(&recent, 3, 5).unwrap(), [7]);
        recent.trim(Timestamp(4));
        assert_eq!(rows_after(&recent, 4, 5).unwrap(), [7]);
        assert_eq!(rows_after(&recent, 2, 5), Err(Forgotten));
        recent.trim(Timestamp(6));
        assert_eq!(ledger.used(), 0, "nothing is left");
    }

    #[test]
    fn many_commits_are_told_in_parts() {
        let ledger = Ledger::new(1 << 20);
        let recent = RecentChanges::default();
        let all = 3 * GIVEN_AT_ONCE as u64;
        for n in 1..=all {
            recent.add(Timestamp(n), &change(&[n, 2 * n], &ledger), NONE, &ledger);
        }
        let expected: Vec<u64> = (8..=all).flat_map(|n| [n, 2 * n]).collect();
        assert_eq!(rows_after(&recent, 7, all).unwrap(), expected);
        assert!(ledger.used() > 0);
        recent.trim(Timestamp(all));
        assert_eq!(ledger.used(), 0);
    }

    #[test]
    fn where_memory_is_refused_the_older_half_goes() {
        let ledger = Ledger::new(32 << 10);
        let recent = RecentChanges::default();
        for n in 1..=5000 {
            recent.add(Timestamp(n), &change(&[n], &ledger), NONE, &ledger);
        }
        assert_eq!(rows_after(&recent, 1, 5000), Err(Forgotten));
        assert_eq!(rows_after(&recent, 4990, 5000).unwrap().len(), 10);
        recent.add(Timestamp(5001), &change(&[1; 9000], &ledger), NONE, &ledger);
        assert_eq!(
            rows_after(&recent, 5000, 5001).unwrap(),
            [1],
            "nine thousand times"
        );
        let rows: Vec<u64> = (0..9000).collect();
        recent.add(Timestamp(5002), &change(&rows, &ledger), NONE, &ledger);
        assert_eq!(rows_after(&recent, 5001, 5002), Err(Forgotten));
        recent.add(Timestamp(5003), &change(&[8], &ledger), NONE, &ledger);
        assert_eq!(rows_after(&recent, 5002, 5003).unwrap(), [8]);
    }

    /// A counter goes up while a transaction is open that may validate: there is memory for the counter, too.
    #[test]
    fn a_part_of_the_budget_is_the_most_it_takes() {
        let ledger = Ledger::new(256 << 10);
        let recent = RecentChanges::default();
        for n in 1..=8000 {
            recent.add(Timestamp(n), &change(&[1], &ledger), NONE, &ledger);
            assert!(ledger.used() <= ledger.budget() / BUDGET_PART);
        }
        assert_eq!(rows_after(&recent, 7000, 8000).unwrap().len(), 1000);
    }

    #[test]
    fn more_rows_than_the_limit_are_not_kept() {
        let ledger = Ledger::new(256 << 20);
        let recent = RecentChanges::default();
        let rows: Vec<u64> = (0..ROWS_MAX as u64 / 4).collect();
        for at in 1..=8 {
            recent.add(Timestamp(at), &change(&rows, &ledger), NONE, &ledger);
        }
        assert_eq!(rows_after(&recent, 1, 8), Err(Forgotten));
        assert_eq!(rows_after(&recent, 7, 8).unwrap().len(), rows.len());
        assert!(ledger.used() <= (ROWS_MAX * size_of::<RowId>()) as u64);
    }
}
