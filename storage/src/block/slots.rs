//! The block itself: its slots, what is counted of them, and the base they have.

use super::claims::Claims;
use super::columns::Columns;
use super::heap::Heap;
use super::hot::Rows;
use super::image;
use super::layout::Layout;
use super::row::{Image, RowRef};
use crate::error::Result;
use crate::ids::{ColumnId, Slot, Timestamp};
use crate::mvcc::{Head, HeadWord, Operation, Stamp};
use crate::pool::{Claim, Owner, Pool, Reservation};
use crate::succinct::Uses;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::value::ValueRef;
use std::borrow::Borrow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Slots that share one counter of unsettled rows.
pub const RANGE_SLOTS: usize = 1024;
const WORD_BITS: usize = u64::BITS as usize;

/// What is known of all slots of a range together.
#[derive(Debug, Default)]
struct RangeState {
    /// Insertions above the horizon, versions and deletions that are not settled yet.
    unsettled: AtomicU32,
    /// A bit for each slot: no snapshot sees a row there, nor ever will.
    dead: [AtomicU64; RANGE_SLOTS / WORD_BITS],
}

/// Where the rows of a block are that nothing is chained over.
#[derive(Debug)]
pub(super) enum Base {
    Hot(Rows),
    Frozen(Columns),
}

/// A block of rows, hot or frozen.
#[derive(Debug)]
pub struct Block {
    pub(super) base: Base,
    pub(super) layout: Arc<Layout>,
    /// Long strings: of the hot rows, or of versions that came over from the block before.
    pub(super) heap: OnceLock<Arc<Heap>>,
    pub(super) pool: Arc<Pool>,
    /// Slots that its place in the table gives it.
    slots: u32,
    claims: Claims,
    /// Slots that hold no row and never will again.
    dead: AtomicU32,
    ranges: Box<[RangeState]>,
    /// The last commit that changed a row here, as far as it was collected.
    last_change: AtomicU64,
    /// The horizon as of which it was built from the block before it; zero for the first one.
    built_at: Timestamp,
    /// Where rows go on whose head says *moved*.
    pub(super) successor: OnceLock<Arc<Self>>,
    /// How much rows were used, in a cache.
    pub(super) uses: OnceLock<Arc<Uses>>,
    reserved: Reservation,
}

/// A block is given up when all of its rows are dead, or closed when many are, from one row in so many
/// slots on. With fewer,
/// a table that never holds more than a few rows would use up a block for each of them.
const FORSAKEN_SHARE: usize = 8;

/// Bounds of a block below the usual ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockLimits {
    /// Slots.
    pub slots: Option<usize>,
    /// Bytes of long strings after which it takes no more rows with such.
    pub string_bytes: Option<usize>,
}

/// A slot that the holder alone may fill. Dropped unfilled, it is dead.
#[derive(Debug)]
pub struct Claimed<'b> {
    block: &'b Block,
    slot: Slot,
}

impl Block {
    /// An empty block, the `nth` of its table.
    pub fn new(layout: &Arc<Layout>, pool: &Arc<Pool>, nth: u32) -> Result<Self> {
        let all = BlockLimits::default();
        Self::within(all, layout, pool, nth)
    }

    /// As [`Self::new`], a block that is full sooner than others.
    pub fn within(
        limits: BlockLimits,
        layout: &Arc<Layout>,
        pool: &Arc<Pool>,
        nth: u32,
    ) -> Result<Self> {
        let slots = layout.capacity(nth);
        let taken = slots.min(limits.slots.unwrap_or(slots));
        let rows = Base::Hot(Rows::new(layout, pool, taken)?);
        let claim = Claim::Ordinary;
        let mut block = Self::with_base(claim, rows, layout, pool, slots, Timestamp(0))?;
        // As if it were closed behind them.
        block.claims = Claims::new(0, taken);
        if let (Some(bytes), Some(heap)) = (limits.string_bytes, block.heap.get_mut()) {
            let heap = Arc::get_mut(heap).expect("nobody else has it yet");
            heap.limit(bytes);
        }
        Ok(block)
    }

