//! A block as a view sees it, for checkpoints.

use super::ReadView;
use crate::block::{Block, Captured, Frozen, RANGE_SLOTS};
use crate::ids::{BlockNo, Timestamp};
use crate::mvcc::Operation;
use crate::table::Table;
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
        let slots = self.slots();
        for start in (0..slots).step_by(RANGE_SLOTS) {
            let operation = self.view.enter();
            let viewpoint = self.view.viewpoint(&operation);
            let range = start..slots.min(start + RANGE_SLOTS);
            self.block.capture(range, &viewpoint, &mut visit)?;
        }
        Ok(())
    }
}
