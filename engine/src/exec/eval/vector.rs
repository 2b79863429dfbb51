//! Evaluation over rows of a batch.

use super::super::batch::internal;
use super::{Rows, Scope, Truth, in_list, lazy, unplanned};
use crate::error::Result;
use crate::function::{CallTypes, Operand, Overload, Volatility, cast};
use crate::plan::{Expr, ExprKind, call_types};
use arrow_array::{Array, ArrayRef, new_empty_array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use remora_storage::value::ColumnBuilder;
use remora_storage::{DataType, Value, ValueRef};

/// The value for each of `rows`, or one for all.
pub(super) fn eval(expr: &Expr, rows: &Rows<'_>, scope: &Scope<'_>) -> Result<Operand> {
    if rows.count() == 0 {
        return Ok(Operand::Array(new_empty_array(&expr.data_type.arrow())));
    }
    match &expr.kind {
        ExprKind::Literal(value) => Ok(Operand::Scalar(value.clone())),
        ExprKind::Parameter(number) => Ok(Operand::Scalar(scope.parameter(*number).to_owned())),
        ExprKind::Column(position) => rows.column(*position).map(Operand::Array),
        ExprKind::Call {
            overload,
            arguments,
        } => call(overload, arguments, expr.data_type, rows, scope),
        ExprKind::Host {
            function,
            arguments,
        } => {
            let operands = arguments.iter().map(|argument| eval(argument, rows, scope));
            let operands = operands.collect::<Result<Vec<_>>>()?;
            let context = &scope.context.eval;
            function
                .call_rows(&operands, rows.count(), context)
                .map(Operand::Array)
        }
        ExprKind::Cast { input, explicit } => {
            let context = &scope.context.eval;
            match eval(input, rows, scope)? {
                Operand::Scalar(value) => {
                    cast::cast_value(value.as_ref(), expr.data_type, *explicit, context)
                        .map(Operand::Scalar)
                }
                Operand::Array(array) => {
                    let from = input.data_type;
                    cast::cast_array(&array, from, expr.data_type, *explicit, context)
                        .map(Operand::Array)
                }
            }
        }
        ExprKind::Case {
            branches,
            otherwise,
        } => lazy::case(expr, branches, otherwise.as_deref(), rows, scope),
        ExprKind::Coalesce(items) => lazy::coalesce(expr, items, rows, scope),
        ExprKind::And(_)
        | ExprKind::Or(_)
        | ExprKind::Not(_)
        | ExprKind::IsNull(_)
        | ExprKind::InList { .. } => {
            let truth = eval_truth(expr, rows, scope)?;
            Ok(Operand::Array(truth.into_array()))
        }
        ExprKind::Subquery(_) => Err(unplanned()),
    }
}

/// The truth of a BOOLEAN expression for each of `rows`.
pub(super) fn eval_truth(expr: &Expr, rows: &Rows<'_>, scope: &Scope<'_>) -> Result<Truth> {
    match &expr.kind {
        ExprKind::And(items) => lazy::connective(items, true, rows, scope),
        ExprKind::Or(items) => lazy::connective(items, false, rows, scope),
        ExprKind::Not(input) => Ok(eval_truth(input, rows, scope)?.not()),
        ExprKind::IsNull(input) => Ok(Truth::known(is_null(
            &eval(input, rows, scope)?,
            rows.count(),
        ))),
        ExprKind::InList { input, list } => in_list::eval(input, list, rows, scope),
        _ => Ok(Truth::of(&eval(expr, rows, scope)?, rows.count())),
    }
}

/// Where an operand is NULL.
pub(super) fn is_null(operand: &Operand, rows: usize) -> BooleanBuffer {
    let all = match operand {
        Operand::Scalar(value) => value.is_null(),
        Operand::Array(array) => {
            if let Some(nulls) = array.nulls().map(NullBuffer::inner) {
                return !nulls;
            }
            false
        }
    };
    BooleanBuffer::collect_bool(rows, |_| all)
}

/// Calls a function: once where all arguments are the same for all rows, else its array form.
fn call(
    overload: &'static Overload,
    arguments: &[Expr],
    returns: DataType,
    rows: &Rows<'_>,
    scope: &Scope<'_>,
) -> Result<Operand> {
    let types = || call_types(arguments, returns);
    let mut operands = Vec::with_capacity(arguments.len());
    for argument in arguments {
        operands.push(eval(argument, rows, scope)?);
    }
    let is_null = |operand: &Operand| matches!(operand, Operand::Scalar(Value::Null));
    if overload.strict && operands.iter().any(is_null) {
        return Ok(Operand::Scalar(Value::Null));
    }
    let constant = |operand: &Operand| matches!(operand, Operand::Scalar(_));
    if operands.iter().all(constant) {
        if overload.volatility != Volatility::Volatile {
            return call_once(overload, &operands, types, scope).map(Operand::Scalar);
        }
        // A volatile function has a value a row, and the array form wants one array at least.
        if let (Some(first), Some(argument)) = (operands.first_mut(), arguments.first()) {
            let value = std::mem::replace(first, Operand::Scalar(Value::Null));
            *first = Operand::Array(into_array(value, argument.data_type, rows.count()));
        }
    }
    let context = &scope.context.eval;
    let array = overload.call_over(&operands, types, rows.count(), context)?;
    Ok(Operand::Array(array))
}

fn call_once(
    overload: &Overload,
    operands: &[Operand],
    types: impl FnOnce() -> CallTypes,
    scope: &Scope<'_>,
) -> Result<Value> {
    let values: Vec<ValueRef<'_>> = operands
        .iter()
        .map(|operand| match operand {
            Operand::Scalar(value) => value.as_ref(),
            Operand::Array(_) => ValueRef::Null,
        })
        .collect();
    overload.call(&values, types, &scope.context.eval)
}

/// An operand as an array.
pub(super) fn into_array(operand: Operand, data_type: DataType, rows: usize) -> ArrayRef {
    match operand {
        Operand::Array(array) => array,
        Operand::Scalar(Value::Null) => arrow_array::new_null_array(&data_type.arrow(), rows),
        Operand::Scalar(value) => ColumnBuilder::repeat(data_type, &value, rows),
    }
}

/// Picks each row's value out of one of several arrays.
pub(super) fn interleave(pieces: &[ArrayRef], picks: &[(usize, usize)]) -> Result<ArrayRef> {
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    arrow_select::interleave::interleave(&pieces, picks).map_err(internal)
}
