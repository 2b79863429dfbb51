//! Calls of functions that are written in SQL: their bodies are put in place of the calls.
//!
//! ```text
//!   CREATE FUNCTION twice(x INT) .. RETURN x + x           twice(t.a)    -->  t.a + t.a
//!   CREATE FUNCTION name(i INT) .. 'SELECT n FROM u WHERE id = i'
//!                                                          name(t.a)     -->  (SELECT n FROM u WHERE id = t.a)
//!   CREATE FUNCTION few(n INT) RETURNS SETOF ..            FROM few(3)   -->  LATERAL (SELECT ..)
//! ```
//!
//! 1. `routine_match` finds the function that the call means.
//! 2. `routine_body` binds its body, with columns that stand for its parameters.
//! 3. A body that is nothing but an expression is put in place as one, its parameters replaced by the
//!    arguments. What would be evaluated twice, and is volatile or long, is not: then, and where there is more
//!    to the body, it becomes a subquery, whose outer values are the arguments. The optimizer's first rule makes
//!    a join of that, as of every subquery.
//!
//! So a call costs what the text would have cost, and nothing new runs. The price: a function cannot call itself,
//! in however many steps (54001), and cannot change data. How deep calls nest and how many there are is bounded.
//!
//! Errors within a body have the place of the call.

use super::expr::{is_null, not};
use super::routine_body::Body;
use super::routine_match::signature;
use super::{Binder, Bound, Context};
use crate::error::{Error, Position, Result, state};
use crate::parse::refuse;
use crate::plan::logical::{Join, Logical};
use crate::plan::physical::JoinKind;
use crate::plan::{Asks, Expr, ExprKind, Subquery};
use remora_storage::catalog::{FunctionDef, FunctionResult};
use remora_storage::{DataType, Value};
use std::sync::Arc;

/// Parts of an argument that is evaluated twice rather than be handed down.
const SHORT: usize = 8;
/// The same where a subquery cannot be.
const BEARABLE: usize = 1_000;

impl Binder<'_> {
    /// A call as a value.
    ///
    /// # Errors
    /// 0A000 where it gives rows, or needs a subquery where none can be; 54001.
    pub(super) fn routine_value(
        &mut self,
        def: &Arc<FunctionDef>,
        arguments: Vec<Expr>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        match &def.returns {
            FunctionResult::Value(_) | FunctionResult::Nothing => {}
            FunctionResult::Row { columns, .. } if columns.len() == 1 => {}
            FunctionResult::Row { .. } => return refuse("a row as a value", at),
            FunctionResult::Values(_) => return self.routine_set(def, arguments, at, cx),
            FunctionResult::Rows { columns, .. } if columns.len() == 1 => {
                return self.routine_set(def, arguments, at, cx);
            }
            FunctionResult::Rows { .. } => return refuse("rows as values", at),
        }
        let missing = |expr: &Expr| matches!(expr.kind, ExprKind::Literal(Value::Null));
        let is_missing = def.strict && arguments.iter().any(missing);
        let refused = cx.clause.refuses_subqueries();
        let again = self.value_again(def, at, |body| match is_missing {
            true => None,
            false => inlined(body, &arguments, def.strict, refused.is_some()),
        })?;
        if let Some(value) = again {
            return Ok(Bound::Typed(value));
        }
        let body = self.called_body(def, at)?;
        let [(name, value)] = body.values.as_slice() else {
            return Ok(Bound::Typed(Expr::literal(Value::Null, DataType::Text)));
        };
        if is_missing {
            return Ok(Bound::Typed(Expr::literal(Value::Null, value.data_type)));
        }
        if let Some(value) = inlined(&body, &arguments, def.strict, refused.is_some()) {
            return Ok(Bound::Typed(value));
        }
        if let Some(refused) = refused {
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, refused)
                .with_detail(format!(
                    "The body of function {} is a query.",
                    signature(def)
                ))
                .at(at));
        }
        let (name, value) = (name.clone(), value.clone());
        let (plan, outer) = self.with_arguments(body, &arguments, def.strict, is_fixed);
        let column = self.columns.add_for(&name, &value);
        let data_type = value.data_type;
        let limit = (!gives_one(&plan)).then(|| Expr::literal(Value::BigInt(1), DataType::BigInt));
        let plan = Logical::Project {
            input: Box::new(match limit {
                None => plan,
                limit => Logical::Limit {
                    input: Box::new(plan),
                    limit,
                    offset: None,
                },
            }),
            exprs: vec![(column, value)],
        };
        let asks = Asks::Value(column);
        Ok(Bound::Typed(Expr {
            kind: ExprKind::Subquery(Box::new(Subquery { asks, plan, outer })),
            data_type,
        }))
    }

    /// A call in FROM of a function that gives rows.
    pub(super) fn routine_rows(
        &mut self,
        def: &Arc<FunctionDef>,
        arguments: Vec<Expr>,
        shown: &str,
        at: Option<Position>,
    ) -> Result<(Logical, Vec<usize>)> {
        let body = self.called_body(def, at)?;
        let values = body.values.clone();
        let can_be_written = |expr: &Expr| expr.is_stable() && !expr.has_subquery();
        let (plan, outer) = self.with_arguments(body, &arguments, def.strict, can_be_written);
        let single = matches!(def.returns, FunctionResult::Values(_));
        let exprs = values.into_iter().map(|(name, value)| {
            let name = if single { shown } else { &name };
            (self.columns.add_for(name, &value), value)
        });
        let exprs: Vec<_> = exprs.collect();
        let columns = exprs.iter().map(|(column, _)| *column).collect();
        let mut plan = plan.project(exprs);
        let is_row = matches!(def.returns, FunctionResult::Row { .. });
        if is_row {
            plan = Logical::Limit {
                input: Box::new(plan),
                limit: Some(Expr::literal(Value::BigInt(1), DataType::BigInt)),
                offset: None,
            };
        }
        if outer.is_empty() && !is_row {
            return Ok((plan, columns));
        }
        // The arguments are a row, computed once.
        let (numbers, given): (Vec<usize>, Vec<Expr>) = outer.into_iter().unzip();
        let fresh: Vec<(usize, Expr)> = given
            .into_iter()
            .map(|expr| (self.columns.add_for("", &expr), expr))
            .collect();
        let named = numbers.into_iter().zip(&fresh);
        let outer = named
            .map(|(variable, (column, expr))| (variable, Expr::column(*column, expr.data_type)));
        let outer = outer.collect();
        let row = super::table_function::one_row().project(fresh);
        let kind = if is_row {
            JoinKind::Left
        } else {
            JoinKind::Inner
        };
        let join = Join {
            outer,
            ..Join::new(row, plan, kind, Vec::new())
        };
        Ok((Logical::Join(join), columns))
    }

    /// The plan of a body with its arguments: those that `is_plain` are written into it, the others are named by
    /// the columns that are given beside it. With `strict`, there are no rows where one is NULL.
    pub(super) fn with_arguments(
        &mut self,
        body: Body,
        arguments: &[Expr],
        strict: bool,
        is_plain: impl Fn(&Expr) -> bool,
    ) -> (Logical, Vec<(usize, Expr)>) {
        let Body {
            mut plan,
            mut variables,
            ..
        } = body;
        if strict {
            for (position, argument) in arguments.iter().enumerate() {
                if variables.iter().all(|(_, other)| *other != position) {
                    let variable = self.columns.add("", argument.data_type);
                    variables.push((variable, position));
                }
            }
            let tests = variables.iter().map(|(variable, position)| {
                not(is_null(Expr::column(
                    *variable,
                    arguments[*position].data_type,
                )))
            });
            if let Some(predicate) = Expr::conjunction(tests.collect()) {
                plan = Logical::Filter {
                    input: Box::new(plan),
                    predicate,
                };
            }
        }
        let (plain, others): (Vec<_>, Vec<_>) = variables
            .into_iter()
            .partition(|(_, position)| is_plain(&arguments[*position]));
        if !plain.is_empty() {
            plan = plan.map_deep(&mut |expr| written_in(expr, &plain, arguments));
        }
        let outer = others
            .into_iter()
            .map(|(variable, position)| (variable, arguments[position].clone()));
        (plan, outer.collect())
    }
}

