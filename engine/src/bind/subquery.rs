//! Subqueries in expressions: values, EXISTS, IN, ANY and ALL.
//!
//! `x IN (SELECT y ..)` and `x = ANY (SELECT y ..)` are one thing: a test, `x = y`, of which it is asked whether
//! it is true of any row. `NOT IN` is its negation, and `x op ALL (..)` is: not any of which `NOT (x op y)`
//! is true. Three-valued logic comes out right by itself. The left side is computed outside, once for each
//! row there, and the subquery is given its value like that of any column it names.

use super::around::Captured;
use super::expr::{not, start};
use super::operator::{boolean, operator_name};
use super::query::Relation;
use super::{Binder, Bound, Clause, Context};
use crate::error::{Error, Position, Result, state};
use crate::parse::refuse;
use crate::plan::logical::Logical;
use crate::plan::{Asks, Expr, ExprKind, Subquery};
use remora_storage::DataType;
use sqlparser::ast::{self, BinaryOperator};

impl<'a> Binder<'a> {
    /// Binds an expression that is, or has at its top, a subquery.
    pub(super) fn subquery_value(
        &mut self,
        syntax: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        use ast::Expr as E;
        let at = start(syntax);
        let expr = match syntax {
            E::Subquery(query) => self.scalar(query, at, cx)?,
            E::Exists { subquery, negated } => negate(self.exists(subquery, at, cx)?, *negated),
            E::InSubquery {
                expr,
                subquery,
                negated,
            } => negate(self.any(expr, "=", subquery, false, at, cx)?, *negated),
            E::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => {
                let (name, query) = quantified(compare_op, right, at)?;
                self.any(left, name, query, false, at, cx)?
            }
            E::AllOp {
                left,
                compare_op,
                right,
            } => {
                let (name, query) = quantified(compare_op, right, at)?;
                not(self.any(left, name, query, true, at, cx)?)
            }
            _ => return refuse("this kind of subquery", at),
        };
        Ok(Bound::Typed(expr))
    }

    fn scalar(
        &mut self,
        query: &'a ast::Query,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let (relation, outer) = self.nested(query, at, cx)?;
        let [output] = relation.outputs.as_slice() else {
            let message = "subquery must return only one column";
            return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
        };
        let (column, data_type) = (output.column, output.data_type);
        // The column has to be the subquery's own: what only passes through might be shown twice.
        let value = self.columns.add(&output.name, data_type);
        let plan = Logical::Project {
            input: Box::new(relation.plan),
            exprs: vec![(value, Expr::column(column, data_type))],
        };
        Ok(subquery(Asks::Value(value), plan, outer, data_type))
    }

    fn exists(
        &mut self,
        query: &'a ast::Query,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let (relation, outer) = self.nested(query, at, cx)?;
        let mark = self.columns.add("exists", DataType::Boolean);
        let asks = Asks::Exists { mark };
        Ok(subquery(asks, relation.plan, outer, DataType::Boolean))
    }

