//! Evaluation over rows of a batch.

use super::super::batch::internal;
use super::{Rows, Scope, Truth, in_list, lazy, unplanned};
use crate::error::Result;
use crate::function::{CallTypes, EvalContext, Operand, Overload, Volatility, cast, owned_bytes};
use crate::plan::{Expr, ExprKind, call_types};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, new_empty_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_schema::DataType as ArrowType;
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
            let context = &scope.context.eval;
            let level = context.memory.level();
            let operands = operands.collect::<Result<Vec<_>>>()?;
            let array = function.call_rows(&operands, rows.count(), context)?;
            settled(array, &operands, level, context)
        }
        ExprKind::Cast { input, explicit } => {
            let context = &scope.context.eval;
            let level = context.memory.level();
            let (from, to) = (input.data_type, expr.data_type);
            let operand = eval(input, rows, scope)?;
            match &operand {
                Operand::Scalar(value) => constant(level, context, || {
                    cast::cast_value(value.as_ref(), to, *explicit, context)
                }),
                Operand::Array(array) => {
                    let result = cast::cast_array(array, from, to, *explicit, context)?;
                    settled(result, &[operand], level, context)
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
    let context = &scope.context.eval;
    let level = context.memory.level();
    let mut operands = Vec::with_capacity(arguments.len());
    for argument in arguments {
        operands.push(eval(argument, rows, scope)?);
    }
    let is_null = |operand: &Operand| matches!(operand, Operand::Scalar(Value::Null));
    if overload.strict && operands.iter().any(is_null) {
        return Ok(Operand::Scalar(Value::Null));
    }
    let is_constant = |operand: &Operand| matches!(operand, Operand::Scalar(_));
    if operands.iter().all(is_constant) {
        if overload.volatility != Volatility::Volatile {
            return constant(level, context, || {
                call_once(overload, &operands, types, scope)
            });
        }
        // A volatile function has a value a row, and the array form wants one array at least.
        if let (Some(first), Some(argument)) = (operands.first_mut(), arguments.first()) {
            let value = std::mem::replace(first, Operand::Scalar(Value::Null));
            *first = Operand::Array(value.into_array(argument.data_type, rows.count()));
        }
    }
    let array = overload.call_over(&operands, types, rows.count(), context)?;
    settled(array, &[], level, context)
}

/// The result of a call whose arguments are gone, and all that was counted since `level` with them; but for one whose
/// values are those of an argument: that has made nothing.
#[inline]
fn settled(
    result: ArrayRef,
    arguments: &[Operand],
    level: u64,
    context: &EvalContext,
) -> Result<Operand> {
    let is_argument = |argument: &Operand| match argument {
        Operand::Array(array) => shares_values(array, &result),
        Operand::Scalar(_) => false,
    };
    if !arguments.iter().any(is_argument) {
        (context.memory).settle(level, made_bytes(result.as_ref()))?;
    }
    Ok(Operand::Array(result))
}

/// A value that is the same for all rows: fewer rows would not make it shorter.
fn constant(
    level: u64,
    context: &EvalContext,
    make: impl FnOnce() -> Result<Value>,
) -> Result<Operand> {
    let value = context.memory.uncapped(make)?;
    (context.memory).settle_beside_cap(level, owned_bytes(&value))?;
    Ok(Operand::Scalar(value))
}

/// Bytes of an array beside those of fixed width.
fn made_bytes(array: &dyn Array) -> usize {
    long_values(array).iter().map(Buffer::len).sum()
}

/// Whether one array has the values of the other, as where a cast changes no more than the type.
fn shares_values(array: &ArrayRef, other: &ArrayRef) -> bool {
    match (long_values(array.as_ref()), long_values(other.as_ref())) {
        ([one, ..], [other, ..]) => one.as_ptr() == other.as_ptr(),
        _ => false,
    }
}

fn long_values(array: &dyn Array) -> &[Buffer] {
    match array.data_type() {
        ArrowType::Utf8View => array.as_string_view().data_buffers(),
        ArrowType::BinaryView => array.as_binary_view().data_buffers(),
        _ => &[],
    }
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

/// Picks each row's value out of one of several arrays.
pub(super) fn interleave(pieces: &[ArrayRef], picks: &[(usize, usize)]) -> Result<ArrayRef> {
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    arrow_select::interleave::interleave(&pieces, picks).map_err(internal)
}
