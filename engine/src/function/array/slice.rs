//! Subscripts: `a[2][1]` is an element, `a[1:3]` an array of those between.
//!
//! A slice is asked for by two arrays of bounds, lower and upper, the least or greatest integer where one is
//! left out; a NULL makes all of it NULL. A subscript without a colon beside one with a colon means from 1 to
//! it.

use super::{
    ARRAY, ELEMENT, INTEGER, INTEGERS, array_at, array_value, builder_of, integer, push,
    too_many_dimensions,
};
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload, Work};
use remora_storage::Value;
use remora_storage::value::{ARRAY_DIMENSIONS_MAX, Dimension, SqlArray};

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "subscript"(ARRAY, INTEGER) -> ELEMENT, "The element at subscripts: a[i][j].",
        element).variadic(),
    function!(strict generic "slice"(ARRAY, INTEGERS, INTEGERS) -> ARRAY,
        "The elements between subscripts: a[i:j].", slice),
];

fn element(call: &GenericCall<'_>) -> Result<Value> {
    let array = array_at(call.values, 0);
    let subscripts = call.values[1..].iter().map(|value| integer(*value));
    let at = subscripts
        .collect::<Option<Vec<i32>>>()
        .and_then(|subscripts| place(&array, &subscripts));
    Ok(at.map_or(Value::Null, |at| array.get(at).to_owned()))
}

/// The number of the element at subscripts, if there is one.
fn place(array: &SqlArray<'_>, subscripts: &[i32]) -> Option<usize> {
    let dimensions = array.dimensions();
    if dimensions.len() != subscripts.len() || array.is_empty() {
        return None;
    }
    dimensions
        .zip(subscripts)
        .try_fold(0, |at, (dimension, subscript)| {
            let along = along(dimension, *subscript)?;
            Some(at * dimension.length as usize + along)
        })
}

fn along(dimension: Dimension, subscript: i32) -> Option<usize> {
    let along = usize::try_from(i64::from(subscript) - i64::from(dimension.first)).ok()?;
    (along < dimension.length as usize).then_some(along)
}

fn slice(call: &GenericCall<'_>) -> Result<Value> {
    let array = array_at(call.values, 0);
    let dimensions: Vec<Dimension> = array.dimensions().collect();
    let (lower, upper) = (array_at(call.values, 1), array_at(call.values, 2));
    let subscripts = lower.len().max(upper.len());
    if subscripts > ARRAY_DIMENSIONS_MAX {
        return Err(too_many_dimensions(subscripts));
    }
    if lower
        .iter()
        .chain(upper.iter())
        .any(|bound| bound.is_null())
    {
        return Ok(Value::Null);
    }
    let empty = || Ok(builder_of(call.returns)?.finish_list());
    if array.is_empty() || lower.len() > dimensions.len() {
        return empty();
    }
    let mut parts = Vec::with_capacity(dimensions.len());
    for (at, dimension) in dimensions.iter().enumerate() {
        // A dimension that nothing is said of is there as a whole.
        let bound =
            |bounds: &SqlArray<'_>, otherwise: i32| integer(bounds.get(at)).unwrap_or(otherwise);
        let from = bound(&lower, dimension.first).max(dimension.first);
        let to = bound(&upper, dimension.last()).min(dimension.last());
        if to < from {
            return empty();
        }
        let start = (from - dimension.first) as usize;
        parts.push((start, (to - from) as usize + 1));
    }
    let shape: Vec<Dimension> = parts
        .iter()
        .map(|(_, length)| Dimension::of(*length))
        .collect();
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for number in 0..shape.iter().map(|one| one.length as usize).product() {
        push(
            &mut builder,
            array.get(within(number, &parts, &dimensions)),
            &work,
        )?;
    }
    Ok(array_value(builder, &shape))
}

/// The number in an array of the element with this number in a part of it.
fn within(number: usize, parts: &[(usize, usize)], dimensions: &[Dimension]) -> usize {
    let (mut rest, mut stride, mut at) = (number, 1, 0);
    for ((start, length), dimension) in parts.iter().zip(dimensions).rev() {
        at += (start + rest % length) * stride;
        rest /= length;
        stride *= dimension.length as usize;
    }
    at
}
