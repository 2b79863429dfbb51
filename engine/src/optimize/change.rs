//! UPDATE, DELETE, TRUNCATE: the plan of the rows, and what is evaluated over them.
//!
//! The plan gives all columns of the table in order, the RowId, and then what the statement names of the
//! tables beside it; so what the statement evaluates gets positions of that. A DELETE whose rows no trigger may
//! ask for is given only those columns that it shows: long texts that go are not read for it.

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
            let mut exprs: Vec<_> = shown(&mut delete.returning).collect();
            let rows = beside_subqueries(rows, &mut exprs, columns);
            let own = delete.table.def.columns.len();
            let numbers = match delete.table.def.triggers.is_empty() {
                true => named_columns(own, &exprs),
                false => all_columns(own, &exprs),
            };
            let query = shows(&numbers, rows, columns, effort);
            let (target, numbers) = match point::lookup(&query.plan) {
                // Its row is looked at where it lies.
                Some(lookup) => (Target::Point(lookup), all_columns(own, &exprs)),
                None => (scanned(query, &delete.target, columns), numbers),
            };
            put_at(&numbers, exprs);
            let row_id = numbers.partition_point(|number| *number < own);
            Statement::Delete(Delete {
                target,
                row_id,
                ..delete
            })
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
        None => scanned(query, placeholder, columns),
    }
}

fn scanned(query: Query, placeholder: &Target, columns: &Columns) -> Target {
    let plan = Box::new(lower::query(query, columns));
    match placeholder {
        Target::Joined(_) => Target::Joined(plan),
        Target::Point(_) | Target::Scan(_) => Target::Scan(plan),
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
    let numbers = all_columns(table.def.columns.len(), &exprs);
    put_at(&numbers, exprs);
    shows(&numbers, rows, columns, effort)
}

/// All of a table's own columns, the RowId, and what else the expressions name.
fn all_columns(own: usize, exprs: &[&mut Expr]) -> Vec<usize> {
    let named = named_columns(own, exprs).into_iter();
    (0..own)
        .chain(named.filter(|number| *number >= own))
        .collect()
}

/// Columns that the expressions name, and the RowId.
fn named_columns(own: usize, exprs: &[&mut Expr]) -> Vec<usize> {
    let mut named: BTreeSet<usize> = exprs.iter().flat_map(|expr| expr.columns()).collect();
    named.insert(own);
    named.into_iter().collect()
}

/// Has the expressions name positions among these columns.
fn put_at(numbers: &[usize], exprs: Vec<&mut Expr>) {
    for expr in exprs {
        *expr = Positions(numbers).expr(expr.clone());
    }
}

/// The rows with these columns.
fn shows(numbers: &[usize], rows: Logical, columns: &mut Columns, effort: Effort) -> Query {
    let output = numbers.iter().map(|&number| {
        let name = columns.field(number).name.clone();
        (name, number)
    });
    let query = Query {
        output: output.collect(),
        plan: rows,
    };
    optimize(query, columns, effort)
}
