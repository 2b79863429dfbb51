//! Arrays with something written to a part of them: what `SET a[2] = 5` and `SET a[1:3] = ..` make of the array
//! that was there.
//!
//! An array of one dimension grows to either side, and what lies between is NULL; one of several does not.
//! Nothing, be it NULL or an empty array, becomes an array that begins at the subscript.

use super::{
    ARRAY, ELEMENT, INTEGER, INTEGERS, array_at, array_value, builder_of, check_bounds, integer,
    push, subscript_error, too_large, too_many_dimensions,
};
use crate::error::{Error, Result};
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload, Work};
use remora_storage::value::{ARRAY_DIMENSIONS_MAX, ARRAY_ELEMENTS_MAX, Dimension, SqlArray};
use remora_storage::{Value, ValueRef};

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(generic "assign_element"(ARRAY, ELEMENT, INTEGER) -> ARRAY,
        "The array with another element at subscripts.", element)
    .variadic(),
    function!(generic "assign_slice"(ARRAY, ARRAY, INTEGERS, INTEGERS) -> ARRAY,
        "The array with others between subscripts.", slice),
];

fn null_subscript() -> Error {
    sql_error!(
        NULL_VALUE_NOT_ALLOWED,
        "array subscript in assignment must not be null"
    )
}

fn wrong_number() -> Error {
    subscript_error("wrong number of array subscripts")
}

fn out_of_range() -> Error {
    subscript_error("array subscript out of range")
}

/// What is written where: `at(i)` is the new element for the place `i`, `None` where the old one stays.
fn write<'v>(
    call: &GenericCall<'_>,
    array: &SqlArray<'v>,
    dimensions: &[Dimension],
    old_at: impl Fn(usize) -> Option<usize>,
    new_at: impl Fn(usize) -> Option<ValueRef<'v>>,
) -> Result<Value> {
    check_bounds(dimensions)?;
    let count = (dimensions.iter()).try_fold(1_usize, |n, one| n.checked_mul(one.length as usize));
    let count = count
        .filter(|count| *count <= ARRAY_ELEMENTS_MAX)
        .ok_or_else(too_large)?;
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for place in 0..count {
        let old = || old_at(place).map_or(ValueRef::Null, |at| array.get(at));
        push(&mut builder, new_at(place).unwrap_or_else(old), &work)?;
    }
    Ok(array_value(builder, dimensions))
}

/// One dimension that reaches from the first of two places to the last, and how far the old one was moved up.
fn grown(old: Dimension, from: i32, to: i32) -> Result<(Dimension, usize)> {
    let first = old.first.min(from);
    let last = i64::from(old.last()).max(to.into());
    let length = last - i64::from(first) + 1;
    let length = u32::try_from(length).ok();
    let length = length
        .filter(|length| *length as usize <= ARRAY_ELEMENTS_MAX)
        .ok_or_else(too_large)?;
    let moved = (i64::from(old.first) - i64::from(first)) as usize;
    Ok((Dimension { length, first }, moved))
}

fn element(call: &GenericCall<'_>) -> Result<Value> {
    let array = array_at(call.values, 0);
    let new = call.values[1];
    let subscripts = call.values[2..].iter().map(|value| integer(*value));
    let subscripts: Vec<i32> = subscripts
        .collect::<Option<_>>()
        .ok_or_else(null_subscript)?;
    if subscripts.len() > ARRAY_DIMENSIONS_MAX {
        return Err(too_many_dimensions(subscripts.len()));
    }
    if array.is_empty() {
        let dimension = |first: &i32| Dimension {
            length: 1,
            first: *first,
        };
        let dimensions: Vec<Dimension> = subscripts.iter().map(dimension).collect();
        return write(call, &array, &dimensions, |_| None, |_| Some(new));
    }
    let dimensions: Vec<Dimension> = array.dimensions().collect();
    if dimensions.len() != subscripts.len() {
        return Err(wrong_number());
    }
    if let ([only], [subscript]) = (dimensions.as_slice(), subscripts.as_slice()) {
        let (whole, moved) = grown(*only, *subscript, *subscript)?;
        let target = (i64::from(*subscript) - i64::from(whole.first)) as usize;
        let old = |at: usize| at.checked_sub(moved).filter(|at| *at < array.len());
        return write(call, &array, &[whole], old, |at| {
            (at == target).then_some(new)
        });
    }
    let mut target = 0;
    for (dimension, subscript) in dimensions.iter().zip(&subscripts) {
        let along = i64::from(*subscript) - i64::from(dimension.first);
        let along = usize::try_from(along).ok();
        let along = along
            .filter(|along| *along < dimension.length as usize)
            .ok_or_else(out_of_range)?;
        target = target * dimension.length as usize + along;
    }
    write(call, &array, &dimensions, Some, |at| {
        (at == target).then_some(new)
    })
}

/// The lower and the upper bound of each dimension; `None` where it is left out.
type Bounds = Vec<(Option<i32>, Option<i32>)>;

