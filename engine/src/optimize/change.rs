//! UPDATE, DELETE, TRUNCATE: the plan of the rows, and what is evaluated over them.
//!
//! The plan gives all columns of the table in order, the RowId, and then what the statement names of the
//! tables beside it; so what the statement evaluates gets positions of that.

use super::lower::{self, Positions};
use super::{Effort, conflict, fold, optimize, point};
use crate::plan::Expr;
use crate::plan::logical::{Columns, Logical, Query};
use crate::plan::merge::Merge;
use crate::plan::statement::{Delete, Returning, Statement, Target, Update};
use remora_storage::catalog::TableEntry;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The statement with its rows.
pub(super) fn change(
    statement: Statement,
    rows: Logical,
    columns: &mut Columns,
    effort: Effort,
) -> Statement {
    match fold::fold_statement(statement) {
        Statement::Update(mut update) => {
            conflict::ask_of_checks(&mut update.checks, columns, effort);
            let values = update.assignments.iter_mut().map(|(_, value)| value);
            let exprs = values.chain(shown(&mut update.returning)).collect();
            let target = target(
                &update.table,
                (rows, &update.target),
                exprs,
                columns,
                effort,
            );
            Statement::Update(Update { target, ..update })
        }
        Statement::Delete(mut delete) => {
            let exprs = shown(&mut delete.returning).collect();
            let target = target(
                &delete.table,
                (rows, &delete.target),
                exprs,
                columns,
                effort,
            );
            Statement::Delete(Delete { target, ..delete })
        }
        other => other,
    }
}

/// MERGE with its rows.
pub(super) fn merge(
    merge: Merge,
    rows: Logical,
    columns: &mut Columns,
    effort: Effort,
) -> Statement {
    let statement = fold::fold_statement(Statement::Merge(Box::new(merge)));
    let Statement::Merge(mut merge) = statement else {
        unreachable!("folding leaves a statement what it is");
    };
    let table = Arc::clone(&merge.table);
    let query = query(&table, rows, merge.exprs().collect(), columns, effort);
    merge.rows = lower::query(query, columns);
    Statement::Merge(merge)
}

fn shown(returning: &mut Option<Returning>) -> impl Iterator<Item = &mut Expr> {
    returning.iter_mut().flat_map(|shown| &mut shown.exprs)
}

fn target(
    table: &TableEntry,
    (rows, placeholder): (Logical, &Target),
    exprs: Vec<&mut Expr>,
    columns: &mut Columns,
    effort: Effort,
) -> Target {
    let query = query(table, rows, exprs, columns, effort);
    match point::lookup(&query.plan) {
        Some(lookup) => Target::Point(lookup),
        None => {
            let plan = Box::new(lower::query(query, columns));
            match placeholder {
                Target::Joined(_) => Target::Joined(plan),
                Target::Point(_) | Target::Scan(_) => Target::Scan(plan),
            }
        }
    }
}

/// The rows, with a column more for each expression that asks a subquery, and names that instead.
fn beside_subqueries(rows: Logical, exprs: &mut [&mut Expr], columns: &mut Columns) -> Logical {
    if !exprs.iter().any(|expr| expr.has_subquery()) {
        return rows;
    }
    let below = rows.columns().into_iter();
    let mut shown: Vec<_> = below.map(|column| (column, columns.expr(column))).collect();
    for expr in exprs.iter_mut().filter(|expr| expr.has_subquery()) {
        let column = columns.add("?column?", expr.data_type);
        let named = Expr::column(column, expr.data_type);
        shown.push((column, std::mem::replace(&mut **expr, named)));
    }
    Logical::Project {
        input: Box::new(rows),
        exprs: shown,
    }
}

/// The rows, and the expressions over their positions.
fn query(
    table: &TableEntry,
    rows: Logical,
    mut exprs: Vec<&mut Expr>,
    columns: &mut Columns,
    effort: Effort,
) -> Query {
    let rows = beside_subqueries(rows, &mut exprs, columns);
    let own = table.def.columns.len();
    let named: BTreeSet<usize> = exprs.iter().flat_map(|expr| expr.columns()).collect();
    let numbers: Vec<usize> = (0..=own)
        .chain(named.into_iter().filter(|number| *number > own))
        .collect();
    for expr in exprs {
        *expr = Positions(&numbers).expr(expr.clone());
    }
    let output = numbers.into_iter().map(|number| {
        let name = columns.field(number).name.clone();
        (name, number)
    });
    let query = Query {
        output: output.collect(),
        plan: rows,
    };
    optimize(query, columns, effort)
}
