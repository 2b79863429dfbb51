//! Aggregate: groups in order of first appearance, and aggregates of each.
//!
//! 1. The group keys of a batch are numbered by a [`KeyTable`]: row -> group number.
//! 2. The rows that bring new groups are kept as the groups' key columns; nothing is decoded.
//! 3. Each aggregate's accumulator is given the group numbers and its argument columns, after
//!    FILTER and DISTINCT have taken rows away; one that wants its rows in order is given all at the end
//!    (`ordered`).
//! 4. At the end key columns and results are given out side by side, a batch at a time.
//!
//! Without GROUP BY there is one group, also of no rows.

pub(super) mod distinct;
pub(super) mod fold;
pub(super) mod group_aggregate;
pub(super) mod grouping_sets;
pub(super) mod key_table;
pub(super) mod keys;

use super::batch::Batch;
use super::cut::Pieces;
use super::eval::Evaluator;
use super::memory::Held;
use super::pipeline::{Sink, Source};
use super::sort::ordered::Ordered;
use super::{BATCH_ROWS, ExecContext};
use crate::error::Result;
use crate::function::aggregate::Accumulator;
use crate::function::aggregate::host::Callable;
use crate::function::cast::cast_array;
use crate::plan::Expr;
use crate::plan::physical::AggregateCall;
use arrow_array::{ArrayRef, BooleanArray, UInt32Array};
use arrow_buffer::BooleanBuffer;
use distinct::Seen;
use key_table::KeyTable;
use keys::Keys;
use remora_storage::DataType;
use std::fmt;

/// Groups rows.
#[derive(Debug)]
pub(super) struct Aggregation {
    groups: Vec<Evaluator>,
    types: Vec<DataType>,
    /// `None` without GROUP BY.
    table: Option<KeyTable>,
    /// The key columns of the groups, in pieces.
    firsts: Vec<Batch>,
    first_bytes: usize,
    calls: Vec<Call>,
    numbers: Vec<u32>,
    held: Held,
}

impl Aggregation {
    pub(super) fn new(groups: &[Expr], aggregates: &[AggregateCall]) -> Self {
        let types: Vec<_> = groups.iter().map(|group| group.data_type).collect();
        Self {
            groups: groups.iter().cloned().map(Evaluator::new).collect(),
            table: (!groups.is_empty()).then(|| KeyTable::new(&types)),
            types,
            firsts: Vec::new(),
            first_bytes: 0,
            calls: aggregates.iter().map(Call::new).collect(),
            numbers: Vec::new(),
            held: Held::default(),
        }
    }

    /// Numbers the groups of the rows; returns how many groups there are by now.
    fn number(&mut self, batch: &Batch, context: &ExecContext) -> Result<usize> {
        let Some(table) = &mut self.table else {
            self.numbers.clear();
            self.numbers.resize(batch.rows, 0);
            return Ok(1);
        };
        let columns = Evaluator::arrays(&self.groups, batch, context)?;
        let keys = Keys::of(&columns, &self.types, batch.rows);
        let before = table.len();
        let bytes = table.bytes() + table.growth(&keys);
        self.held.reach(bytes + self.first_bytes, context)?;
        table.insert(&keys, &mut self.numbers)?;
        if table.len() > before {
            let mut next = before as u32;
            let new = BooleanBuffer::collect_bool(batch.rows, |row| {
                let new = self.numbers[row] == next;
                next += u32::from(new);
                new
            });
            let firsts = Batch::new(columns, batch.rows)
                .filter(&BooleanArray::new(new, None))?
                .compact();
            self.first_bytes += firsts.bytes();
            self.firsts.push(firsts);
        }
        Ok(table.len())
    }
}

impl Sink for Aggregation {
    type Output = Groups;

    fn push(&mut self, batch: Batch, context: &ExecContext) -> Result<()> {
        let memory = &context.eval.memory;
        let level = memory.level();
        let count = self.number(&batch, context)?;
        for call in &mut self.calls {
            call.update(&batch, &self.numbers, count, context)?;
        }
        memory.back_to(level);
        let tables = self.table.as_ref().map_or(0, KeyTable::bytes);
        let states: usize = self.calls.iter().map(|call| call.accumulator.bytes()).sum();
        self.held.reach(tables + self.first_bytes + states, context)
    }

    fn finish(mut self, context: &ExecContext) -> Result<Groups> {
        let count = self.table.as_ref().map_or(1, KeyTable::len);
        self.table = None;
        // Each result is made beside its state.
        let states: usize = self.calls.iter().map(|call| call.accumulator.bytes()).sum();
        self.held.reach(self.first_bytes + 2 * states, context)?;
        let mut columns = Batch::concat(&self.firsts, self.groups.len())?.columns;
        if count > 0 {
            for call in &mut self.calls {
                columns.push(call.finish(count, context)?);
            }
        }
        self.firsts.clear();
        self.calls.clear();
        let all = Batch::new(columns, count);
        self.held.reach(all.bytes(), context)?;
        Ok(Groups {
            all,
            given: 0,
            _held: self.held,
        })
    }
}

/// Finished groups.
#[derive(Debug)]
pub(super) struct Groups {
    all: Batch,
    given: usize,
    _held: Held,
}

impl Source for Groups {
    fn next(&mut self, _: &ExecContext) -> Result<Option<Batch>> {
        let rows = (self.all.rows - self.given).min(BATCH_ROWS);
        let batch = self.all.slice(self.given, rows);
        self.given += rows;
        Ok((rows > 0).then_some(batch))
    }
}

