//! Walking the rows of a table in order of their ids.
//!
//! Rows are taken by many ([`Table::gather`]), to become columns or to be folded, or are handed out one by
//! one ([`Table::collect`]). Both look at one range of slots after the other: where it is settled, all its
//! rows are visible as they stand in the block, but for slots that are dead; elsewhere each row's versions
//! are asked, and of a frozen block what nothing is chained over is still taken as columns.

use super::Table;
use crate::block::{Block, Frozen, Gatherer, Part, RANGE_SLOTS, RowRef, Run, Take};
use crate::ids::{BlockNo, RowId, Slot};
use crate::mvcc::{Operation, Viewpoint};
use std::ops::Range;

/// Slots that one call of [`Table::gather`] passes at most, so that a scan that finds nothing can
/// be stopped.
const PASSED_MAX: usize = 1 << 16;
/// Bytes of a batch into which strings are copied, about: their lengths are not looked at before.
const BATCH_BYTES: usize = 4 << 20;

/// Rows found by a scan.
#[derive(Debug, Default)]
pub struct Found<'a> {
    /// Their ids.
    pub ids: Vec<RowId>,
    /// The rows.
    pub rows: Vec<RowRef<'a>>,
}

/// Whoever takes the rows of a scan's next step.
#[derive(Debug)]
pub struct Taking<T> {
    /// Who.
    pub taker: T,
    /// Rows that it takes, beside those that it does not hold.
    pub capacity: usize,
    /// What became of the blocks.
    pub blocks: BlocksPassed,
}

/// Which blocks a scan has come to, and had to look into: of the others a zone map, a bloom filter or a dictionary
/// says that none of their rows can be wanted.
#[derive(Clone, Copy, Default, Debug)]
pub struct BlocksPassed {
    /// How many it has come to.
    pub all: u64,
    /// How many of them it has looked into.
    pub scanned: u64,
    last: Option<BlockNo>,
    last_scanned: Option<BlockNo>,
}

impl BlocksPassed {
    fn come_to(&mut self, number: BlockNo) {
        self.all += u64::from(self.last.replace(number) != Some(number));
    }

    fn look_into(&mut self, number: BlockNo) {
        self.scanned += u64::from(self.last_scanned.replace(number) != Some(number));
    }

    /// The counts since the last call.
    pub fn take(&mut self) -> (u64, u64) {
        (
            std::mem::take(&mut self.all),
            std::mem::take(&mut self.scanned),
        )
    }
}

impl<T: Take> Taking<T> {
    /// Rows that it takes still.
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.taker.held())
    }

    /// Adds what is visible in some slots of a range that is not settled.
    fn add_unsettled<'a>(
        &mut self,
        number: BlockNo,
        block: &'a Block,
        slots: Range<usize>,
        viewpoint: &Viewpoint<'a>,
    ) {
        let mut found = Found::default();
        let mut run: Option<(&Frozen, Range<u32>)> = None;
        for slot in slots.map(|slot| Slot(slot as u16)) {
            match (block.bare(slot), &mut run) {
                (Some((_, at)), Some((_, run))) if run.end == at => run.end += 1,
                (Some((frozen, at)), _) => {
                    self.add_found(&mut found);
                    self.add_bare(number, run.replace((frozen, at..at + 1)));
                }
                (None, _) => {
                    if let Some(row) = block.visible(slot, viewpoint) {
                        self.add_bare(number, run.take());
                        found.ids.push(RowId::new(number, slot));
                        found.rows.push(row);
                    }
                }
            }
        }
        self.add_bare(number, run);
        self.add_found(&mut found);
    }

    fn add_bare(&mut self, number: BlockNo, run: Option<(&Frozen, Range<u32>)>) {
        if let Some((frozen, positions)) = run {
            let run = Run::of_bare(frozen, positions);
            // Here and there a row of a block that is looked into anyway.
            let _ = self.taker.take_run(number, &run);
        }
    }

    fn add_found(&mut self, found: &mut Found<'_>) {
        self.taker.take_rows(&found.ids, &found.rows);
        found.ids.clear();
        found.rows.clear();
    }
}

impl Table {
    /// Calls `visit` with about `limit` slots, from the start of `rows` on and before its end, that
    /// are not known to be dead, until it fails. Returns where to go on.
    pub fn visit_slots<E>(
        &self,
        rows: Range<RowId>,
        limit: usize,
        proof: &Operation<'_>,
        mut visit: impl FnMut(RowId, &Block, Slot) -> Result<(), E>,
    ) -> Result<RowId, E> {
        let (mut at, mut left) = (rows.start, limit);
        while at < rows.end && left > 0 {
            let number = at.block();
            let first = usize::from(at.slot().0);
            at = RowId::new(BlockNo(number.0 + 1), Slot(0)).min(rows.end);
            let entry = self.directory.get(number);
            let Some(block) = entry.and_then(|entry| entry.get(proof)) else {
                continue;
            };
            let stop = block.claimed().min(first + left);
            for slot in first..stop {
                let (slot, is_dead) = (Slot(slot as u16), block.is_dead_slot(slot));
                if !is_dead {
                    visit(RowId::new(number, slot), block, slot)?;
                }
            }
            left = left.saturating_sub(stop.saturating_sub(first));
            if stop < block.claimed() {
                at = RowId::new(number, Slot(stop as u16)).min(rows.end);
            }
        }
        Ok(at)
    }

