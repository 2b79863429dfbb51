//! What the fields of a template have said of a moment, and the moment that follows from it.

use crate::error::{Error, Result, state};
use crate::function::calendar::{self, Civil, HOUR, MINUTE, SECOND};

/// Whose weeks and years are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    Gregorian,
    IsoWeek,
}

/// What fields have said. Where one is 0 it has said nothing.
#[derive(Default)]
pub(super) struct Said {
    pub(super) hour: i32,
    pub(super) pm: bool,
    pub(super) minute: i32,
    pub(super) second: i32,
    pub(super) second_of_day: i32,
    pub(super) weekday: i32,
    pub(super) day: i32,
    pub(super) day_of_year: i32,
    pub(super) month: i32,
    pub(super) millis: i32,
    pub(super) micros: i32,
    pub(super) year: i32,
    pub(super) year_digits: u8,
    pub(super) bc: bool,
    pub(super) century: i32,
    pub(super) week: i32,
    pub(super) week_of_month: i32,
    pub(super) julian: i32,
    pub(super) twelve_hours: bool,
    pub(super) convention: Option<Convention>,
    pub(super) zone: Option<(i32, i32, i32)>,
}

impl Said {
    /// The moment in microseconds, and how far from UTC its zone is in seconds if it has one.
    pub(super) fn moment(&self, text: &str) -> Result<(i64, Option<i64>)> {
        let overflow = || {
            let message = format!("date/time field value out of range: \"{text}\"");
            Error::new(state::DATETIME_FIELD_OVERFLOW, message)
        };
        let micros = self.time_of_day()?.ok_or_else(overflow)?;
        let days = self.days()?.ok_or_else(overflow)?;
        let (sign, hours, minutes) = self.zone.unwrap_or((1, 0, 0));
        if !(0..=15).contains(&hours) || !(0..60).contains(&minutes) {
            let message = format!("time zone displacement out of range: \"{text}\"");
            return Err(Error::new(state::INVALID_TIME_ZONE_DISPLACEMENT, message));
        }
        let offset = i64::from(sign) * (i64::from(hours) * 3600 + i64::from(minutes) * 60);
        let moment = calendar::join(days, micros).ok_or_else(overflow)?;
        Ok((moment, self.zone.map(|_| offset)))
    }

    /// `None` where a field is out of range.
    fn time_of_day(&self) -> Result<Option<i64>> {
        let (mut hour, mut minute, mut second) = (self.hour, self.minute, self.second);
        if self.second_of_day != 0 {
            hour = self.second_of_day / 3600;
            minute = self.second_of_day / 60 % 60;
            second = self.second_of_day % 60;
        }
        if self.twelve_hours {
            if !(1..=12).contains(&hour) {
                let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(Error::new(state::INVALID_DATETIME_FORMAT, message)
                    .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            hour = hour % 12 + if self.pm { 12 } else { 0 };
        }
        let fraction = i64::from(self.millis) * 1000 + i64::from(self.micros);
        let fits = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..SECOND).contains(&fraction);
        let whole =
            i64::from(hour) * HOUR + i64::from(minute) * MINUTE + i64::from(second) * SECOND;
        Ok(fits.then_some(whole + fraction))
    }

    /// The astronomical year, where one was said.
    fn astronomical_year(&self) -> Option<i64> {
        let (year, century) = (i64::from(self.year), i64::from(self.century));
        let century = if self.bc { -century } else { century };
        match (year, century) {
            (0, 0) => None,
            (0, 1..) => Some((century - 1) * 100 + 1),
            (0, _) => Some(century * 100 + 1),
            (_, 0) => Some(self.era(year)),
            _ if self.year_digits > 2 => Some(self.era(year)),
            _ => Some(match (year % 100, century >= 0) {
                (0, true) => century * 100,
                (0, false) => century * 100 + 1,
                (year, true) => year + (century - 1) * 100,
                (year, false) => (century + 1) * 100 - year + 1,
            }),
        }
    }

    fn era(&self, year: i64) -> i64 {
        let year = if self.bc { -year } else { year };
        if year < 0 { year + 1 } else { year }
    }

    /// The day since 1970; `None` where a field is out of range.
    fn days(&self) -> Result<Option<i64>> {
        let (mut year, mut month, mut day) = (
            self.astronomical_year(),
            i64::from(self.month),
            i64::from(self.day),
        );
        let mut day_of_year = i64::from(self.day_of_year);
        let is_iso = self.convention == Some(Convention::IsoWeek);
        if self.julian != 0 {
            return Ok(Some(i64::from(self.julian) + calendar::FIRST_DAY));
        }
        if self.week != 0 && is_iso {
            let monday = week_start(year.unwrap_or(0), self.week.into());
            // Sunday is the last of its week.
            let ahead = if self.weekday == 0 {
                0
            } else {
                (i64::from(self.weekday) + 5) % 7
            };
            return Ok(Some(monday + ahead));
        }
        if self.week != 0 {
            day_of_year = (i64::from(self.week) - 1) * 7 + 1;
        }
        if self.week_of_month != 0 {
            day = (i64::from(self.week_of_month) - 1) * 7 + 1;
        }
        if day_of_year != 0 && (month <= 1 || day <= 1) {
            if year.is_none() && !self.bc {
                return Err(sql_error!(
                    INVALID_DATETIME_FORMAT,
                    "cannot calculate day of year without year information"
                ));
            }
            let year = year.unwrap_or(0);
            if is_iso {
                return Ok(Some(week_start(year, 1) + day_of_year - 1));
            }
            let first = calendar::days_from_civil(Civil {
                year,
                month: 1,
                day: 1,
            });
            let next = calendar::days_from_civil(Civil {
                year: year + 1,
                month: 1,
                day: 1,
            });
            let fits = (1..=next - first).contains(&day_of_year);
            return Ok(fits.then_some(first + day_of_year - 1));
        }
        let year = *year.get_or_insert(0);
        month = if month == 0 { 1 } else { month };
        day = if day == 0 { 1 } else { day };
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Ok(None);
        }
        let date = Civil {
            year,
            month: month as u32,
            day: day as u32,
        };
        let days = calendar::days_from_civil(date);
        Ok((calendar::civil_from_days(days) == date).then_some(days))
    }
}

/// The Monday of a week of a year by ISO 8601.
fn week_start(year: i64, week: i64) -> i64 {
    let fourth = calendar::days_from_civil(Civil {
        year,
        month: 1,
        day: 4,
    });
    let monday = fourth - (calendar::weekday(fourth) + 6) % 7;
    monday + (week - 1) * 7
}