    /// Whether `left name row` is true of any row, or else not true.
    fn any(
        &mut self,
        left: &'a ast::Expr,
        name: &'static str,
        query: &'a ast::Query,
        negated: bool,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let operands: Vec<Bound> = match unwrapped(left) {
            ast::Expr::Tuple(items) => {
                let bound = items.iter().map(|item| self.expr(item, cx));
                bound.collect::<Result<_>>()?
            }
            one => vec![self.expr(one, cx)?],
        };
        let (relation, mut outer) = self.nested(query, at, cx)?;
        if relation.outputs.len() != operands.len() {
            let few = relation.outputs.len() < operands.len();
            let how = if few { "few" } else { "many" };
            let message = format!("subquery has too {how} columns");
            return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
        }
        let is_row = operands.len() > 1;
        if is_row && !matches!(name, "=" | "<>") {
            return refuse("comparing rows by their order", at);
        }
        let mut tests = Vec::with_capacity(operands.len());
        for (operand, output) in operands.into_iter().zip(relation.outputs) {
            let operand = match operand {
                Bound::Typed(expr) => {
                    let data_type = expr.data_type;
                    let variable = self.columns.add("?column?", data_type);
                    outer.push((variable, expr));
                    Bound::Typed(Expr::column(variable, data_type))
                }
                unknown @ Bound::Unknown(_) => unknown,
            };
            let value = Bound::Typed(Expr::column(output.column, output.data_type));
            let test = self.call(name, vec![operand, value], at)?;
            let test = self.settle(test)?;
            if test.data_type != DataType::Boolean {
                let message = "op ANY/ALL (subquery) requires operator to yield boolean";
                return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
            }
            tests.push(test);
        }
        let test = match (is_row, name) {
            (true, "<>") => boolean(ExprKind::Or(tests)),
            (true, _) => boolean(ExprKind::And(tests)),
            _ => tests.remove(0),
        };
        let test = Box::new(if negated { not(test) } else { test });
        let mark = self.columns.add("any", DataType::Boolean);
        let asks = Asks::Any { test, mark };
        Ok(subquery(asks, relation.plan, outer, DataType::Boolean))
    }

    /// Binds a query that stands in an expression, and what it names of the row around.
    fn nested(
        &mut self,
        query: &'a ast::Query,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<(Relation, Vec<(usize, Expr)>)> {
        if let Some(refused) = cx.clause.refuses_subqueries() {
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, refused).at(at));
        }
        let bound = self.within(cx.scope, |binder| {
            binder.deeper(at, |binder| binder.query(query, &[]))
        });
        let (relation, captured) = bound?;
        if !relation.rows.is_empty() {
            return refuse("FOR UPDATE or FOR SHARE in a subquery that is a value", at);
        }
        let outer = captured.into_iter().map(|captured| {
            let Captured { variable, expr, at } = captured;
            if let (ExprKind::Column(column), false) = (&expr.kind, cx.in_aggregate) {
                cx.places.entry(*column).or_insert(at);
            }
            (variable, expr)
        });
        Ok((relation, outer.collect()))
    }
}

impl Clause {
    /// What is said of a subquery where there can be none.
    fn refuses_subqueries(self) -> Option<String> {
        Some(match self {
            Self::Select
            | Self::On
            | Self::Where
            | Self::GroupBy
            | Self::Having
            | Self::OrderBy
            | Self::Values
            | Self::Update
            | Self::Functions
            | Self::MergeWhen => return None,

            Self::Execute
            | Self::Limit
            | Self::Offset
            | Self::Returning
            | Self::FrameRows
            | Self::FrameRange
            | Self::FrameGroups => {
                format!("a subquery in {} is not supported", self.name())
            }
            Self::Default => "cannot use subquery in DEFAULT expression".to_owned(),
            Self::Check => "cannot use subquery in check constraint".to_owned(),
            Self::Using => "cannot use subquery in transform expression".to_owned(),
        })
    }
}

fn subquery(asks: Asks, plan: Logical, outer: Vec<(usize, Expr)>, data_type: DataType) -> Expr {
    Expr {
        kind: ExprKind::Subquery(Box::new(Subquery { asks, plan, outer })),
        data_type,
    }
}

/// The operator and the query of ANY and ALL.
fn quantified<'q>(
    op: &BinaryOperator,
    right: &'q ast::Expr,
    at: Option<Position>,
) -> Result<(&'static str, &'q ast::Query)> {
    let Some(name) = operator_name(op) else {
        return refuse(&format!("operator {op}"), at);
    };
    match unwrapped(right) {
        ast::Expr::Subquery(query) => Ok((name, query)),
        _ => refuse("ANY and ALL of an array", at),
    }
}

fn unwrapped(mut syntax: &ast::Expr) -> &ast::Expr {
    while let ast::Expr::Nested(inner) = syntax {
        syntax = inner;
    }
    syntax
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { not(expr) } else { expr }
}
