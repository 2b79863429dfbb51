//! ON CONFLICT: which keys are looked for, and what is done with a row that has one.
//!
//! `DO UPDATE` sees two rows, the one that is there and the one that was to be inserted, which is called
//! `excluded`. Both are numbered before anything else of the statement: the first by position, the second
//! behind it.

use super::scope::Scope;
use super::{Binder, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{place, refuse};
use crate::plan::statement::{DoUpdate, OnConflict, Target, Update};
use remora_storage::ColumnId;
use remora_storage::catalog::{IndexEntry, TableDef, TableEntry};
use sqlparser::ast::{self, ConflictTarget, OnConflictAction};
use std::collections::BTreeSet;
use std::sync::Arc;

impl<'a> Binder<'a> {
    /// Binds the clause of an INSERT into a table whose rows `target` names.
    pub(super) fn on_conflict(
        &mut self,
        syntax: &'a ast::OnInsert,
        table: &Arc<TableEntry>,
        target: &Scope,
        at: Option<Position>,
    ) -> Result<OnConflict> {
        let ast::OnInsert::OnConflict(clause) = syntax else {
            return refuse("this form of INSERT", at);
        };
        let update = match &clause.action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(_) if clause.conflict_target.is_none() => {
                let message =
                    "ON CONFLICT DO UPDATE requires inference specification or constraint name";
                return Err(Error::new(state::SYNTAX_ERROR, message)
                    .with_hint("For example, ON CONFLICT (column_name).")
                    .at(at));
            }
            OnConflictAction::DoUpdate(update) => Some(self.do_update(update, table, target)?),
        };
        Ok(OnConflict {
            arbiters: arbiters(clause.conflict_target.as_ref(), table, target)?,
            update,
        })
    }

    fn do_update(
        &mut self,
        syntax: &'a ast::DoUpdate,
        table: &Arc<TableEntry>,
        target: &Scope,
    ) -> Result<DoUpdate> {
        let excluded = self.row_scope(table, "excluded", None);
        let mut scope = target.clone();
        scope.append(excluded, None)?;
        let mut cx = Context::new(&scope, Clause::Update);
        let assignments = self.assignments(table, &syntax.assignments, &mut cx)?;
        let filter = match &syntax.selection {
            Some(condition) => {
                let mut cx = Context::new(&scope, Clause::Where);
                Some(self.condition_of(condition, "WHERE", &mut cx)?)
            }
            None => None,
        };
        self.note_numbers_of_children(table);
        let assigned: BTreeSet<usize> = assignments.iter().map(|(p, _)| *p).collect();
        let update = Update {
            checks: self.checks(&table.def, Some(&assigned))?,
            assignments: assignments
                .into_iter()
                .map(|(position, value)| (table.def.columns[position].id, value))
                .collect(),
            table: Arc::clone(table),
            target: Target::nothing(),
            returning: None,
        };
        Ok(DoUpdate { update, filter })
    }
}

/// The unique indexes that are meant: all where nothing is said.
fn arbiters(
    target: Option<&ConflictTarget>,
    table: &TableEntry,
    scope: &Scope,
) -> Result<Vec<Arc<IndexEntry>>> {
    let unique = table.indexes.iter().filter(|index| index.def.unique);
    match target {
        None => Ok(unique.cloned().collect()),
        Some(ConflictTarget::Columns(idents)) => {
            let mut wanted = BTreeSet::new();
            for ident in idents {
                let column = scope.resolve(&name::fold(ident)?, place(ident.span))?;
                wanted.insert(table.def.columns[column.column].id);
            }
            let is_meant = |index: &&Arc<IndexEntry>| columns(index) == wanted;
            let found: Vec<_> = unique.filter(is_meant).cloned().collect();
            match found.is_empty() {
                false => Ok(found),
                true => Err(Error::new(
                    state::INVALID_COLUMN_REFERENCE,
                    "there is no unique or exclusion constraint matching the ON CONFLICT \
                     specification",
                )),
            }
        }
        Some(ConflictTarget::OnConstraint(constraint)) => {
            let name = name::relation(constraint)?;
            let is_meant =
                |index: &&Arc<IndexEntry>| index.def.constraint.is_some() && index.def.name == name;
            let found: Vec<_> = unique.filter(is_meant).cloned().collect();
            match found.is_empty() {
                false => Ok(found),
                true => Err(no_index(&table.def, &name)),
            }
        }
    }
}

fn columns(index: &IndexEntry) -> BTreeSet<ColumnId> {
    index.def.columns.iter().map(|key| key.column).collect()
}

fn no_index(table: &TableDef, name: &str) -> Error {
    let is_check = table.checks.iter().any(|check| check.name == name);
    if is_check || table.foreign_keys.iter().any(|key| key.name == name) {
        let message = "constraint in ON CONFLICT clause has no associated index";
        return Error::new(state::WRONG_OBJECT_TYPE, message);
    }
    let message = format!(
        "constraint \"{name}\" for table \"{}\" does not exist",
        table.name
    );
    Error::new(state::UNDEFINED_OBJECT, message)
}
