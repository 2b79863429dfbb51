//! Join order: chains of inner joins such that each has a key, if that can be.
//!
//! Joins are taken as written, with one exception: an item that nothing yet links to those before
//! it waits until something does. `FROM a, b, c WHERE a.x = c.x AND b.y = c.y` joins a, c, b and not
//! the product of a and b. A chain is flattened into its items and conditions and built up again,
//! each condition at the first join that has all its columns.

use crate::plan::Expr;
use crate::plan::logical::{Join, Logical};
use crate::plan::physical::{JoinKey, JoinKind};
use std::collections::BTreeSet;

/// Applies the rule to a plan.
pub(super) fn order_joins(plan: Logical) -> Logical {
    match plan {
        Logical::Join(join) if is_movable(&join) => {
            let (mut items, mut conditions) = (Vec::new(), Vec::new());
            flatten(Logical::Join(join), &mut items, &mut conditions);
            rebuild(items.into_iter().map(order_joins).collect(), conditions)
        }
        other => other.map_inputs(&mut order_joins),
    }
}

/// What is run for each row of its left input has to stay where it is.
fn is_movable(join: &Join) -> bool {
    join.kind == JoinKind::Inner && join.outer.is_empty()
}

fn flatten(plan: Logical, items: &mut Vec<Logical>, conditions: &mut Vec<Expr>) {
    match plan {
        Logical::Join(join) if is_movable(&join) => {
            flatten(*join.left, items, conditions);
            flatten(*join.right, items, conditions);
            conditions.extend(join.on);
        }
        other => items.push(other),
    }
}

fn rebuild(mut items: Vec<Logical>, mut conditions: Vec<Expr>) -> Logical {
    let mut plan = items.remove(0);
    let mut have = plan.column_set();
    while !items.is_empty() {
        let linked = items.iter().position(|item| {
            let columns = item.column_set();
            conditions
                .iter()
                .any(|condition| links(condition, &have, &columns))
        });
        let next = items.remove(linked.unwrap_or(0));
        have.extend(next.columns());
        let (on, later) =
            (conditions.into_iter()).partition(|condition| condition.columns().is_subset(&have));
        conditions = later;
        plan = Logical::Join(Join::new(plan, next, JoinKind::Inner, on));
    }
    plan
}

/// Whether a condition is an equality of an expression over one side with one over the other.
pub(super) fn links(condition: &Expr, one: &BTreeSet<usize>, two: &BTreeSet<usize>) -> bool {
    key(condition, one, two).is_some()
}

/// The key of a join that a condition is, over columns of the `left` side and of the `right` one.
pub(super) fn key(
    condition: &Expr,
    left: &BTreeSet<usize>,
    right: &BTreeSet<usize>,
) -> Option<JoinKey> {
    let (a, b) = (condition.as_equality()).or_else(|| condition.as_not_distinct())?;
    let over = |expr: &Expr, side: &BTreeSet<usize>| {
        let columns = expr.columns();
        !columns.is_empty() && columns.is_subset(side)
    };
    let (a, b) = match (
        over(a, left) && over(b, right),
        over(a, right) && over(b, left),
    ) {
        (true, _) => (a, b),
        (false, true) => (b, a),
        (false, false) => return None,
    };
    Some(JoinKey {
        left: a.clone(),
        right: b.clone(),
        nulls_match: condition.as_equality().is_none(),
    })
}
