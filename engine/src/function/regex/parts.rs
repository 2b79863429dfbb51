//! What regular expressions cut out of texts: the groups of matches, and what stands between matches.

use super::matches::{Matches, one_match, single};
use super::{Flags, Groups, compiled};
use crate::error::Result;
use crate::function::array::{PARTS_MAX, TEXT, TEXTS, builder_of, push, too_large};
use crate::function::kernel::function;
use crate::function::{EvalContext, GenericCall, Overload, Work};
use remora_storage::limits::VALUE_BYTES_MAX;
use remora_storage::value::{ElementType, SqlArrayBuilder};
use remora_storage::{DataType, Value, ValueRef};
use std::ops::Range;

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "regexp_match"(TEXT, TEXT) -> TEXTS, "The groups of the first match.",
        first_groups),
    function!(strict generic "regexp_match"(TEXT, TEXT, TEXT) -> TEXTS, "The groups of the first match.",
        first_groups),
    function!(strict generic "regexp_split_to_array"(TEXT, TEXT) -> TEXTS, "What stands between matches.",
        split),
    function!(strict generic "regexp_split_to_array"(TEXT, TEXT, TEXT) -> TEXTS,
        "What stands between matches.", split),
];

fn text_at<'a>(values: &[ValueRef<'a>], at: usize) -> &'a str {
    match values.get(at) {
        Some(ValueRef::Text(text)) => text,
        _ => "",
    }
}

/// The groups of a match, or all of it where there are none.
fn groups_of(text: &str, groups: &Groups) -> Value {
    let wanted = if groups.len() > 1 {
        &groups[1..]
    } else {
        &groups[..]
    };
    let element = ElementType::new(DataType::Text).expect("no array");
    let mut builder = SqlArrayBuilder::new(element);
    for group in wanted {
        builder.push(
            group
                .clone()
                .map_or(ValueRef::Null, |group| ValueRef::Text(&text[group])),
        );
    }
    builder.finish_list()
}

fn first_groups(call: &GenericCall<'_>) -> Result<Value> {
    let (text, pattern) = (text_at(call.values, 0), text_at(call.values, 1));
    let flags = Flags::parse(text_at(call.values, 2), call.context)?;
    let flags = one_match(flags, "regexp_match")
        .map_err(|error| error.with_hint("Use the regexp_matches function instead."))?;
    let (regex, work) = (compiled(pattern, flags)?, Work::new(call.context));
    let found = Matches::from(regex.over(text, &work), 1)
        .next()
        .transpose()?;
    Ok(found.map_or(Value::Null, |groups| groups_of(text, &groups)))
}

/// The groups of the first match, or with `g` of every one (`regexp_matches`).
pub(in crate::function) fn all_groups(
    text: &str,
    pattern: &str,
    letters: &str,
    context: &EvalContext,
) -> Result<Vec<Value>> {
    let flags = Flags::parse(letters, context)?;
    let regex = compiled(pattern, flags)?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    let work = Work::new(context);
    for groups in Matches::from(regex.over(text, &work), 1) {
        let groups = groups_of(text, &groups?);
        bytes += size_of::<Value>() + groups.as_ref().bytes().map_or(0, <[u8]>::len);
        if bytes > VALUE_BYTES_MAX {
            return Err(too_large());
        }
        work.reach(bytes)?;
        found.push(groups);
        if !flags.global {
            break;
        }
    }
    Ok(found)
}

/// What stands between matches, before the first and behind the last. A match of nothing counts only where it is
/// neither at an end of the text nor where the match before has ended.
pub(in crate::function) fn split_parts(
    text: &str,
    pattern: &str,
    letters: &str,
    function: &str,
    context: &EvalContext,
) -> Result<Vec<Range<usize>>> {
    let regex = compiled(pattern, single(letters, function, context)?)?;
    let mut parts = Vec::new();
    let (mut start, mut last_end) = (0, 0);
    let work = Work::new(context);
    for groups in Matches::from(regex.over(text, &work), 1) {
        let Some(found) = groups?.first().cloned().flatten() else {
            break;
        };
        if found.start < text.len() && found.end > last_end {
            if parts.len() == PARTS_MAX {
                return Err(too_large());
            }
            work.reach(parts.len() * size_of::<Range<usize>>())?;
            parts.push(start..found.start);
            start = found.end;
        }
        last_end = found.end;
    }
    parts.push(start..text.len());
    Ok(parts)
}

fn split(call: &GenericCall<'_>) -> Result<Value> {
    let text = text_at(call.values, 0);
    let (pattern, letters) = (text_at(call.values, 1), text_at(call.values, 2));
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for part in split_parts(
        text,
        pattern,
        letters,
        "regexp_split_to_array",
        call.context,
    )? {
        push(&mut builder, ValueRef::Text(&text[part]), &work)?;
    }
    Ok(builder.finish_list())
}
