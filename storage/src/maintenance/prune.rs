//! Pruning: what no snapshot sees goes, though an older one holds the horizon back.
//!
//! ```text
//!   snapshots            10                                 90
//!   states of a row   5 .... 20 .... 30 .... 40 .... 80 ....      kept: 5 (seen at 10), 80 (at 90)
//!                            x       x       x                    pruned
//!   states of another    15 .... 25 .... 60 (deleted)             all of it: 10 is before, 90 after
//! ```
//!
//! While an old snapshot holds the horizon back, write sets wait. When enough of them do, or memory is
//! scarce, the rows of each are looked at. Let the *lowest* state be the oldest one that a registered
//! snapshot sees, or the newest committed one. Then
//! 1. states above the lowest that no snapshot sees are unlinked, one by one;
//! 2. the row is settled as if the horizon were at the lowest: what is older is cut off, and the
//!    lowest is folded into the base if it is the newest. Nobody sees the base then; but who checks
//!    whether a key is unique looks at the newest committed state, seen or not. So that the base is
//!    not the newest to anybody, all operations must have begun after the commit of the lowest
//!    ([`Noticed`]);
//! 3. a row whose lowest state is a deletion is buried;
//! 4. the entries of keys that only unlinked states had are removed;
//! 5. writes are forgotten whose states are gone.
//!
//! So an old snapshot holds back about one state and one write for each row that has changed since,
//! and nothing of rows that it does not see, apart from the last write. What is kept is looked at
//! again when it has doubled, so that looking stays cheap. The states of a row are walked once a look, however many
//! writes of it wait: on a row that many have changed, those that came since the look began are many.

use super::collector::{Collector, Row};
use super::queue::{GarbageQueue, Waiting};
use crate::block::Link;
use crate::catalog::{Catalog, IndexEntry, LatestCatalog};
use crate::ids::{RowId, Timestamp};
use crate::mvcc::{Grace, Operation, Snapshots, StampKind, Timeline};
use crate::pool::PressureLevel;
use crate::table::Table;
use crate::write_set::{Kept, Place, Write, WriteKind};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
#[cfg(test)]
use std::time::{Duration, Instant};

/// Writes of a set that are looked at in one go, at least: forgetting some moves all that are behind. Few in
/// tests.
const PART_WRITES: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// Up to when everybody has noticed what was committed.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// Every operation under way began when the clock was there already.
    by_all: Timestamp,
    /// The clock when that grace period began.
    next: Option<(Timestamp, Grace)>,
}

impl Noticed {
    /// Looks whether operations have ended. Not to be called within one.
    fn look(&mut self, timeline: &Timeline) {
        // Twice: the second may be over at once.
        for _ in 0..2 {
            if let Some((clock, grace)) = &self.next {
                if !grace.is_over() {
                    return;
                }
                self.by_all = *clock;
            }
            // The clock first: what it includes came before the grace period.
            self.next = Some((timeline.latest(), Grace::begin()));
        }
    }
}

/// States of a row that take long enough to walk to remember what was found.
const STATES_MANY: usize = 16;

#[cfg(test)]
thread_local! {
    /// How often this thread has walked through the states of a row.
    pub static ROWS_PRUNED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// What pruning looks with.
struct Look<'a> {
    catalog: &'a Catalog,
    snapshots: Snapshots,
    proof: &'a Operation<'a>,
    /// Rows of many states that were pruned: what holds for them holds until the look ends, since only the collector
    /// unlinks what is committed. By the address of the table's rows.
    pruned: HashMap<(usize, RowId), Pruned>,
}

/// Remains of a row that was pruned.
struct Pruned {
    /// As long as they are there, no others have their address.
    _rows: Arc<Table>,
    /// Whether anybody sees the row, now or later.
    lives: bool,
    /// Commits from before the look that have left something over the base.
    left: SmallVec<[Timestamp; 4]>,
}

impl Collector {
    /// Whether pruning is due. Not to be called in an operation.
    pub(super) fn is_prune_due(&mut self, queue: &GarbageQueue) -> bool {
        let is_scarce = self.pool.ledger().pressure().level() >= PressureLevel::Collect;
        let is_due = self.backlog.is_look_due(queue.len(), is_scarce);
        if is_due {
            self.noticed.look(&self.timeline);
        }
        is_due
    }

    /// Has all write sets that wait looked at, however few are new.
    pub fn look_again(&mut self) {
        self.backlog.look_again();
    }

