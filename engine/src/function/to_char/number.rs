//! Numbers by a template: `999.99`, `FM9,990.00`, `S9V99`, `RN`, ..
//!
//! A first pass counts what the template asks for, and says what cannot go together. Then the number is made a text
//! of so many digits behind the point, and a second pass writes it field by field; places before the
//! first digit are blanks, and a number that is too long becomes `#`.

mod reader;

pub(super) use reader::read;

use super::{PIECE_WORK, Piece, characters, ordinal, piece};
use crate::error::{Error, Result, state};
use crate::function::{Work, decimal, text};
use remora_storage::Numeric;
use remora_storage::value::NumericKind;

const FIELDS: [&str; 29] = [
    "9", "0", ".", ",", "B", "b", "D", "d", "EEEE", "eeee", "FM", "fm", "G", "g", "L", "l", "MI",
    "mi", "PL", "pl", "PR", "pr", "RN", "rn", "SG", "sg", "S", "s", "TH",
];
const MORE_FIELDS: [&str; 3] = ["th", "V", "v"];

/// Digits that a roman numeral is written in.
const ROMAN_WIDTH: usize = 15;

/// Digits behind the point beside an exponent; no number has more that are not 0.
const EXPONENT_DIGITS_MAX: usize = 1100;

/// The work of writing or reading a field.
const FIELD_WORK: usize = 16;

/// Where the sign of `S` goes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Sign {
    #[default]
    None,
    Before,
    Behind,
}

/// What a template asks for.
#[derive(Default)]
struct Shape<'t> {
    pieces: Vec<Piece<'t>>,
    before: usize,
    behind: usize,
    /// Places that `V` moves the point by.
    moved: Option<usize>,
    has_point: bool,
    has_zero: bool,
    zero_start: usize,
    zero_end: usize,
    bare: bool,
    sign: Sign,
    sign_at: usize,
    minus: bool,
    plus: bool,
    brackets: bool,
    roman: bool,
    scientific: bool,
}

fn refuse(message: &str) -> Error {
    Error::new(state::SYNTAX_ERROR, message)
}

impl<'t> Shape<'t> {
    fn of(template: &'t str, work: &Work<'_>) -> Result<Self> {
        let names: Vec<&'static str> = FIELDS.iter().chain(&MORE_FIELDS).copied().collect();
        let mut shape = Self::default();
        let mut rest = template;
        while !rest.is_empty() {
            work.spend(PIECE_WORK)?;
            let (found, after) = piece(rest, &names);
            if let Piece::Field(name) = found {
                shape.count(name)?;
            }
            shape.pieces.push(found);
            rest = after;
        }
        Ok(shape)
    }

    fn count(&mut self, name: &str) -> Result<()> {
        if self.scientific {
            return Err(refuse("\"EEEE\" must be the last pattern used"));
        }
        match name.to_ascii_uppercase().as_str() {
            "9" if self.brackets => return Err(refuse("\"9\" must be ahead of \"PR\"")),
            "9" => match (&mut self.moved, self.has_point) {
                (Some(moved), _) => *moved += 1,
                (None, true) => self.behind += 1,
                (None, false) => self.before += 1,
            },
            "0" if self.brackets => return Err(refuse("\"0\" must be ahead of \"PR\"")),
            "0" => {
                if !self.has_zero && !self.has_point {
                    (self.has_zero, self.zero_start) = (true, self.before + 1);
                }
                match self.has_point {
                    true => self.behind += 1,
                    false => self.before += 1,
                }
                self.zero_end = self.before + self.behind;
            }
            "." | "D" => {
                if self.has_point {
                    return Err(refuse("multiple decimal points"));
                }
                if self.moved.is_some() {
                    return Err(refuse("cannot use \"V\" and decimal point together"));
                }
                self.has_point = true;
            }
            "V" => {
                if self.has_point {
                    return Err(refuse("cannot use \"V\" and decimal point together"));
                }
                self.moved = Some(0);
            }
            "FM" => self.bare = true,
            "S" => self.signed()?,
            "MI" | "PL" | "SG" => {
                if self.sign != Sign::None {
                    return Err(refuse(&format!(
                        "cannot use \"S\" and \"{}\" together",
                        name.to_ascii_uppercase()
                    )));
                }
                self.minus |= !name.eq_ignore_ascii_case("PL");
                self.plus |= !name.eq_ignore_ascii_case("MI");
            }
            "PR" => {
                if self.sign != Sign::None || self.plus || self.minus {
                    return Err(refuse(
                        "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together",
                    ));
                }
                self.brackets = true;
            }
            "RN" => self.roman = true,
            "EEEE" => self.scientific = true,
            _ => {}
        }
        Ok(())
    }

