//! Sequences: numbers that are given away once, whatever becomes of who took them.
//!
//! A sequence in the catalog is a definition and a [`Counter`]. The definition belongs to the catalog
//! and so to transactions; the counter does not: a number that was taken stays taken when the
//! transaction rolls back, and nobody waits for, or is in conflict with, another one who takes numbers.
//!
//! ```text
//!   entry (catalog of the snapshot) --> def      1, 2, 3 .. 9, cycles
//!                                   --> counter  latch [ position | logged | ahead ]
//! ```
//!
//! The log need not have each number, but one that is far enough: before the first of [`LOG_AHEAD`]
//! numbers is given away, the log is told the last of them, and recovery goes on behind it
//! ([`crate::transaction`]). `ahead` counts those that are left.
//!
//! Who changes by DDL where a sequence stands or how it goes on (RESTART, INCREMENT, limits, DROP) gives
//! the catalog another counter, or none, and *retires* the old one at its commit. Transactions that still
//! have the old one in their catalog are refused from then on: two counters never give numbers away at a
//! time. The new one is the transaction's own until then, and the log is told where it stands with the
//! commit. A new one that *continues* an old one gives numbers away from where that one stood: its
//! transaction is refused at the commit if others have moved the old one meanwhile.
//!
//! ```text
//!   s: 1 by 1    old: 41 42 ............ 42   unmoved: retired       old: 41 42 .... 43   refused
//!   BEGIN; ALTER .. INCREMENT 10;  new: 52 62   COMMIT; 72                 52       COMMIT
//! ```
//!
//! Invariants
//! - No number that was taken is given away again by a counter, unless it cycles or is set back.
//! - All entries that share a counter have one rule; it stands, and is logged, within its limits.
//! - Where there is a log, `logged` is in it before a number that it covers is given away.

use crate::error::{Error, Result};
use crate::ids::{ColumnId, SchemaId, SequenceId, TableId};
use crate::sync::{Mutex, MutexGuard};
use crate::value::DataType;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Numbers that one frame of the log covers beside the one that is taken, as in PostgreSQL.
pub const LOG_AHEAD: u32 = 32;

/// A sequence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceDef {
    /// Its id.
    pub id: SequenceId,
    /// Its name.
    pub name: String,
    /// SMALLINT, INTEGER or BIGINT: what its limits are limited by.
    pub data_type: DataType,
    /// The first number, also after RESTART.
    pub start: i64,
    /// From number to number, and where it ends.
    pub rule: SequenceRule,
    /// How many numbers a session is said to take at a time; they are taken one by one.
    pub cache: i64,
    /// The column that it goes with.
    pub owner: Option<(TableId, ColumnId)>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "SchemaId::is_public")]
    pub schema: SchemaId,
}

/// How a sequence goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceRule {
    /// What is added; not 0.
    pub increment: i64,
    /// The least number.
    pub min: i64,
    /// The greatest number.
    pub max: i64,
    /// Whether it begins again behind its end.
    pub cycle: bool,
}

/// Where a sequence stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequencePosition {
    /// The number taken last, or the first one.
    pub last: i64,
    /// Whether it was taken.
    pub is_called: bool,
}

/// A sequence in the catalog.
#[derive(Clone, Debug)]
pub struct SequenceEntry {
    /// What it is.
    pub def: SequenceDef,
    /// Where it stands.
    pub counter: Arc<Counter>,
}

/// Where a sequence stands, for all who have it in their catalog.
#[derive(Debug)]
pub struct Counter {
    state: Mutex<CounterState>,
    /// Where the one before must still stand when this one takes its place; nothing where that may
    /// stand anywhere.
    continues: Option<SequencePosition>,
}

/// What a counter holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterState {
    /// Where it stands.
    pub position: SequencePosition,
    /// Where recovery would go on.
    pub logged: SequencePosition,
    /// How many numbers may be taken up to `logged`.
    pub ahead: u32,
    /// Whether others can have it in their catalog: then the log is told of what is taken.
    pub is_shared: bool,
    /// Whether another counter, or none, has taken its place.
    is_retired: bool,
}

impl SequenceRule {
    /// The number after a position; `None` at the end.
    pub fn next(&self, position: SequencePosition) -> Option<i64> {
        if !position.is_called {
            return Some(position.last);
        }
        let next = position.last.checked_add(self.increment);
        match (next, self.increment > 0) {
            (Some(next), true) if next <= self.max => Some(next.max(self.min)),
            (Some(next), false) if next >= self.min => Some(next.min(self.max)),
            (_, true) if self.cycle => Some(self.min),
            (_, false) if self.cycle => Some(self.max),
            _ => None,
        }
    }

