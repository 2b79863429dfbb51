//! Temporary tables, sequences and views: a session's own, which go with it.
//!
//! They are ordinary ones in a schema that only their session looks into ([`SearchPath`]), so that transactions,
//! savepoints, memory and compaction treat them as any other. What storage does not do is to write of them: they
//! are in no log and in no checkpoint, and a crash forgets them.
//!
//! ```text
//!   commit     rows of ON COMMIT DELETE ROWS go, and tables of ON COMMIT DROP      (`settle`)
//!   the end    all of the schema goes                                              (`clear`)
//! ```
//!
//! Who runs out of memory at its end leaves them; the next session of the same number clears up before it begins.

use crate::error::Result;
use crate::exec;
use crate::exec::Transaction;
use crate::function::SearchPath;
use crate::plan::Statement;
use crate::session::execute::core::Session;
use crate::session::execute::sequences;
use remora_storage::catalog::{Catalog, CatalogObject, OnCommit};
use remora_storage::{SequenceId, Store, TableId, TransactionOptions};
use std::sync::Arc;

/// Whether a statement may make a table that a commit empties or drops.
pub(in crate::session) fn makes_brief(statement: &Statement) -> bool {
    match statement {
        Statement::CreateTable { table, .. } => table.on_commit != OnCommit::Preserve,
        Statement::CreateTableAs(create) => create.0.on_commit != OnCommit::Preserve,
        _ => false,
    }
}

/// Does what ON COMMIT asks for, as the last thing that a transaction does.
///
/// # Errors
/// 53200
pub(in crate::session) fn settle(tx: &mut Transaction, path: &SearchPath) -> Result<()> {
    let catalog = Arc::clone(tx.catalog());
    let own = path.temporary().into_iter();
    let own = own.flat_map(|schema| catalog.objects_in(schema));
    let own = own.filter_map(|object| match object {
        CatalogObject::Table(id) => catalog.table_by_id(id),
        _ => None,
    });
    tx.begin_command();
    let mut going = Vec::new();
    for entry in own {
        match entry.def.on_commit {
            OnCommit::Preserve => {}
            OnCommit::Delete => exec::empty(entry.def.id, tx)?,
            OnCommit::Drop => going.push(entry.def.id),
        }
    }
    drop_all(tx, &views_over(&going, &catalog), &going)
}

/// The views that show one of these tables, or a view that does.
fn views_over(tables: &[TableId], catalog: &Catalog) -> Vec<TableId> {
    let mut found = tables.to_vec();
    let mut at = 0;
    while let Some(relation) = found.get(at).copied() {
        let more = catalog.views_of(relation).map(|view| view.id);
        let more: Vec<TableId> = more.filter(|view| !found.contains(view)).collect();
        found.extend(more);
        at += 1;
    }
    found.split_off(tables.len())
}

fn drop_all(tx: &mut Transaction, views: &[TableId], tables: &[TableId]) -> Result<()> {
    views.iter().try_for_each(|view| tx.drop_view(*view))?;
    sequences::drop_owned(tx, tables)?;
    Ok(tables.iter().try_for_each(|table| tx.drop_table(*table))?)
}

/// Drops all that a session has of its own.
///
/// # Errors
/// 53200
pub(in crate::session) fn clear(store: &Store, path: &SearchPath) -> Result<()> {
    let Some(schema) = path.temporary() else {
        return Ok(());
    };
    if store.catalog().objects_in(schema).next().is_none() {
        return Ok(());
    }
    let mut tx = Transaction::begin(store, TransactionOptions::default())?;
    tx.begin_command();
    let (mut tables, mut views) = (Vec::new(), Vec::new());
    for object in tx.catalog().objects_in(schema) {
        match object {
            CatalogObject::Table(id) => tables.push(id),
            CatalogObject::View(id) => views.push(id),
            _ => {}
        }
    }
    drop_all(&mut tx, &views, &tables)?;
    // Those that went with a table are gone.
    let left = tx.catalog().objects_in(schema);
    let left = left.filter_map(|object| match object {
        CatalogObject::Sequence(id) => Some(id),
        _ => None,
    });
    let left: Vec<SequenceId> = left.collect();
    sequences::drop(&mut tx, &left, true)?;
    tx.commit()?;
    Ok(())
}

impl Drop for Session {
    fn drop(&mut self) {
        self.block.tx = None;
        if let Some(listener) = self.record.listener() {
            self.sessions.notifications.leave(listener);
        }
        // See the header.
        let _ = clear(&self.store, &self.path);
    }
}
