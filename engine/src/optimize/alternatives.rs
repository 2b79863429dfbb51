//! Alternatives: equalities of one value with constants, in one OR, are a list of these.
//!
//! ```text
//!   a = 3 OR a = 6 OR .. OR b > 5      ->      a IN (3, 6, ..) OR b > 5
//! ```
//!
//! A list is looked up in a set, an OR asks its branches one after the other. Only branches that follow each other
//! become one, so that whatever may fail behind them is still asked of the same rows, and only of types that have one
//! form for each value. Few are left as they were written.

use super::semi_join::has_one_form;
use crate::plan::{Expr, ExprKind};
use remora_storage::DataType;

/// Values of a list that is worth its set.
const VALUES_MIN: usize = 8;

/// The branches of an OR, with lists for equalities that follow each other.
pub(super) fn listed(branches: Vec<Expr>) -> Vec<Expr> {
    if branches.len() < VALUES_MIN {
        return branches;
    }
    let mut found = Vec::new();
    let mut run: Vec<Expr> = Vec::new();
    for branch in branches {
        let goes_on = match (run.last().map(alternative), alternative(&branch)) {
            (Some(Some((one, _))), Some((other, _))) => one.same(other),
            _ => false,
        };
        if !goes_on {
            found.append(&mut list(std::mem::take(&mut run)));
        }
        run.push(branch);
    }
    found.append(&mut list(run));
    found
}

/// Branches about one value as one, if there are enough.
fn list(run: Vec<Expr>) -> Vec<Expr> {
    if run.len() < VALUES_MIN {
        return run;
    }
    let all: Option<Vec<_>> = run.iter().map(alternative).collect();
    let Some([(input, _), ..]) = all.as_deref() else {
        return run;
    };
    let values = all.iter().flatten().flat_map(|(_, values)| *values);
    vec![Expr {
        kind: ExprKind::InList {
            input: Box::new((*input).clone()),
            list: values.cloned().collect(),
        },
        data_type: DataType::Boolean,
    }]
}

/// The value that a branch compares with constants, and the constants.
fn alternative(branch: &Expr) -> Option<(&Expr, &[Expr])> {
    let (input, values) = match &branch.kind {
        ExprKind::InList { input, list } => (&**input, list.as_slice()),
        _ => match branch.as_equality()? {
            (input, value) if is_constant(value) => (input, std::slice::from_ref(value)),
            (value, input) => (input, std::slice::from_ref(value)),
        },
    };
    let fits = |value: &Expr| is_constant(value) && is_alike(input.data_type, value.data_type);
    (!is_constant(input) && has_one_form(input) && values.iter().all(fits))
        .then_some((input, values))
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(_) | ExprKind::Parameter(_))
}

/// Whether values of both types are kept alike.
fn is_alike(one: DataType, other: DataType) -> bool {
    let is_text = |t: DataType| matches!(t, DataType::Text | DataType::Varchar(_));
    one == other || is_text(one) && is_text(other)
}