    /// Whether a sequence that goes on by it can stand there.
    pub fn admits(&self, position: SequencePosition) -> bool {
        (self.min..=self.max).contains(&position.last)
    }

    /// The number at which it ends, unless it cycles.
    pub fn end(&self) -> i64 {
        match self.increment > 0 {
            true => self.max,
            false => self.min,
        }
    }
}

impl SequenceDef {
    /// BIGINT from 1 on, one by one. Its id is given when it is created.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: SequenceId::default(),
            name: name.into(),
            data_type: DataType::BigInt,
            start: 1,
            rule: SequenceRule {
                increment: 1,
                min: 1,
                max: i64::MAX,
                cycle: false,
            },
            cache: 1,
            owner: None,
            schema: SchemaId::PUBLIC,
        }
    }

    /// Where it begins.
    pub fn beginning(&self) -> SequencePosition {
        SequencePosition {
            last: self.start,
            is_called: false,
        }
    }
}

impl SequenceEntry {
    /// A sequence that stands at its beginning.
    pub fn new(def: SequenceDef) -> Self {
        let counter = Arc::new(Counter::at(def.beginning()));
        Self { def, counter }
    }

    /// The same numbers under another definition; of another rule only where it is set next where it stands.
    #[must_use]
    pub fn with_def(&self, def: SequenceDef) -> Self {
        Self {
            def,
            counter: Arc::clone(&self.counter),
        }
    }

    /// What those are told who come with a counter of before.
    pub fn retired(&self) -> Error {
        Error::SchemaConflict {
            table: self.def.name.clone(),
        }
    }

    /// Takes a number that the log covers; `None` where none is covered.
    ///
    /// # Errors
    /// `SchemaConflict` where the counter is retired.
    #[inline]
    pub fn take_covered(&self) -> Result<Option<i64>> {
        let mut state = self.counter.state.lock();
        if state.is_retired {
            return Err(self.retired());
        }
        if state.ahead == 0 {
            return Ok(None);
        }
        let Some(next) = self.def.rule.next(state.position) else {
            return Ok(None);
        };
        state.ahead -= 1;
        state.position = SequencePosition {
            last: next,
            is_called: true,
        };
        Ok(Some(next))
    }

    /// What the counter holds.
    ///
    /// # Errors
    /// `SchemaConflict` where it is retired.
    pub fn state(&self) -> Result<CounterState> {
        let state = self.counter.state();
        match state.is_retired {
            true => Err(self.retired()),
            false => Ok(state),
        }
    }

    /// What the counter holds when the next number is taken, and as many are covered as shall be.
    ///
    /// # Errors
    /// `SequenceEnds`
    pub fn after_taking(&self, state: CounterState) -> Result<CounterState> {
        let rule = self.def.rule;
        let next = rule.next(state.position).ok_or(Error::SequenceEnds {
            name: self.def.name.clone(),
            end: rule.end(),
            is_maximum: rule.increment > 0,
        })?;
        let position = |last| SequencePosition {
            last,
            is_called: true,
        };
        let (mut logged, mut ahead) = (next, 0);
        while ahead < LOG_AHEAD
            && let Some(further) = rule.next(position(logged))
        {
            logged = further;
            ahead += 1;
        }
        Ok(CounterState {
            position: position(next),
            logged: position(logged),
            ahead,
            ..state
        })
    }
}

impl Counter {
    /// A counter that only its transaction has.
    pub fn at(position: SequencePosition) -> Self {
        let state = CounterState {
            position,
            logged: position,
            ahead: 0,
            is_shared: false,
            is_retired: false,
        };
        Self {
            state: Mutex::new(state),
            continues: None,
        }
    }

    /// A counter that only its transaction has, and that goes on where another one stands.
    pub fn continuing(position: SequencePosition) -> Self {
        Self {
            continues: Some(position),
            ..Self::at(position)
        }
    }

    /// Others can have it from now on. The log knows where it stands.
    pub fn share(&self) {
        self.state.lock().is_shared = true;
    }

    /// Whether others can have it.
    pub fn is_shared(&self) -> bool {
        self.state.lock().is_shared
    }

    /// Goes on at a position that was read from the log.
    pub fn restore(&self, position: SequencePosition) {
        let mut state = self.state.lock();
        *state = state.moved_to(position);
    }

    /// What it holds.
    pub fn state(&self) -> CounterState {
        *self.state.lock()
    }

    /// Where recovery would go on.
    pub fn logged(&self) -> SequencePosition {
        self.state.lock().logged
    }

