//! Ordered: the rows of an aggregate that wants those of a group in order.
//!
//! They are kept until all are there, sorted by group and then as the aggregate asks, and given to it so: a
//! group after the other. What they are ordered by is kept as key bytes only.

use super::sort_buffer::SortBuffer;
use crate::error::Result;
use crate::exec::batch::Batch;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::function::aggregate::Accumulator;
use crate::plan::{Expr, SortKey};
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use remora_storage::DataType;

/// Rows that wait: the group's number, the arguments.
#[derive(Debug)]
pub(in crate::exec) struct Ordered {
    buffer: SortBuffer,
    /// Columns of a row that are kept.
    width: usize,
}

impl Ordered {
    /// Of an aggregate of so many arguments; `group_type` is that of the numbers of groups.
    pub(in crate::exec) fn new(arguments: usize, order: &[SortKey], group_type: DataType) -> Self {
        let width = 1 + arguments;
        let group = SortKey {
            expr: Expr::column(0, group_type),
            descending: false,
            nulls_first: false,
        };
        let keys = order.iter().enumerate().map(|(position, key)| SortKey {
            expr: Expr::column(width + position, key.expr.data_type),
            ..key.clone()
        });
        let keys: Vec<SortKey> = std::iter::once(group).chain(keys).collect();
        Self {
            buffer: SortBuffer::new(&keys),
            width,
        }
    }

    /// Adds rows: the groups' numbers, the arguments, what is ordered by.
    pub(in crate::exec) fn push(
        &mut self,
        mut columns: Vec<ArrayRef>,
        rows: usize,
        context: &ExecContext,
    ) -> Result<()> {
        let all = Batch::new(columns.clone(), rows);
        let keys = self.buffer.keys_of(&all, context)?;
        columns.truncate(self.width);
        self.buffer.push(Batch::new(columns, rows), &keys, context)
    }

    /// Gives all rows in order.
    pub(in crate::exec) fn drain(
        &mut self,
        accumulator: &mut dyn Accumulator,
        count: usize,
        context: &ExecContext,
    ) -> Result<()> {
        let order = self.buffer.sorted(context)?;
        self.buffer.drop_keys();
        for rows in order.chunks(BATCH_ROWS) {
            context.check()?;
            let batch = self.buffer.gather(rows)?;
            let groups = batch.columns[0].as_primitive::<Int64Type>().values();
            let groups: Vec<u32> = groups.iter().map(|group| *group as u32).collect();
            accumulator.update(&groups, count, &batch.columns[1..], &context.eval)?;
        }
        Ok(())
    }
}
