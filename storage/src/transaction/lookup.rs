//! Rows by key: the entries of an index, each accepted only if the version seen has the key.

use super::{ReadView, RowRef, Transaction};
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::RowId;
use crate::index::Key;
use crate::mvcc::Viewpoint;
use crate::value::ValueRef;
use std::sync::Arc;

impl Transaction {
    /// What [`ReadView::find`] gives in a view of the current command, without making the view.
    pub fn find<T>(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        read: impl FnOnce(RowId, &RowRef<'_>) -> T,
    ) -> Option<T> {
        let viewpoint = self.registration.viewpoint(self.command);
        find(&viewpoint, table, index, key, read)
    }
}

impl ReadView {
    /// Visible rows whose key in `index` is exactly `key` (one value a key column; a NULL in it
    /// finds nothing). Each row once.
    pub fn lookup(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
    ) -> Result<Vec<RowId>> {
        let mut rows = candidates(index, key);
        let viewpoint = self.viewpoint();
        rows.retain(|id| {
            let row = table.rows.visible(*id, &viewpoint);
            row.is_some_and(|row| index.matches(&row, key))
        });
        Ok(rows)
    }

    /// Calls `read` with the visible row whose key in `index`, a unique one, is exactly `key`, if
    /// there is one: what [`Self::lookup`] and [`Self::row`] give, in one look at the row.
    pub fn find<T>(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        read: impl FnOnce(RowId, &RowRef<'_>) -> T,
    ) -> Option<T> {
        find(&self.viewpoint(), table, index, key, read)
    }
}

fn find<T>(
    viewpoint: &Viewpoint<'_>,
    table: &TableEntry,
    index: &IndexEntry,
    key: &[ValueRef<'_>],
    read: impl FnOnce(RowId, &RowRef<'_>) -> T,
) -> Option<T> {
    let (id, row) = candidates(index, key).into_iter().find_map(|id| {
        let row = table.rows.visible(id, viewpoint)?;
        index.matches(&row, key).then_some((id, row))
    })?;
    Some(read(id, &row))
}

/// Rows that have, or had, the key; none for one with a NULL in it.
fn candidates(index: &IndexEntry, key: &[ValueRef<'_>]) -> Vec<RowId> {
    let mut rows = Vec::new();
    if !key.iter().any(|value| value.is_null()) {
        let mut bytes = Key::new();
        index.encode(&mut bytes, key);
        index.index.get(&bytes, &mut rows);
    }
    rows
}
