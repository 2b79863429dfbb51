//! UPDATE and DELETE: which rows, and what becomes of them.
//!
//! The table's scan is the first thing bound, so the numbers of its columns are their positions in
//! the table. What FROM or USING gives is joined to it, and numbered behind it.

use super::from::{Source, factor_place, table_scope};
use super::instead::stand_in;
use super::join::cross;
use super::materialized::refuse_change;
use super::select::filter;
use super::through::{Through, Written};
use super::{Binder, Clause, Context, name};
use crate::error::{Position, Result};
use crate::parse::{place, refuse};
use crate::plan::Expr;
use crate::plan::logical::{Logical, LogicalStatement};
use crate::plan::statement::{Delete, Returning, RowCheck, Statement, Target, Update};
use remora_storage::catalog::{TableEntry, TriggerEvent};
use sqlparser::ast::{self, TableFactor, UpdateTableFromKind};
use std::sync::Arc;

/// A table that is changed, and its rows.
pub(super) struct Changed {
    pub(super) table: Arc<TableEntry>,
    pub(super) rows: Source,
    /// The view that was named in its place.
    pub(super) through: Option<Box<Through>>,
}

impl Changed {
    /// What is changed, as names of columns see it.
    fn written(&self) -> Written<'_> {
        Written {
            table: &self.table.def,
            through: self.through.as_deref(),
        }
    }

    /// An expression over the table's columns, where the view's were named.
    fn put_in(&self, expr: Expr) -> Expr {
        match &self.through {
            Some(through) => through.put_in(expr),
            None => expr,
        }
    }

    /// What must be true of rows because of the view.
    fn view_checks(&self) -> Vec<RowCheck> {
        let through = self.through.iter();
        through
            .flat_map(|through| through.checks.iter().cloned())
            .collect()
    }
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
        let changed = self.beside(changed, from)?;
        let (table, scope) = (Arc::clone(&changed.table), &changed.rows.scope);
        let mut cx = Context::new(scope, Clause::Update);
        let mut assignments = self.assignments(changed.written(), &update.assignments, &mut cx)?;
        let plan = self.wanted(&changed, update.selection.as_ref())?;
        let (generated, mut checks) = self.follows(&table.def, &mut assignments)?;
        checks.append(&mut changed.view_checks());
        let update = Update {
            generated,
            checks,
            assignments: assignments
                .into_iter()
                .map(|(at, value)| (table.def.columns[at].id, changed.put_in(value)))
                .collect(),
            table,
            target: target(from),
            returning: self.shown(update.returning.as_ref(), &changed)?,
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
        let changed = self.beside(changed, using)?;
        let plan = self.wanted(&changed, delete.selection.as_ref())?;
        let delete = Delete {
            table: Arc::clone(&changed.table),
            row_id: changed.table.def.columns.len(),
            target: target(using),
            returning: self.shown(delete.returning.as_ref(), &changed)?,
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
        let relation = self.relation(name)?;
        let name_at = name::object_place(name);
        let view = self.catalog.view(&relation).map(Arc::clone);
        let event = match action {
            "update" => Some(TriggerEvent::Update),
            "delete from" => Some(TriggerEvent::Delete),
            _ => None,
        };
        if let (Some(view), Some(event)) = (&view, event)
            && let Some(entry) = stand_in(view, event)
        {
            let shown = match alias {
                Some(alias) => name::fold(&alias.name)?,
                None => relation.name().to_owned(),
            };
            let hides = (shown != relation.name()).then(|| relation.name().to_owned());
            self.note_fired(&entry.def);
            let rows = self.rows_of_stand_in(view, &entry, (shown, hides), name_at)?;
            return Ok(Changed {
                table: entry,
                rows,
                through: None,
            });
        }
        let entry = match &view {
            Some(view) => self.base_of(view, action, name_at)?,
            None => self.table(&relation, name_at)?,
        };
        refuse_change(&entry.def, name_at)?;
        self.note_changed(&entry);
        let shown = match alias {
            Some(alias) => name::fold(&alias.name)?,
            None => relation.name().to_owned(),
        };
        let scan = self.scan(&entry, true);
        debug_assert!(
            scan.numbers().eq(0..=entry.def.columns.len()),
            "the changed table's columns are numbered first"
        );
        let hides = (shown != relation.name()).then(|| relation.name().to_owned());
        let Some(view) = view else {
            let scope = table_scope(&scan, shown, hides);
            let rows = Source::new(Logical::Scan(scan), scope);
            return Ok(Changed {
                table: entry,
                rows,
                through: None,
            });
        };
        let mut through = self.through(&view, action, name_at)?;
        let scope = through.scope(self, &entry.def, &shown, hides);
        let conditions = through.conditions.iter().cloned();
        let rows = Source::new(conditions.fold(Logical::Scan(scan), filter), scope);
        Ok(Changed {
            table: entry,
            rows,
            through: Some(Box::new(through)),
        })
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

    fn wanted(&mut self, changed: &Changed, condition: Option<&'a ast::Expr>) -> Result<Logical> {
        let plan = changed.rows.plan.clone();
        let Some(condition) = condition else {
            return Ok(plan);
        };
        let mut cx = Context::new(&changed.rows.scope, Clause::Where);
        let predicate = self.condition_of(condition, "WHERE", &mut cx)?;
        Ok(filter(plan, changed.put_in(predicate)))
    }

    /// RETURNING
    fn shown(
        &mut self,
        items: Option<&'a Vec<ast::SelectItem>>,
        changed: &Changed,
    ) -> Result<Option<Returning>> {
        let mut returning = self.returning(items, &changed.rows.scope)?;
        for expr in returning.iter_mut().flat_map(|shown| &mut shown.exprs) {
            *expr = changed.put_in(expr.clone());
        }
        Ok(returning)
    }
}

fn refuse_first(clauses: &[(bool, &str)], at: Option<Position>) -> Result<()> {
    match clauses.iter().find(|(there, _)| *there) {
        Some((_, what)) => refuse(what, at),
        None => Ok(()),
    }
}
