//! What a scan asks of a column, in a form that storage can use without evaluating anything.

use super::Value;
use crate::ids::ColumnId;
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