    fn signed(&mut self) -> Result<()> {
        if self.sign != Sign::None {
            return Err(refuse("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.brackets {
            return Err(refuse(
                "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together",
            ));
        }
        (self.sign, self.sign_at) = match self.has_point {
            false => (Sign::Before, self.before),
            true => (Sign::Behind, 0),
        };
        Ok(())
    }
}

/// # Errors
/// 42601 for a template whose fields do not go together.
pub(super) fn numeric(value: Numeric, template: &str, work: &Work<'_>) -> Result<String> {
    let shape = Shape::of(template, work)?;
    if shape.roman {
        let whole = decimal::to_i128(decimal::round(value, 0)?);
        return Writer::new(&shape, roman(whole), false).write(work);
    }
    if shape.scientific {
        return Ok(match value.is_finite() {
            true => scientific(value, shape.behind.min(EXPONENT_DIGITS_MAX)),
            false => format!(
                " {}.{}####",
                "#".repeat(shape.before),
                "#".repeat(shape.behind)
            ),
        });
    }
    let mut value = value;
    if let Some(moved) = shape.moved {
        let tenfold = decimal::pow10(u8::try_from(moved).unwrap_or(u8::MAX).min(38));
        let factor = Numeric::new(tenfold, 0).ok_or_else(decimal::overflow)?;
        value = decimal::multiply(value, factor)?;
    }
    let rounded = decimal::round(value, i32::try_from(shape.behind).unwrap_or(i32::MAX))?;
    let mut digits = String::new();
    text::write_numeric(&mut digits, rounded);
    if value.kind() == NumericKind::Finite {
        extend(&mut digits, shape.behind);
    }
    shape.fit(&digits, work)
}

/// `digits` are those that a number of the type has.
pub(super) fn float(value: f64, digits: usize, template: &str, work: &Work<'_>) -> Result<String> {
    let shape = Shape::of(template, work)?;
    if shape.roman {
        let whole = value.round_ties_even();
        let whole = (whole.abs() < 1e9).then_some(whole as i128);
        return Writer::new(&shape, roman(whole), false).write(work);
    }
    if shape.scientific {
        return match value.is_finite() {
            true => Ok(exponent(&format!(
                "{value:.*e}",
                shape.behind.min(EXPONENT_DIGITS_MAX)
            ))),
            false => Ok(format!(
                " {}.{}####",
                "#".repeat(shape.before),
                "#".repeat(shape.behind)
            )),
        };
    }
    let value = match shape.moved {
        Some(moved) => value * 10_f64.powi(i32::try_from(moved).unwrap_or(i32::MAX)),
        None => value,
    };
    if value.is_nan() {
        return shape.fit("NaN", work);
    }
    if value.is_infinite() {
        return shape.fit(if value < 0.0 { "-Infinity" } else { "Infinity" }, work);
    }
    let whole = format!("{:.0}", value.abs()).len();
    let behind = shape.behind.min(digits.saturating_sub(whole));
    shape.fit(&format!("{value:.behind$}"), work)
}

/// Zeros up to so many places behind the point.
fn extend(digits: &mut String, behind: usize) {
    let have = digits
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    if have == 0 && behind > 0 {
        digits.push('.');
    }
    digits.extend(std::iter::repeat_n('0', behind.saturating_sub(have)));
}

/// A number in the form `1.23e+04`, one blank in front unless there is a minus.
fn scientific(value: Numeric, behind: usize) -> String {
    let digits = value.mantissa().unsigned_abs().to_string();
    let sign = if value.mantissa() < 0 { "-" } else { "" };
    let power = digits.len() as i32 - 1 - i32::from(value.scale());
    if value.mantissa() == 0 {
        return exponent(&format!("{:.behind$e}", 0.0));
    }
    let keep = behind + 1;
    let (kept, power) = match digits.len() > keep {
        false => (format!("{digits:0<keep$}"), power),
        true => {
            let (kept, cut) = digits.split_at(keep);
            let kept: u128 = kept.parse().unwrap_or(0);
            let rounded = (kept + u128::from(cut.as_bytes()[0] >= b'5')).to_string();
            match rounded.len() > keep {
                true => (rounded[..keep].to_owned(), power + 1),
                false => (rounded, power),
            }
        }
    };
    let (first, fraction) = kept.split_at(1);
    let point = if behind > 0 { "." } else { "" };
    exponent(&format!("{sign}{first}{point}{fraction}e{power}"))
}

/// With a sign and two digits in the exponent, and the place of a sign in front.
fn exponent(text: &str) -> String {
    let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let blank = if digits.starts_with('-') { "" } else { " " };
    let sign = if power < 0 { '-' } else { '+' };
    format!("{blank}{digits}e{sign}{:02}", power.abs())
}

/// A roman numeral, or `#` for what has none.
fn roman(whole: Option<i128>) -> String {
    const STEPS: [(i128, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let Some(mut rest) = whole.filter(|n| (1..4000).contains(n)) else {
        return "#".repeat(ROMAN_WIDTH);
    };
    let mut out = String::new();
    for (step, letters) in STEPS {
        while rest >= step {
            out.push_str(letters);
            rest -= step;
        }
    }
    out
}

impl Shape<'_> {
    /// Writes digits that may have a minus in front.
    fn fit(&self, digits: &str, work: &Work<'_>) -> Result<String> {
        let (is_negative, digits) = match digits.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, digits),
        };
        let before = self.before + self.moved.unwrap_or(0);
        let long = digits
            .split_once('.')
            .map_or(digits.len(), |(whole, _)| whole.len());
        let digits = match long > before {
            true => format!("{}.{}", "#".repeat(before), "#".repeat(self.behind)),
            false => digits.to_owned(),
        };
        Writer::new(self, digits, is_negative).write(work)
    }
}

/// The second pass.
struct Writer<'a> {
    shape: &'a Shape<'a>,
    number: Vec<u8>,
    /// Where in the number it is.
    at: usize,
    /// Of places for digits and the point, how many are done.
    done: usize,
    is_negative: bool,
    sign: Sign,
    sign_is_written: bool,
    brackets: bool,
    /// Places before the first digit.
    blanks: usize,
    /// The last digit that is not left out by FM.
    last: Option<usize>,
    /// Whether a digit was written last.
    inside: bool,
    places: usize,
    out: String,
}

