//! Write sets that wait for the horizon, and how far they were looked at in vain.
//!
//! ```text
//!   horizon --> [ looked at: something is left that a snapshot sees ][ fresh ] <-- commits
//! ```
//!
//! What is looked at while the horizon stands still (`prune`) is worth a look again when more has
//! come: as soon as twice as much is left as there was after the last time that all were looked at.

use super::queue::Waiting;
use crate::ids::Timestamp;
use std::collections::VecDeque;

/// Writes that must have come since the last look; few in tests, so that stories get there.
const FRESH_WRITES: usize = if cfg!(test) { 64 } else { 1024 };

/// The write sets, in order of their timestamps but for neighbours.
#[derive(Debug)]
pub(super) struct Backlog {
    looked_at: VecDeque<Waiting>,
    /// Writes in those.
    looked_at_writes: usize,
    fresh: VecDeque<Waiting>,
    /// Writes that were left when all had been looked at; `None` while that is under way.
    left: Option<usize>,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            looked_at: VecDeque::new(),
            looked_at_writes: 0,
            fresh: VecDeque::new(),
            left: Some(0),
        }
    }
}

impl Backlog {
    /// Takes over what has come.
    pub(super) fn append(&mut self, mut incoming: VecDeque<Waiting>) {
        if self.fresh.is_empty() {
            self.fresh = incoming;
        } else {
            self.fresh.append(&mut incoming);
        }
    }

    /// The first set, if it is at or below the horizon.
    pub(super) fn pop_below(&mut self, horizon: Timestamp) -> Option<Waiting> {
        let is_below = |set: &mut Waiting| set.timestamp <= horizon;
        if let Some(set) = self.looked_at.pop_front_if(is_below) {
            self.looked_at_writes -= set.writes.len();
            return Some(set);
        }
        self.fresh.pop_front_if(is_below)
    }

    /// Puts the first set back.
    pub(super) fn push_front(&mut self, set: Waiting) {
        self.looked_at_writes += set.writes.len();
        self.looked_at.push_front(set);
    }

    /// Brings all sets at or below the horizon to the front, sorted by timestamp.
    pub(super) fn sort_below(&mut self, horizon: Timestamp) {
        let is_below = |set: &Waiting| set.timestamp <= horizon;
        if !self.looked_at.iter().chain(&self.fresh).any(is_below) {
            return;
        }
        let mut below = Vec::new();
        for sets in [&mut self.looked_at, &mut self.fresh] {
            let (found, rest) = std::mem::take(sets).into_iter().partition(is_below);
            *sets = rest;
            below.extend::<VecDeque<Waiting>>(found);
        }
        below.sort_by_key(|set| set.timestamp);
        for set in below.into_iter().rev() {
            self.looked_at.push_front(set);
        }
        let writes = self.looked_at.iter().map(|set| set.writes.len());
        self.looked_at_writes = writes.sum();
    }

    /// Whether it is time to look, when so many writes wait in all: where memory `is_scarce`, as
    /// soon as there is one.
    pub(super) fn is_look_due(&mut self, writes: usize, is_scarce: bool) -> bool {
        // Also a part of what was looked at before, so that all looks together are few.
        let wanted = match is_scarce {
            true => 1,
            false => FRESH_WRITES.max(self.looked_at_writes / 4),
        };
        if writes.saturating_sub(self.looked_at_writes) < wanted {
            return false;
        }
        let is_much = |left: usize| self.looked_at_writes > 2 * left.max(FRESH_WRITES);
        if self.left.is_some_and(is_much) {
            self.look_again();
        }
        true
    }

    /// Has all of them looked at, however few are new.
    pub(super) fn look_again(&mut self) {
        self.looked_at.append(&mut self.fresh);
        std::mem::swap(&mut self.looked_at, &mut self.fresh);
        self.looked_at_writes = 0;
        self.left = None;
    }

    /// The next set to look at.
    pub(super) fn pop_fresh(&mut self) -> Option<Waiting> {
        let set = self.fresh.pop_front();
        if set.is_none() && self.left.is_none() {
            self.left = Some(self.looked_at_writes);
        }
        set
    }

    /// Puts back a set that is to be looked at further.
    pub(super) fn push_fresh(&mut self, set: Waiting) {
        self.fresh.push_front(set);
    }

    /// Puts back what is left of a set.
    pub(super) fn push_looked_at(&mut self, set: Waiting) {
        self.looked_at_writes += set.writes.len();
        self.looked_at.push_back(set);
    }
}
