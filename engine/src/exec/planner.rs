//! Planner: the interface through which a running statement has more planned than itself.
//!
//! A statement is planned before it runs. But its triggers and the actions of its foreign keys change other tables, which
//! are known only then. Their plans are made by the layers above execution, which hand in an implementation
//! ([`ExecContext::planner`](super::ExecContext::planner)). Both answers hold for one catalog, and the implementation is
//! expected to cache them.

use crate::error::Result;
use crate::function::SearchPath;
use crate::plan::Expr;
use crate::plan::statement::RowCheck;
use crate::plan::trigger::Trigger;
use remora_storage::catalog::{Catalog, TableEntry, TriggerDef};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

/// Plans for statements that are running.
pub(crate) trait Planner: Debug + Send + Sync {
    /// Returns the rules for changes of the columns at these positions of a table, or of all columns.
    ///
    /// # Errors
    /// Those of binding the expressions.
    fn table_rules(
        &self,
        table: &TableEntry,
        set: Option<&BTreeSet<usize>>,
        catalog: &Arc<Catalog>,
    ) -> Result<Arc<TableRules>>;

    /// Returns the plan of a trigger of a table, or of the table that stands in for a view.
    ///
    /// # Errors
    /// Those of binding its statements.
    fn trigger(
        &self,
        table: &TableEntry,
        trigger: &TriggerDef,
        names: (&Arc<Catalog>, &SearchPath),
    ) -> Result<Arc<Trigger>>;
}

/// Expressions of a table's definition that concern rows some columns of which are set. Columns stand by position.
#[derive(Debug)]
pub(crate) struct TableRules {
    /// The defaults of the columns that are set, in their order; none where all are.
    pub defaults: Vec<Expr>,
    /// Generated columns that are to be computed.
    pub generated: Vec<(usize, Expr)>,
    /// Checks of columns that are set or computed.
    pub checks: Vec<RowCheck>,
}
