//! Parts of moments and spans: `extract`, `date_part` and `date_trunc`.
//!
//! `extract` gives NUMERIC, so that seconds and epochs stay exact; `date_part` is the same as
//! DOUBLE PRECISION. Of an infinite moment the parts that only grow (year, epoch, ..) are infinite
//! and the others NULL.

use super::Volatility::{Immutable, Stable};
use super::calendar::{
    self, Civil, DAY, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
};
use super::cast::date_to_timestamp;
use super::kernel::function;
use super::native::{SqlType, Text};
use super::text::Zone;
use super::timetz::ZonedTime;
use super::{EvalContext, Overload, decimal};
use crate::error::{Error, Result};
use remora_storage::{DataType, Interval, Numeric, Value, ValueRef};

/// A unit of time, or a number that a calendar gives to a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Epoch,
    Julian,
    IsoYear,
    Dow,
    IsoDow,
    Doy,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

/// The longest text that may name a unit, and the most of one that an error shows.
const NAME_BYTES_MAX: usize = 256;

fn unit_named(name: &str) -> Option<Unit> {
    use Unit as U;
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" => U::Microseconds,
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" => U::Milliseconds,
        "second" | "seconds" | "s" | "sec" | "secs" => U::Second,
        "minute" | "minutes" | "m" | "min" | "mins" => U::Minute,
        "hour" | "hours" | "h" | "hr" | "hrs" => U::Hour,
        "day" | "days" | "d" => U::Day,
        "week" | "weeks" | "w" => U::Week,
        "month" | "months" | "mon" | "mons" => U::Month,
        "quarter" | "qtr" => U::Quarter,
        "year" | "years" | "y" | "yr" | "yrs" => U::Year,
        "decade" | "decades" | "dec" | "decs" => U::Decade,
        "century" | "centuries" | "c" | "cent" => U::Century,
        "millennium" | "millennia" | "mil" | "mils" => U::Millennium,
        "epoch" => U::Epoch,
        "julian" | "j" | "jd" => U::Julian,
        "isoyear" => U::IsoYear,
        "dow" => U::Dow,
        "isodow" => U::IsoDow,
        "doy" => U::Doy,
        "timezone" => U::Timezone,
        "timezone_hour" => U::TimezoneHour,
        "timezone_minute" => U::TimezoneMinute,
        _ => return None,
    })
}

fn unit(name: &str, data_type: DataType) -> Result<Unit> {
    unit_named(name).ok_or_else(|| unrecognized(name, data_type))
}

fn unrecognized(name: &str, data_type: DataType) -> Error {
    sql_error!(
        INVALID_PARAMETER_VALUE,
        "unit \"{}\" not recognized for type {data_type}",
        name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_ascii_lowercase()
    )
}

fn unsupported(name: &str, data_type: DataType) -> Error {
    sql_error!(
        FEATURE_NOT_SUPPORTED,
        "unit \"{}\" not supported for type {data_type}",
        name.to_ascii_lowercase()
    )
}

/// A part's value, as digits and a scale; `None` for a unit that there is none of.
type Part = Option<(i128, u8)>;

fn whole(value: i64) -> Part {
    Some((value.into(), 0))
}

/// The parts that a time of day has.
fn clock_part(unit: Unit, micros: i64) -> Part {
    match unit {
        Unit::Microseconds => whole(micros % MINUTE),
        Unit::Milliseconds => Some(((micros % MINUTE).into(), 3)),
        Unit::Second => Some(((micros % MINUTE).into(), 6)),
        Unit::Minute => whole(micros / MINUTE % 60),
        Unit::Hour => whole(micros / HOUR),
        _ => None,
    }
}

/// The number of a century or millennium: there is no year 0 and so no such number 0.
fn counted(year: i64, length: i64) -> i64 {
    if year > 0 {
        (year + length - 1) / length
    } else {
        -((length - year) / length)
    }
}

/// The Thursday of a day's ISO week decides the week's year and number.
pub(super) fn iso_week(day: i64) -> (i64, i64) {
    let thursday = day - (calendar::weekday(day) + 6) % 7 + 3;
    let year = calendar::civil_from_days(thursday).year;
    let first = calendar::days_from_civil(Civil {
        year,
        month: 1,
        day: 1,
    });
    (year, (thursday - first) / 7 + 1)
}

