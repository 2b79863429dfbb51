//! Who holds back how much: the registered snapshots, with their age and with what would be freed if
//! they went away.
//!
//! A snapshot *holds* a row when it sees a state of it that has been replaced or deleted since. It
//! *pins* the row when it is the only one to see that state: if it alone went away, collection would
//! free what is counted as pinned. That is
//! - the record of that state, if it is one (the base row of a block is none);
//! - the record of the newest state, if that would then be folded into the base row;
//! - where the row is deleted, and nobody else sees it: its slot, which is free for good, and given
//!   back with its block when that is dead or compacted.
//!
//! Not counted are the entries of indexes, the write sets that wait, and whole blocks. All of it is
//! found out when somebody asks, by looking at every row that is not settled; nothing is counted
//! while rows are written.
//!
//! Beginning a snapshot does not look at a clock: it has the age that maintenance knows of, which
//! looks every few milliseconds ([`Sightings`]).

use crate::catalog::Catalog;
use crate::ids::{Timestamp, TransactionId};
use crate::mvcc::{HeldSnapshot, Registration, Snapshots};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A snapshot in use, and what it keeps from being freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotUse {
    /// Who holds it, and what it reads.
    pub held: HeldSnapshot,
    /// For how long it is known.
    pub age: Duration,
    /// Rows of which it sees a state that has been replaced or deleted since.
    pub rows_held: u64,
    /// Those of them of which it alone sees that state.
    pub rows_pinned: u64,
    /// Bytes that would be freed if it alone went away (the module's header says what counts).
    pub bytes_pinned: u64,
}

/// When each snapshot was first seen by maintenance.
#[derive(Debug, Default)]
pub struct Sightings {
    looked: Option<Instant>,
    first: HashMap<TransactionId, Instant>,
}

impl Sightings {
    /// Time between two looks of maintenance.
    const PAUSE: Duration = Duration::from_millis(5);

    /// Whether it is time to look.
    pub fn is_due(&self) -> bool {
        self.looked.is_none_or(|at| at.elapsed() >= Self::PAUSE)
    }

    /// Notes who is there.
    pub fn look(&mut self, held: &[HeldSnapshot]) {
        let now = Instant::now();
        self.looked = Some(now);
        let before = std::mem::take(&mut self.first);
        let since = |held: &HeldSnapshot| before.get(&held.transaction).copied().unwrap_or(now);
        self.first = held
            .iter()
            .map(|held| (held.transaction, since(held)))
            .collect();
    }

    fn age(&self, held: &HeldSnapshot) -> Duration {
        self.first
            .get(&held.transaction)
            .map_or(Duration::ZERO, Instant::elapsed)
    }
}

#[derive(Clone, Copy, Default)]
struct Sum {
    rows_held: u64,
    rows_pinned: u64,
    bytes_pinned: u64,
}

/// What each of the snapshots `held` keeps, in the tables of the catalog.
pub fn snapshot_uses(
    catalog: &Catalog,
    snapshots: &Snapshots,
    held: &[HeldSnapshot],
    sightings: &Sightings,
    registration: &Registration,
) -> Vec<SnapshotUse> {
    let mut sums: HashMap<Timestamp, Sum> = HashMap::new();
    for table in catalog.tables() {
        table
            .rows
            .visit_changed(registration, |block, slot, proof| {
                block.pinned(slot, snapshots, proof, |seen_by, pinned| {
                    let mut last = None;
                    for at in seen_by {
                        if last.replace(at) != Some(at) {
                            sums.entry(*at).or_default().rows_held += 1;
                        }
                    }
                    if let Some(pinned) = pinned {
                        let sum = sums.entry(pinned.by).or_default();
                        sum.rows_pinned += 1;
                        sum.bytes_pinned += pinned.bytes as u64;
                    }
                });
            });
    }
    let each = held.iter().map(|held| {
        let sum = sums.get(&held.snapshot).copied().unwrap_or_default();
        SnapshotUse {
            held: *held,
            age: sightings.age(held),
            rows_held: sum.rows_held,
            rows_pinned: sum.rows_pinned,
            bytes_pinned: sum.bytes_pinned,
        }
    });
    each.collect()
}
