//! Semi joins turned around: where the right input has few rows, and an index of the left one has those that match.
//!
//! ```text
//!   t  SEMI JOIN  f ON t.id = f.n      ->      DISTINCT f.n  JOIN  t ON t.id = n
//! ```
//!
//! Each left row is still given at most once: all conditions are equalities, and right rows that are equal by them are
//! one. That is known of types that have one form for each value, of texts without a collation.

use super::join_order::key;
use crate::plan::collation::said;
use crate::plan::logical::{Columns, Join, Logical};
use crate::plan::physical::JoinKind;
use crate::plan::{Expr, ExprKind};

/// The inner join that a semi join is, with the distinct keys of its right input on the left.
pub(super) fn as_inner(join: &Join, columns: &mut Columns) -> Option<Join> {
    let (left, right) = (join.left.column_set(), join.right.column_set());
    let key_of = |part: &Expr| {
        let key = key(part, &left, &right)?;
        let is_plain = !key.nulls_match && has_one_form(&key.left) && has_one_form(&key.right);
        is_plain.then_some(key.right)
    };
    let keys = join.on.iter().map(key_of).collect::<Option<Vec<_>>>()?;
    let mut distinct: Vec<(usize, Expr)> = Vec::new();
    let mut on = Vec::new();
    for (part, key) in join.on.iter().zip(keys) {
        let column = columns.add(name(&key, columns), key.data_type);
        on.push(
            part.clone().replace(&mut |found| {
                (found.same(&key)).then(|| Expr::column(column, key.data_type))
            }),
        );
        distinct.push((column, key));
    }
    let keys = Logical::Project {
        input: join.right.clone(),
        exprs: distinct,
    };
    Some(Join {
        left: Box::new(Logical::Distinct(Box::new(keys))),
        right: join.left.clone(),
        kind: JoinKind::Inner,
        on,
        ..join.clone()
    })
}

fn name(key: &Expr, columns: &Columns) -> String {
    match key.kind {
        ExprKind::Column(column) => columns.field(column).name.clone(),
        _ => "?column?".to_owned(),
    }
}

/// Whether values that are equal are the same.
pub(super) fn has_one_form(expr: &Expr) -> bool {
    expr.data_type.has_one_form() && expr.is_stable() && !expr.any(&mut |part| said(part).is_some())
}
