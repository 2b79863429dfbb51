//! Casts between types. (Stub: signatures only.)

use super::{ArgumentType, EvalContext};
use crate::error::Result;
use arrow_array::ArrayRef;
use remora_storage::{DataType, Value, ValueRef};

/// When PostgreSQL applies a cast by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// Into a column.
    Assignment,
    /// Only when written out.
    Explicit,
}

/// The least context in which `from` is cast to `to`, or `None` where there is no such cast.
pub fn cast_context(_from: DataType, _to: DataType) -> Option<CastContext> {
    todo!()
}

/// The type to which the branches of a CASE, UNION, VALUES, IN .. are brought together
/// (PostgreSQL's "UNION, CASE, and Related Constructs"); unknown everywhere gives TEXT.
///
/// # Errors
/// 42804 where there is none; `what` names the construct, e.g. `CASE`.
pub fn common_type(_types: &[ArgumentType], _what: &str) -> Result<DataType> {
    todo!()
}

/// Casts one value. `explicit` makes `CHAR(n)`/`VARCHAR(n)` cut instead of failing with 22001.
///
/// # Errors
/// 22P02, 22003, 22001, 22007, 22008 as in PostgreSQL.
pub fn cast_value(
    _value: ValueRef<'_>,
    _to: DataType,
    _explicit: bool,
    _context: &EvalContext,
) -> Result<Value> {
    todo!()
}

/// Casts an array, value by value with the same meaning.
pub fn cast_array(
    _array: &ArrayRef,
    _from: DataType,
    _to: DataType,
    _explicit: bool,
    _context: &EvalContext,
) -> Result<ArrayRef> {
    todo!()
}
