//! Moments and spans with so many digits of their seconds: what `timestamp(2)` and `INTERVAL DAY TO MINUTE`
//! leave of a value, and `current_timestamp(0)`.
//!
//! As in PostgreSQL a cast to such a type is a call of the function that has the type's name.

use super::Volatility::Stable;
use super::calendar::{self, DAY, HOUR, MINUTE, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY};
use super::kernel::function;
use super::native::{self, SqlType};
use super::timetz::ZonedTime;
use super::{EvalContext, Overload};
use crate::error::Result;
use remora_storage::value::PackedType;
use remora_storage::{DataType, Interval, Value, ValueRef};

/// Returns the microseconds of the last digit, of so many behind the point.
fn unit(digits: i32) -> i64 {
    10_i64.pow(6 - digits.clamp(0, 6) as u32)
}

/// Rounds microseconds to so many digits behind the point, half away from zero. A result beyond 64 bits saturates, and is
/// then not a multiple of the unit.
fn round(micros: i64, digits: i32) -> i64 {
    let unit = unit(digits);
    let over = micros % unit;
    let away = if 2 * over.abs() >= unit {
        unit * over.signum()
    } else {
        0
    };
    (micros - over).saturating_add(away)
}

fn moment(moment: i64, digits: i32) -> Result<i64> {
    if matches!(moment, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY) {
        return Ok(moment);
    }
    // PostgreSQL's moments begin with the year 2000, and so does away from zero.
    let rounded = round(moment.saturating_sub(EPOCH), digits).checked_add(EPOCH);
    rounded.ok_or_else(calendar::timestamp_out_of_range)
}

/// 2000-01-01.
const EPOCH: i64 = 10_957 * DAY;

/// The lower eight bits are digits, those above the least field that is kept.
fn span(span: Interval, modifier: i32) -> Result<Interval> {
    let mut left = span;
    match modifier >> 8 {
        1 => left.months -= left.months % 12,
        4 => left.micros -= left.micros % HOUR,
        5 => left.micros -= left.micros % MINUTE,
        _ => {}
    }
    match modifier >> 8 {
        1 | 2 => (left.days, left.micros) = (0, 0),
        3 => left.micros = 0,
        _ => {}
    }
    left.micros = round(left.micros, modifier & 0xff);
    match left.micros % unit(modifier & 0xff) == 0 {
        true => Ok(left),
        false => Err(calendar::interval_out_of_range()),
    }
}

fn timetz(bytes: &[u8], digits: i32) -> Result<Vec<u8>> {
    let time = ZonedTime::of(bytes);
    let micros = round(time.micros, digits);
    Ok(ZonedTime { micros, ..time }.to_bytes())
}

/// A value of a column that keeps only some of it.
///
/// # Errors
/// 22008.
pub(crate) fn cut_to(value: Value, modifier: i32) -> Result<Value> {
    Ok(match value {
        Value::Timestamp(at) => Value::Timestamp(moment(at, modifier)?),
        Value::TimestampTz(at) => Value::TimestampTz(moment(at, modifier)?),
        Value::Time(at) => Value::Time(round(at, modifier)),
        Value::Interval(whole) => Value::Interval(span(whole, modifier)?),
        Value::Packed(packed @ PackedType::TimeTz, bytes) => {
            Value::Packed(packed, timetz(&bytes, modifier)?)
        }
        other => other,
    })
}

/// A type's name with what a column keeps of it: `timestamp(2) without time zone`, `interval minute`.
pub(crate) fn written(data_type: DataType, modifier: Option<i32>) -> String {
    let name = data_type.to_string();
    let Some(modifier) = modifier else {
        return name;
    };
    let field = match modifier >> 8 {
        1 => " year",
        2 => " month",
        3 => " day",
        4 => " hour",
        5 => " minute",
        6 => " second",
        _ => "",
    };
    let digits = match (modifier & 0xff, modifier >> 8) {
        (6, 1..) => String::new(),
        (digits, _) => format!("({digits})"),
    };
    match name.split_once(' ') {
        Some((first, zone)) => format!("{first}{digits} {zone}"),
        None => format!("{name}{field}{digits}"),
    }
}

static CUTS: &[Overload] = &[
    function!("timestamp"(Timestamp, Integer) -> Timestamp, "With so many digits.", moment),
    function!("timestamptz"(TimestampTz, Integer) -> TimestampTz, "With so many digits.", moment),
    function!("time"(Time, Integer) -> Time, "With so many digits.", |t, n| Ok(round(t, n))),
    function!("timetz"(TimeTz, Integer) -> TimeTz, "With so many digits.", timetz),
    function!("interval"(Interval, Integer) -> Interval, "With so many digits, or fields.", span),
];

fn now(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let digits = native::Integer::of(arguments[0]);
    moment(context.clock.transaction_start(), digits).map(Value::TimestampTz)
}

fn local(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let digits = native::Integer::of(arguments[0]);
    let shown = context
        .style()
        .zone
        .shown(context.clock.transaction_start())?;
    moment(shown, digits).map(Value::Timestamp)
}

fn local_time(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let digits = native::Integer::of(arguments[0]);
    let shown = context
        .style()
        .zone
        .shown(context.clock.transaction_start())?;
    Ok(Value::Time(round(calendar::split(shown).1, digits)))
}

fn zoned_time(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let digits = native::Integer::of(arguments[0]);
    let time = ZonedTime::of_moment(context.clock.transaction_start(), context)?;
    Ok(time.map_or(Value::Null, |time| {
        let micros = round(time.micros, digits);
        ZonedTime { micros, ..time }.value()
    }))
}

static NOW: &[Overload] = &[
    function!(strict row "current_timestamp"(Integer) -> TimestampTz,
        "The transaction's start, with so many digits.", now)
    .volatility(Stable),
    function!(strict row "localtimestamp"(Integer) -> Timestamp,
        "The transaction's start, with so many digits.", local)
    .volatility(Stable),
    function!(strict row "localtime"(Integer) -> Time,
        "The time of the transaction's start, with so many digits.", local_time)
    .volatility(Stable),
    function!(strict row "current_time"(Integer) -> TimeTz,
        "The time of the transaction's start, with so many digits.", zoned_time)
    .volatility(Stable),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[CUTS, NOW];