/// The value of a body that is nothing but an expression, over the arguments; `None` where there is more to it,
/// or where something would be evaluated more than once that should not.
fn inlined(body: &Body, arguments: &[Expr], strict: bool, must: bool) -> Option<Expr> {
    let Logical::Project { input, exprs } = &body.plan else {
        return None;
    };
    let is_row = matches!(&**input, Logical::Values { rows, .. } if rows.len() == 1);
    let [(_, value)] = body.values.as_slice() else {
        return None;
    };
    if !is_row {
        return None;
    }
    let shown = value.clone().substitute(exprs);
    if must && shown.has_subquery() {
        return None;
    }
    for (position, argument) in arguments.iter().enumerate() {
        let mut uses = usize::from(strict && !is_known(argument));
        shown.any(&mut |part| {
            let named = |(variable, of): &(usize, usize)| {
                *of == position && matches!(part.kind, ExprKind::Column(c) if c == *variable)
            };
            uses += usize::from(body.variables.iter().any(named));
            false
        });
        let most = if must { BEARABLE } else { SHORT };
        let may_repeat =
            argument.is_stable() && !argument.has_subquery() && is_short(argument, most);
        if uses > 1 && !may_repeat {
            return None;
        }
    }
    let value = written_in(shown, &body.variables, arguments);
    let missing = arguments
        .iter()
        .filter(|argument| strict && !is_known(argument));
    let missing: Vec<Expr> = missing.cloned().map(is_null).collect();
    let data_type = value.data_type;
    let test = match missing.len() {
        0 => return Some(value),
        1 => missing.into_iter().next()?,
        _ => Expr::new(ExprKind::Or(missing), DataType::Boolean),
    };
    Some(Expr::case(
        vec![(test, Expr::literal(Value::Null, data_type))],
        value,
        data_type,
    ))
}

/// An expression with arguments in place of the columns that stand for them.
fn written_in(expr: Expr, variables: &[(usize, usize)], arguments: &[Expr]) -> Expr {
    expr.replace_columns(&mut |column, _| {
        let mut found = variables.iter();
        let (_, position) = found.find(|(variable, _)| *variable == column)?;
        Some(arguments[*position].clone())
    })
}

/// Whether it is the same throughout the statement, and costs nothing.
pub(super) fn is_fixed(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(_) | ExprKind::Parameter(_))
}

/// Whether it is a literal other than NULL.
fn is_known(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Literal(value) if !matches!(value, Value::Null))
}

fn is_short(expr: &Expr, most: usize) -> bool {
    let mut parts = 0;
    !expr.any(&mut |_| {
        parts += 1;
        parts > most
    })
}

/// Whether a plan gives one row at most.
fn gives_one(plan: &Logical) -> bool {
    match plan {
        Logical::Values { rows, .. } => rows.len() <= 1,
        Logical::Project { input, .. }
        | Logical::Filter { input, .. }
        | Logical::Sort { input, .. } => gives_one(input),
        Logical::Aggregate { groups, sets, .. } => groups.is_empty() && sets.is_none(),
        _ => false,
    }
}