/// One aggregate at work.
struct Call {
    aggregate: Callable,
    arguments: Vec<Evaluator>,
    filter: Option<Evaluator>,
    /// What its rows are ordered by, and those that wait for that.
    order: Vec<Evaluator>,
    ordered: Option<Ordered>,
    /// Of DISTINCT: pairs of group and arguments that were counted.
    seen: Option<Seen>,
    data_type: DataType,
    accumulator: Box<dyn Accumulator>,
    /// Whether batches are cut for its arguments.
    is_cut: bool,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.aggregate.fmt(f)
    }
}

/// Group numbers as a key column. They stay below 2^32, so the bits fit a BIGINT.
const GROUP_TYPE: DataType = DataType::BigInt;

impl Call {
    fn new(call: &AggregateCall) -> Self {
        let arguments: Vec<_> = call.arguments.iter().cloned().map(Evaluator::new).collect();
        let exprs = || {
            call.arguments
                .iter()
                .chain(call.order.iter().map(|key| &key.expr))
        };
        let types = || {
            let arguments = arguments.iter().map(Evaluator::data_type);
            std::iter::once(GROUP_TYPE)
                .chain(arguments)
                .collect::<Vec<_>>()
        };
        Self {
            is_cut: arguments.iter().any(Evaluator::is_given_pieces)
                && exprs().all(Expr::is_stable),
            aggregate: call.aggregate.clone(),
            seen: call.distinct.then(|| Seen::new(&types())),
            filter: call.filter.clone().map(Evaluator::new),
            order: (call.order.iter())
                .map(|key| Evaluator::new(key.expr.clone()))
                .collect(),
            ordered: (!call.order.is_empty())
                .then(|| Ordered::new(call.arguments.len(), &call.order, GROUP_TYPE)),
            arguments,
            data_type: call.data_type,
            accumulator: call.start(),
        }
    }

    fn update(
        &mut self,
        batch: &Batch,
        groups: &[u32],
        count: usize,
        context: &ExecContext,
    ) -> Result<()> {
        let Some(filter) = &self.filter else {
            return self.add(batch, groups, count, context);
        };
        let keep = filter.truth(batch, context)?.yes;
        let kept: Vec<u32> = keep.set_indices().map(|row| groups[row]).collect();
        let batch = batch.filter(&BooleanArray::new(keep, None))?;
        self.add(&batch, &kept, count, context)
    }

    fn add(
        &mut self,
        batch: &Batch,
        groups: &[u32],
        count: usize,
        context: &ExecContext,
    ) -> Result<()> {
        let mut pieces = Pieces::of(batch.clone(), self.is_cut, context);
        let mut rest = groups;
        while let Some((piece, columns)) = pieces.next(context, |piece| {
            let exprs = self.arguments.iter().chain(&self.order);
            exprs.map(|expr| expr.array(piece, context)).collect()
        })? {
            let (groups, behind) = rest.split_at(piece.rows);
            rest = behind;
            let before = context.eval.memory.level();
            self.add_columns(columns, groups, count, context)?;
            // The states are not reserved before the whole batch has been taken.
            pieces.keep(context.eval.memory.level().saturating_sub(before));
        }
        Ok(())
    }

    /// Adds rows of whose arguments, and keys of the order, these are the values.
    fn add_columns(
        &mut self,
        mut columns: Vec<ArrayRef>,
        groups: &[u32],
        count: usize,
        context: &ExecContext,
    ) -> Result<()> {
        let rows = groups.len();
        let mut fresh = Vec::new();
        let mut groups = groups;
        if let Some(seen) = &mut self.seen {
            let mut keys = vec![numbers(groups)];
            keys.extend(columns[..self.arguments.len()].iter().cloned());
            let types: Vec<_> = std::iter::once(GROUP_TYPE)
                .chain(self.arguments.iter().map(Evaluator::data_type))
                .collect();
            let new = seen.new_rows(&Keys::of(&keys, &types, rows), context)?;
            let new = UInt32Array::from_iter_values(new.set_indices_u32());
            let kept = new.values().iter().map(|row| groups[*row as usize]);
            fresh.extend(kept);
            groups = &fresh;
            columns = Batch::new(columns, rows).take(&new)?.columns;
        }
        match &mut self.ordered {
            None => self
                .accumulator
                .update(groups, count, &columns, &context.eval),
            Some(ordered) => {
                columns.insert(0, numbers(groups));
                ordered.push(columns, groups.len(), context)
            }
        }
    }

    fn finish(&mut self, count: usize, context: &ExecContext) -> Result<ArrayRef> {
        if let Some(mut ordered) = self.ordered.take() {
            ordered.drain(&mut *self.accumulator, count, context)?;
        }
        let result = self.accumulator.finish(count, &context.eval)?;
        if *result.data_type() == self.data_type.arrow() {
            return Ok(result);
        }
        // min and max keep the modifier of their argument, which the accumulator may not know.
        let from = self.aggregate.returns();
        cast_array(&result, from, self.data_type, false, &context.eval)
    }
}

/// Group numbers as a column.
fn numbers(groups: &[u32]) -> ArrayRef {
    let numbers = groups.iter().map(|group| i64::from(*group));
    std::sync::Arc::new(arrow_array::Int64Array::from_iter_values(numbers))
}
