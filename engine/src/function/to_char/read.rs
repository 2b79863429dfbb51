//! `to_date` and `to_timestamp`: moments read by a template.
//!
//! PostgreSQL reads loosely. A blank or a separator of the template stands for at most one of either, other
//! characters for any one character; blanks before and after fields are skipped, and what is left of the text
//! at the end is ignored. `FX` at the front ends that. A number takes as many digits as its field is wide, or
//! all that come if what follows in the template cannot be a digit.

use super::moment::{MONTHS, WEEKDAYS, field_names};
use super::said::{Convention, Said};
use super::{PIECE_WORK, Piece, characters, piece};
use crate::error::{Error, Result, state};
use crate::function::Work;

const MONTHS_IN_YEAR: i32 = 12;
const ROMAN_FROM_LAST: [&str; 12] = [
    "xii", "xi", "x", "ix", "viii", "vii", "vi", "v", "iv", "iii", "ii", "i",
];
const HALVES: [&str; 2] = ["am", "pm"];
const HALVES_DOTTED: [&str; 2] = ["a.m.", "p.m."];
const ERAS: [&str; 2] = ["ad", "bc"];
const ERAS_DOTTED: [&str; 2] = ["a.d.", "b.c."];
const FIXED_HINT: &str = "If your source string is not fixed-width, try using the \"FM\" modifier.";

/// A part of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Node {
    Field {
        name: &'static str,
        bare: bool,
        ordinal: bool,
    },
    /// A blank or a separator.
    Gap,
    Character(char),
}

fn nodes(template: &str, work: &Work<'_>) -> Result<Vec<Node>> {
    let names = field_names();
    let mut nodes = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        work.spend(PIECE_WORK)?;
        let (mut field, mut bare) = (rest, false);
        while let Some(after) = ["FM", "fm", "TM", "tm"]
            .iter()
            .find_map(|prefix| field.strip_prefix(prefix))
        {
            work.spend(2)?;
            bare |= !field.starts_with(['T', 't']);
            field = after;
        }
        let (found, after) = piece(field, &names);
        rest = after;
        match found {
            Piece::Field(name) => {
                let ending = ["TH", "th"].iter().find_map(|end| rest.strip_prefix(end));
                rest = ending.unwrap_or(rest);
                nodes.push(Node::Field {
                    name,
                    bare,
                    ordinal: ending.is_some(),
                });
            }
            Piece::Quoted(text) => {
                for c in characters(text, true) {
                    work.spend(PIECE_WORK)?;
                    nodes.push(Node::Character(c));
                }
            }
            Piece::Between(text) => nodes.extend(text.chars().map(|c| {
                match is_separator(c) || c.is_ascii_whitespace() {
                    true => Node::Gap,
                    false => Node::Character(c),
                }
            })),
        }
    }
    Ok(nodes)
}

fn is_separator(c: char) -> bool {
    c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

/// Whether what follows a number in the template cannot be a digit.
fn ends_number(node: &Node, next: Option<&Node>) -> bool {
    if matches!(
        node,
        Node::Field { ordinal: true, .. } | Node::Field { bare: true, .. }
    ) {
        return true;
    }
    match next {
        Some(Node::Field { name, .. }) => !is_number(name),
        Some(Node::Character(c)) => !c.is_ascii_digit(),
        Some(Node::Gap) | None => true,
    }
}

fn is_number(name: &str) -> bool {
    !matches!(
        name.to_ascii_uppercase().as_str(),
        "A.D."
            | "AD"
            | "A.M."
            | "AM"
            | "B.C."
            | "BC"
            | "P.M."
            | "PM"
            | "DAY"
            | "DY"
            | "FX"
            | "MONTH"
            | "MON"
            | "RM"
            | "TZ"
            | "TZH"
            | "OF"
    )
}

struct Reader<'t> {
    rest: &'t str,
    said: Said,
    fixed: bool,
    whole: &'t str,
    /// Characters that were skipped beyond those that the template speaks of.
    extra: i32,
}

