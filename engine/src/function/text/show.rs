//! Dates and times to text, in the forms of PostgreSQL's `DateStyle`.
//!
//! ```text
//!  ISO        2024-01-05    2024-01-05 10:00:00+01
//!  SQL        01/05/2024    01/05/2024 10:00:00 CET       05/01/2024 where the day comes first
//!  German     05.01.2024    05.01.2024 10:00:00 CET
//!  Postgres   01-05-2024    Fri Jan 05 10:00:00 2024 CET  05-01-2024, Fri 05 Jan ..
//! ```

use super::style::{DateForm, FieldOrder, Style};
use crate::error::Result;
use crate::function::calendar::{
    self, Civil, DATE_INFINITY, DATE_NEG_INFINITY, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_NEG_INFINITY,
};
use crate::function::timetz::ZonedTime;
use std::fmt::Write;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// `2024-01-05`, `infinity`, `0044-03-15 BC`
pub(super) fn date(out: &mut String, days: i32, style: &Style) {
    match days {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_NEG_INFINITY => out.push_str("-infinity"),
        _ => {
            let date = calendar::civil_from_days(days.into());
            day(out, date, style);
            out.push_str(era(date));
        }
    }
}

fn era(date: Civil) -> &'static str {
    if date.year <= 0 { " BC" } else { "" }
}

/// The year as it is called.
fn called(date: Civil) -> i64 {
    if date.year <= 0 {
        1 - date.year
    } else {
        date.year
    }
}

/// Writes year, month and day, without the era.
fn day(out: &mut String, date: Civil, style: &Style) {
    let year = called(date);
    let (month, day) = (date.month, date.day);
    let (first, second) = match style.order {
        FieldOrder::DayMonthYear => (day, month),
        _ => (month, day),
    };
    let _ = match style.dates {
        DateForm::Iso => write!(out, "{year:04}-{month:02}-{day:02}"),
        DateForm::Sql => write!(out, "{first:02}/{second:02}/{year:04}"),
        DateForm::German => write!(out, "{day:02}.{month:02}.{year:04}"),
        DateForm::Postgres => write!(out, "{first:02}-{second:02}-{year:04}"),
    };
}

/// `10:00:00.5`
pub(super) fn time(out: &mut String, micros: i64) {
    let (hour, minute) = (micros / HOUR, micros % HOUR / MINUTE);
    let _ = write!(out, "{hour:02}:{minute:02}:");
    seconds(out, micros % MINUTE);
}

/// Seconds with two digits and as much of a fraction as is needed.
pub(super) fn seconds(out: &mut String, micros: i64) {
    let _ = write!(out, "{:02}", micros / SECOND);
    fraction(out, micros % SECOND);
}

/// `.5`, or nothing for a whole second.
pub(super) fn fraction(out: &mut String, micros: i64) {
    if micros != 0 {
        let digits = format!(".{micros:06}");
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// `+01`, `-03:30`
pub(super) fn offset(out: &mut String, ahead: i64) {
    let sign = if ahead < 0 { '-' } else { '+' };
    let distance = ahead.abs();
    let _ = write!(out, "{sign}{:02}", distance / HOUR);
    let (minutes, seconds) = (distance % HOUR / MINUTE, distance % MINUTE / SECOND);
    if minutes != 0 || seconds != 0 {
        let _ = write!(out, ":{minutes:02}");
    }
    if seconds != 0 {
        let _ = write!(out, ":{seconds:02}");
    }
}

/// `10:00:00.5+01`
pub(super) fn timetz(out: &mut String, value: ZonedTime) {
    time(out, value.micros);
    offset(out, value.ahead);
}

/// Whether it was written as one of the infinities.
fn infinity(out: &mut String, value: i64) -> bool {
    match value {
        TIMESTAMP_INFINITY => out.push_str("infinity"),
        TIMESTAMP_NEG_INFINITY => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

/// A TIMESTAMP: `2024-01-05 10:00:00`.
pub(super) fn timestamp(out: &mut String, value: i64, style: &Style) {
    if !infinity(out, value) {
        moment(out, value, style, |_| {});
    }
}

/// A TIMESTAMPTZ, with the displacement of the session's zone or what its clock is called.
pub(super) fn timestamptz(out: &mut String, value: i64, style: &Style) {
    if infinity(out, value) {
        return;
    }
    let ahead = style.zone.ahead_at(value);
    // Near an end of the range the zone may show what is beyond: UTC is shown there.
    let shown: Result<i64> = style.zone.shown(value);
    let (shown, ahead) = shown.map_or((value, 0), |shown| (shown, ahead));
    moment(out, shown, style, |out| match style.dates {
        DateForm::Iso => offset(out, ahead),
        _ => {
            out.push(' ');
            out.push_str(&style.zone.abbreviation_at(value));
        }
    });
}

fn moment(out: &mut String, shown: i64, style: &Style, zone: impl FnOnce(&mut String)) {
    let (days, micros) = calendar::split(shown);
    let date = calendar::civil_from_days(days);
    match style.dates {
        DateForm::Postgres => {
            let weekday = WEEKDAYS[calendar::weekday(days) as usize % 7];
            let month = MONTHS[(date.month as usize + 11) % 12];
            let _ = match style.order {
                FieldOrder::DayMonthYear => write!(out, "{weekday} {:02} {month} ", date.day),
                _ => write!(out, "{weekday} {month} {:02} ", date.day),
            };
            time(out, micros);
            let _ = write!(out, " {:04}", called(date));
        }
        _ => {
            day(out, date, style);
            out.push(' ');
            time(out, micros);
        }
    }
    zone(out);
    out.push_str(era(date));
}
