//! Factors: what all branches of an OR have in common is a condition of its own, and so is what each of them says of
//! one side of a join.
//!
//! ```text
//!   (a.x = b.x AND a.y < 10) OR (a.x = b.x AND b.z = 5)     ->  a.x = b.x AND (a.y < 10 OR b.z = 5)
//!   (a.y = 1 AND b.z = 2) OR (a.y = 3 AND b.z = 4)          and (a.y = 1 OR a.y = 3) for a alone
//! ```
//!
//! The first makes a key of what had to be tried with all pairs of rows. The second is implied, and only keeps rows from
//! the join that no branch would take; where a branch says nothing of the side, nothing is implied.

use crate::plan::{Expr, ExprKind};
use remora_storage::DataType;
use std::collections::BTreeSet;

/// The parts of a conjunction, with common factors of their branches as parts.
pub(super) fn factored(parts: Vec<Expr>) -> Vec<Expr> {
    parts.into_iter().flat_map(with_factors).collect()
}

fn with_factors(part: Expr) -> Vec<Expr> {
    let ExprKind::Or(branches) = &part.kind else {
        return vec![part];
    };
    if !part.is_stable() {
        return vec![part];
    }
    let mut branches: Vec<Vec<Expr>> = (branches.iter().cloned()).map(Expr::conjuncts).collect();
    let (first, others) = branches.split_first().expect("an OR has branches");
    let is_everywhere = |factor: &&Expr| {
        let mut others = others.iter();
        others.all(|branch| branch.iter().any(|part| part.same(factor)))
    };
    let factors: Vec<Expr> = first.iter().filter(is_everywhere).cloned().collect();
    if factors.is_empty() {
        return vec![part];
    }
    for branch in &mut branches {
        branch.retain(|part| !factors.iter().any(|factor| factor.same(part)));
    }
    // A branch of which nothing is left is true wherever the factors are.
    let rest = branches.into_iter().map(Expr::conjunction);
    let rest = rest.collect::<Option<Vec<_>>>().map(either);
    factors.into_iter().chain(rest).collect()
}

/// What the part says of these columns alone.
pub(super) fn implied(part: &Expr, columns: &BTreeSet<usize>) -> Option<Expr> {
    let ExprKind::Or(branches) = &part.kind else {
        return None;
    };
    let of_branch = |branch: &Expr| {
        let parts = branch.clone().conjuncts().into_iter();
        let parts = parts.filter(|part| {
            let named = part.columns();
            !named.is_empty() && named.is_subset(columns) && part.is_stable()
        });
        Expr::conjunction(parts.collect())
    };
    let branches = branches.iter().map(of_branch);
    branches.collect::<Option<Vec<_>>>().map(either)
}

fn either(branches: Vec<Expr>) -> Expr {
    Expr::new(ExprKind::Or(branches), DataType::Boolean)
}
