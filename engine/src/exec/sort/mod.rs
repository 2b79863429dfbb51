//! Sort: all rows in order; rows with equal keys keep theirs.

pub(super) mod limit;
pub(super) mod ordered;
pub(super) mod sort_buffer;
pub(super) mod top_n;
pub(super) mod with_ties;

use super::batch::Batch;
use super::pipeline::{Sink, Source};
use super::{BATCH_ROWS, ExecContext};
use crate::error::Result;
use crate::plan::SortKey;
use sort_buffer::SortBuffer;

/// Collects rows, then sorts them.
#[derive(Debug)]
pub(super) struct Sort(SortBuffer);

impl Sort {
    pub(super) fn new(keys: &[SortKey]) -> Self {
        Self(SortBuffer::new(keys))
    }
}

impl Sink for Sort {
    type Output = Sorted;

    fn push(&mut self, batch: Batch, context: &ExecContext) -> Result<()> {
        let keys = self.0.keys_of(&batch, context)?;
        self.0.push(batch, &keys, context)
    }

    fn finish(self, context: &ExecContext) -> Result<Sorted> {
        let order = self.0.sorted(context)?;
        Ok(Sorted::new(self.0, order))
    }
}

/// Rows in order, put together a batch at a time.
#[derive(Debug)]
pub(super) struct Sorted {
    buffer: SortBuffer,
    order: Vec<u32>,
    /// Rows given so far.
    given: usize,
}

impl Sorted {
    /// Will give the rows of `buffer` numbered `order`.
    pub(super) fn new(mut buffer: SortBuffer, order: Vec<u32>) -> Self {
        buffer.drop_keys();
        Self {
            buffer,
            order,
            given: 0,
        }
    }
}

impl Source for Sorted {
    fn next(&mut self, _: &ExecContext) -> Result<Option<Batch>> {
        let rest = &self.order[self.given..];
        let rows = &rest[..rest.len().min(BATCH_ROWS)];
        if rows.is_empty() {
            return Ok(None);
        }
        let batch = self.buffer.gather(rows)?;
        self.given += batch.rows;
        Ok(Some(batch))
    }
}
