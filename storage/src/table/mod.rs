//! The rows of a table: an append-only directory of blocks.
//!
//! ```text
//!   directory   [ block 0 ][ block 1 ][ (gone) ][ block 3 ] ...     tail: where rows are added
//! ```
//!
//! - A new row takes the next slot of an open block, of which there is one for each thread that
//!   adds at the same time (`open.rs`); when the block is full (of slots, or of strings), the next
//!   block is added. Blocks start small, so that small tables are small.
//! - A block all of whose slots are dead is taken out of the directory and freed when no snapshot
//!   can look at it any more. Its number is not used again, since row ids are not reused. One that
//!   still has empty slots, but has lost all of its rows, and they were not few, is given up: its
//!   empty slots die.
//! - Rows that were changed since the oldest snapshot are remembered ([`RecentChanges`]).
//! - The [`Gate`] lets any number of transactions write, or one change the table's structure.
//!
//! The table knows rows, not keys: whoever changes rows keeps the indexes (`transaction`).

mod cache;
mod changed;
mod compact;
mod count;
mod departed;
mod directory;
mod evacuate;
mod gate;
mod open;
mod recent;
mod restore;
mod scan;
mod stats;

pub use cache::{CacheBytes, DEAD_PERCENT, EvictionPolicy, RowCache, Victim, Victims};
pub use changed::ChangedBlocks;
pub use compact::{BlockState, Rebuilt};
pub use count::RowCount;
pub use gate::Gate;
pub use recent::{Change, ChangedRows, Forgotten, RecentChanges};
pub use scan::{BlocksPassed, Found, Taking};
pub use stats::TableStats;

use crate::block::{Block, BlockLimits, Layout, RowRef, Written};
use crate::error::Result;
use crate::ids::{BlockNo, ColumnId, RowId, Slot, Timestamp, TransactionId};
use crate::mvcc::{Garbage, Operation, Stamp, Viewpoint};
use crate::pool::Pool;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{Fault, Mutex, is_left_out};
use crate::value::{DataType, ValueRef};
use arc_swap::ArcSwap;
use departed::Departed;
use directory::Directory;
use open::{OpenBlock, OpenBlocks, Place};
use std::borrow::Borrow;
use std::sync::{Arc, OnceLock};

/// The rows of a table.
#[derive(Debug)]
pub struct Table {
    layout: Arc<Layout>,
    pool: Arc<Pool>,
    directory: Directory,
    open: OpenBlocks,
    tail: ArcSwap<Tail>,
    /// Held while the tail is replaced.
    growing: Mutex<()>,
    gate: Gate,
    orphans: Mutex<Vec<Garbage>>,
    /// Whether there are orphans: asked far more often than there are.
    has_orphans: AtomicBool,
    last_commit: AtomicU64,
    recent: RecentChanges,
    /// Rows that were cleared away because they had expired.
    swept: AtomicU64,
    departed: Departed,
    /// Where it has a bound of rows, or is a cache.
    count: OnceLock<Arc<RowCount>>,
    /// Where it is a cache.
    cache: OnceLock<Box<RowCache>>,
}

