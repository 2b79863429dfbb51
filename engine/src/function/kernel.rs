//! From one definition of a function to its scalar and its array form.
//!
//! The [`function!`] macro takes a signature and a Rust closure over native values and makes an
//! [`Overload`](super::Overload). Both kernels call the same closure:
//!
//! - scalar: the caller has already answered NULL for a NULL argument of a strict function, so the
//!   closure never sees one;
//! - array: the null masks of the arguments are united first and the closure runs only for rows
//!   that are valid, so what lies under a NULL can raise no error. A constant argument is read once
//!   and never spread over an array.
//!
//! Where arguments or results can be long, or are NUMERIC, the array form asks for interrupts at each
//! row: thousands of rows may take seconds. A function that can take as long over one value is
//! `patient`: it is given the context, and asks on its way.
//!
//! Functions of none, of three and more arguments and those that see NULLs have no array form of their own: they go row by
//! row through the scalar form ([`rowwise`]), since they are never what a query spends its time on.

use super::native::SqlType;
use super::{EvalContext, Operand, owned_bytes};
use crate::error::Result;
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_buffer::NullBuffer;
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, Value, ValueRef};

/// Defines an overload: `function!("name"(Arg, Arg) -> Result, "doc", |a, b| ..)`. The closure gives
/// a `Result`. `context` in front makes a function of the [`EvalContext`] alone; `row` one over the
/// raw [`ValueRef`]s, NULLs included; `generic` one of any types that fit its patterns, NULLs included.
/// `strict` leaves the NULLs out.
macro_rules! function {
    ($name:literal ($a:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a], $r, $doc,
            |arguments, _| $crate::function::kernel::scalar1::<
                $crate::function::native::$a, $crate::function::native::$r
            >(arguments, $f),
            Some(|operands, rows, context| $crate::function::kernel::vector1::<
                $crate::function::native::$a, $crate::function::native::$r
            >(operands, rows, context, $f)))
    };
    ($name:literal ($a:ident, $b:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a, $b], $r, $doc,
            |arguments, _| $crate::function::kernel::scalar2::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$r
            >(arguments, $f),
            Some(|operands, rows, context| $crate::function::kernel::vector2::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$r
            >(operands, rows, context, $f)))
    };
    ($name:literal ($a:ident, $b:ident, $c:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a, $b, $c], $r, $doc,
            |arguments, _| $crate::function::kernel::scalar3::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$c, $crate::function::native::$r
            >(arguments, $f), None)
    };
    (patient $name:literal ($a:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a], $r, $doc,
            |arguments, context| $crate::function::kernel::scalar1::<
                $crate::function::native::$a, $crate::function::native::$r
            >(arguments, |a| $f(context, a)),
            Some(|operands, rows, context| $crate::function::kernel::vector1::<
                $crate::function::native::$a, $crate::function::native::$r
            >(operands, rows, context, |a| $f(context, a))))
    };
    (patient $name:literal ($a:ident, $b:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a, $b], $r, $doc,
            |arguments, context| $crate::function::kernel::scalar2::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$r
            >(arguments, |a, b| $f(context, a, b)),
            Some(|operands, rows, context| $crate::function::kernel::vector2::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$r
            >(operands, rows, context, |a, b| $f(context, a, b))))
    };
    (patient $name:literal ($a:ident, $b:ident, $c:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a, $b, $c], $r, $doc,
            |arguments, context| $crate::function::kernel::scalar3::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$c, $crate::function::native::$r
            >(arguments, |a, b, c| $f(context, a, b, c)), None)
    };
    (context $name:literal () -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [], $r, $doc,
            |_, context| $crate::function::kernel::scalar0::<
                $crate::function::native::$r
            >(context, $f), None)
    };
    (row $name:literal ($($a:ident),*) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$($a),*], $r, $doc, $f, None).called_on_null()
    };
    (generic $name:tt ($($a:expr),*) -> $r:expr, $doc:expr, $f:expr) => {
        $crate::function::Overload::generic($name, &[$($a),*], $r, $doc, $f).called_on_null()
    };
    (strict generic $name:tt ($($a:expr),*) -> $r:expr, $doc:expr, $f:expr) => {
        $crate::function::Overload::generic($name, &[$($a),*], $r, $doc, $f)
    };
    (strict row $name:literal ($($a:ident),*) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$($a),*], $r, $doc, $f, None)
    };
}
pub(crate) use function;

/// The parts that all forms of [`function!`] share.
macro_rules! overload {
    ($name:literal, [$($a:ident),*], $r:ident, $doc:literal, $scalar:expr, $vector:expr) => {
        $crate::function::Overload {
            name: $name,
            arguments: &[$(<$crate::function::native::$a as $crate::function::native::SqlType>::TYPE),*],
            variadic: false,
            returns: <$crate::function::native::$r as $crate::function::native::SqlType>::TYPE,
            fields: &[],
            volatility: $crate::function::Volatility::Immutable,
            strict: true,
            needs: $crate::function::Needs::NOTHING,
            kernel: $crate::function::Kernel::Typed {
                scalar: $scalar,
                vector: $vector,
            },
            doc: $doc,
        }
    };
}
pub(crate) use overload;

pub(crate) fn scalar0<R: SqlType>(
    context: &EvalContext,
    f: impl Fn(&EvalContext) -> Result<R::Owned>,
) -> Result<Value> {
    Ok(R::value(f(context)?))
}

pub(crate) fn scalar1<A: SqlType, R: SqlType>(
    arguments: &[ValueRef<'_>],
    f: impl for<'a> Fn(A::Ref<'a>) -> Result<R::Owned>,
) -> Result<Value> {
    Ok(R::value(f(A::of(arguments[0]))?))
}

