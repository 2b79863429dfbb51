//! Lengths of time as PostgreSQL's settings write them: `5s`, `100ms`, `1min`, `1.5h`.

use crate::error::Result;
use std::time::Duration;

/// Units and how many microseconds each has, smallest first.
const UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];
/// As PostgreSQL has it.
const MILLIS_MAX: u64 = i32::MAX as u64;

/// Reads a length, rounded to milliseconds; a number without a unit counts them. `None` for 0, which
/// means that there is no limit.
///
/// # Errors
/// 22023.
pub(in crate::session) fn parse(name: &str, text: &str) -> Result<Option<Duration>> {
    let invalid = || {
        sql_error!(
            INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"{name}\": \"{text}\""
        )
    };
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c));
    let (number, unit) = trimmed.split_at(end.unwrap_or(trimmed.len()));
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let micros = match unit.trim() {
        "" => 1_000,
        unit => {
            let known = UNITS.iter().find(|(known, _)| *known == unit);
            let hint = "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", \
                        and \"d\".";
            known.ok_or_else(|| invalid().with_hint(hint))?.1
        }
    };
    let millis = (number * micros as f64 / 1_000.0).round();
    if !(0.0..=MILLIS_MAX as f64).contains(&millis) {
        return Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "{millis} ms is outside the valid range for parameter \"{name}\" \
                 (0 ms .. {MILLIS_MAX} ms)"
        ));
    }
    Ok((millis > 0.0).then(|| Duration::from_millis(millis as u64)))
}

/// A length in the largest unit in which it is a whole number.
pub(in crate::session) fn format(length: Option<Duration>) -> String {
    let Some(length) = length else {
        return "0".to_owned();
    };
    // A length that is set is a limit, however short.
    let micros = (length.as_millis().clamp(1, MILLIS_MAX.into()) as u64) * 1_000;
    let whole = UNITS
        .iter()
        .rev()
        .find(|(_, unit)| micros.is_multiple_of(*unit));
    let (unit, size) = whole.unwrap_or(&UNITS[0]);
    format!("{}{unit}", micros / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
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
            assert_eq!(format(parse("t", text).unwrap()), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for bad in ["", "s", "-1", "1 year", "5S", "99999999999", "nan", "1..5"] {
            let error = parse("statement_timeout", bad).unwrap_err();
            assert_eq!(error.sqlstate(), "22023", "{bad}");
            assert!(error.message().contains("statement_timeout"), "{bad}");
        }
    }
}
