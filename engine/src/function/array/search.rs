//! Arrays compared, and what is in them. Other packed types are compared here, too: by the order of their bytes'
//! meaning, which storage knows.

use super::{ARRAY, BOOLEAN, ELEMENT, INTEGER, INTEGERS, array_at, builder_of, integer, push};
use crate::error::{Error, Result, state};
use crate::function::comparison::{greatest, is_distinct, is_not_distinct, is_same, least, nullif};
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload, Pattern, record};
use remora_storage::index::{KeyColumn, encode_column};
use remora_storage::value::SqlArray;
use remora_storage::{Value, ValueRef};
use std::cmp::Ordering;
use std::collections::HashSet;

/// The operators of an order, and what follows from it, of one sort of types.
macro_rules! ordered {
    ($pattern:expr) => {
        &[
            ordered!($pattern, "=", "Equal.", is_eq),
            ordered!($pattern, "<>", "Not equal.", is_ne),
            ordered!($pattern, "<", "Less.", is_lt),
            ordered!($pattern, "<=", "Less or equal.", is_le),
            ordered!($pattern, ">", "Greater.", is_gt),
            ordered!($pattern, ">=", "Greater or equal.", is_ge),
            function!(generic "is_distinct_from"($pattern, $pattern) -> BOOLEAN,
                "IS DISTINCT FROM: NULL is a value like others.",
                |call| is_distinct(call.values, call.context)),
            function!(generic "is_not_distinct_from"($pattern, $pattern) -> BOOLEAN,
                "IS NOT DISTINCT FROM: NULL is a value like others.",
                |call| is_not_distinct(call.values, call.context)),
            function!(generic "nullif"($pattern, $pattern) -> $pattern,
                "NULL where both are equal, else the first.", |call| nullif(call.values, call.context)),
            function!(generic "greatest"($pattern) -> $pattern, "The greatest argument that is not NULL.",
                |call| greatest(call.values, call.context)).variadic(),
            function!(generic "least"($pattern) -> $pattern, "The least argument that is not NULL.",
                |call| least(call.values, call.context)).variadic(),
        ]
    };
    ($pattern:expr, $name:literal, $doc:literal, $wanted:ident) => {
        Overload::generic($name, &[$pattern, $pattern], BOOLEAN, $doc, |call| is(call, Ordering::$wanted))
    };
}

const OPERATORS: [&str; 10] = [
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "@>",
    "<@",
    "&&",
    "is_distinct_from",
];

/// Whether an operator asks of two arrays whether elements are alike, or which comes first.
pub(crate) fn compares_elements(name: &str) -> bool {
    OPERATORS.contains(&name)
}

pub(super) static ORDERED_ARRAYS: &[Overload] = ordered!(Pattern::SameArray);
pub(super) static ORDERED_PACKED: &[Overload] = ordered!(Pattern::Packed);

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "width_bucket"(ELEMENT, ARRAY) -> INTEGER,
        "How many of the thresholds, which are in order, are not above the value.", bucket),
    function!(strict generic "@>"(Pattern::SameArray, Pattern::SameArray) -> BOOLEAN,
        "Whether each element of the second is in the first.",
        |call| contains(call.values[0], call.values[1])),
    function!(strict generic "<@"(Pattern::SameArray, Pattern::SameArray) -> BOOLEAN,
        "Whether each element of the first is in the second.",
        |call| contains(call.values[1], call.values[0])),
    function!(strict generic "&&"(Pattern::SameArray, Pattern::SameArray) -> BOOLEAN,
    "Whether an element is in both.",
    |call| {
        let known = keys(call.values[0]);
        let found = array_at(call.values, 1)
            .iter()
            .any(|value| !value.is_null() && known.contains(&key(value)));
        Ok(Value::Boolean(found))
    }),
    function!(generic "array_position"(ARRAY, ELEMENT) -> INTEGER, "The first subscript of an element.",
        position),
    function!(generic "array_position"(ARRAY, ELEMENT, INTEGER) -> INTEGER,
        "The first subscript of an element, from this one on.", position),
    function!(generic "array_positions"(ARRAY, ELEMENT) -> INTEGERS, "All subscripts of an element.",
        positions),
];

