//! Dates, times and spans by a template. Of a span the fields are its years, months, days and hours.

use super::{PIECE_WORK, Piece, characters, ordinal, piece};
use crate::error::{Error, Result};
use crate::function::Work;
use crate::function::calendar::{
    self, Civil, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
};
use crate::function::part::iso_week;
use crate::function::text::Zone;
use remora_storage::Interval;
use std::fmt::Write;

const FIELDS: [&str; 101] = [
    "A.D.", "a.d.", "AD", "ad", "A.M.", "a.m.", "AM", "am", "B.C.", "b.c.", "BC", "bc", "CC", "cc",
    "DAY", "Day", "day", "DDD", "ddd", "DD", "dd", "DY", "Dy", "dy", "D", "d", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "FX", "fx", "HH24", "hh24",
    "HH12", "hh12", "HH", "hh", "IDDD", "iddd", "ID", "id", "IW", "iw", "IYYY", "iyyy", "IYY",
    "iyy", "IY", "iy", "I", "i", "J", "j", "MI", "mi", "MM", "mm", "MONTH", "Month", "month",
    "MON", "Mon", "mon", "MS", "ms", "OF", "of", "P.M.", "p.m.", "PM", "pm", "Q", "q", "RM", "rm",
    "SSSSS", "sssss", "SSSS", "ssss", "SS", "ss", "TZH", "tzh", "TZM", "tzm", "TZ", "tz", "US",
    "us", "WW", "ww", "W",
];
const MORE_FIELDS: [&str; 11] = [
    "w", "Y,YYY", "y,yyy", "YYYY", "yyyy", "YYY", "yyy", "YY", "yy", "Y", "y",
];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// The names of all fields.
pub(super) fn field_names() -> Vec<&'static str> {
    FIELDS.iter().chain(&MORE_FIELDS).copied().collect()
}

/// What is written.
struct Parts {
    /// Astronomical; of a span how many.
    year: i64,
    month: i64,
    day: i64,
    /// Of the day, or of the span beside its days.
    micros: i64,
    /// The day since 1970; `None` for a span.
    date: Option<i64>,
    /// What a zone's clock is called, and how far it is ahead; `None` where there is none.
    zone: Option<(String, i64)>,
}

/// `None` for an infinite moment.
pub(super) fn timestamp(moment: i64, template: &str, work: &Work<'_>) -> Result<Option<String>> {
    written(moment, template, None, work)
}

/// By a zone's clock; `None` for an infinite moment.
pub(in crate::function) fn zoned(
    moment: i64,
    template: &str,
    zone: &Zone,
    work: &Work<'_>,
) -> Result<Option<String>> {
    let name = zone.abbreviation_at(moment).into_owned();
    let shown = zone.shown(moment)?;
    written(shown, template, Some((name, zone.ahead_at(moment))), work)
}

fn written(
    moment: i64,
    template: &str,
    zone: Option<(String, i64)>,
    work: &Work<'_>,
) -> Result<Option<String>> {
    if matches!(moment, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY) {
        return Ok(None);
    }
    let (day, micros) = calendar::split(moment);
    let date = calendar::civil_from_days(day);
    let parts = Parts {
        year: date.year,
        month: date.month.into(),
        day: date.day.into(),
        micros,
        date: Some(day),
        zone,
    };
    parts.write(template, work).map(Some)
}

pub(super) fn interval(span: Interval, template: &str, work: &Work<'_>) -> Result<String> {
    let parts = Parts {
        year: (span.months / 12).into(),
        month: (span.months % 12).into(),
        day: span.days.into(),
        micros: span.micros,
        date: None,
        zone: None,
    };
    parts.write(template, work)
}

/// How a field is to be written.
#[derive(Clone, Copy)]
struct Manner {
    /// Without blanks and zeros that only fill up.
    bare: bool,
}

impl Manner {
    fn padded(self, text: &str, width: usize) -> String {
        match self.bare {
            true => text.to_owned(),
            false => format!("{text:<width$}"),
        }
    }

    /// A number with zeros in front, which a sign stands before.
    fn number(self, value: i64, width: usize) -> String {
        match (self.bare, value < 0) {
            (true, _) => value.to_string(),
            (false, true) => format!("-{:0width$}", value.unsigned_abs()),
            (false, false) => format!("{value:0width$}"),
        }
    }
}

