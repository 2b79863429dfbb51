//! A table while ALTER TABLE changes it: what it will be, beside what it is.

use super::Binder;
use super::alter_constraint::Untested;
use super::computed_key::retire_hidden;
use super::draft::Draft;
use super::scope::Scope;
use crate::plan::logical::{Logical, Query, Scan};
use crate::plan::structure::{ComingKey, Step};
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::{ColumnDef, Constraint, IndexDef, TableEntry};
use remora_storage::{ColumnId, IndexId, TableId, Value};
use std::sync::Arc;

/// A table between what it is and what it will be.
pub(super) struct Altered<'n> {
    pub(super) entry: Arc<TableEntry>,
    /// What it will be, with what is to be added.
    pub(super) draft: Draft<'n>,
    /// The value of each of the draft's columns, over the columns of `scan`.
    pub(super) values: Vec<Expr>,
    pub(super) scan: Scan,
    pub(super) scope: Scope,
    pub(super) dropped: Vec<IndexId>,
    /// Whether hidden columns stay as they are: values get other names, and mean what they meant.
    pub(super) keeps_hidden: bool,
    pub(super) before: Vec<Step>,
    pub(super) after: Vec<Step>,
    /// Constraints, by name, that rows are tested for once more.
    pub(super) validated: Vec<String>,
    /// Foreign keys that come again, with something else said about them.
    pub(super) redefined: Vec<ComingKey>,
    /// Foreign keys of other tables that rows are tested for once more.
    pub(super) retested: Vec<(TableId, String)>,
    /// How many of the draft's foreign keys, and of its checks, rows are not tested for.
    pub(super) untested: Untested,
}

impl Altered<'_> {
    /// Has indexes go over hidden columns that are computed no more.
    pub(super) fn drop_keys(&mut self, hidden: &[ColumnId]) {
        let indexes = self.entry.indexes.iter();
        let covering = indexes.filter(|index| hidden.iter().any(|id| index.covers(*id)));
        let covering: Vec<IndexId> = covering.map(|index| index.def.id).collect();
        covering.into_iter().for_each(|id| self.drop_index(id));
        let kept = self.kept();
        retire_hidden(&mut self.draft.table, kept.iter());
    }

    /// Has rows tested for a constraint that is being added without that; whether there is one of the name.
    pub(super) fn tests_added(&mut self, name: &str) -> bool {
        let Untested { checks, keys } = &mut self.untested;
        let (written, draft) = (checks.len() + keys.len(), &mut self.draft);
        let is_meant = |given: &Option<String>| given.as_deref() == Some(name);
        checks.retain(|number| !draft.checks.get(*number).is_some_and(|(n, ..)| is_meant(n)));
        keys.retain(|number| {
            let key = draft.foreign_keys.get_mut(*number);
            let key = key.filter(|key| is_meant(&key.name));
            key.map(|key| key.not_valid = false).is_none()
        });
        checks.len() + keys.len() < written
    }

    /// Leaves out hidden columns that no index is over, if rows are written anew.
    pub(super) fn leave_out_hidden(&mut self) {
        let is_dead = |column: &ColumnDef| column.is_hidden() && column.generated.is_none();
        if self.is_rewritten() && !self.keeps_hidden {
            for position in (0..self.draft.table.columns.len()).rev() {
                if is_dead(&self.draft.table.columns[position]) {
                    self.draft.table.columns.remove(position);
                    self.values.remove(position);
                }
            }
        }
    }

    /// Says that nothing is known yet of the values of columns that came last.
    pub(super) fn fill_up(&mut self) {
        let coming = self.draft.table.columns.iter().skip(self.values.len());
        let coming = coming.map(|column| Expr::literal(Value::Null, column.data_type));
        let coming: Vec<Expr> = coming.collect();
        self.values.extend(coming);
    }

    /// The indexes that do not go.
    pub(super) fn kept(&self) -> Vec<IndexDef> {
        let indexes = self.entry.indexes.iter().map(|index| &index.def);
        let kept = indexes.filter(|index| !self.dropped.contains(&index.id));
        kept.cloned().collect()
    }

    /// The primary key's, if it does not.
    pub(super) fn primary(&self) -> Option<IndexDef> {
        let is_primary = |index: &IndexDef| index.constraint == Some(Constraint::PrimaryKey);
        self.kept().into_iter().find(is_primary)
    }

    /// Has something go before the table is another.
    pub(super) fn first(&mut self, step: Step) {
        if let Step::DropForeignKey(table, name) = &step
            && *table == self.entry.def.id
        {
            self.draft
                .table
                .foreign_keys
                .retain(|key| key.name != *name);
        }
        if !self.before.contains(&step) {
            self.before.push(step);
        }
    }

    pub(super) fn drop_index(&mut self, id: IndexId) {
        if !self.dropped.contains(&id) {
            self.dropped.push(id);
            self.first(Step::DropIndex(id));
        }
    }

    /// The position in the table as it is of a column whose value stays.
    pub(super) fn kept_from(&self, position: usize) -> Option<usize> {
        let ExprKind::Column(number) = self.values[position].kind else {
            return None;
        };
        self.scan.numbers().position(|found| found == number)
    }

    /// Whether rows have another layout, or other values.
    pub(super) fn is_rewritten(&self) -> bool {
        let table = &self.draft.table;
        let mut columns = table.columns.iter().enumerate();
        let is_computed = columns.any(|(position, column)| {
            let from = self.kept_from(position);
            from.is_none_or(|from| self.entry.def.columns[from].id != column.id)
        });
        is_computed || !table.has_layout_of(&self.entry.def)
    }

    /// The columns, by position, that may be NULL by now and must not.
    pub(super) fn not_null_to_test(&self) -> Vec<usize> {
        let is_known = |position: usize| {
            let from = self.kept_from(position);
            from.is_some_and(|from| self.entry.def.columns[from].not_null)
        };
        let columns = self.draft.table.columns.iter().enumerate();
        let columns = columns.filter(|(at, column)| column.not_null && !is_known(*at));
        columns.map(|(position, _)| position).collect()
    }

    /// All columns of the altered table.
    pub(super) fn query(&self, binder: &mut Binder<'_>) -> Query {
        let columns = self.draft.table.columns.iter().zip(&self.values);
        let exprs = columns.map(|(column, value)| {
            let number = binder.columns.add(&column.name, column.data_type);
            (column.name.clone(), number, value.clone())
        });
        let exprs: Vec<_> = exprs.collect();
        let output = exprs
            .iter()
            .map(|(name, number, _)| (name.clone(), *number));
        Query {
            output: output.collect(),
            plan: Logical::Project {
                input: Box::new(Logical::Scan(self.scan.clone())),
                exprs: exprs
                    .into_iter()
                    .map(|(_, number, value)| (number, value))
                    .collect(),
            },
        }
    }
}
