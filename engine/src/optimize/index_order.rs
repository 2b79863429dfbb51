//! Index order: rows that an index gives in the order wanted are not sorted.
//!
//! From a Sort the order goes down to the scan, past nodes that give their input's rows in its order:
//!
//! ```text
//!  Project    a key is what the projection makes it of
//!  Filter     as it is
//!  Join       for keys of its left side: a semi, anti or mark one, and what is run for each left row. Others give
//!             left rows without a match after those with one, or are turned around.
//! ```
//!
//! There an index is looked for ([`access`](super::access)). Where only the first rows are wanted, and nothing between
//! the Sort and the Limit changes how many there are, the scan ends with them.

use super::access::{Order, OrderKey, key_column, select_ordered};
use super::pushdown::substitute;
use crate::plan::logical::{Join, Logical, Scan};
use crate::plan::physical::JoinKind;
use crate::plan::{Expr, SortKey};

/// Applies the rule to a plan.
pub(super) fn order_by_index(plan: Logical) -> Logical {
    order(plan, false)
}

/// The same where only the first rows are wanted, perhaps.
fn order(plan: Logical, is_limited: bool) -> Logical {
    match plan {
        Logical::Sort { input, keys } => match ordered(*input, &keys, is_limited) {
            Ok(input) => order(input, is_limited),
            Err(input) => Logical::Sort {
                input: Box::new(order(input, false)),
                keys,
            },
        },
        Logical::Limit { .. } | Logical::WithTies { .. } => {
            plan.map_inputs(&mut |input| order(input, true))
        }
        Logical::Project { .. } | Logical::Lock { .. } | Logical::DistinctOn { .. } => {
            plan.map_inputs(&mut |input| order(input, is_limited))
        }
        other => other.map_inputs(&mut |input| order(input, false)),
    }
}

/// The plan with its rows in this order, if an index gives it.
pub(super) fn ordered(
    plan: Logical,
    keys: &[SortKey],
    is_limited: bool,
) -> Result<Logical, Logical> {
    match plan {
        Logical::Scan(scan) => match order_of(&scan, keys, is_limited) {
            Some(order) => match select_ordered(scan, &order) {
                Ok(scan) => Ok(Logical::Scan(scan)),
                Err(scan) => Err(Logical::Scan(scan)),
            },
            None => Err(Logical::Scan(scan)),
        },
        Logical::Project { input, exprs } => {
            let key = |key: &SortKey| SortKey {
                expr: substitute(key.expr.clone(), &exprs),
                ..key.clone()
            };
            let keys: Vec<SortKey> = keys.iter().map(key).collect();
            let put = |input: Logical| Logical::Project {
                input: Box::new(input),
                exprs: exprs.clone(),
            };
            ordered(*input, &keys, is_limited).map(put).map_err(put)
        }
        Logical::Filter { input, predicate } => {
            // It may let few of the rows through.
            let is_limited = false;
            let put = |input: Logical| Logical::Filter {
                input: Box::new(input),
                predicate: predicate.clone(),
            };
            ordered(*input, keys, is_limited).map(put).map_err(put)
        }
        Logical::Join(join) if keeps_left_order(&join, keys) => {
            let is_limited = is_limited && keeps_rows(&join);
            let Join { left, .. } = join;
            let put = |left: Logical| {
                Logical::Join(Join {
                    left: Box::new(left),
                    ..join
                })
            };
            match ordered(*left, keys, is_limited) {
                Ok(left) => Ok(put(left)),
                Err(left) => Err(put(left)),
            }
        }
        other => Err(other),
    }
}

/// Whether the rows come in the order of the join's left rows, and the keys are of those.
fn keeps_left_order(join: &Join, keys: &[SortKey]) -> bool {
    let left = join.left.column_set();
    let is_of_left = |key: &SortKey| key.expr.columns().is_subset(&left);
    let gives_left = matches!(join.kind, JoinKind::Semi | JoinKind::Anti | JoinKind::Mark);
    (gives_left || !join.outer.is_empty()) && keys.iter().all(is_of_left)
}

/// Whether each left row is given at least once.
fn keeps_rows(join: &Join) -> bool {
    matches!(
        join.kind,
        JoinKind::Mark | JoinKind::Left | JoinKind::Single
    )
}

/// An order as one of a table's columns; `None` where it is one of something else.
fn order_of(scan: &Scan, keys: &[SortKey], is_limited: bool) -> Option<Order> {
    let key = |key: &SortKey| {
        Some(OrderKey {
            column: column_of(scan, &key.expr)?,
            descending: key.descending,
            nulls_first: key.nulls_first,
        })
    };
    let keys: Option<Vec<OrderKey>> = keys.iter().map(key).collect();
    Some(Order {
        keys: keys?,
        is_limited,
    })
}

/// The column that an expression is, or that an index keeps its value in.
fn column_of(scan: &Scan, expr: &Expr) -> Option<remora_storage::ColumnId> {
    let mut computed = scan.computed.iter();
    match computed.find(|(_, of)| of.same(expr)) {
        Some((number, _)) => scan.column_id(*number),
        None => Some(key_column(expr, &|number| scan.column_id(number))?.0),
    }
}
