//! What the fields of a date/time text mean together: PostgreSQL's `DecodeDateTime` and `DecodeTimeOnly`.
//!
//! 1. `fields.rs` cuts the text. 2. Field after field says something; what was said before it decides what a
//!    bare number is (`numbers.rs`), and `DateStyle` says in which order day, month and year come. Nothing may be said twice.
//! 3. At the end the year gets its century or its era, and day and month are held against the calendar.

use super::Reading;
use super::fields::{Field, Kind, cut};
use super::numbers::{displacement, integer};
use super::style::FieldOrder;
use super::words::{Special, Word, word};
use super::zone::{Zone, abbreviation};
use crate::error::Error;
use crate::function::calendar::{self, Civil, HOUR, MINUTE, SECOND};

/// Why a text was refused.
pub(super) enum Refusal {
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

pub(super) type Decoded<T> = Result<T, Refusal>;

/// What has been said, a bit for each field.
pub(super) mod said {
    pub(in super::super) const YEAR: u32 = 1;
    pub(in super::super) const MONTH: u32 = 1 << 1;
    pub(in super::super) const DAY: u32 = 1 << 2;
    pub(in super::super) const DATE: u32 = YEAR | MONTH | DAY;
    pub(in super::super) const TIME: u32 = 1 << 3;
    pub(in super::super) const ZONE: u32 = 1 << 4;
    pub(in super::super) const SUMMER: u32 = 1 << 5;
    pub(in super::super) const DAY_OF_YEAR: u32 = 1 << 6;
    pub(in super::super) const HALF: u32 = 1 << 7;
    pub(in super::super) const ERA: u32 = 1 << 8;
    pub(in super::super) const WEEKDAY: u32 = 1 << 9;
    pub(in super::super) const SPECIAL: u32 = 1 << 10;
}

/// What a word has said of the field behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Julian,
    Time,
    Other,
}

/// What a text says in all.
#[derive(Default)]
pub(super) struct Moment {
    pub(super) said: u32,
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) day_of_year: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) fraction: i64,
    pub(super) zone: Option<Zone>,
    /// How much further ahead `DST` puts the zone.
    pub(super) summer: i64,
    pub(super) bc: bool,
    pub(super) afternoon: Option<bool>,
    pub(super) two_digits: bool,
    pub(super) text_month: bool,
    pub(super) julian: bool,
    pub(super) special: Option<Special>,
    pub(super) order: FieldOrder,
    /// The label of the next field.
    pub(super) label: Option<Label>,
}

fn zone_named(name: &str) -> Decoded<Zone> {
    Zone::of_name(name).ok_or_else(|| {
        Refusal::Zone(sql_error!(
            INVALID_PARAMETER_VALUE,
            "time zone \"{name}\" not recognized"
        ))
    })
}

pub(super) fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

impl Moment {
    /// Of a date or a timestamp.
    pub(super) fn decode(text: &str, reading: Reading<'_>) -> Decoded<Self> {
        let mut moment = Self::new(reading);
        let fields = cut(text, |name| word(name).is_some()).ok_or(Refusal::Syntax)?;
        for (at, field) in fields.iter().enumerate() {
            let next = fields.get(at + 1);
            let told = match field.kind {
                Kind::Date => moment.date_field(&field.text)?,
                Kind::Time => {
                    moment.take_label(Label::Time)?;
                    let told = moment.time(&field.text)?;
                    moment.check_time()?;
                    told
                }
                Kind::Zone => {
                    moment.zone = Some(displacement(&field.text)?);
                    said::ZONE
                }
                Kind::Number => moment.number_field(&field.text)?,
                Kind::Word | Kind::SignedWord => match moment.word(&field.text, next, reading)? {
                    None => continue,
                    Some(told) => told,
                },
            };
            moment.note(told)?;
        }
        moment.settle()?;
        let has_date = moment.has(said::DATE);
        let is_special = matches!(moment.special, Some(Special::Infinity(_) | Special::Epoch));
        if !has_date && !is_special {
            return Err(Refusal::Syntax);
        }
        moment.check_summer()?;
        Ok(moment)
    }

