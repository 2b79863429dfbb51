//! INTERVAL from text in the forms of ISO 8601: `P1Y2M3DT4H5M6.5S`, `P0001-02-03T04:05:06`, `P00010203T040506`.

use super::span_parts::{Parts, Refusal, Summed, Unit};
use crate::function::calendar::DAY;

/// What is left of the text.
struct Reader<'t> {
    rest: &'t str,
    parts: Parts,
}

pub(super) fn decode(text: &str) -> Summed<Parts> {
    let rest = text.strip_prefix('P').ok_or(Refusal::Syntax)?;
    if rest.is_empty() || !rest.is_ascii() {
        return Err(Refusal::Syntax);
    }
    let mut reader = Reader {
        rest,
        parts: Parts::default(),
    };
    let (mut in_date, mut has_field) = (true, false);
    while !reader.rest.is_empty() {
        if reader.eat('T') {
            (in_date, has_field) = (false, false);
            continue;
        }
        let done = match in_date {
            true => reader.date_field(has_field)?,
            false => reader.time_field(has_field)?,
        };
        match done {
            Step::Field => has_field = true,
            Step::Time => (in_date, has_field) = (false, false),
            Step::End => return Ok(reader.parts),
        }
    }
    Ok(reader.parts)
}

/// What comes after a field.
enum Step {
    /// Another one.
    Field,
    /// Those of the time.
    Time,
    /// Nothing.
    End,
}

impl Reader<'_> {
    fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A number, as far as one can be read, its whole part and the rest; and how many digits it begins with.
    fn number(&mut self) -> Summed<(i64, f64, usize)> {
        let text = self.rest;
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.')) {
            return Err(Refusal::Syntax);
        }
        let unsigned = text.trim_start_matches('-');
        let width = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = text.len() - unsigned.len() + width;
        let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
        if text[end..].starts_with('.') {
            end += 1 + digits(end + 1);
        }
        if text[end..].starts_with(['e', 'E']) {
            let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let (number, rest) = text.split_at(end);
        let value: f64 = number.parse().map_err(|_| Refusal::Syntax)?;
        if value.is_nan() || value.abs() > 1e15 {
            return Err(Refusal::Overflow);
        }
        self.rest = rest;
        Ok((value.trunc() as i64, value - value.trunc(), width))
    }

    fn add(&mut self, (value, rest, _): (i64, f64, usize), unit: Unit) -> Summed<()> {
        self.parts.add(value, rest, unit)
    }

    /// The character behind a number, if there is one.
    fn unit(&mut self) -> Option<char> {
        let unit = self.rest.chars().next()?;
        self.rest = &self.rest[unit.len_utf8()..];
        Some(unit)
    }

    fn date_field(&mut self, has_field: bool) -> Summed<Step> {
        let number = self.number()?;
        let unit = self.unit();
        let named = match unit {
            Some('Y') => Some(Unit::Year),
            Some('M') => Some(Unit::Month),
            Some('W') => Some(Unit::Week),
            Some('D') => Some(Unit::Day),
            _ => None,
        };
        if let Some(unit) = named {
            self.add(number, unit)?;
            return Ok(Step::Field);
        }
        if !matches!(unit, Some('T' | '-') | None) || has_field {
            return Err(Refusal::Syntax);
        }
        let after = |unit| match unit {
            None => Step::End,
            _ => Step::Time,
        };
        if unit != Some('-') && number.2 == 8 {
            let (value, rest, _) = number;
            self.parts.add(value / 10_000, 0.0, Unit::Year)?;
            self.parts.add(value / 100 % 100, 0.0, Unit::Month)?;
            self.parts.add(value % 100, 0.0, Unit::Day)?;
            self.parts.part_of_time(rest, DAY)?;
            return Ok(after(unit));
        }
        self.add(number, Unit::Year)?;
        if unit != Some('-') {
            return Ok(after(unit));
        }
        let months = self.number()?;
        self.add(months, Unit::Month)?;
        match self.unit() {
            Some('-') => {}
            Some('T') => return Ok(Step::Time),
            None => return Ok(Step::End),
            _ => return Err(Refusal::Syntax),
        }
        let days = self.number()?;
        self.add(days, Unit::Day)?;
        match self.unit() {
            Some('T') => Ok(Step::Time),
            None => Ok(Step::End),
            _ => Err(Refusal::Syntax),
        }
    }

    fn time_field(&mut self, has_field: bool) -> Summed<Step> {
        let number = self.number()?;
        let unit = self.unit();
        let named = match unit {
            Some('H') => Some(Unit::Hour),
            Some('M') => Some(Unit::Minute),
            Some('S') => Some(Unit::Second),
            _ => None,
        };
        if let Some(unit) = named {
            self.add(number, unit)?;
            return Ok(Step::Field);
        }
        if !matches!(unit, Some(':') | None) || has_field {
            return Err(Refusal::Syntax);
        }
        if unit.is_none() && number.2 == 6 {
            let (value, rest, _) = number;
            self.parts.add(value / 10_000, 0.0, Unit::Hour)?;
            self.parts.add(value / 100 % 100, 0.0, Unit::Minute)?;
            self.parts.add(value % 100, rest, Unit::Second)?;
            return Ok(Step::End);
        }
        self.add(number, Unit::Hour)?;
        if unit.is_none() {
            return Ok(Step::End);
        }
        let minutes = self.number()?;
        self.add(minutes, Unit::Minute)?;
        match self.unit() {
            Some(':') => {}
            None => return Ok(Step::End),
            _ => return Err(Refusal::Syntax),
        }
        let seconds = self.number()?;
        self.add(seconds, Unit::Second)?;
        match self.rest.is_empty() {
            true => Ok(Step::End),
            false => Err(Refusal::Syntax),
        }
    }
}
