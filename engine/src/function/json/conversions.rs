//! `to_json` and `to_jsonb` of every type.

use super::sql::as_json;
use super::tape;
use crate::error::Result;
use crate::function::Volatility::Stable;
use crate::function::kernel::function;
use crate::function::{EvalContext, GenericCall, Overload, Pattern, Work};
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value, ValueRef};

fn to_document(call: &GenericCall<'_>, document: DataType) -> Result<Value> {
    let style = call.context.style().of_json();
    let work = Work::new(call.context);
    as_json(call.values[0], call.types[0], document, &style, &work)
}

fn to_json(call: &GenericCall<'_>) -> Result<Value> {
    to_document(call, DataType::Json)
}

fn to_jsonb(call: &GenericCall<'_>) -> Result<Value> {
    to_document(call, DataType::Packed(PackedType::Jsonb))
}

fn row_on_lines(context: &EvalContext, row: &str, on_lines: bool) -> Result<String> {
    match on_lines {
        true => tape::on_lines(row, &Work::new(context)),
        false => Ok(row.to_owned()),
    }
}

static FUNCTIONS_OF_ANY: &[Overload] = &[
    function!(strict generic "to_json"(Pattern::Any) -> Pattern::Is(DataType::Json), "The value as JSON.",
        to_json).volatility(Stable),
    function!(strict generic "to_jsonb"(Pattern::Any) -> Pattern::Is(DataType::Packed(PackedType::Jsonb)),
        "The value as JSONB.", to_jsonb).volatility(Stable),
    function!(strict generic "array_to_json"(Pattern::Array) -> Pattern::Is(DataType::Json),
        "An array as JSON.", to_json).volatility(Stable),
    function!(strict generic "array_to_json"(Pattern::Array, Pattern::Is(DataType::Boolean)) -> Pattern::Is(DataType::Json),
        "An array as JSON, perhaps an element a line.",
        |call| match (
            to_json(call)?,
            call.values[1],
        ) {
            (Value::Text(text), ValueRef::Boolean(true)) => {
                tape::on_lines(&text, &Work::new(call.context)).map(Value::Text)
            }
            (json, _) => Ok(json),
        }).volatility(Stable),
];

static OF_ROWS: &[Overload] = &[
    // The binder has made JSON of the row.
    function!("row_to_json"(Json) -> Json, "A row as JSON.", |row| Ok(row.to_owned())),
    function!(patient "row_to_json"(Json, Boolean) -> Json, "A row as JSON, perhaps a column a line.",
        row_on_lines),
];

/// All overloads of this file.
pub(in crate::function) static FUNCTIONS: &[&[Overload]] = &[FUNCTIONS_OF_ANY, OF_ROWS];
