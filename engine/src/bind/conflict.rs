//! ON CONFLICT: which keys are looked for, and what is done with a row that has one.
//!
//! `DO UPDATE` sees two rows, the one that is there and the one that was to be inserted, which is called
//! `excluded`. Both are numbered before anything else of the statement: the first by position, the second
//! behind it.

use super::computed_key::{Inferred, no_arbiter};
use super::scope::Scope;
use super::through::{Through, Written};
use super::{Binder, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{inferred_condition, inferred_key, place, refuse};
use crate::plan::Expr;
use crate::plan::statement::{DoUpdate, OnConflict, Target, Update};
use remora_storage::catalog::{Catalog, IndexEntry, TableDef, TableEntry};
use sqlparser::ast::{self, ConflictTarget, OnConflictAction};
use std::sync::Arc;

impl<'a> Binder<'a> {
    /// Binds the clause of an INSERT into a table whose rows `target` names.
    pub(super) fn on_conflict(
        &mut self,
        syntax: &'a ast::OnInsert,
        (table, through): (&Arc<TableEntry>, Option<&mut Through>),
        (target, excluded): (&Scope, Scope),
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
            OnConflictAction::DoUpdate(update) => {
                Some(self.do_update(update, (table, through), (target, excluded))?)
            }
        };
        Ok(OnConflict {
            arbiters: arbiters(self.catalog, clause.conflict_target.as_ref(), table, target)?,
            update,
        })
    }

    fn do_update(
        &mut self,
        syntax: &'a ast::DoUpdate,
        (table, mut through): (&Arc<TableEntry>, Option<&mut Through>),
        (target, mut excluded): (&Scope, Scope),
    ) -> Result<DoUpdate> {
        if let Some(through) = &mut through {
            excluded = through.renamed(self, excluded);
        }
        let through = through.as_deref();
        let mut scope = target.clone();
        scope.append(excluded, None)?;
        let written = Written {
            table: &table.def,
            through,
        };
        let mut cx = Context::new(&scope, Clause::Update);
        let mut assignments = self.assignments(written, &syntax.assignments, &mut cx)?;
        let put_in = |expr: Expr| match through {
            Some(through) => through.put_in(expr),
            None => expr,
        };
        for (_, value) in &mut assignments {
            value.change(put_in);
        }
        let filter = match &syntax.selection {
            Some(condition) => {
                let mut cx = Context::new(&scope, Clause::Where);
                Some(put_in(self.condition_of(condition, "WHERE", &mut cx)?))
            }
            None => None,
        };
        self.note_changed(table);
        let (generated, mut checks) = self.follows(&table.def, &mut assignments)?;
        checks.extend(
            through
                .iter()
                .flat_map(|through| through.checks.iter().cloned()),
        );
        let update = Update {
            generated,
            checks,
            assignments: assignments
                .into_iter()
                .map(|(position, value)| (table.def.columns[position].id, value))
                .collect(),
            table: Arc::clone(table),
            target: Target::nothing(),
            returning: None,
        };
        Ok(DoUpdate {
            update,
            filter,
            asked: None,
        })
    }
}

/// The unique indexes that are meant: all where nothing is said.
fn arbiters(
    catalog: &Catalog,
    target: Option<&ConflictTarget>,
    table: &TableEntry,
    scope: &Scope,
) -> Result<Vec<Arc<IndexEntry>>> {
    let unique = table.indexes.iter().filter(|index| index.def.unique);
    match target {
        None => {
            let mut all = table.indexes.iter();
            // Any may be met, and of one that is put off nothing is known yet.
            match all.any(|index| index.def.is_unique() && !index.def.unique) {
                true => Err(deferrable()),
                false => Ok(unique.cloned().collect()),
            }
        }
        Some(ConflictTarget::Columns(idents)) => {
            let mut wanted = Inferred::default();
            for ident in idents {
                if let Some(condition) = inferred_condition(ident) {
                    wanted.condition(catalog, table, condition)?;
                } else if let Some(expression) = inferred_key(ident) {
                    let found = wanted.expression(catalog, table, expression)?;
                    found.ok_or_else(|| no_arbiter(None))?;
                } else {
                    let column = scope.resolve(&name::fold(ident)?, place(ident.span))?;
                    wanted.column(catalog, table, column.column)?;
                }
            }
            let found = wanted.arbiters(catalog, &table.def, unique)?;
            let all = table.indexes.iter().filter(|index| index.def.is_unique());
            match found.is_empty() {
                false => Ok(found),
                true if !wanted.arbiters(catalog, &table.def, all)?.is_empty() => Err(deferrable()),
                true => Err(no_arbiter(None)),
            }
        }
        Some(ConflictTarget::OnConstraint(constraint)) => {
            let name = name::single(constraint)?;
            let is_meant =
                |index: &&Arc<IndexEntry>| index.def.constraint.is_some() && index.def.name == name;
            let found: Vec<_> = unique.filter(is_meant).cloned().collect();
            match found.is_empty() {
                false => Ok(found),
                true if table.indexes.iter().any(|index| is_meant(&index)) => Err(deferrable()),
                true => Err(no_index(&table.def, &name)),
            }
        }
    }
}

fn deferrable() -> Error {
    let message = "ON CONFLICT does not support deferrable unique constraints/exclusion \
                   constraints as arbiters";
    Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
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
