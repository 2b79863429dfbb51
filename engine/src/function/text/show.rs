//! Dates and times to text, in PostgreSQL's ISO style.

use crate::function::calendar::{
    self, DATE_INFINITY, DATE_NEG_INFINITY, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_NEG_INFINITY,
};
use std::fmt::Write;

/// `2024-01-05`, `infinity`, `0044-03-15 BC`
pub(super) fn date(out: &mut String, days: i32) {
    match days {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_NEG_INFINITY => out.push_str("-infinity"),
        _ => {
            let before_christ = day(out, days.into());
            out.push_str(era(before_christ));
        }
    }
}

fn era(before_christ: bool) -> &'static str {
    if before_christ { " BC" } else { "" }
}

/// Writes year, month and day; whether the year is BC is for the caller to write at the end.
fn day(out: &mut String, days: i64) -> bool {
    let date = calendar::civil_from_days(days);
    let before_christ = date.year <= 0;
    let year = if before_christ {
        1 - date.year
    } else {
        date.year
    };
    let _ = write!(out, "{year:04}-{:02}-{:02}", date.month, date.day);
    before_christ
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

/// `2024-01-05 10:00:00` and the zone.
pub(super) fn timestamp(out: &mut String, value: i64, zone: &str) {
    match value {
        TIMESTAMP_INFINITY => out.push_str("infinity"),
        TIMESTAMP_NEG_INFINITY => out.push_str("-infinity"),
        _ => {
            let (days, micros) = calendar::split(value);
            let before_christ = day(out, days);
            out.push(' ');
            time(out, micros);
            out.push_str(zone);
            out.push_str(era(before_christ));
        }
    }
}
