//! Generated columns: computed when all other columns of a row are known, before anything is tested.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::eval::{Datum, Evaluator, Row, eval_scalar};
use crate::error::Result;
use crate::plan::Expr;
use crate::plan::statement::{Insert, Update};
use remora_storage::{Value, ValueRef};

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

/// Computes the generated columns of a row that is to be inserted.
pub(crate) fn fill_row(plan: &Insert, row: &mut [Datum<'_>], context: &ExecContext) -> Result<()> {
    for (position, expr) in &plan.generated {
        let value = eval_scalar(expr, &*row, context)?.into_value();
        row[*position] = Datum::Owned(value);
    }
    Ok(())
}

/// A row as an UPDATE makes it: new values over an old row. The values are those of the first of the columns that the
/// plan writes: generated columns come last.
#[derive(Debug)]
pub(crate) struct Changed<'a, R> {
    pub(crate) plan: &'a Update,
    pub(crate) old: &'a R,
    pub(crate) new: &'a [Value],
}

impl<R: Row> Row for Changed<'_, R> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        let id = self.plan.table.def.columns[position].id;
        let mut written = self.plan.written().zip(self.new);
        match written.find(|((column, _), _)| *column == id) {
            Some((_, new)) => new.as_ref(),
            None => self.old.value(position),
        }
    }
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
