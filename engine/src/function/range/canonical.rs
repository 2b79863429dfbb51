//! The one form of a range.
//!
//! Bounds are in order; where nothing is between them the range is empty. Of whole numbers and days the lower bound
//! belongs to the range and the upper one does not. Infinite days have no next one and keep their bound.

use crate::error::{Error, Result, state};
use crate::function::{calendar, native};
use remora_storage::ValueRef;
use remora_storage::value::{RangeBound, RangeType, SqlRange};

/// The range between two bounds.
///
/// # Errors
/// 22000 where they are not in order; 22003 and 22008 where the next value is out of range.
pub(crate) fn canonical<'a>(
    of: RangeType,
    lower: RangeBound<'a>,
    upper: RangeBound<'a>,
) -> Result<SqlRange<'a>> {
    let range = checked(lower, upper)?;
    match range.bounds() {
        Some((lower, upper)) if of.is_discrete() => {
            let (lower, upper) = (moved(lower, true)?, moved(upper, false)?);
            checked(lower, upper)
        }
        _ => Ok(range),
    }
}

/// The bound of a whole number that belongs to its range, or does not, as wanted.
fn moved(bound: RangeBound<'_>, inclusive: bool) -> Result<RangeBound<'_>> {
    if bound.inclusive == inclusive {
        return Ok(bound);
    }
    let value = match bound.value {
        Some(value) => next(value)?,
        None => None,
    };
    Ok(match value {
        None => bound,
        value => RangeBound {
            value,
            inclusive,
            ..bound
        },
    })
}

/// The value behind another; `None` behind infinity.
fn next(value: ValueRef<'_>) -> Result<Option<ValueRef<'_>>> {
    Ok(match value {
        ValueRef::Integer(v) => Some(ValueRef::Integer(
            v.checked_add(1)
                .ok_or_else(|| native::out_of_range("integer"))?,
        )),
        ValueRef::BigInt(v) => Some(ValueRef::BigInt(
            v.checked_add(1)
                .ok_or_else(|| native::out_of_range("bigint"))?,
        )),
        ValueRef::Date(calendar::DATE_INFINITY | calendar::DATE_NEG_INFINITY) => None,
        ValueRef::Date(v) => {
            let next = calendar::date(i64::from(v) + 1);
            Some(ValueRef::Date(
                next.ok_or_else(calendar::date_out_of_range)?,
            ))
        }
        _ => None,
    })
}

fn checked<'a>(lower: RangeBound<'a>, upper: RangeBound<'a>) -> Result<SqlRange<'a>> {
    let order = lower.compare_values(&upper);
    if order.is_gt() {
        let message = "range lower bound must be less than or equal to range upper bound";
        return Err(Error::new(state::DATA_EXCEPTION, message));
    }
    Ok(
        match order.is_eq() && !(lower.inclusive && upper.inclusive) {
            true => SqlRange::EMPTY,
            false => SqlRange::new(lower, upper),
        },
    )
}

/// The complaint about what would be several ranges.
pub(crate) fn refused(what: &str) -> Error {
    let message = format!("result of range {what} would not be contiguous");
    Error::new(state::DATA_EXCEPTION, message)
}