    pub(super) fn with_base(
        claim: Claim,
        base: Base,
        layout: &Arc<Layout>,
        pool: &Arc<Pool>,
        slots: usize,
        built_at: Timestamp,
    ) -> Result<Self> {
        let ranges = slots.div_ceil(RANGE_SLOTS);
        let heads = match &base {
            Base::Hot(_) => 0,
            Base::Frozen(columns) => columns.heads.own_bytes(),
        };
        let bytes = size_of::<Self>() + ranges * size_of::<RangeState>() + heads;
        let ledger = pool.ledger();
        let reserved = ledger.reserve_for(claim, Owner::Table, bytes as u64)?;
        let heap = match &base {
            Base::Hot(_) => OnceLock::from(Arc::new(Heap::new(Arc::clone(pool)))),
            Base::Frozen(_) => OnceLock::new(),
        };
        // All slots of a block that was built from another one were claimed there.
        let claimed = if built_at == Timestamp(0) { 0 } else { slots };
        Ok(Self {
            base,
            layout: Arc::clone(layout),
            heap,
            pool: Arc::clone(pool),
            slots: slots as u32,
            claims: Claims::new(claimed, slots),
            dead: AtomicU32::new(0),
            ranges: (0..ranges).map(|_| RangeState::default()).collect(),
            last_change: AtomicU64::new(built_at.0),
            built_at,
            successor: OnceLock::new(),
            uses: OnceLock::new(),
            reserved,
        })
    }

    /// Slots that were claimed so far.
    #[inline]
    pub fn claimed(&self) -> usize {
        self.claims.load().claimed as usize
    }

    /// Slots that can ever be claimed: fewer than there are once it is closed.
    pub fn capacity(&self) -> usize {
        self.claims.load().end as usize
    }

    /// Whether the block takes no more rows.
    pub fn is_full(&self) -> bool {
        self.claims.load().is_full()
    }

    /// Slots that its place in the table gives it.
    pub fn slots(&self) -> usize {
        self.slots as usize
    }

    /// Rows that its base has room for.
    pub fn room(&self) -> usize {
        match &self.base {
            Base::Hot(_) => self.capacity(),
            Base::Frozen(columns) => columns.frozen.rows(),
        }
    }

    /// Whether its rows are encoded columns.
    pub fn is_frozen(&self) -> bool {
        matches!(self.base, Base::Frozen(_))
    }

    pub(super) fn hot_heap(&self) -> &Heap {
        self.heap.get().expect("a hot block has a heap")
    }

    /// The hot rows, for what only happens to them.
    pub(super) fn rows(&self) -> &Rows {
        match &self.base {
            Base::Hot(rows) => rows,
            Base::Frozen(_) => unreachable!("rows come to hot blocks only"),
        }
    }

    /// Where the rows go on whose heads say *moved*.
    pub(super) fn moved_to(&self) -> &Self {
        self.successor
            .get()
            .expect("it is there before the first head says moved")
    }

    /// The horizon as of which the block was built from another one: of older changes it does not know
    /// when they were made.
    pub fn built_at(&self) -> Option<Timestamp> {
        (self.built_at.0 > 0).then_some(self.built_at)
    }

    /// When the base row of a slot begins to count.
    pub(super) fn begin(&self, slot: Slot) -> Stamp {
        match &self.base {
            Base::Hot(rows) => rows.header(slot).begin.load(),
            Base::Frozen(columns) => columns.begin(slot),
        }
    }

