//! The forms that evaluate an operand only for the rows that need it: AND, OR, CASE, COALESCE.
//!
//! Each keeps a set of *open* rows, whose result is not decided yet, and narrows to them before it
//! evaluates the next operand. CASE and COALESCE collect the results as pieces, and a pick a row
//! (which piece, which place in it) puts them together at the end; a constant branch is a piece of
//! one value.

use super::vector::{eval, eval_truth, interleave, is_null};
use super::{Rows, Scope, Truth, truth};
use crate::error::Result;
use crate::function::Operand;
use crate::plan::{Expr, ExprKind};
use arrow_array::ArrayRef;
use arrow_buffer::BooleanBuffer;
use remora_storage::{DataType, Value};

/// AND of `items` (`all`), or OR.
pub(super) fn connective(
    items: &[Expr],
    all: bool,
    rows: &Rows<'_>,
    scope: &Scope<'_>,
) -> Result<Truth> {
    let mut result = Truth::constant(Some(all), rows.count());
    for item in items {
        let open = if all { !&result.no } else { !&result.yes };
        let open_count = open.count_set_bits();
        if open_count == 0 {
            break;
        }
        // Narrowing copies the columns that the operand reads: not worth it for a few rows less,
        // where the operand cannot fail.
        let narrow =
            open_count < rows.count() && (open_count * 8 < rows.count() || !cannot_fail(item));
        let next = if narrow {
            let narrowed = rows.narrow(open.clone());
            eval_truth(item, &narrowed, scope)?.spread(&open, all)
        } else {
            eval_truth(item, rows, scope)?
        };
        result = if all {
            result.and(&next)
        } else {
            result.or(&next)
        };
    }
    Ok(result)
}

/// Whether evaluation raises no error for any row: true of comparisons of plain values.
fn cannot_fail(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Parameter(_) | ExprKind::Column(_) => true,
        ExprKind::Not(input) | ExprKind::IsNull(input) => cannot_fail(input),
        ExprKind::And(items) | ExprKind::Or(items) => items.iter().all(cannot_fail),
        ExprKind::Call {
            overload,
            arguments,
        } => {
            matches!(overload.name, "=" | "<>" | "<" | "<=" | ">" | ">=")
                && arguments.iter().all(cannot_fail)
        }
        _ => false,
    }
}

/// CASE.
pub(super) fn case(
    expr: &Expr,
    branches: &[(Expr, Expr)],
    otherwise: Option<&Expr>,
    rows: &Rows<'_>,
    scope: &Scope<'_>,
) -> Result<Operand> {
    let mut parts = Parts::new(expr.data_type, rows.count());
    for (condition, result) in branches {
        if parts.is_complete() {
            break;
        }
        let truth = eval_truth(condition, &rows.narrow(parts.open.clone()), scope)?;
        let met = truth::spread(&truth.yes, &parts.open, false);
        if met.has_true() {
            let value = eval(result, &rows.narrow(met.clone()), scope)?;
            parts.add(value, &met);
        }
    }
    if let Some(otherwise) = otherwise
        && !parts.is_complete()
    {
        let open = parts.open.clone();
        let value = eval(otherwise, &rows.narrow(open.clone()), scope)?;
        parts.add(value, &open);
    }
    parts.finish()
}

/// COALESCE.
pub(super) fn coalesce(
    expr: &Expr,
    items: &[Expr],
    rows: &Rows<'_>,
    scope: &Scope<'_>,
) -> Result<Operand> {
    let mut parts = Parts::new(expr.data_type, rows.count());
    for item in items {
        if parts.is_complete() {
            break;
        }
        let open = parts.open.clone();
        let value = eval(item, &rows.narrow(open.clone()), scope)?;
        let found = !&is_null(&value, open.count_set_bits());
        if found.has_true() {
            parts.add_some(value, &open, &found);
        }
    }
    parts.finish()
}

/// A result in the making.
struct Parts {
    data_type: DataType,
    pieces: Vec<ArrayRef>,
    /// One a row: piece, and place in it. Meaningless for open rows.
    picks: Vec<(usize, usize)>,
    /// Rows without a result.
    open: BooleanBuffer,
}

impl Parts {
    fn new(data_type: DataType, rows: usize) -> Self {
        Self {
            data_type,
            pieces: Vec::new(),
            picks: vec![(0, 0); rows],
            open: BooleanBuffer::new_set(rows),
        }
    }

    fn is_complete(&self) -> bool {
        !self.open.has_true()
    }

    /// Gives the rows of `at` their result; `value` has one value for each of them.
    fn add(&mut self, value: Operand, at: &BooleanBuffer) {
        let found = BooleanBuffer::new_set(at.count_set_bits());
        self.add_some(value, at, &found);
    }

    /// Gives those rows of `at` a result that are set in `found`; `value` and `found` have one
    /// value for each row of `at`.
    fn add_some(&mut self, value: Operand, at: &BooleanBuffer, found: &BooleanBuffer) {
        let piece = self.pieces.len();
        let (constant, length) = match &value {
            Operand::Scalar(_) => (true, 1),
            Operand::Array(array) => (false, array.len()),
        };
        for (position, (row, found)) in at.set_indices().zip(found).enumerate() {
            if found {
                self.picks[row] = (piece, if constant { 0 } else { position });
            }
        }
        let decided = truth::spread(found, at, false);
        self.open = &self.open & &!&decided;
        self.pieces.push(value.into_array(self.data_type, length));
    }

    fn finish(mut self) -> Result<Operand> {
        if !self.is_complete() {
            let open = self.open.clone();
            self.add(Operand::Scalar(Value::Null), &open);
        }
        interleave(&self.pieces, &self.picks).map(Operand::Array)
    }
}
