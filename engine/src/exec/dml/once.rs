//! Rows that a join gives: of one that it gives several times the first counts.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::memory::Held;
use crate::error::Result;
use arrow_array::BooleanArray;
use hashbrown::HashSet;
use remora_storage::RowId;

/// The rows that were given so far.
#[derive(Debug)]
pub(super) struct Once {
    seen: HashSet<RowId>,
    held: Held,
}

/// Bytes of a row in the set, and of the set that it moves out of as it grows.
const ROW_BYTES: usize = 4 * (size_of::<RowId>() + 1);

impl Once {
    pub(super) fn new(held: Held) -> Self {
        Self {
            seen: HashSet::new(),
            held,
        }
    }

    /// Those of a batch's rows that come for the first time.
    pub(super) fn first(
        &mut self,
        batch: Batch,
        ids: &[RowId],
        context: &ExecContext,
    ) -> Result<Batch> {
        let rows = self.seen.len() + ids.len();
        self.held.reach(ROW_BYTES * rows, context)?;
        let first: Vec<bool> = ids.iter().map(|id| self.seen.insert(*id)).collect();
        match first.iter().all(|is_first| *is_first) {
            true => Ok(batch),
            false => batch.filter(&BooleanArray::from(first)),
        }
    }
}
