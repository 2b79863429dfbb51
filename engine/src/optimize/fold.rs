//! Constant folding: what is the same for every row is computed once, here.
//!
//! Never is an error raised early: an expression whose evaluation fails is left as it is and fails
//! when, and only if, a row reaches it. `CASE WHEN a = 0 THEN 0 ELSE 1/0 END` thus plans. Only
//! IMMUTABLE functions are folded: a plan may be kept and run again. What takes long, as `lpad('x',
//! 100000000)`, is left as well: planning cannot be interrupted, and a plan is no place for long values. A
//! strict function with a NULL written among its arguments is NULL whatever the others are, and, as in
//! PostgreSQL, they are not evaluated: `NULL > a / 0` is no error. Nor is `NULL > 1 AND a / 0 > 1` where only what
//! is true counts, in WHERE, HAVING and ON. Many equalities in an OR become a list ([`super::alternatives`]).

use super::alternatives::listed;
use crate::function::cast::cast_value;
use crate::function::text::style::asks_style;
use crate::function::{EvalContext, Volatility};
use crate::plan::logical::Logical;
use crate::plan::merge::MergeAction;
use crate::plan::statement::{CopyDirection, InsertSource, Returning, RowCheck, Statement, Update};
use crate::plan::{Expr, ExprKind, call_types};
use remora_storage::{DataType, Value, ValueRef};

/// Folds every expression of a plan.
pub(super) fn fold_plan(plan: Logical) -> Logical {
    match plan.map_inputs(&mut fold_plan).map_exprs(&mut fold) {
        Logical::Filter { input, predicate } => Logical::Filter {
            input,
            predicate: as_condition(predicate),
        },
        Logical::Join(mut join) => {
            join.on = join.on.into_iter().map(as_condition).collect();
            Logical::Join(join)
        }
        other => other,
    }
}

/// The same where only what is true counts: NULL is as good as false, and with it goes what need not be asked.
fn as_condition(expr: Expr) -> Expr {
    match expr.kind {
        ExprKind::Literal(Value::Null) => Expr::boolean(false),
        ExprKind::And(parts) => junction(parts.into_iter().map(as_condition).collect(), false),
        ExprKind::Or(parts) => junction(parts.into_iter().map(as_condition).collect(), true),
        _ => expr,
    }
}

/// Folds the expressions of a statement that stand outside of plans.
pub(super) fn fold_statement(mut statement: Statement) -> Statement {
    match &mut statement {
        Statement::Insert(insert) => {
            if let InsertSource::Values(rows) = &mut insert.source {
                rows.iter_mut().flatten().for_each(fold_in_place);
                fail_first(rows);
            }
            fold_checks(&mut insert.checks);
            let computed = insert.generated.iter_mut();
            computed.for_each(|(_, expr)| fold_in_place(expr));
            let update = insert.on_conflict.iter_mut();
            for update in update.filter_map(|on| on.update.as_mut()) {
                fold_update(&mut update.update);
                update.filter.iter_mut().for_each(fold_in_place);
            }
            fold_returning(&mut insert.returning);
        }
        Statement::Update(update) => fold_update(update),
        Statement::Merge(merge) => {
            merge.exprs().for_each(fold_in_place);
            let checks = merge
                .clauses
                .iter_mut()
                .map(|clause| match &mut clause.action {
                    MergeAction::Update(update) => update.checks.as_mut_slice(),
                    MergeAction::Insert(insert, _) => &mut insert.checks,
                    MergeAction::Nothing | MergeAction::Delete => &mut [],
                });
            checks.for_each(fold_checks);
        }
        Statement::Delete(delete) => fold_returning(&mut delete.returning),
        Statement::Copy(copy) => {
            if let CopyDirection::From { defaults, .. } = &mut copy.direction {
                defaults.iter_mut().for_each(fold_in_place);
            }
        }
        _ => {}
    }
    statement
}

/// Rows with a constant that is no value of its column's type fail, whatever else they hold: nothing else of them is
/// evaluated, as PostgreSQL finds such constants before it takes a number from a sequence.
fn fail_first(rows: &mut Vec<Vec<Expr>>) {
    let is_lost = |expr: &Expr| match &expr.kind {
        ExprKind::Cast { input, .. } => matches!(&input.kind, ExprKind::Literal(value)
            if !value.is_null()
                && !asks_style(input.data_type, expr.data_type)
                // What is in the catalog is not known here.
                && expr.data_type.made().is_none()),
        _ => false,
    };
    let Some(at) = rows.iter().position(|row| row.iter().any(is_lost)) else {
        return;
    };
    let mut row = rows.swap_remove(at);
    for expr in row.iter_mut().filter(|expr| !is_lost(expr)) {
        *expr = Expr::literal(Value::Null, expr.data_type);
    }
    *rows = vec![row];
}

fn fold_update(update: &mut Update) {
    let values = update.assignments.iter_mut().chain(&mut update.generated);
    values.for_each(|(_, value)| fold_in_place(value));
    fold_checks(&mut update.checks);
    fold_returning(&mut update.returning);
}

fn fold_checks(checks: &mut [RowCheck]) {
    checks
        .iter_mut()
        .for_each(|check| fold_in_place(&mut check.condition));
}

fn fold_returning(returning: &mut Option<Returning>) {
    let exprs = returning.iter_mut().flat_map(|shown| &mut shown.exprs);
    exprs.for_each(fold_in_place);
}

