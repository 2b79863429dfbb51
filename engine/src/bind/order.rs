//! ORDER BY: ordinals, output names, expressions.

use super::coerce::check_order;
use super::expr::start;
use super::query::{Output, Relation, output_scope};
use super::{Binder, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::refuse;
use crate::plan::logical::Logical;
use crate::plan::{Expr, SortKey};
use sqlparser::ast::{self, OrderByKind, OrderBySort};

impl<'a> Binder<'a> {
    /// The keys of a query's ORDER BY.
    pub(super) fn order_by(&self, query: &'a ast::Query) -> Result<&'a [ast::OrderByExpr]> {
        match &query.order_by {
            None => Ok(&[]),
            Some(ast::OrderBy {
                kind: OrderByKind::Expressions(keys),
                interpolate: None,
            }) => Ok(keys),
            Some(_) => refuse("this form of ORDER BY", None),
        }
    }

    /// Orders a set operation or VALUES, whose outputs are all that can be named.
    pub(super) fn order_outputs(
        &mut self,
        relation: Relation,
        order: &'a [ast::OrderByExpr],
        expressions: bool,
    ) -> Result<Relation> {
        if order.is_empty() {
            return Ok(relation);
        }
        let scope = output_scope(&relation.outputs);
        let mut keys = Vec::with_capacity(order.len());
        for key in order {
            let expr = match output_of(&key.expr, &relation.outputs, "ORDER BY", &|_, _| false)? {
                Some(index) => self.columns.expr(relation.outputs[index].column),
                None if expressions => {
                    self.typed(&key.expr, &mut Context::new(&scope, Clause::OrderBy))?
                }
                None if matches!(key.expr, ast::Expr::Identifier(_)) => {
                    self.typed(&key.expr, &mut Context::new(&scope, Clause::OrderBy))?
                }
                None => {
                    return Err(sql_error!(FEATURE_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                    .with_detail("Only result column names can be used, not expressions or functions.")
                    .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                    .at(start(&key.expr)));
                }
            };
            // Of a set operation no expression is there any more that two come along in.
            Self::is_nocase(self.columns.collations.of(&expr), start(&key.expr))?;
            keys.push(self.sort_key(key, expr)?);
        }
        Ok(Relation {
            plan: Logical::Sort {
                input: Box::new(relation.plan),
                keys,
            },
            outputs: relation.outputs,
            rows: relation.rows,
        })
    }
}

/// The output that an ordinal or a bare name means, if it means one. `alike` says whether two
/// outputs are the same expression, so that either may be meant.
///
/// # Errors
/// 42P10 for an ordinal out of range, 42702 where outputs of one name differ, 42601 for constants
/// that are no ordinals.
pub(super) fn output_of(
    syntax: &ast::Expr,
    outputs: &[Output],
    clause: &str,
    alike: &dyn Fn(usize, usize) -> bool,
) -> Result<Option<usize>> {
    match syntax {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => {
                ordinal(digits, outputs.len(), clause, start(syntax)).map(Some)
            }
            ast::Value::Placeholder(_) => Ok(None),
            _ => {
                Err(sql_error!(SYNTAX_ERROR, "non-integer constant in {clause}").at(start(syntax)))
            }
        },
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => match &**expr {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::Number(digits, _) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                    let message = format!("{clause} position -{digits} is not in select list");
                    Err(Error::new(state::INVALID_COLUMN_REFERENCE, message).at(start(syntax)))
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        },
        ast::Expr::Identifier(ident) => {
            let wanted = name::fold(ident)?;
            let mut found = (0..outputs.len()).filter(|index| outputs[*index].name == wanted);
            let Some(index) = found.next() else {
                return Ok(None);
            };
            if found.any(|other| !alike(index, other)) {
                let message = format!("{clause} \"{wanted}\" is ambiguous");
                return Err(Error::new(state::AMBIGUOUS_COLUMN, message).at(start(syntax)));
            }
            Ok(Some(index))
        }
        _ => Ok(None),
    }
}

fn ordinal(digits: &str, count: usize, clause: &str, at: Option<Position>) -> Result<usize> {
    let Ok(number) = digits.parse::<i64>() else {
        let message = format!("non-integer constant in {clause}");
        return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
    };
    let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    index.filter(|index| *index < count).ok_or_else(|| {
        sql_error!(
            INVALID_COLUMN_REFERENCE,
            "{clause} position {number} is not in select list"
        )
        .at(at)
    })
}

/// Whether the operator of `USING` orders from the greatest down.
fn ordering(operator: &ast::ObjectName, at: Option<Position>) -> Result<bool> {
    let written = operator.to_string();
    match written.rsplit('.').next() {
        Some("<" | "~<~") => Ok(false),
        Some(">" | "~>~") => Ok(true),
        _ => Err(sql_error!(
            WRONG_OBJECT_TYPE,
            "operator {written} is not a valid ordering operator"
        )
        .with_hint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
        .at(at)),
    }
}

impl Binder<'_> {
    /// A key with PostgreSQL's defaults: NULLs are above everything.
    pub(super) fn sort_key(&self, syntax: &ast::OrderByExpr, expr: Expr) -> Result<SortKey> {
        let expr = self.sorted_key(expr, start(&syntax.expr))?;
        sort_key(syntax, expr)
    }
}

fn sort_key(syntax: &ast::OrderByExpr, expr: Expr) -> Result<SortKey> {
    check_order(expr.data_type, start(&syntax.expr))?;
    let descending = match &syntax.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(operator)) => ordering(operator, start(&syntax.expr))?,
    };
    if syntax.with_fill.is_some() {
        return refuse("WITH FILL", start(&syntax.expr));
    }
    Ok(SortKey {
        expr,
        descending,
        nulls_first: syntax.options.nulls_first.unwrap_or(descending),
    })
}
