//! The clock's functions, and moments made of their parts.
//!
//! `now()` is the transaction's start, so that it is the same all through; only `clock_timestamp()`
//! goes on. `pg_sleep` and its like let time pass.

use super::Volatility::{Stable, Volatile};
use super::calendar::{
    self, Civil, DAY, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
};
use super::kernel::function;
use super::native::{self, SqlType};
use super::to_char::zoned;
use super::{EvalContext, Overload, Work};
use crate::error::{Error, Result, state};
use remora_storage::{Interval, Value, ValueRef};
use std::time::{Duration, Instant};

static NOW: &[Overload] = &[
    function!(context "now"() -> TimestampTz, "The transaction's start.",
        |cx| Ok(cx.clock.transaction_start()))
    .volatility(Stable),
    function!(context "current_timestamp"() -> TimestampTz, "The transaction's start.",
        |cx| Ok(cx.clock.transaction_start()))
    .volatility(Stable),
    function!(context "transaction_timestamp"() -> TimestampTz, "The transaction's start.",
        |cx| Ok(cx.clock.transaction_start()))
    .volatility(Stable),
    function!(context "statement_timestamp"() -> TimestampTz, "The statement's start.",
        |cx| Ok(cx.clock.statement_start()))
    .volatility(Stable),
    function!(context "clock_timestamp"() -> TimestampTz, "This moment.",
        |cx| Ok(cx.clock.now()))
    .volatility(Volatile),
    function!(context "timeofday"() -> Text, "This moment, as a text.", time_of_day)
        .volatility(Volatile),
    function!(context "localtimestamp"() -> Timestamp, "The transaction's start.", local_start)
        .volatility(Stable),
    function!(context "current_date"() -> Date, "The day of the transaction's start.",
        |cx| Ok(calendar::split(local_start(cx)?).0 as i32))
    .volatility(Stable),
    function!(context "localtime"() -> Time, "The time of the transaction's start.",
        |cx| Ok(calendar::split(local_start(cx)?).1))
    .volatility(Stable),
];

/// `clock_timestamp()`, written as PostgreSQL's C library writes it.
fn time_of_day(context: &EvalContext) -> Result<String> {
    let now = context.clock.now();
    let template = "Dy Mon DD HH24:MI:SS.US YYYY TZ";
    let shown = zoned(now, template, &context.style().zone, &Work::new(context))?;
    Ok(shown.unwrap_or_default())
}

/// The transaction's start by the session's clock.
fn local_start(context: &EvalContext) -> Result<i64> {
    context
        .style()
        .zone
        .shown(context.clock.transaction_start())
}

fn field_overflow(what: String) -> Error {
    Error::new(state::DATETIME_FIELD_OVERFLOW, what)
}

/// The day of these parts; a negative year is one BC.
fn make_day(year: i32, month: i32, day: i32) -> Result<i64> {
    let wrong = || {
        field_overflow(format!(
            "date field value out of range: {year}-{month:02}-{day:02}"
        ))
    };
    let (Ok(m), Ok(d)) = (u32::try_from(month), u32::try_from(day)) else {
        return Err(wrong());
    };
    let astronomical = i64::from(year) + i64::from(year < 0);
    let exists = year != 0
        && (1..=12).contains(&m)
        && d >= 1
        && d <= calendar::days_in_month(astronomical, m);
    let day = calendar::days_from_civil(Civil {
        year: astronomical,
        month: m,
        day: d,
    });
    if !exists {
        return Err(wrong());
    }
    calendar::date(day)
        .map(i64::from)
        .ok_or_else(|| field_overflow(format!("date out of range: {year}-{month:02}-{:02}", d)))
}

fn make_date(year: i32, month: i32, day: i32) -> Result<i32> {
    Ok(make_day(year, month, day)? as i32)
}

fn make_time(hour: i32, minute: i32, second: f64) -> Result<i64> {
    let wrong = || {
        field_overflow(format!(
            "time field value out of range: {hour}:{minute:02}:{second:02}"
        ))
    };
    if !(0..=24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..=60.0).contains(&second) {
        return Err(wrong());
    }
    let micros = (second * SECOND as f64).round_ties_even() as i64;
    let time = i64::from(hour) * HOUR + i64::from(minute) * MINUTE + micros;
    if time > DAY { Err(wrong()) } else { Ok(time) }
}

/// A sleeper looks this often whether it shall stop.
const SLEEP_STEP: Duration = Duration::from_millis(1);
/// Nobody sleeps longer.
const SLEEP_SECONDS_MAX: f64 = 1e10;

