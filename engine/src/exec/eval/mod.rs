//! Evaluation of expressions, over batches ([`eval`]) and over scalars ([`eval_scalar`]).
//!
//! Both give the same values and the same errors; a property test holds them to that. What is
//! common to both:
//!
//! - A strict function is not called where an argument is NULL.
//! - AND, OR, CASE, COALESCE and IN evaluate an operand only for the rows whose result still
//!   depends on it, so `x <> 0 AND 1 / x > 1` never divides by zero. Over a batch that is done by
//!   narrowing it to those rows ([`rows`]), never by evaluating and ignoring errors.
//! - AND and OR hold lists, walked in a loop; the depth of other nesting is bounded by the binder.
//!
//! Over batches, constants and parameters stay scalars ([`Operand::Scalar`]) until a kernel or an
//! output column needs an array; truth values are two bit sets ([`truth`]), so that three-valued
//! logic costs two instructions for 64 rows. Nothing is evaluated for no rows.

mod in_list;
mod lazy;
mod rows;
mod scalar;
mod truth;
mod vector;

pub(crate) use in_list::ValueSets;
pub(crate) use rows::Rows;
pub(crate) use scalar::{Datum, NoRow, Row, eval_scalar, is_true, with_refs, with_values};
pub(crate) use truth::Truth;

use super::ExecContext;
use super::batch::{Batch, internal};
use super::cut;
use crate::error::{Error, Result};
use crate::function::Operand;
use crate::plan::{Expr, ExprKind};
use arrow_array::ArrayRef;
use remora_storage::{DataType, ValueRef};

/// An expression as an operator holds it: with what is worth keeping between batches.
#[derive(Debug)]
pub(crate) struct Evaluator {
    expr: Expr,
    sets: ValueSets,
    /// Whether batches are cut for it where its values are long.
    is_cut: bool,
}

impl Evaluator {
    /// Will evaluate `expr`.
    pub(crate) fn new(expr: Expr) -> Self {
        Self {
            is_cut: !is_plain(&expr) && cut::is_cut_for(&expr),
            expr,
            sets: ValueSets::default(),
        }
    }

    /// Whether it calls no volatile function.
    pub(crate) fn is_stable(&self) -> bool {
        self.expr.is_stable()
    }

    /// Forgets what it has made of parameters: they have other values.
    pub(crate) fn restart(&mut self) {
        self.sets = ValueSets::default();
    }

    /// The expression's type.
    pub(crate) fn data_type(&self) -> DataType {
        self.expr.data_type
    }

    /// The value for each row of the batch, or one for all.
    pub(crate) fn operand(&self, batch: &Batch, context: &ExecContext) -> Result<Operand> {
        vector::eval(&self.expr, &Rows::of(batch), &self.scope(context))
    }

    /// Whether its results may be long, and batches are cut for it: its caller gives it pieces.
    pub(crate) fn is_given_pieces(&self) -> bool {
        self.is_cut && self.expr.data_type.is_variable()
    }

    /// The value for each row of the batch.
    pub(crate) fn array(&self, batch: &Batch, context: &ExecContext) -> Result<ArrayRef> {
        let attempt = |batch: &Batch| {
            let operand = self.operand(batch, context)?;
            Ok(operand.into_array(self.expr.data_type, batch.rows))
        };
        match self.is_cut && !self.expr.data_type.is_variable() {
            true => cut::whole(batch, context, attempt, |arrays| {
                let arrays: Vec<_> = arrays.iter().map(AsRef::as_ref).collect();
                arrow_select::concat::concat(&arrays).map_err(internal)
            }),
            false => attempt(batch),
        }
    }

    /// The values of several expressions for each row of the batch.
    pub(crate) fn arrays(
        exprs: &[Self],
        batch: &Batch,
        context: &ExecContext,
    ) -> Result<Vec<ArrayRef>> {
        let arrays = exprs.iter().map(|expr| expr.array(batch, context));
        arrays.collect()
    }

    /// For which rows of the batch the expression is true.
    pub(crate) fn truth(&self, batch: &Batch, context: &ExecContext) -> Result<Truth> {
        let attempt = |batch: &Batch| {
            let level = context.eval.memory.level();
            let truth = vector::eval_truth(&self.expr, &Rows::of(batch), &self.scope(context))?;
            context.eval.memory.back_to(level);
            Ok(truth)
        };
        match self.is_cut {
            true => cut::whole(batch, context, attempt, |truths| Ok(Truth::joined(&truths))),
            false => attempt(batch),
        }
    }

    fn scope<'a>(&'a self, context: &'a ExecContext) -> Scope<'a> {
        Scope {
            context,
            sets: &self.sets,
        }
    }
}

/// Whether an expression is a column or a constant, or a comparison or the like of these: such are most.
fn is_plain(expr: &Expr) -> bool {
    let is_leaf = |part: &Expr| {
        matches!(
            part.kind,
            ExprKind::Column(_) | ExprKind::Literal(_) | ExprKind::Parameter(_)
        )
    };
    match &expr.kind {
        ExprKind::Call { arguments, .. } => {
            !expr.data_type.is_variable() && arguments.iter().all(is_leaf)
        }
        _ => is_leaf(expr),
    }
}

/// What every step of a vectorised evaluation is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    context: &'a ExecContext,
    sets: &'a ValueSets,
}

impl<'a> Scope<'a> {
    /// A parameter's value. The session binds as many values as the plan asks for.
    fn parameter(self, number: usize) -> ValueRef<'a> {
        scalar::parameter(self.context, number)
    }
}

/// A subquery in a place that has no plan whose rows it could be joined to.
fn unplanned() -> Error {
    Error::unsupported("a subquery in this place")
}

/// Evaluates an expression without columns.
pub(crate) fn eval_constant<'a>(expr: &'a Expr, context: &'a ExecContext) -> Result<Datum<'a>> {
    eval_scalar(expr, &NoRow, context)
}

#[cfg(test)]
mod tests;
