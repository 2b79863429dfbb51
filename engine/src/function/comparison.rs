//! Comparison of every type: `= <> < <= > >=`, IS DISTINCT FROM, GREATEST, LEAST, NULLIF and the
//! truth tests.
//!
//! The order is that of `ValueRef::compare`: floats with NaN above everything and equal to itself,
//! text by bytes, intervals by length.

use super::kernel::function;
use super::native::{self, SqlType};
use super::{EvalContext, Overload};
use crate::error::Result;
use remora_storage::value::SqlArray;
use remora_storage::{Value, ValueRef};
use std::cmp::Ordering;

/// The order of the values of a type.
pub(super) trait Compare: SqlType {
    fn equal(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool;
    fn less(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool;
    fn differs(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool {
        !Self::equal(a, b)
    }
    fn at_most(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool {
        !Self::less(b, a)
    }
    fn greater(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool {
        Self::less(b, a)
    }
    fn at_least(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool {
        !Self::less(a, b)
    }
}

macro_rules! natural_order {
    ($($name:ident),*) => {
        $(impl Compare for native::$name {
            #[inline(always)]
            fn equal(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool {
                a == b
            }
            #[inline(always)]
            fn less(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool {
                a < b
            }
        })*
    };
}

natural_order!(
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Numeric,
    Text,
    Char,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid
);

macro_rules! float_order {
    ($($name:ident),*) => {
        $(impl Compare for native::$name {
            #[inline(always)]
            fn equal(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool {
                a == b || (a.is_nan() && b.is_nan())
            }
            #[inline(always)]
            fn less(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool {
                a < b || (b.is_nan() && !a.is_nan())
            }
        })*
    };
}

float_order!(Real, Double);

/// Whether two values are alike: NULL equals NULL.
pub(super) fn is_same(one: ValueRef<'_>, two: ValueRef<'_>) -> bool {
    match (one.is_null(), two.is_null()) {
        (false, false) => one == two,
        (one, two) => one && two,
    }
}

/// Elements of arrays that are compared in one go.
const ELEMENTS_IN_ONE_GO: usize = 1024;

/// The order of two values like [`ValueRef::compare`], be they arrays of any length.
///
/// # Errors
/// 57014 and whatever else a statement is stopped with.
pub(super) fn compare(
    one: ValueRef<'_>,
    two: ValueRef<'_>,
    context: &EvalContext,
) -> Result<Option<Ordering>> {
    if let (ValueRef::Packed(of, _), ValueRef::Packed(than, _)) = (one, two)
        && of.without_modifier() == than.without_modifier()
        && let (Some(one), Some(two)) = (list(one), list(two))
        && one.len().min(two.len()) > ELEMENTS_IN_ONE_GO
    {
        return compare_lists(&one, &two, context).map(Some);
    }
    Ok(one.compare(two))
}

/// The elements of an array, or the ranges of a multirange.
fn list(value: ValueRef<'_>) -> Option<SqlArray<'_>> {
    value.as_array().or(value.as_ranges())
}

fn compare_lists(
    one: &SqlArray<'_>,
    two: &SqlArray<'_>,
    context: &EvalContext,
) -> Result<Ordering> {
    for (at, (a, b)) in one.iter().zip(two.iter()).enumerate() {
        if at % ELEMENTS_IN_ONE_GO == 0 {
            context.check()?;
        }
        if let Some(order) = a.compare(b).filter(|order| order.is_ne()) {
            return Ok(order);
        }
    }
    Ok(one.compare_shapes(two))
}

/// Returns whether two values are the same, NULLs too.
fn are_same(values: &[ValueRef<'_>], context: &EvalContext) -> Result<bool> {
    match (values[0].is_null(), values[1].is_null()) {
        (false, false) => {
            let order = compare(values[0], values[1], context)?;
            Ok(order == Some(Ordering::Equal))
        }
        (one, two) => Ok(one && two),
    }
}

pub(super) fn is_distinct(values: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    Ok(Value::Boolean(!are_same(values, context)?))
}

pub(super) fn is_not_distinct(values: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    Ok(Value::Boolean(are_same(values, context)?))
}

pub(super) fn nullif(values: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    Ok(match are_same(values, context)? {
        true => Value::Null,
        false => values[0].to_owned(),
    })
}

/// The value that beats all others; NULLs do not take part.
fn extreme(values: &[ValueRef<'_>], wanted: Ordering, context: &EvalContext) -> Result<Value> {
    let mut found: Option<ValueRef<'_>> = None;
    for value in values.iter().copied().filter(|value| !value.is_null()) {
        match found {
            Some(best) if compare(value, best, context)? != Some(wanted) => {}
            _ => found = Some(value),
        }
    }
    Ok(found.map_or(Value::Null, ValueRef::to_owned))
}

pub(super) fn greatest(values: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    extreme(values, Ordering::Greater, context)
}

pub(super) fn least(values: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    extreme(values, Ordering::Less, context)
}

/// Whether two values of a type that is ordered by its bytes are in an order that is wanted.
fn is(values: &[ValueRef<'_>], wanted: fn(Ordering) -> bool) -> Result<Value> {
    let order = values[0].bytes().cmp(&values[1].bytes());
    Ok(Value::Boolean(wanted(order)))
}

/// An operator of an order: in an array form of its own for types that are compared often, else by [`is`].
macro_rules! operator {
    (often $sql:ident $name:literal $doc:literal $test:ident $is:ident) => {
        function!($name($sql, $sql) -> Boolean, $doc,
            |a, b| Ok(<native::$sql as Compare>::$test(a, b)))
    };
    (seldom $sql:ident $name:literal $doc:literal $test:ident $is:ident) => {
        function!(strict row $name($sql, $sql) -> Boolean, $doc,
            |values, _| is(values, Ordering::$is))
    };
}

macro_rules! comparisons {
    ($($table:ident $often:ident $sql:ident),*) => {
        $(static $table: &[Overload] = &[
            operator!($often $sql "=" "Equal." equal is_eq),
            operator!($often $sql "<>" "Not equal." differs is_ne),
            operator!($often $sql "<" "Less." less is_lt),
            operator!($often $sql "<=" "Less or equal." at_most is_le),
            operator!($often $sql ">" "Greater." greater is_gt),
            operator!($often $sql ">=" "Greater or equal." at_least is_ge),
            function!(row "is_distinct_from"($sql, $sql) -> Boolean,
                "IS DISTINCT FROM: NULL is a value like others.", is_distinct),
            function!(row "is_not_distinct_from"($sql, $sql) -> Boolean,
                "IS NOT DISTINCT FROM: NULL is a value like others.", is_not_distinct),
            function!(row "nullif"($sql, $sql) -> $sql,
                "NULL where both are equal, else the first.", nullif),
            function!(row "greatest"($sql) -> $sql,
                "The greatest argument that is not NULL.", greatest).variadic(),
            function!(row "least"($sql) -> $sql,
                "The least argument that is not NULL.", least).variadic(),
        ];)*
    };
}

comparisons!(
    BOOLEAN often Boolean, SMALLINT often SmallInt, INTEGER often Integer, BIGINT often BigInt,
    REAL often Real, DOUBLE often Double, NUMERIC often Numeric, TEXT often Text, CHAR often Char,
    BYTEA often Bytea, DATE often Date, TIME often Time, TIMESTAMP often Timestamp,
    TIMESTAMPTZ often TimestampTz, INTERVAL often Interval, UUID often Uuid, TIMETZ seldom TimeTz,
    BIT seldom Bit, VARBIT seldom VarBit
);

/// Whether a truth value, NULL included, is the one asked for.
macro_rules! truth_tests {
    ($($name:literal $doc:literal $pattern:pat => $answer:literal),*) => {
        &[$(function!(row $name(Boolean) -> Boolean, $doc, |arguments, _| {
            Ok(Value::Boolean(matches!(arguments[0], $pattern) == $answer))
        })),*]
    };
}

static TRUTH: &[Overload] = truth_tests!(
    "is_true" "IS TRUE." ValueRef::Boolean(true) => true,
    "is_not_true" "IS NOT TRUE." ValueRef::Boolean(true) => false,
    "is_false" "IS FALSE." ValueRef::Boolean(false) => true,
    "is_not_false" "IS NOT FALSE." ValueRef::Boolean(false) => false,
    "is_unknown" "IS UNKNOWN." ValueRef::Null => true,
    "is_not_unknown" "IS NOT UNKNOWN." ValueRef::Null => false
);

/// Texts by their bytes, whatever their collation: here they have no other order.
macro_rules! by_bytes {
    ($($sql:ident),*) => {
        &[$(
            operator!(seldom $sql "~<~" "Less, by bytes." less is_lt),
            operator!(seldom $sql "~<=~" "Less or equal, by bytes." at_most is_le),
            operator!(seldom $sql "~>~" "Greater, by bytes." greater is_gt),
            operator!(seldom $sql "~>=~" "Greater or equal, by bytes." at_least is_ge),
        )*]
    };
}

static BY_BYTES: &[Overload] = by_bytes!(Text, Char);

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[
    BOOLEAN,
    SMALLINT,
    INTEGER,
    BIGINT,
    REAL,
    DOUBLE,
    NUMERIC,
    TEXT,
    CHAR,
    BYTEA,
    DATE,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    INTERVAL,
    UUID,
    TIMETZ,
    BIT,
    VARBIT,
    TRUTH,
    BY_BYTES,
];
