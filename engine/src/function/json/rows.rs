//! Members of JSON and JSONB as rows: `json_each`, `json_array_elements`, `json_object_keys` and their kin.
//!
//! All rows are made when a call begins, as columns: so they are few pieces of memory, however many rows there are.

use super::change::{all_elements, all_pairs};
use super::invalid;
use super::lex::{Escapes, Kind};
use super::packed::{View, lift, view};
use super::sql::{json, json_text, jsonb, jsonb_text};
use super::tape::{self, Place};
use crate::error::Result;
use crate::function::native::{Json, Jsonb, SqlType};
use crate::function::table::{TableFunction, TableRows};
use crate::function::{EvalContext, Work, owned_bytes};
use arrow_array::ArrayRef;
use remora_storage::value::{ColumnBuilder, PackedType, value_at};
use remora_storage::{DataType, Value};

/// Rows that are given one behind the other.
#[derive(Debug)]
struct Rows {
    columns: Vec<(DataType, ArrayRef)>,
    count: usize,
    given: usize,
}

impl TableRows for Rows {
    fn next(
        &mut self,
        wanted: usize,
        columns: &mut [ColumnBuilder],
        context: &EvalContext,
    ) -> Result<usize> {
        let before = self.given;
        while self.given < self.count.min(before + wanted) {
            context.check()?;
            for (column, (data_type, array)) in columns.iter_mut().zip(&self.columns) {
                column.push(value_at(array, *data_type, self.given));
            }
            self.given += 1;
        }
        Ok(self.given - before)
    }
}

/// How a value is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Document,
    Text,
}

impl Form {
    /// The type of values that are documents of one.
    fn of(self, document: DataType) -> DataType {
        match self {
            Self::Document => document,
            Self::Text => TEXT,
        }
    }
}

/// The work of a row beside that over its bytes, and the bytes that it takes beside those of its values: its members are
/// listed before.
const ROW_WORK: usize = 64;
const ROW_BYTES: usize = 48;

/// Rows in the making.
struct Made<'c> {
    columns: Vec<(DataType, ColumnBuilder)>,
    count: usize,
    bytes: usize,
    work: Work<'c>,
}

impl<'c> Made<'c> {
    fn of(types: &[DataType], context: &'c EvalContext) -> Self {
        let column = |data_type: &DataType| (*data_type, ColumnBuilder::new(*data_type, 0));
        Self {
            columns: types.iter().map(column).collect(),
            count: 0,
            bytes: 0,
            work: Work::new(context),
        }
    }

    fn row(&mut self, values: &[Value]) -> Result<()> {
        self.bytes += ROW_BYTES + values.iter().map(owned_bytes).sum::<usize>();
        self.work.spend(ROW_WORK)?;
        self.work.reach(self.bytes)?;
        for ((_, column), value) in self.columns.iter_mut().zip(values) {
            column.push(value.as_ref());
        }
        self.count += 1;
        Ok(())
    }

