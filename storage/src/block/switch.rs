//! The switch: a block is replaced by another one with the same rows, while it is read and written.
//!
//! ```text
//!   directory            before: old          after: new           (replaced last)
//!
//!   old   [ head ][ head ][ moved ][ moved ]      sealed slot by slot, retired afterwards
//!              |              |
//!              |              +-----> successor: whoever meets *moved* goes on there
//!              v
//!   new   [      ][      ][ head  ][ head  ]      over a base as of the horizon
//! ```
//!
//! The caller holds the collector's lock: nobody folds, cuts, buries or takes back meanwhile. Others
//! read, chain versions and deletions, and stamp what they wrote.
//!
//! 1. Of every slot the state that the horizon sees is taken; states above the horizon may come
//!    meanwhile, those at or below it do not change. A row whose insertion is not at or below the
//!    horizon puts the switch off: so does a slot that is being filled.
//! 2. The new block is built from these states. It may be reached from now on only through a head
//!    that says *moved*.
//! 3. Every range of the old block is counted unsettled, for good. A write that reaches the new
//!    block does so through a sealed head, hence after this; a scan that could see that write
//!    registered later still, and finds the range unsettled: it looks at the heads.
//! 4. Slot by slot: the new head is made to say what the old one says, without what is at or below
//!    the horizon if that is all; its links are counted; then the old head is exchanged for *moved*.
//!    If it has changed meanwhile, this is done again. So the new head is right before the first one
//!    is sent there, and no change of the old one is lost: all of them are exchanges, too.
//! 5. The caller replaces the directory's entry and retires the old block.
//!
//! Nobody waits for any of this: a writer that loses its exchange to the seal writes again in the
//! new block.
//!
//! Why each of those who hold on to the old block is right:
//! - *A reader that has read an empty head* goes on to the old base. Its snapshot is registered, so
//!   it sees what the base says, or something older than the base that does not exist; and neither
//!   the base nor the block is freed before its operation ends.
//! - *A reader that walks a chain* finds records that both blocks lead to, or that were dropped from
//!   the new one: these are retired like all garbage, and still linked as they were. Nothing is cut
//!   in this switch: where a newer version is carried over, what it leads to comes along, though
//!   the new base says the same.
//! - *A deletion's stamp* is read anew while it is a marker. Where the successor has no such row any
//!   more, the deletion was committed at or below the horizon (`Block::deletion`).
//! - *A writer* that counted the range unsettled in the old block takes that back and counts in the
//!   new one; the seal counts for itself the links that it carries.
//! - *The owner of a marker* stamps the record, which both blocks share, or the head, by exchange.
//!
//! Long strings. A version's image may name strings in the heap of the block it was written in.
//! Where such a version is carried over, the new block holds on to the old heap; a hot block cannot,
//! it has its own.

use super::heads::{Heads, Spare};
use super::hot::Rows;
use super::image;
use super::slots::{Base, Block, RANGE_SLOTS};
use crate::error::Result;
use crate::ids::{Slot, Timestamp};
use crate::mvcc::{Garbage, Head, Operation, Stamp};
use crate::pool::Claim;
use crate::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

/// What a block is to become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rebuild {
    /// Encoded columns of the rows that live.
    Frozen,
    /// Rows that can be changed in place.
    Hot,
}

/// The rows of a block as of a horizon, in order of their slots.
#[derive(Default)]
pub(super) struct States<'a> {
    /// A bit for each slot of the block: whether it has a row.
    pub(super) live: Vec<u64>,
    pub(super) slots: Vec<Slot>,
    /// The image of each row; `None` for a row of a frozen base.
    pub(super) rows: Vec<Option<&'a [u8]>>,
}

impl<'a> States<'a> {
    /// Adds the next slot, with a row if it has one.
    fn push(&mut self, slot: Slot, row: Option<Option<&'a [u8]>>) {
        let at = usize::from(slot.0);
        if at % 64 == 0 {
            self.live.push(0);
        }
        if let Some(row) = row {
            self.live[at / 64] |= 1 << (at % 64);
            self.slots.push(slot);
            self.rows.push(row);
        }
    }

    /// The slots without a row.
    fn dead(&self, slots: usize) -> impl Iterator<Item = Slot> {
        let is_dead = |slot: &usize| self.live[slot / 64] >> (slot % 64) & 1 == 0;
        (0..slots).filter(is_dead).map(|slot| Slot(slot as u16))
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Option<&[u8]>>()
            + self.slots.capacity() * size_of::<Slot>()
    }
}

