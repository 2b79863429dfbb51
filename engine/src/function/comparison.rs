//! Comparison of every type: `= <> < <= > >=`, IS DISTINCT FROM, GREATEST, LEAST, NULLIF and the
//! truth tests.
//!
//! The order is that of `ValueRef::compare`: floats with NaN above everything and equal to itself,
//! text by bytes, intervals by length.

use super::kernel::function;
use super::native::{self, SqlType};
use super::{EvalContext, Overload};
use crate::error::Result;
use remora_storage::{Value, ValueRef};
use std::cmp::Ordering;

/// The order of the values of a type.
pub(super) trait Compare: SqlType {
    fn equal(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool;
    fn less(a: Self::Ref<'_>, b: Self::Ref<'_>) -> bool;
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
    Uuid,
    TimeTz,
    Bit,
    VarBit
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

/// What is answered about `a` and `b`, NULLs included: NULL equals NULL.
fn is_distinct(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let distinct = match (arguments[0].is_null(), arguments[1].is_null()) {
        (false, false) => arguments[0].compare(arguments[1]) != Some(Ordering::Equal),
        (a, b) => a != b,
    };
    Ok(Value::Boolean(distinct))
}

fn is_not_distinct(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    match is_distinct(arguments, context)? {
        Value::Boolean(distinct) => Ok(Value::Boolean(!distinct)),
        other => Ok(other),
    }
}

/// The value that beats all others; NULLs do not take part.
fn extreme(arguments: &[ValueRef<'_>], wanted: Ordering) -> Value {
    let mut best = ValueRef::Null;
    for &value in arguments {
        if !value.is_null() && (best.is_null() || value.compare(best) == Some(wanted)) {
            best = value;
        }
    }
    best.to_owned()
}

fn greatest(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    Ok(extreme(arguments, Ordering::Greater))
}

fn least(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    Ok(extreme(arguments, Ordering::Less))
}

fn nullif(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let (a, b) = (arguments[0], arguments[1]);
    let equal = !a.is_null() && !b.is_null() && a.compare(b) == Some(Ordering::Equal);
    Ok(if equal { Value::Null } else { a.to_owned() })
}

macro_rules! comparisons {
    ($($table:ident $sql:ident),*) => {
        $(static $table: &[Overload] = &[
            function!("="($sql, $sql) -> Boolean, "Equal.",
                |a, b| Ok(<native::$sql as Compare>::equal(a, b))),
            function!("<>"($sql, $sql) -> Boolean, "Not equal.",
                |a, b| Ok(!<native::$sql as Compare>::equal(a, b))),
            function!("<"($sql, $sql) -> Boolean, "Less.",
                |a, b| Ok(<native::$sql as Compare>::less(a, b))),
            function!("<="($sql, $sql) -> Boolean, "Less or equal.",
                |a, b| Ok(!<native::$sql as Compare>::less(b, a))),
            function!(">"($sql, $sql) -> Boolean, "Greater.",
                |a, b| Ok(<native::$sql as Compare>::less(b, a))),
            function!(">="($sql, $sql) -> Boolean, "Greater or equal.",
                |a, b| Ok(!<native::$sql as Compare>::less(a, b))),
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
    BOOLEAN Boolean, SMALLINT SmallInt, INTEGER Integer, BIGINT BigInt, REAL Real, DOUBLE Double,
    NUMERIC Numeric, TEXT Text, CHAR Char, BYTEA Bytea, DATE Date, TIME Time, TIMESTAMP Timestamp,
    TIMESTAMPTZ TimestampTz, INTERVAL Interval, UUID Uuid,
    TIMETZ TimeTz, BIT Bit, VARBIT VarBit
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
            function!("~<~"($sql, $sql) -> Boolean, "Less, by bytes.",
                |a, b| Ok(<native::$sql as Compare>::less(a, b))),
            function!("~<=~"($sql, $sql) -> Boolean, "Less or equal, by bytes.",
                |a, b| Ok(!<native::$sql as Compare>::less(b, a))),
            function!("~>~"($sql, $sql) -> Boolean, "Greater, by bytes.",
                |a, b| Ok(<native::$sql as Compare>::less(b, a))),
            function!("~>=~"($sql, $sql) -> Boolean, "Greater or equal, by bytes.",
                |a, b| Ok(!<native::$sql as Compare>::less(a, b))),
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
