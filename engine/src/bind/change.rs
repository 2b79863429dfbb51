//! UPDATE, DELETE and TRUNCATE: which rows, and what becomes of them.
//!
//! The table's scan is the first thing bound, so the numbers of its columns are their positions in
//! the table, and what is assigned is bound over positions already.

use super::check::{column_position, is_default};
use super::from::table_scope;
use super::scope::Scope;
use super::select::filter;
use super::sequence::refuse_update;
use super::{Binder, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{place, refuse};
use crate::plan::Expr;
use crate::plan::logical::{Logical, LogicalStatement};
use crate::plan::statement::{Delete, Statement, Target, Update};
use remora_storage::catalog::TableEntry;
use sqlparser::ast::{self, AssignmentTarget, TableFactor};
use std::collections::BTreeSet;
use std::sync::Arc;

impl<'a> Binder<'a> {
    /// Binds an UPDATE.
    pub(super) fn update(&mut self, update: &'a ast::Update) -> Result<LogicalStatement> {
        let at = place(update.update_token.0.span);
        let clauses = [
            (update.from.is_some(), "UPDATE .. FROM"),
            (
                update.returning.is_some() || update.output.is_some(),
                "RETURNING",
            ),
            (
                update.or.is_some() || !update.order_by.is_empty() || update.limit.is_some(),
                "this form of UPDATE",
            ),
        ];
        refuse_first(&clauses, at)?;
        let (table, mut plan, scope) = self.changed_table(&update.table, "update", at)?;
        let mut cx = Context::new(&scope, Clause::Update);
        let mut assignments: Vec<(usize, Expr)> = Vec::new();
        for assignment in &update.assignments {
            for (position, value) in pairs(&table, assignment)? {
                let column = &table.def.columns[position];
                if assignments.iter().any(|(other, _)| *other == position) {
                    let message =
                        format!("multiple assignments to same column \"{}\"", column.name);
                    return Err(
                        Error::new(state::SYNTAX_ERROR, message).at(super::expr::start(value))
                    );
                }
                if !is_default(value) {
                    refuse_update(column)?;
                }
                let value = self.column_value(value, column, &mut cx)?;
                assignments.push((position, value));
            }
        }
        plan = self.wanted(plan, update.selection.as_ref(), &scope)?;
        let assigned: BTreeSet<usize> = assignments.iter().map(|(p, _)| *p).collect();
        let update = Update {
            checks: self.checks(&table.def, Some(&assigned))?,
            assignments: assignments
                .into_iter()
                .map(|(position, value)| (table.def.columns[position].id, value))
                .collect(),
            table,
            target: Target::nothing(),
        };
        Ok(LogicalStatement::Change(Statement::Update(update), plan))
    }

    /// Binds a DELETE.
    pub(super) fn delete(&mut self, delete: &'a ast::Delete) -> Result<LogicalStatement> {
        let at = place(delete.delete_token.0.span);
        let clauses = [
            (delete.using.is_some(), "DELETE .. USING"),
            (
                delete.returning.is_some() || delete.output.is_some(),
                "RETURNING",
            ),
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
        let (table, plan, scope) = self.changed_table(table, "delete from", at)?;
        let plan = self.wanted(plan, delete.selection.as_ref(), &scope)?;
        let delete = Delete {
            table,
            target: Target::nothing(),
        };
        Ok(LogicalStatement::Change(Statement::Delete(delete), plan))
    }

    /// TRUNCATE is a DELETE of all rows.
    pub(super) fn truncate(&mut self, truncate: &'a ast::Truncate) -> Result<LogicalStatement> {
        let [target] = truncate.table_names.as_slice() else {
            return refuse("TRUNCATE of several tables", None);
        };
        let at = name::object_place(&target.name);
        let odd = truncate.partitions.is_some()
            || truncate.identity == Some(ast::TruncateIdentityOption::Restart)
            || truncate.cascade == Some(ast::CascadeOption::Cascade)
            || truncate.on_cluster.is_some()
            || truncate.if_exists;
        if odd {
            return refuse("this form of TRUNCATE", at);
        }
        let table = self.table(&name::relation(&target.name)?, at)?;
        let mut references = table.references.iter();
        if let Some(other) = references.find(|reference| reference.child != table.def.id) {
            let child = self.catalog.table_by_id(other.child);
            let child = child.map_or("", |child| child.def.name.as_str());
            let message = "cannot truncate a table referenced in a foreign key constraint";
            let detail = format!("Table \"{child}\" references \"{}\".", table.def.name);
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_detail(detail)
                .with_hint("DELETE the rows instead.")
                .at(at));
        }
        let plan = Logical::Scan(self.scan(&table, true));
        let delete = Delete {
            table,
            target: Target::nothing(),
        };
        Ok(LogicalStatement::Change(Statement::Delete(delete), plan))
    }

    /// The table that is changed, a scan of it, and what names mean.
    fn changed_table(
        &mut self,
        table: &'a ast::TableWithJoins,
        action: &str,
        at: Option<Position>,
    ) -> Result<(Arc<TableEntry>, Logical, Scope)> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = &table.relation
        else {
            return refuse("changing something other than a table", at);
        };
        if !table.joins.is_empty() {
            return refuse("changing a join", at);
        }
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
        Ok((entry, Logical::Scan(scan), scope))
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

/// The columns of one assignment with their values: `a = 1` or `(a, b) = (1, 2)`.
fn pairs<'a>(
    table: &TableEntry,
    assignment: &'a ast::Assignment,
) -> Result<Vec<(usize, &'a ast::Expr)>> {
    let position = |name: &ast::ObjectName| match name::parts(name)?.as_slice() {
        [ident, ..] => column_position(&table.def, ident),
        [] => refuse("an empty name", None),
    };
    match &assignment.target {
        AssignmentTarget::ColumnName(name) => Ok(vec![(position(name)?, &assignment.value)]),
        AssignmentTarget::Tuple(names) => {
            let values = match &assignment.value {
                ast::Expr::Tuple(values) => values.as_slice(),
                ast::Expr::Nested(value) => std::slice::from_ref(&**value),
                other => return refuse("assigning a subquery", super::expr::start(other)),
            };
            if names.len() != values.len() {
                let message = "number of columns does not match number of values";
                return Err(Error::new(state::SYNTAX_ERROR, message)
                    .at(super::expr::start(&assignment.value)));
            }
            let positions = names.iter().map(position).collect::<Result<Vec<_>>>()?;
            Ok(positions.into_iter().zip(values).collect())
        }
    }
}

fn refuse_first(clauses: &[(bool, &str)], at: Option<Position>) -> Result<()> {
    match clauses.iter().find(|(there, _)| *there) {
        Some((_, what)) => refuse(what, at),
        None => Ok(()),
    }
}
