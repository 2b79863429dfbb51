//! CASE, COALESCE, NULLIF: what evaluates some of its arguments only.

use super::coerce::plain;
use super::expr::start;
use super::{Binder, Bound, Context};
use crate::error::{Position, Result};
use crate::function::resolve;
use crate::parse::refuse;
use crate::plan::{Expr, ExprKind};
use remora_storage::{DataType, Value};
use sqlparser::ast;

impl<'a> Binder<'a> {
    /// CASE, searched or simple: `CASE a WHEN b` asks `a = b`.
    pub(super) fn case(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let ast::Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } = syntax
        else {
            return refuse("this expression", start(syntax));
        };
        let at = start(syntax);
        let before = cx.sets.len();
        let operand = match operand {
            Some(operand) => Some(self.expr(operand, cx)?),
            None => None,
        };
        let mut whens = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for branch in conditions {
            let place = start(&branch.condition);
            let mut condition = self.expr(&branch.condition, cx)?;
            if let Some(operand) = &operand {
                condition = self.call("=", vec![operand.clone(), condition], place)?;
            }
            whens.push(self.condition(condition, "CASE/WHEN", place)?);
            results.push(self.expr(&branch.result, cx)?);
        }
        // ELSE speaks first about the common type, as in PostgreSQL.
        if let Some(result) = else_result {
            results.insert(0, self.expr(result, cx)?);
        }
        cx.refuse_sets(before, "CASE")?;
        let (mut results, data_type) = self.unify(results, "CASE", at)?;
        let otherwise = else_result.is_some().then(|| results.remove(0));
        Ok(Bound::Typed(Expr {
            kind: ExprKind::Case {
                branches: whens.into_iter().zip(results).collect(),
                otherwise: otherwise.map(Box::new),
            },
            data_type,
        }))
    }

    /// `coalesce(a, b, ..)`
    pub(super) fn coalesce(
        &mut self,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        let (mut arguments, data_type) = self.unify(arguments, "COALESCE", at)?;
        if arguments.len() == 1 {
            return Ok(Bound::Typed(arguments.remove(0)));
        }
        Ok(Bound::Typed(Expr {
            kind: ExprKind::Coalesce(arguments),
            data_type,
        }))
    }

    /// Binds `nullif(a, b)` as `CASE WHEN a = b THEN NULL ELSE a END`, of the type in which `=` compares `a`. A volatile `a` must
    /// be evaluated once: it becomes the argument of a function.
    pub(super) fn null_if(
        &mut self,
        mut arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        let types: Vec<_> = arguments.iter().map(Bound::data_type).collect();
        let compared = resolve("=", &types).map_err(|error| error.at(at))?;
        let compared = compared.types.arguments[0];
        let first = match arguments.remove(0) {
            Bound::Typed(first) if keeps_type(first.data_type, compared) => first,
            other => self.coerce(other, compared)?,
        };
        arguments.insert(0, Bound::Typed(first.clone()));
        if !first.is_stable() {
            return self.call("nullif", arguments, at);
        }
        let equal = self.call("=", arguments, at)?;
        let equal = self.settle(equal)?;
        let data_type = first.data_type;
        Ok(Bound::Typed(Expr::case(
            vec![(equal, Expr::literal(Value::Null, data_type))],
            first,
            data_type,
        )))
    }
}

/// Returns whether an operand keeps its type when it is compared as `compared`: PostgreSQL has operators between the
/// types of integers, of floats, and of dates and timestamps.
fn keeps_type(operand: DataType, compared: DataType) -> bool {
    use DataType as T;
    plain(operand) == plain(compared)
        || matches!(
            (operand, compared),
            (T::SmallInt, T::Integer)
                | (T::SmallInt | T::Integer, T::BigInt)
                | (T::Real, T::Double)
                | (T::Date, T::Timestamp)
                | (T::Date | T::Timestamp, T::TimestampTz)
        )
}
