//! Functions on text. Positions and lengths count characters, from 1.

use super::kernel::function;
use super::native::{Bytea, Integer, SqlType};
use super::{EvalContext, Overload};
use crate::error::{Error, Result, state};
use remora_storage::{Value, ValueRef};

/// What one value may grow to: 1 GiB, as in PostgreSQL.
const BYTES_MAX: usize = (1 << 30) - 1;

/// Steps between two looks at the interrupt.
const CHECK_STEPS: usize = 1 << 16;
/// Bytes that are copied between two looks.
const PIECE_BYTES: usize = 1 << 20;

/// 54000 where a result would be longer than a value may be.
pub(super) fn check_size(bytes: Option<usize>) -> Result<usize> {
    bytes
        .filter(|bytes| *bytes <= BYTES_MAX)
        .ok_or_else(|| sql_error!(PROGRAM_LIMIT_EXCEEDED, "requested length too large"))
}

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
    let from = text
        .char_indices()
        .nth(skip)
        .map_or(text.len(), |(at, _)| at);
    let rest = &text[from..];
    let to = rest
        .char_indices()
        .nth(take)
        .map_or(rest.len(), |(at, _)| at);
    &rest[..to]
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

fn position(text: &str, part: &str) -> Result<i32> {
    Ok(text.find(part).map_or(0, |at| length(&text[..at]) + 1))
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
    check_size(
        missing
            .checked_mul(longest)
            .and_then(|n| n.checked_add(text.len())),
    )?;
    let mut out = String::with_capacity(text.len() + missing);
    if !before {
        out.push_str(text);
    }
    for (number, c) in fill.chars().cycle().take(missing).enumerate() {
        if number.is_multiple_of(CHECK_STEPS) {
            context.check()?;
        }
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
        return Ok(text.repeat(count));
    }
    let in_piece = (PIECE_BYTES / text.len()).max(1);
    // Before the piece is made, and before each is copied.
    context.check()?;
    let piece = text.repeat(in_piece);
    let mut out = String::with_capacity(size);
    for _ in 0..count / in_piece {
        context.check()?;
        out.push_str(&piece);
    }
    out.push_str(&piece[..size - out.len()]);
    Ok(out)
}

fn replace(context: &EvalContext, text: &str, from: &str, to: &str) -> Result<String> {
    if from.is_empty() {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for (number, (at, _)) in text.match_indices(from).enumerate() {
        if number.is_multiple_of(CHECK_STEPS) {
            context.check()?;
        }
        out.push_str(&text[end..at]);
        check_size(out.len().checked_add(to.len()))?;
        out.push_str(to);
        end = at + from.len();
    }
    check_size(Some(out.len() + text.len() - end))?;
    out.push_str(&text[end..]);
    Ok(out)
}

/// The first letter of each word in upper case, the others in lower case.
fn initcap(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric();
    }
    Ok(out)
}

/// Each character of `from` becomes the one at its place in `to`, or nothing if there is none.
fn translate(context: &EvalContext, text: &str, from: &str, to: &str) -> Result<String> {
    let to: Vec<char> = to.chars().collect();
    let change = |c: char| match from.chars().position(|f| f == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    };
    let between = (CHECK_STEPS / (from.len() + 1)).max(1);
    let mut out = String::with_capacity(text.len());
    for (number, c) in text.chars().enumerate() {
        if number.is_multiple_of(between) {
            context.check()?;
        }
        out.extend(change(c));
    }
    Ok(out)
}

