//! What tables lose when something goes that they depend on: columns, and defaults, conditions, keys and triggers
//! whose texts name it.

use super::Binder;
use super::dependents::{Dependents, views_using};
use crate::error::Result;
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use remora_storage::catalog::{ColumnDef, ColumnDefault, TableDef, TableEntry};
use remora_storage::{ColumnId, TableId};
use sqlparser::ast;
use std::sync::Arc;

/// What a table loses.
pub(super) struct Loss {
    pub(super) entry: Arc<TableEntry>,
    /// The table without it, but for columns.
    pub(super) def: TableDef,
    pub(super) columns: Vec<String>,
}

impl Dependents {
    /// The table as it will be, of those that lose something.
    fn loss(&mut self, entry: &Arc<TableEntry>) -> &mut Loss {
        let mut known = self.losses.iter();
        let known = known.position(|loss| loss.entry.def.id == entry.def.id);
        let at = known.unwrap_or_else(|| {
            self.losses.push(Loss {
                entry: Arc::clone(entry),
                def: entry.def.clone(),
                columns: Vec::new(),
            });
            self.losses.len() - 1
        });
        &mut self.losses[at]
    }

    /// Whether a column goes.
    pub(super) fn loses(&self, table: TableId, column: &str) -> bool {
        let mut losses = self.losses.iter();
        let loss = losses.find(|loss| loss.entry.def.id == table);
        loss.is_some_and(|loss| loss.columns.iter().any(|name| name == column))
    }

    pub(super) fn lose_default(&mut self, table: &Arc<TableEntry>, id: ColumnId, line: String) {
        let def = &mut self.loss(table).def;
        *def = std::mem::replace(def, TableDef::new("", Vec::new()))
            .with_default(id, ColumnDefault::default());
        self.lines.push(line);
    }

    /// The indexes over a hidden column go, which is computed no more.
    pub(super) fn lose_keys(&mut self, table: &Arc<TableEntry>, id: ColumnId, on: &str) {
        self.add_indexes(table, id, on);
        let def = &mut self.loss(table).def;
        if let Some(position) = def.position(id) {
            def.columns[position].generated = None;
        }
    }

    pub(super) fn lose_check(&mut self, table: &Arc<TableEntry>, check: &str, line: String) {
        let checks = &mut self.loss(table).def.checks;
        checks.retain(|found| found.name != check);
        self.lines.push(line);
    }

    pub(super) fn lose_trigger(&mut self, table: &Arc<TableEntry>, trigger: &str, line: String) {
        let triggers = &mut self.loss(table).def.triggers;
        triggers.retain(|found| found.name != trigger);
        self.lines.push(line);
    }
}

impl Binder<'_> {
    /// Adds a column of a table, and the views that show it.
    pub(super) fn lose_column(
        &self,
        found: &mut Dependents,
        table: &Arc<TableEntry>,
        column: &ColumnDef,
        on: &str,
    ) {
        let columns = &mut found.loss(table).columns;
        if columns.contains(&column.name) {
            return;
        }
        columns.push(column.name.clone());
        let table_name = self.shown_name((table.def.schema, table.def.name.as_str()));
        let what = format!("column {} of table {table_name}", column.name);
        found.lines.push(format!("{what} depends on {on}"));
        for view in views_using(self, table.def.id, column.id) {
            if !found.has_view(view.0) {
                found.add_view(view, &what);
            }
        }
    }

    /// How all that was found goes, columns with what is in them at last.
    ///
    /// # Errors
    /// 2BP01 where there is something and `cascade` is not said.
    pub(super) fn depart(
        &mut self,
        mut found: Dependents,
        cascade: bool,
        what: &str,
    ) -> Result<Vec<LogicalStatement>> {
        let losses = std::mem::take(&mut found.losses);
        let (rewritten, defined): (Vec<_>, Vec<_>) = losses
            .into_iter()
            .partition(|loss| !loss.columns.is_empty());
        found.losses = defined;
        let mut first = found.settle(self.catalog, cascade, what)?;
        let mut altered = Vec::with_capacity(rewritten.len());
        for loss in rewritten {
            let mut table = self.altered_entry(loss.entry);
            let columns = loss.def.columns.iter();
            let dead = columns.filter(|column| column.is_hidden() && column.generated.is_none());
            let dead: Vec<ColumnId> = dead.map(|column| column.id).collect();
            table.draft.table = loss.def;
            table.drop_keys(&dead);
            for name in loss.columns {
                let ident = ast::Ident::with_quote('"', name);
                self.drop_column(&mut table, &ident, true, true)?;
            }
            // What goes first goes once.
            for step in std::mem::take(&mut table.before) {
                if !first.contains(&step) {
                    first.push(step);
                }
            }
            altered.push(self.finish_alter(table)?);
        }
        let mut all = vec![LogicalStatement::Done(Statement::Structure(first))];
        all.append(&mut altered);
        Ok(all)
    }
}