impl Parts {
    fn write(&self, template: &str, work: &Work<'_>) -> Result<String> {
        let names = field_names();
        let mut out = String::with_capacity(template.len() + 16);
        let mut rest = template;
        while !rest.is_empty() {
            work.spend(PIECE_WORK)?;
            let mut manner = Manner { bare: false };
            // Prefixes come before a field, any of them.
            let mut field = rest;
            loop {
                work.spend(2)?;
                if let Some(after) = field.strip_prefix("FM").or(field.strip_prefix("fm")) {
                    (manner.bare, field) = (true, after);
                } else if let Some(after) = field.strip_prefix("TM").or(field.strip_prefix("tm")) {
                    (manner.bare, field) = (true, after);
                } else {
                    break;
                }
            }
            let (found, after) = piece(field, &names);
            match found {
                Piece::Between(text) => {
                    out.push_str(text);
                    rest = after;
                }
                Piece::Quoted(text) => {
                    for c in characters(text, true) {
                        work.spend(c.len_utf8())?;
                        out.push(c);
                    }
                    rest = after;
                }
                Piece::Field(name) => {
                    let written = self.field(name, manner)?;
                    rest = after;
                    let ends = [("TH", true), ("th", false)];
                    let ending = ends.iter().find(|(end, _)| after.starts_with(end));
                    let is_number = written.ends_with(|c: char| c.is_ascii_digit());
                    out.push_str(&written);
                    if let Some((end, upper)) = ending {
                        rest = &after[end.len()..];
                        if is_number {
                            out.push_str(ordinal(&written, *upper));
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    /// The day, which a span has none of.
    fn date(&self) -> Result<i64> {
        self.date.ok_or_else(|| {
            sql_error!(
                INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value"
            )
            .with_hint("Intervals are not tied to specific calendar dates.")
        })
    }

    /// How far the clock is ahead: a sign, hours and minutes.
    fn offset(&self) -> Result<(char, i64, i64)> {
        self.date()?;
        let ahead = self.zone.as_ref().map_or(0, |(_, ahead)| *ahead);
        let distance = ahead.abs();
        let sign = if ahead < 0 { '-' } else { '+' };
        Ok((sign, distance / HOUR, distance % HOUR / MINUTE))
    }

    /// Years as they are called: there is no year 0.
    fn called(&self, year: i64) -> i64 {
        match self.date {
            Some(_) if year <= 0 => 1 - year,
            _ => year,
        }
    }

    fn field(&self, name: &str, manner: Manner) -> Result<String> {
        let upper = name.to_ascii_uppercase();
        if let Some(written) = self.clock(&upper, manner) {
            return Ok(written);
        }
        Ok(match upper.as_str() {
            "AM" | "PM" | "A.M." | "P.M." => {
                let afternoon = self.micros / HOUR % 24 >= 12;
                self.word(name, if afternoon { 'P' } else { 'A' }, 'M')
            }
            "AD" | "BC" | "A.D." | "B.C." => {
                self.date()?;
                match self.year <= 0 {
                    true => self.word(name, 'B', 'C'),
                    false => self.word(name, 'A', 'D'),
                }
            }
            "MONTH" | "MON" | "RM" => self.month_name(name, &upper, manner),
            "DAY" | "DY" => {
                let weekday = WEEKDAYS[calendar::weekday(self.date()?) as usize];
                match upper == "DAY" {
                    true => manner.padded(&cased(weekday, name), 9),
                    false => cased(&weekday[..3], name),
                }
            }
            "TZ" => {
                self.date()?;
                let zone = self.zone.as_ref().map_or("", |(zone, _)| zone);
                cased(zone, name)
            }
            "TZH" => {
                let (sign, hours, _) = self.offset()?;
                format!("{sign}{hours:02}")
            }
            "TZM" => format!("{:02}", self.offset()?.2),
            "OF" => {
                let (sign, hours, minutes) = self.offset()?;
                let hours = manner.number(hours, 2);
                match minutes {
                    0 => format!("{sign}{hours}"),
                    _ => format!("{sign}{hours}:{minutes:02}"),
                }
            }
            "FX" => String::new(),
            _ => self.day_number(&upper, manner)?,
        })
    }

    /// `AM` or `A.M.`, in the name's case.
    fn word(&self, name: &str, first: char, second: char) -> String {
        let word = match name.contains('.') {
            true => format!("{first}.{second}."),
            false => format!("{first}{second}"),
        };
        match name.starts_with(|c: char| c.is_ascii_lowercase()) {
            true => word.to_ascii_lowercase(),
            false => word,
        }
    }

    fn month_name(&self, name: &str, upper: &str, manner: Manner) -> String {
        let Some(number) = usize::try_from(self.month)
            .ok()
            .and_then(|n| n.checked_sub(1))
        else {
            return String::new();
        };
        match upper {
            "MONTH" => manner.padded(&cased(MONTHS[number], name), 9),
            "MON" => cased(&MONTHS[number][..3], name),
            _ => manner.padded(&cased(ROMAN[number], name), 4),
        }
    }

    /// Hours and less.
    fn clock(&self, upper: &str, manner: Manner) -> Option<String> {
        let hour = self.micros / HOUR;
        let fraction = self.micros % SECOND;
        let digits = |count: u32| {
            let cut = fraction.unsigned_abs() / 10_u64.pow(6 - count);
            format!("{cut:0width$}", width = count as usize)
        };
        Some(match upper {
            "HH" | "HH12" => {
                let twelfth = if hour % 12 == 0 { 12 } else { hour % 12 };
                manner.number(twelfth, 2)
            }
            "HH24" => manner.number(hour, 2),
            "MI" => manner.number(self.micros / MINUTE % 60, 2),
            "SS" => manner.number(self.micros / SECOND % 60, 2),
            "SSSS" | "SSSSS" => (self.micros / SECOND).to_string(),
            "MS" => digits(3),
            "US" => digits(6),
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                digits(u32::from(upper.as_bytes()[2] - b'0'))
            }
            _ => return None,
        })
    }

    /// Numbers of days and more.
    fn day_number(&self, upper: &str, manner: Manner) -> Result<String> {
        let year = self.called(self.year);
        let of_year = |day: i64| {
            day - calendar::days_from_civil(Civil {
                year: self.year,
                month: 1,
                day: 1,
            }) + 1
        };
        let iso_year = || Ok::<_, Error>(self.called(iso_week(self.date()?).0));
        Ok(match upper {
            "MM" => manner.number(self.month, 2),
            // Its sign takes one of the two places, unlike those of the others.
            "DD" if manner.bare => self.day.to_string(),
            "DD" => format!("{:02}", self.day),
            "DDD" => manner.number(of_year(self.date()?), 3),
            "IDDD" => {
                let day = self.date()?;
                let days = (iso_week(day).1 - 1) * 7 + (calendar::weekday(day) + 6) % 7 + 1;
                manner.number(days, 3)
            }
            "D" => (calendar::weekday(self.date()?) + 1).to_string(),
            "ID" => ((calendar::weekday(self.date()?) + 6) % 7 + 1).to_string(),
            "WW" => manner.number((of_year(self.date()?) - 1) / 7 + 1, 2),
            "IW" => manner.number(iso_week(self.date()?).1, 2),
            "W" => ((self.day - 1) / 7 + 1).to_string(),
            "Q" if self.month == 0 => String::new(),
            "Q" => ((self.month - 1) / 3 + 1).to_string(),
            "CC" => {
                let century = match self.date {
                    None => self.year / 100,
                    Some(_) if self.year > 0 => (self.year - 1) / 100 + 1,
                    Some(_) => self.year / 100 - 1,
                };
                match century.abs() <= 99 {
                    true => manner.number(century, 2),
                    false => century.to_string(),
                }
            }
            "J" => (self.date()? - calendar::FIRST_DAY).to_string(),
            "Y,YYY" => {
                let mut out = String::new();
                let _ = write!(out, "{},{:03}", year / 1000, year % 1000);
                out
            }
            "YYYY" => manner.number(year, 4),
            "YYY" => manner.number(year % 1000, 3),
            "YY" => manner.number(year % 100, 2),
            "Y" => (year % 10).to_string(),
            "IYYY" => manner.number(iso_year()?, 4),
            "IYY" => manner.number(iso_year()? % 1000, 3),
            "IY" => manner.number(iso_year()? % 100, 2),
            "I" => (iso_year()? % 10).to_string(),
            other => unreachable!("a field {other}"),
        })
    }
}

/// A name in the case of the field's.
fn cased(word: &str, field: &str) -> String {
    let mut letters = field.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_uppercase());
    match (
        first,
        letters.next().is_some_and(|c| c.is_ascii_uppercase()),
    ) {
        (true, true) => word.to_ascii_uppercase(),
        (true, false) => word.to_owned(),
        (false, _) => word.to_ascii_lowercase(),
    }
}
