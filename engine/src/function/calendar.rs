//! The proleptic Gregorian calendar over the whole range of PostgreSQL's dates.
//!
//! Days count from 1970-01-01, microseconds from its midnight. Calendar crates end near the year
//! 262,000 while DATE runs from 4713 BC to 5,874,897 AD, so the few lines of arithmetic are here.
//! Years are astronomical: 0 is 1 BC.

use crate::error::{Error, Result};

/// Microseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000;
/// Microseconds of a minute.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// Microseconds of an hour.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// Microseconds of a day.
pub(crate) const DAY: i64 = 24 * HOUR;

/// The infinities of DATE.
pub(crate) const DATE_INFINITY: i32 = i32::MAX;
/// See [`DATE_INFINITY`].
pub(crate) const DATE_NEG_INFINITY: i32 = i32::MIN;
/// The infinities of TIMESTAMP.
pub(crate) const TIMESTAMP_INFINITY: i64 = i64::MAX;
/// See [`TIMESTAMP_INFINITY`].
pub(crate) const TIMESTAMP_NEG_INFINITY: i64 = i64::MIN;

/// 4714-11-24 BC, Julian day 0: the first date.
pub(crate) const FIRST_DAY: i64 = -2_440_588;
/// 5874897-12-31: the last date.
pub(crate) const LAST_DAY: i64 = 2_145_042_905;

/// Year, month and day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
}

/// Days since 1970-01-01 of a day of the calendar.
///
/// Counts in years that begin in March, so that the leap day comes last.
pub(crate) fn days_from_civil(date: Civil) -> i64 {
    let year = date.year - i64::from(date.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from((date.month + 9) % 12);
    let day_of_year = (153 * month + 2) / 5 + i64::from(date.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The reverse of [`days_from_civil`].
pub(crate) fn civil_from_days(days: i64) -> Civil {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * day_of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    Civil {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month: month as u32,
        day: (day_of_year - (153 * march + 2) / 5 + 1) as u32,
    }
}

/// Whether the year has a 29 February.
pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month.
pub(crate) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 0 for Sunday to 6 for Saturday.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// A timestamp's day, and microseconds since that day's midnight.
pub(crate) fn split(timestamp: i64) -> (i64, i64) {
    (timestamp.div_euclid(DAY), timestamp.rem_euclid(DAY))
}

/// The timestamp of a moment of a day; `None` beyond the range of TIMESTAMP.
pub(crate) fn join(day: i64, micros: i64) -> Option<i64> {
    let value = day.checked_mul(DAY)?.checked_add(micros)?;
    (day >= FIRST_DAY && value != TIMESTAMP_INFINITY).then_some(value)
}

/// A day as a DATE; `None` beyond its range.
pub(crate) fn date(day: i64) -> Option<i32> {
    (FIRST_DAY..=LAST_DAY).contains(&day).then_some(day as i32)
}

/// `date` moved by months; the day is cut to the month's length.
pub(crate) fn add_months(days: i64, months: i64) -> i64 {
    let date = civil_from_days(days);
    let total = date.year * 12 + i64::from(date.month) - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
    let day = date.day.min(days_in_month(year, month));
    days_from_civil(Civil { year, month, day })
}

/// 22008.
pub(crate) fn timestamp_out_of_range() -> Error {
    sql_error!(DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// 22008.
pub(crate) fn date_out_of_range() -> Error {
    sql_error!(DATETIME_FIELD_OVERFLOW, "date out of range")
}

/// 22008.
pub(crate) fn interval_out_of_range() -> Error {
    sql_error!(DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// An interval of these parts, if it can be held.
pub(crate) fn interval(months: i64, days: i64, micros: i64) -> Result<remora_storage::Interval> {
    let (Ok(months), Ok(days)) = (i32::try_from(months), i32::try_from(days)) else {
        return Err(interval_out_of_range());
    };
    Ok(remora_storage::Interval {
        months,
        days,
        micros,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_epoch_and_the_ends_of_the_range() {
        let day = |year, month, day| days_from_civil(Civil { year, month, day });
        assert_eq!(day(1970, 1, 1), 0);
        assert_eq!(day(2000, 3, 1), 11_017);
        assert_eq!(day(-4713, 11, 24), FIRST_DAY);
        assert_eq!(day(5_874_897, 12, 31), LAST_DAY);
        assert_eq!(weekday(0), 4, "1970-01-01 was a Thursday");
    }

    #[test]
    fn the_last_day_of_january_plus_a_month_is_the_last_of_february() {
        let january = days_from_civil(Civil {
            year: 2024,
            month: 1,
            day: 31,
        });
        let moved = civil_from_days(add_months(january, 1));
        assert_eq!(
            moved,
            Civil {
                year: 2024,
                month: 2,
                day: 29
            }
        );
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(days in FIRST_DAY..=LAST_DAY) {
            prop_assert_eq!(days_from_civil(civil_from_days(days)), days);
        }
    }
}
