//! The numbers in a date/time text: dates, times, displacements, and bare numbers, whose meaning depends on what
//! was said before them.

use super::decode::{Decoded, Label, Moment, Refusal, said, starts_with_digit};
use super::style::FieldOrder;
use super::words::{Word, word};
use super::zone::Zone;
use crate::function::calendar::{self, DAY, FIRST_DAY, HOUR, MINUTE, SECOND};

/// A number at the start of a text, and what follows it.
pub(super) fn integer(text: &str) -> Decoded<(i64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    match digits {
        "" => Ok((0, rest)),
        _ => {
            let number: i32 = digits.parse().map_err(|_| Refusal::Field)?;
            Ok((number.into(), rest))
        }
    }
}

/// A fraction with its point as millionths, rounded.
fn fraction(text: &str) -> Decoded<i64> {
    let digits = text.strip_prefix('.').ok_or(Refusal::Syntax)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Syntax);
    }
    let value: f64 = format!("0{text}0").parse().map_err(|_| Refusal::Syntax)?;
    Ok((value * SECOND as f64).round_ties_even() as i64)
}

/// `+02:30`, `-8`, `+0230`.
pub(super) fn displacement(text: &str) -> Decoded<Zone> {
    let is_west = match text.as_bytes().first() {
        Some(b'-') => true,
        Some(b'+') => false,
        _ => return Err(Refusal::Syntax),
    };
    let part = |text| integer(text).map_err(|_| Refusal::Displacement);
    let (mut hours, mut rest) = part(&text[1..])?;
    let (mut minutes, mut seconds) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minutes, rest) = part(after)?;
        if let Some(after) = rest.strip_prefix(':') {
            (seconds, rest) = part(after)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        (hours, minutes) = (hours / 100, hours % 100);
    }
    if hours > 15 || minutes >= 60 || seconds >= 60 {
        return Err(Refusal::Displacement);
    }
    if !rest.is_empty() {
        return Err(Refusal::Syntax);
    }
    let ahead = hours * HOUR + minutes * MINUTE + seconds * SECOND;
    Ok(Zone::Fixed(if is_west { -ahead } else { ahead }))
}

