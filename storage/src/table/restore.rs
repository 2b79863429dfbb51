//! Putting rows back in their places, before the first transaction.
//!
//! Recovery is alone with the table, and visits blocks in any order, one thread a block. A block's capacity
//! follows from its number and the table's columns, so a row id that does not fit its block is damage. Slots
//! that it claims but does not fill are holes: ids of rows that were deleted, rolled back or never committed.
//! At its end holes are dead, so that a block of holes only is freed.

use super::open::OpenBlock;
use super::{Table, Tail};
use crate::block::{Block, Frozen, Written};
use crate::error::{Error, Result};
use crate::ids::{BlockNo, ColumnId, RowId, Slot, Timestamp};
use crate::mvcc::{Garbage, Operation, Stamp};
use crate::value::ValueRef;
use std::borrow::Borrow;
use std::sync::Arc;

impl Table {
    /// Puts a row in its place, where there must be none.
    pub fn restore_insert<'v, V: Borrow<ValueRef<'v>>>(
        &self,
        row: RowId,
        values: impl Iterator<Item = (ColumnId, V)>,
        begin: Timestamp,
        proof: &Operation<'_>,
    ) -> Result<()> {
        let there = self.directory.get(row.block());
        let added;
        let block = match there.and_then(|entry| entry.get(proof)) {
            Some(block) if usize::from(row.slot().0) < block.slots() => block,
            _ => {
                added = self.restore_block(row.block(), row.slot(), proof)?;
                &*added
            }
        };
        if block.is_frozen() || block.is_filled(row.slot()) {
            return Err(Error::DuplicateRelation(format!("row {row}")));
        }
        block.restore(row.slot(), values, committed(begin))?;
        self.note_restored(row.block(), begin);
        Ok(())
    }

    /// Puts a block of encoded columns in its place, where there must be none, with rows of commits up to
    /// `at`.
    pub fn restore_frozen(
        &self,
        number: BlockNo,
        frozen: Frozen,
        at: Timestamp,
        proof: &Operation<'_>,
    ) -> Result<()> {
        let capacity = self.layout.capacity(number.0);
        if frozen.slots() != capacity {
            return Err(Error::LimitExceeded {
                what: "slots of a restored block",
                found: frozen.slots() as u64,
                limit: capacity as u64,
            });
        }
        let entry = self.directory.get(number);
        if entry.and_then(|entry| entry.get(proof)).is_some() {
            return Err(Error::DuplicateRelation(format!("block {number}")));
        }
        let block = Block::restored(&self.layout, &self.pool, frozen, at)?;
        self.attach(number, Arc::new(block))?;
        self.note_restored(number, at);
        Ok(())
    }

    /// Puts a block in the directory, whatever its number.
    fn attach(&self, number: BlockNo, block: Arc<Block>) -> Result<()> {
        // Blocks are restored by several threads.
        let _growing = self.growing.lock();
        let entry = self.directory.entry(number, self.pool.ledger())?;
        entry.set(Arc::clone(&block));
        if self.tail.load().next <= number.0 {
            self.tail.store(Arc::new(Tail {
                next: number.0 + 1,
                block: Some(block),
            }));
        }
        Ok(())
    }

    /// Changes columns of a restored row; `false` if there is no such row.
    pub fn restore_update(
        &self,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
        begin: Timestamp,
        proof: &Operation<'_>,
        retire: impl FnMut(Garbage),
    ) -> Result<bool> {
        let Some((block, slot)) = self.place(row, proof) else {
            return Ok(false);
        };
        // First: whatever way the change takes, the block is not what the last checkpoint has of it.
        self.note_restored(row.block(), begin);
        if block.restore_in_place(slot, changes, committed(begin)) {
            return Ok(true);
        }
        let viewpoint = proof.viewpoint(0);
        let written = block.update(slot, &viewpoint, committed(begin), changes)?;
        block.fold(slot, &block.newest(slot, proof), proof, retire);
        Ok(written == Written::Done)
    }

    /// Removes a restored row; `false` if there is no such row.
    pub fn restore_delete(
        &self,
        row: RowId,
        begin: Timestamp,
        proof: &Operation<'_>,
        retire: impl FnMut(Garbage),
    ) -> Result<bool> {
        let Some((block, slot)) = self.place(row, proof) else {
            return Ok(false);
        };
        let viewpoint = proof.viewpoint(0);
        let written = block.delete(slot, &viewpoint, committed(begin))?;
        self.note_restored(row.block(), begin);
        block.fold(slot, &block.newest(slot, proof), proof, retire);
        Ok(written == Written::Done)
    }

    /// Gives no row an id below `next` any more.
    pub fn restore_next_row(&self, next: RowId, proof: &Operation<'_>) -> Result<()> {
        if next <= self.next_row() {
            return Ok(());
        }
        match next.slot() {
            Slot(0) => self.restore_tail(next.block().0),
            Slot(slot) => {
                let slot = Slot(slot - 1);
                let block = self.restore_block(next.block(), slot, proof)?;
                block.restore_claim(slot)?;
            }
        }
        Ok(())
    }

    /// How many of its slots hold a row, or did when somebody looked last.
    pub fn filled_slots(&self, proof: &Operation<'_>) -> u64 {
        self.stats(proof).rows
    }

    /// Ends the restoring: what is dead is counted as such, and blocks of dead rows only go.
    pub fn finish_restore(&self, proof: &Operation<'_>) {
        let tail = self.tail.load_full();
        for number in 0..tail.next {
            let number = BlockNo(number);
            let entry = self.directory.get(number);
            let Some(block) = entry.and_then(|entry| entry.get(proof)) else {
                continue;
            };
            // Only the last one takes rows again, if there is room for them.
            let is_last = number.0 + 1 == tail.next && tail.block.is_some();
            if !is_last || block.restore_room(block.slots()).is_err() {
                block.close();
            }
            block.count_dead(proof);
            if block.is_dead() {
                // Nobody else looks yet: the garbage needs no queue.
                drop(self.remove_block(number));
            }
        }
        self.open_tail();
    }

    /// Lets new rows come into the last block, if it has room.
    fn open_tail(&self) {
        let tail = self.tail.load();
        if let Some(block) = &tail.block
            && !block.is_full()
        {
            self.open.enter().put(OpenBlock {
                number: BlockNo(tail.next - 1),
                block: Arc::clone(block),
            });
        }
    }

    fn restore_block(
        &self,
        number: BlockNo,
        slot: Slot,
        proof: &Operation<'_>,
    ) -> Result<Arc<Block>> {
        let capacity = self.layout.capacity(number.0);
        if usize::from(slot.0) >= capacity {
            return Err(Error::LimitExceeded {
                what: "slot of a restored row",
                found: u64::from(slot.0),
                limit: capacity as u64 - 1,
            });
        }
        let entry = self.directory.get(number);
        if let Some(block) = entry.and_then(|entry| entry.get_arc(proof)) {
            return Ok(block);
        }
        let block = Arc::new(Block::to_restore(&self.layout, &self.pool, number.0)?);
        self.attach(number, Arc::clone(&block))?;
        Ok(block)
    }

    /// Lets the next row be the first one of block number `next`; rows of blocks below may still be restored.
    fn restore_tail(&self, next: u32) {
        self.tail.store(Arc::new(Tail { next, block: None }));
    }
}

/// Zero says *never*, and rows of a fresh checkpoint may carry it.
fn committed(begin: Timestamp) -> Stamp {
    Stamp::committed(begin.max(Timestamp(1)))
}
