//! Index joins: where few left rows are expected, their right rows are looked up by an index.
//!
//! ```text
//!   5 rows  JOIN  100,000 rows ON a.n = b.id      ->      for each of the 5: index of b, id = a.n
//! ```
//!
//! The right input is a table, or what is computed from its rows. The conditions of the join, in which the columns of
//! the left input are as good as parameters, are a filter of the table as any other one: so whatever narrows a scan by
//! an index ([`super::access`]) narrows a join, be it a point, a list, a range whose ends the left row gives, or the
//! beginning of a text. What the keys do not express is asked of the pairs.
//!
//! To look a row up takes as long as to put some [`READ_FOR_LOOKUP`] rows into a hash table. Of an inner join the side
//! that is expected to be smaller becomes the left one, if it is that much smaller. Other joins have their sides; what
//! is expected is a guess, though, and the join itself sees how many left rows there are: it begins with the index and
//! changes over ([`LookupLimit`]).

use super::access::select_by;
use super::estimate::{read_rows, rows};
use super::join_order::links;
use super::pushdown::substitute;
use crate::plan::logical::{Access, Join, Logical, Lookup, Scan};
use crate::plan::physical::{self, JoinKind, LookupLimit};
use crate::plan::{Expr, ExprKind};
use std::collections::BTreeSet;

/// Rows that are read and kept in a hash table in the time in which one row is looked up.
const READ_FOR_LOOKUP: u64 = 64;
/// A table with fewer rows is read as soon as it is looked at.
const ROWS_MIN: u64 = 512;
/// Left rows that are looked up in vain where more of them are expected than pay.
const TRIED_ROWS: u64 = 1_000;

/// Applies the rule to a plan.
pub(super) fn index_joins(plan: Logical) -> Logical {
    match plan.map_inputs(&mut index_joins) {
        Logical::Join(join) if is_possible(&join) => Logical::Join(with_lookup(join)),
        other => other,
    }
}

/// A test that tells NULL from false asks rows that match nothing.
fn is_possible(join: &Join) -> bool {
    join.kind != JoinKind::Full
        && join.outer.is_empty()
        && !join.on.is_empty()
        && join.mark.as_ref().is_none_or(|mark| mark.test.is_empty())
}

fn with_lookup(mut join: Join) -> Join {
    let (left, right) = (left_rows(&join.left), left_rows(&join.right));
    if join.kind == JoinKind::Inner && right < left {
        return match lookup(&join.right, right, &join.left, &join) {
            None => join,
            lookup => Join {
                left: join.right,
                right: join.left,
                lookup,
                ..join
            },
        };
    }
    join.lookup = lookup(&join.left, left, &join.right, &join);
    join
}

/// About how many rows are looked up for.
fn left_rows(plan: &Logical) -> u64 {
    // A round of a recursion has few.
    match plan.any(&mut |node| matches!(node, Logical::WorkingTable(_))) {
        true => 1,
        false => rows(plan),
    }
}

/// How the rows of `right` are looked up for the `expected` rows of `left`.
fn lookup(left: &Logical, expected: u64, right: &Logical, join: &Join) -> Option<Box<Lookup>> {
    let (scan, exprs) = table(right)?;
    let all = read_rows(scan);
    let pays = expected.saturating_mul(READ_FOR_LOOKUP) <= all;
    if all < ROWS_MIN || (join.kind == JoinKind::Inner && !pays) {
        return None;
    }
    let left = left.column_set();
    let condition = |part: &Expr| with_outer(substitute(part.clone(), exprs), &left);
    let conditions = join.on.iter().map(condition).collect();
    let (mut scan, used) = select_by(scan, conditions, &|value| outer(value).is_some())?;
    if let Access::Index { keys, .. } = &mut scan.access {
        for value in keys.values_mut().into_iter().flatten() {
            *value = with_columns(value.clone());
        }
    }
    let on = join.on.iter().enumerate();
    let on = on.filter(|(part, _)| !used.contains(part));
    let right = right.column_set();
    let is_hashed = join.on.iter().any(|part| links(part, &left, &right));
    let rows_max = all / READ_FOR_LOOKUP * physical::Lookup::LEFT_ROW;
    Some(Box::new(Lookup {
        scan,
        exprs: exprs.to_vec(),
        on: on.map(|(_, part)| part.clone()).collect(),
        limit: match (is_hashed, pays) {
            (false, _) => LookupLimit::Each(all.div_ceil(READ_FOR_LOOKUP)),
            (true, true) => LookupLimit::All(rows_max),
            (true, false) => {
                LookupLimit::All(rows_max.min(TRIED_ROWS * physical::Lookup::LEFT_ROW))
            }
        },
    }))
}

/// A table that is read as a whole so far, and what is computed from its rows.
fn table(plan: &Logical) -> Option<(&Scan, &[(usize, Expr)])> {
    let (input, exprs) = match plan {
        Logical::Project { input, exprs } => (&**input, exprs.as_slice()),
        scan => (scan, [].as_slice()),
    };
    let Logical::Scan(scan) = input else {
        return None;
    };
    let is_read = matches!(scan.access, Access::Table { .. }) && !scan.skips_locked;
    let is_stable = exprs.iter().all(|(_, expr)| expr.is_stable());
    (is_read && is_stable).then_some((scan, exprs))
}

/// The number of the parameter that stands for the first column of a left input: above those of any statement.
const OUTER: usize = usize::MAX / 2;

/// The left column that a parameter stands for.
fn outer(value: &Expr) -> Option<usize> {
    match value.kind {
        ExprKind::Parameter(number) => number.checked_sub(OUTER),
        _ => None,
    }
}

/// The condition with parameters for columns.
fn with_outer(part: Expr, left: &BTreeSet<usize>) -> Expr {
    part.replace(&mut |found| match found.kind {
        ExprKind::Column(column) if left.contains(&column) => Some(Expr {
            kind: ExprKind::Parameter(OUTER + column),
            data_type: found.data_type,
        }),
        _ => None,
    })
}

/// The value with columns for parameters.
fn with_columns(value: Expr) -> Expr {
    value.replace(&mut |found| Some(Expr::column(outer(found)?, found.data_type)))
}