/// Sleeps so many seconds, unless it is interrupted; what is no time to wait is none.
fn sleep(seconds: f64, context: &EvalContext) -> Result<Value> {
    let begun = Instant::now();
    let whole = match seconds > 0.0 {
        true => Duration::from_secs_f64(seconds.min(SLEEP_SECONDS_MAX)),
        false => Duration::ZERO,
    };
    loop {
        context.check()?;
        let left = whole.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(Value::Text(String::new()));
        }
        std::thread::sleep(left.min(SLEEP_STEP));
    }
}

/// So many seconds.
fn pg_sleep(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    sleep(native::Double::of(arguments[0]), context)
}

/// A span: a month has 30 days.
fn pg_sleep_for(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let span = native::Interval::of(arguments[0]);
    let days = f64::from(span.months) * 30.0 + f64::from(span.days);
    let seconds = span.micros as f64 / SECOND as f64;
    sleep(days * (DAY / SECOND) as f64 + seconds, context)
}

/// Until a moment.
fn pg_sleep_until(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let left = match native::TimestampTz::of(arguments[0]) {
        TIMESTAMP_INFINITY => f64::INFINITY,
        moment => moment.saturating_sub(context.clock.now()) as f64 / SECOND as f64,
    };
    sleep(left, context)
}

/// Six arguments, of both timestamp types.
pub(super) fn make_moment(arguments: &[ValueRef<'_>]) -> Result<i64> {
    let part = |n: usize| native::Integer::of(arguments[n]);
    let day = make_day(part(0), part(1), part(2))?;
    let time = make_time(part(3), part(4), native::Double::of(arguments[5]))?;
    calendar::join(day, time).ok_or_else(calendar::timestamp_out_of_range)
}

fn make_timestamp(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    make_moment(arguments).map(Value::Timestamp)
}

fn make_timestamptz(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let moment = context.style().zone.meant(make_moment(arguments)?)?;
    Ok(Value::TimestampTz(moment))
}

/// Years, months, weeks, days, hours, minutes, seconds: as many as are given.
fn make_interval(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let part = |n: usize| match arguments.get(n) {
        Some(ValueRef::Integer(v)) => i64::from(*v),
        _ => 0,
    };
    let seconds = match arguments.get(6) {
        Some(ValueRef::Double(v)) => (v * SECOND as f64).round_ties_even(),
        _ => 0.0,
    };
    let out_of_range = calendar::interval_out_of_range;
    if seconds.is_nan() || seconds.abs() >= i64::MAX as f64 {
        return Err(out_of_range());
    }
    let clock = part(4) * HOUR + part(5) * MINUTE;
    let micros = clock.checked_add(seconds as i64).ok_or_else(out_of_range)?;
    calendar::interval(part(0) * 12 + part(1), part(2) * 7 + part(3), micros).map(Value::Interval)
}

/// `later - earlier` in years, months, days and time: what a person's age is counted in.
fn age(later: i64, earlier: i64) -> Result<Interval> {
    let infinite = |t| matches!(t, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY);
    if infinite(later) || infinite(earlier) {
        return Err(calendar::timestamp_out_of_range());
    }
    if later < earlier {
        return super::interval::negate(age(earlier, later)?);
    }
    let ((day_a, time_a), (day_b, time_b)) = (calendar::split(later), calendar::split(earlier));
    let (a, b) = (
        calendar::civil_from_days(day_a),
        calendar::civil_from_days(day_b),
    );
    let mut micros = time_a - time_b;
    let mut days = i64::from(a.day) - i64::from(b.day);
    let mut months = (a.year - b.year) * 12 + i64::from(a.month) - i64::from(b.month);
    if micros < 0 {
        (micros, days) = (micros + DAY, days - 1);
    }
    if days < 0 {
        // The month that is borrowed is the earlier moment's.
        days += i64::from(calendar::days_in_month(b.year, b.month));
        months -= 1;
    }
    calendar::interval(months, days, micros)
}

/// By the session's clock.
fn age_zoned(context: &EvalContext, later: i64, earlier: i64) -> Result<Interval> {
    let zone = &context.style().zone;
    age(zone.shown(later)?, zone.shown(earlier)?)
}

/// `age(moment)`: from there to the last midnight.
fn age_today(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let moment = match arguments[0] {
        ValueRef::Timestamp(moment) => moment,
        ValueRef::TimestampTz(moment) => context.style().zone.shown(moment)?,
        _ => return Ok(Value::Null),
    };
    let (today, _) = calendar::split(local_start(context)?);
    age(today * DAY, moment).map(Value::Interval)
}

/// Seconds since 1970 as a moment.
fn to_timestamp(seconds: f64) -> Result<i64> {
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 {
            TIMESTAMP_INFINITY
        } else {
            TIMESTAMP_NEG_INFINITY
        });
    }
    let wrong = || field_overflow(format!("timestamp out of range: \"{seconds}\""));
    if seconds.is_nan() {
        return Err(field_overflow("timestamp cannot be NaN".to_owned()));
    }
    let micros = (seconds * SECOND as f64).round_ties_even();
    if micros.abs() >= i64::MAX as f64 {
        return Err(wrong());
    }
    let (day, time) = calendar::split(micros as i64);
    calendar::join(day, time).ok_or_else(wrong)
}

