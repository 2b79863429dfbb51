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
//! Functions of three and more arguments and those that see NULLs go row by row through their
//! scalar form ([`rowwise`]): they are never what a query spends its time on.

use super::native::SqlType;
use super::{EvalContext, Operand};
use crate::error::Result;
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_buffer::NullBuffer;
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, Value, ValueRef};

/// Defines an overload: `function!("name"(Arg, Arg) -> Result, "doc", |a, b| ..)`. The closure gives
/// a `Result`. `context` in front makes a function of the [`EvalContext`] alone; `row` one over the
/// raw [`ValueRef`]s, NULLs included.
macro_rules! function {
    ($name:literal ($a:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a], $r, $doc,
            |arguments, _| $crate::function::kernel::scalar1::<
                $crate::function::native::$a, $crate::function::native::$r
            >(arguments, $f),
            |operands, rows, context| $crate::function::kernel::vector1::<
                $crate::function::native::$a, $crate::function::native::$r
            >(operands, rows, context, $f))
    };
    ($name:literal ($a:ident, $b:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a, $b], $r, $doc,
            |arguments, _| $crate::function::kernel::scalar2::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$r
            >(arguments, $f),
            |operands, rows, context| $crate::function::kernel::vector2::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$r
            >(operands, rows, context, $f))
    };
    ($name:literal ($a:ident, $b:ident, $c:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a, $b, $c], $r, $doc,
            |arguments, _| $crate::function::kernel::scalar3::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$c, $crate::function::native::$r
            >(arguments, $f),
            |operands, rows, context| {
                use $crate::function::native::{self, SqlType};
                $crate::function::kernel::rowwise(
                    operands, &[native::$a::TYPE, native::$b::TYPE, native::$c::TYPE],
                    native::$r::TYPE, true, rows, context,
                    &|arguments, _| $crate::function::kernel::scalar3::<
                        native::$a, native::$b, native::$c, native::$r
                    >(arguments, $f))
            })
    };
    (patient $name:literal ($a:ident, $b:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a, $b], $r, $doc,
            |arguments, context| $crate::function::kernel::scalar2::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$r
            >(arguments, |a, b| $f(context, a, b)),
            |operands, rows, context| $crate::function::kernel::vector2::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$r
            >(operands, rows, context, |a, b| $f(context, a, b)))
    };
    (patient $name:literal ($a:ident, $b:ident, $c:ident) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$a, $b, $c], $r, $doc,
            |arguments, context| $crate::function::kernel::scalar3::<
                $crate::function::native::$a, $crate::function::native::$b,
                $crate::function::native::$c, $crate::function::native::$r
            >(arguments, |a, b, c| $f(context, a, b, c)),
            |operands, rows, context| {
                use $crate::function::native::{self, SqlType};
                $crate::function::kernel::rowwise(
                    operands, &[native::$a::TYPE, native::$b::TYPE, native::$c::TYPE],
                    native::$r::TYPE, true, rows, context,
                    &|arguments, context| $crate::function::kernel::scalar3::<
                        native::$a, native::$b, native::$c, native::$r
                    >(arguments, |a, b, c| $f(context, a, b, c)))
            })
    };
    (context $name:literal () -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [], $r, $doc,
            |_, context| $crate::function::kernel::scalar0::<
                $crate::function::native::$r
            >(context, $f),
            |_, rows, context| $crate::function::kernel::vector0::<
                $crate::function::native::$r
            >(rows, context, $f))
    };
    (row $name:literal ($($a:ident),*) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$($a),*], $r, $doc, $f,
            |operands, rows, context| {
                use $crate::function::native::{self, SqlType};
                $crate::function::kernel::rowwise(
                    operands, &[$(native::$a::TYPE),*], native::$r::TYPE, false, rows, context, &$f)
            }).called_on_null()
    };
    (strict row $name:literal ($($a:ident),*) -> $r:ident, $doc:literal, $f:expr) => {
        $crate::function::kernel::overload!($name, [$($a),*], $r, $doc, $f,
            |operands, rows, context| {
                use $crate::function::native::{self, SqlType};
                $crate::function::kernel::rowwise(
                    operands, &[$(native::$a::TYPE),*], native::$r::TYPE, true, rows, context, &$f)
            })
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

pub(crate) fn vector0<R: SqlType>(
    rows: usize,
    context: &EvalContext,
    f: impl Fn(&EvalContext) -> Result<R::Owned>,
) -> Result<ArrayRef> {
    R::collect(rows, None, |_| f(context))
}

pub(crate) fn vector1<A: SqlType, R: SqlType>(
    operands: &[Operand],
    rows: usize,
    context: &EvalContext,
    f: impl for<'a> Fn(A::Ref<'a>) -> Result<R::Owned>,
) -> Result<ArrayRef> {
    let check = || match A::IS_LONG || R::IS_LONG {
        true => context.check(),
        false => Ok(()),
    };
    let f = |a: A::Ref<'_>| {
        check()?;
        f(a)
    };
    match &operands[0] {
        Operand::Array(array) => {
            let column = A::column(array.as_ref());
            R::collect(rows, nulls_of(array), |row| f(A::at(column, row)))
        }
        Operand::Scalar(Value::Null) => Ok(all_null::<R>(rows)),
        Operand::Scalar(value) => {
            let value = A::of(value.as_ref());
            R::collect(rows, None, |_| f(value))
        }
    }
}