    /// Prunes the rows of waiting write sets; looks at about `limit` writes, and
    /// returns how many of them are left. All that can be collected
    /// was collected before.
    pub(super) fn prune(
        &mut self,
        queue: &GarbageQueue,
        catalog: &LatestCatalog,
        proof: &Operation<'_>,
        limit: usize,
    ) -> usize {
        let snapshots = self.timeline.snapshots();
        let catalog = catalog.load();
        let mut look = Look {
            catalog: &catalog,
            snapshots,
            proof,
            pruned: HashMap::new(),
        };
        self.pruned_until = look.snapshots.bound();
        let mut left = limit;
        while left > 0
            && let Some(mut set) = self.backlog.pop_fresh()
        {
            let writes = set.writes.len();
            // Of a set that is being collected some writes are done with.
            if set.done != Place::default() {
                set.looked = set.writes.entries().len();
            } else {
                let looked = self.prune_part(&mut set, left.max(PART_WRITES), &mut look);
                left = left.saturating_sub(looked);
            }
            let kept = set.writes.len();
            queue.forget(writes - kept);
            if kept == 0 {
                self.finish(&set);
            } else if set.looked < set.writes.entries().len() {
                self.backlog.push_fresh(set);
            } else {
                set.looked = 0;
                self.backlog.push_looked_at(set);
            }
        }
        left
    }

    /// Prunes all that waits, however little is new.
    #[cfg(test)]
    pub fn prune_all(&mut self, queue: &GarbageQueue, catalog: &LatestCatalog) {
        while self.collect(queue, catalog, usize::MAX) {}
        let latest = self.timeline.latest();
        let until = Instant::now() + Duration::from_secs(5);
        while self.noticed.by_all < latest && Instant::now() < until {
            self.noticed.look(&self.timeline);
            crate::sync::yield_now();
        }
        self.backlog.look_again();
        let registration = self.timeline.register().expect("a slot");
        self.prune(queue, catalog, &registration.enter(), usize::MAX);
        drop(registration);
        self.free_all();
    }

    /// Looks at the next entries of a set, of about `limit` writes, and forgets what is done with. Returns how many
    /// writes it looked at.
    fn prune_part(&mut self, set: &mut Waiting, limit: usize, look: &mut Look<'_>) -> usize {
        let (from, mut looked) = (set.looked, 0);
        let mut kept = Vec::new();
        for entry in &set.writes.entries()[from..] {
            if looked >= limit {
                break;
            }
            looked += set.writes.rows_of(entry);
            kept.push(self.prune_entry(set, entry, look));
        }
        let left = kept.iter().filter(|kept| !matches!(kept, Kept::Nothing));
        set.looked += left.count();
        if kept.iter().any(|kept| !matches!(kept, Kept::Whole)) {
            set.writes.keep(from, kept);
        }
        looked
    }

    fn prune_entry(&mut self, set: &Waiting, entry: &Write, look: &mut Look<'_>) -> Kept {
        let WriteKind::DeleteSome(slots) = entry.kind else {
            return match self.prune_write(set, entry, look) {
                true => Kept::Whole,
                false => Kept::Nothing,
            };
        };
        let mut left = set.writes.slots(slots).clone();
        let rows = left.len();
        left.retain(|slot| {
            let write = Write {
                row: RowId::new(entry.row.block(), slot),
                kind: WriteKind::Delete,
                ..*entry
            };
            self.prune_write(set, &write, look)
        });
        match left.len() {
            0 => Kept::Nothing,
            all if all == rows => Kept::Whole,
            _ => Kept::Some(left),
        }
    }

