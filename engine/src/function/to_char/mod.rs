//! `to_char`: moments, spans and numbers written by a template.
//!
//! `moment` and `number` each cut a template into fields and what stands between them, as PostgreSQL
//! does (the longest name wins, text in quotation marks is itself), and write field by field.

mod moment;
mod number;

use super::kernel::function;
use super::native::{SqlType, Text};
use super::{EvalContext, Overload};
use crate::error::Result;
use remora_storage::{Value, ValueRef};

/// Without a template there is nothing to be written.
fn unless_empty(template: &str, write: impl FnOnce() -> Result<Option<String>>) -> Result<Value> {
    if template.is_empty() {
        return Ok(Value::Null);
    }
    Ok(write()?.map_or(Value::Null, Value::Text))
}

fn of_moment(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let template = Text::of(arguments[1]);
    unless_empty(template, || match arguments[0] {
        ValueRef::Timestamp(moment) => moment::timestamp(moment, template, false),
        ValueRef::TimestampTz(moment) => moment::timestamp(moment, template, true),
        ValueRef::Interval(span) => moment::interval(span, template).map(Some),
        other => unreachable!("to_char of {other:?}"),
    })
}

fn of_number(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let template = Text::of(arguments[1]);
    unless_empty(template, || {
        let written = match arguments[0] {
            ValueRef::Numeric(value) => number::numeric(value, template),
            ValueRef::Integer(value) => number::numeric(i64::from(value).into(), template),
            ValueRef::BigInt(value) => number::numeric(value.into(), template),
            ValueRef::Real(value) => number::float(value.into(), 6, template),
            ValueRef::Double(value) => number::float(value, 15, template),
            other => unreachable!("to_char of {other:?}"),
        };
        written.map(Some)
    })
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
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// The field of this name, as listed.
    Field(&'static str),
    /// What is between fields.
    Between(String),
}

/// The first piece of a template and what follows it. `names` are those of fields.
fn piece<'a>(template: &'a str, names: &[&'static str]) -> (Piece, &'a str) {
    let longest = names
        .iter()
        .filter(|name| template.starts_with(**name))
        .max_by_key(|name| name.len());
    if let Some(name) = longest {
        return (Piece::Field(name), &template[name.len()..]);
    }
    if let Some(quoted) = template.strip_prefix('"') {
        let mut text = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => return (Piece::Between(text), &quoted[at + 1..]),
                '\\' => text.extend(characters.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        return (Piece::Between(text), "");
    }
    if let Some(after) = template.strip_prefix("\\\"") {
        return (Piece::Between("\"".to_owned()), after);
    }
    let width = template.chars().next().map_or(0, char::len_utf8);
    let (first, after) = template.split_at(width);
    (Piece::Between(first.to_owned()), after)
}

static TO_CHAR: &[Overload] = &[
    function!(strict row "to_char"(Timestamp, Text) -> Text, "By a template.", of_moment),
    function!(strict row "to_char"(TimestampTz, Text) -> Text, "By a template.", of_moment),
    function!(strict row "to_char"(Interval, Text) -> Text, "By a template.", of_moment),
    function!(strict row "to_char"(Numeric, Text) -> Text, "By a template.", of_number),
    function!(strict row "to_char"(Integer, Text) -> Text, "By a template.", of_number),
    function!(strict row "to_char"(BigInt, Text) -> Text, "By a template.", of_number),
    function!(strict row "to_char"(Real, Text) -> Text, "By a template.", of_number),
    function!(strict row "to_char"(Double, Text) -> Text, "By a template.", of_number),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[TO_CHAR];
