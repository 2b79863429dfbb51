//! The elements of arrays, their subscripts, and the parts of texts, as rows.

use super::super::array::{PARTS_MAX, TEXTS, parts, too_large};
use super::super::regex::{all_groups, split_parts};
use super::super::{EvalContext, Generic, Pattern, Work};
use super::{StartRows, TableFunction, TableRows};
use crate::error::Result;
use remora_storage::value::{ColumnBuilder, Dimension, SqlArray};
use remora_storage::{DataType, Value, ValueRef};
use std::ops::Range;

/// The work of a part beside that over its bytes.
const PART_WORK: usize = 32;
const INTEGER: Pattern = Pattern::Is(DataType::Integer);
const TEXT: DataType = DataType::Text;
const TEXT_IS: Pattern = Pattern::Is(TEXT);

const fn generic(
    name: &'static str,
    arguments: &'static [Pattern],
    returns: Pattern,
    start: StartRows,
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
    start: StartRows,
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

/// Appends what is left, as far as it is wanted; how many that are.
fn hand_out<'v>(rest: impl Iterator<Item = ValueRef<'v>>, column: &mut ColumnBuilder) -> usize {
    let mut given = 0;
    for value in rest {
        column.push(value);
        given += 1;
    }
    given
}

/// An array, or the ranges of a multirange, which are one.
fn array_of(value: &Value) -> SqlArray<'_> {
    let value = value.as_ref();
    value.as_array().or(value.as_ranges()).unwrap_or_default()
}

fn unnest(arguments: &[Value], _: &EvalContext) -> Result<Box<dyn TableRows>> {
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
        let rest = self.rest.by_ref().take(wanted);
        Ok(hand_out(rest.map(|at| array.get(at)), &mut rows[0]))
    }
}

/// Numbers from one to another.
#[derive(Debug)]
struct Subscripts {
    rest: Range<i64>,
    reverse: bool,
}

fn subscripts(arguments: &[Value], _: &EvalContext) -> Result<Box<dyn TableRows>> {
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
        let next = || match self.reverse {
            true => self.rest.next_back(),
            false => self.rest.next(),
        };
        let rest = std::iter::from_fn(next).take(wanted);
        let subscripts = rest.map(|subscript| ValueRef::Integer(subscript as i32));
        Ok(hand_out(subscripts, &mut rows[0]))
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

fn split(arguments: &[Value], context: &EvalContext) -> Result<Box<dyn TableRows>> {
    let whole = text_at(arguments, 0).unwrap_or_default();
    let mut rest = Vec::new();
    let work = Work::new(context);
    parts(whole, text_at(arguments, 1), &work, |part| {
        work.spend(PART_WORK + part.len())?;
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

fn split_by_pattern(arguments: &[Value], context: &EvalContext) -> Result<Box<dyn TableRows>> {
    let text = |at| text_at(arguments, at).unwrap_or_default();
    let parts = split_parts(text(0), text(1), text(2), "regexp_split_to_table", context)?;
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
        let rest = std::iter::from_fn(|| self.rest.pop()).take(wanted);
        let text = |part| ValueRef::Text(&self.text[part]);
        let parts = rest.map(|part| part.map_or(ValueRef::Null, text));
        Ok(hand_out(parts, &mut rows[0]))
    }
}

/// Values that were all made when the call began, the last one first.
#[derive(Debug)]
struct Values(Vec<Value>);

fn matches(arguments: &[Value], context: &EvalContext) -> Result<Box<dyn TableRows>> {
    let text = |at| text_at(arguments, at).unwrap_or_default();
    let mut found = all_groups(text(0), text(1), text(2), context)?;
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
        let from = self.0.len().saturating_sub(wanted);
        let given: Vec<Value> = self.0.drain(from..).rev().collect();
        Ok(hand_out(given.iter().map(Value::as_ref), &mut rows[0]))
    }
}