    /// Of a time of day.
    pub(super) fn decode_time(text: &str, reading: Reading<'_>) -> Decoded<Self> {
        let mut moment = Self::new(reading);
        let fields = cut(text, |name| word(name).is_some()).ok_or(Refusal::Syntax)?;
        for (at, field) in fields.iter().enumerate() {
            let is_before_time = at == 0
                && fields.len() >= 2
                && (fields.last().is_some_and(|last| last.kind == Kind::Date)
                    || fields[1].kind == Kind::Time);
            let told = match field.kind {
                Kind::Date if is_before_time => moment.date(&field.text)?,
                Kind::Date if starts_with_digit(&field.text) => {
                    moment.time_and_zone(&field.text)?
                }
                Kind::Date => {
                    moment.zone = Some(zone_named(&field.text)?);
                    said::ZONE
                }
                Kind::Time => {
                    moment.label = None;
                    moment.time(&field.text)?
                }
                Kind::Zone => {
                    moment.zone = Some(displacement(&field.text)?);
                    said::ZONE
                }
                Kind::Number => {
                    let is_dated = at == 0
                        && fields.len() >= 2
                        && fields.last().is_some_and(|last| last.kind == Kind::Date);
                    moment.time_number(&field.text, is_dated)?
                }
                Kind::Word | Kind::SignedWord => {
                    match moment.word(&field.text, fields.get(at + 1), reading)? {
                        None => continue,
                        Some(told) if told & (said::MONTH | said::WEEKDAY) != 0 => {
                            return Err(Refusal::Syntax);
                        }
                        Some(told) => told,
                    }
                }
            };
            moment.note(told)?;
        }
        let is_other = |special| !matches!(special, Special::Now | Special::AllBalls);
        if moment.special.is_some_and(is_other) {
            return Err(Refusal::Syntax);
        }
        moment.settle()?;
        moment.check_time()?;
        if !moment.has(said::TIME) {
            return Err(Refusal::Syntax);
        }
        let dated = moment.said & said::DATE;
        if dated != 0 && dated != said::DATE && moment.special != Some(Special::Now) {
            return Err(Refusal::Syntax);
        }
        moment.check_summer()?;
        Ok(moment)
    }

    fn new(reading: Reading<'_>) -> Self {
        Self {
            order: reading.style.order,
            ..Self::default()
        }
    }

    pub(super) fn has(&self, fields: u32) -> bool {
        self.said & fields == fields
    }

    /// Nothing may be said twice.
    fn note(&mut self, told: u32) -> Decoded<()> {
        if self.said & told != 0 {
            return Err(Refusal::Syntax);
        }
        self.said |= told;
        Ok(())
    }

    /// The label of this field, if any, must be this one.
    fn take_label(&mut self, wanted: Label) -> Decoded<()> {
        match self.label.take() {
            Some(label) if label != wanted => Err(Refusal::Syntax),
            _ => Ok(()),
        }
    }

    fn date_field(&mut self, text: &str) -> Decoded<u32> {
        match self.label {
            Some(Label::Julian) => {
                self.label = None;
                let (days, rest) = integer(text)?;
                self.set_julian(days);
                self.zone = Some(displacement(rest)?);
                return Ok(said::DATE | said::TIME | said::ZONE);
            }
            Some(Label::Time) => {
                self.label = None;
                return self.time_and_zone(text);
            }
            Some(Label::Other) => return Err(Refusal::Syntax),
            None => {}
        }
        if !self.has(said::MONTH | said::DAY) {
            return self.date(text);
        }
        if starts_with_digit(text) {
            return self.time_and_zone(text);
        }
        self.zone = Some(zone_named(text)?);
        Ok(said::ZONE)
    }

    /// `040506-08`
    pub(super) fn time_and_zone(&mut self, text: &str) -> Decoded<u32> {
        if self.has(said::TIME) {
            return Err(Refusal::Syntax);
        }
        let at = text.find('-').ok_or(Refusal::Syntax)?;
        self.zone = Some(displacement(&text[at..])?);
        let told = self.digits(&text[..at], self.said | said::DATE)?;
        Ok(told | said::ZONE)
    }

    /// What a word says; `None` for one that says nothing.
    fn word(
        &mut self,
        name: &str,
        next: Option<&Field>,
        reading: Reading<'_>,
    ) -> Decoded<Option<u32>> {
        if let Some(zone) = abbreviation(name) {
            self.zone = Some(zone);
            return Ok(Some(said::ZONE));
        }
        Ok(Some(match word(name) {
            Some(Word::Special(special)) => self.special(special, reading),
            Some(Word::Month(month)) => {
                let mut told = said::MONTH;
                let has = self.said & (said::MONTH | said::DAY) == said::MONTH;
                if has && !self.text_month && (1..=31).contains(&self.month) {
                    // What was taken for the month was the day.
                    self.day = self.month;
                    told = said::DAY;
                }
                self.text_month = true;
                self.month = month.into();
                told
            }
            Some(Word::Weekday) => said::WEEKDAY,
            Some(Word::Era(bc)) => {
                self.bc = bc;
                said::ERA
            }
            Some(Word::Half(afternoon)) => {
                self.afternoon = Some(afternoon);
                said::HALF
            }
            Some(Word::Summer) => {
                self.summer = HOUR;
                said::SUMMER
            }
            Some(Word::Julian) => {
                self.label = Some(Label::Julian);
                0
            }
            Some(Word::Unit) => {
                self.label = Some(Label::Other);
                0
            }
            Some(Word::Time) => {
                let fits =
                    |next: &Field| matches!(next.kind, Kind::Number | Kind::Time | Kind::Date);
                if !next.is_some_and(fits) {
                    return Err(Refusal::Syntax);
                }
                self.label = Some(Label::Time);
                0
            }
            Some(Word::Filler) => return Ok(None),
            None => {
                let zone = Zone::of_name(name).ok_or(Refusal::Syntax)?;
                self.zone = Some(zone);
                said::ZONE
            }
        }))
    }

