//! DATE, TIME, TIMESTAMP and TIMESTAMPTZ from text, in the forms that PostgreSQL reads with
//! `DateStyle = ISO, MDY` and `TimeZone = UTC`; a zone in the text may have a name.
//!
//! A text that is no date at all is 22007; one with a field out of its range (month 13) 22008.

use super::fields::{Field, cut};
use super::invalid;
use super::zone::{Zone, abbreviation};
use crate::error::{Error, Result, state};
use crate::function::calendar::{
    self, Civil, DATE_INFINITY, DATE_NEG_INFINITY, DAY, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_NEG_INFINITY,
};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// Why a text was refused.
enum Refusal {
    /// It has no such form.
    Syntax,
    /// A field is out of range.
    Field,
    /// A month or day is: perhaps the order of the fields is another.
    MonthDay,
    /// The zone's displacement is.
    Displacement,
    /// It names a zone that there is not.
    Zone(Error),
}

type Decoded<T> = Result<T, Refusal>;

/// What a text says in all.
#[derive(Clone, Default)]
struct Moment {
    year: Option<i64>,
    /// How many digits the year was written with.
    year_digits: usize,
    month: Option<u32>,
    day: Option<u32>,
    /// Days since 1970, where they were given at once.
    days: Option<i64>,
    micros: Option<i64>,
    zone: Option<Zone>,
    before_christ: bool,
    afternoon: Option<bool>,
    special: Option<Special>,
}

#[derive(Clone, Copy)]
enum Special {
    /// Without an end, or without a beginning.
    Infinity(bool),
    /// 1970-01-01 00:00.
    Epoch,
    /// This very moment.
    Now,
}

/// What `now` means where no transaction says it: literals are read before one has begun.
fn wall_clock() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// The month's number for a name or its abbreviation.
pub(super) fn month_named(word: &str) -> Option<u32> {
    named(word, &MONTHS).map(|i| i as u32 + 1)
}

fn named(word: &str, names: &[&str]) -> Option<usize> {
    let word = word.to_ascii_lowercase();
    let known = |name: &&str| {
        **name == word
            || name[..3] == word
            || (*name == "september" && word == "sept")
            || (*name == "tuesday" && word == "tues")
            || (*name == "wednesday" && word == "weds")
            || (*name == "thursday" && matches!(word.as_str(), "thur" | "thurs"))
    };
    names.iter().position(known)
}

fn number<T: std::str::FromStr>(digits: &str) -> Decoded<T> {
    digits.parse().map_err(|_| Refusal::Field)
}

/// The fraction's digits as microseconds, rounded.
fn fraction_micros(digits: &str) -> i64 {
    let mut micros = 0;
    for place in 0..6 {
        let digit = digits
            .as_bytes()
            .get(place)
            .map_or(0, |b| i64::from(b - b'0'));
        micros = micros * 10 + digit;
    }
    micros + i64::from(digits.as_bytes().get(6).is_some_and(|b| *b >= b'5'))
}

impl Moment {
    fn decode(text: &str, now: Option<i64>) -> Decoded<Self> {
        let fields = cut(text).ok_or(Refusal::Syntax)?;
        if fields.is_empty() {
            return Err(Refusal::Syntax);
        }
        let mut moment = Self::default();
        for (i, field) in fields.iter().enumerate() {
            let next = fields.get(i + 1);
            match *field {
                Field::Word(word) => moment.word(word, next, now)?,
                Field::Digits(digits, fraction) => moment.digits(digits, fraction)?,
                Field::Date(parts) => moment.date(parts)?,
                Field::Time(parts) => moment.time(parts)?,
                Field::Zone(negative, body) => moment.zone(negative, body)?,
                Field::ZoneName(name) => {
                    moment.set_zone(Zone::named(name).map_err(Refusal::Zone)?)?;
                }
            }
        }
        moment.settle()?;
        Ok(moment)
    }

