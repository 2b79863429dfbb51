//! Arithmetic on dates, times, timestamps and intervals.
//!
//! Months are added before days and days before time, so that `2024-01-31 + 1 month` is the last day
//! of February whatever the rest. Infinite moments stay where they are.

use super::Volatility::Stable;
use super::calendar::{
    self, DATE_INFINITY, DATE_NEG_INFINITY, DAY, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
};
use super::cast::date_to_timestamp;
use super::kernel::function;
use super::text::Zone;
use super::{EvalContext, Overload, interval};
use crate::error::Result;
use remora_storage::Interval;

fn is_infinite(timestamp: i64) -> bool {
    matches!(timestamp, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY)
}

fn is_infinite_date(date: i32) -> bool {
    matches!(date, DATE_INFINITY | DATE_NEG_INFINITY)
}

/// `timestamp + span`.
pub(super) fn add_interval(timestamp: i64, span: Interval) -> Result<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    let (mut day, micros) = calendar::split(timestamp);
    if span.months != 0 {
        day = calendar::add_months(day, span.months.into());
    }
    day += i64::from(span.days);
    calendar::join(day, micros)
        .and_then(|moved| moved.checked_add(span.micros))
        .filter(|moved| calendar::split(*moved).0 >= calendar::FIRST_DAY && !is_infinite(*moved))
        .ok_or_else(calendar::timestamp_out_of_range)
}

/// `timestamp - span`.
pub(super) fn subtract_interval(timestamp: i64, span: Interval) -> Result<i64> {
    add_interval(timestamp, interval::negate(span)?)
}

/// `timestamp + span` by a zone's clock: a day is as long as the clock makes it, an hour is an hour.
pub(super) fn add_zoned(timestamp: i64, span: Interval, zone: &Zone) -> Result<i64> {
    if matches!(zone, Zone::Fixed(_)) || (span.months == 0 && span.days == 0) {
        return add_interval(timestamp, span);
    }
    let mut moved = timestamp;
    let (no_days, no_time) = (Interval { days: 0, ..span }, Interval { months: 0, ..span });
    for part in [
        Interval {
            micros: 0,
            ..no_days
        },
        Interval {
            micros: 0,
            ..no_time
        },
    ] {
        if part.months != 0 || part.days != 0 {
            moved = zone.meant(add_interval(zone.shown(moved)?, part)?)?;
        }
    }
    add_interval(
        moved,
        Interval {
            months: 0,
            days: 0,
            ..span
        },
    )
}

fn add_in_session(context: &EvalContext, timestamp: i64, span: Interval) -> Result<i64> {
    add_zoned(timestamp, span, &context.style().zone)
}

/// `a - b`, in days and time.
pub(super) fn between(a: i64, b: i64) -> Result<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return Err(sql_error!(
            DATETIME_FIELD_OVERFLOW,
            "cannot subtract infinite timestamps"
        ));
    }
    let micros = a
        .checked_sub(b)
        .ok_or_else(calendar::interval_out_of_range)?;
    calendar::interval(0, micros / DAY, micros % DAY)
}

fn add_days(date: i32, days: i32) -> Result<i32> {
    if is_infinite_date(date) {
        return Ok(date);
    }
    calendar::date(i64::from(date) + i64::from(days)).ok_or_else(calendar::date_out_of_range)
}

fn subtract_days(date: i32, days: i32) -> Result<i32> {
    if is_infinite_date(date) {
        return Ok(date);
    }
    calendar::date(i64::from(date) - i64::from(days)).ok_or_else(calendar::date_out_of_range)
}

fn days_between(a: i32, b: i32) -> Result<i32> {
    if is_infinite_date(a) || is_infinite_date(b) {
        return Err(sql_error!(
            DATETIME_FIELD_OVERFLOW,
            "cannot subtract infinite dates"
        ));
    }
    // The range of dates is narrower than 32 bits, and so is its width.
    a.checked_sub(b).ok_or_else(calendar::date_out_of_range)
}

