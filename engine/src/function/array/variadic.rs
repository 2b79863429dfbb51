//! `f(a, VARIADIC b)`: functions of any number of arguments that get the last ones as an array.
//!
//! Each that is called so has an overload of this kind under a name of its own, which [`variadic`] tells.

use super::{ARRAY, ELEMENT_WORK, INTEGER, TEXT, array_at};
use crate::error::Result;
use crate::function::json::as_json;
use crate::function::kernel::function;
use crate::function::{EvalContext, GenericCall, Kernel, Overload, Pattern, Work, registry, text};
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value, ValueRef};

const JSON: Pattern = Pattern::Is(DataType::Json);
const JSONB: Pattern = Pattern::Is(DataType::Packed(PackedType::Jsonb));

/// The name under which a function takes an array for its last arguments.
pub(crate) fn variadic(function: &str) -> Option<&'static str> {
    let all = registry::all().filter(|overload| matches!(overload.kernel, Kernel::Generic(..)));
    let names = all.map(|overload| overload.name);
    names
        .filter_map(|name| Some((name, name.strip_prefix("variadic ")?)))
        .find(|(_, plain)| *plain == function)
        .map(|(name, _)| name)
}

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "variadic concat"(ARRAY) -> TEXT,
        "The function, its last arguments as an array: concat(.., VARIADIC a).",
        |call| texts(call, "concat", &[])),
    function!(strict generic "variadic concat_ws"(TEXT, ARRAY) -> TEXT,
        "The function, its last arguments as an array: concat_ws(.., VARIADIC a).",
        |call| texts(call, "concat_ws", &call.values[..1])),
    function!(generic "variadic format"(TEXT, ARRAY) -> TEXT,
    "The function, its last arguments as an array: format(.., VARIADIC a).",
    |call| match call.values[0].is_null() {
        true => Ok(Value::Null),
        false => texts(call, "format", &call.values[..1]),
    }),
    function!(strict generic "variadic num_nulls"(ARRAY) -> INTEGER,
        "The function, its last arguments as an array: num_nulls(.., VARIADIC a).",
        |call| Ok(nulls(array_at(call.values, 0).iter(), true))),
    function!(strict generic "variadic num_nonnulls"(ARRAY) -> INTEGER,
        "The function, its last arguments as an array: num_nonnulls(.., VARIADIC a).",
        |call| Ok(nulls(array_at(call.values, 0).iter(), false))),
    function!(strict generic "variadic json_build_array"(ARRAY) -> JSON,
        "The function, its last arguments as an array: json_build_array(.., VARIADIC a).",
        |call| documents(call, "json_build_array", DataType::Json)),
    function!(strict generic "variadic json_build_object"(ARRAY) -> JSON,
        "The function, its last arguments as an array: json_build_object(.., VARIADIC a).",
        |call| documents(call, "json_build_object", DataType::Json)),
    function!(strict generic "variadic jsonb_build_array"(ARRAY) -> JSONB,
        "The function, its last arguments as an array: jsonb_build_array(.., VARIADIC a).",
        |call| documents(call, "jsonb_build_array", call.returns)),
    function!(strict generic "variadic jsonb_build_object"(ARRAY) -> JSONB,
        "The function, its last arguments as an array: jsonb_build_object(.., VARIADIC a).",
        |call| documents(call, "jsonb_build_object", call.returns)),
    function!(strict generic "variadic json_extract_path"(JSON, super::TEXTS) -> JSON,
        "The function, its last arguments as an array: json_extract_path(.., VARIADIC a).",
        |call| path(call, "json_extract_path")),
    function!(strict generic "variadic json_extract_path_text"(JSON, super::TEXTS) -> TEXT,
        "The function, its last arguments as an array: json_extract_path_text(.., VARIADIC a).",
        |call| path(call, "json_extract_path_text")),
    function!(strict generic "variadic jsonb_extract_path"(JSONB, super::TEXTS) -> JSONB,
        "The function, its last arguments as an array: jsonb_extract_path(.., VARIADIC a).",
        |call| path(call, "jsonb_extract_path")),
    function!(strict generic "variadic jsonb_extract_path_text"(JSONB, super::TEXTS) -> TEXT,
        "The function, its last arguments as an array: jsonb_extract_path_text(.., VARIADIC a).",
        |call| path(call, "jsonb_extract_path_text")),
];

fn nulls<'v>(values: impl Iterator<Item = ValueRef<'v>>, wanted: bool) -> Value {
    let count = values.filter(|value| value.is_null() == wanted).count();
    Value::Integer(i32::try_from(count).unwrap_or(i32::MAX))
}

/// Calls a function of so many arguments as there are.
fn call(name: &str, values: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let fits = |overload: &&&Overload| {
        let count = overload.arguments.len();
        count == values.len() || overload.variadic && values.len() > count
    };
    match registry::overloads(name).iter().find(fits) {
        Some(Overload {
            kernel: Kernel::Typed { scalar, .. },
            ..
        }) => scalar(values, context),
        _ => Err(sql_error!(
            UNDEFINED_FUNCTION,
            "function {name} does not take so many arguments"
        )),
    }
}

/// Calls a function with some arguments, and the elements as texts.
fn texts(of: &GenericCall<'_>, name: &str, first: &[ValueRef<'_>]) -> Result<Value> {
    let array = array_at(of.values, first.len());
    let element = array.element_type();
    let (style, work) = (of.context.style(), Work::new(of.context));
    let shown = |value: ValueRef<'_>| {
        work.spend(ELEMENT_WORK)?;
        if value.is_null() {
            return Ok(None);
        }
        let mut text = String::new();
        text::write_counted(&mut text, value, element, style, &work).map(|()| Some(text))
    };
    let texts = array.iter().map(shown).collect::<Result<Vec<_>>>()?;
    let texts = texts.iter().map(|text| match text {
        Some(text) => ValueRef::Text(text),
        None => ValueRef::Null,
    });
    let values: Vec<ValueRef<'_>> = first.iter().copied().chain(texts).collect();
    match values.is_empty() {
        true => Ok(Value::Text(String::new())),
        false => call(name, &values, of.context),
    }
}

/// Calls a function with the elements as documents.
fn documents(of: &GenericCall<'_>, name: &str, document: DataType) -> Result<Value> {
    let array = array_at(of.values, 0);
    let element = array.element_type();
    let (style, work) = (of.context.style().of_json(), Work::new(of.context));
    let documents: Vec<Value> = array
        .iter()
        .map(|value| {
            work.spend(ELEMENT_WORK)?;
            as_json(value, element, document, &style, &work)
        })
        .collect::<Result<_>>()?;
    let values: Vec<ValueRef<'_>> = documents.iter().map(Value::as_ref).collect();
    call(name, &values, of.context)
}

/// Calls a function with a document and a path.
fn path(of: &GenericCall<'_>, name: &str) -> Result<Value> {
    let steps = array_at(of.values, 1);
    if steps.iter().any(|step| step.is_null()) {
        return Ok(Value::Null);
    }
    if steps.is_empty() {
        return match of.returns {
            DataType::Text => text::format_in(of.values[0], of.types[0], of.context.style())
                .map_or(Ok(Value::Null), |text| Ok(Value::Text(text))),
            _ => Ok(of.values[0].to_owned()),
        };
    }
    let values: Vec<ValueRef<'_>> = [of.values[0]].into_iter().chain(steps.iter()).collect();
    call(name, &values, of.context)
}
