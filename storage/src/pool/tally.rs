//! How many bytes of slots each owner holds, counted without two threads writing to one line.
//!
//! Slots change hands millions of times a second; one counter an owner would be the most contended
//! line of the database. So each thread's cache of the pool counts in a [`Tally`] of its own, and
//! who wants to know adds them all up. A thread frees what another one allocated, so a single tally
//! may well be negative: only the sum says something.

use super::ledger::Owner;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::Arc;

const OWNERS: usize = Owner::ALL.len();

/// Bytes taken less bytes given back, an entry an owner.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally([AtomicI64; OWNERS]);

impl Tally {
    /// Counts, where only one party at a time does: a load and a store, no more.
    pub(super) fn note_alone(&self, owner: Owner, bytes: i64) {
        let entry = &self.0[owner as usize];
        entry.store(entry.load(Relaxed) + bytes, Relaxed);
    }

    /// Counts, beside others.
    pub(super) fn note(&self, owner: Owner, bytes: i64) {
        self.0[owner as usize].fetch_add(bytes, Relaxed);
    }

    fn add_to(&self, sums: &mut [i64; OWNERS]) {
        for (sum, entry) in sums.iter_mut().zip(&self.0) {
            *sum += entry.load(Relaxed);
        }
    }
}

/// All tallies of a ledger.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// What was counted without a tally of one's own, or in one that is gone.
    shared: Tally,
    own: Mutex<Vec<Arc<Tally>>>,
}

impl Tallies {
    /// The one for whoever has none of its own.
    pub(super) fn shared(&self) -> &Tally {
        &self.shared
    }

    /// A tally that is counted in until it is [taken back](Self::take_back).
    pub(super) fn hand_out(&self) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        self.own.lock().push(Arc::clone(&tally));
        tally
    }

    /// Adds a tally that nobody counts in any more to the shared one.
    pub(super) fn take_back(&self, tally: &Arc<Tally>) {
        let mut own = self.own.lock();
        let mut sums = [0; OWNERS];
        tally.add_to(&mut sums);
        for (owner, sum) in Owner::ALL.into_iter().zip(sums) {
            self.shared.note(owner, sum);
        }
        own.retain(|other| !Arc::ptr_eq(other, tally));
    }

    /// Bytes held, an entry an owner. While threads take and give it is a rough figure; what one
    /// has taken and another given may be seen in part, so that below zero counts as zero.
    pub(super) fn sums(&self) -> [u64; OWNERS] {
        let own = self.own.lock();
        let mut sums = [0; OWNERS];
        self.shared.add_to(&mut sums);
        own.iter().for_each(|tally| tally.add_to(&mut sums));
        sums.map(|sum| sum.max(0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_stays_when_a_tally_goes() {
        let tallies = Tallies::default();
        let (one, two) = (tallies.hand_out(), tallies.hand_out());
        one.note_alone(Owner::Table, 100);
        two.note_alone(Owner::Table, -70);
        tallies.shared().note(Owner::Table, 5);
        let held = || tallies.sums()[Owner::Table as usize];
        assert_eq!(held(), 35);
        tallies.take_back(&two);
        assert_eq!(held(), 35);
        tallies.take_back(&one);
        assert_eq!(held(), 35);
        tallies.shared().note(Owner::Table, -35);
        assert_eq!(tallies.sums(), [0; OWNERS]);
    }
}
