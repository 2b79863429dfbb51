//! INTERVAL from and to text: PostgreSQL's own style, SQL's and ISO 8601's are read, the `postgres`
//! style is written.
//!
//! A fraction of a unit flows down: of a year into months, of a month into days (30 to a month), of
//! a week or day into days and time.

use super::{invalid, show};
use crate::error::{Error, Result, state};
use crate::function::calendar::{self, DAY, HOUR, MINUTE};
use remora_storage::Interval;
use std::fmt::Write;

/// What has been read so far. Kept wide: every sum is checked once, at the end.
#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    micros: i128,
}

/// A decimal number as millionths of a unit, which is what a microsecond is of a second.
const ONE: i128 = 1_000_000;

impl Sum {
    /// Adds `amount` millionths of a unit that [`unit`] knows; false where there is no such unit.
    fn add(&mut self, amount: i128, unit: &str) -> bool {
        match unit {
            "millennium" => self.months_of(amount, 12_000),
            "century" => self.months_of(amount, 1200),
            "decade" => self.months_of(amount, 120),
            "year" => self.months_of(amount, 12),
            "month" => {
                self.months += amount / ONE;
                self.days_of(amount % ONE, 30);
            }
            "week" => self.days_of(amount, 7),
            "day" => self.days_of(amount, 1),
            "hour" => self.micros += amount * 3600,
            "minute" => self.micros += amount * 60,
            "second" => self.micros += amount,
            "millisecond" => self.micros += round(amount, 1000),
            "microsecond" => self.micros += round(amount, ONE),
            _ => return false,
        }
        true
    }

    fn months_of(&mut self, amount: i128, months: i128) {
        self.months += amount / ONE * months + round(amount % ONE * months, ONE);
    }

    fn days_of(&mut self, amount: i128, days: i128) {
        let total = amount * days;
        self.days += total / ONE;
        self.micros += total % ONE * i128::from(DAY) / ONE;
    }

    /// A field that PostgreSQL cannot hold either is the text's fault (22015); a time beyond our own
    /// limit is 22008, as it would be of a calculation.
    fn finish(self, text: &str) -> Result<Interval> {
        let field = |n: i128| i32::try_from(n).map_err(|_| too_large(text));
        let micros = i64::try_from(self.micros).map_err(|_| too_large(text))?;
        let (months, days) = (field(self.months)?, field(self.days)?);
        calendar::interval(months.into(), days.into(), micros)
    }
}

/// The unit that a word means, by its one name.
fn unit(word: &str) -> Option<&'static str> {
    Some(match word {
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        "century" | "centuries" | "cent" | "c" => "century",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "year" | "years" | "yr" | "yrs" | "y" => "year",
        "month" | "months" | "mon" | "mons" => "month",
        "week" | "weeks" | "w" => "week",
        "day" | "days" | "d" => "day",
        "hour" | "hours" | "hr" | "hrs" | "h" => "hour",
        "minute" | "minutes" | "min" | "mins" | "m" => "minute",
        "second" | "seconds" | "sec" | "secs" | "s" => "second",
        "millisecond" | "milliseconds" | "msec" | "msecs" | "ms" | "millisecon" => "millisecond",
        "microsecond" | "microseconds" | "usec" | "usecs" | "us" | "microsecon" => "microsecond",
        _ => return None,
    })
}

fn round(amount: i128, divisor: i128) -> i128 {
    crate::function::decimal::divide_rounded_128(amount, divisor)
}

fn too_large(text: &str) -> Error {
    Error::new(
        state::INTERVAL_FIELD_OVERFLOW,
        format!("interval field value out of range: \"{text}\""),
    )
}

/// Reads an INTERVAL.
pub(super) fn parse(text: &str) -> Result<Interval> {
    let syntax = || invalid(state::INVALID_DATETIME_FORMAT, "interval", text);
    if !text.is_ascii() {
        return Err(syntax());
    }
    let lower = text.to_ascii_lowercase();
    let body = lower.trim();
    let sum = match body.strip_prefix('p') {
        Some(iso) => parse_iso(iso),
        None => parse_units(body),
    };
    sum.ok_or_else(syntax)?.finish(text)
}

/// A token of the verbose form.
enum Token<'a> {
    /// Millionths.
    Number(i128),
    /// Microseconds.
    Time(i128),
    /// SQL's `years-months`, in months.
    YearMonth(i128),
    Word(&'a str),
}

fn parse_units(body: &str) -> Option<Sum> {
    let mut tokens = Vec::new();
    let mut rest = body.strip_prefix('@').unwrap_or(body);
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            break;
        }
        let (token, after) = token(rest)?;
        tokens.push(token);
        rest = after;
    }
    if tokens.is_empty() {
        return None;
    }
    let mut ago = false;
    if let [_, .., Token::Word("ago")] = tokens[..] {
        tokens.pop();
        ago = true;
    }
    let mut sum = sum_tokens(&tokens)?;
    if ago {
        (sum.months, sum.days, sum.micros) = (-sum.months, -sum.days, -sum.micros);
    }
    Some(sum)
}

