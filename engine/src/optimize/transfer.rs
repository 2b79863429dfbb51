//! What is known of one side of a join is known of the other one.
//!
//! ```text
//!   a.x < 5 AND a.x = b.x      ->      b.x < 5
//! ```
//!
//! A row of `b` with another `x` meets no row of `a` that is left, so that it need not be read: an index
//! finds the few that count, blocks are skipped, and the hash table of the join stays small. Only comparisons
//! of a column with what names none are taken over, which cost next to nothing where they do not help.

use crate::plan::{Expr, ExprKind};
use std::collections::BTreeSet;

/// What `known` of one side says of the columns `of` the other one, by the equalities among the conditions `on`.
pub(super) fn transferred(known: &[Expr], on: &[Expr], of: &BTreeSet<usize>) -> Vec<Expr> {
    let mut found: Vec<Expr> = Vec::new();
    for (one, two) in on.iter().filter_map(Expr::as_equality) {
        for (from, to) in [(one, two), (two, one)] {
            let (ExprKind::Column(from_column), ExprKind::Column(to_column)) =
                (&from.kind, &to.kind)
            else {
                continue;
            };
            if !of.contains(to_column) || from.data_type != to.data_type {
                continue;
            }
            let about = known
                .iter()
                .filter(|part| compared_column(part) == Some(*from_column));
            found.extend(about.map(|part| renamed(part, *from_column, *to_column)));
        }
    }
    found
}

/// The column that a part compares with what names none; of equal values it says the same.
pub(super) fn compared_column(part: &Expr) -> Option<usize> {
    let column = |expr: &Expr| match expr.kind {
        ExprKind::Column(column) => Some(column),
        _ => None,
    };
    match &part.kind {
        ExprKind::Call {
            overload,
            arguments,
        } if ["=", "<", "<=", ">", ">="].contains(&overload.name) => match arguments.as_slice() {
            [one, two] if two.is_column_free() && part.is_stable() => column(one),
            [one, two] if one.is_column_free() && part.is_stable() => column(two),
            _ => None,
        },
        ExprKind::InList { input, list }
            if list
                .iter()
                .all(|item| item.is_column_free() && item.is_stable()) =>
        {
            column(input)
        }
        _ => None,
    }
}

fn renamed(part: &Expr, from: usize, to: usize) -> Expr {
    part.clone().replace_columns(&mut |column, data_type| {
        (column == from).then(|| Expr::column(to, data_type))
    })
}
