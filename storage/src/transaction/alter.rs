//! Changing what exists: tables, names of indexes, views, schemas, comments.
//!
//! A table is changed in one of three ways:
//!
//! - What is said about it changes, and its rows stay ([`Transaction::alter_table`]): names, defaults, what is
//!   checked. The new entry has the rows of the old one.
//! - It loses all of its rows at once ([`Transaction::empty_table`]): the new entry has none, and indexes without
//!   entries. That takes next to nothing, and no row is looked at.
//! - Its rows get another layout ([`Transaction::rewrite_table`]): the new entry has the same id, and rows and
//!   indexes of its own, which the caller fills in the same transaction, through the same functions as
//!   everybody. Nothing about an insert, its undoing, its log record or its collection is special.
//!
//! ```text
//!   older snapshots --> entry 7 (columns a, b)    --> rows, indexes      freed with the last of them
//!   from the commit --> entry 7 (columns a, b, c) --> other rows, other indexes
//! ```
//!
//! A rewrite costs the copy of all rows, in memory and in the log, as in PostgreSQL. To add a column to each
//! row where it is would cost every reader a look at which layout a block has; rows without the column would
//! have to be told from rows with it in the log, in images and in frozen blocks.
//!
//! Invariants
//! - Nobody else writes to the table from the change on until the transaction ends: the gate is shut, and all
//!   that was committed is in the snapshot. So no row is missing in the copy, and none breaks a condition that
//!   was tested.
//! - Who wrote to the table with an older catalog cannot commit: his entry is not the latest
//!   ([`crate::catalog::same_rows`]). Who read it cannot either, once it was rewritten: its rows are others.
//! - Row ids are those of one entry's rows. Whoever goes from a write to the catalog of today asks whether
//!   the rows are the same ([`TableEntry::now_in`]).

use super::Transaction;
use super::ddl::columns_fit;
use crate::catalog::{
    CatalogChange, CatalogObject, Commented, SchemaDef, TableDef, TableEntry, ViewDef,
};
use crate::error::{Error, Result};
use crate::ids::{IndexId, SchemaId, TableId};
use std::sync::Arc;

impl Transaction {
    /// Defines a table otherwise, whose columns keep their ids and types. The caller has seen to it that
    /// its rows are as the definition says, or does so before the transaction commits.
    ///
    /// # Errors
    /// `SchemaConflict` while others write to it, or where they have since the snapshot; `DuplicateRelation`.
    pub fn alter_table(&mut self, def: TableDef) -> Result<()> {
        let entry = self.entry_of(def.id)?;
        self.with_shut(&entry, |tx| {
            tx.begin_bounds(&entry, &def);
            let changed = Arc::new(entry.with_def(def.clone()));
            let change = CatalogChange::AlterTable(def);
            tx.change(&changed, Some(Arc::clone(&changed)), Some(change))
        })
    }

    /// Defines a table otherwise and leaves it without rows and indexes. The caller adds them: the rows from a
    /// view made before, the indexes with their ids ([`Self::create_index_as`]).
    ///
    /// # Errors
    /// As [`Self::alter_table`]; `LimitExceeded`.
    pub fn rewrite_table(&mut self, def: TableDef) -> Result<Arc<TableEntry>> {
        columns_fit(&def)?;
        let entry = self.entry_of(def.id)?;
        self.with_shut(&entry, |tx| {
            let rewritten = Arc::new(entry.rewritten(def.clone(), &tx.core.pool));
            let change = CatalogChange::RewriteTable(def);
            tx.change(&entry, Some(Arc::clone(&rewritten)), Some(change))?;
            // The rows that it has already are not refused, however many they are.
            Ok(match rewritten.def.bound {
                None => rewritten,
                Some(_) => Arc::new(rewritten.with_def(TableDef {
                    bound: None,
                    ..rewritten.def.clone()
                })),
            })
        })
    }

    /// Leaves a table without rows, and its indexes without entries. Takes of the emergency reserve what it needs.
    ///
    /// # Errors
    /// As [`Self::alter_table`].
    pub fn empty_table(&mut self, id: TableId) -> Result<()> {
        let entry = self.entry_of(id)?;
        self.with_shut(&entry, |tx| {
            let emptied = Arc::new(entry.emptied(&tx.core.pool)?);
            let change = CatalogChange::EmptyTable(id);
            tx.change(&entry, Some(emptied), Some(change))
        })
    }