    fn finish(self) -> Box<dyn TableRows> {
        let columns = self.columns.into_iter();
        let columns = columns.map(|(data_type, mut column)| (data_type, column.finish()));
        Box::new(Rows {
            columns: columns.collect(),
            count: self.count,
            given: 0,
        })
    }
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

fn of_jsonb(value: &[u8], form: Form, work: &Work<'_>) -> Result<Value> {
    match form {
        Form::Document => Ok(jsonb(Some(lift(value)))),
        Form::Text => jsonb_text(Some(value), work),
    }
}

fn json_pairs(
    arguments: &[Value],
    context: &EvalContext,
    form: Form,
) -> Result<Box<dyn TableRows>> {
    let work = &Work::new(context);
    let tape = tape::read(Json::of(arguments[0].as_ref()), Escapes::Meaning, work)?;
    match tape.root().kind() {
        Kind::ObjectStart => {}
        Kind::ArrayStart => return Err(invalid("cannot deconstruct an array as an object")),
        _ => return Err(invalid("cannot deconstruct a scalar")),
    }
    let mut made = Made::of(&[TEXT, form.of(JSON)], context);
    for (name, value) in tape.root().pairs() {
        made.row(&[key(&name.string()?), of_json(value, form)?])?;
    }
    Ok(made.finish())
}

fn jsonb_pairs(
    arguments: &[Value],
    context: &EvalContext,
    function: &str,
    form: Form,
) -> Result<Box<dyn TableRows>> {
    let work = &Work::new(context);
    let View::Object(members) = view(Jsonb::of(arguments[0].as_ref()))? else {
        return Err(invalid(format!("cannot call {function} on a non-object")));
    };
    let mut made = Made::of(&[TEXT, form.of(JSONB)], context);
    for (name, value) in all_pairs(members, work)? {
        made.row(&[key(name), of_jsonb(value, form, work)?])?;
    }
    Ok(made.finish())
}

fn json_elements(
    arguments: &[Value],
    context: &EvalContext,
    function: &str,
    form: Form,
) -> Result<Box<dyn TableRows>> {
    let work = &Work::new(context);
    let tape = tape::read(Json::of(arguments[0].as_ref()), Escapes::Meaning, work)?;
    match tape.root().kind() {
        Kind::ArrayStart => {}
        Kind::ObjectStart => {
            return Err(invalid(format!("cannot call {function} on a non-array")));
        }
        _ => return Err(invalid(format!("cannot call {function} on a scalar"))),
    }
    let mut made = Made::of(&[form.of(JSON)], context);
    for value in tape.root().elements() {
        made.row(&[of_json(value, form)?])?;
    }
    Ok(made.finish())
}

fn jsonb_elements(
    arguments: &[Value],
    context: &EvalContext,
    form: Form,
) -> Result<Box<dyn TableRows>> {
    let work = &Work::new(context);
    match view(Jsonb::of(arguments[0].as_ref()))? {
        View::Array(members) => {
            let mut made = Made::of(&[form.of(JSONB)], context);
            for value in all_elements(members, work)? {
                made.row(&[of_jsonb(value, form, work)?])?;
            }
            Ok(made.finish())
        }
        View::Object(_) => Err(invalid("cannot extract elements from an object")),
        View::Scalar(..) => Err(invalid("cannot extract elements from a scalar")),
    }
}

fn json_keys(arguments: &[Value], context: &EvalContext) -> Result<Box<dyn TableRows>> {
    let work = &Work::new(context);
    let tape = tape::read(Json::of(arguments[0].as_ref()), Escapes::Meaning, work)?;
    match tape.root().kind() {
        Kind::ObjectStart => {}
        Kind::ArrayStart => return Err(invalid("cannot call json_object_keys on an array")),
        _ => return Err(invalid("cannot call json_object_keys on a scalar")),
    }
    let mut made = Made::of(&[TEXT], context);
    for (name, _) in tape.root().pairs() {
        made.row(&[key(&name.string()?)])?;
    }
    Ok(made.finish())
}

fn jsonb_keys(arguments: &[Value], context: &EvalContext) -> Result<Box<dyn TableRows>> {
    let work = &Work::new(context);
    match view(Jsonb::of(arguments[0].as_ref()))? {
        View::Object(members) => {
            let mut made = Made::of(&[TEXT], context);
            for (name, _) in all_pairs(members, work)? {
                made.row(&[key(name)])?;
            }
            Ok(made.finish())
        }
        View::Array(_) => Err(invalid("cannot call jsonb_object_keys on an array")),
        View::Scalar(..) => Err(invalid("cannot call jsonb_object_keys on a scalar")),
    }
}

const TEXT: DataType = DataType::Text;
const JSON: DataType = DataType::Json;
const JSONB: DataType = DataType::Packed(PackedType::Jsonb);

type Start = fn(&[Value], &EvalContext) -> Result<Box<dyn TableRows>>;
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
        |a, c| json_pairs(a, c, Form::Document),
        PAIRS,
    ),
    of(
        "json_each_text",
        &[JSON],
        &[("key", TEXT), ("value", TEXT)],
        |a, c| json_pairs(a, c, Form::Text),
        PAIRS_AS_TEXT,
    ),
    of(
        "jsonb_each",
        &[JSONB],
        &[("key", TEXT), ("value", JSONB)],
        |a, c| jsonb_pairs(a, c, "jsonb_each", Form::Document),
        PAIRS,
    ),
    of(
        "jsonb_each_text",
        &[JSONB],
        &[("key", TEXT), ("value", TEXT)],
        |a, c| jsonb_pairs(a, c, "jsonb_each_text", Form::Text),
        PAIRS_AS_TEXT,
    ),
    of(
        "json_array_elements",
        &[JSON],
        &[("value", JSON)],
        |a, c| json_elements(a, c, "json_array_elements", Form::Document),
        ELEMENTS,
    ),
    of(
        "json_array_elements_text",
        &[JSON],
        &[("value", TEXT)],
        |a, c| json_elements(a, c, "json_array_elements_text", Form::Text),
        ELEMENTS_AS_TEXT,
    ),
    of(
        "jsonb_array_elements",
        &[JSONB],
        &[("value", JSONB)],
        |a, c| jsonb_elements(a, c, Form::Document),
        ELEMENTS,
    ),
    of(
        "jsonb_array_elements_text",
        &[JSONB],
        &[("value", TEXT)],
        |a, c| jsonb_elements(a, c, Form::Text),
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
