//! The functions and operators over regular expressions. Positions count characters, from 1.

use super::matches::{Matches, single, whole};
use super::{Flags, Groups, compiled, parts, similar};
use crate::error::{Error, Result};
use crate::function::kernel::function;
use crate::function::like::escape_character;
use crate::function::native::{Integer, SqlType, Text};
use crate::function::{EvalContext, Overload, Work};
use remora_storage::{Value, ValueRef};
use std::ops::Range;

const PLAIN: Flags = Flags {
    ignore_case: false,
    lines_apart: false,
    anchors_at_lines: false,
    literal: false,
    expanded: false,
    global: false,
};
const ANY_CASE: Flags = Flags {
    ignore_case: true,
    ..PLAIN
};

fn matches(context: &EvalContext, text: &str, pattern: &str, flags: Flags) -> Result<bool> {
    let work = Work::new(context);
    compiled(pattern, flags)?.over(text, &work).is_match()
}

fn check(name: &str, value: i32, least: i32) -> Result<()> {
    match value >= least {
        true => Ok(()),
        false => Err(wrong(name, value)),
    }
}

fn wrong(name: &str, value: i32) -> Error {
    sql_error!(
        INVALID_PARAMETER_VALUE,
        "invalid value for parameter \"{name}\": {value}"
    )
}

/// What a call gives beside text and pattern, as far as it is given.
struct Call<'a> {
    arguments: &'a [ValueRef<'a>],
}

impl<'a> Call<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.arguments.get(at).map_or("", |value| Text::of(*value))
    }

    fn number(&self, at: usize, name: &str, least: i32, absent: i32) -> Result<i32> {
        let number = self
            .arguments
            .get(at)
            .map_or(absent, |value| Integer::of(*value));
        check(name, number, least)?;
        Ok(number)
    }

    /// The `n`th match from `start` on.
    fn find(
        &self,
        n: i32,
        start: i32,
        flags: Flags,
        context: &EvalContext,
    ) -> Result<Option<Groups>> {
        let regex = compiled(self.text(1), flags)?;
        let work = Work::new(context);
        let mut matches = Matches::from(regex.over(self.text(0), &work), start);
        for _ in 1..n {
            if matches.next().transpose()?.is_none() {
                return Ok(None);
            }
        }
        matches.next().transpose()
    }
}

/// What the group of a match is, if there is one of that number.
fn part(groups: Option<Groups>, number: i32) -> Option<Range<usize>> {
    groups?.get(number as usize)?.clone()
}

fn regexp_count(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let call = Call { arguments };
    let start = call.number(2, "start", 1, 1)?;
    let regex = compiled(call.text(1), single(call.text(3), "regexp_count", context)?)?;
    let mut count = 0;
    let work = Work::new(context);
    for found in Matches::from(regex.over(call.text(0), &work), start) {
        found?;
        count += 1;
    }
    Ok(Value::Integer(count))
}

/// `(text, pattern, start, n, endoption, flags, subexpr)`
fn regexp_instr(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let call = Call { arguments };
    let start = call.number(2, "start", 1, 1)?;
    let n = call.number(3, "n", 1, 1)?;
    let at_end = call.number(4, "endoption", 0, 0)?;
    if at_end > 1 {
        return Err(wrong("endoption", at_end));
    }
    let flags = single(call.text(5), "regexp_instr", context)?;
    let group = call.number(6, "subexpr", 0, 0)?;
    let found = part(call.find(n, start, flags, context)?, group);
    Ok(Value::Integer(found.map_or(0, |found| {
        let place = if at_end == 1 { found.end } else { found.start };
        call.text(0)[..place].chars().count() as i32 + 1
    })))
}

/// `(text, pattern, start, n, flags, subexpr)`
fn regexp_substr(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let call = Call { arguments };
    let start = call.number(2, "start", 1, 1)?;
    let n = call.number(3, "n", 1, 1)?;
    let flags = single(call.text(4), "regexp_substr", context)?;
    let group = call.number(5, "subexpr", 0, 0)?;
    let found = part(call.find(n, start, flags, context)?, group);
    Ok(found.map_or(Value::Null, |found| {
        Value::Text(call.text(0)[found].to_owned())
    }))
}

