//! Distinct rows of a join: of a row that the join gives several times, the first counts.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::memory::Held;
use crate::error::Result;
use arrow_array::BooleanArray;
use remora_storage::RowId;
use remora_storage::succinct::RowSet;

/// The rows that were given so far.
#[derive(Debug)]
pub(super) struct DistinctRows {
    seen: RowSet,
    held: Held,
}

impl DistinctRows {
    pub(super) fn new(held: Held) -> Self {
        Self {
            seen: RowSet::default(),
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
        let first: Vec<bool> = ids.iter().map(|id| self.seen.insert(*id)).collect();
        self.held.reach(self.seen.bytes(), context)?;
        match first.iter().all(|is_first| *is_first) {
            true => Ok(batch),
            false => batch.filter(&BooleanArray::from(first)),
        }
    }
}
