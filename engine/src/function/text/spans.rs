//! INTERVAL to text, in the forms of PostgreSQL's `IntervalStyle`.
//!
//! ```text
//!  postgres           1 year 2 mons 3 days 04:05:06.5
//!  postgres_verbose   @ 1 year 2 mons 3 days 4 hours 5 mins 6.5 secs
//!  sql_standard       +1-2 +3 +4:05:06.5
//!  iso_8601           P1Y2M3DT4H5M6.5S
//! ```

use super::show;
use super::style::IntervalForm;
use crate::function::calendar::{HOUR, MINUTE, SECOND};
use remora_storage::Interval;
use std::fmt::Write;

/// Writes a span.
pub(super) fn write(out: &mut String, value: Interval, form: IntervalForm) {
    match form {
        IntervalForm::Postgres => postgres(out, value),
        IntervalForm::Verbose => verbose(out, value),
        IntervalForm::Sql => sql(out, value),
        IntervalForm::Iso => iso(out, value),
    }
}

/// Years, months, days, hours, minutes, and microseconds: what all but the first form show.
fn parts(value: Interval) -> [i64; 6] {
    [
        (value.months / 12).into(),
        (value.months % 12).into(),
        value.days.into(),
        value.micros / HOUR,
        value.micros % HOUR / MINUTE,
        value.micros % MINUTE,
    ]
}

/// Seconds as they are counted, `6.5`, without a sign.
fn bare_seconds(out: &mut String, micros: i64) {
    let _ = write!(out, "{}", micros.abs() / SECOND);
    show::fraction(out, micros.abs() % SECOND);
}

/// What comes after a part that was negative shows that it is not; and all of it is turned where the first
/// was negative, which `ago` says at the end.
fn verbose(out: &mut String, value: Interval) {
    let parts = parts(value);
    let is_ago = parts
        .iter()
        .find(|part| **part != 0)
        .is_some_and(|first| *first < 0);
    let turned = |part: i64| if is_ago { -part } else { part };
    out.push('@');
    let units = ["year", "mon", "day", "hour", "min"];
    for (part, unit) in parts.iter().zip(units) {
        let part = turned(*part);
        if part != 0 {
            let plural = if part == 1 { "" } else { "s" };
            let _ = write!(out, " {part} {unit}{plural}");
        }
    }
    let micros = turned(parts[5]);
    if micros != 0 {
        out.push_str(if micros < 0 { " -" } else { " " });
        bare_seconds(out, micros);
        out.push_str(if micros.abs() == SECOND {
            " sec"
        } else {
            " secs"
        });
    }
    if parts.iter().all(|part| *part == 0) {
        out.push_str(" 0");
    }
    if is_ago {
        out.push_str(" ago");
    }
}

fn sql(out: &mut String, value: Interval) {
    let parts = parts(value);
    let is_negative = parts.iter().any(|part| *part < 0);
    let is_positive = parts.iter().any(|part| *part > 0);
    let [years, months, days, hours, minutes, micros] = parts.map(i64::abs);
    let has_months = value.months != 0;
    let has_time = value.days != 0 || value.micros != 0;
    let clock = |out: &mut String| {
        let _ = write!(out, "{hours}:{minutes:02}:");
        show::seconds(out, micros);
    };
    if !is_negative && !is_positive {
        return out.push('0');
    }
    if is_negative && is_positive || has_months && has_time {
        // The standard has no such spans: each part has its sign.
        let sign = |is_negative: bool| if is_negative { '-' } else { '+' };
        let _ = write!(out, "{}{years}-{months} ", sign(value.months < 0));
        let _ = write!(
            out,
            "{}{days} {}",
            sign(value.days < 0),
            sign(value.micros < 0)
        );
        return clock(out);
    }
    if is_negative {
        out.push('-');
    }
    if has_months {
        let _ = write!(out, "{years}-{months}");
        return;
    }
    if days != 0 {
        let _ = write!(out, "{days} ");
    }
    clock(out);
}

fn iso(out: &mut String, value: Interval) {
    let parts = parts(value);
    if parts.iter().all(|part| *part == 0) {
        return out.push_str("PT0S");
    }
    out.push('P');
    for (at, (part, unit)) in parts.iter().zip(["Y", "M", "D", "H", "M"]).enumerate() {
        if at == 3 && value.micros != 0 {
            out.push('T');
        }
        if *part != 0 {
            let _ = write!(out, "{part}{unit}");
        }
    }
    if parts[5] != 0 {
        out.push_str(if parts[5] < 0 { "-" } else { "" });
        bare_seconds(out, parts[5]);
        out.push('S');
    }
}

/// Writes `1 year 2 mons 3 days 04:05:06.5`. A part that is positive after a negative one shows its
/// sign.
fn postgres(out: &mut String, value: Interval) {
    let start = out.len();
    let mut negative_before = false;
    let mut part = |out: &mut String, amount: i32, unit: &str| {
        if amount != 0 {
            let space = if out.len() > start { " " } else { "" };
            let sign = if negative_before && amount > 0 {
                "+"
            } else {
                ""
            };
            let plural = if amount == 1 { "" } else { "s" };
            let _ = write!(out, "{space}{sign}{amount} {unit}{plural}");
            negative_before = amount < 0;
        }
    };
    part(out, value.months / 12, "year");
    part(out, value.months % 12, "mon");
    part(out, value.days, "day");
    if value.micros != 0 || out.len() == start {
        let [hours, minutes, micros] = [
            value.micros / HOUR,
            value.micros % HOUR / MINUTE,
            value.micros % MINUTE,
        ]
        .map(i64::abs);
        if out.len() > start {
            out.push(' ');
        }
        if value.micros < 0 {
            out.push('-');
        } else if negative_before {
            out.push('+');
        }
        let _ = write!(out, "{hours:02}:{minutes:02}:");
        show::seconds(out, micros);
    }
}
