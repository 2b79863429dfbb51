//! What `json_to_record` and `json_to_recordset` ask of the documents that they read rows from.

use super::invalid;
use super::lex::{Escapes, Kind};
use super::packed::{View, view};
use super::tape::{self, Place};
use super::write::{self, Layout};
use crate::error::{Error, Result};
use crate::function::kernel::function;
use crate::function::native::{Boolean, Json, Jsonb, SqlType, Text};
use crate::function::{EvalContext, Overload, Work};
use remora_storage::value::ARRAY_DIMENSIONS_MAX;
use remora_storage::{Value, ValueRef};

/// All overloads of this file.
pub(in crate::function) static FUNCTIONS: &[&[Overload]] = &[&[
    function!(strict row "record_object"(Json, Boolean) -> Json,
        "The object that a row is read from; whether it is one of a set.", json_object),
    function!(strict row "record_object"(Jsonb, Boolean) -> Jsonb,
        "The object that a row is read from; whether it is one of a set.", jsonb_object),
    function!(strict row "record_array"(Json, Text) -> Text,
        "An array in such an object, of this key, as SQL writes arrays.", json_array),
    function!(strict row "record_array"(Jsonb, Text) -> Text,
        "An array in such an object, of this key, as SQL writes arrays.", jsonb_array),
]];

/// The work of an element beside that over its bytes.
const ELEMENT_WORK: usize = 16;

fn no_object(is_set: bool, kind: &str, is_array: bool) -> Error {
    match (is_set, is_array) {
        (true, _) => invalid(format!(
            "argument of {kind}_to_recordset must be an array of objects"
        )),
        (false, true) => invalid("cannot call populate_composite on an array"),
        (false, false) => invalid("cannot call populate_composite on a scalar"),
    }
}

fn json_object(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let tape = tape::read(Json::of(arguments[0]), Escapes::Meaning, work)?;
    match tape.root().kind() {
        Kind::ObjectStart => Ok(arguments[0].to_owned()),
        kind => {
            let is_array = kind == Kind::ArrayStart;
            Err(no_object(Boolean::of(arguments[1]), "json", is_array))
        }
    }
}

fn jsonb_object(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    match view(Jsonb::of(arguments[0]))? {
        View::Object(_) => Ok(arguments[0].to_owned()),
        View::Array(_) => Err(no_object(Boolean::of(arguments[1]), "jsonb", true)),
        View::Scalar(..) => Err(no_object(Boolean::of(arguments[1]), "jsonb", false)),
    }
}

fn json_array(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    array(Json::of(arguments[0]), Text::of(arguments[1]), work)
}

fn jsonb_array(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let text = write::to_string(Jsonb::of(arguments[0]), Layout::Tight, work)?;
    array(&text, Text::of(arguments[1]), work)
}

fn array(document: &str, key: &str, work: &Work<'_>) -> Result<Value> {
    let tape = tape::read(document, Escapes::Meaning, work)?;
    let root = tape.root();
    match root.kind() {
        Kind::Null => return Ok(Value::Null),
        Kind::String => return Ok(Value::Text(root.string()?.into_owned())),
        Kind::ArrayStart => {}
        _ => {
            return Err(expected_array().with_hint(format!("See the value of key \"{key}\".")));
        }
    }
    // The first elements say how many dimensions there are.
    let (mut dimensions, mut first) = (1, root.elements().next());
    while let Some(place) = first.filter(|place| place.kind() == Kind::ArrayStart) {
        dimensions += 1;
        if dimensions > ARRAY_DIMENSIONS_MAX {
            return Err(crate::function::array_too_deep(dimensions));
        }
        first = place.elements().next();
    }
    let mut out = String::with_capacity(document.len());
    write_array(&mut out, root, key, dimensions, work)?;
    Ok(Value::Text(out))
}

fn expected_array() -> Error {
    sql_error!(INVALID_TEXT_REPRESENTATION, "expected JSON array")
}

/// Appends an array of so many dimensions, which are few.
fn write_array(
    out: &mut String,
    array: Place<'_>,
    key: &str,
    dimensions: usize,
    work: &Work<'_>,
) -> Result<()> {
    out.push('{');
    for (at, element) in array.elements().enumerate() {
        work.spend(ELEMENT_WORK + element.text().len())?;
        if at > 0 {
            out.push(',');
        }
        match (dimensions > 1, element.kind()) {
            (true, Kind::ArrayStart) => write_array(out, element, key, dimensions - 1, work)?,
            (true, _) => {
                let hint = format!("See the array element [{at}] of key \"{key}\".");
                return Err(expected_array().with_hint(hint));
            }
            (false, Kind::Null) => out.push_str("NULL"),
            (false, Kind::String) => write_quoted(out, &element.string()?),
            (false, _) => write_quoted(out, element.text()),
        }
    }
    out.push('}');
    Ok(())
}

/// An element as arrays have it, in quotes.
fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