impl<'a> Writer<'a> {
    fn new(shape: &'a Shape<'a>, number: String, is_negative: bool) -> Self {
        let before = shape.before + shape.moved.unwrap_or(0);
        let number = number.into_bytes();
        let whole = number
            .iter()
            .position(|b| *b == b'.')
            .unwrap_or(number.len());
        let blanks = before.saturating_sub(whole);
        let mut places = (shape.behind + before).wrapping_sub(1);
        let mut sign = shape.sign;
        let brackets = shape.brackets && (is_negative || !shape.bare);
        let sign_is_written = if shape.plus || shape.minus {
            !shape.plus || shape.minus
        } else {
            if sign == Sign::Before && shape.before == shape.sign_at {
                sign = Sign::Behind;
            }
            !is_negative && shape.bare && shape.sign == Sign::None
        };
        let mut last = None;
        if shape.bare && shape.has_point {
            last = number.iter().position(|b| *b == b'.').map(|point| {
                let digit = number.iter().rposition(|b| *b != b'0' && *b != b'.');
                let needed = digit.filter(|digit| *digit > point).unwrap_or(point);
                let zero = (number.len() - 1).min(shape.zero_end.saturating_sub(blanks));
                match shape.zero_end > 0 {
                    true => needed.max(zero),
                    false => needed,
                }
            });
        }
        if !sign_is_written && blanks == 0 {
            places = places.wrapping_add(1);
        }
        Self {
            shape,
            number,
            at: 0,
            done: 0,
            is_negative,
            sign,
            sign_is_written,
            brackets,
            blanks,
            last,
            inside: false,
            places,
            out: String::new(),
        }
    }

    fn write(mut self, work: &Work<'_>) -> Result<String> {
        for piece in &self.shape.pieces {
            work.spend(FIELD_WORK)?;
            match piece {
                Piece::Field(name) => self.field(name),
                Piece::Between(text) => self.out.push_str(text),
                Piece::Quoted(text) => {
                    for c in characters(text, true) {
                        work.spend(c.len_utf8())?;
                        self.out.push(c);
                    }
                }
            }
        }
        Ok(self.out)
    }