impl Moment {
    /// Parts of a date and what is between them.
    pub(super) fn date(&mut self, text: &str) -> Decoded<u32> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let Some(first) = rest.chars().next() else {
                return Err(Refusal::Syntax);
            };
            let is_same = |c: char| c.is_ascii_digit() == first.is_ascii_digit();
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() || !is_same(c))
                .unwrap_or(rest.len());
            parts.push(&rest[..end]);
            // One character more divides, whatever it is.
            rest = &rest[(end + 1).min(rest.len())..];
        }
        let before = self.said;
        let mut told = 0;
        let mut has_text_month = false;
        for part in parts.iter().filter(|part| !starts_with_digit(part)) {
            match word(part) {
                Some(Word::Filler) => continue,
                Some(Word::Month(month)) => self.month = month.into(),
                _ => return Err(Refusal::Syntax),
            }
            has_text_month = true;
            if (before | told) & said::MONTH != 0 {
                return Err(Refusal::Syntax);
            }
            told |= said::MONTH;
        }
        for part in parts.iter().filter(|part| starts_with_digit(part)) {
            let one = self.number(part, has_text_month, before | told)?;
            if (before | told) & one != 0 {
                return Err(Refusal::Syntax);
            }
            told |= one;
        }
        let all = before | told;
        match all & !(said::DAY_OF_YEAR | said::ZONE) == said::DATE {
            true => Ok(told),
            false => Err(Refusal::Syntax),
        }
    }

    pub(super) fn time(&mut self, text: &str) -> Decoded<u32> {
        let (hour, rest) = integer(text)?;
        let rest = rest.strip_prefix(':').ok_or(Refusal::Syntax)?;
        let (minute, rest) = integer(rest)?;
        (self.hour, self.minute, self.second, self.fraction) = (hour, minute, 0, 0);
        if rest.starts_with('.') {
            // Minutes and seconds.
            self.fraction = fraction(rest)?;
            (self.hour, self.minute, self.second) = (0, hour, minute);
        } else if let Some(rest) = rest.strip_prefix(':') {
            let (second, rest) = integer(rest)?;
            self.second = second;
            if !rest.is_empty() {
                self.fraction = fraction(rest)?;
            }
        } else if !rest.is_empty() {
            return Err(Refusal::Syntax);
        }
        if self.minute > 59 || self.second > 60 {
            return Err(Refusal::Field);
        }
        Ok(said::TIME)
    }

    pub(super) fn check_time(&self) -> Decoded<()> {
        let is_right = self.hour <= 24 && self.minute < 60 && self.second <= 60;
        match is_right && self.micros() <= DAY {
            true => Ok(()),
            false => Err(Refusal::Field),
        }
    }

    /// A number in a timestamp.
    pub(super) fn number_field(&mut self, text: &str) -> Decoded<u32> {
        if let Some(label) = self.label.take() {
            return self.labelled(label, text);
        }
        let point = text.find('.');
        let has_date = self.said & said::DATE != 0;
        let has_time = self.has(said::TIME);
        match point {
            Some(_) if !has_date => self.date(text),
            Some(point) if point > 2 => self.digits(text, self.said),
            _ if text.len() >= 6 && (!has_date || !has_time) => self.digits(text, self.said),
            _ => self.number(text, self.text_month, self.said),
        }
    }

    /// A number in a time of day.
    pub(super) fn time_number(&mut self, text: &str, is_dated: bool) -> Decoded<u32> {
        if let Some(label) = self.label.take() {
            return self.labelled(label, text);
        }
        let said = self.said | said::DATE;
        match text.find('.') {
            Some(_) if is_dated => self.date(text),
            Some(point) if point > 2 => self.digits(text, said),
            Some(_) => Err(Refusal::Syntax),
            None if text.len() > 4 => self.digits(text, said),
            None => self.number(text, false, said),
        }
    }

    /// A number behind a label.
    pub(super) fn labelled(&mut self, label: Label, text: &str) -> Decoded<u32> {
        match label {
            Label::Julian => {
                let (days, rest) = integer(text)?;
                self.set_julian(days);
                if rest.is_empty() {
                    return Ok(said::DATE);
                }
                let part: f64 = format!("0{rest}").parse().map_err(|_| Refusal::Syntax)?;
                let micros = (part * DAY as f64) as i64;
                (self.hour, self.minute) = (micros / HOUR, micros % HOUR / MINUTE);
                (self.second, self.fraction) = (micros % MINUTE / SECOND, micros % SECOND);
                Ok(said::DATE | said::TIME)
            }
            Label::Time => match self.digits(text, self.said | said::DATE)? {
                said::TIME => Ok(said::TIME),
                _ => Err(Refusal::Syntax),
            },
            Label::Other => Err(Refusal::Syntax),
        }
    }

    pub(super) fn set_julian(&mut self, days: i64) {
        self.julian = true;
        self.set_day(days + FIRST_DAY);
    }

    pub(super) fn set_day(&mut self, day: i64) {
        let date = calendar::civil_from_days(day);
        (self.year, self.month, self.day) = (date.year, date.month.into(), date.day.into());
    }

    /// A run of digits: `20240105`, `240105`, `040506.7`, `0405`.
    pub(super) fn digits(&mut self, text: &str, before: u32) -> Decoded<u32> {
        let (digits, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::Syntax);
        }
        let length = digits.len();
        if !rest.is_empty() {
            self.fraction = fraction(rest)?;
        } else if before & said::DATE != said::DATE && length >= 6 {
            let (year, month_day) = digits.split_at(length - 4);
            self.day = integer(&month_day[2..])?.0;
            self.month = integer(&month_day[..2])?.0;
            self.year = integer(year)?.0;
            self.two_digits |= year.len() == 2;
            return Ok(said::DATE);
        }
        if before & said::TIME != 0 || !matches!(length, 4 | 6) {
            return Err(Refusal::Syntax);
        }
        self.hour = integer(&digits[..2])?.0;
        self.minute = integer(&digits[2..4])?.0;
        self.second = integer(&digits[4..])?.0;
        Ok(said::TIME)
    }

    /// A number that is one field of a date, by what is known before it.
    pub(super) fn number(&mut self, text: &str, text_month: bool, before: u32) -> Decoded<u32> {
        let (value, rest) = integer(text)?;
        let length = text.len();
        if rest.len() == length {
            return Err(Refusal::Syntax);
        }
        if rest.starts_with('.') {
            if length - rest.len() > 2 {
                return self.digits(text, before | said::DATE);
            }
            self.fraction = fraction(rest)?;
        } else if !rest.is_empty() {
            return Err(Refusal::Syntax);
        }
        let dated = before & said::DATE;
        if length == 3 && dated == said::YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(said::DAY_OF_YEAR | said::MONTH | said::DAY);
        }
        const YEAR_MONTH: u32 = said::YEAR | said::MONTH;
        const MONTH_DAY: u32 = said::MONTH | said::DAY;
        let may_be_year = length >= 3 || self.order == FieldOrder::YearMonthDay;
        let told = match dated {
            0 if may_be_year => said::YEAR,
            0 if self.order == FieldOrder::DayMonthYear => said::DAY,
            0 => said::MONTH,
            said::YEAR => said::MONTH,
            said::MONTH if text_month && may_be_year => said::YEAR,
            said::MONTH => said::DAY,
            YEAR_MONTH if text_month && length >= 3 && self.two_digits => {
                // What was taken for the year was the day.
                self.day = self.year;
                self.year = value;
                self.two_digits = false;
                return Ok(said::DAY);
            }
            YEAR_MONTH => said::DAY,
            said::DAY => said::MONTH,
            MONTH_DAY => said::YEAR,
            said::DATE => return self.digits(text, before),
            _ => return Err(Refusal::Syntax),
        };
        match told {
            said::YEAR => {
                self.year = value;
                self.two_digits = length <= 2;
            }
            said::MONTH => self.month = value,
            _ => self.day = value,
        }
        Ok(told)
    }
}