    /// Gathers visible rows from `from` on and before `end`, until there are enough of them or
    /// many were passed. Returns where to go on.
    pub fn gather<'a>(
        &'a self,
        viewpoint: &Viewpoint<'a>,
        from: RowId,
        end: RowId,
        batch: &mut Taking<impl Take>,
    ) -> RowId {
        let piece = Gatherer::piece(&self.layout).min(batch.capacity);
        let (mut at, mut passed) = (from, 0);
        let copies = batch.taker.copies_strings();
        while at < end && batch.room() >= piece && passed < PASSED_MAX {
            let (number, slot) = (at.block(), usize::from(at.slot().0));
            let here = at;
            at = RowId::new(BlockNo(number.0 + 1), Slot(0)).min(end);
            let entry = self.directory.get(number);
            let Some(block) = entry.and_then(|entry| entry.get(viewpoint.operation())) else {
                continue;
            };
            let claimed = block.claimed();
            if slot >= claimed {
                continue;
            }
            let most = match copies {
                true => rows_within(block, claimed),
                false => usize::MAX,
            };
            let held = batch.taker.held();
            if held > 0 && held >= most {
                return here;
            }
            let end = claimed.min(slot.saturating_add(most));
            let stop = gather_some(number, block, slot..end, piece, viewpoint, batch);
            passed += stop - slot;
            if block.is_frozen() && batch.taker.held() > batch.capacity / 4 {
                // What was decoded is handed on as it is, rather than copied behind more.
                passed = PASSED_MAX;
            }
            if stop < claimed {
                at = RowId::new(number, Slot(stop as u16));
            }
        }
        at
    }

    /// Collects visible rows from `from` on and before `end`, at most `limit`, of one block.
    /// Returns where to go on.
    pub fn collect<'a>(
        &'a self,
        viewpoint: &Viewpoint<'a>,
        from: RowId,
        end: RowId,
        limit: usize,
        found: &mut Found<'a>,
    ) -> RowId {
        let number = from.block();
        let next_block = RowId::new(BlockNo(number.0 + 1), Slot(0));
        let entry = self.directory.get(number);
        let Some(block) = entry.and_then(|entry| entry.get(viewpoint.operation())) else {
            return next_block.min(end);
        };
        let claimed = block.claimed();
        let mut slot = usize::from(from.slot().0);
        // Most rows are visible; growing step by step would copy them several times.
        let room = claimed.saturating_sub(slot).min(limit);
        found.ids.reserve(room);
        found.rows.reserve(room);
        while slot < claimed && found.ids.len() < limit {
            let range_end = ((slot / RANGE_SLOTS + 1) * RANGE_SLOTS).min(claimed);
            if block.is_settled(slot) {
                let room = (limit - found.ids.len()).min(RANGE_SLOTS);
                let stop = range_end.min(slot + room);
                for (slot, row) in block.settled_rows(slot..stop, viewpoint.operation()) {
                    found.ids.push(RowId::new(number, slot));
                    found.rows.push(row);
                }
                slot = stop;
                continue;
            }
            while slot < range_end && found.ids.len() < limit {
                let at = Slot(slot as u16);
                if let Some(row) = block.visible(at, viewpoint) {
                    found.ids.push(RowId::new(number, at));
                    found.rows.push(row);
                }
                slot += 1;
            }
        }
        if slot < claimed {
            RowId::new(number, Slot(slot as u16))
        } else {
            next_block.min(end)
        }
    }
}

/// Rows of a block that take about as much as a batch may; more than there are, mostly.
fn rows_within(block: &Block, claimed: usize) -> usize {
    let each = block.bytes() / claimed;
    (BATCH_BYTES / each.max(1)).max(1)
}

/// Gathers a piece of a hot block, or as much of a frozen one as the batch takes: the more of its
/// columns is decoded at once, the better. Returns where to go on.
fn gather_some<'a>(
    number: BlockNo,
    block: &'a Block,
    slots: Range<usize>,
    piece: usize,
    viewpoint: &Viewpoint<'a>,
    batch: &mut Taking<impl Take>,
) -> usize {
    let range_end = |slot: usize| ((slot / RANGE_SLOTS + 1) * RANGE_SLOTS).min(slots.end);
    let proof = viewpoint.operation();
    let end = range_end(slots.start);
    let stop = match block.is_frozen() {
        true => end.min(slots.start + batch.room()),
        false => end.min(slots.start + piece),
    };
    batch.blocks.come_to(number);
    match block.part(slots.start..stop, proof) {
        Part::Hot(rows) => {
            batch.blocks.look_into(number);
            batch.taker.take_stretch(number, &rows);
        }
        Part::Unsettled => {
            batch.blocks.look_into(number);
            batch.add_unsettled(number, block, slots.start..stop, viewpoint);
        }
        Part::Frozen(mut run) => {
            let mut at = stop;
            let most = slots.start + batch.room();
            while at < slots.end.min(most)
                && let next = range_end(at).min(most)
                && let Part::Frozen(more) = block.part(at..next, proof)
            {
                run.join(more);
                at = next;
            }
            if batch.taker.take_run(number, &run) {
                batch.blocks.look_into(number);
            }
            return at;
        }
    }
    stop
}
