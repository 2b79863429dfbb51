//! Rows of which there is one of each: DISTINCT, UNION, INTERSECT and EXCEPT.
//!
//! Where a column is compared by keys, the keys become columns beside it, and one whole row is left of those that are
//! alike in them: the first that comes.

use super::collation::key_of;
use super::query::Relation;
use super::{Binder, Bound};
use crate::error::{Error, Result, state};
use crate::parse::refuse;
use crate::plan::logical::{Join, Logical};
use crate::plan::physical::JoinKind;
use crate::plan::set_operation::SetOperator;
use crate::plan::{Expr, ExprKind};
use remora_storage::{DataType, Value};

impl Binder<'_> {
    /// One row of each.
    pub(super) fn distinct(&mut self, plan: Logical, columns: &[usize]) -> Result<Logical> {
        if !self.has_keyed_column(columns.iter().copied())? {
            return Ok(Logical::Distinct(Box::new(plan)));
        }
        let mut exprs: Vec<(usize, Expr)> = plan
            .columns()
            .into_iter()
            .map(|column| (column, self.columns.expr(column)))
            .collect();
        let mut on = Vec::with_capacity(columns.len());
        for column in columns {
            on.push(self.key_column(self.columns.expr(*column), *column, &mut exprs)?);
        }
        Ok(Logical::DistinctOn {
            input: Box::new(plan.project(exprs)),
            columns: on,
        })
    }

    /// The column that says what a column, which is such an expression, is compared by: another one, among `exprs`, or
    /// itself.
    pub(super) fn key_column(
        &mut self,
        expr: Expr,
        column: usize,
        exprs: &mut Vec<(usize, Expr)>,
    ) -> Result<usize> {
        let found = self.columns.collations.of_column(column);
        if !self.has_key(found, None)? {
            return Ok(column);
        }
        let key = self.sorted_key(expr, None)?;
        let number = self.columns.add("?column?", key.data_type);
        exprs.push((number, key));
        Ok(number)
    }

    /// The rows of one query that another has, or has not, where some columns are compared by keys.
    pub(super) fn keyed_set_operation(
        &mut self,
        (operator, all): (SetOperator, bool),
        left: Relation,
        right: Relation,
        columns: &[usize],
    ) -> Result<Logical> {
        if all {
            let what = format!("{} ALL of collation nocase", operator.name());
            return refuse(&what, None);
        }
        let mut on = Vec::new();
        let pairs = left.outputs.iter().zip(&right.outputs);
        for ((one, other), column) in pairs.zip(columns) {
            let found = self.columns.collations.of_column(*column);
            let sides = [one, other].map(|side| self.columns.expr(side.column));
            match self.has_key(found, None)? {
                true => on.extend(self.same_text(sides)?),
                false => {
                    let sides = sides.map(Bound::Typed).to_vec();
                    let differ = self.call("is_distinct_from", sides, None)?;
                    on.push(super::expr::not(self.settle(differ)?));
                }
            }
        }
        let kind = match operator {
            SetOperator::Intersect => JoinKind::Semi,
            SetOperator::Except => JoinKind::Anti,
        };
        let outputs = left.outputs.iter().zip(columns);
        let exprs = outputs.map(|(output, column)| (*column, self.columns.expr(output.column)));
        let plan = Logical::Project {
            exprs: exprs.collect(),
            input: Box::new(Logical::Join(Join::new(left.plan, right.plan, kind, on))),
        };
        self.distinct(plan, columns)
    }

    /// Whether two texts are alike by their keys, or both NULL: two equalities, so that they can be looked up.
    fn same_text(&mut self, sides: [Expr; 2]) -> Result<[Expr; 2]> {
        let keys = sides.iter().map(|side| key_of(side.clone(), None));
        let keys: Vec<Expr> = keys.collect::<Result<_>>()?;
        let filled = keys.into_iter().map(|key| Expr {
            data_type: key.data_type,
            kind: ExprKind::Coalesce(vec![
                key,
                Expr::literal(Value::Text(String::new()), DataType::Text),
            ]),
        });
        let filled = filled.map(Bound::Typed).collect();
        let missing = sides.map(super::expr::is_null).map(Bound::Typed).to_vec();
        let (equal, both) = (
            self.call("=", filled, None)?,
            self.call("=", missing, None)?,
        );
        Ok([self.settle(equal)?, self.settle(both)?])
    }
}

/// The complaint about a recursion in which texts would be compared by keys.
pub(super) fn refuse_keyed_recursion() -> Error {
    let message = "UNION of a recursive query with a column of collation nocase is not supported";
    Error::new(state::FEATURE_NOT_SUPPORTED, message).with_hint("Say UNION ALL.")
}
