//! Ranges of bounds, multiranges of ranges, and what the system's ranges have of their own.

use super::combine::RANGE_WORK;
use super::{
    Bounds, MULTIRANGE, RANGE, Ranges, SUBTYPE, canonical, multirange, normal, range_type,
};
use crate::error::{Error, Result, state};
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload, Pattern, Work, decimal};
use remora_storage::value::{RangeBound, RangeType, SqlRange};
use remora_storage::{DataType, Value, ValueRef};

const TEXT: Pattern = Pattern::Is(DataType::Text);
const INTEGER: DataType = DataType::Integer;
const BIGINT: DataType = DataType::BigInt;
const NUMERIC: DataType = DataType::Numeric(None);
const DATE: DataType = DataType::Date;
const TIMESTAMP: DataType = DataType::Timestamp;
const TIMESTAMPTZ: DataType = DataType::TimestampTz;

const BETWEEN: &str = "The range from one bound up to another; NULL is no bound.";
const BETWEEN_AS: &str =
    "The range between two bounds; the last argument says which of them belong to it.";
const MADE_TOGETHER: &str = "What is in the ranges, of the type of the first argument.";
const TOGETHER: &str = "What is in the ranges.";

const fn range_of(subtype: DataType) -> Pattern {
    Pattern::Is(RangeType::of_system(subtype).range())
}

const fn multirange_of(subtype: DataType) -> Pattern {
    Pattern::Is(RangeType::of_system(subtype).multirange())
}

const fn ranges_of(subtype: DataType) -> Pattern {
    Pattern::Is(RangeType::of_system(subtype).element().array())
}

macro_rules! ranges {
    ($($name:literal $subtype:ident;)*) => {
        &[$(
            Overload::generic($name, &[Pattern::Is($subtype), Pattern::Is($subtype)],
                range_of($subtype), BETWEEN, between).called_on_null(),
            Overload::generic($name, &[Pattern::Is($subtype), Pattern::Is($subtype), TEXT],
                range_of($subtype), BETWEEN_AS, between).called_on_null(),
        )*]
    };
}

pub(super) static RANGES: &[Overload] = ranges!(
    "int4range" INTEGER;
    "int8range" BIGINT;
    "numrange" NUMERIC;
    "daterange" DATE;
    "tsrange" TIMESTAMP;
    "tstzrange" TIMESTAMPTZ;
);

macro_rules! multiranges {
    ($($name:literal, $array:literal, $subtype:ident;)*) => {
        &[$(
            Overload::generic($name, &[], multirange_of($subtype), TOGETHER, together),
            Overload::generic($name, &[range_of($subtype)], multirange_of($subtype), TOGETHER, listed)
                .variadic().called_on_null(),
            Overload::generic($array, &[ranges_of($subtype)], multirange_of($subtype),
                "The function, its last arguments as an array.", together),
        )*]
    };
}

pub(super) static MULTIRANGES: &[Overload] = multiranges!(
    "int4multirange", "variadic int4multirange", INTEGER;
    "int8multirange", "variadic int8multirange", BIGINT;
    "nummultirange", "variadic nummultirange", NUMERIC;
    "datemultirange", "variadic datemultirange", DATE;
    "tsmultirange", "variadic tsmultirange", TIMESTAMP;
    "tstzmultirange", "variadic tstzmultirange", TIMESTAMPTZ;
);

pub(super) static MADE: &[Overload] = &[
    function!(strict generic "multirange"(RANGE) -> MULTIRANGE, "The multirange of one range.", together),
    function!(generic "range_between"(RANGE, SUBTYPE, SUBTYPE, TEXT) -> RANGE,
        "The range between two bounds, of the type of the first argument; the last says which of them belong to it.",
        |call| between(&GenericCall { values: &call.values[1..], ..*call })),
    function!(generic "ranges_together"(MULTIRANGE, Pattern::Ranges) -> MULTIRANGE, MADE_TOGETHER,
    |call| match call.values[1].is_null() {
        true => Ok(Value::Null),
        false => together(&rest_of(call)),
    }),
    function!(generic "ranges_together"(MULTIRANGE, RANGE) -> MULTIRANGE, MADE_TOGETHER,
        |call| listed(&rest_of(call)))
    .variadic(),
];

macro_rules! canonicals {
    ($($name:literal $subtype:ident;)*) => {
        &[$(Overload::generic($name, &[range_of($subtype)], range_of($subtype),
            "The range in the form that all ranges of the type have.",
            |call| Ok(call.values[0].to_owned())),)*]
    };
}

pub(super) static CANONICAL: &[Overload] = canonicals!(
    "int4range_canonical" INTEGER;
    "int8range_canonical" BIGINT;
    "daterange_canonical" DATE;
);

