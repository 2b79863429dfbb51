//! Project: one expression an output column. Plain columns are passed on, not copied.

use super::ExecContext;
use super::batch::Batch;
use super::eval::Evaluator;
use super::pipeline::{Operator, Step};
use crate::error::Result;
use crate::plan::Expr;

/// Evaluates expressions.
#[derive(Debug)]
pub(super) struct Project(Vec<Evaluator>);

impl Project {
    pub(super) fn new(exprs: Vec<Expr>) -> Self {
        Self(exprs.into_iter().map(Evaluator::new).collect())
    }
}

impl Operator for Project {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let columns = self.0.iter().map(|expr| expr.array(input, context));
        let columns = columns.collect::<Result<_>>()?;
        Ok(Step::Done(Batch::new(columns, input.rows)))
    }
}
