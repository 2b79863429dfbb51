//! A trigger as it is run: its condition and its statements, over the row that fires it as parameters.

use super::Expr;
use super::statement::Planned;
use remora_storage::DataType;
use remora_storage::catalog::TriggerDef;

/// The numbers under which a trigger's statements read transition tables, which no part of a statement has.
pub(crate) const OLD_ROWS: usize = usize::MAX - 1;
/// The same of the rows as they are.
pub(crate) const NEW_ROWS: usize = usize::MAX;

/// A trigger, planned. Parameters are the columns of the new row, and then those of the old one.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    /// What it is.
    pub def: TriggerDef,
    /// What it is on.
    pub table: String,
    /// It fires only where this is true.
    pub condition: Option<Expr>,
    /// What it does.
    pub actions: Vec<Action>,
}

/// A statement of a trigger.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// One that is run.
    Run(Box<Planned>),
    /// SET: the positions in the new row, their types, and a query that gives the values.
    Set(Vec<(usize, DataType)>, Box<Planned>),
}
