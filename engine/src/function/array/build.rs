//! Arrays made of elements and of other arrays.

use super::{
    ARRAY, ELEMENT, ELEMENT_WORK, INTEGER, INTEGERS, array_at, array_value, builder_of,
    check_bounds, integer, push, subscript_error, too_large, too_many_dimensions,
};
use crate::error::{Error, Result};
use crate::function::comparison::is_same;
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload, Work};
use remora_storage::value::{ARRAY_DIMENSIONS_MAX, ARRAY_ELEMENTS_MAX, Dimension, SqlArray};
use remora_storage::{Value, ValueRef};

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(generic "array_of"(ELEMENT) -> ARRAY, "The array of its arguments: ARRAY[..].",
        |call| list(call, call.values.iter().copied())).variadic(),
    function!(generic "array_of_arrays"(ARRAY) -> ARRAY, "The array of arrays that are its arguments.",
        nest).variadic(),
    function!(generic "array_append"(ARRAY, ELEMENT) -> ARRAY, "The array and an element behind it.", append),
    function!(generic "array_prepend"(ELEMENT, ARRAY) -> ARRAY, "The array and an element before it.",
        prepend),
    function!(generic "array_cat"(ARRAY, ARRAY) -> ARRAY, "One array behind the other.", concatenate),
    function!(generic "||"(ARRAY, ARRAY) -> ARRAY, "One array behind the other.", concatenate),
    function!(generic "||"(ARRAY, ELEMENT) -> ARRAY, "The array and an element behind it.", append),
    function!(generic "||"(ELEMENT, ARRAY) -> ARRAY, "The array and an element before it.", prepend),
    function!(generic "array_fill"(ELEMENT, INTEGERS) -> ARRAY, "An array full of one element.", fill),
    function!(generic "array_fill"(ELEMENT, INTEGERS, INTEGERS) -> ARRAY,
        "An array full of one element, with these first subscripts.", fill),
    function!(generic "array_remove"(ARRAY, ELEMENT) -> ARRAY,
        "The array without the elements that are equal.", remove),
    function!(generic "array_replace"(ARRAY, ELEMENT, ELEMENT) -> ARRAY,
        "The array with another element for each that is equal.", replace),
    function!(strict generic "trim_array"(ARRAY, INTEGER) -> ARRAY, "The array without so many at its end.",
        trim),
];

fn list<'a>(call: &GenericCall<'_>, values: impl Iterator<Item = ValueRef<'a>>) -> Result<Value> {
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for value in values {
        push(&mut builder, value, &work)?;
    }
    Ok(builder.finish_list())
}

/// `ARRAY[a, b]` of arrays: they become the rows of one that has a dimension more.
fn nest(call: &GenericCall<'_>) -> Result<Value> {
    let arrays: Vec<SqlArray<'_>> = (0..call.values.len())
        .map(|at| array_at(call.values, at))
        .collect();
    let shape = |array: &SqlArray<'_>| array.dimensions().collect::<Vec<_>>();
    let inner = arrays.first().map(shape).unwrap_or_default();
    if arrays.iter().any(|array| shape(array) != inner) {
        return Err(subscript_error(
            "multidimensional arrays must have array expressions with matching dimensions",
        ));
    }
    if inner.len() == ARRAY_DIMENSIONS_MAX {
        return Err(too_many_dimensions(inner.len() + 1));
    }
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for value in arrays.iter().flat_map(SqlArray::iter) {
        push(&mut builder, value, &work)?;
    }
    let mut dimensions = vec![Dimension::of(arrays.len())];
    dimensions.extend(inner);
    Ok(array_value(builder, &dimensions))
}

fn append(call: &GenericCall<'_>) -> Result<Value> {
    let array = array_at(call.values, 0);
    extend(call, &array, array.iter().chain([call.values[1]]))
}

fn prepend(call: &GenericCall<'_>) -> Result<Value> {
    let array = array_at(call.values, 1);
    if array
        .dimensions()
        .next()
        .is_some_and(|one| one.first == i32::MIN)
    {
        return Err(integer_out_of_range());
    }
    let values = std::iter::once(call.values[0]).chain(array.iter());
    extend(call, &array, values)
}

/// An array of one dimension that is longer by an element, and whose first subscript stays.
fn extend<'a>(
    call: &GenericCall<'_>,
    array: &SqlArray<'_>,
    values: impl Iterator<Item = ValueRef<'a>>,
) -> Result<Value> {
    let mut dimensions = array.dimensions();
    if dimensions.len() > 1 {
        return Err(sql_error!(
            DATA_EXCEPTION,
            "argument must be empty or one-dimensional array"
        ));
    }
    let first = dimensions.next().map_or(1, |one| one.first);
    let length = array.len() as u32 + 1;
    let dimensions = [Dimension { length, first }];
    check_bounds(&dimensions)?;
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for value in values {
        push(&mut builder, value, &work)?;
    }
    Ok(array_value(builder, &dimensions))
}

