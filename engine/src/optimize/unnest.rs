//! Subqueries become joins, and joins whose right side depends on the left row become ones that do not.
//!
//! 1. *Lifting.* A subquery in an expression of a node becomes a join beneath that node, and the expression
//!    names the join's column instead:
//!
//! ```text
//!   WHERE EXISTS (..)             semi join          WHERE NOT EXISTS (..)        anti join
//!   WHERE x IN (..), = ANY (..)   semi join on the test
//!   any other place               mark join: a column that says whether, NULL included
//!   a value                       single join: at most one right row for each left one
//!   a value of one row always     inner join
//! ```
//!
//! 2. *Decorrelation* (`decorrelate`). What the right side names of the left row is moved up into the join's
//!    condition, where both sides are at hand.
//! 3. Where that cannot be done, the right side is run for each left row: what it names becomes parameters,
//!    and the join's conditions become filters of the right side. Later rules find indexes for these as for
//!    any parameter.
//!
//! PostgreSQL evaluates a subquery in a branch of CASE only where the branch is taken; here it is evaluated for
//! every row, so that an error in it may come where it does not there.

use super::decorrelate::{decorrelate, is_one_row};
use crate::plan::logical::{Columns, Join, Logical, Mark};
use crate::plan::physical::JoinKind;
use crate::plan::{Asks, Expr, ExprKind, Subquery};
use remora_storage::{DataType, Value};
use std::collections::BTreeSet;

/// Applies the rule to a plan.
pub(super) fn unnest(plan: Logical, columns: &mut Columns) -> Logical {
    if let Logical::Part(rows) = plan {
        // A WITH query that is not run once stands where it is named.
        return match rows.into_inlined() {
            Ok(query) => unnest(query, columns),
            Err(rows) => Logical::Part(rows),
        };
    }
    let mut plan = plan.map_inputs(&mut |input| unnest(input, columns));
    let given = once(&mut plan, columns);
    let shown = plan.columns();
    let plan = of_node(plan, columns);
    let Some((given, outer)) = given else {
        return plan;
    };
    let join = Join {
        outer,
        ..Join::new(given, plan, JoinKind::Inner, Vec::new())
    };
    show_only(Logical::Join(join), shown, columns)
}

/// Subqueries in what a node evaluates once for all of its rows (how many of them, say) are asked beforehand:
/// their values, a row of their own, are parameters of the node, which is run beside that row.
fn once(plan: &mut Logical, columns: &mut Columns) -> Option<(Logical, Vec<(usize, Expr)>)> {
    let mut given = None;
    let mut outer = Vec::new();
    for whole in plan.evaluated_once() {
        let asked: Vec<Expr> = whole.iter().map(|expr| (**expr).clone()).collect();
        let Some(asked) = asked.first().filter(|expr| expr.has_subquery()) else {
            continue;
        };
        let (parameter, data_type) = (columns.add_parameter(), asked.data_type);
        let named = Expr::parameter(parameter, data_type);
        for expr in whole {
            let with = expr.clone();
            *expr = with.replace(&mut |part| part.same(asked).then(|| named.clone()));
        }
        let mut value = asked.clone();
        let row = given.take().unwrap_or_else(|| Logical::one_row(columns));
        given = Some(lift_all(row, std::iter::once(&mut value), columns));
        outer.push((parameter, value));
    }
    Some((given?, outer))
}

