//! Values of settings as PostgreSQL writes them: switches, numbers, and numbers with a unit of time or memory: `5s`, `1.5h`,
//! `64MB`.

use crate::error::{Error, Result, state};
use Unit::{Count, Kilobytes, Millis, Pages, Seconds};
use std::fmt::Display;
use std::time::Duration;

/// Units and how many of the smallest each has, smallest first.
type Units = &'static [(&'static str, u64)];

const BYTES: Units = &[
    ("B", 1),
    ("kB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("TB", 1 << 40),
];

const MICROS: Units = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// The longest duration, as PostgreSQL has it.
const MILLIS_MAX: u64 = i32::MAX as u64;

/// The unit of a number that names none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    Kilobytes,
    /// 8 kB each.
    Pages,
    Millis,
    Seconds,
}

impl Unit {
    /// Returns the units that may be written, and how many of the smallest this one has.
    fn scale(self) -> (Units, u64) {
        match self {
            Count => (&[], 1),
            Kilobytes => (BYTES, 1 << 10),
            Pages => (BYTES, 8 << 10),
            Millis => (MICROS, 1_000),
            Seconds => (MICROS, 1_000_000),
        }
    }

    /// Returns the unit as messages name it behind a number.
    fn name(self) -> &'static str {
        match self {
            Count => "",
            Kilobytes => " kB",
            Pages => " 8kB",
            Millis => " ms",
            Seconds => " s",
        }
    }
}

/// 22023.
pub(super) fn invalid(message: String) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

/// 22023 for a value.
pub(super) fn refuse(name: &str, value: &str) -> Error {
    invalid(format!(
        "invalid value for parameter \"{name}\": \"{value}\""
    ))
}

/// 22023 for a value that is not one of those.
pub(super) fn refuse_other(name: &str, value: &str, allowed: &[&str]) -> Error {
    refuse(name, value).with_hint(format!("Available values: {}.", allowed.join(", ")))
}

fn refuse_unit(name: &str, value: &str, units: Units) -> Error {
    let names = units.iter().map(|(name, _)| format!("\"{name}\""));
    let mut names: Vec<String> = names.collect();
    match names.pop() {
        None => refuse(name, value),
        Some(last) => refuse(name, value).with_hint(format!(
            "Valid units for this parameter are {}, and {last}.",
            names.join(", ")
        )),
    }
}

/// 22023 for a number that is too small or too large.
pub(super) fn outside(name: &str, value: &str, min: impl Display, max: impl Display) -> Error {
    invalid(format!(
        "{value} is outside the valid range for parameter \"{name}\" ({min} .. {max})"
    ))
}

/// Splits a text into its number and its unit.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    (number, unit.trim())
}

/// Reads a number with or without a unit, and returns how many of `unit` it is.
fn number_of(name: &str, text: &str, unit: Unit) -> Result<f64> {
    let (units, own) = unit.scale();
    let (number, written) = split(text);
    let number: f64 = number.parse().map_err(|_| refuse(name, text))?;
    if written.is_empty() {
        return Ok(number);
    }
    let known = units.iter().find(|(known, _)| *known == written);
    let (_, size) = known.ok_or_else(|| refuse_unit(name, text, units))?;
    Ok(number * *size as f64 / own as f64)
}

/// Returns an amount in the largest unit in which it is a whole number.
fn in_units(amount: u64, units: Units) -> String {
    let mut largest_first = units.iter().rev();
    match largest_first.find(|(_, size)| amount.is_multiple_of(*size)) {
        Some((unit, size)) if amount > 0 => format!("{}{unit}", amount / size),
        _ => amount.to_string(),
    }
}

/// Reads a whole number within limits, and returns it as it is shown.
///
/// # Errors
/// 22023.
pub(super) fn whole(name: &str, text: &str, unit: Unit, min: i64, max: i64) -> Result<String> {
    let rounded = number_of(name, text, unit)?.round_ties_even();
    if rounded.abs() > f64::from(i32::MAX) {
        return Err(refuse(name, text).with_hint("Value exceeds integer range."));
    }
    let value = rounded as i64;
    if !(min..=max).contains(&value) {
        return Err(outside(name, &format!("{value}{}", unit.name()), min, max));
    }
    let (units, own) = unit.scale();
    Ok(match u64::try_from(value) {
        Ok(value) => in_units(value * own, units),
        Err(_) => value.to_string(),
    })
}

/// Reads a number within limits, and returns it as it is shown.
///
/// # Errors
/// 22023.
pub(super) fn real(name: &str, text: &str, min: f64, max: f64) -> Result<String> {
    let value: f64 = text.trim().parse().map_err(|_| refuse(name, text))?;
    match (min..=max).contains(&value) {
        true => Ok(general(value)),
        false => Err(outside(name, &general(value), general(min), general(max))),
    }
}

