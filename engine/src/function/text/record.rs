//! Records from and to text: `(1,"a b",)`.

use super::super::cast::cast_value;
use super::super::{EvalContext, record};
use super::{Style, write_in};
use crate::error::{Error, Result, state};
use remora_storage::value::{RecordField, SqlRecord};
use remora_storage::{Value, ValueRef};
use std::iter::Peekable;
use std::str::Chars;

/// Appends a record's text form: NULL is nothing, an empty text is quoted.
pub(super) fn write_record(out: &mut String, record: &SqlRecord<'_>, style: &Style) {
    let mut scratch = String::new();
    out.push('(');
    for (at, (data_type, value)) in record.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if value.is_null() {
            continue;
        }
        scratch.clear();
        write_in(&mut scratch, value, data_type, style);
        write_field(out, &scratch);
    }
    out.push(')');
}

fn write_field(out: &mut String, text: &str) {
    let is_special = |c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || is_space(c);
    if !text.is_empty() && !text.contains(is_special) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('"');
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// Reads a record of these fields; gives its bytes.
///
/// # Errors
/// 22P02 with what is wrong, and those of the fields' types.
pub(crate) fn parse(text: &str, fields: &[RecordField], context: &EvalContext) -> Result<Vec<u8>> {
    let malformed = |detail: &str| {
        let message = format!("malformed record literal: \"{text}\"");
        Error::new(state::INVALID_TEXT_REPRESENTATION, message).with_detail(detail)
    };
    let mut rest = text.trim_start_matches(is_space).chars().peekable();
    if rest.next() != Some('(') {
        return Err(malformed("Missing left parenthesis."));
    }
    let mut values = Vec::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        if at > 0 && rest.next_if_eq(&',').is_none() {
            return Err(malformed("Too few columns."));
        }
        values.push(match rest.peek() {
            Some(',' | ')') => Value::Null,
            _ => {
                let part = part(&mut rest).ok_or_else(|| malformed("Unexpected end of input."))?;
                cast_value(ValueRef::Text(&part), field.data_type, false, context)?
            }
        });
    }
    if rest.next() != Some(')') {
        return Err(malformed("Too many columns."));
    }
    if !rest.all(is_space) {
        return Err(malformed("Junk after right parenthesis."));
    }
    let types = fields.iter().map(|field| field.data_type);
    record::encode(types.zip(values.iter().map(Value::as_ref)))
}

/// The text of one field, up to the comma or the bracket behind it; `None` where there is no such.
fn part(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let (mut out, mut is_quoted) = (String::new(), false);
    loop {
        match rest.peek()? {
            ',' | ')' if !is_quoted => return Some(out),
            _ => {}
        }
        match rest.next()? {
            '\\' => out.push(rest.next()?),
            // Two within quotes are one.
            '"' if is_quoted && rest.next_if_eq(&'"').is_some() => out.push('"'),
            '"' => is_quoted = !is_quoted,
            other => out.push(other),
        }
    }
}