/// Subqueries in what a node evaluates for each row.
fn of_node(plan: Logical, columns: &mut Columns) -> Logical {
    match plan {
        Logical::Filter { input, predicate } => filter(*input, predicate, columns),
        Logical::Join(join) => of_join(join, columns),
        Logical::Project { input, mut exprs } => {
            let input = lift_all(*input, exprs.iter_mut().map(|(_, expr)| expr), columns);
            Logical::Project {
                input: Box::new(input),
                exprs,
            }
        }
        Logical::Aggregate {
            input,
            mut groups,
            mut aggregates,
            sets,
            in_order,
        } => {
            let calls = aggregates.iter_mut().map(|(_, call)| call);
            let parts = calls.flat_map(|call| call.exprs_mut());
            let all = groups.iter_mut().map(|(_, group)| group).chain(parts);
            let input = lift_all(*input, all, columns);
            Logical::Aggregate {
                input: Box::new(input),
                groups,
                aggregates,
                sets,
                in_order,
            }
        }
        Logical::Sort { input, mut keys } if keys.iter().any(|key| key.expr.has_subquery()) => {
            let shown = input.columns();
            let input = lift_all(*input, keys.iter_mut().map(|key| &mut key.expr), columns);
            let sorted = Logical::Sort {
                input: Box::new(input),
                keys,
            };
            show_only(sorted, shown, columns)
        }
        Logical::ProjectSet(mut set) => {
            let arguments = set
                .calls
                .iter_mut()
                .flat_map(|(_, call)| &mut call.arguments);
            set.input = Box::new(lift_all(*set.input, arguments, columns));
            Logical::ProjectSet(set)
        }
        Logical::Window { input, mut window } => {
            let calls = window.calls.iter_mut().map(|(_, call)| call);
            let parts = calls.flat_map(|call| call.exprs_mut());
            let input = Box::new(lift_all(*input, parts, columns));
            Logical::Window { input, window }
        }
        Logical::Values {
            columns: numbers,
            rows,
        } if rows.iter().flatten().any(Expr::has_subquery) => values(&numbers, rows, columns),
        other => other,
    }
}

/// The input with a join for each subquery of the expressions, which name their columns instead.
fn lift_all<'e>(
    mut input: Logical,
    exprs: impl Iterator<Item = &'e mut Expr>,
    columns: &mut Columns,
) -> Logical {
    let mut lifted = Vec::new();
    for expr in exprs.filter(|expr| expr.has_subquery()) {
        expr.change(|whole| lift(whole, &mut input, &mut lifted, columns));
    }
    input
}

/// The expression without subqueries: the innermost first, as those around may name their values.
fn lift(expr: Expr, input: &mut Logical, lifted: &mut Vec<usize>, columns: &mut Columns) -> Expr {
    let expr = expr.map_children(&mut |child| lift(child, input, lifted, columns));
    let ExprKind::Subquery(subquery) = expr.kind else {
        return expr;
    };
    let column = subquery.column();
    // What is written once may have been put down twice, as by BETWEEN.
    if !lifted.contains(&column) {
        match subquery.asks {
            // The others are shown beside it.
            Asks::Value(_) => lifted.extend(subquery.plan.columns()),
            Asks::Exists { .. } | Asks::Any { .. } => lifted.push(column),
        }
        *input = join_value(input.take(), *subquery, columns);
    }
    Expr::column(column, expr.data_type)
}

fn join_value(left: Logical, subquery: Subquery, columns: &mut Columns) -> Logical {
    let mark = |column, test| Mark { column, test };
    let (kind, mark) = match subquery.asks {
        Asks::Value(_) => (JoinKind::Single, None),
        Asks::Exists { mark: column } => (JoinKind::Mark, Some(mark(column, Vec::new()))),
        Asks::Any { test, mark: column } => (JoinKind::Mark, Some(mark(column, test.conjuncts()))),
    };
    let join = Join {
        mark,
        outer: subquery.outer,
        ..Join::new(left, unnest(subquery.plan, columns), kind, Vec::new())
    };
    attach(join, columns)
}

/// WHERE: what needs no column that says so is a semi or an anti join.
fn filter(input: Logical, predicate: Expr, columns: &mut Columns) -> Logical {
    let parts = predicate.conjuncts();
    let (with, without): (Vec<_>, Vec<_>) = parts.into_iter().partition(Expr::has_subquery);
    let mut plan = input.filter(without);
    if with.is_empty() {
        return plan;
    }
    let shown = plan.columns();
    let mut rest = Vec::new();
    for part in with {
        match of_where(part) {
            Ok((kind, subquery)) => {
                let mut subquery = subquery;
                lift_outer(&mut subquery, &mut plan, columns);
                plan = join_where(plan, kind, subquery, columns);
            }
            Err(part) => rest.push(part),
        }
    }
    plan = lift_all(plan, rest.iter_mut(), columns).filter(rest);
    show_only(plan, shown, columns)
}

/// A part of WHERE that is a semi or an anti join.
fn of_where(part: Expr) -> Result<(JoinKind, Subquery), Expr> {
    match part.kind {
        ExprKind::Subquery(subquery) if !matches!(subquery.asks, Asks::Value(_)) => {
            Ok((JoinKind::Semi, *subquery))
        }
        ExprKind::Not(ref inner) => match &inner.kind {
            ExprKind::Subquery(subquery) if matches!(subquery.asks, Asks::Exists { .. }) => {
                Ok((JoinKind::Anti, (**subquery).clone()))
            }
            _ => Err(part),
        },
        _ => Err(part),
    }
}

