//! Windows: what is sorted already is not sorted again.

use super::lower::{Lowered, Positions};
use crate::plan::SortKey;
use crate::plan::logical::Columns;
use crate::plan::physical::{Node, PhysicalPlan};
use crate::plan::window::{Window, WindowCall};

/// A window over positions, above a sort unless its input comes in order.
pub(super) fn window_node(
    input: Lowered,
    window: Window<Vec<(usize, WindowCall)>>,
    columns: &Columns,
) -> Lowered {
    let at = Positions(&input.numbers);
    let (mut numbers, mut calls) = (input.numbers.clone(), Vec::new());
    for (number, mut call) in window.calls {
        for expr in call.exprs_mut() {
            expr.change(|expr| at.expr(expr));
        }
        numbers.push(number);
        calls.push(call);
    }
    let window = Window {
        partition: window
            .partition
            .into_iter()
            .map(|expr| at.expr(expr))
            .collect(),
        order: at.keys(window.order),
        calls,
    };
    let node = Node::Window {
        input: Box::new(sorted(input.plan, window.sort_keys())),
        window: Box::new(window),
    };
    Lowered::new(node, numbers, columns)
}

fn sorted(plan: PhysicalPlan, keys: Vec<SortKey>) -> PhysicalPlan {
    let is_sorted = keys.len() <= order_of(&plan).len()
        && keys.iter().zip(order_of(&plan)).all(|(wanted, found)| {
            wanted.expr.same(&found.expr)
                && wanted.descending == found.descending
                && wanted.nulls_first == found.nulls_first
        });
    if is_sorted {
        return plan;
    }
    PhysicalPlan {
        schema: plan.schema.clone(),
        node: Node::Sort {
            input: Box::new(plan),
            keys,
        },
    }
}

/// What rows are known to be ordered by. A window's own columns come behind its input's, so that positions
/// stay what they are.
fn order_of(plan: &PhysicalPlan) -> &[SortKey] {
    match &plan.node {
        Node::Sort { keys, .. } => keys,
        Node::Window { input, .. } => order_of(input),
        _ => &[],
    }
}
