//! `to_number`: a number read by the template that would write it.
//!
//! Each field of the template takes what it can from the text, as in PostgreSQL: a place for a digit takes a
//! digit or the point, and a sign around it; what is between fields takes any one character. What has been read
//! is a number of as many digits as there are places.

use super::{FIELD_WORK, Shape, Sign};
use crate::error::{Error, Result, state};
use crate::function::Work;
use crate::function::decimal;
use crate::function::text;
use crate::function::to_char::{Piece, characters};
use remora_storage::{DataType, Numeric, Value};

/// What belongs to a number, and is not passed over.
const DATA: &[u8] = b"0123456789.,+-";

/// Digits behind the point of a power of ten.
const POWER_SCALE: u8 = 16;

/// # Errors
/// 42601 for a template whose fields do not go together, 0A000 for one that only writes, 22P02 where there is no
/// number, 22003 where it has more digits than the template.
pub(in super::super) fn read(text: &str, template: &str, work: &Work<'_>) -> Result<Numeric> {
    let shape = Shape::of(template, work)?;
    for (only_written, name) in [(shape.scientific, "EEEE"), (shape.roman, "RN")] {
        if only_written {
            let message = format!("\"{name}\" not supported for input");
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message));
        }
    }
    let mut reader = Reader {
        shape: &shape,
        input: text.as_bytes(),
        at: 0,
        sign: b' ',
        digits: String::new(),
        before: 0,
        behind: 0,
        has_point: false,
    };
    for piece in &shape.pieces {
        if reader.is_over() {
            break;
        }
        work.spend(FIELD_WORK)?;
        // Each character of the template stands for one of the text.
        let (between, is_quoted) = match piece {
            Piece::Field(name) => {
                reader.field(name);
                continue;
            }
            Piece::Between(text) => (text, false),
            Piece::Quoted(text) => (text, true),
        };
        for c in characters(between, is_quoted) {
            work.spend(c.len_utf8())?;
            reader.pass();
        }
    }
    reader.number()
}

struct Reader<'a> {
    shape: &'a Shape<'a>,
    input: &'a [u8],
    at: usize,
    /// `+`, `-`, or a blank for none.
    sign: u8,
    digits: String,
    /// Digits read before the point and behind it.
    before: usize,
    behind: usize,
    has_point: bool,
}

impl Reader<'_> {
    fn is_over(&self) -> bool {
        self.at >= self.input.len()
    }

    fn byte(&self) -> u8 {
        self.input.get(self.at).copied().unwrap_or_default()
    }

    /// Passes over a character.
    fn pass(&mut self) {
        self.at += 1;
        while self.byte() & 0xC0 == 0x80 {
            self.at += 1;
        }
    }

    /// Passes over so many characters that do not belong to the number.
    fn pass_other(&mut self, characters: usize) {
        for _ in 0..characters {
            if self.is_over() || DATA.contains(&self.byte()) {
                break;
            }
            self.pass();
        }
    }

    fn field(&mut self, name: &str) {
        let name = name.to_ascii_uppercase();
        match name.as_str() {
            "9" | "0" | "." | "D" => {
                self.place(matches!(name.as_str(), "9" | "0"));
                self.at += 1;
            }
            "," | "G" => {
                let is_padding = self.shape.bare && self.before + self.behind == 0;
                if !is_padding && self.byte() == b',' {
                    self.at += 1;
                }
            }
            "L" => self.pass_other(1),
            "TH" if self.sign != b'-' && !self.shape.has_point => self.pass_other(2),
            "MI" => self.signed(b"-"),
            "PL" => self.signed(b"+"),
            "SG" => self.signed(b"+-"),
            _ => {}
        }
    }

    /// One of these signs, or something that is passed over.
    fn signed(&mut self, signs: &[u8]) {
        match signs.contains(&self.byte()) {
            true => {
                self.sign = self.byte();
                self.at += 1;
            }
            false => self.pass_other(1),
        }
    }

    /// The place of a digit or of the point. What it has read last is passed over by the caller.
    fn place(&mut self, is_digit: bool) {
        if self.byte() == b' ' {
            self.at += 1;
        }
        if !self.is_over() && is_digit && self.sign == b' ' && self.before + self.behind == 0 {
            self.sign_before();
        }
        if self.is_over() {
            return;
        }
        let byte = self.byte();
        let mut has_read = false;
        if byte.is_ascii_digit() {
            if self.has_point && self.behind == self.shape.behind {
                return;
            }
            self.digits.push(char::from(byte));
            match self.has_point {
                true => self.behind += 1,
                false => self.before += 1,
            }
            has_read = true;
        } else if byte == b'.' && self.shape.has_point && !self.has_point {
            self.digits.push('.');
            self.has_point = true;
            has_read = true;
        }
        if self.sign == b' ' && self.before + self.behind > 0 {
            self.sign_behind(has_read);
        }
    }

    fn sign_before(&mut self) {
        let byte = self.byte();
        let is_sign = match self.shape.sign {
            Sign::Before => matches!(byte, b'-' | b'+'),
            _ => matches!(byte, b'-' | b'+') || (self.shape.brackets && byte == b'<'),
        };
        if is_sign {
            self.sign = if byte == b'+' { b'+' } else { b'-' };
            self.at += 1;
        }
    }

    /// A sign right behind the last digit.
    fn sign_behind(&mut self, has_read: bool) {
        let next = self.input.get(self.at + 1).copied();
        let is_sign = |byte: &u8| matches!(byte, b'-' | b'+');
        let has_field = self.shape.sign != Sign::None;
        if has_field && has_read {
            if let Some(sign) = next.filter(is_sign) {
                self.sign = sign;
                self.at += 1;
            }
        } else if !has_read && (self.shape.plus || self.shape.minus) {
            let byte = Some(self.byte());
            self.sign = byte.filter(is_sign).unwrap_or(self.sign);
        }
    }

    /// What has been read, of as many digits as there are places.
    fn number(self) -> Result<Numeric> {
        let moved = self.shape.moved.unwrap_or(0);
        let places = self.shape.before + moved;
        let sign = char::from(self.sign);
        let read = format!("{sign}{}", self.digits.trim_end_matches('.'));
        let Value::Numeric(value) = text::parse(&read, DataType::Numeric(None))? else {
            return Err(decimal::overflow());
        };
        let whole = self.digits.split('.').next().unwrap_or_default();
        if whole.trim_start_matches('0').len() > places {
            let detail = format!(
                "A field with precision {}, scale {} must round to an absolute value less than 10^{places}.",
                places + self.behind,
                self.behind
            );
            let message = "numeric field overflow";
            return Err(Error::new(state::NUMERIC_VALUE_OUT_OF_RANGE, message).with_detail(detail));
        }
        if self.shape.moved.is_none() {
            return Ok(value);
        }
        let scale = u8::try_from(moved).map_err(|_| decimal::overflow())?;
        // With as many digits as PostgreSQL's power of ten has.
        let shown = scale.max(POWER_SCALE);
        let unit = Numeric::new(decimal::pow10(shown - scale), shown);
        let unit = unit.ok_or_else(decimal::overflow)?;
        decimal::multiply(value, unit)
    }
}