    fn word(&mut self, word: &str, next: Option<&Field<'_>>, now: Option<i64>) -> Decoded<()> {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "infinity" | "inf" => self.special(Special::Infinity(true))?,
            "epoch" => self.special(Special::Epoch)?,
            "now" => self.special(Special::Now)?,
            "today" | "tomorrow" | "yesterday" => {
                let (today, _) = calendar::split(now.unwrap_or_else(wall_clock));
                let shift = i64::from(lower == "tomorrow") - i64::from(lower == "yesterday");
                self.set_days(today + shift)?;
            }
            "allballs" => {
                self.set_micros(0)?;
                self.zone.get_or_insert(Zone::Fixed(0));
            }
            "bc" => self.before_christ = true,
            "ad" => {}
            "am" | "pm" => self.afternoon = Some(lower == "pm"),
            // Marks a time that follows, as in ISO 8601.
            "t" if matches!(next, Some(Field::Digits(..) | Field::Time(_))) => {}
            "at" | "on" => {}
            _ => {
                if let Some(month) = month_named(word) {
                    if self.month.replace(month).is_some() {
                        // `01 Jan`: what was read as the month was the day.
                        return Err(Refusal::Syntax);
                    }
                } else if named(word, &WEEKDAYS).is_none() {
                    let zone = match lower.as_str() {
                        "z" | "zulu" | "utc" | "gmt" | "ut" | "uct" => Some(Zone::Fixed(0)),
                        _ => abbreviation(&lower).or_else(|| Zone::named(word).ok()),
                    };
                    self.zone = Some(zone.ok_or(Refusal::Syntax)?);
                }
            }
        }
        Ok(())
    }

    fn special(&mut self, special: Special) -> Decoded<()> {
        match self.special.replace(special) {
            None => Ok(()),
            Some(_) => Err(Refusal::Syntax),
        }
    }

    /// A lone run of digits: its length says what it is.
    fn digits(&mut self, digits: &str, fraction: &str) -> Decoded<()> {
        let has_date = self.days.is_some() || (self.year.is_some() && self.day.is_some());
        if !fraction.is_empty() || has_date {
            // hhmm or hhmmss
            let (hour, minute, second) = match digits.len() {
                4 => (&digits[..2], &digits[2..], ""),
                6 => (&digits[..2], &digits[2..4], &digits[4..]),
                _ => return Err(Refusal::Syntax),
            };
            return self.time([hour, minute, second, fraction]);
        }
        match digits.len() {
            8 => self.set_ymd(&digits[..4], &digits[4..6], &digits[6..]),
            6 => self.set_ymd(&digits[..2], &digits[2..4], &digits[4..]),
            // Jan 5 2024; 5 Jan 2024; 2024 Jan 5
            1 | 2 if self.day.is_none() => {
                self.day = Some(number(digits)?);
                Ok(())
            }
            // 1 5 2024: what was taken for the day was the month.
            1 | 2 if self.month.is_none() => {
                self.month = self.day.replace(number(digits)?);
                Ok(())
            }
            _ if self.year.is_none() && (self.month.is_some() || digits.len() >= 3) => {
                self.year = Some(number(digits)?);
                self.year_digits = digits.len();
                Ok(())
            }
            _ => Err(Refusal::Syntax),
        }
    }

    fn set_ymd(&mut self, year: &str, month: &str, day: &str) -> Decoded<()> {
        if self.year.is_some() || self.days.is_some() || self.day.is_some() {
            return Err(Refusal::Syntax);
        }
        self.year = Some(number(year)?);
        self.year_digits = year.len();
        self.month = Some(number(month)?);
        self.day = Some(number(day)?);
        Ok(())
    }

    /// Three parts: year first if it has three digits or more, else month, day, year.
    fn date(&mut self, [a, b, c]: [&str; 3]) -> Decoded<()> {
        if self.month.is_some() || self.day.is_some() || self.year.is_some() {
            return Err(Refusal::Syntax);
        }
        let word = |part: &str| part.starts_with(|ch: char| ch.is_ascii_alphabetic());
        if c.is_empty() {
            // 2024-123: a day of the year; 2024-01 is no date.
            if a.len() >= 4 && b.len() == 3 && !word(b) {
                let year: i64 = number(a)?;
                let day: i64 = number(b)?;
                let length = 365 + i64::from(calendar::is_leap(year));
                if !(1..=length).contains(&day) {
                    return Err(Refusal::Field);
                }
                let first = calendar::days_from_civil(Civil {
                    year,
                    month: 1,
                    day: 1,
                });
                return self.set_days(first + day - 1);
            }
            return Err(Refusal::Syntax);
        }
        let month = |part: &str| -> Decoded<u32> {
            if word(part) {
                month_named(part).ok_or(Refusal::Syntax)
            } else {
                number(part)
            }
        };
        let (year, month, day) = if a.len() >= 3 && !word(a) {
            (a, month(b)?, number(c)?)
        } else if word(b) {
            (c, month(b)?, number(a)?)
        } else {
            (c, month(a)?, number(b)?)
        };
        self.year = Some(number(year)?);
        self.year_digits = year.len();
        (self.month, self.day) = (Some(month), Some(day));
        Ok(())
    }

    fn time(&mut self, [hour, minute, second, fraction]: [&str; 4]) -> Decoded<()> {
        let hour: i64 = number(hour)?;
        let minute: i64 = number(minute)?;
        let second: i64 = if second.is_empty() {
            0
        } else {
            number(second)?
        };
        let rest = fraction_micros(fraction);
        // A leap second becomes the next minute; 24:00:00 is the day's end.
        let whole = hour <= 24 && minute <= 59 && second <= 60;
        let micros = || hour * HOUR + minute * MINUTE + second * SECOND + rest;
        if !whole || micros() > DAY {
            return Err(Refusal::Field);
        }
        self.set_micros(micros())
    }

    fn zone(&mut self, negative: bool, body: &str) -> Decoded<()> {
        if self.zone.is_some() {
            return Err(Refusal::Syntax);
        }
        if negative && matches!(body.to_ascii_lowercase().as_str(), "infinity" | "inf") {
            return self.special(Special::Infinity(false));
        }
        let parts: Vec<&str> = body.split(':').collect();
        let (hour, minute, second) = match parts[..] {
            [h] if h.len() <= 2 => (h, "0", "0"),
            [h] if h.len() <= 4 => (&h[..h.len() - 2], &h[h.len() - 2..], "0"),
            [h] if h.len() <= 6 => (
                &h[..h.len() - 4],
                &h[h.len() - 4..h.len() - 2],
                &h[h.len() - 2..],
            ),
            [h, m] => (h, m, "0"),
            [h, m, s] => (h, m, s),
            [h] if h.bytes().all(|b| b.is_ascii_digit()) => return Err(Refusal::Displacement),
            _ => return Err(Refusal::Syntax),
        };
        let field = |digits: &str| {
            digits
                .parse::<u32>()
                .map(i64::from)
                .map_err(|_| Refusal::Syntax)
        };
        let (hour, minute, second) = (field(hour)?, field(minute)?, field(second)?);
        if hour > 15 || minute > 59 || second > 59 {
            return Err(Refusal::Displacement);
        }
        if self.micros.is_none() && self.days.is_none() && self.day.is_none() {
            return Err(Refusal::Syntax);
        }
        let east = hour * HOUR + minute * MINUTE + second * SECOND;
        self.set_zone(Zone::Fixed(if negative { -east } else { east }))
    }

    fn set_zone(&mut self, zone: Zone) -> Decoded<()> {
        match self.zone.replace(zone) {
            None => Ok(()),
            Some(_) => Err(Refusal::Syntax),
        }
    }

    fn set_days(&mut self, days: i64) -> Decoded<()> {
        if self.day.is_some() || self.days.replace(days).is_some() {
            return Err(Refusal::Syntax);
        }
        Ok(())
    }

    fn set_micros(&mut self, micros: i64) -> Decoded<()> {
        match self.micros.replace(micros) {
            None => Ok(()),
            Some(_) => Err(Refusal::Syntax),
        }
    }

    /// Brings year, month, day, era and half of the day together.
    fn settle(&mut self) -> Decoded<()> {
        if let Some(afternoon) = self.afternoon {
            let micros = self.micros.ok_or(Refusal::Syntax)?;
            if micros >= 13 * HOUR {
                return Err(Refusal::Field);
            }
            self.micros = Some(micros % (12 * HOUR) + if afternoon { 12 * HOUR } else { 0 });
        }
        if self.year.is_none() && self.month.is_none() && self.day.is_none() {
            return Ok(());
        }
        let (Some(mut year), Some(month), Some(day)) = (self.year, self.month, self.day) else {
            return Err(Refusal::Syntax);
        };
        if self.before_christ {
            if year <= 0 {
                return Err(Refusal::Field);
            }
            year = 1 - year;
        } else if self.year_digits <= 2 {
            year += if year < 70 { 2000 } else { 1900 };
        } else if year == 0 {
            return Err(Refusal::Field);
        }
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Refusal::MonthDay);
        }
        if day > calendar::days_in_month(year, month) {
            return Err(Refusal::Field);
        }
        // Ten million years are out of every range and within the arithmetic.
        let year = year.clamp(-10_000_000, 10_000_000);
        self.days = Some(calendar::days_from_civil(Civil { year, month, day }));
        Ok(())
    }
}

