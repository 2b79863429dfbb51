//! Rows compared with rows: `(a, b) < (c, d)`, `(a, b) IN ((1, 2), ..)`.
//!
//! They are compared from left to right: `(a, b) < (c, d)` is `a < c OR (a = c AND b < d)`, which is NULL where
//! PostgreSQL's is: where what decides cannot be known.

use super::expr::start;
use super::operator::boolean;
use super::{Binder, Bound, Context};
use crate::error::{Error, Position, Result, state};
use crate::parse::refuse;
use crate::plan::{Expr, ExprKind};
use sqlparser::ast;

impl<'a> Binder<'a> {
    /// `left name right`, one of which is a row.
    pub(super) fn compare_rows(
        &mut self,
        name: &'static str,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(left);
        let (ast::Expr::Tuple(left), ast::Expr::Tuple(right)) = (left, right) else {
            return refuse("comparing a row with something else", at);
        };
        let compared = self.compare(name, left, right, at, cx)?;
        Ok(Bound::Typed(compared))
    }

    /// `row IN (rows)`
    pub(super) fn row_in_list(
        &mut self,
        row: &'a ast::Expr,
        list: &'a [ast::Expr],
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let at = start(row);
        let mut equal = Vec::with_capacity(list.len());
        for item in list {
            let (ast::Expr::Tuple(row), ast::Expr::Tuple(item)) = (row, item) else {
                return refuse("IN of a row and something else", at);
            };
            equal.push(self.compare("=", row, item, at, cx)?);
        }
        Ok(either(equal))
    }

    fn compare(
        &mut self,
        name: &'static str,
        left: &'a [ast::Expr],
        right: &'a [ast::Expr],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
        }
        let mut each = |name: &'static str| {
            let pairs = left.iter().zip(right);
            let compared = pairs.map(|(one, two)| {
                let sides = vec![self.expr(one, cx)?, self.expr(two, cx)?];
                let compared = self.call(name, sides, at)?;
                self.settle(compared)
            });
            compared.collect::<Result<Vec<_>>>()
        };
        // What decides before the last column is strictly less or greater.
        let strict = match name {
            "=" => return Ok(all(each(name)?)),
            "<>" => return Ok(either(each(name)?)),
            "<" | "<=" => "<",
            ">" | ">=" => ">",
            other => return refuse(&format!("operator {other} of rows"), at),
        };
        let (equal, strict, mut last) = (each("=")?, each(strict)?, each(name)?);
        let Some(mut whole) = last.pop() else {
            return refuse("a row without columns", at);
        };
        for (equal, strict) in equal.into_iter().zip(strict).rev().skip(1) {
            whole = either(vec![strict, all(vec![equal, whole])]);
        }
        Ok(whole)
    }
}

fn all(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => boolean(ExprKind::And(parts)),
    }
}

fn either(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => boolean(ExprKind::Or(parts)),
    }
}
