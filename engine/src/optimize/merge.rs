//! Projection merging: two projections in a row are one.
//!
//! The upper one is rewritten in terms of what the lower one projects, unless that would compute
//! something twice that is more than a column or a constant, or that is volatile.

use crate::plan::logical::Logical;
use crate::plan::{Expr, ExprKind};
use std::collections::HashMap;

/// Applies the rule to a plan.
pub(super) fn merge_projections(plan: Logical) -> Logical {
    match plan.map_inputs(&mut merge_projections) {
        Logical::Project { input, exprs } => project(*input, exprs),
        plan => plan,
    }
}

/// A projection of what is merged itself already.
fn project(input: Logical, exprs: Vec<(usize, Expr)>) -> Logical {
    match input {
        Logical::Project {
            input: below,
            exprs: inner,
        } if inner
            .iter()
            .all(|(column, expr)| may_merge(*column, expr, &exprs)) =>
        {
            let made: HashMap<usize, &Expr> = inner.iter().map(|(at, expr)| (*at, expr)).collect();
            let exprs = exprs.into_iter().map(|(number, expr)| {
                let expr = expr.replace_columns(&mut |column, _| {
                    made.get(&column).map(|made| Expr::clone(made))
                });
                (number, expr)
            });
            project(*below, exprs.collect())
        }
        input => input.project(exprs),
    }
}

fn may_merge(column: usize, expr: &Expr, above: &[(usize, Expr)]) -> bool {
    let cheap = matches!(
        expr.kind,
        ExprKind::Column(_) | ExprKind::Literal(_) | ExprKind::Parameter(_)
    );
    cheap || (expr.is_stable() && uses(column, above) <= 1)
}

fn uses(column: usize, above: &[(usize, Expr)]) -> usize {
    let mut count = 0;
    for (_, expr) in above {
        expr.any(&mut |part| {
            count += usize::from(matches!(part.kind, ExprKind::Column(c) if c == column));
            false
        });
    }
    count
}
