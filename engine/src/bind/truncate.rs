//! TRUNCATE: all rows of some tables at once.

use super::{Binder, name};
use crate::error::{Error, Result, state};
use crate::parse::refuse;
use crate::plan::logical::LogicalStatement;
use remora_storage::catalog::TableEntry;
use sqlparser::ast;
use std::sync::Arc;

impl<'a> Binder<'a> {
    /// Binds a TRUNCATE. Unless it cascades, no other table may refer to one of those that it names.
    pub(super) fn truncate(&mut self, truncate: &'a ast::Truncate) -> Result<LogicalStatement> {
        let odd =
            truncate.partitions.is_some() || truncate.on_cluster.is_some() || truncate.if_exists;
        if odd {
            return refuse("this form of TRUNCATE", None);
        }
        let mut tables: Vec<Arc<TableEntry>> = Vec::new();
        for target in &truncate.table_names {
            let at = name::object_place(&target.name);
            let table = self.table(&self.relation_there(&target.name)?, at)?;
            if table.def.materialized.is_some() {
                let message = format!("\"{}\" is not a table", table.def.name);
                return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
            }
            add(&mut tables, table);
        }
        self.with_children(
            &mut tables,
            truncate.cascade == Some(ast::CascadeOption::Cascade),
        )?;
        tables.iter().for_each(|table| self.note_fired(&table.def));
        let restarts = truncate.identity == Some(ast::TruncateIdentityOption::Restart);
        let sequences = tables.iter().filter(|_| restarts);
        let sequences = sequences.flat_map(|table| self.catalog.sequences_of(table.def.id));
        let sequences = sequences.map(|sequence| sequence.def.id).collect();
        Ok(LogicalStatement::Truncate(tables, sequences))
    }

    /// Adds the tables that refer to these, or refuses them.
    fn with_children(&self, tables: &mut Vec<Arc<TableEntry>>, cascade: bool) -> Result<()> {
        let mut at = 0;
        while let Some(table) = tables.get(at).cloned() {
            at += 1;
            for reference in &table.references {
                let Some(child) = self.catalog.table_by_id(reference.child) else {
                    continue;
                };
                if !cascade && tables.iter().all(|other| other.def.id != child.def.id) {
                    return Err(referred(&table, child));
                }
                add(tables, Arc::clone(child));
            }
        }
        Ok(())
    }
}

fn add(tables: &mut Vec<Arc<TableEntry>>, table: Arc<TableEntry>) {
    if tables.iter().all(|other| other.def.id != table.def.id) {
        tables.push(table);
    }
}

fn referred(table: &TableEntry, child: &TableEntry) -> Error {
    let (table, child) = (&table.def.name, &child.def.name);
    sql_error!(
        FEATURE_NOT_SUPPORTED,
        "cannot truncate a table referenced in a foreign key constraint"
    )
    .with_detail(format!("Table \"{child}\" references \"{table}\"."))
    .with_hint(format!(
        "Truncate table \"{child}\" at the same time, or use TRUNCATE ... CASCADE."
    ))
}