/// Subqueries in the values that a subquery is given.
fn lift_outer(subquery: &mut Subquery, input: &mut Logical, columns: &mut Columns) {
    let mut lifted = Vec::new();
    for (_, expr) in &mut subquery.outer {
        expr.change(|whole| lift(whole, input, &mut lifted, columns));
    }
}

fn join_where(left: Logical, kind: JoinKind, subquery: Subquery, columns: &mut Columns) -> Logical {
    let on = match subquery.asks {
        Asks::Any { test, .. } => test.conjuncts(),
        Asks::Exists { .. } | Asks::Value(_) => Vec::new(),
    };
    let join = Join {
        outer: subquery.outer,
        ..Join::new(left, unnest(subquery.plan, columns), kind, on)
    };
    attach(join, columns)
}

/// Subqueries in the condition of a join. Of an inner one they are tested above it. Of others a condition that is
/// about the left side only is computed there, and every other one is tested of the right rows before they are
/// joined.
fn of_join(mut join: Join, columns: &mut Columns) -> Logical {
    if !join.on.iter().any(Expr::has_subquery) {
        return attach(join, columns);
    }
    let shown: Vec<usize> = [join.left.columns(), join.right.columns()].concat();
    if join.kind == JoinKind::Inner && join.outer.is_empty() {
        let (with, on): (Vec<_>, Vec<_>) = join.on.into_iter().partition(Expr::has_subquery);
        let plan = Logical::Join(Join { on, ..join });
        let predicate = Expr::conjunction(with).expect("some are there");
        return filter(plan, predicate, columns);
    }
    let (left, right) = (join.left.column_set(), join.right.column_set());
    let (with, on) = join.on.into_iter().partition(Expr::has_subquery);
    join.on = on;
    let mut of_right = Vec::new();
    for mut part in with {
        let named = part.columns();
        if !named.is_empty() && named.is_subset(&left) {
            *join.left = lift_all(join.left.take(), std::iter::once(&mut part), columns);
            join.on.push(part);
            continue;
        }
        if join.kind == JoinKind::Full {
            // Rows of both sides come whatever it says. The binder has none that names both.
            *join.right = lift_all(join.right.take(), std::iter::once(&mut part), columns);
            join.on.push(part);
            continue;
        }
        // It is tested of right rows, which then depend on the left one if it names that.
        let mut of_left = Vec::new();
        for column in named.difference(&right) {
            let value = columns.expr(*column);
            let variable = columns.add("?column?", value.data_type);
            of_left.push((*column, Expr::column(variable, value.data_type)));
            join.outer.push((variable, value));
        }
        of_right.push(part.substitute(&of_left));
    }
    if let Some(predicate) = Expr::conjunction(of_right) {
        *join.right = filter(join.right.take(), predicate, columns);
    }
    let plan = attach(join, columns);
    show_only(plan, shown, columns)
}

/// A join, its right side no longer dependent on the left row if that can be; else it is run for each.
fn attach(mut join: Join, columns: &mut Columns) -> Logical {
    join.on.retain(|part| !part.same(&Expr::boolean(true)));
    if join.outer.is_empty() {
        return independent(join);
    }
    // A variable that nothing names any more needs no value.
    let mut named = BTreeSet::new();
    names_of(&join, &mut named);
    join.outer.retain(|(variable, _)| named.contains(variable));
    if join.outer.is_empty() {
        return independent(join);
    }
    compute_volatile(&mut join, columns);
    match decorrelate(join.clone(), columns) {
        Some(plan) => plan,
        None => Logical::Join(for_each_row(join, columns)),
    }
}

/// What is another value each time is computed once for each left row, whatever becomes of the join.
fn compute_volatile(join: &mut Join, columns: &mut Columns) {
    if join.outer.iter().all(|(_, expr)| expr.is_stable()) {
        return;
    }
    let below = join.left.columns().into_iter();
    let mut exprs: Vec<_> = below.map(|column| (column, columns.expr(column))).collect();
    for (_, expr) in &mut join.outer {
        if !expr.is_stable() {
            let column = columns.add("?column?", expr.data_type);
            let named = Expr::column(column, expr.data_type);
            exprs.push((column, std::mem::replace(expr, named)));
        }
    }
    *join.left = join.left.take().project(exprs);
}

