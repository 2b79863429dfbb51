//! Index order: rows that an index gives in the order wanted are not sorted.
//!
//! From a Sort the order goes down to the scan, past nodes that give their input's rows in its order:
//!
//! ```text
//!  Project    a key is what the projection makes it of
//!  Filter     as it is
//!  Join       for keys of its left side: all but inner ones, which may be turned around, and full ones; and what is
//!             run for each left row
//! ```
//!
//! For the scan an index is looked for ([`access`](super::access)); NULLs that it has at the wrong end are read apart. Where
//! only the first rows are wanted, and nothing between the Sort and the Limit changes how many there are, the scan ends with
//! them. Two more ways are for the first rows only:
//!
//! 1. An index gives the order for each value of a list (`g IN (3, 5) ORDER BY k LIMIT 10`, of an index over `g` and `k`):
//!    the first rows of each are sorted.
//! 2. No index gives the order for sure, since a filter is left over or rows are joined or grouped, but one gives it to
//!    rows below: it is tried ([`Logical::Adaptive`]).

use super::access::{Order, OrderKey, branches, key_column, select_ordered, select_tried};
use crate::plan::logical::{Access, Join, Logical, Scan};
use crate::plan::physical::JoinKind;
use crate::plan::{Expr, ExprKind, SortKey};
use remora_storage::{DataType, Value};

/// Rows that are read of all values of a list, to sort the first of them.
const MERGED_ROWS_MAX: u64 = 4096;

/// Applies the rule to a plan.
pub(super) fn order_by_index(plan: Logical) -> Logical {
    order(plan, false)
}

