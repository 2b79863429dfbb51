//! The point path: a statement about one row by a full unique key runs without batches.
//!
//! A scan qualifies once index selection has given it a single key of a unique index. What else is
//! asked of the row is its filter. A query qualifies by a key that is not unique as well, because
//! most such keys have few rows; it has its other plan beside it, for those that have many.

use super::lower::{self, Positions};
use crate::plan::lock::{LockStrength, LockWait, RowLock};
use crate::plan::logical::{Access, Columns, Logical, Query, Scan};
use crate::plan::physical::IndexKeys;
use crate::plan::statement::{Lookup, PointSelect};
use crate::plan::{Expr, Field};
use remora_storage::transaction::Columns as Read;
use std::sync::Arc;

/// The point path of a query, if it has one: a projection of one row of a table.
pub(super) fn point_select(query: &Query, columns: &Columns) -> Option<PointSelect> {
    let (scan, exprs) = match &query.plan {
        Logical::Project { input, exprs } => match &**input {
            Logical::Scan(scan) => (scan, Some(exprs)),
            _ => return None,
        },
        Logical::Scan(scan) => (scan, None),
        _ => return None,
    };
    let lookup = lookup_of(scan)?;
    let otherwise =
        (!lookup.index.def.unique).then(|| Box::new(lower::query(query.clone(), columns)));
    let numbers = table_numbers(scan);
    let at = Positions(&numbers);
    let mut shown = Vec::with_capacity(query.output.len());
    let mut schema = Vec::with_capacity(query.output.len());
    for (name, number) in &query.output {
        let expr = match exprs {
            Some(exprs) => exprs.iter().find(|(found, _)| found == number)?.1.clone(),
            None => columns.expr(*number),
        };
        schema.push(Field {
            name: name.clone(),
            data_type: expr.data_type,
        });
        shown.push(at.expr(expr));
    }
    Some(PointSelect {
        lookup,
        exprs: shown,
        schema,
        otherwise,
    })
}

/// The point path of a query that locks its row, if it has one. Whatever it shows of the row must be
/// covered by the lock.
pub(super) fn lock_point(query: &Query, columns: &Columns) -> Option<(PointSelect, RowLock)> {
    let Logical::Lock { input, locks } = &query.plan else {
        return None;
    };
    let [lock] = locks.as_slice() else {
        return None;
    };
    if lock.strength == LockStrength::KeyShare || lock.wait == LockWait::Skip {
        return None;
    }
    let query = Query {
        plan: (**input).clone(),
        output: query.output.clone(),
    };
    let point = point_select(&query, columns)?;
    (point.otherwise.is_none()).then(|| (point, lock.clone()))
}

/// The one row that a plan is about, if it is.
pub(super) fn lookup(plan: &Logical) -> Option<Lookup> {
    match plan {
        Logical::Scan(scan) => lookup_of(scan).filter(|lookup| lookup.index.def.unique),
        _ => None,
    }
}

fn lookup_of(scan: &Scan) -> Option<Lookup> {
    let Access::Index {
        index,
        keys: IndexKeys::Points(points),
        ..
    } = &scan.access
    else {
        return None;
    };
    let [key] = points.as_slice() else {
        return None;
    };
    let numbers = table_numbers(scan);
    let filter = scan
        .filter
        .iter()
        .map(|part| Positions(&numbers).expr(part.clone()));
    Some(Lookup {
        table: Arc::clone(&scan.table),
        index: Arc::clone(index),
        key: key.clone(),
        filter: Expr::conjunction(filter.collect()),
        columns: Read::of(scan.columns.iter().map(|(_, id)| *id)),
    })
}

/// The column number of each position of the table; `usize::MAX` where the scan does not read it.
fn table_numbers(scan: &Scan) -> Vec<usize> {
    let number = |id| {
        let found = scan.columns.iter().find(|(_, column)| *column == id);
        found.map_or(usize::MAX, |(number, _)| *number)
    };
    scan.table
        .def
        .columns
        .iter()
        .map(|column| number(column.id))
        .collect()
}
