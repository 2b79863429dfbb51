//! The collector: folds rows and removes what only the past had.

use super::backlog::Backlog;
use super::evacuation::Evacuation;
use super::prune::Noticed;
use super::queue::{GarbageQueue, Waiting};
use crate::block::{Block, Link, RANGE_SLOTS, RowRef};
use crate::catalog::{Catalog, IndexEntry, LatestCatalog, TableEntry};
use crate::ids::{RowId, Slot, Timestamp};
use crate::index::Key;
use crate::mvcc::{Garbage, Operation, RetireQueue, Stamp, StampKind, Timeline};
use crate::pool::Pool;
use crate::sync::{Fault, is_left_out};
use crate::write_set::{Place, Write, WriteKind};
use std::borrow::Cow;
use std::sync::Arc;

/// Unlinked things for which a grace period is begun.
const GRACE_ITEMS: usize = 512;

/// What the one who collects works with.
#[derive(Debug)]
pub struct Collector {
    pub(super) timeline: Arc<Timeline>,
    pub(super) pool: Arc<Pool>,
    pub(super) retired: RetireQueue,
    pub(super) backlog: Backlog,
    pub(super) noticed: Noticed,
    /// States that began later have below them what they were chained over.
    pub(super) pruned_until: Timestamp,
    pub(super) evacuation: Evacuation,
}

impl Collector {
    /// A collector without work.
    pub fn new(timeline: &Arc<Timeline>, pool: &Arc<Pool>) -> Self {
        Self {
            timeline: Arc::clone(timeline),
            pool: Arc::clone(pool),
            retired: RetireQueue::new(Arc::clone(pool)),
            backlog: Backlog::default(),
            noticed: Noticed::default(),
            pruned_until: Timestamp(0),
            evacuation: Evacuation::new(pool),
        }
    }

    /// Collects up to `limit` writes, and frees what can be freed. Returns whether there may be more
    /// to do at once.
    pub fn collect(&mut self, queue: &GarbageQueue, catalog: &LatestCatalog, limit: usize) -> bool {
        let mut left = limit;
        if !queue.is_empty()
            // Without a free slot it is done another time.
            && let Ok(registration) = self.timeline.register()
        {
            // Read first, so that a horizon below it is that of a snapshot: what only waits to be durable cannot
            // be pruned.
            let bound = self.timeline.earliest_to_come();
            let horizon = self.timeline.horizon();
            left = self.collect_below(horizon, queue, catalog, &registration.enter(), limit);
            if left > 0 && horizon < bound && self.is_prune_due(queue) {
                left = self.prune(queue, catalog, &registration.enter(), left);
            }
        }
        self.free();
        left == 0
    }

    /// Collects up to `limit` writes: those of this thread, and what was taken over before. Returns whether
    /// there may be more to do at once.
    pub fn collect_own(
        &mut self,
        queue: &GarbageQueue,
        catalog: &LatestCatalog,
        limit: usize,
    ) -> bool {
        let mut left = limit;
        if let Ok(registration) = self.timeline.register() {
            let proof = registration.enter();
            let horizon = self.timeline.horizon();
            // Loaded after the horizon, as in `collect_below`.
            let catalog = catalog.load();
            while left > 0
                && let Some(mut set) = queue.pop_own(horizon)
            {
                if !self.collect_part(&mut set, &mut left, &catalog, horizon, &proof) {
                    queue.push_back_own(set);
                }
            }
            left = self.collect_waiting(horizon, &catalog, &proof, left);
            queue.forget(limit - left);
        }
        self.free();
        left == 0
    }

    /// Collects up to `limit` writes at or below a horizon that holds; returns how many of the limit
    /// are left.
    pub(super) fn collect_below(
        &mut self,
        horizon: Timestamp,
        queue: &GarbageQueue,
        catalog: &LatestCatalog,
        proof: &Operation<'_>,
        limit: usize,
    ) -> usize {
        // Taken after the horizon: a set at or below it was handed over before it was passed.
        self.take_over(queue);
        // Loaded after the horizon, too: it has every index that a write set below it kept up.
        let left = self.collect_waiting(horizon, &catalog.load(), proof, limit);
        queue.forget(limit - left);
        left
    }

    /// The same for what was taken over.
    fn collect_waiting(
        &mut self,
        horizon: Timestamp,
        catalog: &Catalog,
        proof: &Operation<'_>,
        limit: usize,
    ) -> usize {
        let mut left = limit;
        while left > 0
            && let Some(mut set) = self.backlog.pop_below(horizon)
        {
            if !self.collect_part(&mut set, &mut left, catalog, horizon, proof) {
                self.backlog.push_front(set);
            }
        }
        left
    }

