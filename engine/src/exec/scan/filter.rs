//! Filter: the rows for which a predicate is true.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::eval::Evaluator;
use crate::exec::pipeline::{Operator, Step};
use crate::plan::Expr;
use arrow_array::BooleanArray;
use arrow_buffer::BooleanBuffer;

/// Keeps rows for which the predicate is neither false nor NULL.
#[derive(Debug)]
pub(in crate::exec) struct Filter(Evaluator);

impl Filter {
    pub(in crate::exec) fn new(predicate: Expr) -> Self {
        Self(Evaluator::new(predicate))
    }

    /// Forgets what it has made of parameters.
    pub(in crate::exec) fn restart(&mut self) {
        self.0.restart();
    }

    /// Which rows pass.
    pub(in crate::exec) fn keep(
        &self,
        batch: &Batch,
        context: &ExecContext,
    ) -> Result<BooleanBuffer> {
        Ok(self.0.truth(batch, context)?.yes)
    }

    /// The rows that pass. A batch that passes whole is not copied.
    pub(in crate::exec) fn apply(&self, batch: &Batch, context: &ExecContext) -> Result<Batch> {
        let keep = self.keep(batch, context)?;
        if !keep.has_false() {
            return Ok(batch.clone());
        }
        batch.filter(&BooleanArray::new(keep, None))
    }
}

impl Operator for Filter {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        self.apply(input, context).map(Step::Done)
    }

    fn restart(&mut self, _: &ExecContext) -> Result<bool> {
        self.restart();
        Ok(true)
    }
}