    fn special(&mut self, special: Special, reading: Reading<'_>) -> u32 {
        self.special = Some(special);
        let zone = &reading.style.zone;
        let now = || zone.shown(reading.now()).unwrap_or_else(|_| reading.now());
        match special {
            Special::Now => {
                let (day, micros) = calendar::split(now());
                self.set_day(day);
                self.julian = true;
                (self.hour, self.minute) = (micros / HOUR, micros % HOUR / MINUTE);
                (self.second, self.fraction) = (micros % MINUTE / SECOND, micros % SECOND);
                let ahead = zone.ahead_at(reading.now());
                self.zone = Some(Zone::Fixed(ahead));
                said::DATE | said::TIME | said::ZONE
            }
            Special::Day(distance) => {
                self.set_day(calendar::split(now()).0 + distance);
                self.julian = true;
                said::DATE
            }
            Special::AllBalls => {
                self.zone = Some(Zone::Fixed(0));
                said::TIME | said::ZONE
            }
            Special::Infinity(_) | Special::Epoch => said::SPECIAL,
        }
    }

    /// Brings year, month, day, era and half of the day together.
    fn settle(&mut self) -> Decoded<()> {
        if self.has(said::YEAR) && !self.julian {
            if self.bc {
                if self.year <= 0 {
                    return Err(Refusal::Field);
                }
                self.year = 1 - self.year;
            } else if self.two_digits {
                self.year += match self.year {
                    ..70 => 2000,
                    70..100 => 1900,
                    _ => 0,
                };
            } else if self.year <= 0 {
                return Err(Refusal::Field);
            }
        }
        if self.has(said::DAY_OF_YEAR) {
            let first = calendar::days_from_civil(Civil {
                year: self.year,
                month: 1,
                day: 1,
            });
            self.set_day(first + self.day_of_year - 1);
        }
        if self.has(said::MONTH) && !(1..=12).contains(&self.month)
            || self.has(said::DAY) && !(1..=31).contains(&self.day)
        {
            return Err(Refusal::MonthDay);
        }
        if self.has(said::DATE) {
            let length = calendar::days_in_month(self.year, self.month as u32);
            if self.day > i64::from(length) {
                return Err(Refusal::Field);
            }
        }
        if let Some(afternoon) = self.afternoon {
            if self.hour > 12 {
                return Err(Refusal::Field);
            }
            self.hour = self.hour % 12 + if afternoon { 12 } else { 0 };
        }
        Ok(())
    }

    /// A summer time needs a zone that it is the summer time of.
    fn check_summer(&self) -> Decoded<()> {
        let is_fixed = matches!(self.zone, Some(Zone::Fixed(_)));
        match self.summer == 0 || is_fixed {
            true => Ok(()),
            false => Err(Refusal::Syntax),
        }
    }

    /// The moment that the text is a name of, if it is one.
    pub(super) fn as_special(&self) -> Option<Special> {
        let is_moment =
            |special: &Special| matches!(special, Special::Infinity(_) | Special::Epoch);
        self.special.filter(is_moment)
    }

    /// Days since 1970.
    pub(super) fn days(&self) -> i64 {
        calendar::days_from_civil(Civil {
            year: self.year,
            month: self.month as u32,
            day: self.day as u32,
        })
    }

    /// Whether it has a date.
    pub(super) fn has_date(&self) -> bool {
        self.has(said::DATE)
    }

    /// Microseconds since midnight.
    pub(super) fn micros(&self) -> i64 {
        self.hour * HOUR + self.minute * MINUTE + self.second * SECOND + self.fraction
    }

    /// How far ahead the zone that the text names is when it shows a time.
    pub(super) fn ahead_when(&self, shown: i64) -> Option<i64> {
        let zone = self.zone.as_ref()?;
        Some(zone.ahead_when(shown) + self.summer)
    }

    /// How far ahead it is at all times; `None` where it is not the same.
    pub(super) fn ahead_always(&self) -> Option<i64> {
        Some(self.zone.as_ref()?.always()? + self.summer)
    }

    /// Whether the text names a zone.
    pub(super) fn has_zone(&self) -> bool {
        self.zone.is_some()
    }
}
