//! INSERT, UPDATE, DELETE, TRUNCATE: changes of one table's rows.
//!
//! Expressions of an INSERT name the table's columns by position. Those of an UPDATE or a DELETE name the
//! columns that the plan of its rows gives: first those of the table in order, then the row's RowId, then
//! what the tables beside it (FROM, USING) are asked for.

use super::physical::PhysicalPlan;
use super::statement::Lookup;
use super::{Expr, Schema};
use remora_storage::catalog::{IndexEntry, TableEntry};
use remora_storage::{ColumnId, SequenceId};
use std::sync::Arc;

/// INSERT
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    /// Into what.
    pub table: Arc<TableEntry>,
    /// From where.
    pub source: InsertSource,
    /// What must be true of the rows, over the table's columns by position.
    pub checks: Vec<RowCheck>,
    /// Columns that are computed from the others, by position, which stand in place of what the source gives.
    pub generated: Vec<(usize, Expr)>,
    /// What becomes of rows whose key is there already, where that is no error.
    pub on_conflict: Option<Box<OnConflict>>,
    /// What is shown of the rows as they are then.
    pub returning: Option<Returning>,
}

/// What must be true of a row that is written: a CHECK constraint, or the check option of a view.
#[derive(Clone, Debug)]
pub(crate) struct RowCheck {
    /// The constraint's name, or the view's.
    pub name: String,
    /// Whether it is a view's: then the condition must be true, and otherwise it must not be false.
    pub of_view: bool,
    /// Over the table's columns by position.
    pub condition: Expr,
    /// What it asks of subqueries.
    pub asked: Option<Arc<Asked>>,
}

/// Where inserted rows come from: all columns of the table, in order, cast to their types,
/// defaults filled in.
#[derive(Clone, Debug)]
pub(crate) enum InsertSource {
    /// VALUES: expressions without columns. The point path runs it.
    Values(Vec<Vec<Expr>>),
    /// A query.
    Query(Box<PhysicalPlan>),
}

/// ON CONFLICT
#[derive(Clone, Debug)]
pub(crate) struct OnConflict {
    /// The unique indexes whose keys are looked for; of others a key that is there is an error.
    pub arbiters: Vec<Arc<IndexEntry>>,
    /// DO UPDATE; `None` for DO NOTHING.
    pub update: Option<DoUpdate>,
}

/// ON CONFLICT DO UPDATE: over the columns of the row that is there, by position, and then those of the
/// row that was to be inserted.
#[derive(Clone, Debug)]
pub(crate) struct DoUpdate {
    /// What is changed; its target is not used.
    pub update: Update,
    /// The row is changed only where this is true.
    pub filter: Option<Expr>,
    /// What is asked of subqueries.
    pub asked: Option<Box<Asked>>,
}

/// What a change asks of subqueries for each of its rows.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Gives one row.
    pub plan: PhysicalPlan,
    /// Parameters that it names, and the position of the column that each has the value of.
    pub given: Vec<(usize, usize)>,
    /// The parameters that its columns are the values of.
    pub gives: Vec<usize>,
}

/// UPDATE
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// Of what.
    pub table: Arc<TableEntry>,
    /// Which rows.
    pub target: Target,
    /// New values, cast to the columns' types.
    pub assignments: Vec<(ColumnId, Expr)>,
    /// Columns that are computed from assigned ones, over the table's columns as they are then, by position.
    pub generated: Vec<(ColumnId, Expr)>,
    /// As in [`Insert::checks`]; only those that name a column that is written.
    pub checks: Vec<RowCheck>,
    /// What is shown of the rows as they are then.
    pub returning: Option<Returning>,
}

impl Update {
    /// All columns that are written: those that are assigned, and those that follow from them.
    #[inline]
    pub(crate) fn written(&self) -> impl Iterator<Item = &(ColumnId, Expr)> {
        self.assignments.iter().chain(&self.generated)
    }
}

/// DELETE
#[derive(Clone, Debug)]
pub(crate) struct Delete {
    /// Of what.
    pub table: Arc<TableEntry>,
    /// Which rows. Their plan gives all columns only where triggers may ask for them.
    pub target: Target,
    /// Where the plan has the RowId.
    pub row_id: usize,
    /// What is shown of the rows as they were.
    pub returning: Option<Returning>,
}

/// RETURNING
#[derive(Clone, Debug, Default)]
pub(crate) struct Returning {
    /// What is shown of each row.
    pub exprs: Vec<Expr>,
    /// Names and types of that.
    pub schema: Schema,
}

/// The rows that an UPDATE or a DELETE is about.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// At most one, by key: the point path.
    Point(Lookup),
    /// Those of a plan.
    Scan(Box<PhysicalPlan>),
    /// Those of a plan that may give a row several times: the first time counts.
    Joined(Box<PhysicalPlan>),
}

impl Target {
    /// No row.
    pub(crate) fn nothing() -> Self {
        Self::Scan(Box::new(PhysicalPlan::nothing()))
    }
}

/// TRUNCATE
#[derive(Clone, Debug)]
pub(crate) struct Truncate {
    /// Of what.
    pub tables: Vec<Arc<TableEntry>>,
    /// Sequences that begin again.
    pub restarts: Vec<SequenceId>,
}
