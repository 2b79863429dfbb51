//! What a scan asks of a column, in a form that storage can use without evaluating anything.

use super::{Value, ValueRef};
use crate::ids::ColumnId;
use std::cmp::Ordering;
use std::ops::Bound;

/// Rows whose column is not NULL and lies between two bounds: `=`, `<`, `>=`, BETWEEN and their
/// like. The bounds are of the column's type; order and equality are those of index keys.
///
/// A scan uses several of them together (all must hold) to skip blocks and to choose rows before
/// it builds columns.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnBounds {
    /// Of which column.
    pub column: ColumnId,
    /// Nothing below.
    pub low: Bound<Value>,
    /// Nothing above.
    pub high: Bound<Value>,
}

impl ColumnBounds {
    /// Whether a value is within the bounds. NULL never is, and nothing is within a bound of NULL.
    pub fn admits(&self, value: ValueRef<'_>) -> bool {
        !value.is_null() && self.admits_from_below(value) && self.admits_from_above(value)
    }

    /// Whether a value that is not NULL is at or above the lower bound, as it says.
    pub fn admits_from_below(&self, value: ValueRef<'_>) -> bool {
        is_within(&self.low, value, Ordering::Greater)
    }

    /// Whether a value that is not NULL is at or below the upper bound, as it says.
    pub fn admits_from_above(&self, value: ValueRef<'_>) -> bool {
        is_within(&self.high, value, Ordering::Less)
    }

    /// The value that is asked for where it is one.
    pub fn point(&self) -> Option<ValueRef<'_>> {
        match (&self.low, &self.high) {
            (Bound::Included(low), Bound::Included(high)) if low == high => Some(low.as_ref()),
            _ => None,
        }
    }
}

fn is_within(bound: &Bound<Value>, value: ValueRef<'_>, side: Ordering) -> bool {
    let order = |bound: &Value| match bound {
        Value::Null => None,
        bound => value.compare(bound.as_ref()),
    };
    match bound {
        Bound::Unbounded => true,
        Bound::Included(bound) => order(bound).is_some_and(|o| o == side || o.is_eq()),
        Bound::Excluded(bound) => order(bound) == Some(side),
    }
}
