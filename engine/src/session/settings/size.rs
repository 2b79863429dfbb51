//! Amounts of memory as PostgreSQL writes them: `64MB`, `1GB`, `512kB`, `100B`.

use crate::error::Result;

/// Units, smallest first; each is 1,024 times the one before.
const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];

/// Reads an amount; a number without a unit counts bytes. Upper and lower case are alike.
///
/// # Errors
/// 22023.
pub(in crate::session) fn parse(name: &str, text: &str) -> Result<u64> {
    let invalid = || {
        sql_error!(
            INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"{name}\": \"{text}\""
        )
        .with_hint("Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".")
    };
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim();
    let power = match unit {
        "" => Some(0),
        unit => UNITS
            .iter()
            .position(|known| known.eq_ignore_ascii_case(unit)),
    };
    let number: u64 = number.parse().map_err(|_| invalid())?;
    let scale = 1_u64 << (10 * power.ok_or_else(invalid)?);
    number.checked_mul(scale).ok_or_else(invalid)
}

/// An amount in the largest unit in which it is a whole number.
pub(in crate::session) fn format(bytes: u64) -> String {
    let fits = |power: &usize| bytes.is_multiple_of(1 << (10 * power));
    let power = (0..UNITS.len()).rev().find(fits).unwrap_or(0);
    match bytes {
        0 => "0".to_owned(),
        _ => format!("{}{}", bytes >> (10 * power), UNITS[power]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1B"),
            (1 << 10, "1kB"),
            (1536 << 20, "1536MB"),
            (2 << 30, "2GB"),
            (1 << 50, "1024TB"),
        ] {
            assert_eq!(format(bytes), text);
            assert_eq!(parse("m", text).unwrap(), bytes);
        }
        assert_eq!(parse("m", " 64 mb ").unwrap(), 64 << 20);
        assert_eq!(parse("m", "123").unwrap(), 123);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for bad in [
            "",
            "MB",
            "-1",
            "1.5GB",
            "1XB",
            "99999999999999999999",
            "99999999TB",
        ] {
            let error = parse("max_memory", bad).unwrap_err();
            assert_eq!(error.sqlstate(), "22023", "{bad}");
            assert!(error.message().contains("max_memory"));
        }
    }
}