/// `substring(text FROM pattern)`: its first group, or all of the match.
fn substring(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let call = Call { arguments };
    first_part(call.text(0), call.text(1), context)
}

fn first_part(text: &str, pattern: &str, context: &EvalContext) -> Result<Value> {
    let regex = compiled(pattern, PLAIN)?;
    let group = i32::from(regex.group_count() > 0);
    let work = Work::new(context);
    let found = part(regex.over(text, &work).find(0)?, group);
    Ok(found.map_or(Value::Null, |found| Value::Text(text[found].to_owned())))
}

/// `substring(text FROM pattern FOR escape)`, of SQL's patterns.
fn substring_similar(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let call = Call { arguments };
    let escape = escape_character(call.text(2))?;
    let pattern = similar::to_regex(call.text(1), escape)?;
    first_part(call.text(0), &pattern, context)
}

/// `(text, pattern, replacement, flags)` and `(text, pattern, replacement, start, n, flags)`
fn regexp_replace(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let call = Call { arguments };
    if let [_, _, _, letters] = arguments
        && let ValueRef::Text(letters) = letters
    {
        if letters.starts_with(|c: char| c.is_ascii_digit()) {
            return Flags::parse(letters, context)
                .map(|_| Value::Null)
                .map_err(|error| {
                    error.with_hint(
                    "If you meant to use regexp_replace() with a start parameter, cast the fourth \
                     argument to integer explicitly.",
                )
                });
        }
        let flags = Flags::parse(letters, context)?;
        return replace(&call, 1, i32::from(!flags.global), flags, context);
    }
    let start = call.number(3, "start", 1, 1)?;
    let n = call.number(4, "n", 0, 1)?;
    let flags = Flags::parse(call.text(5), context)?;
    // Where the number is said, `g` says nothing.
    let n = if arguments.len() < 5 && flags.global {
        0
    } else {
        n
    };
    replace(&call, start, n, flags, context)
}

/// Replaces the `n`th match, or all for 0.
fn replace(
    call: &Call<'_>,
    start: i32,
    n: i32,
    flags: Flags,
    context: &EvalContext,
) -> Result<Value> {
    let (text, replacement) = (call.text(0), call.text(2));
    let regex = compiled(call.text(1), flags)?;
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let work = Work::new(context);
    for (number, groups) in (1_i32..).zip(Matches::from(regex.over(text, &work), start)) {
        let groups = groups?;
        if n > 0 && number < n {
            continue;
        }
        let Some(found) = whole(&groups) else { break };
        out.push_str(&text[copied..found.start]);
        push_replacement(&mut out, replacement, text, &groups, &work)?;
        work.reach(out.len())?;
        copied = found.end;
        if n > 0 {
            break;
        }
    }
    out.push_str(&text[copied..]);
    Ok(Value::Text(out))
}

/// The work of what a backslash stands for, beside that over its bytes.
const ESCAPE_WORK: usize = 16;

/// `\1` is a group, `\&` the whole match, `\\` a backslash.
fn push_replacement(
    out: &mut String,
    replacement: &str,
    text: &str,
    groups: &Groups,
    work: &Work<'_>,
) -> Result<()> {
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        work.spend(at + ESCAPE_WORK)?;
        work.reach(out.len() + at)?;
        out.push_str(&rest[..at]);
        let escaped = rest[at + 1..].chars().next();
        let group = match escaped {
            Some('&') => Some(0),
            Some(c @ '1'..='9') => Some(c as usize - '0' as usize),
            _ => None,
        };
        if let Some(number) = group {
            if let Some(Some(range)) = groups.get(number) {
                out.push_str(&text[range.clone()]);
            }
            rest = &rest[at + 2..];
        } else {
            out.push('\\');
            rest = &rest[at + 1 + usize::from(escaped == Some('\\'))..];
        }
    }
    work.reach(out.len() + rest.len())?;
    out.push_str(rest);
    Ok(())
}

fn similar_escape(pattern: &str, escape: &str) -> Result<String> {
    similar::to_regex(pattern, escape_character(escape)?)
}

