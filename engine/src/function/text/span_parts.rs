//! What the fields of a span add up to, each part within the range that PostgreSQL gives it.

use crate::error::Result;
use crate::function::calendar::{self, DAY, HOUR, MINUTE, SECOND};
use remora_storage::Interval;

/// Why a text was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// It has no such form.
    Syntax,
    /// A part is out of its range.
    Overflow,
}

pub(super) type Summed<T> = std::result::Result<T, Refusal>;

/// A unit of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

impl Unit {
    /// Seconds and all that is less.
    pub(super) const ALL_SECONDS: u32 = 0b111;
    /// What hours, minutes and seconds with colons between say.
    pub(super) const CLOCK: u32 = 0b1_1111;

    pub(super) fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The unit that a word in lower case means; of a long word the first ten letters count.
pub(super) fn unit(word: &str) -> Option<Unit> {
    use Unit as U;
    Some(match word.get(..10).unwrap_or(word) {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => U::Microsecond,
        "ms" | "msec" | "msecs" | "mseconds" | "millisecon" => U::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => U::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => U::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => U::Hour,
        "d" | "day" | "days" => U::Day,
        "w" | "week" | "weeks" => U::Week,
        "mon" | "mons" | "month" | "months" => U::Month,
        "y" | "yr" | "yrs" | "year" | "years" => U::Year,
        "dec" | "decs" | "decade" | "decades" => U::Decade,
        "c" | "cent" | "century" | "centuries" => U::Century,
        "mil" | "mils" | "millennia" | "millennium" => U::Millennium,
        _ => return None,
    })
}

/// `.5`, as a part of one.
pub(super) fn fraction(text: &str) -> Summed<f64> {
    let digits = text.strip_prefix('.').ok_or(Refusal::Syntax)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Syntax);
    }
    format!("0.{digits}0").parse().map_err(|_| Refusal::Syntax)
}

/// The parts of a span.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Parts {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

/// `place + value * scale`, within 32 bits.
fn grow(place: &mut i32, value: i64, scale: i32) -> Summed<()> {
    let value = i32::try_from(value).ok();
    let grown = value
        .and_then(|value| value.checked_mul(scale))
        .and_then(|value| place.checked_add(value));
    *place = grown.ok_or(Refusal::Overflow)?;
    Ok(())
}

impl Parts {
    /// Adds so many of a unit, and a part of one more.
    pub(super) fn add(&mut self, value: i64, rest: f64, unit: Unit) -> Summed<()> {
        match unit {
            Unit::Microsecond => self.time(value, rest, 1),
            Unit::Millisecond => self.time(value, rest, 1000),
            Unit::Second => self.time(value, rest, SECOND),
            Unit::Minute => self.time(value, rest, MINUTE),
            Unit::Hour => self.time(value, rest, HOUR),
            Unit::Day => {
                grow(&mut self.days, value, 1)?;
                self.part_of_time(rest, DAY)
            }
            Unit::Week => {
                grow(&mut self.days, value, 7)?;
                self.part_of_days(rest, 7)
            }
            Unit::Month => {
                grow(&mut self.months, value, 1)?;
                self.part_of_days(rest, 30)
            }
            Unit::Year => self.year(value, rest, 1),
            Unit::Decade => self.year(value, rest, 10),
            Unit::Century => self.year(value, rest, 100),
            Unit::Millennium => self.year(value, rest, 1000),
        }
    }

    fn year(&mut self, value: i64, rest: f64, scale: i32) -> Summed<()> {
        grow(&mut self.years, value, scale)?;
        let months = (rest * f64::from(scale) * 12.0).round_ties_even();
        grow(&mut self.months, months as i64, 1)
    }

    fn part_of_days(&mut self, rest: f64, scale: i32) -> Summed<()> {
        let days = rest * f64::from(scale);
        grow(&mut self.days, days as i64, 1)?;
        self.part_of_time(days - days.trunc(), DAY)
    }

    fn time(&mut self, value: i64, rest: f64, scale: i64) -> Summed<()> {
        let micros = value.checked_mul(scale).ok_or(Refusal::Overflow)?;
        self.add_clock(micros)?;
        self.part_of_time(rest, scale)
    }

    /// Half a microsecond goes towards zero.
    pub(super) fn part_of_time(&mut self, rest: f64, scale: i64) -> Summed<()> {
        let exact = rest * scale as f64;
        let whole = exact as i64;
        let left = exact - whole as f64;
        self.add_clock(whole + i64::from(left > 0.5) - i64::from(left < -0.5))
    }

    pub(super) fn add_clock(&mut self, micros: i64) -> Summed<()> {
        self.micros = self.micros.checked_add(micros).ok_or(Refusal::Overflow)?;
        Ok(())
    }

    /// `hh:mm`, `hh:mm:ss.fff` or `mm:ss.fff`, in microseconds.
    pub(super) fn clock(&self, text: &str, minutes_first: bool) -> Summed<i64> {
        let integer = |digits: &str| -> Summed<i64> {
            match digits {
                "" => Ok(0),
                digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    digits.parse().map_err(|_| Refusal::Overflow)
                }
                _ => Err(Refusal::Syntax),
            }
        };
        let (whole, rest) = match text.find('.') {
            Some(point) => (&text[..point], fraction(&text[point..])?),
            None => (text, 0.0),
        };
        let fields: Vec<&str> = whole.split(':').collect();
        let (hours, minutes, seconds) = match fields[..] {
            [minutes, seconds] if minutes_first || text.contains('.') => ("0", minutes, seconds),
            [hours, minutes] => (hours, minutes, "0"),
            [hours, minutes, seconds] => (hours, minutes, seconds),
            _ => return Err(Refusal::Syntax),
        };
        let (hours, minutes, seconds) = (integer(hours)?, integer(minutes)?, integer(seconds)?);
        if minutes > 59 || seconds > 60 {
            return Err(Refusal::Overflow);
        }
        let micros = (rest * SECOND as f64).round_ties_even() as i64;
        hours
            .checked_mul(HOUR)
            .and_then(|hours| hours.checked_add(minutes * MINUTE + seconds * SECOND + micros))
            .ok_or(Refusal::Overflow)
    }

    pub(super) fn negated(self) -> Summed<Self> {
        let small = |part: i32| part.checked_neg().ok_or(Refusal::Overflow);
        Ok(Self {
            years: small(self.years)?,
            months: small(self.months)?,
            days: small(self.days)?,
            micros: self.micros.checked_neg().ok_or(Refusal::Overflow)?,
        })
    }

    pub(super) fn finish(self) -> Result<Interval> {
        let months = i64::from(self.years) * 12 + i64::from(self.months);
        calendar::interval(months, self.days.into(), self.micros)
    }
}
