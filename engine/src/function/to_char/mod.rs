//! `to_char`: moments, spans and numbers written by a template; `to_date` and `to_timestamp`: moments read by one,
//! `to_number`: numbers.
//!
//! `moment` and `number` each cut a template into fields and what stands between them, as PostgreSQL
//! does (the longest name wins, text in quotation marks is itself), and write field by field; `read` reads so
//! what fields say, and `said` makes a moment of it.

mod moment;
mod number;
mod read;
mod said;

pub(super) use moment::zoned;

use super::Volatility::Stable;
use super::kernel::function;
use super::native::{SqlType, Text};
use super::{EvalContext, Overload, Work, calendar};
use crate::error::Result;
use remora_storage::{Value, ValueRef};

/// Without a template there is nothing to be written.
fn unless_empty(template: &str, write: impl FnOnce() -> Result<Option<String>>) -> Result<Value> {
    if template.is_empty() {
        return Ok(Value::Null);
    }
    Ok(write()?.map_or(Value::Null, Value::Text))
}

fn of_moment(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let template = Text::of(arguments[1]);
    let work = &Work::new(context);
    unless_empty(template, || match arguments[0] {
        ValueRef::Timestamp(moment) => moment::timestamp(moment, template, work),
        ValueRef::TimestampTz(moment) => zoned(moment, template, &context.style().zone, work),
        ValueRef::Interval(span) => moment::interval(span, template, work).map(Some),
        other => unreachable!("to_char of {other:?}"),
    })
}

fn of_number(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let template = Text::of(arguments[1]);
    let work = &Work::new(context);
    unless_empty(template, || {
        let written = match arguments[0] {
            ValueRef::Numeric(value) => number::numeric(value, template, work),
            ValueRef::Integer(value) => number::numeric(i64::from(value).into(), template, work),
            ValueRef::BigInt(value) => number::numeric(value.into(), template, work),
            ValueRef::Real(value) => number::float(value.into(), 6, template, work),
            ValueRef::Double(value) => number::float(value, 15, template, work),
            other => unreachable!("to_char of {other:?}"),
        };
        written.map(Some)
    })
}

/// Without a template, or a text, there is nothing to be read.
fn to_number(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    match Text::of(arguments[1]) {
        "" => Ok(Value::Null),
        template => {
            let work = Work::new(context);
            number::read(Text::of(arguments[0]), template, &work).map(Value::Numeric)
        }
    }
}

/// The ending of an ordinal: `1st`.
fn ordinal(digits: &str, upper: bool) -> &'static str {
    let bytes = digits.as_bytes();
    let teens = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    match (bytes.last(), upper) {
        (Some(b'1'), true) if !teens => "ST",
        (Some(b'2'), true) if !teens => "ND",
        (Some(b'3'), true) if !teens => "RD",
        (_, true) => "TH",
        (Some(b'1'), false) if !teens => "st",
        (Some(b'2'), false) if !teens => "nd",
        (Some(b'3'), false) if !teens => "rd",
        (_, false) => "th",
    }
}

/// A piece of a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece<'t> {
    /// The field of this name, as listed.
    Field(&'static str),
    /// What is between fields.
    Between(&'t str),
    /// The text between quotation marks; a backslash stands before a character that is itself.
    Quoted(&'t str),
}

/// The characters of a piece that is no field.
fn characters(text: &str, is_quoted: bool) -> impl Iterator<Item = char> {
    let mut characters = text.chars();
    std::iter::from_fn(move || match characters.next() {
        Some('\\') if is_quoted => characters.next(),
        next => next,
    })
}

/// Where a quoted text ends, and what follows its mark.
fn quoted(text: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text.as_bytes()[at..]) {
        at += found;
        if text.as_bytes()[at] == b'"' {
            return (&text[..at], &text[at + 1..]);
        }
        let escaped = text[at + 1..].chars().next();
        at += 1 + escaped.map_or(0, char::len_utf8);
    }
    (text, "")
}

/// The work of a piece beside that over its bytes.
const PIECE_WORK: usize = 256;

/// The first piece of a template and what follows it. `names` are those of fields.
fn piece<'t>(template: &'t str, names: &[&'static str]) -> (Piece<'t>, &'t str) {
    let longest = names
        .iter()
        .filter(|name| template.starts_with(**name))
        .max_by_key(|name| name.len());
    if let Some(name) = longest {
        return (Piece::Field(name), &template[name.len()..]);
    }
    if let Some(after) = template.strip_prefix('"') {
        let (text, after) = quoted(after);
        return (Piece::Quoted(text), after);
    }
    if let Some(after) = template.strip_prefix("\\\"") {
        return (Piece::Between("\""), after);
    }
    let width = template.chars().next().map_or(0, char::len_utf8);
    let (first, after) = template.split_at(width);
    (Piece::Between(first), after)
}

fn to_timestamp(context: &EvalContext, text: &str, template: &str) -> Result<i64> {
    let (moment, offset) = read::read(text, template, &Work::new(context))?;
    let Some(offset) = offset else {
        return context.style().zone.meant(moment);
    };
    moment
        .checked_sub(offset * calendar::SECOND)
        .ok_or_else(calendar::timestamp_out_of_range)
}

fn to_date(context: &EvalContext, text: &str, template: &str) -> Result<i32> {
    let (moment, _) = read::read(text, template, &Work::new(context))?;
    calendar::date(calendar::split(moment).0).ok_or_else(calendar::date_out_of_range)
}

static FROM_CHAR: &[Overload] = &[
    function!(strict row "to_number"(Text, Text) -> Numeric, "A number, read by a template.",
        to_number),
    function!(patient "to_timestamp"(Text, Text) -> TimestampTz, "A moment, read by a template.",
        to_timestamp)
    .volatility(Stable),
    function!(patient "to_date"(Text, Text) -> Date, "A date, read by a template.", to_date),
];

static TO_CHAR: &[Overload] = &[
    function!(strict row "to_char"(Timestamp, Text) -> Text, "By a template.", of_moment),
    function!(strict row "to_char"(TimestampTz, Text) -> Text, "By a template.", of_moment)
        .volatility(Stable),
    function!(strict row "to_char"(Interval, Text) -> Text, "By a template.", of_moment),
    function!(strict row "to_char"(Numeric, Text) -> Text, "By a template.", of_number),
    function!(strict row "to_char"(Integer, Text) -> Text, "By a template.", of_number),
    function!(strict row "to_char"(BigInt, Text) -> Text, "By a template.", of_number),
    function!(strict row "to_char"(Real, Text) -> Text, "By a template.", of_number),
    function!(strict row "to_char"(Double, Text) -> Text, "By a template.", of_number),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[TO_CHAR, FROM_CHAR];