impl Block {
    /// Builds the block that takes this one's place, as of `horizon`, and sends everybody there;
    /// `None` where this cannot be done now. The caller is the collector, who has collected all
    /// there is at or below the horizon, and puts the result in the directory. Memory is taken as
    /// far as the claim reaches.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing has changed.
    pub fn rebuild(
        &self,
        into: Rebuild,
        claim: Claim,
        horizon: Timestamp,
        proof: &Operation<'_>,
        retire: impl FnMut(Garbage),
    ) -> Result<Option<Arc<Self>>> {
        let keeps_heap = self.is_frozen() && self.heap.get().is_some();
        if !self.is_full() || (into == Rebuild::Hot && keeps_heap) {
            return Ok(None);
        }
        let Some(states) = self.states(horizon, proof) else {
            return Ok(None);
        };
        if states.rows.is_empty() {
            return Ok(None);
        }
        let built = match into {
            Rebuild::Frozen => self.freeze(&states, claim, horizon)?,
            Rebuild::Hot => self.thaw(&states, claim, horizon)?,
        };
        let mut spares = match into {
            Rebuild::Frozen => built.spares(claim)?,
            Rebuild::Hot => Vec::new(),
        };
        let built = Arc::new(built);
        let first = self.successor.set(Arc::clone(&built));
        assert!(first.is_ok(), "a block that was replaced is not met again");
        self.seal(&built, horizon, &mut spares, proof, retire);
        Ok(Some(built))
    }