fn is(call: &GenericCall<'_>, wanted: fn(Ordering) -> bool) -> Result<Value> {
    let order = match (call.values[0].as_record(), call.values[1].as_record()) {
        (Some(one), Some(two)) => Some(record::compare(one, two)?),
        _ => call.values[0].compare(call.values[1]),
    };
    Ok(order.map_or(Value::Null, |order| Value::Boolean(wanted(order))))
}

/// The key of a value: equal values have the same.
fn key(value: ValueRef<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    encode_column(&mut key, KeyColumn::default(), &value);
    key
}

fn keys(array: ValueRef<'_>) -> HashSet<Vec<u8>> {
    let array = array.as_array().unwrap_or_default();
    let known = array.iter().filter(|value| !value.is_null());
    known.map(key).collect()
}

/// Whether all elements of `part` are in `whole`. NULL is in nothing.
fn contains(whole: ValueRef<'_>, part: ValueRef<'_>) -> Result<Value> {
    let part = part.as_array().unwrap_or_default();
    let known = keys(whole);
    let all = part
        .iter()
        .all(|value| !value.is_null() && known.contains(&key(value)));
    Ok(Value::Boolean(all))
}

/// The array to search, its first subscript, and where to begin; `None` for NULL.
fn searched<'a>(call: &GenericCall<'a>) -> Result<Option<(SqlArray<'a>, i32)>> {
    if call.values[0].is_null() {
        return Ok(None);
    }
    let array = array_at(call.values, 0);
    let mut dimensions = array.dimensions();
    if dimensions.len() > 1 {
        return Err(sql_error!(
            FEATURE_NOT_SUPPORTED,
            "searching for elements in multidimensional arrays is not supported"
        ));
    }
    let first = dimensions.next().map_or(1, |one| one.first);
    Ok(Some((array, first)))
}

fn subscript(first: i32, at: usize) -> i32 {
    first.wrapping_add(at as i32)
}

fn position(call: &GenericCall<'_>) -> Result<Value> {
    let Some((array, first)) = searched(call)? else {
        return Ok(Value::Null);
    };
    let from = match call.values.get(2) {
        Some(ValueRef::Null) => {
            return Err(sql_error!(
                NULL_VALUE_NOT_ALLOWED,
                "initial position must not be null"
            ));
        }
        Some(from) => integer(*from).unwrap_or(first),
        None => first,
    };
    let mut elements = array.iter().enumerate();
    let found = elements
        .find(|(at, value)| subscript(first, *at) >= from && is_same(*value, call.values[1]));
    Ok(found.map_or(Value::Null, |(at, _)| Value::Integer(subscript(first, at))))
}

fn positions(call: &GenericCall<'_>) -> Result<Value> {
    let Some((array, first)) = searched(call)? else {
        return Ok(Value::Null);
    };
    let mut builder = builder_of(call.returns)?;
    for (at, value) in array.iter().enumerate() {
        if is_same(value, call.values[1]) {
            push(&mut builder, ValueRef::Integer(subscript(first, at)))?;
        }
    }
    Ok(builder.finish_list())
}

/// The number of the bucket between thresholds that a value falls in.
fn bucket(call: &GenericCall<'_>) -> Result<Value> {
    let thresholds = array_at(call.values, 1);
    if thresholds.dimensions().len() > 1 {
        let message = "thresholds must be one-dimensional array";
        return Err(Error::new(state::ARRAY_SUBSCRIPT_ERROR, message));
    }
    if thresholds.iter().any(|threshold| threshold.is_null()) {
        let message = "thresholds array must not contain NULLs";
        return Err(Error::new(state::NULL_VALUE_NOT_ALLOWED, message));
    }
    let (mut low, mut high) = (0, thresholds.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match call.values[0].compare(thresholds.get(middle)) {
            Some(Ordering::Less) => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(Value::Integer(i32::try_from(low).unwrap_or(i32::MAX)))
}
