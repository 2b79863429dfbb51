//! The rows of a table: an append-only directory of blocks.
//!
//! ```text
//!   directory   [ block 0 ][ block 1 ][ (gone) ][ block 3 ] ...     tail: where rows are added
//! ```
//!
//! - A new row takes the next slot of the tail block; when the block is full (of slots, or of
//!   strings), the next block is added. Blocks start small, so that small tables are small.
//! - A block all of whose slots are dead is taken out of the directory and freed when no snapshot
//!   can look at it any more. Its number is not used again, since row ids are not reused.
//! - The [`Gate`] lets any number of transactions write, or one change the table's structure.
//!
//! The table knows rows, not keys: whoever changes rows keeps the indexes (`transaction`).

mod compact;
mod directory;
mod gate;
mod restore;
mod scan;

pub use compact::{BlockState, Rebuilt};
pub use gate::Gate;
pub use scan::{Found, Gathering};

use crate::block::{Block, Layout, RowRef, Written};
use crate::error::{Error, Result};
use crate::ids::{BlockNo, ColumnId, RowId, Slot, Timestamp};
use crate::mvcc::{Garbage, Registration, Stamp, Viewpoint};
use crate::pool::Pool;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Release};
use crate::value::{DataType, ValueRef};
use arc_swap::ArcSwap;
use directory::Directory;
use std::sync::Arc;

/// The rows of a table.
#[derive(Debug)]
pub struct Table {
    layout: Arc<Layout>,
    pool: Arc<Pool>,
    directory: Directory,
    tail: ArcSwap<Tail>,
    /// Held while the tail is replaced.
    growing: Mutex<()>,
    gate: Gate,
    orphans: Mutex<Vec<Garbage>>,
    last_commit: AtomicU64,
}

/// Where rows are added.
#[derive(Debug)]
struct Tail {
    /// The number of the block that comes next.
    next: u32,
    /// The block before it, unless that is gone.
    block: Option<Arc<Block>>,
}

impl Table {
    /// A table without rows, whose columns have these ids and types.
    pub fn new(pool: &Arc<Pool>, columns: impl IntoIterator<Item = (ColumnId, DataType)>) -> Self {
        Self {
            layout: Arc::new(Layout::new(columns)),
            pool: Arc::clone(pool),
            directory: Directory::default(),
            tail: ArcSwap::from_pointee(Tail {
                next: 0,
                block: None,
            }),
            growing: Mutex::new(()),
            gate: Gate::default(),
            orphans: Mutex::default(),
            last_commit: AtomicU64::new(0),
        }
    }

    /// Who may write.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The lowest id that no row has been given yet.
    pub fn next_row(&self) -> RowId {
        let tail = self.tail.load();
        match &tail.block {
            Some(block) if block.claimed() < block.capacity() => {
                RowId::new(BlockNo(tail.next - 1), Slot(block.claimed() as u16))
            }
            _ => RowId::new(BlockNo(tail.next), Slot(0)),
        }
    }

    /// The last commit that changed rows here.
    pub fn last_commit(&self) -> Timestamp {
        Timestamp(self.last_commit.load(Acquire))
    }

    /// Notes a commit that changed rows here; called inside the commit section.
    pub fn note_commit(&self, timestamp: Timestamp) {
        self.last_commit.store(timestamp.0, Release);
    }

    fn block<'a>(&'a self, row: RowId, proof: &'a Registration) -> Option<&'a Block> {
        let block = self.directory.get(row.block())?.get(proof)?;
        (usize::from(row.slot().0) < block.claimed()).then_some(block)
    }

