//! Plans: data only. The binder makes them, the optimizer rewrites them, `exec` runs them.

mod change;
pub(crate) mod collation;
pub(crate) mod cursor;
pub(crate) mod explain;
mod expr;
pub(crate) mod grouping_sets;
mod implies;
pub(crate) mod lock;
pub(crate) mod logical;
mod logical_walk;
pub(crate) mod merge;
pub(crate) mod physical;
pub(crate) mod project_set;
pub(crate) mod recursive;
pub(crate) mod resolved;
pub(crate) mod sequence;
pub(crate) mod set_operation;
pub(crate) mod statement;
pub(crate) mod structure;
mod subquery;
pub(crate) mod trigger;
pub(crate) mod virtual_scan;
mod walk;
pub(crate) mod window;
pub(crate) mod with;

pub(crate) use expr::{Expr, ExprKind, SortKey, call_types};
pub(crate) use implies::implies;
pub(crate) use statement::Statement;
pub(crate) use subquery::{Asks, Subquery};

use remora_storage::DataType;

/// A column of a plan's output.
#[derive(Clone, PartialEq, Debug)]
pub struct Field {
    /// Its name, as shown to the user.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

/// The columns of a plan's output.
pub(crate) type Schema = Vec<Field>;