fn sum_tokens(tokens: &[Token<'_>]) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut units: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match (&tokens[at], tokens.get(at + 1)) {
            (Token::Number(amount), Some(Token::Word(word))) => {
                // Each field once, however it is spelled.
                let unit = unit(word)?;
                if units.contains(&unit) || !sum.add(*amount, unit) {
                    return None;
                }
                units.push(unit);
                at += 1;
            }
            // SQL's `3 04:05:06`: days before a time.
            (Token::Number(amount), Some(Token::Time(_))) if amount % ONE == 0 => {
                sum.days += amount / ONE;
            }
            (Token::Number(amount), None) if !units.contains(&"second") => sum.micros += amount,
            (Token::Time(micros), _) => {
                if units.contains(&":") {
                    return None;
                }
                units.push(":");
                sum.micros += micros;
            }
            (Token::YearMonth(months), _) if !units.contains(&"year") => {
                units.push("year");
                sum.months += months;
            }
            _ => return None,
        }
        at += 1;
    }
    Some(sum)
}

/// The first token and what follows it.
fn token(text: &str) -> Option<(Token<'_>, &str)> {
    let first = text.as_bytes()[0];
    if first.is_ascii_alphabetic() {
        let end = text
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        return Some((Token::Word(&text[..end]), &text[end..]));
    }
    let signed = matches!(first, b'+' | b'-');
    let sign = if first == b'-' { -1 } else { 1 };
    let unsigned = if signed { text[1..].trim_start() } else { text };
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')
        .unwrap_or(unsigned.len());
    let (body, rest) = unsigned.split_at(end);
    if body.contains(':') {
        return Some((Token::Time(sign * clock(body)?), rest));
    }
    if let Some(after) = rest.strip_prefix('-')
        && after.starts_with(|c: char| c.is_ascii_digit())
    {
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        if after[end..].starts_with('-') {
            return None; // A date.
        }
        let months: i128 = after[..end].parse().ok().filter(|months| *months < 12)?;
        let years: i128 = body.parse().ok()?;
        return Some((
            Token::YearMonth(sign * (years * 12 + months)),
            &after[end..],
        ));
    }
    Some((Token::Number(sign * millionths(body)?), rest))
}

/// `hh:mm`, `hh:mm:ss` or `mm:ss.fff`, in microseconds.
fn clock(text: &str) -> Option<i128> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match parts[..] {
        [minute, second] if second.contains('.') => ("0", minute, second),
        [hour, minute] => (hour, minute, "0"),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let hours = hour.parse::<i64>().ok()?;
    let minutes = minute.parse::<i64>().ok().filter(|m| *m < 60)?;
    let seconds = millionths(second).filter(|s| *s < 61 * ONE)?;
    Some(i128::from(hours) * i128::from(HOUR) + i128::from(minutes * MINUTE) + seconds)
}

/// A decimal number in millionths; further digits are rounded.
fn millionths(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    // So many digits are far beyond every range, PostgreSQL's too, and products of theirs within i128.
    let whole: i128 = match whole.trim_start_matches('0') {
        "" => 0,
        long if long.len() > 21 => 10_i128.pow(22),
        short => short.parse().ok()?,
    };
    let mut micros = 0;
    for place in 0..6 {
        let digit = fraction
            .as_bytes()
            .get(place)
            .map_or(0, |b| i128::from(b - b'0'));
        micros = micros * 10 + digit;
    }
    micros += i128::from(fraction.as_bytes().get(6).is_some_and(|b| *b >= b'5'));
    Some(whole * ONE + micros)
}

/// ISO 8601 with designators, behind its `P`: `1y2m3dt4h5m6.5s`.
fn parse_iso(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut rest = text;
    let mut in_time = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('t') {
            if in_time {
                return None;
            }
            (in_time, rest) = (true, after);
            continue;
        }
        let negative = rest.starts_with('-');
        let unsigned = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount = millionths(&unsigned[..end])? * if negative { -1 } else { 1 };
        let unit = match (&unsigned[end..=end], in_time) {
            ("y", false) => "year",
            ("m", false) => "month",
            ("w", false) => "week",
            ("d", false) => "day",
            ("h", true) => "hour",
            ("m", true) => "minute",
            ("s", true) => "second",
            _ => return None,
        };
        sum.add(amount, unit);
        rest = &unsigned[end + 1..];
    }
    (!text.is_empty()).then_some(sum)
}

/// Writes `1 year 2 mons 3 days 04:05:06.5`. A part that is positive after a negative one shows its
/// sign.
pub(super) fn write(out: &mut String, value: Interval) {
    let start = out.len();
    let mut negative_before = false;
    let mut part = |out: &mut String, amount: i32, unit: &str| {
        if amount != 0 {
            let space = if out.len() > start { " " } else { "" };
            let sign = if negative_before && amount > 0 {
                "+"
            } else {
                ""
            };
            let plural = if amount == 1 { "" } else { "s" };
            let _ = write!(out, "{space}{sign}{amount} {unit}{plural}");
            negative_before = amount < 0;
        }
    };
    part(out, value.months / 12, "year");
    part(out, value.months % 12, "mon");
    part(out, value.days, "day");
    if value.micros != 0 || out.len() == start {
        let micros = value.micros.abs();
        if out.len() > start {
            out.push(' ');
        }
        if value.micros < 0 {
            out.push('-');
        } else if negative_before {
            out.push('+');
        }
        let _ = write!(out, "{:02}:{:02}:", micros / HOUR, micros % HOUR / MINUTE);
        show::seconds(out, micros % MINUTE);
    }
}
