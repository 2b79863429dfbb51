//! Subqueries in expressions: values, EXISTS, IN, ANY and ALL.
//!
//! `x IN (SELECT y ..)` and `x = ANY (SELECT y ..)` are one thing: a test, `x = y`, of which it is asked whether
//! it is true of any row. `NOT IN` is its negation, and `x op ALL (..)` is: not any of which `NOT (x op y)`
//! is true. Three-valued logic comes out right by itself. The left side is computed outside, once for each
//! row there, and the subquery is given its value like that of any column it names.

use super::around::Captured;
use super::collation::{plain, saying};
use super::expr::{not, start};
use super::operator::operator_name;
use super::query::Relation;
use super::{Binder, Bound, Clause, Context};
use crate::error::{Error, Position, Result, state};
use crate::function::ArrayTest;
use crate::parse::refuse;
use crate::plan::collation::said;
use crate::plan::logical::Logical;
use crate::plan::physical::AggregateCall;
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
                let name = quantifiable(compare_op, at)?;
                match unwrapped(right) {
                    E::Subquery(query) => self.any(left, name, query, false, at, cx)?,
                    array => return self.any_of_array(left, name, array, ArrayTest::Any, cx),
                }
            }
            E::AllOp {
                left,
                compare_op,
                right,
            } => {
                let name = quantifiable(compare_op, at)?;
                match unwrapped(right) {
                    E::Subquery(query) => not(self.any(left, name, query, true, at, cx)?),
                    array => return self.any_of_array(left, name, array, ArrayTest::All, cx),
                }
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
        self.scalar_of(query, None, at, cx)
    }

    /// The value of a query, or what an aggregate makes of its only column.
    pub(super) fn scalar_of(
        &mut self,
        query: &'a ast::Query,
        aggregate: Option<&dyn Fn(DataType) -> Result<AggregateCall>>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let (mut relation, outer) = self.nested(query, at, cx)?;
        let [output] = relation.outputs.as_mut_slice() else {
            return Err(sql_error!(SYNTAX_ERROR, "subquery must return only one column").at(at));
        };
        if let Some(aggregate) = aggregate {
            let call = AggregateCall {
                arguments: vec![Expr::column(output.column, output.data_type)],
                ..aggregate(output.data_type)?
            };
            output.data_type = call.data_type;
            output.column = (self.columns).add_like(&output.name, call.data_type, output.column);
            relation.plan = Logical::Aggregate {
                input: Box::new(relation.plan),
                groups: Vec::new(),
                aggregates: vec![(output.column, call)],
                sets: None,
                in_order: false,
            };
        }
        let value = self.values_of(relation, &outer).pop();
        Ok(value.expect("there is one"))
    }

    /// The values of a query's only row.
    pub(super) fn row_of_query(
        &mut self,
        query: &'a ast::Query,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Vec<Expr>> {
        let (relation, outer) = self.nested(query, at, cx)?;
        Ok(self.values_of(relation, &outer))
    }

    /// The values of a relation's only row, each as a subquery of its own with all of the columns: the
    /// optimizer finds that they are one.
    fn values_of(&mut self, relation: Relation, outer: &[(usize, Expr)]) -> Vec<Expr> {
        // The columns have to be the subquery's own: what only passes through might be shown twice.
        let outputs = relation.outputs.iter();
        let exprs = outputs.map(|output| {
            let value = self
                .columns
                .add_like(&output.name, output.data_type, output.column);
            (value, Expr::column(output.column, output.data_type))
        });
        let exprs: Vec<_> = exprs.collect();
        let plan = relation.plan.project(exprs.clone());
        let values = exprs.into_iter().map(|(value, expr)| {
            let asks = Asks::Value(value);
            subquery_of(asks, plan.clone(), outer.to_vec(), expr.data_type)
        });
        values.collect()
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
        Ok(subquery_of(asks, relation.plan, outer, DataType::Boolean))
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
        let operands = match self.row(left, cx)? {
            Some(row) => row,
            None => vec![self.expr(left, cx)?],
        };
        let (relation, mut outer) = self.nested(query, at, cx)?;
        if relation.outputs.len() != operands.len() {
            let few = relation.outputs.len() < operands.len();
            let how = if few { "few" } else { "many" };
            return Err(sql_error!(SYNTAX_ERROR, "subquery has too {how} columns").at(at));
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (operand, output) in operands.into_iter().zip(relation.outputs) {
            left.push(match operand {
                Bound::Typed(expr) => self.operand(expr, &mut outer),
                unknown @ Bound::Unknown(_) => unknown,
            });
            right.push(Bound::Typed(Expr::column(output.column, output.data_type)));
        }
        let test = self.compare(name, left, right, at)?;
        if test.data_type != DataType::Boolean {
            let message = "op ANY/ALL (subquery) requires operator to yield boolean";
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        let test = Box::new(if negated { not(test) } else { test });
        let mark = self.columns.add("any", DataType::Boolean);
        let asks = Asks::Any { test, mark };
        Ok(subquery_of(asks, relation.plan, outer, DataType::Boolean))
    }

    /// The left side of a test, as the subquery names it.
    pub(super) fn operand(&mut self, expr: Expr, outer: &mut Vec<(usize, Expr)>) -> Bound {
        let variable = self.columns.add_for("?column?", &expr);
        let value = Expr::column(variable, expr.data_type);
        let value = match said(&expr) {
            Some((_, said)) => saying(value, said),
            None => value,
        };
        outer.push((variable, plain(expr)));
        Bound::Typed(value)
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
        let bound = self.within(cx, |binder| {
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
    pub(super) fn refuses_subqueries(self) -> Option<String> {
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
            | Self::Lateral
            | Self::MergeWhen
            | Self::Returning
            | Self::Limit
            | Self::Offset
            | Self::FrameRows
            | Self::FrameRange
            | Self::FrameGroups => return None,

            Self::Execute => "cannot use subquery in EXECUTE parameter".to_owned(),
            Self::Default => "cannot use subquery in DEFAULT expression".to_owned(),
            Self::Check => "cannot use subquery in check constraint".to_owned(),
            Self::Generated => "cannot use subquery in column generation expression".to_owned(),
            Self::Index => "cannot use subquery in index expression".to_owned(),
            Self::IndexCondition => "cannot use subquery in index predicate".to_owned(),
            Self::TriggerWhen => "cannot use subquery in trigger WHEN condition".to_owned(),
            Self::Using => "cannot use subquery in transform expression".to_owned(),
        })
    }
}

pub(super) fn subquery_of(
    asks: Asks,
    plan: Logical,
    outer: Vec<(usize, Expr)>,
    data_type: DataType,
) -> Expr {
    Expr {
        kind: ExprKind::Subquery(Box::new(Subquery { asks, plan, outer })),
        data_type,
    }
}

/// The operator of ANY and ALL.
fn quantifiable(op: &BinaryOperator, at: Option<Position>) -> Result<&'static str> {
    match operator_name(op) {
        Some(name) => Ok(name),
        None => refuse(&format!("operator {op}"), at),
    }
}

pub(super) fn unwrapped(mut syntax: &ast::Expr) -> &ast::Expr {
    while let ast::Expr::Nested(inner) = syntax {
        syntax = inner;
    }
    syntax
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { not(expr) } else { expr }
}
