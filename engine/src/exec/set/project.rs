//! Project: one expression an output column. Plain columns are passed on, not copied. Where sequences are
//! asked several times, one row comes after the other: `currval` in a row gives what `nextval` gave there.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::eval::Evaluator;
use crate::exec::pipeline::{Operator, Step};
use crate::plan::{Expr, ExprKind};

/// Evaluates expressions.
#[derive(Debug)]
pub(in crate::exec) struct Project {
    exprs: Vec<Evaluator>,
    row_by_row: bool,
    /// Whether it is to be given pieces where its values are long: none of them is volatile.
    is_cut: bool,
}

impl Project {
    pub(in crate::exec) fn new(exprs: Vec<Expr>) -> Self {
        let row_by_row = exprs.iter().map(times_asked).sum::<usize>() > 1;
        let exprs: Vec<_> = exprs.into_iter().map(Evaluator::new).collect();
        Self {
            is_cut: exprs.iter().any(Evaluator::is_given_pieces)
                && exprs.iter().all(Evaluator::is_stable),
            exprs,
            row_by_row,
        }
    }

    fn project(&self, input: &Batch, context: &ExecContext) -> Result<Batch> {
        let columns = Evaluator::arrays(&self.exprs, input, context)?;
        Ok(Batch::new(columns, input.rows))
    }
}

impl Operator for Project {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        if self.is_cut && input.rows > 1 {
            let memory = &context.eval.memory;
            let columns = memory.capped(|| self.project(input, context));
            return columns.map(Step::Done);
        }
        if !self.row_by_row {
            return self.project(input, context).map(Step::Done);
        }
        let rows = (0..input.rows).map(|row| self.project(&input.slice(row, 1), context));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        Batch::concat(&rows, self.exprs.len()).map(Step::Done)
    }

    fn restart(&mut self, _: &ExecContext) -> Result<bool> {
        self.exprs.iter_mut().for_each(Evaluator::restart);
        Ok(true)
    }
}

/// How often an expression asks the session, which may answer otherwise after it was asked.
fn times_asked(expr: &Expr) -> usize {
    let is_call =
        |part: &Expr| matches!(part.kind, ExprKind::Call { overload, .. } if overload.needs.any());
    let within = expr.children().into_iter().map(times_asked).sum::<usize>();
    within + usize::from(is_call(expr))
}
