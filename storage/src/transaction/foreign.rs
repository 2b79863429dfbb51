//! Foreign keys: how they come and go, and what keeps them true while others change rows.
//!
//! A foreign key changes the structure of both tables: who makes one claims both, and who has written to
//! either since loses at its commit ([`crate::catalog::same_rows`]). That rows keep to it is the engine's
//! affair. It looks at what the transaction sees, and says what it relies on; that is validated at commit
//! at *every* level of isolation:
//!
//! ```text
//!   who writes a row that refers    relies on the row that has the key, as to the columns of the key
//!   who takes a key away            relies on there being no rows but its own that refer to it
//! ```
//!
//! Let a transaction A add a row that refers to key k, and B take k away, each without seeing the other.
//! Commits are one after the other, and the last part of a validation happens inside the commit section.
//! If B commits first, A finds the row that it relies on changed; if A does, B finds a row with k among
//! those that refer. So the second fails, whichever that is. Those who refer to one row rely on it alike,
//! and change nothing of it: they do not meet. Nor do they meet who changes other columns of it, because
//! those are not compared.
//!
//! What was committed after the snapshot is not seen: a key that has come since is missing (the statement
//! fails), and one that has gone since is found when the transaction commits.

use super::Transaction;
use super::reads::{Columns, KeyRange, Read, RowScan, RowTest, What};
use super::record::key_columns;
use crate::block::RowRef;
use crate::catalog::{CatalogChange, ForeignKeyDef, IndexEntry, Reference, TableEntry};
use crate::error::Result;
use crate::ids::{RowId, TableId};
use crate::index::{Key, prefix_end};
use crate::value::ValueRef;
use std::ops::Bound;
use std::sync::Arc;

impl Transaction {
    /// Adds a foreign key to a table; whether its rows keep to it is the caller's affair.
    ///
    /// # Errors
    /// `SchemaConflict` where the structure of one of the tables was changed since the snapshot, or is
    /// being changed by another transaction.
    ///
    /// # Panics
    /// Where the definition names what is not there.
    pub fn add_foreign_key(&mut self, table: TableId, key: ForeignKeyDef) -> Result<()> {
        let child = self.entry_of(table)?;
        assert!(
            self.catalog().is_fit(&child, &key),
            "a foreign key names columns and a unique index that there are"
        );
        self.restructure(key.parent)?;
        let change = CatalogChange::AddForeignKey(table, key.clone());
        self.change_foreign_keys(table, change, |keys| keys.push(key))
    }

    /// Drops the foreign key of that name.
    ///
    /// # Errors
    /// As [`Self::add_foreign_key`]; `UndefinedRelation` where there is none.
    pub fn drop_foreign_key(&mut self, table: TableId, name: &str) -> Result<()> {
        let child = self.entry_of(table)?;
        let mut keys = child.def.foreign_keys.iter();
        let key = keys.find(|key| key.name == name);
        let key = key.ok_or_else(|| crate::Error::UndefinedRelation(name.to_owned()))?;
        self.restructure(key.parent)?;
        let change = CatalogChange::DropForeignKey(table, name.to_owned());
        self.change_foreign_keys(table, change, |keys| keys.retain(|key| key.name != name))
    }

    /// Drops those foreign keys that refer to a table by something that goes.
    pub(super) fn drop_references(
        &mut self,
        table: TableId,
        goes: impl Fn(&Reference) -> bool,
    ) -> Result<()> {
        let entry = self.entry_of(table)?;
        let gone = entry.references.iter().filter(|reference| goes(reference));
        for reference in gone {
            self.drop_foreign_key(reference.child, &reference.key.name)?;
        }
        Ok(())
    }

    /// Claims a table whose entry another's foreign key is about to change.
    fn restructure(&mut self, table: TableId) -> Result<()> {
        let entry = self.entry_of(table)?;
        self.with_claim(&entry, |tx| {
            tx.change(&entry, Some(Arc::clone(&entry)), None)
        })
    }

    fn change_foreign_keys(
        &mut self,
        table: TableId,
        change: CatalogChange,
        edit: impl FnOnce(&mut Vec<ForeignKeyDef>),
    ) -> Result<()> {
        let entry = self.entry_of(table)?;
        let mut def = entry.def.clone();
        edit(&mut def.foreign_keys);
        let changed = Arc::new(entry.with_def(def));
        self.with_claim(&entry, |tx| {
            tx.change(&changed, Some(Arc::clone(&changed)), Some(change))
        })
    }

    /// The row with the key of a unique index, if there is one; relies on it as [`Self::share`] does, as to the columns of
    /// the key.
    pub fn share_found(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
    ) -> Option<RowId> {
        let found = self.find(table, index, key, Columns::NONE, |row, _| row);
        if let Some(row) = found
            && !self.records()
        {
            self.share(table, row, key_columns(index));
        }
        found
    }

    /// Calls `read` with a row that it sees, and that it has locked or is about to change: nothing is
    /// recorded.
    pub fn row_to_change<T>(
        &self,
        table: &TableEntry,
        row: RowId,
        read: impl FnOnce(&RowRef<'_>) -> T,
    ) -> Option<T> {
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        let row = table.rows.visible(row, &viewpoint)?;
        Some(read(&row))
    }

    /// Relies on which rows have keys that begin with these values, as [`Self::share_key`] does.
    pub fn share_prefix(&self, table: &TableEntry, index: &IndexEntry, prefix: &[ValueRef<'_>]) {
        if prefix.len() == index.def.columns.len() {
            return self.share_key(table, index, prefix);
        }
        let mut low = Key::new();
        index.encode(&mut low, prefix);
        let high = prefix_end(&low);
        let range = KeyRange {
            index: index.def.id,
            high: high.map_or(Bound::Unbounded, |end| Bound::Excluded(Box::from(&*end))),
            low: Bound::Included(Box::from(&*low)),
            test: None,
        };
        self.record(Read {
            table: table.def.id,
            columns: Columns::NONE,
            what: What::Range(Box::new(range)),
        });
    }

    /// Relies on these columns of the rows that may pass a test, or of all rows, as [`Self::share`] does.
    pub fn share_scan(&self, table: &TableEntry, columns: Columns, test: Option<Arc<dyn RowTest>>) {
        let scan = RowScan {
            end: RowId(u64::MAX),
            bounds: Box::default(),
            test,
        };
        self.record(Read {
            table: table.def.id,
            columns,
            what: What::Scan(Box::new(scan)),
        });
    }
}
