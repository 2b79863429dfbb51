//! Functions on text. Positions and lengths count characters, from 1.

mod find;
mod letter_case;
mod trim;

pub(in crate::function) use find::{Finder, Occurrences};
pub(in crate::function) use letter_case::lower;
pub(in crate::function) use trim::both as trimmed;

use crate::error::{Error, Result, state};
use crate::function::kernel::function;
use crate::function::native::{Bytea, Integer, SqlType};
use crate::function::{
    EvalContext, Overload, PIECE_BYTES, Work, check_size, joined, joined_texts, pieces_from_end,
};
use remora_storage::{Value, ValueRef};
use std::borrow::Cow;

fn invalid(message: impl Into<String>) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

fn length(text: &str) -> i32 {
    text.chars().count() as i32
}

/// The characters from `start` (from 1, perhaps before the text) up to, not including, `end`.
fn between(text: &str, start: i64, end: i64) -> &str {
    let skip = (start - 1).max(0) as usize;
    let take = (end - start.max(1)).max(0) as usize;
    let rest = &text[byte_of(text, skip)..];
    &rest[..byte_of(rest, take)]
}

/// Where the character of a number begins, from 0; the end of the text where it has no such character.
fn byte_of(text: &str, number: usize) -> usize {
    let mut chars = text.chars();
    // Many characters at a time, unlike `char_indices`.
    if number > 0 {
        chars.nth(number - 1);
    }
    text.len() - chars.as_str().len()
}

fn substr(text: &str, start: i32) -> Result<String> {
    Ok(between(text, start.into(), i64::MAX).to_owned())
}

fn substr_for(text: &str, start: i32, count: i32) -> Result<String> {
    if count < 0 {
        return Err(sql_error!(
            SUBSTRING_ERROR,
            "negative substring length not allowed"
        ));
    }
    Ok(between(text, start.into(), i64::from(start) + i64::from(count)).to_owned())
}

fn substr_bytes(bytes: &[u8], start: i32, count: Option<i32>) -> Result<Vec<u8>> {
    if count.is_some_and(|count| count < 0) {
        return Err(sql_error!(
            SUBSTRING_ERROR,
            "negative substring length not allowed"
        ));
    }
    let end = count.map_or(i64::MAX, |count| i64::from(start) + i64::from(count) - 1);
    let end = end.clamp(0, bytes.len() as i64) as usize;
    let from = (i64::from(start) - 1).clamp(0, end as i64) as usize;
    Ok(bytes[from..end].to_vec())
}

fn position(context: &EvalContext, text: &str, part: &str) -> Result<i32> {
    let found = Finder::of(part.as_bytes()).find(text.as_bytes(), 0, &Work::new(context))?;
    Ok(found.map_or(0, |at| length(&text[..at]) + 1))
}

/// A negative count leaves that many off the other end.
fn left(text: &str, count: i32) -> Result<String> {
    let total = i64::from(length(text));
    let count = if count < 0 {
        total + i64::from(count)
    } else {
        count.into()
    };
    Ok(between(text, 1, 1 + count.max(0)).to_owned())
}

fn right(text: &str, count: i32) -> Result<String> {
    let total = i64::from(length(text));
    let start = if count < 0 {
        -i64::from(count)
    } else {
        total - i64::from(count)
    };
    Ok(between(text, start.max(0) + 1, i64::MAX).to_owned())
}

/// The text at `width` characters: cut, or filled up before or behind.
fn pad(context: &EvalContext, text: &str, width: i32, fill: &str, before: bool) -> Result<String> {
    let width = width.max(0) as usize;
    let missing = width.saturating_sub(text.chars().count());
    if missing == 0 || fill.is_empty() {
        return Ok(between(text, 1, 1 + width as i64).to_owned());
    }
    let longest = fill.chars().map(char::len_utf8).max().unwrap_or(1);
    let most = missing.checked_mul(longest);
    let size = context.room(most.and_then(|most| most.checked_add(text.len())))?;
    let mut out = String::with_capacity(size);
    if !before {
        out.push_str(text);
    }
    let work = Work::new(context);
    for c in fill.chars().cycle().take(missing) {
        work.spend(c.len_utf8())?;
        out.push(c);
    }
    if before {
        out.push_str(text);
    }
    Ok(out)
}

