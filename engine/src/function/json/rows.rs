//! Members of JSON and JSONB as rows: `json_each`, `json_array_elements`, `json_object_keys` and their kin.
//!
//! All rows are made when a call begins and given from the last, so that each is freed as soon as it is taken.

use super::change::{all_elements, all_pairs};
use super::invalid;
use super::lex::{Escapes, Kind};
use super::packed::{View, lift, view};
use super::sql::{json, json_text, jsonb, jsonb_text};
use super::tape::{self, Place};
use crate::error::Result;
use crate::function::EvalContext;
use crate::function::native::{Json, Jsonb, SqlType};
use crate::function::table::{TableFunction, TableRows};
use remora_storage::value::ColumnBuilder;
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value};

/// Rows that are still to be given, the next one last.
#[derive(Debug)]
struct Waiting(Vec<Vec<Value>>);

impl TableRows for Waiting {
    fn next(
        &mut self,
        wanted: usize,
        columns: &mut [ColumnBuilder],
        context: &EvalContext,
    ) -> Result<usize> {
        for given in 0..wanted {
            context.check()?;
            let Some(row) = self.0.pop() else {
                return Ok(given);
            };
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value.as_ref());
            }
        }
        Ok(wanted)
    }
}

fn rows(mut all: Vec<Vec<Value>>) -> Result<Box<dyn TableRows>> {
    all.reverse();
    Ok(Box::new(Waiting(all)))
}

/// How a value is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Document,
    Text,
}

fn key(name: &str) -> Value {
    Value::Text(name.to_owned())
}

fn of_json(place: Place<'_>, form: Form) -> Result<Value> {
    match form {
        Form::Document => Ok(json(Some(place))),
        Form::Text => json_text(Some(place)),
    }
}

fn of_jsonb(value: &[u8], form: Form) -> Result<Value> {
    match form {
        Form::Document => Ok(jsonb(Some(lift(value)))),
        Form::Text => jsonb_text(Some(value)),
    }
}

fn json_pairs(arguments: &[Value], form: Form) -> Result<Box<dyn TableRows>> {
    let tape = tape::read(Json::of(arguments[0].as_ref()), Escapes::Meaning)?;
    match tape.root().kind() {
        Kind::ObjectStart => {}
        Kind::ArrayStart => return Err(invalid("cannot deconstruct an array as an object")),
        _ => return Err(invalid("cannot deconstruct a scalar")),
    }
    let pairs = tape.root().pairs();
    let pairs = pairs.map(|(name, value)| Ok(vec![key(&name.string()?), of_json(value, form)?]));
    rows(pairs.collect::<Result<_>>()?)
}

fn jsonb_pairs(arguments: &[Value], function: &str, form: Form) -> Result<Box<dyn TableRows>> {
    let View::Object(members) = view(Jsonb::of(arguments[0].as_ref()))? else {
        return Err(invalid(format!("cannot call {function} on a non-object")));
    };
    let pairs = all_pairs(members)?.into_iter();
    let pairs = pairs.map(|(name, value)| Ok(vec![key(name), of_jsonb(value, form)?]));
    rows(pairs.collect::<Result<_>>()?)
}

fn json_elements(arguments: &[Value], function: &str, form: Form) -> Result<Box<dyn TableRows>> {
    let tape = tape::read(Json::of(arguments[0].as_ref()), Escapes::Meaning)?;
    match tape.root().kind() {
        Kind::ArrayStart => {}
        Kind::ObjectStart => {
            return Err(invalid(format!("cannot call {function} on a non-array")));
        }
        _ => return Err(invalid(format!("cannot call {function} on a scalar"))),
    }
    let elements = tape.root().elements();
    let elements = elements.map(|value| Ok(vec![of_json(value, form)?]));
    rows(elements.collect::<Result<_>>()?)
}

fn jsonb_elements(arguments: &[Value], form: Form) -> Result<Box<dyn TableRows>> {
    match view(Jsonb::of(arguments[0].as_ref()))? {
        View::Array(members) => {
            let elements = all_elements(members)?.into_iter();
            let elements = elements.map(|value| Ok(vec![of_jsonb(value, form)?]));
            rows(elements.collect::<Result<_>>()?)
        }
        View::Object(_) => Err(invalid("cannot extract elements from an object")),
        View::Scalar(..) => Err(invalid("cannot extract elements from a scalar")),
    }
}