/// Reads a duration, rounded to milliseconds; a number without a unit counts them. `None` for 0, which means that there
/// is no limit.
///
/// # Errors
/// 22023.
pub(in crate::session) fn duration(name: &str, text: &str) -> Result<Option<Duration>> {
    let millis = number_of(name, text, Millis)?.round();
    if !(0.0..=MILLIS_MAX as f64).contains(&millis) {
        let max = format!("{MILLIS_MAX} ms");
        return Err(outside(name, &format!("{millis} ms"), "0 ms", max));
    }
    Ok((millis > 0.0).then(|| Duration::from_millis(millis as u64)))
}

/// Returns a duration as it is shown. One that is set is a limit, however short, and is shown as 1 ms at least.
pub(in crate::session) fn show_duration(length: Option<Duration>) -> String {
    let millis = length.map_or(0, |length| length.as_millis().clamp(1, MILLIS_MAX.into()));
    in_units(millis as u64 * 1_000, MICROS)
}

/// Reads an amount of memory; a number without a unit counts bytes. Units may be in upper or lower case.
///
/// # Errors
/// 22023.
pub(super) fn bytes(name: &str, text: &str) -> Result<u64> {
    let (number, written) = split(text);
    let is_unit = |unit: &&(&str, u64)| unit.0.eq_ignore_ascii_case(written);
    let size = match written {
        "" => Some(1),
        _ => BYTES.iter().find(is_unit).map(|(_, size)| *size),
    };
    let number = Some(number).filter(|number| !number.starts_with('+'));
    let number = number.and_then(|number| number.parse::<u64>().ok());
    let amount = number.zip(size).and_then(|(n, size)| n.checked_mul(size));
    amount.ok_or_else(|| refuse_unit(name, text, BYTES))
}

/// Returns an amount of memory as it is shown.
pub(super) fn show_bytes(amount: u64) -> String {
    in_units(amount, BYTES)
}

/// Reads a switch: any beginning of a word that only one has, as in PostgreSQL.
///
/// # Errors
/// 22023.
pub(super) fn switch(name: &str, text: &str) -> Result<bool> {
    let lower = text.to_ascii_lowercase();
    let begins = |word: &str, least: usize| lower.len() >= least && word.starts_with(&lower);
    let on = begins("true", 1) || begins("yes", 1) || lower == "on" || lower == "1";
    let off = begins("false", 1) || begins("no", 1) || begins("off", 2) || lower == "0";
    match (on, off) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(invalid(format!(
            "parameter \"{name}\" requires a Boolean value"
        ))),
    }
}

/// Returns a switch as it is shown.
pub(super) fn show_switch(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

/// Returns a number as C's `%g` writes it: six significant digits, and an exponent where there are more places.
fn general(value: f64) -> String {
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let short = |digits: &str| match digits.contains('.') {
        true => digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        false => digits.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or(0);
        return short(&format!("{value:.places$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", short(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_that_is_written_is_read_back() {
        for (text, shown) in [
            ("0", "0"),
            ("100", "100ms"),
            (" 5 s ", "5s"),
            ("1.5s", "1500ms"),
            ("120s", "2min"),
            ("90min", "90min"),
            ("1d", "1d"),
            ("400us", "0"),
            ("600us", "1ms"),
        ] {
            assert_eq!(show_duration(duration("t", text).unwrap()), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in ["", "s", "-1", "1 year", "5S", "99999999999", "nan", "1..5"] {
            let error = duration("statement_timeout", bad).unwrap_err();
            assert_eq!(error.sqlstate(), "22023", "{bad}");
            assert!(error.message().contains("statement_timeout"), "{bad}");
        }
    }

    #[test]
    fn an_amount_that_is_written_is_read_back() {
        for (amount, text) in [
            (0, "0"),
            (1, "1B"),
            (1 << 10, "1kB"),
            (1536 << 20, "1536MB"),
            (2 << 30, "2GB"),
            (1 << 50, "1024TB"),
        ] {
            assert_eq!(show_bytes(amount), text);
            assert_eq!(bytes("m", text).unwrap(), amount);
        }
        assert_eq!(bytes("m", " 64 mb ").unwrap(), 64 << 20);
        assert_eq!(bytes("m", "123").unwrap(), 123);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for bad in [
            "",
            "MB",
            "-1",
            "+1MB",
            "1.5GB",
            "1XB",
            "99999999999999999999",
            "99999999TB",
        ] {
            let error = bytes("max_memory", bad).unwrap_err();
            assert_eq!(error.sqlstate(), "22023", "{bad}");
            assert!(error.message().contains("max_memory"));
        }
    }
}