static OPERATORS: &[Overload] = &[
    function!(patient "~"(Text, Text) -> Boolean, "Whether a regular expression matches.",
        |c: &EvalContext, s: &str, p: &str| matches(c, s, p, PLAIN)),
    function!(patient "~*"(Text, Text) -> Boolean, "Whether one matches, upper and lower case alike.",
        |c: &EvalContext, s: &str, p: &str| matches(c, s, p, ANY_CASE)),
    function!(patient "!~"(Text, Text) -> Boolean, "Whether no regular expression matches.",
        |c: &EvalContext, s: &str, p: &str| matches(c, s, p, PLAIN).map(|found| !found)),
    function!(patient "!~*"(Text, Text) -> Boolean, "Whether none matches, upper and lower case alike.",
        |c: &EvalContext, s: &str, p: &str| matches(c, s, p, ANY_CASE).map(|found| !found)),
    function!("similar_to_escape"(Text) -> Text, "SQL's pattern as a regular expression.",
        |pattern: &str| similar::to_regex(pattern, Some('\\'))),
    function!("similar_to_escape"(Text, Text) -> Text, "SQL's pattern as a regular expression.",
        similar_escape),
];

static SINGLE: &[Overload] = &[
    function!(patient "regexp_like"(Text, Text) -> Boolean, "Whether it matches.",
        |c: &EvalContext, s: &str, p: &str| matches(c, s, p, PLAIN)),
    function!(patient "regexp_like"(Text, Text, Text) -> Boolean, "Whether it matches.",
        |c: &EvalContext, s: &str, p: &str, letters: &str| matches(c, s, p, single(letters, "regexp_like", c)?)),
    function!(strict row "substring"(Text, Text) -> Text, "The part that matches.", substring),
    function!(strict row "substring"(Text, Text, Text) -> Text, "The part that matches.",
        substring_similar),
];

static MANY: &[Overload] = &[
    function!(strict row "regexp_count"(Text, Text) -> Integer, "How often it matches.", regexp_count),
    function!(strict row "regexp_count"(Text, Text, Integer) -> Integer, "How often it matches.",
        regexp_count),
    function!(strict row "regexp_count"(Text, Text, Integer, Text) -> Integer, "How often it matches.",
        regexp_count),
    function!(strict row "regexp_instr"(Text, Text) -> Integer, "Where it matches.", regexp_instr),
    function!(strict row "regexp_instr"(Text, Text, Integer) -> Integer, "Where it matches.",
        regexp_instr),
    function!(strict row "regexp_instr"(Text, Text, Integer, Integer) -> Integer, "Where it matches.",
        regexp_instr),
    function!(strict row "regexp_instr"(Text, Text, Integer, Integer, Integer) -> Integer,
        "Where it matches.", regexp_instr),
    function!(strict row "regexp_instr"(Text, Text, Integer, Integer, Integer, Text) -> Integer,
        "Where it matches.", regexp_instr),
    function!(strict row "regexp_instr"(Text, Text, Integer, Integer, Integer, Text, Integer)
        -> Integer, "Where it matches.", regexp_instr),
    function!(strict row "regexp_substr"(Text, Text) -> Text, "What matches.", regexp_substr),
    function!(strict row "regexp_substr"(Text, Text, Integer) -> Text, "What matches.", regexp_substr),
    function!(strict row "regexp_substr"(Text, Text, Integer, Integer) -> Text, "What matches.",
        regexp_substr),
    function!(strict row "regexp_substr"(Text, Text, Integer, Integer, Text) -> Text,
        "What matches.", regexp_substr),
    function!(strict row "regexp_substr"(Text, Text, Integer, Integer, Text, Integer) -> Text,
        "What matches.", regexp_substr),
    function!(strict row "regexp_replace"(Text, Text, Text) -> Text, "With what matches replaced.",
        regexp_replace),
    function!(strict row "regexp_replace"(Text, Text, Text, Text) -> Text,
        "With what matches replaced.", regexp_replace),
    function!(strict row "regexp_replace"(Text, Text, Text, Integer) -> Text,
        "With what matches replaced.", regexp_replace),
    function!(strict row "regexp_replace"(Text, Text, Text, Integer, Integer) -> Text,
        "With what matches replaced.", regexp_replace),
    function!(strict row "regexp_replace"(Text, Text, Text, Integer, Integer, Text) -> Text,
        "With what matches replaced.", regexp_replace),
];

/// All overloads of this file.
pub(in crate::function) static FUNCTIONS: &[&[Overload]] =
    &[OPERATORS, SINGLE, MANY, parts::FUNCTIONS];
