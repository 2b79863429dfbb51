//! Scan bounds: what a filter says of single columns goes down into storage.
//!
//! Of a filter's parts those move that compare a column with something that no column is part of
//! (`access` finds them): `a = 1`, `a > $1`, both halves of BETWEEN. Storage tests them where the rows
//! are, passes over blocks that cannot hold such a row, and reads other columns of those rows only
//! that pass. It promises to test them exactly, by the order of index keys, which is that of the
//! comparison operators; NULL passes neither. So the parts leave the filter, and with it go
//! columns that were read for nothing else.
//!
//! What stays: lists of several values, and CHAR, whose trailing blanks count in a key but not in a
//! comparison.
//!
//! A virtual table is told what it has said that it makes use of; it may not be believed, and then the part stays.

use super::access::{Fact, fact, fact_of};
use crate::function::host_table::{ConstraintUsage, IndexConstraintOp as Op};
use crate::plan::Expr;
use crate::plan::logical::{Access, Logical, Scan};
use crate::plan::physical::ColumnRange;
use crate::plan::virtual_scan::{Constraint, VirtualScan};
use remora_storage::{ColumnId, DataType};
use std::ops::Bound;

/// Applies the rule to a plan.
pub(super) fn bound_scans(plan: Logical) -> Logical {
    match plan {
        Logical::Scan(scan) => Logical::Scan(bound(scan)),
        Logical::Virtual(scan) => Logical::Virtual(constrain(scan)),
        other => other.map_inputs(&mut bound_scans),
    }
}

fn bound(mut scan: Scan) -> Scan {
    if !matches!(scan.access, Access::Table { .. }) {
        return scan;
    }
    let mut bounds = Vec::new();
    let filter = std::mem::take(&mut scan.filter);
    for part in filter {
        match ends(&part, &scan) {
            Some((column, low, high)) => add(&mut bounds, column, low, high),
            None => scan.filter.push(part),
        }
    }
    scan.access = Access::Table { bounds };
    scan
}

fn constrain(mut scan: VirtualScan) -> VirtualScan {
    let column = |number: usize| {
        let mut columns = scan.columns.iter();
        columns
            .find(|(found, _)| *found == number)
            .map(|(_, at)| *at)
    };
    let mut constraints = Vec::new();
    let mut is_exact = |part: &Expr| {
        let Some((column, op, value)) = fact_of(part, &column).and_then(comparison) else {
            return false;
        };
        let usage = scan.table.usage(column, op);
        if usage != ConstraintUsage::Ignored {
            constraints.push(Constraint { column, op, value });
        }
        usage == ConstraintUsage::Exact
    };
    let mut filter = std::mem::take(&mut scan.filter);
    filter.retain(|part| !is_exact(part));
    VirtualScan {
        constraints,
        filter,
        ..scan
    }
}

/// A fact as one comparison.
fn comparison((column, fact): (usize, Fact)) -> Option<(usize, Op, Expr)> {
    let (op, value) = match fact {
        Fact::Above(Bound::Excluded(value)) => (Op::Gt, value),
        Fact::Above(Bound::Included(value)) => (Op::Ge, value),
        Fact::Below(Bound::Excluded(value)) => (Op::Lt, value),
        Fact::Below(Bound::Included(value)) => (Op::Le, value),
        Fact::OneOf(values) => (
            Op::Eq,
            <[Expr; 1]>::try_from(values).ok()?.into_iter().next()?,
        ),
        Fact::Above(Bound::Unbounded)
        | Fact::Below(Bound::Unbounded)
        | Fact::ElementOf(_)
        | Fact::NotNull
        | Fact::Null
        | Fact::Begins { .. } => return None,
    };
    Some((column, op, value))
}

/// The bounds of a column that a part is, if it is nothing else.
fn ends(part: &Expr, scan: &Scan) -> Option<(ColumnId, Bound<Expr>, Bound<Expr>)> {
    let (column, fact) = fact(part, scan)?;
    let def = &scan.table.def;
    let is_char = |position: usize| matches!(def.columns[position].data_type, DataType::Char(_));
    if def.position(column).is_none_or(is_char) {
        return None;
    }
    match fact {
        Fact::Above(low) => Some((column, low, Bound::Unbounded)),
        Fact::Below(high) => Some((column, Bound::Unbounded, high)),
        Fact::OneOf(values) => match <[Expr; 1]>::try_from(values) {
            Ok([value]) => Some((
                column,
                Bound::Included(value.clone()),
                Bound::Included(value),
            )),
            Err(_) => None,
        },
        Fact::ElementOf(_) | Fact::NotNull | Fact::Null | Fact::Begins { .. } => None,
    }
}

/// Fills the open ends of a column's bounds, or adds bounds.
fn add(bounds: &mut Vec<ColumnRange>, column: ColumnId, low: Bound<Expr>, high: Bound<Expr>) {
    let is_open = |bound: &Bound<Expr>| matches!(bound, Bound::Unbounded);
    let has_room = |range: &&mut ColumnRange| {
        range.column == column
            && (is_open(&low) || is_open(&range.low))
            && (is_open(&high) || is_open(&range.high))
    };
    match bounds.iter_mut().find(has_room) {
        Some(range) => {
            if !is_open(&low) {
                range.low = low;
            }
            if !is_open(&high) {
                range.high = high;
            }
        }
        None => bounds.push(ColumnRange { column, low, high }),
    }
}