pub(crate) fn scalar2<A: SqlType, B: SqlType, R: SqlType>(
    arguments: &[ValueRef<'_>],
    f: impl for<'a, 'b> Fn(A::Ref<'a>, B::Ref<'b>) -> Result<R::Owned>,
) -> Result<Value> {
    Ok(R::value(f(A::of(arguments[0]), B::of(arguments[1]))?))
}

pub(crate) fn scalar3<A: SqlType, B: SqlType, C: SqlType, R: SqlType>(
    arguments: &[ValueRef<'_>],
    f: impl for<'a, 'b, 'c> Fn(A::Ref<'a>, B::Ref<'b>, C::Ref<'c>) -> Result<R::Owned>,
) -> Result<Value> {
    let result = f(
        A::of(arguments[0]),
        B::of(arguments[1]),
        C::of(arguments[2]),
    )?;
    Ok(R::value(result))
}

pub(crate) fn vector1<A: SqlType, R: SqlType>(
    operands: &[Operand],
    rows: usize,
    context: &EvalContext,
    f: impl for<'a> Fn(A::Ref<'a>) -> Result<R::Owned>,
) -> Result<ArrayRef> {
    let Some(nulls) = united_nulls(operands) else {
        return Ok(new_null_array(&R::TYPE.arrow(), rows));
    };
    let a = Argument::<A>::of(&operands[0]);
    R::collect(rows, nulls, |row| match A::IS_LONG || R::IS_LONG {
        true => counted::<R>(context, || f(a.at(row))),
        false => f(a.at(row)),
    })
}

pub(crate) fn vector2<A: SqlType, B: SqlType, R: SqlType>(
    operands: &[Operand],
    rows: usize,
    context: &EvalContext,
    f: impl for<'a, 'b> Fn(A::Ref<'a>, B::Ref<'b>) -> Result<R::Owned>,
) -> Result<ArrayRef> {
    let Some(nulls) = united_nulls(operands) else {
        return Ok(new_null_array(&R::TYPE.arrow(), rows));
    };
    let a = Argument::<A>::of(&operands[0]);
    let b = Argument::<B>::of(&operands[1]);
    R::collect(rows, nulls, |row| {
        match A::IS_LONG || B::IS_LONG || R::IS_LONG {
            true => counted::<R>(context, || f(a.at(row), b.at(row))),
            false => f(a.at(row), b.at(row)),
        }
    })
}

/// One call of many that may take long, or give what is long.
#[inline]
fn counted<R: SqlType>(
    context: &EvalContext,
    f: impl FnOnce() -> Result<R::Owned>,
) -> Result<R::Owned> {
    context.check()?;
    let level = context.memory.level();
    let result = f()?;
    context.memory.settle(level, R::heap_bytes(&result))?;
    Ok(result)
}

/// An argument, ready for reading by row. The compiler takes the question which of both it is out of short loops.
enum Argument<'a, T: SqlType> {
    Column(T::Column<'a>),
    Constant(T::Ref<'a>),
}

impl<'a, T: SqlType> Argument<'a, T> {
    /// Of an operand that is not the constant NULL.
    fn of(operand: &'a Operand) -> Self {
        match operand {
            Operand::Array(array) => Self::Column(T::column(array.as_ref())),
            Operand::Scalar(value) => Self::Constant(T::of(value.as_ref())),
        }
    }

    #[inline(always)]
    fn at(&self, row: usize) -> T::Ref<'a> {
        match self {
            Self::Column(column) => T::at(*column, row),
            Self::Constant(value) => *value,
        }
    }
}

/// The rows where an argument is NULL; `None` where a constant is, so that all are.
fn united_nulls(operands: &[Operand]) -> Option<Option<NullBuffer>> {
    let mut united = None;
    for operand in operands {
        match operand {
            Operand::Scalar(Value::Null) => return None,
            Operand::Scalar(_) => {}
            Operand::Array(array) => {
                let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
                united = NullBuffer::union(united.as_ref(), nulls);
            }
        }
    }
    Some(united)
}

/// A function over the arguments of one row. A pointer, so that the loop over rows is compiled once.
pub(super) type RowKernel<'f> = dyn Fn(&[ValueRef<'_>], &EvalContext) -> Result<Value> + 'f;

/// The array form of any function, through its scalar form. `types` are those of the operands; the
/// last repeats.
pub(super) fn rowwise(
    operands: &[Operand],
    (types, returns): (&[DataType], DataType),
    strict: bool,
    rows: usize,
    context: &EvalContext,
    scalar: &RowKernel<'_>,
) -> Result<ArrayRef> {
    let mut out = ColumnBuilder::new(returns, rows);
    let mut arguments = Vec::with_capacity(operands.len());
    for row in 0..rows {
        arguments.clear();
        arguments.extend(operands.iter().enumerate().map(|(i, operand)| {
            let data_type = types.get(i).or(types.last());
            match operand {
                Operand::Array(array) => value_at(
                    array.as_ref(),
                    *data_type.expect("a function with an argument has a type for it"),
                    row,
                ),
                Operand::Scalar(value) => value.as_ref(),
            }
        }));
        if strict && arguments.iter().any(|value| value.is_null()) {
            out.push(ValueRef::Null);
        } else {
            context.check()?;
            let level = context.memory.level();
            let result = scalar(&arguments, context)?;
            context.memory.settle(level, owned_bytes(&result))?;
            out.push_owned(result);
        }
    }
    Ok(out.finish())
}
