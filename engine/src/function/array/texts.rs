//! Between arrays and delimited texts.

use super::{ARRAY, ELEMENT_WORK, TEXT, TEXTS, array_at, builder_of, push};
use crate::error::Result;
use crate::function::Volatility::Stable;
use crate::function::kernel::function;
use crate::function::string::Occurrences;
use crate::function::{GenericCall, Overload, Work, text};
use remora_storage::{Value, ValueRef};

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "array_to_string"(ARRAY, TEXT) -> TEXT,
        "The elements as texts, with a delimiter between.", join)
    .volatility(Stable),
    function!(generic "array_to_string"(ARRAY, TEXT, TEXT) -> TEXT,
        "The elements as texts, with a delimiter between and a word for NULL.", join)
    .volatility(Stable),
    function!(generic "string_to_array"(TEXT, TEXT) -> TEXTS, "The parts of a text between delimiters.",
        split),
    function!(generic "string_to_array"(TEXT, TEXT, TEXT) -> TEXTS,
        "The parts of a text between delimiters; those that are the last argument are NULL.", split),
];

fn text_at<'a>(call: &GenericCall<'a>, at: usize) -> Option<&'a str> {
    match call.values.get(at) {
        Some(ValueRef::Text(text)) => Some(text),
        _ => None,
    }
}

fn join(call: &GenericCall<'_>) -> Result<Value> {
    let (false, Some(delimiter)) = (call.values[0].is_null(), text_at(call, 1)) else {
        return Ok(Value::Null);
    };
    let word = text_at(call, 2);
    let array = array_at(call.values, 0);
    let mut out = String::new();
    let mut is_first = true;
    let work = Work::new(call.context);
    for value in array.iter() {
        work.spend(ELEMENT_WORK)?;
        if value.is_null() && word.is_none() {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push_str(delimiter);
        }
        match word {
            Some(word) if value.is_null() => out.push_str(word),
            _ => {
                let style = call.context.style();
                text::write_counted(&mut out, value, array.element_type(), style, &work)?;
            }
        }
        work.reach(out.len())?;
    }
    Ok(Value::Text(out))
}

fn split(call: &GenericCall<'_>) -> Result<Value> {
    let Some(whole) = text_at(call, 0) else {
        return Ok(Value::Null);
    };
    let word = text_at(call, 2);
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    parts(whole, text_at(call, 1), &work, |part| {
        let value = if word == Some(part) {
            ValueRef::Null
        } else {
            ValueRef::Text(part)
        };
        push(&mut builder, value, &work)
    })?;
    Ok(builder.finish_list())
}

/// The parts between delimiters: each character where there is none, all where it is empty, none of nothing.
pub(crate) fn parts<'t>(
    whole: &'t str,
    delimiter: Option<&str>,
    work: &Work<'_>,
    mut each: impl FnMut(&'t str) -> Result<()>,
) -> Result<()> {
    match delimiter {
        _ if whole.is_empty() => Ok(()),
        None => whole
            .char_indices()
            .try_for_each(|(at, c)| each(&whole[at..at + c.len_utf8()])),
        Some("") => each(whole),
        Some(delimiter) => {
            let mut from = 0;
            for at in Occurrences::of(delimiter, whole, work) {
                let at = at?;
                each(&whole[from..at])?;
                from = at + delimiter.len();
            }
            each(&whole[from..])
        }
    }
}
