//! `format`: a text with places for arguments, `%s`, `%I`, `%L`, as `printf` of C has them.

use super::kernel::function;
use super::native::{SqlType, Text};
use super::{EvalContext, Overload, PIECE_BYTES, Work, quote};
use crate::error::{Error, Result, state};
use remora_storage::{Value, ValueRef};

fn invalid(message: impl Into<String>) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

fn too_early() -> Error {
    invalid("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
}

/// How wide a place is; a negative number fills up behind.
enum Width {
    Number(i64),
    /// What the next argument says, or the one of this number.
    Argument(Option<usize>),
}

/// A place for an argument, behind its `%`.
struct Place {
    number: Option<usize>,
    left: bool,
    width: Option<Width>,
    kind: char,
}

/// A number at the start, if there is one, and what follows.
fn number(text: &str) -> Result<(Option<i64>, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    let value: i32 = text[..end]
        .parse()
        .map_err(|_| sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"))?;
    Ok((Some(value.into()), &text[end..]))
}

fn position(number: i64) -> Result<usize> {
    match usize::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(invalid(
            "format specifies argument 0, but arguments are numbered from 1",
        )),
    }
}

fn place(text: &str) -> Result<(Place, &str)> {
    let (mut position_of, mut width) = (None, None);
    let (first, mut rest) = number(text)?;
    if let Some(first) = first {
        match rest.strip_prefix('$') {
            Some(after) => (position_of, rest) = (Some(position(first)?), after),
            None => width = Some(Width::Number(first)),
        }
    }
    let mut left = false;
    if width.is_none() {
        while let Some(after) = rest.strip_prefix('-') {
            (left, rest) = (true, after);
        }
        if let Some(after) = rest.strip_prefix('*') {
            let (at, after) = number(after)?;
            rest = after;
            let at = match at {
                Some(at) => {
                    rest = after
                        .strip_prefix('$')
                        .ok_or_else(|| invalid("width argument position must be ended by \"$\""))?;
                    Some(position(at)?)
                }
                None => None,
            };
            width = Some(Width::Argument(at));
        } else {
            let (found, after) = number(rest)?;
            (width, rest) = (found.map(Width::Number), after);
        }
    }
    let kind = rest.chars().next().ok_or_else(too_early)?;
    let place = Place {
        number: position_of,
        left,
        width,
        kind,
    };
    Ok((place, &rest[kind.len_utf8()..]))
}

/// The arguments, one taken after the other unless a place says which.
struct Arguments<'a> {
    values: &'a [ValueRef<'a>],
    next: usize,
}

impl<'a> Arguments<'a> {
    /// `None` for NULL.
    fn take(&mut self, number: Option<usize>) -> Result<Option<&'a str>> {
        let at = number.unwrap_or(self.next);
        self.next = at + 1;
        match self.values.get(at) {
            Some(ValueRef::Text(text)) => Ok(Some(text)),
            Some(_) => Ok(None),
            None => Err(invalid("too few arguments for format()")),
        }
    }
}

fn format(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    if arguments[0].is_null() {
        return Ok(Value::Null);
    }
    let mut rest = Text::of(arguments[0]);
    let mut values = Arguments {
        values: arguments,
        next: 1,
    };
    let mut out = String::with_capacity(rest.len());
    let work = Work::new(context);
    while let Some(at) = rest.find('%') {
        context.check()?;
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (place, after) = place(rest)?;
        rest = after;
        fill(&mut out, &place, &mut values, (context, &work))?;
        work.reach(out.len())?;
    }
    out.push_str(rest);
    Ok(Value::Text(out))
}

fn fill(
    out: &mut String,
    place: &Place,
    values: &mut Arguments<'_>,
    (context, work): (&EvalContext, &Work<'_>),
) -> Result<()> {
    let width = match place.width {
        None => 0,
        Some(Width::Number(width)) => width,
        Some(Width::Argument(at)) => match values.take(at)? {
            None => 0,
            Some(text) => super::text::parse(text, remora_storage::DataType::Integer).map(
                |value| match value {
                    Value::Integer(width) => width.into(),
                    _ => 0,
                },
            )?,
        },
    };
    if !matches!(place.kind, 's' | 'I' | 'L') {
        let message = format!("unrecognized format() type specifier \"{}\"", place.kind);
        return Err(invalid(message).with_hint("For a single \"%\" use \"%%\"."));
    }
    let value = values.take(place.number)?;
    let shown = match (place.kind, value) {
        ('s', value) => value.unwrap_or("").to_owned(),
        ('L', None) => "NULL".to_owned(),
        ('L', Some(value)) => quote::quote_literal(context, value)?,
        (_, Some(value)) => quote::quote_ident(context, value)?,
        (_, None) => {
            return Err(sql_error!(
                NULL_VALUE_NOT_ALLOWED,
                "null values cannot be formatted as an SQL identifier"
            ));
        }
    };
    let missing = (width.unsigned_abs() as usize).saturating_sub(shown.chars().count());
    work.reach(out.len() + shown.len() + missing)?;
    if place.left || width < 0 {
        out.push_str(&shown);
        blanks(out, missing, work)
    } else {
        blanks(out, missing, work)?;
        out.push_str(&shown);
        Ok(())
    }
}

/// Appends so many blanks.
fn blanks(out: &mut String, count: usize, work: &Work<'_>) -> Result<()> {
    let mut left = count;
    while left > 0 {
        let piece = left.min(PIECE_BYTES);
        work.spend(piece)?;
        out.extend(std::iter::repeat_n(' ', piece));
        left -= piece;
    }
    Ok(())
}

static FORMAT: &[Overload] =
    &[function!(row "format"(Text) -> Text, "A text with its places filled.", format).variadic()];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[FORMAT];