macro_rules! differences {
    ($($name:literal $subtype:ident;)*) => {
        &[$(Overload::generic($name, &[Pattern::Is($subtype), Pattern::Is($subtype)],
            Pattern::Is(DataType::Double), "How far the first is above the second.", difference),)*]
    };
}

pub(super) static DIFFERENCES: &[Overload] = differences!(
    "int4range_subdiff" INTEGER;
    "int8range_subdiff" BIGINT;
    "numrange_subdiff" NUMERIC;
    "daterange_subdiff" DATE;
    "tsrange_subdiff" TIMESTAMP;
    "tstzrange_subdiff" TIMESTAMPTZ;
);

/// A call without its first argument, which only says the type.
fn rest_of<'c>(call: &GenericCall<'c>) -> GenericCall<'c> {
    GenericCall {
        values: call.values.get(1..).unwrap_or_default(),
        ..*call
    }
}

/// The bounds that belong to a range, as SQL writes them.
fn inclusive(flags: Option<&ValueRef<'_>>) -> Result<(bool, bool)> {
    Ok(match flags {
        None | Some(ValueRef::Text("[)")) => (true, false),
        Some(ValueRef::Text("[]")) => (true, true),
        Some(ValueRef::Text("(]")) => (false, true),
        Some(ValueRef::Text("()")) => (false, false),
        Some(ValueRef::Null) => {
            let message = "range constructor flags argument must not be null";
            return Err(Error::new(state::DATA_EXCEPTION, message));
        }
        Some(_) => {
            return Err(sql_error!(SYNTAX_ERROR, "invalid range bound flags")
                .with_hint("Valid values are \"[]\", \"[)\", \"(]\", and \"()\"."));
        }
    })
}

fn between(call: &GenericCall<'_>) -> Result<Value> {
    let Some(of) = range_type(call.returns) else {
        return Ok(Value::Null);
    };
    let (lower, upper) = inclusive(call.values.get(2))?;
    let at = |at: usize| Some(call.values[at]).filter(|value| !value.is_null());
    let (lower, upper) = (
        RangeBound::lower(at(0), lower),
        RangeBound::upper(at(1), upper),
    );
    Ok(canonical(of, lower, upper)?.value(of))
}

/// The multirange of one range, which is NULL where that is, or of many, none of which may be.
fn listed(call: &GenericCall<'_>) -> Result<Value> {
    match call.values {
        [ValueRef::Null] => Ok(Value::Null),
        values if values.iter().any(|value| value.is_null()) => Err(null_member()),
        _ => together(call),
    }
}

fn null_member() -> Error {
    let message = "multirange values cannot contain null members";
    Error::new(state::NULL_VALUE_NOT_ALLOWED, message)
}

/// The multirange of the ranges that a call is given, one by one or in arrays.
fn together(call: &GenericCall<'_>) -> Result<Value> {
    let Some(of) = range_type(call.returns) else {
        return Ok(Value::Null);
    };
    let work = &Work::new(call.context);
    let mut ranges: Vec<Bounds<'_>> = Vec::new();
    for value in call.values {
        match value.as_array() {
            None => {
                for bounds in Ranges::of(*value).iter() {
                    work.spend(RANGE_WORK)?;
                    ranges.push(bounds);
                }
            }
            Some(array) if array.dimensions().len() > 1 => {
                let message = "multiranges cannot be constructed from multidimensional arrays";
                return Err(Error::new(state::CARDINALITY_VIOLATION, message));
            }
            Some(array) => {
                for value in array.iter() {
                    work.spend(RANGE_WORK)?;
                    if value.is_null() {
                        return Err(null_member());
                    }
                    ranges.extend(value.as_range().unwrap_or(SqlRange::EMPTY).bounds());
                }
            }
        }
    }
    multirange(of, &normal(of, ranges, work)?, work)
}

fn difference(call: &GenericCall<'_>) -> Result<Value> {
    use ValueRef as V;
    const MICROS: f64 = 1_000_000.0;
    let found = match (call.values[0], call.values[1]) {
        (V::Integer(a), V::Integer(b)) => f64::from(a) - f64::from(b),
        (V::BigInt(a), V::BigInt(b)) => a as f64 - b as f64,
        (V::Date(a), V::Date(b)) => f64::from(a.wrapping_sub(b)),
        (V::Timestamp(a), V::Timestamp(b)) | (V::TimestampTz(a), V::TimestampTz(b)) => {
            (a as f64 - b as f64) / MICROS
        }
        (V::Numeric(a), V::Numeric(b)) => decimal::to_f64(decimal::subtract(a, b)?),
        _ => return Ok(Value::Null),
    };
    Ok(Value::Double(found))
}