fn bounds(call: &GenericCall<'_>) -> Result<Bounds> {
    let side = |at: usize, open: i32| -> Result<Vec<Option<i32>>> {
        let bounds = array_at(call.values, at);
        if bounds.len() > ARRAY_DIMENSIONS_MAX {
            return Err(too_many_dimensions(bounds.len()));
        }
        let bounds = bounds.iter().map(|bound| match integer(bound) {
            Some(bound) => Ok((bound != open).then_some(bound)),
            None => Err(null_subscript()),
        });
        bounds.collect()
    };
    Ok(side(2, i32::MIN)?
        .into_iter()
        .zip(side(3, i32::MAX)?)
        .collect())
}

fn slice(call: &GenericCall<'_>) -> Result<Value> {
    let array = array_at(call.values, 0);
    let bounds = bounds(call)?;
    if call.values[1].is_null() {
        // PostgreSQL leaves the array alone.
        return Ok(call.values[0].to_owned());
    }
    if bounds.is_empty() {
        return Err(wrong_number());
    }
    let new = array_at(call.values, 1);
    if array.is_empty() {
        return fresh(call, &new, &bounds);
    }
    let dimensions: Vec<Dimension> = array.dimensions().collect();
    if dimensions.len() < bounds.len() {
        return Err(wrong_number());
    }
    if let ([only], [(from, to)]) = (dimensions.as_slice(), bounds.as_slice()) {
        let (from, to) = (from.unwrap_or(only.first), to.unwrap_or(only.last()));
        if from > to {
            return Err(subscript_error(
                "upper bound cannot be less than lower bound",
            ));
        }
        let (whole, moved) = grown(*only, from, to)?;
        let start = (i64::from(from) - i64::from(whole.first)) as usize;
        let count = (i64::from(to) - i64::from(from)) as usize + 1;
        check_source(&new, count)?;
        let old = |at: usize| at.checked_sub(moved).filter(|at| *at < array.len());
        let within = |at: usize| at.checked_sub(start).filter(|at| *at < count);
        return write(call, &array, &[whole], old, |at| Some(new.get(within(at)?)));
    }
    let mut parts = Vec::with_capacity(dimensions.len());
    for (at, dimension) in dimensions.iter().enumerate() {
        let (from, to) = bounds.get(at).copied().unwrap_or_default();
        let (from, to) = (
            from.unwrap_or(dimension.first),
            to.unwrap_or(dimension.last()),
        );
        if from > to {
            return Err(subscript_error(
                "upper bound cannot be less than lower bound",
            ));
        }
        if from < dimension.first || to > dimension.last() {
            return Err(out_of_range());
        }
        parts.push(((from - dimension.first) as usize, (to - from) as usize + 1));
    }
    check_source(&new, parts.iter().map(|(_, length)| length).product())?;
    let part = |at: usize| number_within(at, &parts, &dimensions).map(|at| new.get(at));
    write(call, &array, &dimensions, Some, part)
}

fn check_source(new: &SqlArray<'_>, wanted: usize) -> Result<()> {
    match new.len() < wanted {
        true => Err(subscript_error("source array too small")),
        false => Ok(()),
    }
}

/// The number in a part of an array of the element with this number in the whole, if it lies in there.
fn number_within(number: usize, parts: &[(usize, usize)], whole: &[Dimension]) -> Option<usize> {
    let (mut rest, mut stride, mut at) = (number, 1, 0);
    for ((start, length), dimension) in parts.iter().zip(whole).rev() {
        let along = (rest % dimension.length as usize).checked_sub(*start)?;
        if along >= *length {
            return None;
        }
        at += along * stride;
        stride *= length;
        rest /= dimension.length as usize;
    }
    Some(at)
}

/// A slice of nothing: the bounds say all of its shape.
fn fresh(call: &GenericCall<'_>, new: &SqlArray<'_>, bounds: &Bounds) -> Result<Value> {
    let mut dimensions = Vec::with_capacity(bounds.len());
    for bound in bounds {
        let (Some(from), Some(to)) = bound else {
            return Err(
                subscript_error("array slice subscript must provide both boundaries").with_detail(
                    "When assigning to a slice of an empty array value, slice boundaries must be \
                     fully specified.",
                ),
            );
        };
        let length = i64::from(*to) - i64::from(*from) + 1;
        if length < 1 {
            return Err(subscript_error(
                "upper bound cannot be less than lower bound",
            ));
        }
        let length = u32::try_from(length).map_err(|_| too_large())?;
        dimensions.push(Dimension {
            length,
            first: *from,
        });
    }
    let count = (dimensions.iter()).try_fold(1_usize, |n, one| n.checked_mul(one.length as usize));
    check_source(new, count.ok_or_else(too_large)?)?;
    write(
        call,
        &SqlArray::default(),
        &dimensions,
        |_| None,
        |at| Some(new.get(at)),
    )
}
