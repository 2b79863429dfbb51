//! A block as a view sees it, for checkpoints.

use super::ReadView;
use crate::block::{Block, Captured, Encoded, Frozen, Gathering, RANGE_SLOTS};
use crate::error::Result;
use crate::ids::{BlockNo, ColumnId, Timestamp};
use crate::mvcc::Operation;
use crate::pool::Claim;
use crate::table::Table;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

/// A block that a view looks at. It stays what it is, also when it is replaced meanwhile.
#[derive(Debug)]
pub struct BlockCapture<'v> {
    view: &'v ReadView,
    block: Arc<Block>,
}

impl ReadView {
    /// A block of a table; `None` where it is gone or never came, so that the view sees no row there.
    pub fn capture(&self, table: &Table, number: BlockNo) -> Option<BlockCapture<'_>> {
        let operation: Operation<'_> = self.enter();
        let block = table.block_now(number, &operation)?;
        Some(BlockCapture { view: self, block })
    }
}

impl BlockCapture<'_> {
    /// Its rows as encoded columns, if they are. What was changed since is not in them.
    pub fn frozen(&self) -> Option<&Frozen> {
        self.block.frozen()
    }

    /// Whether the view sees exactly the rows of the encoded columns.
    pub fn is_as_frozen(&self) -> bool {
        self.block.is_as_frozen()
    }

    /// The commit up to which it does not know any more when its rows were changed.
    pub fn built_at(&self) -> Option<Timestamp> {
        self.block.built_at()
    }

    /// Slots in which the view can see rows.
    pub fn slots(&self) -> usize {
        self.block.claimed()
    }

    /// Shows each row, in order of their slots. What `visit` does holds up the freeing of memory, but for
    /// some hundred rows at a time only.
    ///
    /// # Errors
    /// Those of `visit`.
    pub fn for_each<E>(
        &self,
        mut visit: impl FnMut(&Captured<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for range in self.ranges() {
            let operation = self.view.enter();
            let viewpoint = self.view.viewpoint(&operation);
            self.block.capture(range, &viewpoint, |seen| visit(&seen))?;
        }
        Ok(())
    }

    /// The wanted columns of all rows, encoded; `None` where another row may come into the block, which could
    /// not be chained over encoded columns, where there is no row, and where the rows take more than `most`
    /// bytes.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn encode(&self, wanted: &[ColumnId], most: u64) -> Result<Option<Encoded>> {
        if !self.block.is_complete(self.view.snapshot()) {
            return Ok(None);
        }
        let wants = |column| wanted.contains(&column);
        let mut gathering = Gathering::new(&self.block, Claim::Ordinary, wants)?;
        for range in self.ranges() {
            let operation = self.view.enter();
            let viewpoint = self.view.viewpoint(&operation);
            let (mut slots, mut rows) = (Vec::new(), Vec::new());
            let Ok(()) = self.block.capture(range, &viewpoint, |seen| {
                slots.push(seen.slot);
                rows.push(seen.row);
                Ok::<(), Infallible>(())
            });
            if !gathering.take(&slots, &rows, most)? {
                return Ok(None);
            }
        }
        match gathering.is_empty() {
            true => Ok(None),
            false => gathering.encode().map(Some),
        }
    }

    /// Its slots, as many at a time as one operation is to look at.
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let slots = self.slots();
        let starts = (0..slots).step_by(RANGE_SLOTS);
        starts.map(move |start| start..slots.min(start + RANGE_SLOTS))
    }
}