    /// Makes `before` into `after` and calls `log` with nobody between; `false` where it was not
    /// `before` any more.
    pub fn change(&self, before: CounterState, after: CounterState, log: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        let is_so = *state == before;
        if is_so {
            *state = after;
            // Under the latch: who takes a number from here on finds its frame appended.
            log();
        }
        is_so
    }

    /// Keeps it where it stands, to be retired, for another one or none that takes its place. `None` where it
    /// has moved and should not have.
    pub fn hold_for(&self, other: Option<&Self>) -> Option<MutexGuard<'_, CounterState>> {
        let state = self.state.lock();
        let expected = other.and_then(|other| other.continues);
        let is_there = expected.is_none_or(|position| position == state.position);
        is_there.then_some(state)
    }
}

impl CounterState {
    /// From now on nobody takes numbers from it.
    pub fn retire(&mut self) {
        self.is_retired = true;
    }

    /// The same at another position, behind which nothing is logged.
    #[must_use]
    pub fn moved_to(self, position: SequencePosition) -> Self {
        Self {
            position,
            logged: position,
            ahead: 0,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(rule: SequenceRule, start: i64) -> SequenceEntry {
        SequenceEntry::new(SequenceDef {
            start,
            rule,
            ..SequenceDef::new("s")
        })
    }

    fn take(entry: &SequenceEntry) -> Result<i64> {
        if let Some(covered) = entry.take_covered()? {
            return Ok(covered);
        }
        let before = entry.state()?;
        let after = entry.after_taking(before)?;
        assert!(entry.counter.change(before, after, || {}));
        Ok(after.position.last)
    }

    #[test]
    fn it_ends_or_begins_again_at_either_end_of_all_numbers() {
        let mut rule = SequenceRule {
            increment: 2,
            min: i64::MIN,
            max: i64::MAX,
            cycle: false,
        };
        let up = entry(rule, i64::MAX - 3);
        assert_eq!(take(&up).unwrap(), i64::MAX - 3);
        assert_eq!(take(&up).unwrap(), i64::MAX - 1);
        let end = take(&up).unwrap_err();
        assert!(matches!(
            &end,
            Error::SequenceEnds {
                end: i64::MAX,
                is_maximum: true,
                ..
            }
        ));
        assert_eq!(end.sqlstate(), "2200H");
        (rule.increment, rule.cycle) = (-1, true);
        let down = entry(rule, i64::MIN);
        assert_eq!(take(&down).unwrap(), i64::MIN);
        assert_eq!(take(&down).unwrap(), i64::MAX);
    }

    #[test]
    fn one_that_has_moved_is_not_held_for_one_that_continues_it() {
        let entry = SequenceEntry::new(SequenceDef::new("s"));
        assert_eq!(take(&entry).unwrap(), 1);
        let next = Counter::continuing(entry.counter.state().position);
        assert!(entry.counter.hold_for(Some(&next)).is_some());
        assert_eq!(take(&entry).unwrap(), 2);
        assert!(entry.counter.hold_for(Some(&next)).is_none());
        let elsewhere = Counter::at(entry.def.beginning());
        assert!(entry.counter.hold_for(Some(&elsewhere)).is_some());
        assert!(entry.counter.hold_for(None).is_some());
    }

    #[test]
    fn a_retired_counter_gives_nothing_away() {
        let entry = SequenceEntry::new(SequenceDef::new("s"));
        take(&entry).unwrap();
        entry.counter.hold_for(None).expect("held").retire();
        assert!(matches!(take(&entry), Err(Error::SchemaConflict { table }) if table == "s"));
    }

    proptest! {
        /// What recovery goes on behind is never before what was taken.
        #[test]
        fn numbers_taken_are_covered(
            increment in prop_oneof![-5_i64..0, 1_i64..5],
            start in -20_i64..20,
            count in 1_usize..120,
            cycle: bool,
        ) {
            let rule = SequenceRule { increment, min: -30, max: 60, cycle };
            let entry = entry(rule, start);
            let mut model = SequencePosition { last: start, is_called: false };
            for _ in 0..count {
                let expected = rule.next(model);
                prop_assert_eq!(take(&entry).ok(), expected);
                let Some(number) = expected else { break };
                model = SequencePosition { last: number, is_called: true };
                // From the number on, `ahead` steps lead to what is logged.
                let state = entry.state().unwrap();
                let mut at = state.position;
                for _ in 0..state.ahead {
                    at.last = rule.next(at).unwrap();
                }
                prop_assert_eq!(at, state.logged);
            }
        }
    }
}
