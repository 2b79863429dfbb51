//! How large an array is.

use super::{ARRAY, INTEGER, TEXT, array_at, integer};
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload};
use remora_storage::Value;
use remora_storage::value::Dimension;
use std::fmt::Write;

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "array_ndims"(ARRAY) -> INTEGER, "How many dimensions it has.",
    |call| {
        let found = array_at(call.values, 0).dimensions().len();
        Ok(some(found > 0, found))
    }),
    function!(strict generic "cardinality"(ARRAY) -> INTEGER, "How many elements it has in all.",
        |call| Ok(some(true, array_at(call.values, 0).len()))),
    function!(strict generic "array_dims"(ARRAY) -> TEXT, "Its dimensions as text.", dims),
    function!(strict generic "array_length"(ARRAY, INTEGER) -> INTEGER, "How long a dimension is.",
        |call| of_dimension(call, |one| one.length as i32)),
    function!(strict generic "array_lower"(ARRAY, INTEGER) -> INTEGER, "A dimension's first subscript.",
        |call| of_dimension(call, |one| one.first)),
    function!(strict generic "array_upper"(ARRAY, INTEGER) -> INTEGER, "A dimension's last subscript.",
        |call| of_dimension(call, Dimension::last)),
];

fn some(is_there: bool, found: usize) -> Value {
    match i32::try_from(found) {
        Ok(found) if is_there => Value::Integer(found),
        _ => Value::Null,
    }
}

fn of_dimension(call: &GenericCall<'_>, ask: fn(Dimension) -> i32) -> Result<Value> {
    let number = integer(call.values[1]).and_then(|number| usize::try_from(number).ok());
    let found = number
        .and_then(|number| number.checked_sub(1))
        .and_then(|number| array_at(call.values, 0).dimensions().nth(number));
    Ok(found.map_or(Value::Null, |one| Value::Integer(ask(one))))
}

fn dims(call: &GenericCall<'_>) -> Result<Value> {
    let mut text = String::new();
    for one in array_at(call.values, 0).dimensions() {
        let _ = write!(text, "[{}:{}]", one.first, one.last());
    }
    Ok(match text.is_empty() {
        true => Value::Null,
        false => Value::Text(text),
    })
}