    #[inline]
    pub(super) fn head<'a>(&'a self, slot: Slot, proof: &'a Operation<'a>) -> Head<'a> {
        match &self.base {
            Base::Hot(rows) => rows.header(slot).head.load(proof),
            Base::Frozen(columns) => match columns.frozen.position(slot) {
                Some(position) => {
                    let is_dead = || self.is_dead_slot(slot.0.into());
                    columns.heads.load(position, is_dead, proof)
                }
                None => Head::Empty,
            },
        }
    }

    /// The word of a slot's head, to chain a version.
    #[inline]
    pub(super) fn head_word(&self, slot: Slot) -> Result<&HeadWord> {
        match &self.base {
            Base::Hot(rows) => Ok(&rows.header(slot).head),
            Base::Frozen(columns) => {
                let position = columns.position(slot);
                columns
                    .heads
                    .word_to_change(position, self.is_dead_at(columns))
            }
        }
    }

    /// Notes the deletion of a row that nothing is chained over; `false` where something is by now.
    pub(super) fn delete_bare(&self, slot: Slot, stamp: Stamp) -> Result<bool> {
        match &self.base {
            Base::Hot(rows) => Ok(rows.header(slot).head.delete(stamp)),
            Base::Frozen(columns) => {
                let position = columns.position(slot);
                let is_dead = self.is_dead_at(columns);
                columns.heads.delete(position, stamp, is_dead)
            }
        }
    }

    /// Gives a deletion over the base its final stamp; fails where the row has moved meanwhile.
    pub(super) fn stamp_deletion(&self, slot: Slot, marker: Stamp, stamp: Stamp) -> bool {
        match &self.base {
            Base::Hot(rows) => rows.header(slot).head.stamp_deletion(marker, stamp),
            Base::Frozen(columns) => {
                let position = columns.position(slot);
                columns.heads.stamp_deletion(position, marker, stamp)
            }
        }
    }

    /// Takes a deletion over the base back, which is the caller's.
    pub(super) fn undo_deletion(&self, slot: Slot, marker: Stamp) {
        match &self.base {
            Base::Hot(rows) => rows.header(slot).head.undo_deletion(marker),
            Base::Frozen(columns) => {
                let position = columns.position(slot);
                columns.heads.undo_deletion(position, marker);
            }
        }
    }

    /// Tells whether the row at a position is dead.
    pub(super) fn is_dead_at(&self, columns: &Columns) -> impl Fn(u32) -> bool {
        |position| self.is_dead_slot(columns.frozen.slot_at(position).0.into())
    }

    /// The word of a slot's head; a frozen block has one only where a version was chained nearby.
    pub(super) fn any_head(&self, slot: Slot) -> Option<&HeadWord> {
        match &self.base {
            Base::Hot(rows) => Some(&rows.header(slot).head),
            Base::Frozen(columns) => columns.word(slot),
        }
    }

    /// Whether nothing is chained over the row of a slot.
    #[inline]
    pub fn is_bare(&self, slot: Slot) -> bool {
        match &self.base {
            Base::Hot(rows) => rows.header(slot).head.is_empty(),
            Base::Frozen(columns) => columns.is_bare(slot),
        }
    }

    /// The word of a slot that a version was chained over.
    pub(super) fn used_head(&self, slot: Slot) -> &HeadWord {
        self.any_head(slot).expect("a row with versions has a word")
    }

    #[inline]
    pub(super) fn row<'a>(&'a self, image: &'a [u8]) -> RowRef<'a> {
        RowRef::image(&self.layout, image, self.heap.get().map(Arc::as_ref))
    }

    #[inline]
    pub(super) fn image<'a>(&'a self, bytes: &'a [u8]) -> Image<'a> {
        let heap = self.heap.get().map(Arc::as_ref);
        Image { bytes, heap }
    }

    /// The bytes of the base row of a slot that holds one, unless it is frozen.
    pub(super) fn base_bytes(&self, slot: Slot) -> Option<&[u8]> {
        match &self.base {
            Base::Hot(rows) => Some(rows.body(slot)),
            Base::Frozen(_) => None,
        }
    }

    /// The base row of a slot that holds one.
    #[inline]
    pub(super) fn base(&self, slot: Slot) -> RowRef<'_> {
        match &self.base {
            Base::Hot(rows) => self.row(rows.body(slot)),
            Base::Frozen(columns) => columns.row(&self.layout, slot),
        }
    }

    /// Whether a version can become the base row: it must have no strings of its own, which would
    /// have to move into the heap, which never shrinks; and a frozen base does not change.
    pub(super) fn can_fold(&self, image: &[u8]) -> bool {
        !self.is_frozen() && image.len() == self.layout.body_bytes()
    }

    fn range(&self, slot: usize) -> &RangeState {
        &self.ranges[slot / RANGE_SLOTS]
    }

    pub(super) fn unsettled(&self, slot: usize) -> &AtomicU32 {
        &self.range(slot).unsettled
    }

    /// Rows of the block that are not settled, as far as is known.
    pub fn unsettled_rows(&self) -> usize {
        let counts = self.ranges.iter();
        let counts = counts.map(|range| range.unsettled.load(Relaxed) as usize);
        counts.sum()
    }

    /// Whether every registered snapshot sees exactly the base rows of the range that `slot` is
    /// in, but for [dead](Self::is_dead_slot) slots, as far as they were claimed when
    /// [`Self::claimed`] was read before.
    pub fn is_settled(&self, slot: usize) -> bool {
        // Acquire: takes over what those wrote who settled rows of the range.
        self.unsettled(slot).load(Acquire) == 0
    }

    /// The bits of the dead ones among the 64 slots that `slot` is one of, lowest slot first. What
    /// died before the range was found settled is among them.
    pub fn dead_bits(&self, slot: usize) -> u64 {
        // Relaxed: `is_settled` takes over what was noted before.
        self.range(slot).dead[slot % RANGE_SLOTS / WORD_BITS].load(Relaxed)
    }

    /// Whether a slot is known to hold no row that anybody sees.
    pub fn is_dead_slot(&self, slot: usize) -> bool {
        self.dead_bits(slot) >> (slot % WORD_BITS) & 1 != 0
    }

    /// Base rows of a settled range.
    pub fn settled_rows<'a>(
        &'a self,
        slots: Range<usize>,
        _proof: &'a Operation<'a>,
    ) -> impl Iterator<Item = (Slot, RowRef<'a>)> {
        let live = slots.filter(|slot| !self.is_dead_slot(*slot));
        live.map(|slot| {
            let slot = Slot(slot as u16);
            (slot, self.base(slot))
        })
    }

    /// Claims the next slot; `None` when the block is full.
    pub fn claim(&self) -> Option<Claimed<'_>> {
        let mut seen = self.claims.load();
        while !seen.is_full() {
            // Counted before the slot can be seen as claimed, so that no scan takes it for settled.
            let unsettled = self.unsettled(seen.claimed as usize);
            unsettled.fetch_add(1, Relaxed);
            match self.claims.claim(seen) {
                Ok(slot) => {
                    return Some(Claimed {
                        block: self,
                        slot: Slot(slot as u16),
                    });
                }
                Err(now) => {
                    unsettled.fetch_sub(1, Relaxed);
                    seen = now;
                }
            }
        }
        None
    }

    /// Gives up the slots that were not claimed, for good, with their memory and what the heap has left. Returns
    /// whether nothing lives in the others.
    pub fn close(&self) -> bool {
        let (now, end) = self.claims.close();
        if now.end < end {
            let slots = now.end as usize;
            // SAFETY: slots that are not claimed are not looked at, and these never will be.
            unsafe { self.rows().trim(slots) };
            self.hot_heap().close();
        }
        // An exchange: either this finds the last one that died, or who noted that finds the block closed.
        self.dead.fetch_add(0, AcqRel) == now.end
    }

    /// Notes that a slot is dead: a deletion that everybody sees, an insertion taken back, a hole.
    /// Whether all of a full block are.
    pub fn bury(&self, slot: Slot) -> bool {
        let slot = usize::from(slot.0);
        self.mark_dead(slot);
        // Release: whoever finds the range settled finds the bit.
        self.unsettled(slot).fetch_sub(1, Release);
        let dead = self.dead.fetch_add(1, AcqRel) + 1;
        dead as usize == self.capacity()
    }

    /// Notes that a slot had no row when the block was built.
    pub(super) fn bury_unborn(&self, slot: usize) {
        self.mark_dead(slot);
        self.dead.fetch_add(1, Relaxed);
    }

    fn mark_dead(&self, slot: usize) {
        let word = &self.range(slot).dead[slot % RANGE_SLOTS / WORD_BITS];
        let before = word.fetch_or(1 << (slot % WORD_BITS), Relaxed);
        debug_assert_eq!(before >> (slot % WORD_BITS) & 1, 0, "a slot dies once");
    }

    /// Whether no slot holds a row or ever will.
    pub fn is_dead(&self) -> bool {
        self.dead_slots() == self.capacity()
    }

    /// Whether all rows that came so far are dead, and they were not few: then it is cheaper to give
    /// up the slots that are left than to keep the memory for them.
    pub fn is_forsaken(&self) -> bool {
        self.dead_slots() == self.claimed() && !self.has_few_rows()
    }

    /// Whether so few rows came so far that its empty slots are not to be given up.
    pub fn has_few_rows(&self) -> bool {
        self.claimed() < self.capacity() / FORSAKEN_SHARE
    }

    /// Bytes of the block itself.
    pub(super) fn own_bytes(&self) -> usize {
        self.reserved.bytes() as usize + self.uses().map_or(0, Uses::bytes)
    }

    /// Its use marks, if it has some.
    #[inline]
    pub fn uses(&self) -> Option<&Uses> {
        self.uses.get().map(Arc::as_ref)
    }

    /// Gives it use marks, unless it has some.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn add_uses(&self) -> Result<&Uses> {
        if self.uses.get().is_none() {
            let uses = Uses::new(self.slots(), self.pool.ledger())?;
            // Another thread may have been first.
            let _ = self.uses.set(Arc::new(uses));
        }
        Ok(self.uses().expect("it has marks by now"))
    }

    /// Takes over the use marks of the block whose place it takes.
    pub(super) fn take_uses(&self, from: &Self) {
        if let Some(uses) = from.uses.get() {
            // A new block has none.
            let _ = self.uses.set(Arc::clone(uses));
        }
    }

    /// Slots that hold no row and never will.
    pub fn dead_slots(&self) -> usize {
        self.dead.load(Acquire) as usize
    }

    /// Notes that a commit which changed a row was collected.
    pub fn note_change(&self, at: Timestamp) {
        // Relaxed: a hint, written by the collector and read under its lock.
        if self.last_change.load(Relaxed) < at.0 {
            self.last_change.store(at.0, Relaxed);
        }
    }

    /// The last commit that changed a row, as far as it was collected.
    pub fn last_change(&self) -> Timestamp {
        Timestamp(self.last_change.load(Relaxed))
    }
}

impl<'b> Claimed<'b> {
    /// Which slot it is.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Writes the row and shows it under `begin`; `false` (and a dead slot) when the block's heap
    /// is full. An empty block takes any row.
    pub fn fill<'v, V: Borrow<ValueRef<'v>>>(
        self,
        values: impl Iterator<Item = (ColumnId, V)>,
        begin: Stamp,
    ) -> Result<bool> {
        let block = self.block;
        let rows = block.rows();
        let body = rows.body_mut(self.slot);
        let must = self.slot == Slot(0);
        if !image::write_base(&block.layout, block.hot_heap(), body, values, must)? {
            return Ok(false);
        }
        rows.header(self.slot).begin.store(begin);
        std::mem::forget(self);
        Ok(true)
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.block.undo_insert(self.slot);
        self.block.bury(self.slot);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let claimed = self.claimed();
        if let Base::Hot(rows) = &mut self.base {
            rows.free_chains(claimed);
        }
    }
}
