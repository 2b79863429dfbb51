//! UPDATE and DELETE: which rows, and what becomes of them.
//!
//! The table's scan is the first thing bound, so the numbers of its columns are their positions in
//! the table. What FROM or USING gives is joined to it, and numbered behind it.

use super::from::{Source, factor_place, table_scope};
use super::join::cross;
use super::scope::Scope;
use super::select::filter;
use super::{Binder, Clause, Context, name};
use crate::error::{Position, Result};
use crate::parse::{place, refuse};
use crate::plan::logical::{Logical, LogicalStatement};
use crate::plan::statement::{Delete, Statement, Target, Update};
use remora_storage::catalog::TableEntry;
use sqlparser::ast::{self, TableFactor, UpdateTableFromKind};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A table that is changed, and its rows.
pub(super) struct Changed {
    pub(super) table: Arc<TableEntry>,
    pub(super) rows: Source,
}

/// The placeholder of the rows.
fn target(others: Option<&[ast::TableWithJoins]>) -> Target {
    match (others, Target::nothing()) {
        (Some(_), Target::Scan(nothing)) => Target::Joined(nothing),
        (_, nothing) => nothing,
    }
}

impl<'a> Binder<'a> {
    /// Binds an UPDATE.
    pub(super) fn update(&mut self, update: &'a ast::Update) -> Result<LogicalStatement> {
        let at = place(update.update_token.0.span);
        let clauses = [
            (update.output.is_some(), "OUTPUT"),
            (
                update.or.is_some() || !update.order_by.is_empty() || update.limit.is_some(),
                "this form of UPDATE",
            ),
        ];
        refuse_first(&clauses, at)?;
        let from = match &update.from {
            None => None,
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return refuse("this form of UPDATE", at);
            }
            Some(UpdateTableFromKind::AfterSet(items)) => Some(items.as_slice()),
        };
        let changed = self.changed_table(&update.table, "update", at)?;
        let Changed { table, rows } = self.beside(changed, from)?;
        let mut cx = Context::new(&rows.scope, Clause::Update);
        let assignments = self.assignments(&table, &update.assignments, &mut cx)?;
        let plan = self.wanted(rows.plan, update.selection.as_ref(), &rows.scope)?;
        let assigned: BTreeSet<usize> = assignments.iter().map(|(p, _)| *p).collect();
        let update = Update {
            checks: self.checks(&table.def, Some(&assigned))?,
            assignments: assignments
                .into_iter()
                .map(|(position, value)| (table.def.columns[position].id, value))
                .collect(),
            table,
            target: target(from),
            returning: self.returning(update.returning.as_ref(), &rows.scope)?,
        };
        Ok(LogicalStatement::Change(Statement::Update(update), plan))
    }

    /// Binds a DELETE.
    pub(super) fn delete(&mut self, delete: &'a ast::Delete) -> Result<LogicalStatement> {
        let at = place(delete.delete_token.0.span);
        let clauses = [
            (delete.output.is_some(), "OUTPUT"),
            (
                !delete.tables.is_empty() || !delete.order_by.is_empty() || delete.limit.is_some(),
                "this form of DELETE",
            ),
        ];
        refuse_first(&clauses, at)?;
        let ast::FromTable::WithFromKeyword(tables) = &delete.from else {
            return Err(name::syntax_error("DELETE", at));
        };
        let [table] = tables.as_slice() else {
            return refuse("DELETE from several tables", at);
        };
        let using = delete.using.as_deref();
        let changed = self.changed_table(table, "delete from", at)?;
        let Changed { table, rows } = self.beside(changed, using)?;
        let plan = self.wanted(rows.plan, delete.selection.as_ref(), &rows.scope)?;
        let delete = Delete {
            table,
            target: target(using),
            returning: self.returning(delete.returning.as_ref(), &rows.scope)?,
        };
        Ok(LogicalStatement::Change(Statement::Delete(delete), plan))
    }

    /// The table that is changed, a scan of it, and what names mean.
    fn changed_table(
        &mut self,
        table: &'a ast::TableWithJoins,
        action: &str,
        at: Option<Position>,
    ) -> Result<Changed> {
        if !table.joins.is_empty() {
            return refuse("changing a join", at);
        }
        self.changed_factor(&table.relation, action, at)
    }

    /// The same of a table that nothing is joined to.
    pub(super) fn changed_factor(
        &mut self,
        table: &'a TableFactor,
        action: &str,
        at: Option<Position>,
    ) -> Result<Changed> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = table
        else {
            return refuse("changing something other than a table", at);
        };
        let relation = name::relation(name)?;
        self.refuse_view(name, action)?;
        let entry = self.table(&relation, name::object_place(name))?;
        self.note_numbers_of_children(&entry);
        let shown = match alias {
            Some(alias) => name::fold(&alias.name)?,
            None => relation.clone(),
        };
        let scan = self.scan(&entry, true);
        debug_assert!(
            scan.numbers().eq(0..=entry.def.columns.len()),
            "the changed table's columns are numbered first"
        );
        let hides = (shown != relation).then_some(relation);
        let scope = table_scope(&scan, shown, hides);
        let rows = Source {
            plan: Logical::Scan(scan),
            scope,
            rows: Vec::new(),
        };
        Ok(Changed { table: entry, rows })
    }

    /// The rows that are changed, each with those of FROM or USING that are beside it.
    fn beside(
        &mut self,
        changed: Changed,
        items: Option<&'a [ast::TableWithJoins]>,
    ) -> Result<Changed> {
        let Some(items) = items else {
            return Ok(changed);
        };
        let others = self.from(items)?;
        let at = items.first().and_then(|item| factor_place(&item.relation));
        Ok(Changed {
            rows: cross(changed.rows, others, Vec::new(), at)?,
            ..changed
        })
    }

    fn wanted(
        &mut self,
        plan: Logical,
        condition: Option<&'a ast::Expr>,
        scope: &Scope,
    ) -> Result<Logical> {
        let Some(condition) = condition else {
            return Ok(plan);
        };
        let mut cx = Context::new(scope, Clause::Where);
        let predicate = self.condition_of(condition, "WHERE", &mut cx)?;
        Ok(filter(plan, predicate))
    }
}

fn refuse_first(clauses: &[(bool, &str)], at: Option<Position>) -> Result<()> {
    match clauses.iter().find(|(there, _)| *there) {
        Some((_, what)) => refuse(what, at),
        None => Ok(()),
    }
}