fn lpad(context: &EvalContext, text: &str, width: i32, fill: &str) -> Result<String> {
    pad(context, text, width, fill, true)
}

fn lpad_blank(context: &EvalContext, text: &str, width: i32) -> Result<String> {
    lpad(context, text, width, " ")
}

fn rpad(context: &EvalContext, text: &str, width: i32, fill: &str) -> Result<String> {
    pad(context, text, width, fill, false)
}

fn rpad_blank(context: &EvalContext, text: &str, width: i32) -> Result<String> {
    rpad(context, text, width, " ")
}

fn repeat(context: &EvalContext, text: &str, count: i32) -> Result<String> {
    let count = count.max(0) as usize;
    let size = check_size(text.len().checked_mul(count))?;
    if size <= PIECE_BYTES {
        context.room(Some(size))?;
        return Ok(text.repeat(count));
    }
    let piece = match PIECE_BYTES / text.len() {
        0 | 1 => Cow::Borrowed(text),
        times => Cow::Owned(text.repeat(times)),
    };
    let (whole, rest) = (size / piece.len(), size % piece.len());
    let pieces = std::iter::repeat_n(&*piece, whole).chain([&piece[..rest]]);
    joined_texts(pieces, context)
}

fn replace(context: &EvalContext, text: &str, from: &str, to: &str) -> Result<String> {
    if from.is_empty() {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    let work = Work::new(context);
    for at in Occurrences::of(from, text, &work) {
        let at = at?;
        work.spend(from.len() + to.len())?;
        work.reach(out.len() + at - end + to.len())?;
        out.push_str(&text[end..at]);
        out.push_str(to);
        end = at + from.len();
    }
    work.reach(out.len() + text.len() - end)?;
    out.push_str(&text[end..]);
    Ok(out)
}

fn reverse(context: &EvalContext, text: &str) -> Result<String> {
    let work = Work::new(context);
    let mut out = String::with_capacity(text.len());
    for piece in pieces_from_end(text) {
        work.spend(piece.len())?;
        out.extend(piece.chars().rev());
    }
    Ok(out)
}

/// Each character of `from` becomes the one at its place in `to`, or nothing if there is none.
fn translate(context: &EvalContext, text: &str, from: &str, to: &str) -> Result<String> {
    let work = Work::new(context);
    let mut into = Vec::new();
    for (c, _) in to.chars().zip(from.chars()) {
        work.spend(size_of::<char>())?;
        work.reach(size_of_val(&into[..]))?;
        into.push(c);
    }
    let change = |c: char| match from.chars().position(|f| f == c) {
        Some(at) => into.get(at).copied(),
        None => Some(c),
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        work.spend(1 + from.len())?;
        work.reach(out.len() + size_of_val(&into[..]))?;
        out.extend(change(c));
    }
    Ok(out)
}

fn split_part(context: &EvalContext, text: &str, delimiter: &str, field: i32) -> Result<String> {
    if field == 0 {
        return Err(invalid("field position must not be zero"));
    }
    if delimiter.is_empty() {
        return Ok(if matches!(field, 1 | -1) {
            text.to_owned()
        } else {
            String::new()
        });
    }
    let work = Work::new(context);
    let delimiters = || Occurrences::of(delimiter, text, &work);
    let before = match usize::try_from(field) {
        Ok(field) => Some(field - 1),
        // From the last field, of which there is one more than delimiters.
        Err(_) => {
            let count = delimiters().try_fold(0_usize, |count, at| at.map(|_| count + 1))?;
            (count + 1).checked_sub(field.unsigned_abs() as usize)
        }
    };
    let Some(before) = before else {
        return Ok(String::new());
    };
    let mut delimiters = delimiters();
    let mut begin = 0;
    for _ in 0..before {
        match delimiters.next().transpose()? {
            Some(at) => begin = at + delimiter.len(),
            None => return Ok(String::new()),
        }
    }
    let end = delimiters.next().transpose()?;
    Ok(text[begin..end.unwrap_or(text.len())].to_owned())
}

fn chr(code: i32) -> Result<String> {
    let too_large = || {
        sql_error!(
            PROGRAM_LIMIT_EXCEEDED,
            "requested character too large for encoding: {code}"
        )
    };
    match code {
        0 => Err(sql_error!(
            PROGRAM_LIMIT_EXCEEDED,
            "null character not permitted"
        )),
        ..0 => Err(invalid("character number must be positive")),
        _ => char::from_u32(code.unsigned_abs())
            .map(String::from)
            .ok_or_else(too_large),
    }
}

fn overlay(context: &EvalContext, text: &str, new: &str, start: i32, count: i32) -> Result<String> {
    if start <= 0 {
        return Err(sql_error!(
            SUBSTRING_ERROR,
            "negative substring length not allowed"
        ));
    }
    let after = i64::from(start) + i64::from(count);
    let (before, behind) = (
        between(text, 1, start.into()),
        between(text, after, i64::MAX),
    );
    joined_texts([before, new, behind].into_iter(), context)
}

fn overlay_bytes(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let (whole, new) = (Bytea::of(arguments[0]), Bytea::of(arguments[1]));
    let start = Integer::of(arguments[2]);
    let count = arguments
        .get(3)
        .map_or(length_of(new), |count| Integer::of(*count));
    if start <= 0 {
        return Err(sql_error!(
            SUBSTRING_ERROR,
            "negative substring length not allowed"
        ));
    }
    let from = (start as usize - 1).min(whole.len());
    let to = i64::from(start) - 1 + i64::from(count);
    let to = usize::try_from(to).unwrap_or(0).min(whole.len());
    let parts = [&whole[..from], new, &whole[to..]];
    joined(parts.into_iter(), context).map(Value::Bytea)
}

fn length_of(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

/// `overlay` with the count written out, which is one argument more than [`function!`] unpacks.
fn overlay_for(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    use crate::function::native::{Integer, SqlType, Text};
    let (text, new) = (Text::of(arguments[0]), Text::of(arguments[1]));
    let (start, count) = (Integer::of(arguments[2]), Integer::of(arguments[3]));
    overlay(context, text, new, start, count).map(Value::Text)
}

fn texts<'a>(arguments: &'a [ValueRef<'a>]) -> impl Iterator<Item = &'a str> + Clone {
    arguments.iter().filter_map(|value| match value {
        ValueRef::Text(text) => Some(*text),
        _ => None,
    })
}

/// NULLs count as empty.
fn concat(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    joined_texts(texts(arguments), context).map(Value::Text)
}

/// NULLs are left out, but for the separator.
fn concat_ws(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let ValueRef::Text(separator) = arguments[0] else {
        return Ok(Value::Null);
    };
    let parts = texts(&arguments[1..]).flat_map(|part| [separator, part]);
    joined_texts(parts.skip(1), context).map(Value::Text)
}

fn join(context: &EvalContext, a: &str, b: &str) -> Result<String> {
    joined_texts([a, b].into_iter(), context)
}

fn join_bytes(context: &EvalContext, a: &[u8], b: &[u8]) -> Result<Vec<u8>> {
    joined([a, b].into_iter(), context)
}

static MEASURES: &[Overload] = &[
    function!("length"(Text) -> Integer, "Characters.", |s| Ok(length(s))),
    function!("char_length"(Text) -> Integer, "Characters.", |s| Ok(length(s))),
    function!("character_length"(Text) -> Integer, "Characters.", |s| Ok(length(s))),
    function!("length"(Bytea) -> Integer, "Bytes.", |b: &[u8]| Ok(b.len() as i32)),
    function!("octet_length"(Text) -> Integer, "Bytes.", |s: &str| Ok(s.len() as i32)),
    function!("octet_length"(Bytea) -> Integer, "Bytes.", |b: &[u8]| Ok(b.len() as i32)),
    function!("bit_length"(Text) -> Integer, "Bits.",
        |s: &str| i32::try_from(s.len() * 8).map_err(|_| super::native::out_of_range("integer"))),
    function!("bit_length"(Bytea) -> Integer, "Bits.",
        |b: &[u8]| i32::try_from(b.len() * 8).map_err(|_| super::native::out_of_range("integer"))),
    function!("^@"(Text, Text) -> Boolean, "Whether the left side begins with the right one.",
        |s: &str, part: &str| Ok(s.starts_with(part))),
    function!(patient "position"(Text, Text) -> Integer, "Where the second begins in the first.", position),
    function!(patient "strpos"(Text, Text) -> Integer, "Where the second begins in the first.", position),
    function!("starts_with"(Text, Text) -> Boolean, "Whether the first begins with the second.",
        |s: &str, start: &str| Ok(s.starts_with(start))),
    function!("ascii"(Text) -> Integer, "Code point of the first character.",
        |s: &str| Ok(s.chars().next().map_or(0, |c| c as i32))),
];

static CHANGES: &[Overload] = &[
    function!(patient "||"(Text, Text) -> Text, "Both, joined.", join),
    function!(patient "textcat"(Text, Text) -> Text, "Both, joined.", join),
    function!(patient "||"(Bytea, Bytea) -> Bytea, "Both, joined.", join_bytes),
    function!(patient "reverse"(Text) -> Text, "Back to front.", reverse),
    function!(patient "repeat"(Text, Integer) -> Text, "So many times.", repeat),
    function!(patient "replace"(Text, Text, Text) -> Text, "All occurrences replaced.", replace),
    function!(patient "translate"(Text, Text, Text) -> Text, "Character by character.", translate),
    function!("chr"(Integer) -> Text, "The character of a code point.", chr),
    function!(patient "overlay"(Text, Text, Integer) -> Text, "A part replaced.",
        |context, s, new, start| overlay(context, s, new, start, length(new))),
    function!(strict row "overlay"(Text, Text, Integer, Integer) -> Text, "A part replaced.",
        overlay_for),
    function!(strict row "overlay"(Bytea, Bytea, Integer) -> Bytea, "A part replaced.",
        overlay_bytes),
    function!(strict row "overlay"(Bytea, Bytea, Integer, Integer) -> Bytea, "A part replaced.",
        overlay_bytes),
];

static PARTS: &[Overload] = &[
    function!("substr"(Text, Integer) -> Text, "From a position on.", substr),
    function!("substr"(Text, Integer, Integer) -> Text, "So many from a position on.", substr_for),
    function!("substring"(Text, Integer) -> Text, "From a position on.", substr),
    function!("substring"(Text, Integer, Integer) -> Text, "So many from a position on.",
        substr_for),
    function!("substr"(Bytea, Integer) -> Bytea, "From a position on.",
        |b, start| substr_bytes(b, start, None)),
    function!("substr"(Bytea, Integer, Integer) -> Bytea, "So many from a position on.",
        |b, start, count| substr_bytes(b, start, Some(count))),
    function!("substring"(Bytea, Integer) -> Bytea, "From a position on.",
        |b, start| substr_bytes(b, start, None)),
    function!("substring"(Bytea, Integer, Integer) -> Bytea, "So many from a position on.",
        |b, start, count| substr_bytes(b, start, Some(count))),
    function!("left"(Text, Integer) -> Text, "The first so many.", left),
    function!("right"(Text, Integer) -> Text, "The last so many.", right),
    function!(patient "lpad"(Text, Integer) -> Text, "Filled up at the start.", lpad_blank),
    function!(patient "lpad"(Text, Integer, Text) -> Text, "Filled up at the start.", lpad),
    function!(patient "rpad"(Text, Integer) -> Text, "Filled up at the end.", rpad_blank),
    function!(patient "rpad"(Text, Integer, Text) -> Text, "Filled up at the end.", rpad),
    function!(patient "split_part"(Text, Text, Integer) -> Text, "One field of several.", split_part),
    function!(row "concat"(Text) -> Text, "All joined, NULLs as empty.", concat).variadic(),
    function!(row "concat_ws"(Text) -> Text, "All but the first, joined by the first.", concat_ws)
        .variadic(),
];

/// All overloads of this folder.
pub(super) static FUNCTIONS: &[&[Overload]] =
    &[MEASURES, CHANGES, PARTS, letter_case::CASES, trim::TRIMS];
