//! The elements of arrays, their subscripts, and the parts of texts, as rows.

use super::super::array::{PARTS_MAX, TEXTS, parts, too_large};
use super::super::regex::{all_groups, split_parts};
use super::super::{EvalContext, Generic, Pattern};
use super::{TableFunction, TableRows};
use crate::error::Result;
use remora_storage::value::{ColumnBuilder, Dimension, SqlArray};
use remora_storage::{DataType, Value, ValueRef};
use std::ops::Range;

const INTEGER: Pattern = Pattern::Is(DataType::Integer);
const TEXT: DataType = DataType::Text;
const TEXT_IS: Pattern = Pattern::Is(TEXT);

const fn generic(
    name: &'static str,
    arguments: &'static [Pattern],
    returns: Pattern,
    start: fn(&[Value]) -> Result<Box<dyn TableRows>>,
    doc: &'static str,
) -> TableFunction {
    TableFunction {
        name,
        arguments: &[],
        returns: DataType::Text,
        columns: &[],
        generic: Some(Generic { arguments, returns }),
        strict: true,
        start,
        doc,
    }
}

/// One over texts.
const fn of_text(
    name: &'static str,
    arguments: &'static [DataType],
    start: fn(&[Value]) -> Result<Box<dyn TableRows>>,
    doc: &'static str,
) -> TableFunction {
    TableFunction {
        name,
        arguments,
        returns: DataType::Text,
        columns: &[],
        generic: None,
        strict: true,
        start,
        doc,
    }
}

/// One that is called with NULLs too.
const fn called_on_null(function: TableFunction) -> TableFunction {
    TableFunction {
        strict: false,
        ..function
    }
}

pub(super) const FUNCTIONS: &[TableFunction] = &[
    generic(
        "unnest",
        &[Pattern::Array],
        Pattern::Element,
        unnest,
        "The elements of an array",
    ),
    generic(
        "unnest",
        &[Pattern::Multirange],
        Pattern::Range,
        unnest,
        "The ranges of a multirange",
    ),
    generic(
        "generate_subscripts",
        &[Pattern::Array, INTEGER],
        INTEGER,
        subscripts,
        "The subscripts along a dimension",
    ),
    generic(
        "generate_subscripts",
        &[Pattern::Array, INTEGER, Pattern::Is(DataType::Boolean)],
        INTEGER,
        subscripts,
        "The subscripts along a dimension, perhaps in reverse",
    ),
    called_on_null(of_text(
        "string_to_table",
        &[TEXT, TEXT],
        split,
        "The parts of a text between delimiters",
    )),
    called_on_null(of_text(
        "string_to_table",
        &[TEXT, TEXT, TEXT],
        split,
        "The parts of a text between delimiters; those that are the last argument are NULL",
    )),
    of_text(
        "regexp_split_to_table",
        &[TEXT, TEXT],
        split_by_pattern,
        "What stands between matches of a regular expression",
    ),
    of_text(
        "regexp_split_to_table",
        &[TEXT, TEXT, TEXT],
        split_by_pattern,
        "What stands between matches of a regular expression",
    ),
    generic(
        "regexp_matches",
        &[TEXT_IS, TEXT_IS],
        TEXTS,
        matches,
        "The groups of the first match",
    ),
    generic(
        "regexp_matches",
        &[TEXT_IS, TEXT_IS, TEXT_IS],
        TEXTS,
        matches,
        "The groups of the first match, or with g of every one",
    ),
];

/// Rows that an array holds ready.
#[derive(Debug)]
struct Elements {
    array: Value,
    rest: Range<usize>,
}

/// An array, or the ranges of a multirange, which are one.
fn array_of(value: &Value) -> SqlArray<'_> {
    let value = value.as_ref();
    value.as_array().or(value.as_ranges()).unwrap_or_default()
}

fn unnest(arguments: &[Value]) -> Result<Box<dyn TableRows>> {
    Ok(Box::new(Elements {
        rest: 0..array_of(&arguments[0]).len(),
        array: arguments[0].clone(),
    }))
}