    /// Collects up to `left` writes of a set; returns whether those were all.
    fn collect_part(
        &mut self,
        set: &mut Waiting,
        left: &mut usize,
        catalog: &Catalog,
        horizon: Timestamp,
        proof: &Operation<'_>,
    ) -> bool {
        let (done, collected) = self.collect_set(set, *left, catalog, horizon, proof);
        *left -= collected;
        set.done = done;
        let is_end = set.writes.is_end(done);
        if is_end {
            self.finish(set);
        }
        is_end
    }

    /// Collects everything at or below a horizon that holds; says whether that was possible within
    /// `limit` writes.
    pub(super) fn drain(
        &mut self,
        horizon: Timestamp,
        queue: &GarbageQueue,
        catalog: &LatestCatalog,
        proof: &Operation<'_>,
        limit: usize,
    ) -> bool {
        // What was taken over later may be older.
        self.take_over(queue);
        self.backlog.sort_below(horizon);
        self.collect_below(horizon, queue, catalog, proof, limit) > 0
    }

    fn take_over(&mut self, queue: &GarbageQueue) {
        self.backlog.append(queue.take_all());
    }

    /// Retires what the tables of a set that is done with have given up on their own.
    pub(super) fn finish(&mut self, set: &Waiting) {
        let touched = set.writes.touched().iter();
        for garbage in touched.flat_map(|touched| touched.entry.rows.take_orphans()) {
            self.retired.retire(garbage);
        }
    }

    /// Frees what no operation can reach. What was unlinked last waits until it is much.
    pub fn free(&mut self) {
        if self.retired.fresh() >= GRACE_ITEMS {
            self.retired.begin_grace();
        }
        self.retired.free();
    }

    /// The same with all that was unlinked.
    pub fn free_all(&mut self) {
        self.retired.begin_grace();
        self.retired.free();
    }

    /// How many things are unlinked and not freed.
    pub fn retired(&self) -> usize {
        self.retired.len()
    }

    /// Collects up to `limit` writes of a set, from where it is. Returns how far that went, and how many they were.
    fn collect_set(
        &mut self,
        set: &Waiting,
        limit: usize,
        catalog: &Catalog,
        horizon: Timestamp,
        proof: &Operation<'_>,
    ) -> (Place, usize) {
        let mut target: Option<Target> = None;
        let mut inserts = Inserts::default();
        let (mut done, mut collected) = (set.done, 0);
        while collected < limit
            && let Some(write) = set.writes.next(&mut done)
        {
            collected += 1;
            if write.kind == WriteKind::TakenBack {
                continue;
            }
            if matches!(write.kind, WriteKind::Ddl(_)) {
                // Whoever writes from now on knows the indexes of that commit.
                if let Some(entry) = set.writes.entry_of_step(&write) {
                    entry.late.forget(horizon);
                }
                continue;
            }
            let target = match &mut target {
                Some(same) if same.table == write.table && same.kind == write.kind => same,
                other => other.insert(Target::of(set, &write, catalog)),
            };
            let Some((block, slot)) = target.entry.rows.place(write.row, proof) else {
                continue;
            };
            block.note_change(set.timestamp);
            if write.kind == WriteKind::Insert {
                inserts.add(block, slot);
            }
            let row = Row {
                id: write.row,
                block,
                slot,
                horizon,
                proof,
            };
            if !block.is_bare(slot) {
                let is_direct = set.timestamp > self.pruned_until;
                self.settle(&row, target.indexes_of(&row, set.timestamp, is_direct));
            }
            if write.kind == WriteKind::Delete
                && let Some(garbage) = target.entry.rows.bury(write.row, proof)
            {
                self.retired.retire(garbage);
            }
        }
        inserts.settle();
        (done, collected)
    }

    /// Lets go of the states of a row that nobody can reach, and of their keys.
    pub(super) fn settle(&mut self, row: &Row<'_>, indexes: &[Arc<IndexEntry>]) {
        let mut cut = row.block.newest(row.slot, row.proof);
        while !row.is_seen_by_all(&cut) {
            match cut.older() {
                Some(older) => cut = older,
                None => return,
            }
        }
        if cut.is_base() {
            return;
        }
        if !indexes.is_empty() {
            remove_keys(row, &cut, indexes);
        }
        let retired = &mut self.retired;
        row.block.fold(row.slot, &cut, row.proof, |garbage| {
            retired.retire(garbage);
        });
    }

    /// Takes over what was unlinked.
    pub fn retire(&mut self, garbage: Garbage) {
        self.retired.retire(garbage);
    }
}

/// What many writes of a set have in common.
struct Target<'a> {
    table: u32,
    kind: WriteKind,
    entry: &'a TableEntry,
    /// Those of now: indexes that came since are kept up, too; those of rows that were dropped go with them.
    indexes: Cow<'a, [Arc<IndexEntry>]>,
    changes_keys: bool,
}