fn independent(mut join: Join) -> Logical {
    let has_test = join.mark.as_ref().is_some_and(|mark| !mark.test.is_empty());
    let only_asks = matches!(join.kind, JoinKind::Semi | JoinKind::Anti | JoinKind::Mark);
    if only_asks && join.on.is_empty() && !has_test {
        // Whether there is a row is known with the first one.
        join.right = Box::new(Logical::Limit {
            input: join.right,
            limit: Some(Expr::literal(Value::BigInt(1), DataType::BigInt)),
            offset: None,
        });
    }
    if join.kind == JoinKind::Single && join.on.is_empty() && is_one_row(&join.right) {
        join.kind = JoinKind::Inner;
    }
    Logical::Join(join)
}

/// All columns that conditions and the right side name.
fn names_of(join: &Join, named: &mut BTreeSet<usize>) {
    let tests = join.mark.iter().flat_map(|mark| &mark.test);
    let conditions = join.on.iter().chain(tests);
    named.extend(conditions.flat_map(Expr::columns));
    names_within(&join.right, named);
}

/// All columns that expressions of a plan name.
pub(super) fn names_within(plan: &Logical, named: &mut BTreeSet<usize>) {
    plan.for_each_expr(&mut |expr| named.extend(expr.columns()));
}

/// The join as one whose right side is run for each left row.
fn for_each_row(join: Join, columns: &mut Columns) -> Join {
    let left = join.left.column_set();
    let mut outer = Vec::new();
    let mut parameter_of = Vec::new();
    for (variable, expr) in join.outer {
        let parameter = columns.add_parameter();
        parameter_of.push((variable, parameter));
        outer.push((parameter, expr));
    }
    let mut conditions = join.on;
    let mut test = join.mark.as_ref().map(|mark| mark.test.clone());
    // Conditions are about the left row as well.
    let mut named: BTreeSet<usize> = conditions.iter().flat_map(Expr::columns).collect();
    named.extend(test.iter().flatten().flat_map(Expr::columns));
    for column in named.intersection(&left) {
        let parameter = columns.add_parameter();
        parameter_of.push((*column, parameter));
        outer.push((parameter, columns.expr(*column)));
    }
    let mut replace = |expr: Expr| {
        expr.replace_columns(&mut |column, data_type| {
            let mut all = parameter_of.iter();
            let found = all.find(|(variable, _)| *variable == column);
            Some(Expr::parameter(found?.1, data_type))
        })
    };
    conditions = conditions.into_iter().map(&mut replace).collect();
    if let Some(test) = &mut test {
        let whole = std::mem::take(test);
        *test = whole.into_iter().map(&mut replace).collect();
    }
    let mut right = join.right.map_deep(&mut replace).filter(conditions);
    if let Some(test) = test.and_then(Expr::conjunction) {
        right = right.project(vec![(columns.add("test", DataType::Boolean), test)]);
    }
    Join {
        left: join.left,
        right: Box::new(right),
        kind: join.kind,
        on: Vec::new(),
        mark: join.mark.map(|mark| Mark {
            // What is left of it says that there is one.
            test: mark
                .test
                .into_iter()
                .take(1)
                .map(|_| Expr::boolean(true))
                .collect(),
            column: mark.column,
        }),
        outer,
        lookup: None,
        keeps_order: false,
    }
}

/// Rows written out of which some ask subqueries: each row is a query of its own.
fn values(numbers: &[usize], rows: Vec<Vec<Expr>>, columns: &mut Columns) -> Logical {
    let mut one = |row: Vec<Expr>| {
        let single = Logical::one_row(columns);
        let fresh: Vec<usize> = row
            .iter()
            .map(|expr| columns.add("", expr.data_type))
            .collect();
        let exprs = fresh.iter().copied().zip(row).collect();
        (unnest(single.project(exprs), columns), fresh)
    };
    let inputs = rows.into_iter().map(&mut one).collect();
    Logical::UnionAll {
        inputs,
        columns: numbers.to_vec(),
    }
}

/// Only these columns, if there are others.
fn show_only(plan: Logical, shown: Vec<usize>, columns: &Columns) -> Logical {
    if plan.columns() == shown {
        return plan;
    }
    let exprs = shown
        .into_iter()
        .map(|column| (column, columns.expr(column)));
    Logical::Project {
        input: Box::new(plan),
        exprs: exprs.collect(),
    }
}