pub(crate) fn vector2<A: SqlType, B: SqlType, R: SqlType>(
    operands: &[Operand],
    rows: usize,
    context: &EvalContext,
    f: impl for<'a, 'b> Fn(A::Ref<'a>, B::Ref<'b>) -> Result<R::Owned>,
) -> Result<ArrayRef> {
    use Operand::{Array, Scalar};
    let check = || match A::IS_LONG || B::IS_LONG || R::IS_LONG {
        true => context.check(),
        false => Ok(()),
    };
    let f = |a: A::Ref<'_>, b: B::Ref<'_>| {
        check()?;
        f(a, b)
    };
    match (&operands[0], &operands[1]) {
        (Scalar(Value::Null), _) | (_, Scalar(Value::Null)) => Ok(all_null::<R>(rows)),
        (Array(a), Array(b)) => {
            let nulls = NullBuffer::union(nulls_of(a).as_ref(), nulls_of(b).as_ref());
            let (a, b) = (A::column(a.as_ref()), B::column(b.as_ref()));
            R::collect(rows, nulls, |row| f(A::at(a, row), B::at(b, row)))
        }
        (Array(a), Scalar(b)) => {
            let (column, b) = (A::column(a.as_ref()), B::of(b.as_ref()));
            R::collect(rows, nulls_of(a), |row| f(A::at(column, row), b))
        }
        (Scalar(a), Array(b)) => {
            let (a, column) = (A::of(a.as_ref()), B::column(b.as_ref()));
            R::collect(rows, nulls_of(b), |row| f(a, B::at(column, row)))
        }
        (Scalar(a), Scalar(b)) => {
            let (a, b) = (A::of(a.as_ref()), B::of(b.as_ref()));
            R::collect(rows, None, |_| f(a, b))
        }
    }
}

/// A function over the arguments of one row. A pointer, so that the loop over rows is compiled once.
type RowKernel<'f> = dyn Fn(&[ValueRef<'_>], &EvalContext) -> Result<Value> + 'f;

/// The array form of any function, through its scalar form. `types` are those of the operands; the
/// last repeats.
pub(crate) fn rowwise(
    operands: &[Operand],
    types: &[DataType],
    returns: DataType,
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
            out.push(scalar(&arguments, context)?.as_ref());
        }
    }
    Ok(out.finish())
}

/// The null mask of an array, if any row is NULL at all.
fn nulls_of(array: &ArrayRef) -> Option<NullBuffer> {
    array
        .nulls()
        .filter(|nulls| nulls.null_count() > 0)
        .cloned()
}

fn all_null<R: SqlType>(rows: usize) -> ArrayRef {
    new_null_array(&R::TYPE.arrow(), rows)
}
