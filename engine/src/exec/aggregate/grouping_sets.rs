//! GroupingSets: an aggregation for each set, all fed by the same rows. What they give is put together one set
//! after the other, with NULLs for the groups that a set has not.

use super::{Aggregation, Groups};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::pipeline::{Sink, Source};
use crate::plan::Expr;
use crate::plan::grouping_sets;
use crate::plan::physical::AggregateCall;
use arrow_array::{ArrayRef, Int32Array, new_null_array};
use remora_storage::DataType;
use std::collections::VecDeque;
use std::sync::Arc;

/// Aggregates by several sets.
#[derive(Debug)]
pub(in crate::exec) struct GroupingSets {
    sets: Vec<(Layout, Aggregation)>,
}

/// How a set's rows become rows of the result.
#[derive(Debug)]
struct Layout {
    /// Of each group its type, and its place among the set's groups if it is there.
    groups: Vec<(DataType, Option<usize>)>,
    /// How many groups the set has; behind them come the aggregates.
    width: usize,
    /// What each `grouping(..)` says.
    bits: Vec<i32>,
}

impl GroupingSets {
    pub(in crate::exec) fn new(
        groups: &[Expr],
        aggregates: &[AggregateCall],
        sets: &grouping_sets::GroupingSets,
    ) -> Self {
        let one = |set: &Vec<usize>| {
            let own: Vec<Expr> = set.iter().map(|group| groups[*group].clone()).collect();
            let place = |group: usize| set.iter().position(|found| *found == group);
            let all = groups.iter().enumerate();
            let bits =
                |(_, asked): &(usize, Vec<usize>)| grouping_sets::GroupingSets::bits(set, asked);
            let layout = Layout {
                groups: all
                    .map(|(at, group)| (group.data_type, place(at)))
                    .collect(),
                width: set.len(),
                bits: sets.groupings.iter().map(bits).collect(),
            };
            (layout, Aggregation::new(&own, aggregates))
        };
        Self {
            sets: sets.sets.iter().map(one).collect(),
        }
    }
}

impl Sink for GroupingSets {
    type Output = Sets;

    fn push(&mut self, batch: Batch, context: &ExecContext) -> Result<()> {
        for (_, aggregation) in &mut self.sets {
            context.check()?;
            aggregation.push(batch.clone(), context)?;
        }
        Ok(())
    }

    fn finish(self, context: &ExecContext) -> Result<Sets> {
        let sets = self.sets.into_iter();
        let sets = sets.map(|(layout, aggregation)| Ok((layout, aggregation.finish(context)?)));
        Ok(Sets(sets.collect::<Result<_>>()?))
    }
}

/// The finished groups of each set; of the first one some may have been given.
#[derive(Debug)]
pub(in crate::exec) struct Sets(VecDeque<(Layout, Groups)>);

impl Source for Sets {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        while let Some((layout, groups)) = self.0.front_mut() {
            if let Some(batch) = groups.next(context)? {
                return Ok(Some(layout.arrange(&batch)));
            }
            self.0.pop_front();
        }
        Ok(None)
    }
}

impl Layout {
    fn arrange(&self, batch: &Batch) -> Batch {
        let rows = batch.rows;
        let group = |(data_type, place): &(DataType, Option<usize>)| match place {
            Some(place) => batch.columns[*place].clone(),
            None => new_null_array(&data_type.arrow(), rows),
        };
        let mut columns: Vec<ArrayRef> = self.groups.iter().map(group).collect();
        columns.extend_from_slice(&batch.columns[self.width..]);
        let constant = |bits: &i32| Arc::new(Int32Array::from_value(*bits, rows)) as ArrayRef;
        columns.extend(self.bits.iter().map(constant));
        Batch::new(columns, rows)
    }
}