    /// Prunes the row of a write; whether the write has to be looked at again.
    fn prune_write(&mut self, set: &Waiting, write: &Write, look: &mut Look<'_>) -> bool {
        if write.is_of_no_row() {
            return write.kind != WriteKind::TakenBack;
        }
        let entry = set.writes.entry(write);
        let now = entry.now_in(look.catalog);
        let indexes = now.map_or(Cow::Borrowed(&[][..]), |entry| entry.all_indexes());
        let Some((block, slot)) = entry.rows.place(write.row, look.proof) else {
            return false;
        };
        block.note_change(set.timestamp);
        let row = Row {
            id: write.row,
            block,
            slot,
            horizon: set.timestamp,
            proof: look.proof,
        };
        let bound = look.snapshots.bound();
        let key = (Arc::as_ptr(&entry.rows) as usize, write.row);
        let found;
        let pruned = match look.pruned.get(&key) {
            Some(pruned) => pruned,
            None => {
                let lives = self.prune_row(&row, &indexes, &look.snapshots);
                let (states, left) = row.committed_until(bound);
                let pruned = Pruned {
                    _rows: Arc::clone(&entry.rows),
                    lives,
                    left,
                };
                if states < STATES_MANY {
                    found = pruned;
                    &found
                } else {
                    look.pruned.entry(key).or_insert(pruned)
                }
            }
        };
        let lives = pruned.lives;
        match write.kind {
            WriteKind::Insert if block.is_dead_slot(slot.0.into()) => {
                block.settle_inserts(slot, 1);
                false
            }
            WriteKind::Delete if !lives => {
                let garbage = entry.rows.bury(write.row, look.proof);
                garbage.into_iter().for_each(|block| self.retire(block));
                false
            }
            WriteKind::Update(_) | WriteKind::Lock => {
                lives && (set.timestamp > bound || pruned.left.contains(&set.timestamp))
            }
            _ => true,
        }
    }

    /// Lets go of the states of a row that nobody sees. Whether anybody sees the row, now or later.
    fn prune_row(
        &mut self,
        row: &Row<'_>,
        indexes: &[Arc<IndexEntry>],
        snapshots: &Snapshots,
    ) -> bool {
        #[cfg(test)]
        ROWS_PRUNED.with(|rows| rows.set(rows.get() + 1));
        let Some(lowest) = row.lowest(snapshots) else {
            return true;
        };
        let row = Row {
            horizon: lowest,
            ..*row
        };
        self.unlink_missed(&row, indexes, snapshots);
        let is_base_at_rest = lowest <= self.noticed.by_all || row.newest().image().is_none();
        if is_base_at_rest {
            self.settle(&row, indexes);
        }
        let newest = row.newest();
        newest.image().is_some() || newest.stamp().kind() != StampKind::Committed(lowest)
    }

    /// Unlinks what nobody sees above the lowest state.
    fn unlink_missed(&mut self, row: &Row<'_>, indexes: &[Arc<IndexEntry>], snapshots: &Snapshots) {
        let mut above: Option<(Link<'_>, Timestamp)> = None;
        let mut next = Some(row.newest());
        while let Some(link) = next {
            // Read before it is unlinked.
            next = link.older();
            let Some(begin) = committed(&link) else {
                above = None;
                continue;
            };
            if begin <= row.horizon {
                return;
            }
            let Some((newer, end)) = &above else {
                above = Some((link, begin));
                continue;
            };
            if !snapshots.miss(begin, *end) {
                above = Some((link, begin));
            } else if let Some(garbage) = row.block.unlink(row.slot, newer, &link) {
                self.retire(garbage);
                if let Some(image) = link.image() {
                    row.remove_keys(indexes, &image, newer.image().as_ref());
                }
            }
        }
    }
}

impl<'a> Row<'a> {
    fn newest(&self) -> Link<'a> {
        self.block.newest(self.slot, self.proof)
    }

    /// When the lowest state began; `None` where none is committed, or some commit is still being
    /// stamped.
    fn lowest(&self, snapshots: &Snapshots) -> Option<Timestamp> {
        let mut lowest: Option<Timestamp> = None;
        let mut end = None;
        for link in self.block.chain(self.slot, self.proof) {
            match committed(&link) {
                Some(begin) => {
                    if end.is_none_or(|end| !snapshots.miss(begin, end)) {
                        lowest = Some(begin);
                    }
                    end = Some(begin);
                }
                None if end.is_none() => {}
                None => return None,
            }
        }
        lowest
    }

    /// How many states there are over the base, and the commits up to `bound` that have left one.
    fn committed_until(&self, bound: Timestamp) -> (usize, SmallVec<[Timestamp; 4]>) {
        let over_base = |link: &Link<'_>| !link.is_base();
        let chain = self.block.chain(self.slot, self.proof).filter(over_base);
        let (mut states, mut until) = (0, SmallVec::new());
        for link in chain {
            states += 1;
            until.extend(committed(&link).filter(|at| *at <= bound));
        }
        (states, until)
    }
}

fn committed(link: &Link<'_>) -> Option<Timestamp> {
    match link.stamp().kind() {
        StampKind::Committed(at) => Some(at),
        _ => None,
    }
}
