//! VirtualScan: rows of a virtual table of the host.
//!
//! A part of the filter that compares a column with a value becomes a constraint, if the table has said that it
//! makes use of such ones; it stays in the filter besides, unless the table takes it exactly.

use super::Expr;
use crate::function::host_table::{HostTable, IndexConstraintOp};
use std::sync::Arc;

/// Rows of a virtual table. Of a logical plan the filter names columns by their numbers, of a physical one by their
/// positions in the output.
#[derive(Clone, Debug)]
pub(crate) struct VirtualScan {
    /// Which.
    pub table: Arc<HostTable>,
    /// Which of its columns: each one's number, and its position in the table.
    pub columns: Vec<(usize, usize)>,
    /// What the table is told.
    pub constraints: Vec<Constraint>,
    /// Which rows of those it gives: all of these are true.
    pub filter: Vec<Expr>,
}

/// `column op value`
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    /// The position of the column in the table.
    pub column: usize,
    /// How it is compared.
    pub op: IndexConstraintOp,
    /// With what: an expression without columns, of the column's type.
    pub value: Expr,
}