/// One array behind the other; one that has a dimension less is a row of the other.
fn concatenate(call: &GenericCall<'_>) -> Result<Value> {
    let (one, two) = match (call.values[0].is_null(), call.values[1].is_null()) {
        (true, _) => return Ok(call.values[1].to_owned()),
        (_, true) => return Ok(call.values[0].to_owned()),
        _ => (array_at(call.values, 0), array_at(call.values, 1)),
    };
    if one.is_empty() || two.is_empty() {
        let whole = if one.is_empty() { 1 } else { 0 };
        return Ok(call.values[whole].to_owned());
    }
    let (a, b): (Vec<Dimension>, Vec<Dimension>) =
        (one.dimensions().collect(), two.dimensions().collect());
    let lengths = |all: &[Dimension]| all.iter().map(|one| one.length).collect::<Vec<_>>();
    let mut dimensions;
    let detail;
    let fits;
    if a.len() == b.len() {
        fits = lengths(&a[1..]) == lengths(&b[1..]);
        dimensions = a.clone();
        dimensions[0].length += b[0].length;
        detail = "Arrays with differing element dimensions are not compatible for concatenation."
            .to_owned();
    } else if a.len() == b.len() + 1 || a.len() + 1 == b.len() {
        let (outer, inner) = if a.len() > b.len() {
            (&a, &b)
        } else {
            (&b, &a)
        };
        fits = lengths(&outer[1..]) == lengths(inner);
        dimensions = outer.clone();
        dimensions[0].length += 1;
        detail =
            "Arrays with differing dimensions are not compatible for concatenation.".to_owned();
    } else {
        fits = false;
        dimensions = Vec::new();
        detail = format!(
            "Arrays of {} and {} dimensions are not compatible for concatenation.",
            a.len(),
            b.len()
        );
    }
    if !fits {
        return Err(subscript_error("cannot concatenate incompatible arrays").with_detail(detail));
    }
    check_bounds(&dimensions)?;
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for value in one.iter().chain(two.iter()) {
        push(&mut builder, value, &work)?;
    }
    Ok(array_value(builder, &dimensions))
}

fn fill(call: &GenericCall<'_>) -> Result<Value> {
    if call.values[1..].iter().any(|value| value.is_null()) {
        return Err(sql_error!(
            NULL_VALUE_NOT_ALLOWED,
            "dimension array or low bound array cannot be null"
        ));
    }
    let work = Work::new(call.context);
    let lengths = bounds(&array_at(call.values, 1), &work)?;
    let firsts = match call.values.len() {
        3 => bounds(&array_at(call.values, 2), &work)?,
        _ => vec![1; lengths.len()],
    };
    if firsts.len() != lengths.len() {
        return Err(subscript_error("wrong number of array subscripts")
            .with_detail("Low bound array has different size than dimensions array."));
    }
    if lengths.len() > ARRAY_DIMENSIONS_MAX {
        return Err(too_many_dimensions(lengths.len()));
    }
    let product = lengths.iter().try_fold(1_usize, |all, length| {
        let length = usize::try_from(*length).ok()?;
        all.checked_mul(length)
            .filter(|all| *all <= ARRAY_ELEMENTS_MAX)
    });
    let product = product.ok_or_else(too_large)?;
    let count = if lengths.is_empty() { 0 } else { product };
    let dimensions: Vec<Dimension> = lengths
        .iter()
        .zip(firsts)
        .map(|(length, first)| Dimension {
            length: *length as u32,
            first,
        })
        .collect();
    check_bounds(&dimensions)?;
    let mut builder = builder_of(call.returns)?;
    for _ in 0..count {
        push(&mut builder, call.values[0], &work)?;
    }
    Ok(array_value(builder, &dimensions))
}

fn bounds(array: &SqlArray<'_>, work: &Work<'_>) -> Result<Vec<i32>> {
    if array.dimensions().len() > 1 {
        return Err(subscript_error("wrong number of array subscripts")
            .with_detail("Dimension array must be one dimensional."));
    }
    let values = array.iter().map(|value| {
        work.spend(ELEMENT_WORK)?;
        integer(value)
            .ok_or_else(|| sql_error!(NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null"))
    });
    values.collect()
}

fn remove(call: &GenericCall<'_>) -> Result<Value> {
    if call.values[0].is_null() {
        return Ok(Value::Null);
    }
    let array = array_at(call.values, 0);
    let dimensions: Vec<Dimension> = array.dimensions().collect();
    if dimensions.len() > 1 {
        return Err(sql_error!(
            FEATURE_NOT_SUPPORTED,
            "removing elements from multidimensional arrays is not supported"
        ));
    }
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for value in array.iter() {
        match is_same(value, call.values[1]) {
            true => work.spend(ELEMENT_WORK)?,
            false => push(&mut builder, value, &work)?,
        }
    }
    let first = dimensions.first().map_or(1, |one| one.first);
    let dimension = Dimension {
        first,
        ..Dimension::of(builder.len())
    };
    Ok(array_value(builder, &[dimension]))
}

fn replace(call: &GenericCall<'_>) -> Result<Value> {
    if call.values[0].is_null() {
        return Ok(Value::Null);
    }
    let array = array_at(call.values, 0);
    let dimensions: Vec<Dimension> = array.dimensions().collect();
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for value in array.iter() {
        let is_found = is_same(value, call.values[1]);
        push(
            &mut builder,
            if is_found { call.values[2] } else { value },
            &work,
        )?;
    }
    Ok(array_value(builder, &dimensions))
}

fn trim(call: &GenericCall<'_>) -> Result<Value> {
    let array = array_at(call.values, 0);
    let mut dimensions: Vec<Dimension> = array.dimensions().collect();
    let length = dimensions.first().map_or(0, |one| one.length);
    let cut = integer(call.values[1]).and_then(|cut| u32::try_from(cut).ok());
    let Some(cut) = cut.filter(|cut| *cut <= length) else {
        let message = format!("number of elements to trim must be between 0 and {length}");
        return Err(subscript_error(message));
    };
    let kept = length - cut;
    let each = array.len() / (length as usize).max(1);
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for value in array.iter().take(kept as usize * each) {
        push(&mut builder, value, &work)?;
    }
    if let Some(outer) = dimensions.first_mut() {
        *outer = Dimension::of(kept as usize);
    }
    Ok(array_value(builder, &dimensions))
}

fn integer_out_of_range() -> Error {
    sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")
}
