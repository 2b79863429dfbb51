//! Limit: a stretch of the rows. The source stops once they are complete.

use crate::error::{Error, Result, state};
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::eval::eval_constant;
use crate::exec::pipeline::{Operator, Step};
use crate::plan::Expr;
use remora_storage::ValueRef;

/// Which rows are wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::exec) struct Stretch {
    /// Rows passed over first.
    pub(in crate::exec) offset: u64,
    /// Rows after them; `None` for all.
    pub(in crate::exec) limit: Option<u64>,
}

impl Stretch {
    /// Evaluates LIMIT and OFFSET; NULL is as if it were not there.
    ///
    /// # Errors
    /// 2201W, 2201X where one is negative.
    pub(in crate::exec) fn new(
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        context: &ExecContext,
    ) -> Result<Self> {
        let offset = count(
            offset,
            state::INVALID_ROW_COUNT_IN_OFFSET,
            "OFFSET",
            context,
        )?;
        let limit = count(limit, state::INVALID_ROW_COUNT_IN_LIMIT, "LIMIT", context)?;
        Ok(Self {
            offset: offset.unwrap_or(0),
            limit,
        })
    }

    /// Rows that must be known to give the stretch; `None` for all.
    pub(in crate::exec) fn end(self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_add(self.offset))
    }
}

fn count(
    expr: Option<&Expr>,
    sqlstate: &'static str,
    clause: &str,
    context: &ExecContext,
) -> Result<Option<u64>> {
    let Some(expr) = expr else { return Ok(None) };
    match eval_constant(expr, context)?.as_ref() {
        ValueRef::BigInt(count) => u64::try_from(count)
            .map(Some)
            .map_err(|_| Error::new(sqlstate, format!("{clause} must not be negative"))),
        _ => Ok(None),
    }
}

/// Passes over `skip` rows, then lets `left` rows through.
#[derive(Debug)]
pub(in crate::exec) struct Limit {
    skip: u64,
    left: u64,
    /// The clauses, where the operator may run again with other parameters.
    again: Option<Box<Again>>,
}

/// LIMIT and OFFSET, and how many rows they ask for.
#[derive(Debug)]
struct Again {
    limit: Option<Expr>,
    offset: Option<Expr>,
    end: Option<u64>,
}

impl Limit {
    pub(in crate::exec) fn new(stretch: Stretch) -> Self {
        Self {
            skip: stretch.offset,
            left: stretch.limit.unwrap_or(u64::MAX),
            again: None,
        }
    }

    /// Makes the operator repeatable; `limit` and `offset` are the clauses of its stretch.
    pub(in crate::exec) fn repeated(self, limit: Option<&Expr>, offset: Option<&Expr>) -> Self {
        let end = self.left.checked_add(self.skip);
        Self {
            again: Some(Box::new(Again {
                limit: limit.cloned(),
                offset: offset.cloned(),
                end,
            })),
            ..self
        }
    }
}

impl Operator for Limit {
    fn push(&mut self, input: &Batch, _: &ExecContext) -> Result<Step> {
        let skipped = self.skip.min(input.rows as u64);
        let taken = self.left.min(input.rows as u64 - skipped);
        self.skip -= skipped;
        self.left -= taken;
        let output = input.slice(skipped as usize, taken as usize);
        Ok(match self.left {
            0 => Step::Last(output),
            _ => Step::Done(output),
        })
    }

    fn restart(&mut self, context: &ExecContext) -> Result<bool> {
        let Some(again) = self.again.as_deref() else {
            return Ok(false);
        };
        let stretch = Stretch::new(again.limit.as_ref(), again.offset.as_ref(), context)?;
        (self.skip, self.left) = (stretch.offset, stretch.limit.unwrap_or(u64::MAX));
        // The source asks for as many rows at a time as were wanted.
        Ok(self.left > 0 && self.left.checked_add(self.skip) == again.end)
    }
}