impl<'a> Target<'a> {
    fn of(set: &'a Waiting, write: &Write, catalog: &'a Catalog) -> Self {
        let entry: &TableEntry = set.writes.entry(write);
        let now = entry.now_in(catalog);
        let indexes = now.map_or(Cow::Borrowed(&[][..]), |entry| entry.all_indexes());
        let changes_keys = match write.kind {
            WriteKind::Update(columns) => {
                let mut columns = set.writes.columns(columns).iter();
                columns.any(|column| indexes.iter().any(|index| index.covers(*column)))
            }
            WriteKind::Lock => false,
            _ => true,
        };
        Self {
            table: write.table,
            kind: write.kind,
            entry,
            indexes,
            changes_keys,
        }
    }

    /// The indexes that may lose a key of the row. It `is_direct` where nothing was pruned from below
    /// the states of that commit.
    fn indexes_of(
        &self,
        row: &Row<'_>,
        timestamp: Timestamp,
        is_direct: bool,
    ) -> &[Arc<IndexEntry>] {
        // A version that is alone, and of this commit, is this write's, which has changed no key.
        let is_same = is_direct
            && !self.changes_keys
            && row.block.lone_version(row.slot, row.proof) == Some(Stamp::committed(timestamp));
        if is_same { &[] } else { &self.indexes }
    }
}

/// Insertions in one range of a block, counted as settled together: one by one, they would take the
/// line of the range's count from the thread that goes on adding rows there.
#[derive(Default)]
struct Inserts<'a> {
    range: Option<(&'a Block, Slot)>,
    rows: u32,
}

impl<'a> Inserts<'a> {
    fn add(&mut self, block: &'a Block, slot: Slot) {
        let first = Slot(slot.0 - slot.0 % RANGE_SLOTS as u16);
        match self.range {
            Some((range_of, at)) if std::ptr::eq(range_of, block) && at == first => {}
            _ => {
                self.settle();
                self.range = Some((block, first));
            }
        }
        self.rows += 1;
    }

    fn settle(&mut self) {
        if let Some((block, slot)) = self.range {
            block.settle_inserts(slot, std::mem::take(&mut self.rows));
        }
    }
}

/// Removes the entries for keys that only states below `cut` have.
fn remove_keys(row: &Row<'_>, cut: &Link<'_>, indexes: &[Arc<IndexEntry>]) {
    let mut newer = cut.image();
    let mut older = cut.older();
    while let Some(link) = older {
        if let Some(image) = link.image() {
            row.remove_keys(indexes, &image, newer.as_ref());
            newer = Some(image);
        }
        older = link.older();
    }
}

/// A row under the eyes of the collector.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) id: RowId,
    pub(super) block: &'a Block,
    pub(super) slot: Slot,
    pub(super) horizon: Timestamp,
    pub(super) proof: &'a Operation<'a>,
}

impl<'a> Row<'a> {
    /// Whether every snapshot, now and later, sees this state or a newer one.
    fn is_seen_by_all(&self, link: &Link<'_>) -> bool {
        // The owner of a marker that says *committed* is still registered, below its own commit.
        let is_below = |at| at <= self.horizon || is_left_out(Fault::FoldAboveHorizon);
        matches!(link.stamp().kind(), StampKind::Committed(at) if is_below(at))
    }

    /// The states that somebody may still see, or may come to see: down to the first that all do.
    pub(super) fn reachable(&self) -> impl Iterator<Item = Link<'a>> {
        let row = *self;
        let mut chain = row.block.chain(row.slot, row.proof);
        let mut done = false;
        std::iter::from_fn(move || {
            let link = if done { None } else { chain.next() }?;
            done = row.is_seen_by_all(&link);
            Some(link)
        })
        .filter(|link| {
            let kind = link.stamp().kind();
            !matches!(kind, StampKind::Never | StampKind::Aborted)
        })
    }

    /// Removes the entries for the keys of an unreachable state. A key that the next `newer` state has
    /// as well is still wanted, or was dealt with there: the common update changes no key, and writes
    /// none here.
    pub(super) fn remove_keys(
        &self,
        indexes: &[Arc<IndexEntry>],
        image: &RowRef<'_>,
        newer: Option<&RowRef<'_>>,
    ) {
        for index in indexes {
            if !newer.is_some_and(|newer| index.is_same_key(newer, image)) {
                self.remove_key(index, image);
            }
        }
    }

    /// Removes the entry for the key of an unreachable state, unless a reachable one has that key,
    /// or one that the index takes for the same.
    pub(super) fn remove_key(&self, index: &IndexEntry, image: &RowRef<'_>) {
        let mut key = Key::new();
        let has_null = index.encode_row(&mut key, image);
        if index.leaves_out(&key) || index.note(&key, self.id, has_null) {
            return;
        }
        let _latch = index.latch(&key);
        if !self.has_key(index, &key) {
            index.index.remove(&key, self.id);
        }
    }

    /// Whether a reachable state has a key, or one that the index takes for the same.
    pub(super) fn has_key(&self, index: &IndexEntry, key: &[u8]) -> bool {
        let mut images = self.reachable().filter_map(|link| link.image());
        images.any(|image| index.shares_entry(&image, key))
    }
}
