//! Operators and functions of JSON: a text is read, and parts of it are given as they are written.

use super::lex::{Escapes, Kind};
use super::sql::{json, json_text, key_of, spaced_object};
use super::strip::strip_text;
use super::tape::{self, Place, Tape};
use super::write::write_quoted;
use super::{arguments, invalid};
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::native::{Json, SqlType, Text};
use crate::function::{EvalContext, Overload, Work, check_size};
use remora_storage::{Value, ValueRef};

fn read<'a>(arguments: &[ValueRef<'a>], work: &'a Work<'a>) -> Result<Tape<'a>> {
    tape::read(Json::of(arguments[0]), Escapes::Meaning, work)
}

/// The value that the second argument names: a key, the number of an element, or a path.
fn part<'t>(tape: &'t Tape<'t>, step: ValueRef<'_>) -> Result<Option<Place<'t>>> {
    match step {
        ValueRef::Text(name) => tape.root().field(name),
        ValueRef::Integer(index) => Ok(tape.root().element(index.into())),
        path => match arguments::path(path, tape.work())? {
            Some(path) => tape.root().at_path(&path),
            None => Ok(None),
        },
    }
}

fn part_json(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    Ok(json(part(&read(arguments, work)?, arguments[1])?))
}

fn part_text(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    json_text(part(&read(arguments, work)?, arguments[1])?)
}

fn extract(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let steps: Vec<&str> = arguments[1..].iter().map(|step| Text::of(*step)).collect();
    Ok(json(read(arguments, work)?.root().at_path(&steps)?))
}

fn extract_text(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let steps: Vec<&str> = arguments[1..].iter().map(|step| Text::of(*step)).collect();
    json_text(read(arguments, work)?.root().at_path(&steps)?)
}

fn length(context: &EvalContext, text: &str) -> Result<i32> {
    let work = Work::new(context);
    let tape = tape::read(text, Escapes::Form, &work)?;
    match tape.root().kind() {
        Kind::ArrayStart => Ok(tape.root().members() as i32),
        Kind::ObjectStart => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    }
}

fn type_name(context: &EvalContext, text: &str) -> Result<String> {
    let work = Work::new(context);
    let tape = tape::read(text, Escapes::Form, &work)?;
    let name = match tape.root().kind() {
        Kind::ObjectStart => "object",
        Kind::ArrayStart => "array",
        Kind::String => "string",
        Kind::Number => "number",
        Kind::True | Kind::False => "boolean",
        _ => "null",
    };
    Ok(name.to_owned())
}

/// An argument as JSON, NULL as null.
fn or_null<'a>(value: &ValueRef<'a>) -> &'a str {
    match value {
        ValueRef::Null => "null",
        other => Json::of(*other),
    }
}

/// `json_build_object`: keys and values in turn, all as JSON.
fn build_object(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    if !arguments.len().is_multiple_of(2) {
        return Err(arguments::odd("json_build_object"));
    }
    let mut pairs = Vec::with_capacity(arguments.len() / 2);
    for (i, pair) in arguments.chunks_exact(2).enumerate() {
        let key = match pair[0] {
            ValueRef::Null => None,
            key => key_of(Json::of(key), work)?,
        };
        let key = key.ok_or_else(|| {
            invalid(format!("argument {} cannot be null", 2 * i + 1))
                .with_hint("Object keys should be text.")
        })?;
        pairs.push((key, or_null(&pair[1])));
    }
    let text = spaced_object(
        pairs.iter().map(|(key, value)| (key.as_str(), *value)),
        work,
    )?;
    check_size(Some(text.len()))?;
    Ok(Value::Text(text))
}

fn build_array(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let elements: Vec<&str> = arguments.iter().map(or_null).collect();
    let text = format!("[{}]", elements.join(", "));
    check_size(Some(text.len()))?;
    Ok(Value::Text(text))
}

fn empty_array(_: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    Ok(Value::Text("[]".to_owned()))
}

fn empty_object(_: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    Ok(Value::Text("{}".to_owned()))
}

/// `json_object`: strings from an array of keys and values in turn, or from one of each.
fn object(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let mut text = "{".to_owned();
    for (at, (key, value)) in arguments::text_pairs(arguments, work)?.iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        write_quoted(&mut text, key, work)?;
        text.push_str(" : ");
        match value {
            Some(value) => write_quoted(&mut text, value, work)?,
            None => text.push_str("null"),
        }
    }
    text.push('}');
    Ok(Value::Text(text))
}

static PARTS: &[Overload] = &[
    function!(strict row "->"(Json, Text) -> Json, "The value of a key.", part_json),
    function!(strict row "->"(Json, Integer) -> Json, "An element.", part_json),
    function!(strict row "->>"(Json, Text) -> Text, "The value of a key, as text.", part_text),
    function!(strict row "->>"(Json, Integer) -> Text, "An element, as text.", part_text),
    function!(strict row "#>"(Json, TextArray) -> Json, "The value at a path.", part_json),
    function!(strict row "#>>"(Json, TextArray) -> Text, "The value at a path, as text.", part_text),
    function!(strict row "json_extract_path"(Json, Text) -> Json, "The value at a path.", extract)
        .variadic(),
    function!(strict row "json_extract_path_text"(Json, Text) -> Text, "The value at a path, as text.",
        extract_text).variadic(),
];

static ABOUT: &[Overload] = &[
    function!(patient "json_array_length"(Json) -> Integer, "How many elements an array has.", length),
    function!(patient "json_typeof"(Json) -> Text, "The kind of a value.", type_name),
    function!(patient "json_strip_nulls"(Json) -> Json, "A value without pairs of null.", strip_text),
];

static MAKERS: &[Overload] = &[
    function!(row "json_build_object"() -> Json, "An object without pairs.", empty_object),
    function!(row "json_build_object"(Json) -> Json, "An object of keys and values.", build_object)
        .variadic(),
    function!(row "json_build_array"() -> Json, "An array without elements.", empty_array),
    function!(row "json_build_array"(Json) -> Json, "An array of values.", build_array).variadic(),
    function!(strict row "json_object"(TextArray) -> Json, "An object of strings.", object),
    function!(strict row "json_object"(TextArray, TextArray) -> Json, "An object of keys and strings.", object),
];

/// All overloads of this file.
pub(in crate::function) static FUNCTIONS: &[&[Overload]] = &[PARTS, ABOUT, MAKERS];
