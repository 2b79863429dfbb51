//! Arrays compared, and what is in them. Other packed types are compared here, too: by the order of their bytes'
//! meaning, which storage knows.

use super::{
    ARRAY, BOOLEAN, ELEMENT, ELEMENT_WORK, INTEGER, INTEGERS, array_at, builder_of, integer, push,
};
use crate::error::{Error, Result, state};
use crate::function::comparison::{
    compare, greatest, is_distinct, is_not_distinct, is_same, least, nullif,
};
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload, Pattern, Work, record};
use hashbrown::{DefaultHashBuilder, HashTable};
use remora_storage::index::{KeyColumn, encode_column};
use remora_storage::value::SqlArray;
use remora_storage::{Value, ValueRef};
use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::ops::Range;

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
        |call| contains(call, 0, 1)),
    function!(strict generic "<@"(Pattern::SameArray, Pattern::SameArray) -> BOOLEAN,
        "Whether each element of the first is in the second.",
        |call| contains(call, 1, 0)),
    function!(strict generic "&&"(Pattern::SameArray, Pattern::SameArray) -> BOOLEAN,
        "Whether an element is in both.", overlaps),
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
        _ => compare(call.values[0], call.values[1], call.context)?,
    };
    Ok(order.map_or(Value::Null, |order| Value::Boolean(wanted(order))))
}

/// The elements of an array that are not NULL, by their keys: equal values have the same. All keys lie in one
/// piece of memory, which is given back at once.
#[derive(Default)]
struct Keys {
    bytes: Vec<u8>,
    places: HashTable<Range<usize>>,
    hasher: DefaultHashBuilder,
    scratch: Vec<u8>,
}

impl Keys {
    fn of(array: &SqlArray<'_>, work: &Work<'_>) -> Result<Self> {
        let mut keys = Self::default();
        for value in array.iter().filter(|value| !value.is_null()) {
            keys.add(value);
            work.spend(2 * ELEMENT_WORK + keys.scratch.len())?;
            work.reach(keys.bytes.len() + 2 * keys.places.len() * size_of::<Range<usize>>())?;
        }
        Ok(keys)
    }

    fn add(&mut self, value: ValueRef<'_>) {
        if self.has(value) {
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&self.scratch);
        let hash = self.hasher.hash_one(&self.scratch[..]);
        let (bytes, hasher) = (&self.bytes, &self.hasher);
        self.places
            .insert_unique(hash, start..bytes.len(), |place| {
                hasher.hash_one(&bytes[place.clone()])
            });
    }

    /// Returns whether a value is there; NULL is not.
    fn has(&mut self, value: ValueRef<'_>) -> bool {
        self.scratch.clear();
        encode_column(&mut self.scratch, KeyColumn::default(), &value);
        let hash = self.hasher.hash_one(&self.scratch[..]);
        let is_it = |place: &Range<usize>| self.bytes[place.clone()] == self.scratch[..];
        !value.is_null() && self.places.find(hash, is_it).is_some()
    }
}

/// Whether all elements of one argument are in another. NULL is in nothing.
fn contains(call: &GenericCall<'_>, whole: usize, part: usize) -> Result<Value> {
    let work = Work::new(call.context);
    let mut known = Keys::of(&array_at(call.values, whole), &work)?;
    for value in array_at(call.values, part).iter() {
        work.spend(2 * ELEMENT_WORK)?;
        if !known.has(value) {
            return Ok(Value::Boolean(false));
        }
    }
    Ok(Value::Boolean(true))
}

fn overlaps(call: &GenericCall<'_>) -> Result<Value> {
    let work = Work::new(call.context);
    let mut known = Keys::of(&array_at(call.values, 0), &work)?;
    for value in array_at(call.values, 1).iter() {
        work.spend(2 * ELEMENT_WORK)?;
        if known.has(value) {
            return Ok(Value::Boolean(true));
        }
    }
    Ok(Value::Boolean(false))
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
    let work = Work::new(call.context);
    for (at, value) in array.iter().enumerate() {
        work.spend(ELEMENT_WORK)?;
        let subscript = subscript(first, at);
        if subscript >= from && is_same(value, call.values[1]) {
            return Ok(Value::Integer(subscript));
        }
    }
    Ok(Value::Null)
}

fn positions(call: &GenericCall<'_>) -> Result<Value> {
    let Some((array, first)) = searched(call)? else {
        return Ok(Value::Null);
    };
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for (at, value) in array.iter().enumerate() {
        work.spend(ELEMENT_WORK)?;
        if is_same(value, call.values[1]) {
            push(&mut builder, ValueRef::Integer(subscript(first, at)), &work)?;
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
    let work = Work::new(call.context);
    for at in 0..thresholds.len() {
        work.spend(1)?;
        if thresholds.is_null(at) {
            let message = "thresholds array must not contain NULLs";
            return Err(Error::new(state::NULL_VALUE_NOT_ALLOWED, message));
        }
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
