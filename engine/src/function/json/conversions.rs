//! `to_json` and `to_jsonb` of every type.

use super::sql::{owned_jsonb, pack_value, write_json};
use super::{packed, tape};
use crate::error::Result;
use crate::function::Volatility::Stable;
use crate::function::kernel::function;
use crate::function::{EvalContext, Overload, Pattern, Work, check_size};
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value, ValueRef};

fn to_json(value: ValueRef<'_>, data_type: DataType, context: &EvalContext) -> Result<Value> {
    let mut out = String::new();
    let work = Work::new(context);
    write_json(
        &mut out,
        value,
        data_type,
        &context.style().of_json(),
        &work,
    )?;
    check_size(Some(out.len()))?;
    Ok(Value::Text(out))
}

fn to_jsonb(value: ValueRef<'_>, data_type: DataType, context: &EvalContext) -> Result<Value> {
    let mut out = Vec::new();
    let work = Work::new(context);
    pack_value(
        &mut out,
        value,
        data_type,
        &context.style().of_json(),
        &work,
    )?;
    check_size(Some(out.len()))?;
    Ok(owned_jsonb(packed::lifted(out)))
}

fn row_on_lines(context: &EvalContext, row: &str, on_lines: bool) -> Result<String> {
    match on_lines {
        true => tape::on_lines(row, &Work::new(context)),
        false => Ok(row.to_owned()),
    }
}

static FUNCTIONS_OF_ANY: &[Overload] = &[
    function!(strict generic "to_json"(Pattern::Any) -> Pattern::Is(DataType::Json), "The value as JSON.",
        |call| to_json(call.values[0], call.types[0], call.context)).volatility(Stable),
    function!(strict generic "to_jsonb"(Pattern::Any) -> Pattern::Is(DataType::Packed(PackedType::Jsonb)),
        "The value as JSONB.", |call| to_jsonb(call.values[0], call.types[0], call.context)).volatility(Stable),
    function!(strict generic "array_to_json"(Pattern::Array) -> Pattern::Is(DataType::Json),
        "An array as JSON.", |call| to_json(call.values[0], call.types[0], call.context)).volatility(Stable),
    function!(strict generic "array_to_json"(Pattern::Array, Pattern::Is(DataType::Boolean)) -> Pattern::Is(DataType::Json),
        "An array as JSON, perhaps an element a line.",
        |call| match (
            to_json(call.values[0], call.types[0], call.context)?,
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
