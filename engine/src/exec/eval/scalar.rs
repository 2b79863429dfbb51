//! Evaluation over one row of scalars: the point path, VALUES, defaults, keys, limits, checks.
//!
//! Nothing is allocated on the way: literals, parameters and columns are borrowed, arguments of a
//! call lie on the stack. Only a result that is a new string is owned.

use super::super::ExecContext;
use super::unplanned;
use crate::error::Result;
use crate::function::{CallTypes, Overload, cast, owned_bytes};
use crate::plan::{Expr, ExprKind, call_types};
use remora_storage::{DataType, Value, ValueRef};

/// A value, borrowed where it can be.
#[derive(Clone, Debug)]
pub(crate) enum Datum<'a> {
    /// From the plan, a parameter or the row.
    Borrowed(ValueRef<'a>),
    /// Made by a function.
    Owned(Value),
}

impl Datum<'_> {
    /// NULL.
    pub(crate) const NULL: Datum<'static> = Datum::Borrowed(ValueRef::Null);

    /// The value.
    pub(crate) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Borrowed(value) => *value,
            Self::Owned(value) => value.as_ref(),
        }
    }

    /// The value, owned.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Borrowed(value) => value.to_owned(),
            Self::Owned(value) => value,
        }
    }
}

impl From<Option<bool>> for Datum<'_> {
    fn from(truth: Option<bool>) -> Self {
        Self::Borrowed(truth.map_or(ValueRef::Null, ValueRef::Boolean))
    }
}

/// A row that columns are read from.
pub(crate) trait Row {
    /// The value of the column at `position`.
    fn value(&self, position: usize) -> ValueRef<'_>;
}

/// The row of expressions without columns.
#[derive(Debug)]
pub(crate) struct NoRow;

impl Row for NoRow {
    fn value(&self, _position: usize) -> ValueRef<'_> {
        ValueRef::Null
    }
}

impl Row for [Value] {
    fn value(&self, position: usize) -> ValueRef<'_> {
        self[position].as_ref()
    }
}

impl Row for [Datum<'_>] {
    fn value(&self, position: usize) -> ValueRef<'_> {
        self[position].as_ref()
    }
}

impl Row for [ValueRef<'_>] {
    fn value(&self, position: usize) -> ValueRef<'_> {
        self[position]
    }
}

/// A parameter's value; the session binds as many as the plan asks for.
pub(super) fn parameter(context: &ExecContext, number: usize) -> ValueRef<'_> {
    context
        .parameters
        .get(number)
        .map_or(ValueRef::Null, Value::as_ref)
}

/// The expression's value for `row`.
pub(crate) fn eval_scalar<'a, R: Row + ?Sized>(
    expr: &'a Expr,
    row: &'a R,
    context: &'a ExecContext,
) -> Result<Datum<'a>> {
    match &expr.kind {
        ExprKind::Literal(value) => Ok(Datum::Borrowed(value.as_ref())),
        ExprKind::Parameter(number) => Ok(Datum::Borrowed(parameter(context, *number))),
        ExprKind::Column(position) => Ok(Datum::Borrowed(row.value(*position))),
        ExprKind::Call {
            overload,
            arguments,
        } => call(overload, arguments, expr.data_type, row, context),
        ExprKind::Host {
            function,
            arguments,
        } => {
            let values = arguments
                .iter()
                .map(|argument| eval_scalar(argument, row, context));
            let level = context.eval.memory.level();
            let values = values.collect::<Result<Vec<_>>>()?;
            let result = with_refs(&values, |refs| function.call(refs, &context.eval))?;
            settled(result, level, context)
        }
        ExprKind::Cast { input, explicit } => {
            let level = context.eval.memory.level();
            let input = eval_scalar(input, row, context)?;
            let result =
                cast::cast_value(input.as_ref(), expr.data_type, *explicit, &context.eval)?;
            settled(result, level, context)
        }
        ExprKind::And(items) => connective(items, true, row, context).map(Datum::from),
        ExprKind::Or(items) => connective(items, false, row, context).map(Datum::from),
        ExprKind::Not(input) => {
            let truth = truth(&eval_scalar(input, row, context)?);
            Ok(truth.map(|truth| !truth).into())
        }
        ExprKind::IsNull(input) => {
            let input = eval_scalar(input, row, context)?;
            Ok(Some(input.as_ref().is_null()).into())
        }
        ExprKind::Case {
            branches,
            otherwise,
        } => {
            for (condition, result) in branches {
                if is_true(&eval_scalar(condition, row, context)?) {
                    return eval_scalar(result, row, context);
                }
            }
            otherwise
                .as_ref()
                .map_or(Ok(Datum::NULL), |result| eval_scalar(result, row, context))
        }
        ExprKind::Coalesce(items) => {
            for item in items {
                let value = eval_scalar(item, row, context)?;
                if !value.as_ref().is_null() {
                    return Ok(value);
                }
            }
            Ok(Datum::NULL)
        }
        ExprKind::InList { input, list } => in_list(input, list, row, context).map(Datum::from),
        ExprKind::Subquery(_) => Err(unplanned()),
    }
}

/// Whether a BOOLEAN is true, neither false nor NULL.
pub(crate) fn is_true(value: &Datum<'_>) -> bool {
    truth(value) == Some(true)
}

fn truth(value: &Datum<'_>) -> Option<bool> {
    match value.as_ref() {
        ValueRef::Boolean(truth) => Some(truth),
        _ => None,
    }
}

