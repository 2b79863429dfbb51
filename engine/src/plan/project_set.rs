//! ProjectSet: each row of the input beside the rows of table functions that are called for it.
//!
//! Several functions run side by side: a row of the input comes out as often as the longest of them has rows,
//! with NULLs where another has none any more. `FROM f(..)` is a ProjectSet of one row without columns;
//! `SELECT f(..) FROM t` is one of `t`.

use super::Expr;
use super::logical::Logical;
use crate::function::table::TableCallee;
use remora_storage::DataType;

/// A call of a table function.
#[derive(Clone, Debug)]
pub(crate) struct TableCall {
    /// Of what.
    pub function: TableCallee,
    /// On what, of exactly the function's types; where one is NULL there are no rows.
    pub arguments: Vec<Expr>,
    /// The type of the column, if it has one.
    pub data_type: DataType,
}

impl TableCall {
    /// Names and types of its columns. A name that is empty is that of the call.
    pub(crate) fn columns(&self) -> Vec<(&str, DataType)> {
        let columns = self.function.columns();
        match columns.is_empty() {
            true => vec![("", self.data_type)],
            false => columns,
        }
    }
}

/// Rows of table functions.
#[derive(Clone, Debug)]
pub(crate) struct ProjectSet {
    /// For which rows.
    pub input: Box<Logical>,
    /// The columns of each function, and its call.
    pub calls: Vec<(Vec<usize>, TableCall)>,
    /// The column, BIGINT, that numbers the rows for each row of the input from 1, if it is asked for.
    pub ordinality: Option<usize>,
}

impl ProjectSet {
    /// The columns it produces: those of its input, then its own.
    pub(crate) fn columns(&self) -> Vec<usize> {
        let mut columns = self.input.columns();
        columns.extend(self.calls.iter().flat_map(|(columns, _)| columns));
        columns.extend(self.ordinality);
        columns
    }
}