fn fold_in_place(expr: &mut Expr) {
    expr.change(fold);
}

/// Folds one expression, from the leaves up.
pub(super) fn fold(expr: Expr) -> Expr {
    let expr = expr.map_children(&mut fold);
    let data_type = expr.data_type;
    match expr.kind {
        ExprKind::Call {
            overload,
            ref arguments,
        } if overload.strict && arguments.iter().any(is_null) => {
            Expr::literal(Value::Null, data_type)
        }
        ExprKind::Host {
            ref function,
            ref arguments,
        } if function.volatility == Volatility::Immutable => {
            let Some(values) = literals(arguments) else {
                return expr;
            };
            match function.call(&values, &EvalContext::of_planning()) {
                Ok(value) => Expr::literal(value, data_type),
                Err(_) => expr,
            }
        }
        ExprKind::InList { ref input, .. } if is_null(input) => {
            Expr::literal(Value::Null, data_type)
        }
        ExprKind::Call {
            overload,
            ref arguments,
        } if overload.volatility == Volatility::Immutable => {
            let Some(values) = literals(arguments) else {
                return expr;
            };
            let types = || call_types(arguments, data_type);
            match overload.call(&values, types, &EvalContext::of_planning()) {
                Ok(value) => Expr::literal(value, data_type),
                Err(_) => expr,
            }
        }
        ExprKind::Cast {
            ref input,
            explicit,
        } => match &input.kind {
            ExprKind::Literal(Value::Null) => Expr::literal(Value::Null, data_type),
            ExprKind::Literal(value) if !asks_style(input.data_type, data_type) => {
                match cast_value(
                    value.as_ref(),
                    data_type,
                    explicit,
                    &EvalContext::of_planning(),
                ) {
                    Ok(value) => Expr::literal(value, data_type),
                    Err(_) => expr,
                }
            }
            _ => expr,
        },
        ExprKind::And(parts) => junction(parts, false),
        ExprKind::Or(parts) => junction(parts, true),
        ExprKind::Not(ref input) => match truth(input) {
            Some(Some(value)) => Expr::boolean(!value),
            Some(None) => Expr::literal(Value::Null, DataType::Boolean),
            None => expr,
        },
        ExprKind::IsNull(ref input) => match &input.kind {
            ExprKind::Literal(value) => Expr::boolean(value.is_null()),
            _ => expr,
        },
        ExprKind::Case {
            branches,
            otherwise,
        } => fold_case(branches, otherwise, data_type),
        ExprKind::Coalesce(parts) => fold_coalesce(parts, data_type),
        kind => Expr { kind, data_type },
    }
}

/// Whether a NULL stands there.
fn is_null(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(Value::Null))
}

/// The values, if all are constants.
fn literals(arguments: &[Expr]) -> Option<Vec<ValueRef<'_>>> {
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match &argument.kind {
            ExprKind::Literal(value) => values.push(value.as_ref()),
            _ => return None,
        }
    }
    Some(values)
}

/// The constant that a condition is, if it is one: true, false or NULL.
fn truth(expr: &Expr) -> Option<Option<bool>> {
    match &expr.kind {
        ExprKind::Literal(Value::Boolean(value)) => Some(Some(*value)),
        ExprKind::Literal(Value::Null) => Some(None),
        _ => None,
    }
}

/// AND (`decisive` is false) and OR (`decisive` is true).
fn junction(parts: Vec<Expr>, decisive: bool) -> Expr {
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        match truth(&part) {
            Some(Some(value)) if value == decisive => return Expr::boolean(decisive),
            Some(Some(_)) => {}
            _ => kept.push(part),
        }
    }
    if decisive {
        kept = listed(kept);
    }
    match kept.len() {
        0 => Expr::boolean(!decisive),
        1 => kept.remove(0),
        _ => Expr {
            kind: if decisive {
                ExprKind::Or(kept)
            } else {
                ExprKind::And(kept)
            },
            data_type: DataType::Boolean,
        },
    }
}

/// Branches that are never taken go; the first that always is becomes the ELSE.
fn fold_case(
    branches: Vec<(Expr, Expr)>,
    mut otherwise: Option<Box<Expr>>,
    data_type: DataType,
) -> Expr {
    let mut kept = Vec::with_capacity(branches.len());
    for (when, then) in branches {
        match truth(&when) {
            Some(Some(true)) => {
                otherwise = Some(Box::new(then));
                break;
            }
            Some(_) => {}
            None => kept.push((when, then)),
        }
    }
    if kept.is_empty() {
        return otherwise.map_or_else(|| Expr::literal(Value::Null, data_type), |only| *only);
    }
    Expr {
        kind: ExprKind::Case {
            branches: kept,
            otherwise,
        },
        data_type,
    }
}

fn fold_coalesce(parts: Vec<Expr>, data_type: DataType) -> Expr {
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        match &part.kind {
            ExprKind::Literal(Value::Null) => {}
            ExprKind::Literal(_) => {
                kept.push(part);
                break;
            }
            _ => kept.push(part),
        }
    }
    match kept.len() {
        0 => Expr::literal(Value::Null, data_type),
        1 => kept.remove(0),
        _ => Expr::new(ExprKind::Coalesce(kept), data_type),
    }
}
