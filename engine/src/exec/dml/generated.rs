//! Generated columns: computed when all other columns of a row are known, before anything is tested.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::eval::{Datum, Evaluator, Row, eval_scalar};
use super::update::Changed;
use crate::error::Result;
use crate::plan::Expr;
use crate::plan::statement::{Insert, Update};
use remora_storage::Value;

/// The generated columns of batches, by position.
#[derive(Debug)]
pub(crate) struct Generated(Vec<(usize, Evaluator)>);

impl Generated {
    /// Those of a list.
    pub(crate) fn of(columns: impl IntoIterator<Item = (usize, Expr)>) -> Self {
        let columns = columns.into_iter();
        Self(
            columns
                .map(|(position, expr)| (position, Evaluator::new(expr)))
                .collect(),
        )
    }

    /// Computes them for a batch of all columns of the table.
    pub(crate) fn fill(&self, batch: &mut Batch, context: &ExecContext) -> Result<()> {
        for (position, expr) in &self.0 {
            batch.columns[*position] = expr.array(batch, context)?;
        }
        Ok(())
    }
}

/// Computes those of a row that is to be inserted.
pub(crate) fn fill_row(plan: &Insert, row: &mut [Datum<'_>], context: &ExecContext) -> Result<()> {
    for (position, expr) in &plan.generated {
        let value = eval_scalar(expr, &*row, context)?.into_value();
        row[*position] = Datum::Owned(value);
    }
    Ok(())
}

/// What an UPDATE writes to a row, in the order of [`Update::written`]: what is assigned is evaluated over
/// `row`, what follows from that over the table's `old` row with it.
pub(crate) fn new_values<R: Row + ?Sized, O: Row>(
    plan: &Update,
    row: &R,
    old: &O,
    context: &ExecContext,
) -> Result<Vec<Value>> {
    let new = plan.assignments.iter();
    let new = new.map(|(_, expr)| Ok(eval_scalar(expr, row, context)?.into_value()));
    let mut new = new.collect::<Result<Vec<_>>>()?;
    add_generated(plan, old, &mut new, context)?;
    Ok(new)
}

/// Adds what follows from assigned values.
pub(crate) fn add_generated<O: Row>(
    plan: &Update,
    old: &O,
    new: &mut Vec<Value>,
    context: &ExecContext,
) -> Result<()> {
    for (_, expr) in &plan.generated {
        let row = Changed { plan, old, new };
        let value = eval_scalar(expr, &row, context)?.into_value();
        new.push(value);
    }
    Ok(())
}