fn split_part(text: &str, delimiter: &str, field: i32) -> Result<String> {
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
    let index = field.unsigned_abs() as usize - 1;
    let parts = if field > 0 {
        text.split(delimiter).nth(index)
    } else {
        text.rsplit(delimiter).nth(index)
    };
    Ok(parts.unwrap_or("").to_owned())
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

fn overlay(text: &str, new: &str, start: i32, count: i32) -> Result<String> {
    if start <= 0 {
        return Err(sql_error!(
            SUBSTRING_ERROR,
            "negative substring length not allowed"
        ));
    }
    let after = i64::from(start) + i64::from(count);
    let mut out = between(text, 1, start.into()).to_owned();
    out.push_str(new);
    out.push_str(between(text, after, i64::MAX));
    Ok(out)
}

fn overlay_bytes(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
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
    let size = whole
        .len()
        .saturating_sub(to)
        .saturating_add(from + new.len());
    check_size(Some(size))?;
    Ok(Value::Bytea([&whole[..from], new, &whole[to..]].concat()))
}

fn length_of(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

/// `overlay` with the count written out, which is one argument more than [`function!`] unpacks.
fn overlay_for(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    use super::native::{Integer, SqlType, Text};
    let (text, new) = (Text::of(arguments[0]), Text::of(arguments[1]));
    let (start, count) = (Integer::of(arguments[2]), Integer::of(arguments[3]));
    overlay(text, new, start, count).map(Value::Text)
}

fn texts<'a>(arguments: &'a [ValueRef<'a>]) -> impl Iterator<Item = &'a str> {
    arguments.iter().filter_map(|value| match value {
        ValueRef::Text(text) => Some(*text),
        _ => None,
    })
}

/// NULLs count as empty.
fn concat(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    Ok(Value::Text(texts(arguments).collect()))
}

/// NULLs are left out, but for the separator.
fn concat_ws(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let ValueRef::Text(separator) = arguments[0] else {
        return Ok(Value::Null);
    };
    let parts: Vec<&str> = texts(&arguments[1..]).collect();
    Ok(Value::Text(parts.join(separator)))
}

fn join(a: &str, b: &str) -> Result<String> {
    check_size(a.len().checked_add(b.len()))?;
    let mut out = String::with_capacity(a.len() + b.len());
    out.push_str(a);
    out.push_str(b);
    Ok(out)
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
    function!("position"(Text, Text) -> Integer, "Where the second begins in the first.", position),
    function!("strpos"(Text, Text) -> Integer, "Where the second begins in the first.", position),
    function!("starts_with"(Text, Text) -> Boolean, "Whether the first begins with the second.",
        |s: &str, start: &str| Ok(s.starts_with(start))),
    function!("ascii"(Text) -> Integer, "Code point of the first character.",
        |s: &str| Ok(s.chars().next().map_or(0, |c| c as i32))),
];

static CHANGES: &[Overload] = &[
    function!("||"(Text, Text) -> Text, "Both, joined.", join),
    function!("textcat"(Text, Text) -> Text, "Both, joined.", join),
    function!("||"(Bytea, Bytea) -> Bytea, "Both, joined.", |a: &[u8], b: &[u8]| {
        check_size(a.len().checked_add(b.len()))?;
        Ok([a, b].concat())
    }),
    function!("lower"(Text) -> Text, "In lower case.", |s: &str| Ok(s.to_lowercase())),
    function!("upper"(Text) -> Text, "In upper case.", |s: &str| Ok(s.to_uppercase())),
    function!("initcap"(Text) -> Text, "Words with a capital.", initcap),
    function!("reverse"(Text) -> Text, "Back to front.", |s: &str| Ok(s.chars().rev().collect())),
    function!(patient "repeat"(Text, Integer) -> Text, "So many times.", repeat),
    function!(patient "replace"(Text, Text, Text) -> Text, "All occurrences replaced.", replace),
    function!(patient "translate"(Text, Text, Text) -> Text, "Character by character.", translate),
    function!("chr"(Integer) -> Text, "The character of a code point.", chr),
    function!("overlay"(Text, Text, Integer) -> Text, "A part replaced.",
        |s, new, start| overlay(s, new, start, length(new))),
    function!(strict row "overlay"(Text, Text, Integer, Integer) -> Text, "A part replaced.",
        overlay_for),
    function!(strict row "overlay"(Bytea, Bytea, Integer) -> Bytea, "A part replaced.",
        overlay_bytes),
    function!(strict row "overlay"(Bytea, Bytea, Integer, Integer) -> Bytea, "A part replaced.",
        overlay_bytes),
];

macro_rules! trims {
    ($($name:literal $doc:literal $trim:ident),*) => {
        &[$(
            function!($name(Text) -> Text, $doc, |s: &str| Ok(s.$trim(' ').to_owned())),
            function!($name(Text, Text) -> Text, $doc,
                |s: &str, what: &str| Ok(s.$trim(|c: char| what.contains(c)).to_owned())),
        )*]
    };
}

static TRIMS: &[Overload] = trims!(
    "btrim" "Without these characters at both ends." trim_matches,
    "trim" "Without these characters at both ends." trim_matches,
    "ltrim" "Without these characters at the start." trim_start_matches,
    "rtrim" "Without these characters at the end." trim_end_matches
);

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
    function!("split_part"(Text, Text, Integer) -> Text, "One field of several.", split_part),
    function!(row "concat"(Text) -> Text, "All joined, NULLs as empty.", concat).variadic(),
    function!(row "concat_ws"(Text) -> Text, "All but the first, joined by the first.", concat_ws)
        .variadic(),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[MEASURES, CHANGES, TRIMS, PARTS];