    /// Gives an index another name. Others write to the table meanwhile.
    ///
    /// # Errors
    /// `SchemaConflict` where others change its structure; `DuplicateRelation`.
    pub fn rename_index(&mut self, id: IndexId, name: &str) -> Result<()> {
        let found = self.catalog().index_by_id(id);
        let found = found.map(|(table, _)| Arc::clone(table));
        let entry = found.ok_or_else(|| Error::UndefinedRelation(id.to_string()))?;
        self.with_claim(&entry, |tx| {
            let changed = Arc::new(entry.with_index_renamed(id, name));
            let change = CatalogChange::RenameIndex(id, name.to_owned());
            tx.change(&changed, Some(Arc::clone(&changed)), Some(change))
        })
    }

    /// Creates a view; `def.id` is ignored and given anew.
    ///
    /// # Errors
    /// `DuplicateRelation`.
    pub fn create_view(&mut self, mut def: ViewDef) -> Result<TableId> {
        if self.catalog().has_name(def.place()) {
            return Err(Error::DuplicateRelation(def.name));
        }
        def.id = self.core.next_table()?;
        let id = def.id;
        self.set_view(def).map(|()| id)
    }

    /// Defines a view otherwise.
    ///
    /// # Errors
    /// `UndefinedRelation`, `DuplicateRelation`. That others changed it is found when the transaction commits.
    pub fn alter_view(&mut self, def: ViewDef) -> Result<()> {
        self.view_to_change(def.id)?;
        self.set_view(def)
    }

    /// Drops a view.
    ///
    /// # Errors
    /// `UndefinedRelation`.
    pub fn drop_view(&mut self, id: TableId) -> Result<()> {
        self.view_to_change(id)?;
        let change = CatalogChange::DropView(id);
        self.step(CatalogObject::View(id), None, Some(change), |catalog| {
            catalog.set_view(id, None)
        })
    }

    /// Creates a schema.
    ///
    /// # Errors
    /// `DuplicateRelation`, `LimitExceeded`.
    pub fn create_schema(&mut self, name: String) -> Result<SchemaId> {
        let id = self.core.next_schema()?;
        self.set_schema(SchemaDef { id, name }).map(|()| id)
    }

    /// Gives a schema another name.
    ///
    /// # Errors
    /// `UndefinedRelation`, `DuplicateRelation`.
    pub fn rename_schema(&mut self, id: SchemaId, name: String) -> Result<()> {
        self.schema_to_change(id)?;
        self.set_schema(SchemaDef { id, name })
    }

    /// Drops a schema in which nothing is left.
    ///
    /// # Errors
    /// `UndefinedRelation`. What others have put into it is found when the transaction commits.
    pub fn drop_schema(&mut self, id: SchemaId) -> Result<()> {
        self.schema_to_change(id)?;
        let change = CatalogChange::DropSchema(id);
        self.step(CatalogObject::Schema(id), None, Some(change), |catalog| {
            catalog.set_schema(id, None)
        })
    }

    /// Sets what is said of something.
    ///
    /// # Errors
    /// `UndefinedRelation`. That others did it too is found when the transaction commits.
    pub fn set_comment(&mut self, on: Commented, text: Option<String>) -> Result<()> {
        if self.catalog().schema_of(on).is_none() {
            return Err(Error::UndefinedRelation(format!("{on:?}")));
        }
        let shared = text.as_deref().map(Arc::from);
        let change = CatalogChange::SetComment(on, text);
        self.step(CatalogObject::Comment(on), None, Some(change), |catalog| {
            catalog.set_comment(on, shared);
            Ok(())
        })
    }

    fn schema_to_change(&self, id: SchemaId) -> Result<()> {
        let found = self.catalog().schema_by_id(id).map(drop);
        found.ok_or_else(|| Error::UndefinedRelation(id.to_string()))
    }

    fn set_schema(&mut self, def: SchemaDef) -> Result<()> {
        let (id, schema) = (def.id, Arc::new(def.clone()));
        let change = CatalogChange::SetSchema(def);
        self.step(CatalogObject::Schema(id), None, Some(change), |catalog| {
            catalog.set_schema(id, Some(schema))
        })
    }

    fn view_to_change(&self, id: TableId) -> Result<()> {
        let found = self.catalog().view_by_id(id).map(drop);
        found.ok_or_else(|| Error::UndefinedRelation(id.to_string()))
    }

    fn set_view(&mut self, def: ViewDef) -> Result<()> {
        let (id, view) = (def.id, Arc::new(def.clone()));
        let change = CatalogChange::SetView(def);
        self.step(CatalogObject::View(id), None, Some(change), |catalog| {
            catalog.set_view(id, Some(view))
        })
    }
}
