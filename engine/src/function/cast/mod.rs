//! Casts between types: which there are, and when PostgreSQL applies them by itself.
//!
//! [`cast_context`] is the matrix, [`common_type`] what CASE, UNION and the like use of it,
//! [`cast_value`] does the work on one value (`convert.rs`), and [`cast_array`] on many
//! (`vector.rs`), with loops of its own for the casts that queries are full of.

mod convert;
mod key;
#[cfg(test)]
mod tests;
mod vector;

pub(crate) use convert::cast_value;
pub(crate) use convert::{date_to_timestamp, fit_string};
pub(crate) use key::KeyCast;
pub(crate) use vector::cast_array;

use super::ArgumentType;
use super::resolve::{category, is_preferred};
use crate::error::Result;
use remora_storage::DataType;
use remora_storage::value::PackedType;

const TIMETZ: DataType = DataType::Packed(PackedType::TimeTz);
const BITS: DataType = DataType::Packed(PackedType::Bit(0));
const VARBITS: DataType = DataType::Packed(PackedType::VarBit(0));

/// When PostgreSQL applies a cast by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum CastContext {
    /// Anywhere.
    Implicit,
    /// Into a column.
    Assignment,
    /// Only when written out.
    Explicit,
}

/// The least context in which `from` is cast to `to`, or `None` where there is no such cast.
pub(crate) fn cast_context(from: DataType, to: DataType) -> Option<CastContext> {
    use CastContext::{Assignment, Explicit, Implicit};
    use DataType as T;
    let (from, to) = (from.without_modifier(), to.without_modifier());
    Some(match (from, to) {
        (a, b) if a == b || (a.is_string() && b.is_string()) => Implicit,
        // Numbers widen by themselves and narrow only into a column.
        (a, b) if a.is_number() && b.is_number() => {
            if width(a) < width(b) {
                Implicit
            } else {
                Assignment
            }
        }
        (T::Boolean, T::Integer) | (T::Integer, T::Boolean) => Explicit,
        (T::Date, T::Timestamp | T::TimestampTz)
        | (T::Timestamp, T::TimestampTz)
        | (T::Time, T::Interval) => Implicit,
        (T::Timestamp, T::Date | T::Time)
        | (T::TimestampTz, T::Date | T::Time | T::Timestamp)
        | (T::Interval, T::Time) => Assignment,
        (T::Time, TIMETZ) | (BITS, VARBITS) | (VARBITS, BITS) => Implicit,
        (T::TimestampTz, TIMETZ) | (TIMETZ, T::Time) => Assignment,
        (T::Integer | T::BigInt, BITS) | (BITS, T::Integer | T::BigInt) => Explicit,
        (T::Packed(PackedType::Array(a)), T::Packed(PackedType::Array(b))) => {
            return cast_context(a.data_type(), b.data_type());
        }
        (T::Packed(PackedType::Range(a)), T::Packed(PackedType::Multirange(b))) if a == b => {
            Explicit
        }
        (a, b) if a.is_record() && b.is_record() => match (a, b) {
            (T::Packed(PackedType::Composite(_)), T::Packed(PackedType::Composite(_))) => {
                return None;
            }
            _ => Implicit,
        },
        (T::Json, T::Packed(PackedType::Jsonb)) | (T::Packed(PackedType::Jsonb), T::Json) => {
            Assignment
        }
        (T::Packed(PackedType::Jsonb), b) if b.is_number() || b == T::Boolean => Explicit,
        // Everything has a text form, and may be read from one where that is asked for.
        (_, b) if b.is_string() => Assignment,
        (a, _) if a.is_string() => Explicit,
        _ => return None,
    })
}

/// The place in the order in which numbers widen. REAL comes behind NUMERIC: a NUMERIC becomes a
/// float by itself, a float a NUMERIC only into a column.
fn width(data_type: DataType) -> u8 {
    match data_type {
        DataType::SmallInt => 0,
        DataType::Integer => 1,
        DataType::BigInt => 2,
        DataType::Numeric(_) => 3,
        DataType::Real => 4,
        _ => 5,
    }
}

/// The type to which the branches of a CASE, UNION, VALUES, IN .. are brought together
/// (PostgreSQL's "UNION, CASE, and Related Constructs"); unknown everywhere gives TEXT.
///
/// # Errors
/// 42804 where there is none; `what` names the construct, e.g. `CASE`.
pub(crate) fn common_type(types: &[ArgumentType], what: &str) -> Result<DataType> {
    let mut known = types.iter().flatten().copied();
    let Some(first) = known.next() else {
        return Ok(DataType::Text);
    };
    if types.iter().all(|t| *t == Some(first)) {
        return Ok(first);
    }
    let mut common = merged(first, first);
    for next in known {
        let (one, two) = (common.without_modifier(), next.without_modifier());
        if category(one) != category(two) {
            return Err(sql_error!(
                DATATYPE_MISMATCH,
                "{what} types {one} and {two} cannot be matched"
            ));
        }
        let reaches = |a, b| cast_context(a, b) == Some(CastContext::Implicit);
        if matches!((one, two), (DataType::Char(_), DataType::Char(_))) {
            common = merged(common, next);
        } else if !is_preferred(one)
            && reaches(one, two)
            && (!reaches(two, one) || matches!(one, DataType::Char(_)))
        {
            common = two;
        }
    }
    let wanted = common.without_modifier();
    for found in types.iter().flatten().map(|found| found.without_modifier()) {
        let is_char = |one| matches!(one, DataType::Char(_));
        let fits = found == wanted || is_char(found) && is_char(wanted);
        if !fits && cast_context(found, wanted) != Some(CastContext::Implicit) {
            return Err(sql_error!(
                CANNOT_COERCE,
                "{what} could not convert type {found} to {wanted}"
            ));
        }
    }
    // A literal may be longer than any CHAR(n) beside it.
    match common {
        DataType::Char(_) if types.contains(&None) => Ok(DataType::Text),
        common => Ok(common),
    }
}

/// One type for two of the same kind: CHAR needs a length, the others lose their modifier.
fn merged(a: DataType, b: DataType) -> DataType {
    match (a, b) {
        (DataType::Char(m), DataType::Char(n)) => DataType::Char(m.max(n)),
        _ => a.without_modifier(),
    }
}
