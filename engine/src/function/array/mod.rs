//! Functions and operators of arrays.
//!
//! All are generic: they take arrays of any elements. How an array is held, `remora_storage::value::SqlArray` says.
//!
//! ```text
//!  shape      array_length, array_dims, cardinality ..
//!  build      ARRAY[..], ||, array_append, array_fill, array_remove ..
//!  search     = <> < .., @> <@ &&, array_position ..
//!  any        x = ANY (array), x > ALL (array) ..
//!  slice      a[2], a[1:3]
//!  assign     SET a[2] = .., SET a[1:3] = ..
//!  variadic   f(a, VARIADIC b)
//!  texts      array_to_string, string_to_array
//!  identifier parse_ident
//!  states     float8_accum, float8_regr_accum ..
//! ```

mod any;
mod assign;
mod build;
mod identifier;
mod search;
mod shape;
mod slice;
mod states;
mod texts;
mod variadic;

pub(crate) use any::{ArrayTest, quantified};
pub(crate) use search::compares_elements;
pub(crate) use texts::parts;
pub(crate) use variadic::variadic;

use super::{Overload, Pattern, Work};
use crate::error::{Error, Result, state};
use remora_storage::limits::VALUE_BYTES_MAX;
use remora_storage::value::{
    ARRAY_DIMENSIONS_MAX, ARRAY_ELEMENTS_MAX, Dimension, ElementType, PackedType, SqlArray,
    SqlArrayBuilder,
};
use remora_storage::{DataType, Value, ValueRef};

const ARRAY: Pattern = Pattern::Array;
const ELEMENT: Pattern = Pattern::Element;
const INTEGER: Pattern = Pattern::Is(DataType::Integer);
pub(super) const TEXT: Pattern = Pattern::Is(DataType::Text);
const BOOLEAN: Pattern = Pattern::Is(DataType::Boolean);
const INTEGERS: Pattern = Pattern::Is(array_of(DataType::Integer));
pub(super) const TEXTS: Pattern = Pattern::Is(array_of(DataType::Text));

/// The type of arrays of these elements, which are no arrays.
const fn array_of(element: DataType) -> DataType {
    match ElementType::new(element) {
        Some(element) => DataType::Packed(PackedType::Array(element)),
        None => panic!("an array's elements are no arrays"),
    }
}

/// The work of an element beside that over its bytes.
pub(super) const ELEMENT_WORK: usize = 32;

/// So many parts may a text be cut into at once: as many as their places take the room of one value.
pub(super) const PARTS_MAX: usize = VALUE_BYTES_MAX / 32;

/// All overloads of this folder.
pub(super) static FUNCTIONS: &[&[Overload]] = &[
    shape::FUNCTIONS,
    build::FUNCTIONS,
    search::ORDERED_ARRAYS,
    search::ORDERED_PACKED,
    search::FUNCTIONS,
    any::FUNCTIONS,
    slice::FUNCTIONS,
    texts::FUNCTIONS,
    identifier::FUNCTIONS,
    states::FUNCTIONS,
    assign::FUNCTIONS,
    variadic::FUNCTIONS,
];

/// 54000 where the last subscript of a dimension is none.
pub(super) fn check_bounds(dimensions: &[Dimension]) -> Result<()> {
    let ends = |one: &&Dimension| one.first.checked_add_unsigned(one.length).is_none();
    match dimensions.iter().find(ends) {
        None => Ok(()),
        Some(one) => Err(sql_error!(
            PROGRAM_LIMIT_EXCEEDED,
            "array lower bound is too large: {}",
            one.first
        )),
    }
}

/// The array of these elements and dimensions.
pub(super) fn array_value(builder: SqlArrayBuilder, dimensions: &[Dimension]) -> Value {
    let packed = PackedType::Array(builder.element_type());
    Value::Packed(packed, builder.finish(dimensions))
}

/// A builder of what a call gives, which is an array.
///
/// # Errors
/// XX000 where it is none.
pub(super) fn builder_of(returns: DataType) -> Result<SqlArrayBuilder> {
    match returns {
        DataType::Packed(PackedType::Array(element)) => Ok(SqlArrayBuilder::new(element)),
        other => Err(Error::internal(format_args!("an array of type {other}"))),
    }
}

/// The array that an argument is; an empty one where bytes of a disk are none.
fn array_at<'a>(values: &[ValueRef<'a>], at: usize) -> SqlArray<'a> {
    values[at].as_array().unwrap_or_default()
}

/// Appends an element, as long as the array is not too large.
pub(super) fn push(
    builder: &mut SqlArrayBuilder,
    value: ValueRef<'_>,
    work: &Work<'_>,
) -> Result<()> {
    let length = value.bytes().map_or(0, <[u8]>::len);
    work.spend(ELEMENT_WORK + length)?;
    work.reach(builder.bytes() + length)?;
    builder.push(value);
    match builder.len() > ARRAY_ELEMENTS_MAX || builder.bytes() > VALUE_BYTES_MAX {
        true => Err(too_large()),
        false => Ok(()),
    }
}

/// 54000
pub(super) fn too_large() -> Error {
    sql_error!(
        PROGRAM_LIMIT_EXCEEDED,
        "array size exceeds the maximum allowed ({ARRAY_ELEMENTS_MAX})"
    )
}

pub(crate) fn too_many_dimensions(found: usize) -> Error {
    let message = format!(
        "number of array dimensions ({found}) exceeds the maximum allowed ({ARRAY_DIMENSIONS_MAX})"
    );
    Error::new(state::PROGRAM_LIMIT_EXCEEDED, message)
}

/// 2202E
pub(super) fn subscript_error(message: impl Into<String>) -> Error {
    Error::new(state::ARRAY_SUBSCRIPT_ERROR, message)
}

fn integer(value: ValueRef<'_>) -> Option<i32> {
    match value {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}