    /// What the horizon sees; `None` where some slot's insertion is still under way.
    fn states<'a>(&'a self, horizon: Timestamp, proof: &'a Operation<'a>) -> Option<States<'a>> {
        let mut states = States::default();
        for slot in (0..self.capacity()).map(|slot| Slot(slot as u16)) {
            let begin = self.begin(slot);
            if begin == Stamp::ABORTED {
                states.push(slot, None);
                continue;
            }
            if !begin.is_committed_by(horizon) {
                return None;
            }
            let mut chain = self.chain(slot, proof);
            let state = chain.find(|link| link.stamp().is_committed_by(horizon));
            states.push(slot, state.and_then(|link| link.bytes()));
        }
        let given_up = self.capacity()..self.slots();
        given_up.for_each(|slot| states.push(Slot(slot as u16), None));
        Some(states)
    }

    fn thaw(&self, states: &States<'_>, claim: Claim, horizon: Timestamp) -> Result<Self> {
        let rows = Rows::new(&self.layout, &self.pool, self.slots())?;
        let block = self.built(claim, Base::Hot(rows), states, horizon)?;
        let rows = block.rows();
        for slot in states.dead(self.slots()) {
            block.undo_insert(slot);
        }
        for (slot, row) in states.slots.iter().zip(&states.rows) {
            let row = match row {
                Some(image) => self.row(image),
                None => self.base(*slot),
            };
            let fields = self.layout.fields().iter();
            let values = fields.map(|field| (field.column, row.read(field)));
            let body = rows.body_mut(*slot);
            image::write_base(&self.layout, block.hot_heap(), body, values, true)?;
            rows.header(*slot).begin.store(Stamp::committed(horizon));
        }
        Ok(block)
    }

    pub(super) fn built(
        &self,
        claim: Claim,
        base: Base,
        states: &States<'_>,
        horizon: Timestamp,
    ) -> Result<Self> {
        let slots = self.slots();
        let block = Self::with_base(claim, base, &self.layout, &self.pool, slots, horizon)?;
        block.take_uses(self);
        for slot in states.dead(slots) {
            block.bury_unborn(usize::from(slot.0));
        }
        Ok(block)
    }

    /// All chunks of heads that the rows may need: changes may have to be carried over to any of them,
    /// and then there is no way back.
    fn spares(&self, claim: Claim) -> Result<Vec<Spare>> {
        let chunks = match &self.base {
            Base::Hot(_) => 0,
            Base::Frozen(columns) => Heads::chunks_of(columns.frozen.rows()),
        };
        (0..chunks).map(|_| Spare::new(&self.pool, claim)).collect()
    }

    /// Steps 3 and 4 of the module's header.
    fn seal(
        &self,
        to: &Self,
        horizon: Timestamp,
        spares: &mut Vec<Spare>,
        proof: &Operation<'_>,
        mut retire: impl FnMut(Garbage),
    ) {
        for slot in (0..self.capacity()).step_by(RANGE_SLOTS) {
            // Relaxed: the exchange that seals a head publishes it.
            self.unsettled(slot).fetch_add(1, Relaxed);
        }
        let Base::Frozen(columns) = &self.base else {
            for slot in (0..self.capacity()).map(|slot| Slot(slot as u16)) {
                self.seal_slot(to, slot, horizon, spares, proof, &mut retire);
            }
            return;
        };
        for positions in Heads::ranges(columns.frozen.rows()) {
            let is_dead = self.is_dead_at(columns);
            let carry = |position, stamp: Stamp| {
                if !stamp.is_committed_by(horizon) {
                    let slot = columns.frozen.slot_at(position);
                    to.unsettled(usize::from(slot.0)).fetch_add(1, Relaxed);
                    to.put_head(slot, Head::Deleted(stamp), spares);
                }
            };
            if !columns
                .heads
                .seal_chunk(positions.start as u32, is_dead, carry)
            {
                for position in positions {
                    let slot = columns.frozen.slot_at(position as u32);
                    self.seal_slot(to, slot, horizon, spares, proof, &mut retire);
                }
            }
        }
    }

    fn seal_slot(
        &self,
        to: &Self,
        slot: Slot,
        horizon: Timestamp,
        spares: &mut Vec<Spare>,
        proof: &Operation<'_>,
        retire: impl FnMut(Garbage),
    ) {
        let unsettled = to.unsettled(usize::from(slot.0));
        loop {
            let seen = self.head(slot, proof);
            let is_base = match seen {
                Head::Empty => true,
                Head::Deleted(stamp) => stamp.is_committed_by(horizon),
                Head::DeletedOver(version) => version.deleted().load().is_committed_by(horizon),
                Head::Version(version) => version.begin().load().is_committed_by(horizon),
                Head::Moved => unreachable!("one thread at a time replaces blocks"),
            };
            let carried = if is_base { Head::Empty } else { seen };
            let links = if is_base {
                0
            } else {
                self.carry(to, slot, seen, proof)
            };
            // Before a scan of the new block can take the range for settled.
            unsettled.fetch_add(links, Relaxed);
            to.put_head(slot, carried, spares);
            if self.used_head(slot).seal(seen) {
                if is_base {
                    seen.retire_chain(proof, retire);
                }
                return;
            }
            unsettled.fetch_sub(links, Relaxed);
        }
    }

    /// Counts what is chained over a row, and hands over the heap if strings in it are named there.
    fn carry(&self, to: &Self, slot: Slot, head: Head<'_>, proof: &Operation<'_>) -> u32 {
        let mut links = 0;
        let mut link = Some(self.link(slot, proof, head));
        while let Some(at) = link.filter(|at| !at.is_base()) {
            links += 1;
            if let (Some(heap), Some(row)) = (self.heap.get(), at.image())
                && image::names_heap(&row)
            {
                assert!(to.is_frozen(), "a hot block has a heap of its own");
                to.heap.get_or_init(|| Arc::clone(heap));
            }
            link = at.older();
        }
        links
    }

    /// Makes a head say something before anybody else can reach it.
    fn put_head(&self, slot: Slot, head: Head<'_>, spares: &mut Vec<Spare>) {
        match &self.base {
            Base::Hot(rows) => rows.header(slot).head.carry(head),
            Base::Frozen(columns) => match (columns.frozen.position(slot), head) {
                (None, Head::Empty) => {}
                (None, _) => unreachable!("what is carried over is over a row"),
                (Some(position), head) => {
                    let spare = || spares.pop().expect("a spare for every chunk");
                    columns.heads.carry(position, head, spare);
                }
            },
        }
    }

    /// Bytes that it takes without versions, as the ledger counts them.
    pub fn bytes(&self) -> usize {
        let base = match &self.base {
            Base::Hot(rows) => rows.bytes(),
            Base::Frozen(columns) => columns.frozen.bytes() as usize + columns.heads.bytes(),
        };
        let heap = self.heap.get().map_or(0, |heap| heap.bytes());
        base + heap + self.own_bytes()
    }

    /// Whether it holds on to the heap of the block before it.
    pub fn has_old_heap(&self) -> bool {
        self.is_frozen() && self.heap.get().is_some()
    }
}