fn connective<R: Row + ?Sized>(
    items: &[Expr],
    all: bool,
    row: &R,
    context: &ExecContext,
) -> Result<Option<bool>> {
    let mut result = Some(all);
    for item in items {
        match truth(&eval_scalar(item, row, context)?) {
            Some(found) if found == all => {}
            Some(found) => return Ok(Some(found)),
            None => result = None,
        }
    }
    Ok(result)
}

fn in_list<R: Row + ?Sized>(
    input: &Expr,
    list: &[Expr],
    row: &R,
    context: &ExecContext,
) -> Result<Option<bool>> {
    let input = eval_scalar(input, row, context)?;
    let wanted = input.as_ref();
    let mut result = (!wanted.is_null()).then_some(false);
    for item in list {
        let item = eval_scalar(item, row, context)?;
        let found = item.as_ref();
        if found.is_null() {
            result = None;
        } else if !wanted.is_null() && found == wanted {
            return Ok(Some(true));
        }
    }
    Ok(result)
}

/// Arguments that a call holds on the stack; few, since calls nest.
const INLINE_ARGUMENTS: usize = 3;
/// Values that [`with_refs`] and [`with_values`] hold on the stack: of a row, and of a key, which
/// is short and so soon ready that clearing places for a row would be noticed.
const INLINE: usize = 16;
const INLINE_KEY: usize = 2;

fn call<'a, R: Row + ?Sized>(
    overload: &'static Overload,
    arguments: &'a [Expr],
    returns: DataType,
    row: &'a R,
    context: &'a ExecContext,
) -> Result<Datum<'a>> {
    let types = || call_types(arguments, returns);
    let level = context.eval.memory.level();
    if arguments.len() <= INLINE_ARGUMENTS {
        let mut values = [const { Datum::NULL }; INLINE_ARGUMENTS];
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = eval_scalar(argument, row, context)?;
        }
        let mut refs = [ValueRef::Null; INLINE_ARGUMENTS];
        for (slot, value) in refs.iter_mut().zip(&values) {
            *slot = value.as_ref();
        }
        let refs = &refs[..arguments.len()];
        let result = apply(overload, refs, types, context)?;
        settled(result, level, context)
    } else {
        let values = arguments
            .iter()
            .map(|argument| eval_scalar(argument, row, context))
            .collect::<Result<Vec<_>>>()?;
        let result = with_refs(&values, |refs| apply(overload, refs, types, context))?;
        settled(result, level, context)
    }
}

fn apply(
    overload: &'static Overload,
    values: &[ValueRef<'_>],
    types: impl FnOnce() -> CallTypes,
    context: &ExecContext,
) -> Result<Value> {
    if overload.strict && values.iter().any(|value| value.is_null()) {
        return Ok(Value::Null);
    }
    overload.call(values, types, &context.eval)
}

/// The result of a call whose arguments are gone, and all that was counted since `level` with them.
#[inline(always)]
fn settled<'a>(result: Value, level: u64, context: &ExecContext) -> Result<Datum<'a>> {
    let memory = &context.eval.memory;
    let has_bytes = matches!(result, Value::Text(_) | Value::Bytea(_) | Value::Packed(..));
    // A number made of numbers, as most are, has nothing to settle.
    if has_bytes || memory.level() != level {
        memory.settle(level, owned_bytes(&result))?;
    }
    Ok(Datum::Owned(result))
}

/// Evaluates expressions without columns and calls `f` with the values, which lie on the stack
/// where there are few, and may be replaced.
pub(crate) fn with_values<'a, T>(
    exprs: &'a [Expr],
    context: &'a ExecContext,
    f: impl FnOnce(&mut [Datum<'a>]) -> Result<T>,
) -> Result<T> {
    match exprs.len() {
        count if count <= INLINE_KEY => with_inline_values::<INLINE_KEY, T>(exprs, context, f),
        count if count <= INLINE => with_inline_values::<INLINE, T>(exprs, context, f),
        _ => {
            let values = exprs.iter().map(|expr| eval_scalar(expr, &NoRow, context));
            f(&mut values.collect::<Result<Vec<_>>>()?)
        }
    }
}

fn with_inline_values<'a, const N: usize, T>(
    exprs: &'a [Expr],
    context: &'a ExecContext,
    f: impl FnOnce(&mut [Datum<'a>]) -> Result<T>,
) -> Result<T> {
    let mut values = [const { Datum::NULL }; N];
    for (value, expr) in values.iter_mut().zip(exprs) {
        *value = eval_scalar(expr, &NoRow, context)?;
    }
    f(&mut values[..exprs.len()])
}

/// Calls `f` with the values, borrowed; the references lie on the stack where there are few.
pub(crate) fn with_refs<T>(values: &[Datum<'_>], f: impl FnOnce(&[ValueRef<'_>]) -> T) -> T {
    match values.len() {
        count if count <= INLINE_KEY => with_inline_refs::<INLINE_KEY, T>(values, f),
        count if count <= INLINE => with_inline_refs::<INLINE, T>(values, f),
        _ => {
            let refs: Vec<ValueRef<'_>> = values.iter().map(Datum::as_ref).collect();
            f(&refs)
        }
    }
}

fn with_inline_refs<const N: usize, T>(
    values: &[Datum<'_>],
    f: impl FnOnce(&[ValueRef<'_>]) -> T,
) -> T {
    let mut refs = [ValueRef::Null; N];
    for (slot, value) in refs.iter_mut().zip(values) {
        *slot = value.as_ref();
    }
    f(&refs[..values.len()])
}
