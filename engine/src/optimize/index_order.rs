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
//! There an index is looked for ([`access`](super::access)); NULLs that it has at the wrong end are read apart. Where only the first rows are wanted, and nothing between
//! the Sort and the Limit changes how many there are, the scan ends with them.

use super::access::{Order, OrderKey, key_column, select_ordered};
use super::pushdown::substitute;
use crate::plan::logical::{Join, Logical, Scan};
use crate::plan::physical::JoinKind;
use crate::plan::{Expr, ExprKind, SortKey};
use remora_storage::DataType;

/// Applies the rule to a plan.
pub(super) fn order_by_index(plan: Logical) -> Logical {
    order(plan, false)
}

/// The same where only the first rows are wanted, perhaps.
fn order(plan: Logical, is_limited: bool) -> Logical {
    match plan {
        Logical::Sort { input, keys } => match ordered(*input, &keys, is_limited) {
            (input, true) => order(input, is_limited),
            (input, false) => Logical::Sort {
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

/// The plan with its rows in this order, if an index gives it; says whether one does.
pub(super) fn ordered(plan: Logical, keys: &[SortKey], is_limited: bool) -> (Logical, bool) {
    match plan {
        Logical::Scan(scan) => match order_of(&scan, keys, is_limited) {
            Some(order) => ordered_scan(scan, keys, &order),
            None => (Logical::Scan(scan), false),
        },
        Logical::Project { input, exprs } => {
            let key = |key: &SortKey| SortKey {
                expr: substitute(key.expr.clone(), &exprs),
                ..key.clone()
            };
            let keys: Vec<SortKey> = keys.iter().map(key).collect();
            let (input, is_ordered) = ordered(*input, &keys, is_limited);
            let input = Box::new(input);
            (Logical::Project { input, exprs }, is_ordered)
        }
        Logical::Filter { input, predicate } => {
            // It may let few of the rows through.
            let (input, is_ordered) = ordered(*input, keys, false);
            let input = Box::new(input);
            (Logical::Filter { input, predicate }, is_ordered)
        }
        Logical::Join(mut join) if keeps_left_order(&join, keys) => {
            let is_limited = is_limited && keeps_rows(&join);
            let (left, is_ordered) = ordered(*join.left, keys, is_limited);
            join.left = Box::new(left);
            (Logical::Join(join), is_ordered)
        }
        other => (other, false),
    }
}

fn ordered_scan(scan: Scan, keys: &[SortKey], order: &Order) -> (Logical, bool) {
    let (scan, is_ordered) = select_ordered(scan, order);
    match nulls_apart(&scan, keys, order) {
        Some(rows) if !is_ordered => (rows, true),
        _ => (Logical::Scan(scan), is_ordered),
    }
}

/// The rows whose first key is NULL, and the others, or the other way round: where NULLs are wanted at the other end
/// than an index has them.
fn nulls_apart(scan: &Scan, keys: &[SortKey], order: &Order) -> Option<Logical> {
    let first = keys.first().filter(|_| order.is_limited)?;
    let condition = |kind| Expr {
        kind,
        data_type: DataType::Boolean,
    };
    let is_null = condition(ExprKind::IsNull(Box::new(first.expr.clone())));
    let part = |part: Expr| {
        let mut scan = scan.clone();
        scan.filter.push(part);
        let (scan, is_ordered) = select_ordered(scan, order);
        is_ordered.then_some(scan)
    };
    let nulls = part(is_null.clone())?;
    let others = part(condition(ExprKind::Not(Box::new(is_null))))?;
    let parts = match first.nulls_first {
        true => [nulls, others],
        false => [others, nulls],
    };
    let columns: Vec<usize> = scan.numbers().collect();
    let input = |part| (Logical::Scan(part), columns.clone());
    Some(Logical::UnionAll {
        inputs: parts.map(input).into(),
        columns: columns.clone(),
    })
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