/// The moment that a text is by a template, in microseconds, and how far from UTC its zone is in seconds if
/// it has one.
pub(super) fn read(text: &str, template: &str, work: &Work<'_>) -> Result<(i64, Option<i64>)> {
    let mut reader = Reader {
        rest: text,
        said: Said::default(),
        fixed: false,
        whole: text,
        extra: 0,
    };
    reader.read(&nodes(template, work)?, work)?;
    reader.said.moment(text)
}

impl Reader<'_> {
    fn read(&mut self, nodes: &[Node], work: &Work<'_>) -> Result<()> {
        for (at, node) in nodes.iter().enumerate() {
            work.spend(PIECE_WORK)?;
            if self.rest.is_empty() {
                break;
            }
            let is_field = matches!(node, Node::Field { .. });
            if !self.fixed
                && !matches!(
                    node,
                    Node::Field {
                        name: "FX" | "fx",
                        ..
                    }
                )
                && (is_field || at == 0)
            {
                self.extra += self.skip_blanks();
            }
            match node {
                Node::Gap if self.fixed => self.skip(1),
                Node::Gap => {
                    self.extra -= 1;
                    if self
                        .rest
                        .starts_with(|c: char| c.is_ascii_whitespace() || is_separator(c))
                    {
                        self.skip(1);
                        self.extra += 1;
                    }
                }
                Node::Character(_) if !self.fixed && self.extra > 0 => self.extra -= 1,
                Node::Character(_) => self.skip(1),
                Node::Field { name, ordinal, .. } => {
                    self.field(name, node, nodes.get(at + 1))?;
                    if *ordinal {
                        self.skip(2);
                    }
                    if !self.fixed {
                        self.extra = self.skip_blanks();
                    }
                }
            }
        }
        Ok(())
    }

    fn skip(&mut self, characters: usize) {
        let end = self
            .rest
            .char_indices()
            .nth(characters)
            .map_or(self.rest.len(), |(at, _)| at);
        self.rest = &self.rest[end..];
    }

    fn skip_blanks(&mut self) -> i32 {
        let before = self.rest.len();
        self.rest = self
            .rest
            .trim_start_matches(|c: char| c.is_ascii_whitespace());
        (before - self.rest.len()) as i32
    }

    fn field(&mut self, name: &'static str, node: &Node, next: Option<&Node>) -> Result<()> {
        let upper = name.to_ascii_uppercase();
        self.convention(&upper)?;
        let open = ends_number(node, next);
        if let Some((width, place)) = plain(&upper) {
            let (value, _) = self.number(name, width, open)?;
            return set(place(&mut self.said), value, name);
        }
        match upper.as_str() {
            "FX" => self.fixed = true,
            "MS" => {
                let (value, digits) = self.number(name, 3, open)?;
                set(&mut self.said.millis, scaled(value, digits, 3), name)?;
            }
            "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let width = if upper == "US" {
                    6
                } else {
                    usize::from(upper.as_bytes()[2] - b'0')
                };
                let (value, digits) = self.number(name, width, open)?;
                set(&mut self.said.micros, scaled(value, digits, 6), name)?;
            }
            "AM" | "PM" => self.said.pm = self.word(name, &HALVES)? == 1,
            "A.M." | "P.M." => self.said.pm = self.word(name, &HALVES_DOTTED)? == 1,
            "AD" | "BC" => self.said.bc = self.word(name, &ERAS)? == 1,
            "A.D." | "B.C." => self.said.bc = self.word(name, &ERAS_DOTTED)? == 1,
            "TZ" | "OF" => {
                let message = format!("formatting field \"{name}\" is only supported in to_char");
                return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message));
            }
            "TZH" => {
                let given = self.rest.starts_with(['+', '-', ' ']);
                // A separator of the template may have taken the sign.
                let before = &self.whole[..self.whole.len() - self.rest.len()];
                let is_west = match given {
                    true => self.rest.starts_with('-'),
                    false => self.extra > 0 && before.ends_with('-'),
                };
                if given {
                    self.skip(1);
                }
                let sign = if is_west { -1 } else { 1 };
                let (hours, _) = self.number(name, 2, open)?;
                self.said.zone = Some((sign, hours, 0));
            }
            "TZM" => {
                let (minutes, _) = self.number(name, 2, open)?;
                let (sign, hours, _) = self.said.zone.unwrap_or((1, 0, 0));
                self.said.zone = Some((sign, hours, minutes));
            }
            _ => self.date_field(name, &upper, open)?,
        }
        let is_twelve = ["HH", "HH12", "AM", "PM", "A.M.", "P.M."].contains(&upper.as_str());
        self.said.twelve_hours |= is_twelve;
        Ok(())
    }

    fn date_field(&mut self, name: &'static str, upper: &str, open: bool) -> Result<()> {
        let shorts =
            |words: &[&'static str]| words.iter().map(|word| &word[..3]).collect::<Vec<_>>();
        match upper {
            "HH" | "HH12" => {
                let (hour, _) = self.number(name, 2, open)?;
                set(&mut self.said.hour, hour, name)
            }
            "MONTH" => {
                let month = self.word(name, &MONTHS)?;
                set(&mut self.said.month, month as i32 + 1, name)
            }
            "MON" => {
                let month = self.word(name, &shorts(&MONTHS))?;
                set(&mut self.said.month, month as i32 + 1, name)
            }
            "RM" => {
                let month = self.word(name, &ROMAN_FROM_LAST)?;
                set(&mut self.said.month, MONTHS_IN_YEAR - month as i32, name)
            }
            "DAY" => {
                let weekday = self.word(name, &WEEKDAYS)?;
                set(&mut self.said.weekday, weekday as i32 + 1, name)
            }
            "DY" => {
                let weekday = self.word(name, &shorts(&WEEKDAYS))?;
                set(&mut self.said.weekday, weekday as i32 + 1, name)
            }
            // Sunday is 1 from here on.
            "ID" => {
                let (weekday, _) = self.number(name, 1, open)?;
                set(
                    &mut self.said.weekday,
                    if weekday >= 7 { 1 } else { weekday + 1 },
                    name,
                )
            }
            "Q" => self.number(name, 1, open).map(|_| ()),
            "Y,YYY" => {
                let (thousands, _) = self.number(name, 1, true)?;
                let Some(rest) = self.rest.strip_prefix(',') else {
                    let message = "invalid input string for \"Y,YYY\"";
                    return Err(Error::new(state::INVALID_DATETIME_FORMAT, message));
                };
                self.rest = rest;
                let width = self
                    .rest
                    .bytes()
                    .take(3)
                    .take_while(u8::is_ascii_digit)
                    .count();
                let (years, _) = self.number(name, width.max(1), false)?;
                let year = thousands
                    .checked_mul(1000)
                    .and_then(|whole| whole.checked_add(years));
                self.year(year.ok_or_else(|| out_of_range(name))?, 4, name)
            }
            "YYYY" | "IYYY" => {
                let (year, _) = self.number(name, 4, open)?;
                self.year(year, 4, name)
            }
            "YYY" | "IYY" | "YY" | "IY" | "Y" | "I" => {
                let (year, digits) = self.number(name, upper.len(), open)?;
                let year = if digits < 4 { near_2020(year) } else { year };
                self.year(year, upper.len() as u8, name)
            }
            other => unreachable!("a field {other}"),
        }
    }

    fn year(&mut self, year: i32, digits: u8, name: &str) -> Result<()> {
        set(&mut self.said.year, year, name)?;
        self.said.year_digits = digits;
        Ok(())
    }

    fn convention(&mut self, upper: &str) -> Result<()> {
        let convention = match upper {
            "IDDD" | "ID" | "IW" | "IYYY" | "IYY" | "IY" | "I" => Convention::IsoWeek,
            "DDD" | "DD" | "D" | "MM" | "MONTH" | "MON" | "RM" | "WW" | "W" | "Y,YYY" | "YYYY"
            | "YYY" | "YY" | "Y" => Convention::Gregorian,
            _ => return Ok(()),
        };
        match *self.said.convention.get_or_insert(convention) == convention {
            true => Ok(()),
            false => Err(sql_error!(
                INVALID_DATETIME_FORMAT,
                "invalid combination of date conventions"
            )
            .with_hint(
                "Do not mix Gregorian and ISO week date conventions in a formatting template.",
            )),
        }
    }

    /// A number and how many characters it took.
    fn number(&mut self, name: &str, width: usize, open: bool) -> Result<(i32, usize)> {
        self.skip_blanks();
        let start = self.rest;
        let scope = match open {
            true => start,
            false => {
                let found = start.chars().take(width).count();
                if found < width {
                    let message =
                        format!("source string too short for \"{name}\" formatting field");
                    let detail =
                        format!("Field requires {width} characters, but only {found} remain.");
                    let error = Error::new(state::INVALID_DATETIME_FORMAT, message);
                    return Err(error.with_detail(detail).with_hint(FIXED_HINT));
                }
                let end = start
                    .char_indices()
                    .nth(width)
                    .map_or(start.len(), |(at, _)| at);
                &start[..end]
            }
        };
        let sign = usize::from(scope.starts_with(['+', '-']));
        let digits = scope[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let used = if digits == 0 { 0 } else { sign + digits };
        let shown = || start.chars().take(width).collect::<String>();
        if used == 0 {
            let message = format!("invalid value \"{}\" for \"{name}\"", shown());
            let error = Error::new(state::INVALID_DATETIME_FORMAT, message);
            return Err(error.with_detail("Value must be an integer."));
        }
        if !open && used < width {
            let message = format!("invalid value \"{}\" for \"{name}\"", shown());
            let detail =
                format!("Field requires {width} characters, but only {used} could be parsed.");
            let error = Error::new(state::INVALID_DATETIME_FORMAT, message);
            return Err(error.with_detail(detail).with_hint(FIXED_HINT));
        }
        let value = scope[..used].parse().map_err(|_| out_of_range(name))?;
        self.rest = &start[used..];
        Ok((value, used))
    }

    /// Which of the words the text goes on with.
    fn word(&mut self, name: &str, words: &[&str]) -> Result<usize> {
        let starts = |word: &str| {
            let head = self.rest.get(..word.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        if let Some(found) = words.iter().position(|word| starts(word)) {
            self.rest = &self.rest[words[found].len()..];
            return Ok(found);
        }
        let shown = self
            .rest
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default();
        let message = format!("invalid value \"{shown}\" for \"{name}\"");
        let detail = "The given value did not match any of the allowed values for this field.";
        Err(Error::new(state::INVALID_DATETIME_FORMAT, message).with_detail(detail))
    }
}

/// Where the number of a field goes.
type Place = fn(&mut Said) -> &mut i32;

/// How wide a field of one number is, and where it goes.
fn plain(upper: &str) -> Option<(usize, Place)> {
    Some(match upper {
        "HH24" => (2, |said| &mut said.hour),
        "MI" => (2, |said| &mut said.minute),
        "SS" => (2, |said| &mut said.second),
        "SSSS" => (4, |said| &mut said.second_of_day),
        "SSSSS" => (5, |said| &mut said.second_of_day),
        "MM" => (2, |said| &mut said.month),
        "DDD" | "IDDD" => (3, |said| &mut said.day_of_year),
        "DD" => (2, |said| &mut said.day),
        "D" => (1, |said| &mut said.weekday),
        "WW" | "IW" => (2, |said| &mut said.week),
        "W" => (1, |said| &mut said.week_of_month),
        "CC" => (2, |said| &mut said.century),
        "J" => (1, |said| &mut said.julian),
        _ => return None,
    })
}

fn out_of_range(name: &str) -> Error {
    let message = format!("value for \"{name}\" in source string is out of range");
    let detail = format!("Value must be in the range {} to {}.", i32::MIN, i32::MAX);
    Error::new(state::DATETIME_FIELD_OVERFLOW, message).with_detail(detail)
}

/// Digits behind the point as a number of so many digits.
fn scaled(value: i32, digits: usize, wanted: usize) -> i32 {
    let missing = wanted.saturating_sub(digits) as u32;
    value.saturating_mul(10_i32.pow(missing))
}

/// A year of fewer than four digits is the nearest to 2020.
fn near_2020(year: i32) -> i32 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

fn set(field: &mut i32, value: i32, name: &str) -> Result<()> {
    if *field != 0 && *field != value {
        let message = format!("conflicting values for \"{name}\" field in formatting string");
        let detail = "This value contradicts a previous setting for the same field type.";
        return Err(Error::new(state::INVALID_DATETIME_FORMAT, message).with_detail(detail));
    }
    *field = value;
    Ok(())
}
