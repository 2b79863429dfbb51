//! Subqueries as values: a plan whose rows say, for each row of the query around it, what an expression is.
//!
//! The plan may name values of the row around it, but not by the columns that these have there: it has columns
//! of its own that stand for them (`outer`), each with the expression outside that it is the value of. So
//! whoever rewrites the expressions around (by groups, say) rewrites these and need not look into the plan, and
//! a subquery within a subquery has the values of the outermost handed down level by level.
//!
//! Subqueries are found in bound statements only: the optimizer's first rule makes joins of them.

use super::Expr;
use super::logical::Logical;

/// A subquery as a value.
#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    /// What is asked of its rows.
    pub asks: Asks,
    /// Its rows.
    pub plan: Logical,
    /// Columns that the plan names and does not have: the value outside that each stands for.
    pub outer: Vec<(usize, Expr)>,
}

/// What is asked of the rows of a subquery.
#[derive(Clone, Debug)]
pub(crate) enum Asks {
    /// What this column is in the only row; NULL where there is none.
    Value(usize),
    /// Whether there is any.
    Exists {
        /// The column that says so.
        mark: usize,
    },
    /// Whether the test is true of any: NULL where it is of none, but is NULL of one.
    Any {
        /// Over columns of the plan and those that stand for values outside.
        test: Box<Expr>,
        /// The column that says so.
        mark: usize,
    },
}

impl Subquery {
    /// The column that has the value.
    pub(crate) fn column(&self) -> usize {
        match self.asks {
            Asks::Value(column) => column,
            Asks::Exists { mark } | Asks::Any { mark, .. } => mark,
        }
    }

    /// Whether it is the same one: that of another occurrence has other columns.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let pairs = self.outer.iter().zip(&other.outer);
        self.column() == other.column()
            && self.outer.len() == other.outer.len()
            && pairs.into_iter().all(|((_, one), (_, two))| one.same(two))
    }
}