fn refused(refusal: Refusal, text: &str, type_name: &str) -> Error {
    let field = || {
        Error::new(
            state::DATETIME_FIELD_OVERFLOW,
            format!("date/time field value out of range: \"{text}\""),
        )
    };
    match refusal {
        Refusal::Syntax => invalid(state::INVALID_DATETIME_FORMAT, type_name, text),
        Refusal::Field => field(),
        Refusal::MonthDay => {
            field().with_hint("Perhaps you need a different \"datestyle\" setting.")
        }
        Refusal::Zone(error) => error,
        Refusal::Displacement => Error::new(
            state::INVALID_TIME_ZONE_DISPLACEMENT,
            format!("time zone displacement out of range: \"{text}\""),
        ),
    }
}

/// Reads a DATE; a time of day in the text is dropped.
pub(super) fn parse_date(text: &str, now: Option<i64>) -> Result<i32> {
    let refuse = |refusal| refused(refusal, text, "date");
    let moment = Moment::decode(text, now).map_err(refuse)?;
    let days = match moment.special {
        Some(Special::Infinity(true)) => return Ok(DATE_INFINITY),
        Some(Special::Infinity(false)) => return Ok(DATE_NEG_INFINITY),
        Some(Special::Epoch) => 0,
        Some(Special::Now) => calendar::split(now.unwrap_or_else(wall_clock)).0,
        None => moment.days.ok_or_else(|| refuse(Refusal::Syntax))?,
    };
    calendar::date(days).ok_or_else(|| {
        Error::new(
            state::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: \"{text}\""),
        )
    })
}