fn json_keys(arguments: &[Value]) -> Result<Box<dyn TableRows>> {
    let tape = tape::read(Json::of(arguments[0].as_ref()), Escapes::Meaning)?;
    match tape.root().kind() {
        Kind::ObjectStart => {}
        Kind::ArrayStart => return Err(invalid("cannot call json_object_keys on an array")),
        _ => return Err(invalid("cannot call json_object_keys on a scalar")),
    }
    let keys = tape.root().pairs();
    let keys = keys.map(|(name, _)| Ok(vec![key(&name.string()?)]));
    rows(keys.collect::<Result<_>>()?)
}

fn jsonb_keys(arguments: &[Value]) -> Result<Box<dyn TableRows>> {
    match view(Jsonb::of(arguments[0].as_ref()))? {
        View::Object(members) => {
            let keys = all_pairs(members)?.into_iter();
            rows(keys.map(|(name, _)| vec![key(name)]).collect())
        }
        View::Array(_) => Err(invalid("cannot call jsonb_object_keys on an array")),
        View::Scalar(..) => Err(invalid("cannot call jsonb_object_keys on a scalar")),
    }
}

const TEXT: DataType = DataType::Text;
const JSON: DataType = DataType::Json;
const JSONB: DataType = DataType::Packed(PackedType::Jsonb);

type Start = fn(&[Value]) -> Result<Box<dyn TableRows>>;
type Columns = &'static [(&'static str, DataType)];

const fn of(
    name: &'static str,
    arguments: &'static [DataType],
    columns: Columns,
    start: Start,
    doc: &'static str,
) -> TableFunction {
    TableFunction {
        name,
        arguments,
        returns: columns[0].1,
        columns: if columns[0].0.is_empty() {
            &[]
        } else {
            columns
        },
        generic: None,
        strict: true,
        start,
        doc,
    }
}

const PAIRS: &str = "The pairs of an object";
const PAIRS_AS_TEXT: &str = "The pairs of an object, values as text";
const ELEMENTS: &str = "The elements of an array";
const ELEMENTS_AS_TEXT: &str = "The elements of an array as text";
const KEYS: &str = "The keys of an object";

/// All table functions of this file.
pub(in crate::function) const FUNCTIONS: &[TableFunction] = &[
    of(
        "json_each",
        &[JSON],
        &[("key", TEXT), ("value", JSON)],
        |a| json_pairs(a, Form::Document),
        PAIRS,
    ),
    of(
        "json_each_text",
        &[JSON],
        &[("key", TEXT), ("value", TEXT)],
        |a| json_pairs(a, Form::Text),
        PAIRS_AS_TEXT,
    ),
    of(
        "jsonb_each",
        &[JSONB],
        &[("key", TEXT), ("value", JSONB)],
        |a| jsonb_pairs(a, "jsonb_each", Form::Document),
        PAIRS,
    ),
    of(
        "jsonb_each_text",
        &[JSONB],
        &[("key", TEXT), ("value", TEXT)],
        |a| jsonb_pairs(a, "jsonb_each_text", Form::Text),
        PAIRS_AS_TEXT,
    ),
    of(
        "json_array_elements",
        &[JSON],
        &[("value", JSON)],
        |a| json_elements(a, "json_array_elements", Form::Document),
        ELEMENTS,
    ),
    of(
        "json_array_elements_text",
        &[JSON],
        &[("value", TEXT)],
        |a| json_elements(a, "json_array_elements_text", Form::Text),
        ELEMENTS_AS_TEXT,
    ),
    of(
        "jsonb_array_elements",
        &[JSONB],
        &[("value", JSONB)],
        |a| jsonb_elements(a, Form::Document),
        ELEMENTS,
    ),
    of(
        "jsonb_array_elements_text",
        &[JSONB],
        &[("value", TEXT)],
        |a| jsonb_elements(a, Form::Text),
        ELEMENTS_AS_TEXT,
    ),
    of("json_object_keys", &[JSON], &[("", TEXT)], json_keys, KEYS),
    of(
        "jsonb_object_keys",
        &[JSONB],
        &[("", TEXT)],
        jsonb_keys,
        KEYS,
    ),
];