fn is_finite(moment: i64) -> bool {
    !matches!(moment, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY)
}

static MADE: &[Overload] = &[
    function!("make_date"(Integer, Integer, Integer) -> Date, "The date of its parts.", make_date),
    function!("make_time"(Integer, Integer, Double) -> Time, "The time of its parts.", make_time),
    function!(strict row "make_timestamp"(Integer, Integer, Integer, Integer, Integer, Double)
        -> Timestamp, "The moment of its parts.", make_timestamp),
    function!(strict row "make_timestamptz"(Integer, Integer, Integer, Integer, Integer, Double)
        -> TimestampTz, "The moment of its parts, in the session's zone.", make_timestamptz)
    .volatility(Stable),
    function!(strict row "make_interval"() -> Interval, "No time.", make_interval),
    function!(strict row "make_interval"(Integer) -> Interval, "Years.", make_interval),
    function!(strict row "make_interval"(Integer, Integer) -> Interval, "Years, months.",
        make_interval),
    function!(strict row "make_interval"(Integer, Integer, Integer) -> Interval,
        "Years, months, weeks.", make_interval),
    function!(strict row "make_interval"(Integer, Integer, Integer, Integer) -> Interval,
        "Years, months, weeks, days.", make_interval),
    function!(strict row "make_interval"(Integer, Integer, Integer, Integer, Integer) -> Interval,
        "Years to hours.", make_interval),
    function!(strict row "make_interval"(Integer, Integer, Integer, Integer, Integer, Integer)
        -> Interval, "Years to minutes.", make_interval),
    function!(strict row "make_interval"(Integer, Integer, Integer, Integer, Integer, Integer,
        Double) -> Interval, "Years to seconds.", make_interval),
    function!("to_timestamp"(Double) -> TimestampTz, "The moment so many seconds after 1970.",
        to_timestamp),
];

static SPANS: &[Overload] = &[
    function!("age"(Timestamp, Timestamp) -> Interval, "Years, months and days between.", age),
    function!(patient "age"(TimestampTz, TimestampTz) -> Interval,
        "Years, months and days between.", age_zoned)
    .volatility(Stable),
    function!(strict row "age"(Timestamp) -> Interval, "Years, months and days up to today.",
        age_today)
    .volatility(Stable),
    function!(strict row "age"(TimestampTz) -> Interval, "Years, months and days up to today.",
        age_today)
    .volatility(Stable),
    function!("isfinite"(Date) -> Boolean, "Whether it is no infinity.",
        |d| Ok(!matches!(d, calendar::DATE_INFINITY | calendar::DATE_NEG_INFINITY))),
    function!("isfinite"(Timestamp) -> Boolean, "Whether it is no infinity.", |t| Ok(is_finite(t))),
    function!("isfinite"(TimestampTz) -> Boolean, "Whether it is no infinity.",
        |t| Ok(is_finite(t))),
    function!("isfinite"(Interval) -> Boolean, "True: intervals have no infinities.", |_| Ok(true)),
];

static SLEEP: &[Overload] = &[
    function!(strict row "pg_sleep"(Double) -> Text, "Waits so many seconds.", pg_sleep)
        .volatility(Volatile),
    function!(strict row "pg_sleep_for"(Interval) -> Text, "Waits so long.", pg_sleep_for)
        .volatility(Volatile),
    function!(strict row "pg_sleep_until"(TimestampTz) -> Text, "Waits until the moment.",
        pg_sleep_until)
    .volatility(Volatile),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[NOW, MADE, SPANS, SLEEP];