impl TableRows for Elements {
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut [ColumnBuilder],
        _: &EvalContext,
    ) -> Result<usize> {
        let array = array_of(&self.array);
        let given = wanted.min(self.rest.len());
        for at in self.rest.by_ref().take(given) {
            rows[0].push(array.get(at));
        }
        Ok(given)
    }
}

/// Numbers from one to another.
#[derive(Debug)]
struct Subscripts {
    rest: Range<i64>,
    reverse: bool,
}

fn subscripts(arguments: &[Value]) -> Result<Box<dyn TableRows>> {
    let number = match arguments[1] {
        Value::Integer(number) => usize::try_from(number).ok(),
        _ => None,
    };
    let dimension = number
        .and_then(|number| number.checked_sub(1))
        .and_then(|number| array_of(&arguments[0]).dimensions().nth(number));
    let Dimension { length, first } = dimension.unwrap_or(Dimension::of(0));
    Ok(Box::new(Subscripts {
        rest: i64::from(first)..i64::from(first) + i64::from(length),
        reverse: matches!(arguments.get(2), Some(Value::Boolean(true))),
    }))
}

impl TableRows for Subscripts {
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut [ColumnBuilder],
        _: &EvalContext,
    ) -> Result<usize> {
        for given in 0..wanted {
            let next = match self.reverse {
                true => self.rest.next_back(),
                false => self.rest.next(),
            };
            match next {
                Some(next) => rows[0].push(ValueRef::Integer(next as i32)),
                None => return Ok(given),
            }
        }
        Ok(wanted)
    }
}

/// Where the parts of a text are, the last one first; `None` for one that is NULL.
#[derive(Debug)]
struct Parts {
    text: String,
    rest: Vec<Option<Range<usize>>>,
}

fn text_at(arguments: &[Value], at: usize) -> Option<&str> {
    match arguments.get(at) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn split(arguments: &[Value]) -> Result<Box<dyn TableRows>> {
    let whole = text_at(arguments, 0).unwrap_or_default();
    let mut rest = Vec::new();
    parts(whole, text_at(arguments, 1), |part| {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        if rest.len() == PARTS_MAX {
            return Err(too_large());
        }
        rest.push((text_at(arguments, 2) != Some(part)).then_some(start..start + part.len()));
        Ok(())
    })?;
    rest.reverse();
    Ok(Box::new(Parts {
        text: whole.to_owned(),
        rest,
    }))
}

fn split_by_pattern(arguments: &[Value]) -> Result<Box<dyn TableRows>> {
    let text = |at| text_at(arguments, at).unwrap_or_default();
    let context = EvalContext::default();
    let parts = split_parts(text(0), text(1), text(2), "regexp_split_to_table", &context)?;
    Ok(Box::new(Parts {
        text: text(0).to_owned(),
        rest: parts.into_iter().rev().map(Some).collect(),
    }))
}

impl TableRows for Parts {
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut [ColumnBuilder],
        _: &EvalContext,
    ) -> Result<usize> {
        for given in 0..wanted {
            match self.rest.pop() {
                Some(part) => rows[0]
                    .push(part.map_or(ValueRef::Null, |part| ValueRef::Text(&self.text[part]))),
                None => return Ok(given),
            }
        }
        Ok(wanted)
    }
}

/// Values that were all made when the call began, the last one first.
#[derive(Debug)]
struct Values(Vec<Value>);

fn matches(arguments: &[Value]) -> Result<Box<dyn TableRows>> {
    let text = |at| text_at(arguments, at).unwrap_or_default();
    let mut found = all_groups(text(0), text(1), text(2), &EvalContext::default())?;
    found.reverse();
    Ok(Box::new(Values(found)))
}

impl TableRows for Values {
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut [ColumnBuilder],
        _: &EvalContext,
    ) -> Result<usize> {
        for given in 0..wanted {
            match self.0.pop() {
                Some(value) => rows[0].push(value.as_ref()),
                None => return Ok(given),
            }
        }
        Ok(wanted)
    }
}