fn date_and_time(date: i32, time: i64) -> Result<i64> {
    let midnight = date_to_timestamp(date)?;
    if is_infinite(midnight) {
        return Ok(midnight);
    }
    let (day, _) = calendar::split(midnight);
    calendar::join(day, time).ok_or_else(calendar::timestamp_out_of_range)
}

fn add_to_time(time: i64, span: Interval) -> Result<i64> {
    Ok((time + span.micros % DAY).rem_euclid(DAY))
}

fn subtract_from_time(time: i64, span: Interval) -> Result<i64> {
    Ok((time - span.micros % DAY).rem_euclid(DAY))
}

static DATES: &[Overload] = &[
    function!("+"(Date, Integer) -> Date, "The date so many days later.", add_days),
    function!("+"(Integer, Date) -> Date, "The date so many days later.", |n, d| add_days(d, n)),
    function!("-"(Date, Integer) -> Date, "The date so many days earlier.", subtract_days),
    function!("-"(Date, Date) -> Integer, "Days between two dates.", days_between),
    function!("+"(Date, Time) -> Timestamp, "Date and time of day.", date_and_time),
    function!("+"(Time, Date) -> Timestamp, "Date and time of day.", |t, d| date_and_time(d, t)),
    function!("+"(Date, Interval) -> Timestamp, "The moment so much later.",
        |d, i| add_interval(date_to_timestamp(d)?, i)),
    function!("+"(Interval, Date) -> Timestamp, "The moment so much later.",
        |i, d| add_interval(date_to_timestamp(d)?, i)),
    function!("-"(Date, Interval) -> Timestamp, "The moment so much earlier.",
        |d, i| subtract_interval(date_to_timestamp(d)?, i)),
];

static TIMESTAMPS: &[Overload] = &[
    function!("+"(Timestamp, Interval) -> Timestamp, "The moment so much later.", add_interval),
    function!("+"(Interval, Timestamp) -> Timestamp, "The moment so much later.",
        |i, t| add_interval(t, i)),
    function!("-"(Timestamp, Interval) -> Timestamp, "The moment so much earlier.",
        subtract_interval),
    function!("-"(Timestamp, Timestamp) -> Interval, "The time between.", between),
    function!(patient "+"(TimestampTz, Interval) -> TimestampTz, "The moment so much later.",
        add_in_session)
    .volatility(Stable),
    function!(patient "+"(Interval, TimestampTz) -> TimestampTz, "The moment so much later.",
        |context, i, t| add_in_session(context, t, i))
    .volatility(Stable),
    function!(patient "-"(TimestampTz, Interval) -> TimestampTz, "The moment so much earlier.",
        |context, t, i| add_in_session(context, t, interval::negate(i)?))
    .volatility(Stable),
    function!("-"(TimestampTz, TimestampTz) -> Interval, "The time between.", between),
];

static TIMES: &[Overload] = &[
    function!("+"(Time, Interval) -> Time, "Later, around the clock.", add_to_time),
    function!("+"(Interval, Time) -> Time, "Later, around the clock.", |i, t| add_to_time(t, i)),
    function!("-"(Time, Interval) -> Time, "Earlier, around the clock.", subtract_from_time),
    function!("-"(Time, Time) -> Interval, "The time between.",
        |a, b| calendar::interval(0, 0, a - b)),
];

static INTERVALS: &[Overload] = &[
    function!("+"(Interval, Interval) -> Interval, "Sum.", interval::add),
    function!("-"(Interval, Interval) -> Interval, "Difference.", interval::subtract),
    function!("-"(Interval) -> Interval, "Negation.", interval::negate),
    function!("*"(Interval, Double) -> Interval, "Multiple.", interval::multiply),
    function!("*"(Double, Interval) -> Interval, "Multiple.", |f, i| interval::multiply(i, f)),
    function!("/"(Interval, Double) -> Interval, "Part.", interval::divide),
    function!("justify_hours"(Interval) -> Interval, "Whole 24 hours as days.",
        interval::justify_hours),
    function!("justify_days"(Interval) -> Interval, "Whole 30 days as months.",
        interval::justify_days),
    function!("justify_interval"(Interval) -> Interval, "Both, with one sign.",
        interval::justify),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[DATES, TIMESTAMPS, TIMES, INTERVALS];