/// Reads a TIME; a date in the text is dropped.
pub(super) fn parse_time(text: &str, now: Option<i64>) -> Result<i64> {
    let refuse = |refusal| refused(refusal, text, "time");
    let moment = match Moment::decode(text, now) {
        // Without a date before it, a run of digits is a time: `0405`, `040506`.
        Err(Refusal::Syntax | Refusal::MonthDay)
        | Ok(Moment {
            micros: None,
            special: None,
            ..
        }) => {
            let mut bare = Moment::default();
            match cut(text).as_deref() {
                Some([Field::Digits(digits, fraction)]) if matches!(digits.len(), 4 | 6) => {
                    bare.days = Some(0);
                    bare.digits(digits, fraction).map_err(refuse)?;
                    bare
                }
                _ => return Err(refuse(Refusal::Syntax)),
            }
        }
        other => other.map_err(refuse)?,
    };
    match moment.special {
        Some(Special::Now) => Ok(calendar::split(now.unwrap_or_else(wall_clock)).1),
        Some(_) => Err(refuse(Refusal::Syntax)),
        None => moment.micros.ok_or_else(|| refuse(Refusal::Syntax)),
    }
}

fn parse_moment(text: &str, now: Option<i64>, type_name: &str, zoned: bool) -> Result<i64> {
    let refuse = |refusal| refused(refusal, text, type_name);
    let moment = Moment::decode(text, now).map_err(refuse)?;
    match moment.special {
        Some(Special::Infinity(true)) => return Ok(TIMESTAMP_INFINITY),
        Some(Special::Infinity(false)) => return Ok(TIMESTAMP_NEG_INFINITY),
        Some(Special::Epoch) => return Ok(0),
        Some(Special::Now) => return Ok(now.unwrap_or_else(wall_clock)),
        None => {}
    }
    let days = moment.days.ok_or_else(|| refuse(Refusal::Syntax))?;
    // TIMESTAMP without time zone reads over a zone.
    let time = moment.micros.unwrap_or(0);
    let out_of_range = || {
        Error::new(
            state::DATETIME_FIELD_OVERFLOW,
            format!("timestamp out of range: \"{text}\""),
        )
    };
    let ahead = match moment.zone.filter(|_| zoned) {
        None => 0,
        Some(Zone::Fixed(ahead)) => ahead,
        Some(zone) => zone.ahead_when(calendar::join(days, time).ok_or_else(out_of_range)?),
    };
    calendar::join(days, time - ahead).ok_or_else(out_of_range)
}

/// Reads a TIMESTAMP.
pub(super) fn parse_timestamp(text: &str, now: Option<i64>) -> Result<i64> {
    parse_moment(text, now, "timestamp", false)
}

/// Reads a TIMESTAMPTZ; without a zone the text is taken to be UTC.
pub(super) fn parse_timestamptz(text: &str, now: Option<i64>) -> Result<i64> {
    parse_moment(text, now, "timestamp with time zone", true)
}