    /// The block that holds a row, and its slot there; `None` if the row is long gone.
    pub fn place<'a>(&'a self, row: RowId, proof: &'a Registration) -> Option<(&'a Block, Slot)> {
        Some((self.block(row, proof)?, row.slot()))
    }

    /// The row as the viewpoint sees it.
    pub fn visible<'a>(&'a self, row: RowId, viewpoint: &Viewpoint<'a>) -> Option<RowRef<'a>> {
        self.block(row, viewpoint.registration())?
            .visible(row.slot(), viewpoint)
    }

    /// Adds a row that begins to count with `begin`.
    pub fn insert<'v>(
        &self,
        values: impl Iterator<Item = (ColumnId, ValueRef<'v>)> + Clone,
        begin: Stamp,
    ) -> Result<RowId> {
        loop {
            let tail = self.tail.load();
            if let Some(block) = &tail.block
                && let Some(claimed) = block.claim()
            {
                let number = BlockNo(tail.next - 1);
                let row = RowId::new(number, claimed.slot());
                match claimed.fill(values.clone(), begin) {
                    Ok(true) => return Ok(row),
                    // Its heap is full: it takes no more rows.
                    Ok(false) => block.skip_to(block.capacity()),
                    Err(error) => {
                        self.check_dead(number, block);
                        return Err(error);
                    }
                }
                self.check_dead(number, block);
            }
            self.grow(tail.next)?;
        }
    }

    /// Adds block number `next`, unless another thread has done so.
    fn grow(&self, next: u32) -> Result<()> {
        let _growing = self.growing.lock();
        if self.tail.load().next != next {
            return Ok(());
        }
        self.add_block(next).map(drop)
    }

    /// Adds a block at the end; the caller holds `growing` or is alone.
    fn add_block(&self, number: u32) -> Result<Arc<Block>> {
        let block = Block::new(&self.layout, &self.pool, number)?;
        let entry = self.directory.entry(BlockNo(number));
        let entry = entry.ok_or(Error::LimitExceeded {
            what: "number of a table's blocks",
            found: u64::from(number),
            limit: u64::from(directory::BLOCKS_MAX),
        })?;
        let block = Arc::new(block);
        entry.set(Arc::clone(&block));
        self.tail.store(Arc::new(Tail {
            next: number + 1,
            block: Some(Arc::clone(&block)),
        }));
        Ok(block)
    }

    /// Chains a changed version over a row.
    pub fn update(
        &self,
        row: RowId,
        viewpoint: &Viewpoint<'_>,
        marker: Stamp,
        changes: &[(ColumnId, ValueRef<'_>)],
    ) -> Result<Written> {
        match self.place(row, viewpoint.registration()) {
            Some((block, slot)) => block.update(slot, viewpoint, marker, changes),
            None => Ok(Written::Skipped),
        }
    }

    /// Chains a deletion over a row.
    pub fn delete(&self, row: RowId, viewpoint: &Viewpoint<'_>, marker: Stamp) -> Result<Written> {
        match self.place(row, viewpoint.registration()) {
            Some((block, slot)) => block.delete(slot, viewpoint, marker),
            None => Ok(Written::Skipped),
        }
    }

    /// Notes that a row is dead and in no index; takes its block out of the directory if that
    /// was the last one.
    pub fn bury(&self, row: RowId, proof: &Registration) -> Option<Garbage> {
        let (block, slot) = self.place(row, proof)?;
        block
            .bury(slot)
            .then(|| self.remove_block(row.block()))
            .flatten()
    }

    /// A slot that could not be filled may have been the last one that was not dead. Then the
    /// block waits for the next collection to be retired.
    fn check_dead(&self, number: BlockNo, block: &Block) {
        if block.is_dead() {
            let garbage = self.remove_block(number);
            self.orphans.lock().extend(garbage);
        }
    }

    /// Blocks that were taken out of the directory and are not retired yet.
    pub fn take_orphans(&self) -> Vec<Garbage> {
        std::mem::take(&mut self.orphans.lock())
    }

    fn remove_block(&self, number: BlockNo) -> Option<Garbage> {
        self.forget_tail(number);
        self.directory.get(number)?.take().map(Garbage::from)
    }
}
