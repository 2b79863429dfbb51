//! Arithmetic of intervals.

use super::calendar::{self, DAY};
use super::decimal;
use crate::error::Result;
use remora_storage::Interval;

/// `a + b`, part by part.
pub(super) fn add(a: Interval, b: Interval) -> Result<Interval> {
    let sum = |a: i32, b: i32| i64::from(a) + i64::from(b);
    let micros = a.micros.checked_add(b.micros);
    let micros = micros.ok_or_else(calendar::interval_out_of_range)?;
    calendar::interval(sum(a.months, b.months), sum(a.days, b.days), micros)
}

/// `-a`.
pub(super) fn negate(a: Interval) -> Result<Interval> {
    let micros = a.micros.checked_neg();
    let micros = micros.ok_or_else(calendar::interval_out_of_range)?;
    calendar::interval(-i64::from(a.months), -i64::from(a.days), micros)
}

/// `a - b`.
pub(super) fn subtract(a: Interval, b: Interval) -> Result<Interval> {
    add(a, negate(b)?)
}

/// `a * factor`: fractions of months become days, fractions of days time.
pub(super) fn multiply(a: Interval, factor: f64) -> Result<Interval> {
    scale(a, |part| part * factor)
}

/// `a / divisor`.
///
/// # Errors
/// 22012.
pub(super) fn divide(a: Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(decimal::division_by_zero());
    }
    scale(a, |part| part / divisor)
}

/// Microseconds are all that a timestamp can tell apart; what is nearer is noise of the float.
fn to_micros(days: f64) -> f64 {
    (days * 1_000_000.0).round_ties_even() / 1_000_000.0
}

fn scale(a: Interval, f: impl Fn(f64) -> f64) -> Result<Interval> {
    let narrow = |n: f64| {
        let limit = 9e18;
        if n.is_nan() || n.abs() > limit {
            Err(calendar::interval_out_of_range())
        } else {
            Ok(n as i64)
        }
    };
    let (months, days) = (f(a.months.into()), f(a.days.into()));
    let (whole_months, whole_days) = (months.trunc(), days.trunc());
    // What is left of the months, in days of 30 to the month; and of both, in seconds.
    let month_rest = to_micros((months - whole_months) * 30.0);
    let mut seconds = to_micros((days - whole_days + month_rest - month_rest.trunc()) * 86_400.0);
    let mut more_days = month_rest.trunc();
    if seconds.abs() >= 86_400.0 {
        more_days += (seconds / 86_400.0).trunc();
        seconds %= 86_400.0;
    }
    let micros = (f(a.micros as f64) + seconds * 1_000_000.0).round_ties_even();
    calendar::interval(
        narrow(whole_months)?,
        narrow(whole_days + more_days)?,
        narrow(micros)?,
    )
}

/// Moves whole 24 hours into days, both of one sign.
pub(super) fn justify_hours(a: Interval) -> Result<Interval> {
    let (mut days, mut micros) = (i64::from(a.days) + a.micros / DAY, a.micros % DAY);
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - DAY);
    }
    calendar::interval(a.months.into(), days, micros)
}

/// Moves whole 30 days into months, both of one sign.
pub(super) fn justify_days(a: Interval) -> Result<Interval> {
    let (mut months, mut days) = (
        i64::from(a.months) + i64::from(a.days / 30),
        i64::from(a.days % 30),
    );
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - 30);
    }
    calendar::interval(months, days, a.micros)
}

/// Both, with all parts of one sign.
pub(super) fn justify(a: Interval) -> Result<Interval> {
    let micros = i128::from(a.micros) + i128::from(a.days) * i128::from(DAY);
    let days = (micros / i128::from(DAY)) as i64;
    let mut months = i64::from(a.months) + days / 30;
    let mut days = days % 30;
    let mut micros = (micros % i128::from(DAY)) as i64;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        (months, days) = (months + 1, days - 30);
    }
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - DAY);
    }
    calendar::interval(months, days, micros)
}
