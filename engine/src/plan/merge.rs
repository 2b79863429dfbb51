//! MERGE: what is done with each row of a source, by whether it meets a row of the table.

use super::Expr;
use super::physical::PhysicalPlan;
use super::statement::{Insert, Returning, Update};
use remora_storage::catalog::TableEntry;
use std::sync::Arc;

/// MERGE
#[derive(Clone, Debug)]
pub(crate) struct Merge {
    /// Into what.
    pub table: Arc<TableEntry>,
    /// The columns of the table in order and the RowId, all NULL where a row of the source meets none, and then
    /// what is asked of the source.
    pub rows: PhysicalPlan,
    /// What is done; the first clause that applies counts.
    pub clauses: Vec<MergeClause>,
    /// RETURNING
    pub returning: Option<MergeReturning>,
}

/// RETURNING of a MERGE, evaluated over the columns of the plan. Those of the table have the new values, or the old ones of
/// a deleted row.
#[derive(Clone, Debug)]
pub(crate) struct MergeReturning {
    /// The select list.
    pub shown: Returning,
    /// The column of the plan that `merge_action()` means.
    pub action: Expr,
}

/// WHEN
#[derive(Clone, Debug)]
pub(crate) struct MergeClause {
    /// Whether it is about rows that meet one of the table.
    pub matched: bool,
    /// Which of them, over the columns of the plan.
    pub condition: Option<Expr>,
    /// THEN
    pub action: MergeAction,
}

/// What a clause of MERGE does. Values are over the columns of the plan.
#[derive(Clone, Debug)]
pub(crate) enum MergeAction {
    /// DO NOTHING
    Nothing,
    /// UPDATE; the target is not used.
    Update(Update),
    /// DELETE
    Delete,
    /// INSERT of one row of VALUES.
    Insert(Insert, Vec<Expr>),
}

impl MergeAction {
    /// The value of `merge_action()` for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Update(_) => "UPDATE",
            Self::Delete => "DELETE",
            Self::Insert(..) => "INSERT",
        }
    }
}

impl Merge {
    /// Everything that is evaluated over the plan's columns.
    pub(crate) fn exprs(&mut self) -> impl Iterator<Item = &mut Expr> {
        let shown = self.returning.iter_mut().flat_map(|returning| {
            let action = std::iter::once(&mut returning.action);
            returning.shown.exprs.iter_mut().chain(action)
        });
        let done = self.clauses.iter_mut().flat_map(|clause| {
            let (updated, inserted) = match &mut clause.action {
                MergeAction::Update(update) => (Some(&mut update.assignments), None),
                MergeAction::Insert(_, row) => (None, Some(row)),
                MergeAction::Nothing | MergeAction::Delete => (None, None),
            };
            let updated = updated.into_iter().flatten().map(|(_, value)| value);
            let values = updated.chain(inserted.into_iter().flatten());
            clause.condition.iter_mut().chain(values)
        });
        done.chain(shown)
    }
}
