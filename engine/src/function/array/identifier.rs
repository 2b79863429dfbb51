//! `parse_ident`: the parts of a name as SQL writes it.

use super::{BOOLEAN, TEXT, TEXTS, builder_of, push};
use crate::error::{Error, Result, state};
use crate::function::kernel::function;
use crate::function::string::lower;
use crate::function::{EvalContext, GenericCall, Overload, Work};
use remora_storage::{Value, ValueRef};

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "parse_ident"(TEXT) -> TEXTS, "The parts of a name with dots.", parse_ident),
    function!(strict generic "parse_ident"(TEXT, BOOLEAN) -> TEXTS,
        "The parts of a name with dots; what follows is an error if asked for.", parse_ident),
];

fn parse_ident(call: &GenericCall<'_>) -> Result<Value> {
    let ValueRef::Text(whole) = call.values[0] else {
        return Ok(Value::Null);
    };
    let is_strict = !matches!(call.values.get(1), Some(ValueRef::Boolean(false)));
    let invalid = || {
        let message = format!("string is not a valid identifier: \"{whole}\"");
        Error::new(state::INVALID_PARAMETER_VALUE, message)
    };
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    let mut rest = skip(whole);
    let mut after_dot = false;
    loop {
        let (part, behind) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (part, behind) = quoted_part(quoted)
                    .ok_or_else(|| invalid().with_detail("String has unclosed double quotes."))?;
                if part.is_empty() {
                    return Err(invalid().with_detail("Quoted identifier must not be empty."));
                }
                (part, behind)
            }
            None => plain_part(rest, call.context)?,
        };
        if part.is_empty() {
            return Err(match (rest.starts_with('.'), after_dot) {
                (true, _) => invalid().with_detail("No valid identifier before \".\"."),
                (false, true) => invalid().with_detail("No valid identifier after \".\"."),
                (false, false) => invalid(),
            });
        }
        push(&mut builder, ValueRef::Text(&part), &work)?;
        rest = skip(behind);
        match rest.strip_prefix('.') {
            Some(behind) => (rest, after_dot) = (skip(behind), true),
            None if rest.is_empty() || !is_strict => return Ok(builder.finish_list()),
            None => return Err(invalid()),
        }
    }
}

fn skip(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r', '\x0B', '\x0C'])
}

/// What stands between quotes, two of which are one, and what follows.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        part.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                part.push('"');
                rest = behind;
            }
            None => return Some((part, behind)),
        }
    }
}

/// A word, in small letters, and what follows.
fn plain_part<'t>(text: &'t str, context: &EvalContext) -> Result<(String, &'t str)> {
    let starts = |c: char| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii();
    let goes_on = |c: char| starts(c) || c == '$' || c.is_ascii_digit();
    let end = match text.starts_with(starts) {
        true => text.find(|c| !goes_on(c)).unwrap_or(text.len()),
        false => 0,
    };
    Ok((lower(context, &text[..end])?, &text[end..]))
}