/// The end of the directory.
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
            open: OpenBlocks::default(),
            tail: ArcSwap::from_pointee(Tail {
                next: 0,
                block: None,
            }),
            growing: Mutex::new(()),
            gate: Gate::default(),
            orphans: Mutex::default(),
            has_orphans: AtomicBool::new(false),
            last_commit: AtomicU64::new(0),
            recent: RecentChanges::default(),
            swept: AtomicU64::new(0),
            departed: Departed::default(),
            count: OnceLock::new(),
            cache: OnceLock::new(),
        }
    }

    /// Where the columns are in its rows.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Who may write.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// An id above those of all rows there are. Rows that come later can have ids below it, too, in
    /// open blocks; they are invisible to whoever has a snapshot now.
    pub fn next_row(&self) -> RowId {
        let tail = self.tail.load();
        match &tail.block {
            Some(block) if !block.is_full() => {
                RowId::new(BlockNo(tail.next - 1), Slot(block.claimed() as u16))
            }
            _ => RowId::new(BlockNo(tail.next), Slot(0)),
        }
    }

    /// Rows that were cleared away because they had expired, since the table was opened.
    pub fn swept(&self) -> u64 {
        self.swept.load(Relaxed)
    }

    /// Notes rows that were cleared away because they had expired.
    pub fn note_swept(&self, rows: u64) {
        self.swept.fetch_add(rows, Relaxed);
    }

    /// The last commit that changed rows here.
    pub fn last_commit(&self) -> Timestamp {
        Timestamp(self.last_commit.load(Acquire))
    }

    /// Notes a commit that changed rows here; called inside the commit section.
    /// Nobody will ask for what was changed up to the `horizon`.
    pub fn note_commit(&self, timestamp: Timestamp, change: &Change, horizon: Timestamp) {
        let ledger = self.pool.ledger();
        self.recent.add(timestamp, change, horizon, ledger);
        self.last_commit.store(timestamp.0, Release);
    }

    /// Notes a commit of the system, which has deleted rows that had expired or that the cache gave up: validation does not
    /// hear of them. No snapshot that asks is below the `horizon`.
    pub fn note_departed(&self, timestamp: Timestamp, horizon: Timestamp) {
        self.departed.add(timestamp, horizon);
        self.last_commit.store(timestamp.0, Release);
    }

    /// Notes a transaction of the system that deletes rows, before it does. There is one at a time.
    pub fn begin_departures(&self, transaction: TransactionId) {
        self.departed.begin(transaction);
    }

    /// Notes that the system's transaction has ended.
    pub fn end_departures(&self, transaction: TransactionId) {
        self.departed.end(transaction);
    }

    /// Waits until a transaction has ended if it is the system's; returns whether it was.
    pub fn wait_departures(&self, transaction: TransactionId) -> bool {
        self.departed.wait(transaction)
    }

    /// Whether a commit was such a one.
    pub fn has_departed_at(&self, timestamp: Timestamp) -> bool {
        self.departed.has(timestamp)
    }

    /// The rows that were changed lately.
    pub fn recent(&self) -> &RecentChanges {
        &self.recent
    }

    /// The block of a row.
    #[inline]
    pub fn block_of<'a>(&'a self, row: RowId, proof: &'a Operation<'a>) -> Option<&'a Block> {
        self.directory.get(row.block())?.get(proof)
    }

    #[inline]
    fn block<'a>(&'a self, row: RowId, proof: &'a Operation<'a>) -> Option<&'a Block> {
        let block = self.block_of(row, proof)?;
        (usize::from(row.slot().0) < block.claimed()).then_some(block)
    }

    /// The block of that number, to be held beyond the operation.
    pub fn block_now(&self, number: BlockNo, proof: &Operation<'_>) -> Option<Arc<Block>> {
        self.directory.get(number)?.get_arc(proof)
    }

    /// The block that holds a row, and its slot there; `None` if the row is long gone.
    #[inline]
    pub fn place<'a>(&'a self, row: RowId, proof: &'a Operation<'a>) -> Option<(&'a Block, Slot)> {
        Some((self.block(row, proof)?, row.slot()))
    }

    /// The row as the viewpoint sees it.
    #[inline]
    pub fn visible<'a>(&'a self, row: RowId, viewpoint: &Viewpoint<'a>) -> Option<RowRef<'a>> {
        self.block(row, viewpoint.operation())?
            .visible(row.slot(), viewpoint)
    }

    /// As [`Self::place`], for rows that mostly are in one block: `near` remembers which.
    #[inline(always)]
    pub fn place_near<'a>(
        &'a self,
        row: RowId,
        proof: &'a Operation<'a>,
        near: &mut Option<(BlockNo, &'a Block)>,
    ) -> Option<(&'a Block, Slot)> {
        let block = match *near {
            Some((number, block)) if number == row.block() => block,
            _ => {
                let block = self.block_of(row, proof)?;
                *near = Some((row.block(), block));
                block
            }
        };
        (usize::from(row.slot().0) < block.claimed()).then(|| (block, row.slot()))
    }

    /// Adds a row that begins to count with `begin`.
    pub fn insert<'v, V: Borrow<ValueRef<'v>>>(
        &self,
        values: impl Iterator<Item = (ColumnId, V)> + Clone,
        begin: Stamp,
    ) -> Result<RowId> {
        let mut place = self.open.enter();
        loop {
            let Some(open) = place.open() else {
                let open = self.open_block(&place)?;
                place.put(open);
                continue;
            };
            let filled = match open.block.claim() {
                Some(claimed) => {
                    let row = RowId::new(open.number, claimed.slot());
                    let filled = claimed.fill(values.clone(), begin);
                    filled.map(|filled| filled.then_some(row))
                }
                None => Ok(None),
            };
            if let Ok(Some(row)) = filled {
                if let Some(cache) = self.cache()
                    && open.block.is_full()
                {
                    cache.note_block_rows(open.block.claimed());
                }
                place.close_if_full();
                return Ok(row);
            }
            // Full of slots or of strings: it takes no more rows. The slot that could not be filled may have been
            // the last one that was not dead.
            if let Some(cache) = self.cache() {
                cache.note_block_rows(open.block.claimed());
            }
            let is_dead = match filled {
                Ok(_) => open.block.close(),
                Err(_) => open.block.is_dead(),
            };
            let dead = is_dead.then_some(open.number);
            place.close_if_full();
            if let Some(number) = dead {
                self.orphan(number);
            }
            filled?;
        }
    }

    /// A block for a thread that has none open.
    fn open_block(&self, place: &Place) -> Result<OpenBlock> {
        if let Some(left) = self.open.take_over(place) {
            return Ok(left);
        }
        let _growing = self.growing.lock();
        let number = self.tail.load().next;
        Ok(OpenBlock {
            block: self.add_block(number)?,
            number: BlockNo(number),
        })
    }

    /// Adds a block at the end; the caller holds `growing` or is alone.
    fn add_block(&self, number: u32) -> Result<Arc<Block>> {
        let limits = self.cache().map_or_else(BlockLimits::default, |cache| {
            cache.block_limits(self.layout.stride())
        });
        let block = Block::within(limits, &self.layout, &self.pool, number)?;
        let entry = self.directory.entry(BlockNo(number), self.pool.ledger())?;
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
        match self.place(row, viewpoint.operation()) {
            Some((block, slot)) => block.update(slot, viewpoint, marker, changes),
            None => Ok(Written::Skipped),
        }
    }

    /// Chains a deletion over a row.
    pub fn delete(&self, row: RowId, viewpoint: &Viewpoint<'_>, marker: Stamp) -> Result<Written> {
        match self.place(row, viewpoint.operation()) {
            Some((block, slot)) => block.delete(slot, viewpoint, marker),
            None => Ok(Written::Skipped),
        }
    }

    /// Notes that a row is dead and in no index; takes its block out of the directory if that
    /// was the last one that lived.
    pub fn bury(&self, row: RowId, proof: &Operation<'_>) -> Option<Garbage> {
        let (block, slot) = self.place(row, proof)?;
        let number = row.block();
        if block.bury(slot) {
            return self.remove_block(number);
        }
        block
            .is_forsaken()
            .then(|| self.forsake(number, block))
            .flatten()
    }

    /// Gives up the empty slots of a block. If nothing lives in it, its memory can go; what is added
    /// meanwhile keeps it.
    fn forsake(&self, number: BlockNo, block: &Block) -> Option<Garbage> {
        self.open.close(number);
        let is_dead = block.close() || is_left_out(Fault::GivenUpUnseen);
        is_dead.then(|| self.remove_block(number)).flatten()
    }

    /// Takes a block of dead slots only out of the directory. It waits for the next collection to
    /// be retired.
    fn orphan(&self, number: BlockNo) {
        let garbage = self.remove_block(number);
        self.orphans.lock().extend(garbage);
        self.has_orphans.store(true, Release);
    }

    /// Blocks that were taken out of the directory and are not retired yet.
    pub fn take_orphans(&self) -> Vec<Garbage> {
        // Acquire: the flag is set after the orphan was put there.
        if !self.has_orphans.load(Acquire) {
            return Vec::new();
        }
        let mut orphans = self.orphans.lock();
        self.has_orphans.store(false, Release);
        std::mem::take(&mut orphans)
    }

    fn remove_block(&self, number: BlockNo) -> Option<Garbage> {
        self.forget_tail(number);
        self.directory.get(number)?.take().map(Garbage::from)
    }
}