/// The same where only the first rows are wanted, perhaps.
fn order(plan: Logical, is_limited: bool) -> Logical {
    match plan {
        Logical::Limit { .. } => first_by_index(plan.map_inputs(&mut |input| order(input, true))),
        Logical::Sort { input, keys } => match ordered(*input, &keys, is_limited) {
            (input, true) => order(input, is_limited),
            (input, false) => Logical::Sort {
                input: Box::new(order(input, false)),
                keys,
            },
        },
        Logical::WithTies { .. } => plan.map_inputs(&mut |input| order(input, true)),
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
            let keys: Vec<SortKey> = keys.iter().map(|key| key_below(key, &exprs)).collect();
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

/// A Limit whose rows an index gives for each value of a list, or perhaps.
fn first_by_index(plan: Logical) -> Logical {
    let Logical::Limit {
        input,
        limit: Some(limit),
        offset,
    } = &plan
    else {
        return plan;
    };
    let offset_rows = offset.as_ref().map_or(Some(0), count);
    let end = count(limit).and_then(|limit| limit.checked_add(offset_rows?));
    let first_of = |rows| Logical::Limit {
        input: Box::new(rows),
        limit: Some(limit.clone()),
        offset: offset.clone(),
    };
    if let Some(rows) = end.and_then(|end| merged_rows(input, None, end)) {
        return first_of(rows);
    }
    let tried = first_rows(input).filter(|rows| {
        // Volatile expressions must not be evaluated for a trial, and then once more.
        plan.is_stable() && end.is_none_or(|end| end <= rows_tried(rows))
    });
    match tried {
        None => plan,
        Some(rows) => Logical::Adaptive {
            first: Box::new(first_of(rows)),
            otherwise: Box::new(plan),
        },
    }
}

fn count(expr: &Expr) -> Option<u64> {
    match expr.kind {
        ExprKind::Literal(Value::BigInt(count)) => u64::try_from(count).ok(),
        _ => None,
    }
}

/// The first `end` rows of a plan in the order of its keys and some more; `keys` are those of the Sort above.
fn merged_rows(plan: &Logical, keys: Option<&[SortKey]>, end: u64) -> Option<Logical> {
    match (plan, keys) {
        (Logical::Project { input, exprs }, _) => {
            let below = |key: &SortKey| key_below(key, exprs);
            let keys: Option<Vec<SortKey>> = keys.map(|keys| keys.iter().map(below).collect());
            Some(Logical::Project {
                input: Box::new(merged_rows(input, keys.as_deref(), end)?),
                exprs: exprs.clone(),
            })
        }
        (Logical::Sort { input, keys }, None) => Some(Logical::Sort {
            input: Box::new(merged_rows(input, Some(keys), end)?),
            keys: keys.clone(),
        }),
        (Logical::Scan(scan), Some(keys)) => {
            let order = order_of(scan, keys, true)?;
            (0..scan.filter.len()).find_map(|part| rows_of_each(scan, part, &order, end))
        }
        _ => None,
    }
}

/// The first `end` rows of each value of the list that a part of a scan's filter is, if an index gives them.
fn rows_of_each(scan: &Scan, part: usize, order: &Order, end: u64) -> Option<Logical> {
    let values = branches(&scan.filter[part])?;
    let mut read = end.saturating_mul(values.len() as u64);
    // A value that is there twice would be read twice; of parameters that is not known.
    for (at, value) in values.iter().enumerate() {
        let is_known = !value.any(&mut |part| matches!(part.kind, ExprKind::Parameter(_)));
        if !is_known || values[..at].iter().any(|other| other.same(value)) {
            read = u64::MAX;
        }
    }
    if values.len() < 2 || read > MERGED_ROWS_MAX {
        return None;
    }
    let columns: Vec<usize> = scan.numbers().collect();
    let first = values.into_iter().map(|value| {
        let mut scan = scan.clone();
        scan.filter[part] = value;
        let (scan, is_ordered) = select_ordered(scan, order);
        let limited = Logical::Limit {
            input: Box::new(Logical::Scan(scan)),
            limit: Some(Expr::literal(Value::BigInt(end as i64), DataType::BigInt)),
            offset: None,
        };
        is_ordered.then(|| (limited, columns.clone()))
    });
    Some(Logical::UnionAll {
        inputs: first.collect::<Option<_>>()?,
        columns: columns.clone(),
    })
}

/// How many rows the scans of a trial may read.
fn rows_tried(plan: &Logical) -> u64 {
    let mut rows = 0;
    plan.any(&mut |node| {
        if let Logical::Scan(scan) = node {
            rows += scan.read_max.unwrap_or(0);
        }
        false
    });
    rows
}

/// The rows of a plan in its order, or its groups, by an index that is tried.
fn first_rows(plan: &Logical) -> Option<Logical> {
    match plan {
        Logical::Project { input, exprs } => Some(Logical::Project {
            input: Box::new(first_rows(input)?),
            exprs: exprs.clone(),
        }),
        Logical::Sort { input, keys } => by_trial(input, keys),
        Logical::Filter { .. } | Logical::Aggregate { .. } => by_trial(plan, &[]),
        _ => None,
    }
}

/// The plan with its rows in this order, by an index that is tried.
fn by_trial(plan: &Logical, keys: &[SortKey]) -> Option<Logical> {
    match plan {
        Logical::Scan(scan) if matches!(scan.access, Access::Table { .. }) => {
            let order = order_of(scan, keys, true).filter(|order| !order.keys.is_empty())?;
            Some(Logical::Scan(select_tried(scan.clone(), &order)?))
        }
        Logical::Project { input, exprs } => {
            let keys: Vec<SortKey> = keys.iter().map(|key| key_below(key, exprs)).collect();
            Some(Logical::Project {
                input: Box::new(by_trial(input, &keys)?),
                exprs: exprs.clone(),
            })
        }
        Logical::Filter { input, predicate } => Some(Logical::Filter {
            input: Box::new(by_trial(input, keys)?),
            predicate: predicate.clone(),
        }),
        Logical::Distinct(input) => Some(Logical::Distinct(Box::new(by_trial(input, keys)?))),
        Logical::Aggregate {
            input,
            groups,
            aggregates,
            sets: None,
            ..
        } if !groups.is_empty() => Some(Logical::Aggregate {
            input: Box::new(by_trial(input, &keys_of_groups(groups, keys)?)?),
            groups: groups.clone(),
            aggregates: aggregates.clone(),
            sets: None,
            in_order: true,
        }),
        Logical::Join(join) => joined_by_trial(join, keys),
        _ => None,
    }
}

/// Tries an index for the left rows of a join, which keeps their order.
fn joined_by_trial(join: &Join, keys: &[SortKey]) -> Option<Logical> {
    let mut join = join.clone();
    if join.kind == JoinKind::Inner && join.outer.is_empty() {
        let right = join.right.column_set();
        if keys.iter().all(|key| key.expr.columns().is_subset(&right)) {
            std::mem::swap(&mut join.left, &mut join.right);
        }
        let left = join.left.column_set();
        if !keys.iter().all(|key| key.expr.columns().is_subset(&left)) {
            return None;
        }
    } else if !keeps_left_order(&join, keys) {
        return None;
    }
    join.left = Box::new(by_trial(&join.left, keys)?);
    join.keeps_order = true;
    Some(Logical::Join(join))
}

/// An order by these keys, which are groups, and then by all other groups: rows of a group follow each other in it.
fn keys_of_groups(groups: &[(usize, Expr)], keys: &[SortKey]) -> Option<Vec<SortKey>> {
    let is_group = |key: &SortKey| {
        let mut groups = groups.iter();
        groups
            .any(|(group, _)| matches!(key.expr.kind, ExprKind::Column(number) if number == *group))
    };
    if !keys.iter().all(is_group) {
        return None;
    }
    let mut all: Vec<SortKey> = keys.iter().map(|key| key_below(key, groups)).collect();
    let descending = keys.first().is_some_and(|key| key.descending);
    for (_, group) in groups {
        if !all.iter().any(|key| key.expr.same(group)) {
            all.push(SortKey {
                expr: group.clone(),
                descending,
                nulls_first: descending,
            });
        }
    }
    Some(all)
}

/// A key in terms of what columns are made of.
fn key_below(key: &SortKey, exprs: &[(usize, Expr)]) -> SortKey {
    SortKey {
        expr: key.expr.clone().substitute(exprs),
        ..key.clone()
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
    let condition = |kind| Expr::new(kind, DataType::Boolean);
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
    let has_sides = !matches!(join.kind, JoinKind::Inner | JoinKind::Full);
    (has_sides || !join.outer.is_empty()) && keys.iter().all(is_of_left)
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