/// Years before Christ as they are called: there is no year 0.
fn called(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// The parts that a day has.
fn day_part(unit: Unit, day: i64) -> Part {
    let date = calendar::civil_from_days(day);
    whole(match unit {
        Unit::Day => date.day.into(),
        Unit::Month => date.month.into(),
        Unit::Quarter => i64::from((date.month - 1) / 3 + 1),
        Unit::Year => called(date.year),
        Unit::Decade => date.year.div_euclid(10),
        Unit::Century => counted(date.year, 100),
        Unit::Millennium => counted(date.year, 1000),
        Unit::Week => iso_week(day).1,
        Unit::IsoYear => called(iso_week(day).0),
        Unit::Dow => calendar::weekday(day),
        Unit::IsoDow => (calendar::weekday(day) + 6) % 7 + 1,
        Unit::Doy => {
            day - calendar::days_from_civil(Civil {
                year: date.year,
                month: 1,
                day: 1,
            }) + 1
        }
        Unit::Julian => day - calendar::FIRST_DAY,
        _ => return None,
    })
}

/// The parts that say how far a clock is ahead.
fn zone_part(unit: Unit, ahead: i64) -> Part {
    match unit {
        Unit::Timezone => whole(ahead / SECOND),
        Unit::TimezoneHour => whole(ahead / HOUR),
        Unit::TimezoneMinute => whole(ahead % HOUR / MINUTE),
        _ => None,
    }
}

fn zoned_part(unit: Unit, moment: i64, zone: &Zone) -> Result<Part> {
    Ok(match unit {
        Unit::Epoch => Some((moment.into(), 6)),
        Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => {
            zone_part(unit, zone.ahead_at(moment))
        }
        _ => timestamp_part(unit, zone.shown(moment)?)?,
    })
}

fn timestamp_part(unit: Unit, timestamp: i64) -> Result<Part> {
    let (day, micros) = calendar::split(timestamp);
    Ok(match unit {
        Unit::Epoch => Some((timestamp.into(), 6)),
        Unit::Julian => {
            let whole = Numeric::from(day - calendar::FIRST_DAY);
            let rest = decimal::divide(Numeric::from(micros), Numeric::from(DAY))?;
            let sum = decimal::add(whole, rest)?;
            Some((sum.mantissa(), sum.scale()))
        }
        _ => day_part(unit, day).or_else(|| clock_part(unit, micros)),
    })
}

fn interval_part(unit: Unit, span: Interval) -> Part {
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    match unit {
        Unit::Day => whole(span.days.into()),
        Unit::Month => whole(months),
        Unit::Quarter => whole(months / 3 + 1),
        Unit::Year => whole(years),
        Unit::Decade => whole(years / 10),
        Unit::Century => whole(years / 100),
        Unit::Millennium => whole(years / 1000),
        Unit::Epoch => {
            // A year is 365.25 days here, and a month beside years 30.
            let days = i128::from(years) * 1461 * 6
                + (i128::from(months) * 30 + i128::from(span.days)) * 24;
            Some((days * i128::from(HOUR) + i128::from(span.micros), 6))
        }
        _ => clock_part(unit, span.micros),
    }
}

/// What an infinite moment answers.
fn infinite_part(unit: Unit, positive: bool) -> Option<Numeric> {
    use Unit as U;
    let growing = matches!(
        unit,
        U::Year | U::Decade | U::Century | U::Millennium | U::Julian | U::IsoYear | U::Epoch
    );
    growing.then_some(if positive {
        Numeric::INFINITY
    } else {
        Numeric::NEG_INFINITY
    })
}

/// `extract(unit FROM value)`, `None` for NULL.
fn extract(name: &str, value: ValueRef<'_>, zone: &Zone) -> Result<Option<Numeric>> {
    let (data_type, timestamp) = match value {
        ValueRef::Date(v) => (DataType::Date, Some(date_to_timestamp(v).unwrap_or(0))),
        ValueRef::Timestamp(v) => (DataType::Timestamp, Some(v)),
        ValueRef::TimestampTz(v) => (DataType::TimestampTz, Some(v)),
        ValueRef::Time(_) => (DataType::Time, None),
        ValueRef::Packed(packed, _) => (DataType::Packed(packed), None),
        _ => (DataType::Interval, None),
    };
    let unit = unit(name, data_type)?;
    let part = match value {
        _ if matches!(timestamp, Some(TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY)) => {
            return Ok(infinite_part(unit, timestamp == Some(TIMESTAMP_INFINITY)));
        }
        ValueRef::Date(day) if unit == Unit::Epoch => whole(i64::from(day) * (DAY / SECOND)),
        ValueRef::Date(day) => day_part(unit, day.into()),
        ValueRef::Timestamp(v) => timestamp_part(unit, v)?,
        ValueRef::TimestampTz(v) => zoned_part(unit, v, zone)?,
        ValueRef::Time(v) if unit == Unit::Epoch => Some((v.into(), 6)),
        ValueRef::Time(v) => clock_part(unit, v),
        ValueRef::Interval(v) => interval_part(unit, v),
        ValueRef::Packed(_, bytes) => {
            let time = ZonedTime::of(bytes);
            match unit {
                Unit::Epoch => Some(((time.micros - time.ahead).into(), 6)),
                unit => clock_part(unit, time.micros).or_else(|| zone_part(unit, time.ahead)),
            }
        }
        _ => None,
    };
    let (digits, scale) = part.ok_or_else(|| unsupported(name, data_type))?;
    Numeric::new(digits, scale)
        .map(Some)
        .ok_or_else(decimal::overflow)
}

fn extract_value(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let part = extract(Text::of(arguments[0]), arguments[1], &context.style().zone)?;
    Ok(part.map_or(Value::Null, Value::Numeric))
}

fn date_part_value(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let part = extract(Text::of(arguments[0]), arguments[1], &context.style().zone)?;
    Ok(part.map_or(Value::Null, |n| Value::Double(decimal::to_f64(n))))
}

fn truncate_clock(unit: Unit, micros: i64) -> Option<i64> {
    let unit = match unit {
        Unit::Microseconds => 1,
        Unit::Milliseconds => 1000,
        Unit::Second => SECOND,
        Unit::Minute => MINUTE,
        Unit::Hour => HOUR,
        Unit::Day => DAY,
        _ => return None,
    };
    Some(micros - micros % unit)
}

/// The first day of the unit that a day is in.
fn truncate_day(unit: Unit, day: i64) -> Option<i64> {
    let date = calendar::civil_from_days(day);
    let (year, month) = match unit {
        Unit::Week => return Some(day - (calendar::weekday(day) + 6) % 7),
        Unit::Month => (date.year, date.month),
        Unit::Quarter => (date.year, (date.month - 1) / 3 * 3 + 1),
        Unit::Year => (date.year, 1),
        Unit::Decade => (date.year.div_euclid(10) * 10, 1),
        // The first century began with the year 1.
        Unit::Century => ((date.year - 1).div_euclid(100) * 100 + 1, 1),
        Unit::Millennium => ((date.year - 1).div_euclid(1000) * 1000 + 1, 1),
        _ => return None,
    };
    Some(calendar::days_from_civil(Civil {
        year,
        month,
        day: 1,
    }))
}

/// Whether the name is that of a number, not of a span that a moment could be cut to.
fn is_number(unit: Unit) -> bool {
    use Unit as U;
    matches!(
        unit,
        U::Epoch | U::Julian | U::IsoYear | U::Dow | U::IsoDow | U::Doy
    )
}

pub(super) fn truncate(name: &str, timestamp: i64, data_type: DataType) -> Result<i64> {
    let unit = unit(name, data_type)?;
    if is_number(unit) {
        return Err(unrecognized(name, data_type));
    }
    if matches!(timestamp, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY) {
        return Ok(timestamp);
    }
    let (day, micros) = calendar::split(timestamp);
    let (day, micros) = match truncate_clock(unit, micros) {
        Some(micros) => (day, micros),
        None => (
            truncate_day(unit, day).ok_or_else(|| unsupported(name, data_type))?,
            0,
        ),
    };
    calendar::join(day, micros).ok_or_else(calendar::timestamp_out_of_range)
}

/// [`truncate`] by a zone's clock.
pub(super) fn truncate_in(name: &str, moment: i64, zone: &Zone) -> Result<i64> {
    let shown = zone.shown(moment)?;
    let cut = truncate(name, shown, DataType::TimestampTz)?;
    // Within a day the clock stays as it is, which matters where it shows an hour twice.
    match unit_named(name).and_then(|unit| truncate_clock(unit, 0)) {
        Some(_) if !matches!(unit_named(name), Some(Unit::Day)) => Ok(moment - (shown - cut)),
        _ => zone.meant(cut),
    }
}

fn truncate_interval(name: &str, span: Interval) -> Result<Interval> {
    let months = match unit(name, DataType::Interval)? {
        Unit::Millennium => 12_000,
        Unit::Century => 1200,
        Unit::Decade => 120,
        Unit::Year => 12,
        Unit::Quarter => 3,
        Unit::Month => 1,
        Unit::Day => return Ok(Interval { micros: 0, ..span }),
        unit => {
            let micros = truncate_clock(unit, span.micros)
                .ok_or_else(|| unsupported(name, DataType::Interval))?;
            return Ok(Interval { micros, ..span });
        }
    };
    Ok(Interval {
        months: span.months - span.months % months,
        days: 0,
        micros: 0,
    })
}

macro_rules! parts {
    ($volatility:ident: $($sql:ident),*) => {
        &[$(
            function!(strict row "extract"(Text, $sql) -> Numeric, "A part, exact.", extract_value)
                .volatility($volatility),
            function!(strict row "date_part"(Text, $sql) -> Double, "A part.", date_part_value)
                .volatility($volatility),
        )*]
    };
}

static PARTS: &[Overload] = parts!(Immutable: Date, Time, Timestamp, Interval, TimeTz);
static ZONED_PARTS: &[Overload] = parts!(Stable: TimestampTz);

static TRUNCATIONS: &[Overload] = &[
    function!("date_trunc"(Text, Timestamp) -> Timestamp, "Cut to a unit.",
        |name, t| truncate(name, t, DataType::Timestamp)),
    function!(patient "date_trunc"(Text, TimestampTz) -> TimestampTz, "Cut to a unit.",
        |context: &EvalContext, name, t| truncate_in(name, t, &context.style().zone))
    .volatility(Stable),
    function!("date_trunc"(Text, Interval) -> Interval, "Cut to a unit.", truncate_interval),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[PARTS, ZONED_PARTS, TRUNCATIONS];
