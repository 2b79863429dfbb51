//! Plans: data only. The binder makes them, the optimizer rewrites them, `exec` runs them.

mod change;
pub mod collation;
pub mod cursor;
pub mod explain;
mod expr;
pub mod grouping_sets;
mod implies;
pub mod lock;
pub mod logical;
mod logical_walk;
pub mod merge;
pub mod pg_catalog;
pub mod physical;
pub mod project_set;
pub mod recursive;
pub mod resolved;
pub mod sequence;
pub mod set_operation;
pub mod statement;
pub mod structure;
mod subquery;
pub mod system;
pub mod system_view;
pub mod trigger;
pub mod virtual_scan;
mod walk;
pub mod window;
pub mod with;

pub use expr::{Expr, ExprKind, SortKey, call_types};
pub use implies::implies;
pub use statement::Statement;
pub use subquery::{Asks, Subquery};

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
pub type Schema = Vec<Field>;
