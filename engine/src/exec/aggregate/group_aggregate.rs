//! GroupAggregate: groups whose rows follow each other, each given as soon as it is complete.
//!
//! ```text
//!   keys of a batch     a a b b c c        a and b are complete, if the batch before did not end with them
//!                       ------- ---
//!                       groups  stay open
//! ```
//!
//! The rows of complete groups are grouped as any others ([`Aggregation`]), and so are those that stay open, which the
//! next batch may go on with. So whoever wants the first groups only reads no more than their rows and a batch.

use super::keys::Keys;
use super::{Aggregation, Groups};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::eval::Evaluator;
use crate::exec::pipeline::{Pipeline, Sink, Source};
use crate::plan::Expr;
use crate::plan::physical::AggregateCall;

/// Groups the rows of a pipeline.
#[derive(Debug)]
pub(in crate::exec) struct GroupAggregate<'t> {
    input: Pipeline<'t>,
    groups: Vec<Expr>,
    calls: Vec<AggregateCall>,
    keys: Vec<Evaluator>,
    open: Option<Open>,
    /// Complete groups that are to be given.
    complete: Option<Groups>,
}

/// The group that the rows so far ended with.
#[derive(Debug)]
struct Open {
    rows: Aggregation,
    /// The keys of a batch, and a row of it that is in the group.
    keys: Keys,
    row: usize,
}

impl<'t> GroupAggregate<'t> {
    pub(in crate::exec) fn new(
        input: Pipeline<'t>,
        groups: &[Expr],
        calls: &[AggregateCall],
    ) -> Self {
        Self {
            input,
            groups: groups.to_vec(),
            calls: calls.to_vec(),
            keys: groups.iter().cloned().map(Evaluator::new).collect(),
            open: None,
            complete: None,
        }
    }

    /// Takes a batch; leaves the groups in `complete` that ended in it, or before it.
    fn take(&mut self, batch: &Batch, context: &ExecContext) -> Result<()> {
        let keys = Keys::evaluate(&self.keys, batch, context)?;
        let last = batch.rows - 1;
        let begin = (0..last).rev().find(|row| !keys.same(*row, &keys, last));
        let begin = begin.map_or(0, |row| row + 1);
        let goes_on = match &self.open {
            Some(open) if begin == 0 => keys.same(last, &open.keys, open.row),
            _ => false,
        };
        if goes_on && let Some(open) = &mut self.open {
            return open.rows.push(batch.clone(), context);
        }
        let new = || Aggregation::new(&self.groups, &self.calls);
        let ended = match (self.open.take(), begin) {
            (None, 0) => None,
            (Some(open), 0) => Some(open.rows),
            (open, _) => {
                let mut rows = open.map_or_else(new, |open| open.rows);
                rows.push(batch.slice(0, begin), context)?;
                Some(rows)
            }
        };
        let mut rows = new();
        rows.push(batch.slice(begin, batch.rows - begin), context)?;
        self.open = Some(Open {
            rows,
            keys,
            row: last,
        });
        self.complete = ended.map(|rows| rows.finish(context)).transpose()?;
        Ok(())
    }
}

impl Source for GroupAggregate<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        loop {
            if let Some(complete) = &mut self.complete {
                if let Some(batch) = complete.next(context)? {
                    return Ok(Some(batch));
                }
                self.complete = None;
            }
            match (self.input.next(context)?, self.open.take()) {
                (Some(batch), open) => {
                    self.open = open;
                    self.take(&batch, context)?;
                }
                (None, Some(open)) => self.complete = Some(open.rows.finish(context)?),
                (None, None) => return Ok(None),
            }
        }
    }
}
