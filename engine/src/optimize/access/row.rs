//! Row comparisons: `(a, b) > (1, 2)`, by which a page is read that follows a row.
//!
//! The binder makes of it what it means, `a > 1 OR a = 1 AND b > 2`; here it is found again, however it was written.
//! The keys of an index whose columns are those, all in one direction, are compared just so. Where only the first
//! columns are the index's, a bound of those is left of it.

use super::fact::{Fact, fact};
use crate::plan::logical::Scan;
use crate::plan::{Expr, ExprKind};
use remora_storage::ColumnId;
use remora_storage::catalog::IndexColumn;
use std::ops::Bound;

/// Rows on one side of a row.
pub(super) struct RowBound {
    pub(super) columns: Vec<ColumnId>,
    values: Vec<Expr>,
    pub(super) is_above: bool,
    is_included: bool,
}

impl RowBound {
    /// The bound of the first of these columns that are the row's first as well, all in one direction, and how many
    /// those are; `None` where there are none.
    pub(super) fn along(&self, columns: &[IndexColumn]) -> Option<(Bound<Vec<Expr>>, usize)> {
        let same = |(one, other): &(&ColumnId, &IndexColumn)| {
            **one == other.column && other.descending == columns[0].descending
        };
        let common = self.columns.iter().zip(columns).take_while(same).count();
        let values = self.values[..common].to_vec();
        let is_all = common == self.columns.len();
        match is_all && !self.is_included {
            _ if common == 0 => None,
            true => Some((Bound::Excluded(values), common)),
            false => Some((Bound::Included(values), common)),
        }
    }
}

/// The comparison of several columns that a part of a filter is.
pub(super) fn row_bound(part: &Expr, scan: &Scan) -> Option<RowBound> {
    let ExprKind::Or(either) = &part.kind else {
        return None;
    };
    let [strict, equal] = either.as_slice() else {
        return None;
    };
    let ExprKind::And(both) = &equal.kind else {
        return None;
    };
    let [equal, rest] = both.as_slice() else {
        return None;
    };
    let (column, Fact::OneOf(values)) = fact(equal, scan)? else {
        return None;
    };
    let [value] = <[Expr; 1]>::try_from(values).ok()?;
    let (first, bound, is_above) = side(strict, scan)?;
    let is_same = matches!(&bound, Bound::Excluded(other) if other.same(&value));
    let mut row = row_bound(rest, scan).or_else(|| last(rest, scan))?;
    if first != column || !is_same || row.is_above != is_above {
        return None;
    }
    row.columns.insert(0, column);
    row.values.insert(0, value);
    Some(row)
}

/// The comparison of the last column.
fn last(part: &Expr, scan: &Scan) -> Option<RowBound> {
    let (column, bound, is_above) = side(part, scan)?;
    let (value, is_included) = match bound {
        Bound::Included(value) => (value, true),
        Bound::Excluded(value) => (value, false),
        Bound::Unbounded => return None,
    };
    Some(RowBound {
        columns: vec![column],
        values: vec![value],
        is_above,
        is_included,
    })
}

/// The bound of a column that a part is, and whether its rows are above it.
fn side(part: &Expr, scan: &Scan) -> Option<(ColumnId, Bound<Expr>, bool)> {
    match fact(part, scan)? {
        (column, Fact::Above(bound)) => Some((column, bound, true)),
        (column, Fact::Below(bound)) => Some((column, bound, false)),
        _ => None,
    }
}