    fn field(&mut self, name: &str) {
        let bare = self.shape.bare;
        match name {
            "9" | "0" | "." | "D" | "d" => self.place(name == "0"),
            "," | "G" | "g" if self.inside => self.out.push(','),
            "," | "G" | "g" | "L" | "l" if !bare => self.out.push(' '),
            "L" | "l" => self.out.push(' '),
            "RN" | "rn" => {
                let text = String::from_utf8_lossy(&self.number).into_owned();
                let text = if name == "rn" {
                    text.to_ascii_lowercase()
                } else {
                    text
                };
                match bare {
                    true => self.out.push_str(&text),
                    false => self.out.push_str(&format!("{text:>ROMAN_WIDTH$}")),
                }
            }
            "TH" | "th" => {
                let hidden = self.number.first() == Some(&b'#') || self.is_negative;
                if !hidden && !self.shape.roman && !self.shape.has_point {
                    let digits = String::from_utf8_lossy(&self.number).into_owned();
                    self.out.push_str(ordinal(&digits, name == "TH"));
                }
            }
            "MI" | "mi" if self.is_negative => self.out.push('-'),
            "PL" | "pl" if !self.is_negative => self.out.push('+'),
            "MI" | "mi" | "PL" | "pl" if !bare => self.out.push(' '),
            "SG" | "sg" => self.out.push(if self.is_negative { '-' } else { '+' }),
            _ => {}
        }
    }

    /// A blank instead of the only zero before the point: ` .5`.
    fn hides_zero(&self) -> bool {
        !self.shape.has_zero
            && self.at == 0
            && self.number.first() == Some(&b'0')
            && self.shape.behind != 0
    }

    fn keeps_point_only(&self) -> bool {
        self.last.is_some_and(|last| self.number[last] == b'.')
    }

    /// A digit, or the point.
    fn place(&mut self, is_zero: bool) {
        if self.shape.roman {
            return;
        }
        self.inside = false;
        let starts_zero = self.shape.has_zero && self.shape.zero_start == self.done + 1;
        if !self.sign_is_written
            && (self.done >= self.blanks || starts_zero)
            && (!self.hides_zero() || self.keeps_point_only())
        {
            self.write_sign();
        }
        let behind_zero = self.shape.has_zero && self.shape.zero_start <= self.done + 1;
        if self.done < self.blanks && !behind_zero {
            if !self.shape.bare {
                self.out.push(' ');
            }
        } else if self.done < self.blanks {
            self.out.push('0');
            self.inside = true;
        } else {
            self.write_digit(is_zero);
        }
        self.write_end();
        self.done += 1;
    }

    fn write_sign(&mut self) {
        if self.sign != Sign::None {
            if self.sign == Sign::Before {
                self.out.push(if self.is_negative { '-' } else { '+' });
                self.sign_is_written = true;
            }
            return;
        }
        match (self.brackets, self.is_negative) {
            (true, true) => self.out.push('<'),
            (true, false) => self.out.push(' '),
            (false, true) => self.out.push('-'),
            (false, false) if !self.shape.bare => self.out.push(' '),
            (false, false) => {}
        }
        self.sign_is_written = true;
    }

    fn write_digit(&mut self, is_zero: bool) {
        let Some(&digit) = self.number.get(self.at) else {
            return;
        };
        let only_point = self.keeps_point_only();
        if digit == b'.' {
            if !only_point || self.shape.bare {
                self.out.push('.');
            }
        } else if self.last.is_some_and(|last| self.at > last) && !is_zero {
            // FM leaves it out.
        } else if self.hides_zero() {
            match (self.shape.bare, only_point) {
                (false, _) => self.out.push(' '),
                (true, true) => self.out.push('0'),
                (true, false) => {}
            }
        } else {
            self.out.push(char::from(digit));
            self.inside = true;
        }
        self.at += 1;
    }

    /// What stands behind the last place.
    fn write_end(&mut self) {
        let mut end = self
            .places
            .wrapping_add(usize::from(self.blanks > 0))
            .wrapping_add(usize::from(self.shape.has_point));
        if self.last == Some(self.at) {
            end = self.done;
        }
        if self.done + 1 != end {
            return;
        }
        if self.sign_is_written && self.brackets {
            self.out.push(if self.is_negative { '>' } else { ' ' });
        } else if self.sign == Sign::Behind {
            self.out.push(if self.is_negative { '-' } else { '+' });
        }
    }
}
