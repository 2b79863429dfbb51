//! INTERVAL from text: PostgreSQL's own style, SQL's and ISO 8601's, as `DecodeInterval` and
//! `DecodeISO8601Interval` read them.
//!
//! A fraction of a unit flows down: of a year into months, of a month into days (30 to a month), of
//! a week or day into days and time. Fields are read from the last to the first, so that a unit is known before
//! its number.

use super::fields::{Field, Kind, cut};
use super::invalid;
use super::span_parts::{Parts, Refusal, Summed, Unit, fraction, unit};
use super::style::IntervalForm;
use crate::error::{Result, state};
use remora_storage::Interval;

/// What a number without a unit is, where a literal says: `INTERVAL '1' DAY`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    /// The unit of the last number.
    pub(crate) last: Unit,
    /// Whether `1:02` is minutes and seconds.
    pub(crate) minutes_first: bool,
}

impl Default for Range {
    fn default() -> Self {
        Self {
            last: Unit::Second,
            minutes_first: false,
        }
    }
}

/// Reads an INTERVAL.
pub(super) fn parse(text: &str, form: IntervalForm, range: Range) -> Result<Interval> {
    let parts = match decode(text, form, range) {
        Err(Refusal::Syntax) => super::iso_span::decode(text),
        other => other,
    };
    match parts {
        Ok(parts) => parts.finish(),
        Err(Refusal::Syntax) => Err(invalid(state::INVALID_DATETIME_FORMAT, "interval", text)),
        Err(Refusal::Overflow) => Err(sql_error!(
            INTERVAL_FIELD_OVERFLOW,
            "interval field value out of range: \"{text}\""
        )),
    }
}

/// Whether a field has a sign.
fn is_signed(field: &Field) -> bool {
    field.text.starts_with(['+', '-'])
}

fn decode(text: &str, form: IntervalForm, range: Range) -> Summed<Parts> {
    let fields = cut(text, |word| unit(word).is_some()).ok_or(Refusal::Syntax)?;
    // In the standard's form a sign before all of it is that of each part.
    let all_negative = form == IntervalForm::Sql
        && matches!(fields.as_slice(), [first, others @ ..]
            if first.text.starts_with('-') && !others.iter().any(is_signed));
    let mut parts = Parts::default();
    let mut said = 0;
    let mut ago = false;
    // The unit of the number that comes next; `None` where the literal says it.
    let mut next = Some(None);
    for field in fields.iter().rev() {
        let told = match field.kind {
            Kind::Word | Kind::SignedWord if field.text == "ago" => {
                ago = true;
                next = None;
                0
            }
            Kind::Word | Kind::SignedWord => {
                next = Some(Some(unit(&field.text).ok_or(Refusal::Syntax)?));
                0
            }
            Kind::Time => {
                next = Some(Some(Unit::Day));
                let micros = parts.clock(&field.text, range.minutes_first)?;
                parts.add_clock(negative_if(micros, all_negative))?;
                Unit::CLOCK
            }
            Kind::Zone if field.text[1..].contains(':') => {
                let micros = parts.clock(&field.text[1..], range.minutes_first);
                let micros = micros.map_err(|_| Refusal::Syntax)?;
                let micros = match field.text.starts_with('-') {
                    true => micros.checked_neg().ok_or(Refusal::Overflow)?,
                    false => micros,
                };
                next = Some(Some(Unit::Day));
                parts.add_clock(negative_if(micros, all_negative))?;
                Unit::CLOCK
            }
            Kind::Zone | Kind::Date | Kind::Number => {
                let unit = next.ok_or(Refusal::Syntax)?.unwrap_or(range.last);
                let (unit, value, rest) = number(&field.text, unit)?;
                let (value, rest) = match all_negative {
                    true => (negative_if(value, true), -rest.abs()),
                    false => (value, rest),
                };
                parts.add(value, rest, unit)?;
                next = Some(Some(if unit == Unit::Hour { Unit::Day } else { unit }));
                match unit == Unit::Second && rest != 0.0 {
                    true => Unit::ALL_SECONDS,
                    false => unit.bit(),
                }
            }
        };
        if said & told != 0 {
            return Err(Refusal::Syntax);
        }
        said |= told;
    }
    match (said, ago) {
        (0, _) => Err(Refusal::Syntax),
        (_, true) => parts.negated(),
        (_, false) => Ok(parts),
    }
}

/// Returns a number, or on request minus its absolute value.
fn negative_if(number: i64, is_negative: bool) -> i64 {
    match is_negative && number > 0 {
        true => -number,
        false => number,
    }
}

/// `5`, `-1.5`, or the standard's `1-2` for years and months.
fn number(text: &str, unit: Unit) -> Summed<(Unit, i64, f64)> {
    let is_negative = text.starts_with('-');
    let start = usize::from(text.starts_with(['+', '-']));
    let end = text[start..]
        .find(|c: char| !c.is_ascii_digit())
        .map_or(text.len(), |at| start + at);
    let sign = if is_negative { "-" } else { "" };
    let digits = &text[start..end];
    let value: i64 = match digits {
        "" => 0,
        digits => format!("{sign}{digits}")
            .parse()
            .map_err(|_| Refusal::Overflow)?,
    };
    let rest = &text[end..];
    if let Some(months) = rest.strip_prefix('-') {
        let end = months
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(months.len());
        let (digits, rest) = months.split_at(end);
        let months: i64 = match digits {
            "" => 0,
            digits => digits.parse().map_err(|_| Refusal::Overflow)?,
        };
        if months >= 12 {
            return Err(Refusal::Overflow);
        }
        if !rest.is_empty() {
            return Err(Refusal::Syntax);
        }
        let months = if is_negative { -months } else { months };
        let all = value
            .checked_mul(12)
            .and_then(|all| all.checked_add(months));
        return Ok((Unit::Month, all.ok_or(Refusal::Overflow)?, 0.0));
    }
    let part = match rest {
        "" => 0.0,
        rest => fraction(rest)?,
    };
    Ok((unit, value, if is_negative { -part } else { part }))
}
