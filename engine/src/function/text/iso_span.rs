//! INTERVAL from text in the forms of ISO 8601: `P1Y2M3DT4H5M6.5S`, `P0001-02-03T04:05:06`, `P00010203T040506`.

use super::scanner::Scanner;
use super::span_parts::{Parts, Refusal, Summed, Unit};
use crate::function::calendar::DAY;

struct Reader<'t> {
    scanner: Scanner<'t>,
    parts: Parts,
}

pub(super) fn decode(text: &str) -> Summed<Parts> {
    let rest = text.strip_prefix('P').ok_or(Refusal::Syntax)?;
    if rest.is_empty() || !rest.is_ascii() {
        return Err(Refusal::Syntax);
    }
    let mut reader = Reader {
        scanner: Scanner { rest },
        parts: Parts::default(),
    };
    let (mut in_date, mut has_field) = (true, false);
    while !reader.scanner.rest.is_empty() {
        if reader.scanner.eat('T') {
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
    /// A number, as far as one can be read, its whole part and the rest; and how many digits it begins with.
    fn number(&mut self) -> Summed<(i64, f64, usize)> {
        let text = self.scanner.rest;
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
        self.scanner.rest = rest;
        Ok((value.trunc() as i64, value - value.trunc(), width))
    }

    fn add(&mut self, (value, rest, _): (i64, f64, usize), unit: Unit) -> Summed<()> {
        self.parts.add(value, rest, unit)
    }

    fn date_field(&mut self, has_field: bool) -> Summed<Step> {
        let number = self.number()?;
        let unit = self.scanner.take();
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
        match self.scanner.take() {
            Some('-') => {}
            Some('T') => return Ok(Step::Time),
            None => return Ok(Step::End),
            _ => return Err(Refusal::Syntax),
        }
        let days = self.number()?;
        self.add(days, Unit::Day)?;
        match self.scanner.take() {
            Some('T') => Ok(Step::Time),
            None => Ok(Step::End),
            _ => Err(Refusal::Syntax),
        }
    }

    fn time_field(&mut self, has_field: bool) -> Summed<Step> {
        let number = self.number()?;
        let unit = self.scanner.take();
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
        match self.scanner.take() {
            Some(':') => {}
            None => return Ok(Step::End),
            _ => return Err(Refusal::Syntax),
        }
        let seconds = self.number()?;
        self.add(seconds, Unit::Second)?;
        match self.scanner.rest.is_empty() {
            true => Ok(Step::End),
            false => Err(Refusal::Syntax),
        }
    }
}
