//! TopN: the first rows of an order, without keeping the others.
//!
//! Rows are buffered until there are twice as many as wanted (and a batch); then the buffer is
//! sorted and cut to the wanted ones. From then on the last of these is a bar: a row whose key is
//! not below it is dropped at once. A row equal to the bar came later, so it would lose.

use super::Sorted;
use super::sort_buffer::SortBuffer;
use crate::error::Result;
use crate::exec::batch::Batch;
use crate::exec::pipeline::Sink;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::SortKey;
use arrow_array::BooleanArray;
use arrow_buffer::BooleanBuffer;

/// Collects the first rows of an order.
#[derive(Debug)]
pub(in crate::exec) struct TopN {
    buffer: SortBuffer,
    wanted: usize,
    bar: Option<Vec<u8>>,
}

impl TopN {
    /// The first `wanted` rows; `None` for all.
    pub(in crate::exec) fn new(keys: &[SortKey], wanted: Option<u64>) -> Self {
        let wanted = wanted.map_or(usize::MAX, |wanted| {
            usize::try_from(wanted).unwrap_or(usize::MAX)
        });
        Self {
            buffer: SortBuffer::new(keys),
            wanted,
            bar: None,
        }
    }

    fn cut(&mut self, context: &ExecContext) -> Result<()> {
        let mut order = self.buffer.sorted(context)?;
        order.truncate(self.wanted);
        if order.len() == self.wanted {
            self.bar = order.last().map(|row| self.buffer.key(*row).to_vec());
        }
        self.buffer.keep(&order)
    }
}

impl Sink for TopN {
    type Output = Sorted;

    fn push(&mut self, mut batch: Batch, context: &ExecContext) -> Result<()> {
        let mut keys = self.buffer.keys_of(&batch, context)?;
        if let Some(bar) = &self.bar {
            let below = |row| keys.get(row) < bar.as_slice();
            let keep = BooleanBuffer::collect_bool(batch.rows, below);
            if !keep.has_true() {
                return Ok(());
            }
            keys = keys.filter(&keep);
            batch = batch.filter(&BooleanArray::new(keep, None))?;
        }
        self.buffer.push(batch, &keys, context)?;
        let enough = self.wanted.saturating_mul(2).max(BATCH_ROWS);
        if self.buffer.rows() > enough {
            self.cut(context)?;
        }
        Ok(())
    }

    fn finish(self, context: &ExecContext) -> Result<Sorted> {
        let mut order = self.buffer.sorted(context)?;
        order.truncate(self.wanted);
        Ok(Sorted::new(self.buffer, order))
    }
}
