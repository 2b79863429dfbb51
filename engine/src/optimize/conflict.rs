//! ON CONFLICT DO UPDATE, and the conditions of views that rows are written through: what asks subqueries
//! becomes a plan of one row, which is run for each row that is met. The values that it names are parameters,
//! and so are those that it gives.

use super::{Effort, lower, optimize};
use crate::plan::Expr;
use crate::plan::logical::{Columns, Logical, Query};
use crate::plan::statement::{Asked, Insert, RowCheck};
use std::sync::Arc;

/// Takes subqueries out of what an INSERT does where a key is there.
pub(super) fn ask_for_each(mut insert: Insert, columns: &mut Columns, effort: Effort) -> Insert {
    ask_of_checks(&mut insert.checks, columns, effort);
    let conflict = insert.on_conflict.as_mut();
    if let Some(update) = conflict.and_then(|conflict| conflict.update.as_mut()) {
        ask_of_checks(&mut update.update.checks, columns, effort);
        let values = update.update.assignments.iter_mut().map(|(_, value)| value);
        let asking = values.chain(&mut update.filter);
        update.asked = asked(asking, columns, effort).map(Box::new);
    }
    insert
}

/// Takes subqueries out of what is checked of each row.
pub(super) fn ask_of_checks(checks: &mut [RowCheck], columns: &mut Columns, effort: Effort) {
    for check in checks {
        let condition = std::iter::once(&mut check.condition);
        check.asked = asked(condition, columns, effort).map(Arc::new);
    }
}

fn asked<'e>(
    asking: impl Iterator<Item = &'e mut Expr>,
    columns: &mut Columns,
    effort: Effort,
) -> Option<Asked> {
    let mut given: Vec<(usize, usize)> = Vec::new();
    let (mut exprs, mut gives) = (Vec::new(), Vec::new());
    for expr in asking.filter(|expr| expr.has_subquery()) {
        let data_type = expr.data_type;
        let result = columns.add_parameter();
        let whole = std::mem::replace(expr, Expr::parameter(result, data_type));
        let whole = whole.replace_columns(&mut |position, data_type| {
            let known = given.iter().find(|(_, found)| *found == position);
            let number = known.map(|(number, _)| *number).unwrap_or_else(|| {
                let number = columns.add_parameter();
                given.push((number, position));
                number
            });
            Some(Expr::parameter(number, data_type))
        });
        exprs.push((columns.add("?column?", data_type), whole));
        gives.push(result);
    }
    if gives.is_empty() {
        return None;
    }
    let output = exprs
        .iter()
        .map(|(column, _)| ("?column?".to_owned(), *column));
    let output = output.collect();
    let plan = Logical::one_row(columns).project(exprs);
    let query = optimize(Query { plan, output }, columns, effort);
    Some(Asked {
        plan: lower::query(query, columns),
        given,
        gives,
    })
}
