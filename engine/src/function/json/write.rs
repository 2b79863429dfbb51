//! JSONB as text: tight, as PostgreSQL shows it, or pretty, a member a line.

use super::packed::{Members, Reader, Tag, View, view};
use super::{MEMBER_WORK, number};
use crate::error::Result;
use crate::function::{Work, pieces};
use std::fmt::Write;

/// How containers are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    Tight,
    Pretty,
}

/// Blanks before a line, once a level.
const INDENT: &str = "    ";

/// A container whose members are being written.
struct Open {
    is_object: bool,
    is_first: bool,
    left: usize,
}

/// A string as JSON has it, quotes included.
pub(super) fn write_quoted(out: &mut String, text: &str, work: &Work<'_>) -> Result<()> {
    work.spend(MEMBER_WORK)?;
    out.push('"');
    for piece in pieces(text) {
        work.spend(piece.len())?;
        write_escaped(out, piece);
    }
    out.push('"');
    Ok(())
}

/// Appends a part of a string, with escapes.
fn write_escaped(out: &mut String, text: &str) {
    let is_special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    let mut rest = text;
    while let Some(at) = rest.as_bytes().iter().position(is_special) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x0C => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

fn write_scalar(
    out: &mut String,
    tag: Tag,
    reader: &mut Reader<'_>,
    work: &Work<'_>,
) -> Result<()> {
    match tag {
        Tag::String => write_quoted(out, reader.text()?, work)?,
        Tag::Negative => number::write(out, reader, true)?,
        Tag::Positive => number::write(out, reader, false)?,
        Tag::Zero => out.push('0'),
        Tag::True => out.push_str("true"),
        Tag::False => out.push_str("false"),
        _ => out.push_str("null"),
    }
    Ok(())
}

fn break_line(out: &mut String, layout: Layout, depth: usize, work: &Work<'_>) -> Result<()> {
    if layout == Layout::Pretty {
        work.spend(depth)?;
        work.reach(out.len() + INDENT.len() * depth)?;
        out.push('\n');
        out.extend(std::iter::repeat_n(INDENT, depth));
    }
    Ok(())
}

/// Appends a value.
///
/// # Errors
/// XX001 where the bytes are none.
pub(super) fn write(out: &mut String, value: &[u8], layout: Layout, work: &Work<'_>) -> Result<()> {
    let mut reader = Reader::new(value);
    let mut open: Vec<Open> = Vec::new();
    loop {
        work.spend(MEMBER_WORK)?;
        work.reach(out.len())?;
        let (is_object, left) = match reader.tag()? {
            Tag::Nothing => (false, Some(0)),
            Tag::Array => (false, Some(reader.count()?)),
            Tag::Object => (true, Some(reader.count()?)),
            tag => {
                write_scalar(out, tag, &mut reader, work)?;
                (false, None)
            }
        };
        if let Some(left) = left {
            out.push(if is_object { '{' } else { '[' });
            open.push(Open {
                is_object,
                is_first: true,
                left,
            });
        }
        close(out, &mut open, layout, work)?;
        if !next_member(out, &mut open, layout, &mut reader, work)? {
            break;
        }
    }
    match reader.rest() {
        [] => Ok(()),
        _ => Err(reader.corrupted()),
    }
}

/// Ends the containers that have nothing left.
fn close(out: &mut String, open: &mut Vec<Open>, layout: Layout, work: &Work<'_>) -> Result<()> {
    while let Some(Open {
        left: 0, is_object, ..
    }) = open.last()
    {
        let end = if *is_object { '}' } else { ']' };
        open.pop();
        break_line(out, layout, open.len(), work)?;
        out.push(end);
    }
    Ok(())
}

/// What stands before the next value; false where there is none.
fn next_member(
    out: &mut String,
    open: &mut [Open],
    layout: Layout,
    reader: &mut Reader<'_>,
    work: &Work<'_>,
) -> Result<bool> {
    let depth = open.len();
    let Some(container) = open.last_mut() else {
        return Ok(false);
    };
    if !container.is_first {
        out.push_str(if layout == Layout::Tight { ", " } else { "," });
    }
    break_line(out, layout, depth, work)?;
    container.is_first = false;
    container.left -= 1;
    if container.is_object {
        if reader.tag()? != Tag::String {
            return Err(reader.corrupted());
        }
        write_quoted(out, reader.text()?, work)?;
        out.push_str(": ");
    }
    Ok(true)
}

/// A value as text.
pub(super) fn to_string(value: &[u8], layout: Layout, work: &Work<'_>) -> Result<String> {
    let mut out = String::with_capacity(value.len() + value.len() / 4);
    write(&mut out, value, layout, work)?;
    Ok(out)
}

/// A value as `->>` gives it: a string without quotes, `None` for null.
pub(super) fn to_text(value: &[u8], work: &Work<'_>) -> Result<Option<String>> {
    match view(value)? {
        View::Scalar(Tag::Null, _) => Ok(None),
        View::Scalar(Tag::String, mut reader) => Ok(Some(reader.text()?.to_owned())),
        _ => to_string(value, Layout::Tight, work).map(Some),
    }
}

/// The kind of a value, as `jsonb_typeof` names it.
pub(super) fn type_name(value: &[u8]) -> Result<&'static str> {
    Ok(match view(value)? {
        View::Array(Members { .. }) => "array",
        View::Object(_) => "object",
        View::Scalar(Tag::Null, _) => "null",
        View::Scalar(Tag::String, _) => "string",
        View::Scalar(Tag::True | Tag::False, _) => "boolean",
        View::Scalar(..) => "number",
    })
}
