//! Recovery's side of the core: single-threaded, before the first transaction.
//!
//! Rows are put in their places by id, and changed there ([`super::RowReplay`]); the clock stands at its end
//! meanwhile, so that every restored state is in the snapshot of the restoring calls. Indexes stay empty
//! until the end, and are then filled from the rows that live (`reindex`).

use super::Core;
use crate::catalog::{
    Catalog, CatalogChange, ForeignKeyDef, IndexEntry, SequenceEntry, SequencePosition, TableEntry,
};
use crate::error::{Error, Result};
use crate::ids::{ColumnId, IndexId, RowId, SequenceId, TableId, Timestamp};
use crate::mvcc::{Garbage, Registration};
use crate::value::Value;
use std::sync::Arc;

impl Core {
    /// A registration that sees all that is restored; each thread has its own.
    ///
    /// # Errors
    /// `TooManyTransactions`.
    pub fn restoring(&self) -> Result<Registration> {
        // Above every timestamp to be restored.
        self.timeline.start_at(Timestamp::END);
        self.timeline.register()
    }

    /// Applies one step of DDL; ids in definitions are taken as they are. New indexes stay empty
    /// until [`Self::finish_recovery`].
    pub fn restore_catalog(&self, change: &CatalogChange) -> Result<()> {
        let mut catalog = Catalog::clone(&self.catalog.load());
        let undefined = |name: String| Error::UndefinedRelation(name);
        match change {
            CatalogChange::CreateTable(def) => {
                let next = TableId(def.id.0.saturating_add(1));
                self.restore_next_ids(next, IndexId(0));
                let entry = TableEntry::new(def.clone(), &self.pool);
                catalog.set_table(def.id, Some(Arc::new(entry)))?;
            }
            CatalogChange::DropTable(id) => catalog.set_table(*id, None)?,
            CatalogChange::CreateIndex(def) => {
                let next = IndexId(def.id.0.saturating_add(1));
                self.restore_next_ids(TableId(0), next);
                let table = catalog.table_by_id(def.table);
                let table = table.ok_or_else(|| undefined(def.table.to_string()))?;
                let mut indexes = table.indexes.clone();
                let index = IndexEntry::new(def.clone(), &self.pool)?;
                indexes.push(Arc::new(index));
                let changed = table.with_indexes(indexes);
                catalog.set_table(def.table, Some(Arc::new(changed)))?;
            }
            CatalogChange::DropIndex(id) => {
                let found = catalog.index_by_id(*id);
                let (table, _) = found.ok_or_else(|| undefined(id.to_string()))?;
                let kept = table.indexes.iter().filter(|index| index.def.id != *id);
                let changed = table.with_indexes(kept.cloned().collect());
                catalog.set_table(changed.def.id, Some(Arc::new(changed)))?;
            }
            CatalogChange::AddForeignKey(id, key) => {
                let keys = |keys: &mut Vec<_>| keys.push(key.clone());
                catalog.change_foreign_keys(*id, keys)?;
            }
            CatalogChange::DropForeignKey(id, name) => {
                let keys = |keys: &mut Vec<ForeignKeyDef>| keys.retain(|key| key.name != *name);
                catalog.change_foreign_keys(*id, keys)?;
            }
            CatalogChange::CreateSequence(def) => {
                self.restore_next_sequence(SequenceId(def.id.0.saturating_add(1)));
                let entry = SequenceEntry::new(def.clone());
                entry.counter.share();
                catalog.set_sequence(def.id, Some(Arc::new(entry)))?;
            }
            CatalogChange::AlterSequence(def) => {
                let found = catalog.sequence_by_id(def.id);
                let found = found.ok_or_else(|| undefined(def.id.to_string()))?;
                let altered = found.with_def(def.clone());
                catalog.set_sequence(def.id, Some(Arc::new(altered)))?;
            }
            CatalogChange::DropSequence(id) => catalog.set_sequence(*id, None)?,
            CatalogChange::SetDefault(id, column, default) => {
                let found = catalog.table_by_id(*id);
                let found = found.ok_or_else(|| undefined(id.to_string()))?;
                let def = found.def.clone().with_default(*column, default.clone());
                catalog.set_table(*id, Some(Arc::new(found.with_def(def))))?;
            }
            CatalogChange::AlterTable(def) => {
                let table = catalog.table_by_id(def.id);
                let table = table.ok_or_else(|| undefined(def.id.to_string()))?;
                let changed = table.with_def(def.clone());
                catalog.set_table(def.id, Some(Arc::new(changed)))?;
            }
            CatalogChange::RewriteTable(def) => {
                let table = catalog.table_by_id(def.id);
                let table = table.ok_or_else(|| undefined(def.id.to_string()))?;
                let entry = table.rewritten(def.clone(), &self.pool);
                catalog.set_table(def.id, Some(Arc::new(entry)))?;
            }
            CatalogChange::EmptyTable(id) => {
                let table = catalog.table_by_id(*id);
                let table = table.ok_or_else(|| undefined(id.to_string()))?;
                let entry = table.emptied(&self.pool)?;
                catalog.set_table(*id, Some(Arc::new(entry)))?;
            }
            CatalogChange::RenameIndex(id, name) => {
                let found = catalog.index_by_id(*id);
                let (table, _) = found.ok_or_else(|| undefined(id.to_string()))?;
                let changed = table.with_index_renamed(*id, name);
                catalog.set_table(changed.def.id, Some(Arc::new(changed)))?;
            }
            CatalogChange::SetView(def) => {
                let next = TableId(def.id.0.saturating_add(1));
                self.restore_next_ids(next, IndexId(0));
                catalog.set_view(def.id, Some(Arc::new(def.clone())))?;
            }
            CatalogChange::DropView(id) => catalog.set_view(*id, None)?,
            CatalogChange::SetFunction(def) => {
                let next = TableId(def.id.0.saturating_add(1));
                self.restore_next_ids(next, IndexId(0));
                catalog.set_function(def.id, Some(Arc::new(def.clone())))?;
            }
            CatalogChange::DropFunction(id) => catalog.set_function(*id, None)?,
            CatalogChange::SetType(def) => {
                let next = TableId(def.id.0.saturating_add(1));
                self.restore_next_ids(next, IndexId(0));
                catalog.set_type(def.id, Some(Arc::new(def.clone())))?;
            }
            CatalogChange::DropType(id) => catalog.set_type(*id, None)?,
            CatalogChange::SetSchema(def) => {
                self.restore_next_schema(def.id);
                catalog.set_schema(def.id, Some(Arc::new(def.clone())))?;
            }
            CatalogChange::DropSchema(id) => catalog.set_schema(*id, None)?,
            CatalogChange::SetComment(on, text) => {
                catalog.set_comment(*on, text.as_deref().map(Arc::from));
            }
        }
        self.catalog.replace(Arc::new(catalog));
        Ok(())
    }

    /// Puts a sequence where it goes on.
    ///
    /// # Errors
    /// `UndefinedRelation` if there is no such sequence.
    pub fn restore_sequence(&self, id: SequenceId, position: SequencePosition) -> Result<()> {
        let catalog = self.catalog.load();
        let found = catalog.sequence_by_id(id);
        let found = found.ok_or_else(|| Error::UndefinedRelation(id.to_string()))?;
        found.counter.restore(position);
        Ok(())
    }

    pub(super) fn restore_table(&self, id: TableId) -> Result<Arc<TableEntry>> {
        let catalog = self.catalog.load();
        let table = catalog.table_by_id(id);
        table
            .cloned()
            .ok_or_else(|| Error::UndefinedRelation(id.to_string()))
    }

    /// Puts a row in its place.
    pub fn restore_insert(
        &self,
        table: TableId,
        row: RowId,
        values: &[(ColumnId, Value)],
        begin: Timestamp,
    ) -> Result<()> {
        let table = self.restore_table(table)?;
        let registration = self.restoring()?;
        let proof = registration.enter();
        let values = values.iter().map(|(column, v)| (*column, v.as_ref()));
        table.rows.restore_insert(row, values, begin, &proof)
    }

    /// Frees what was unlinked while blocks were restored.
    pub fn retire_restored(&self, garbage: Vec<Garbage>) {
        let mut collector = self.collector();
        garbage
            .into_iter()
            .for_each(|garbage| collector.retire(garbage));
        collector.free();
    }

    /// No row of the table is given an id below `next` any more (see
    /// [`crate::table::Table::next_row`]).
    pub fn restore_next_row(&self, table: TableId, next: RowId) -> Result<()> {
        let table = self.restore_table(table)?;
        let registration = self.restoring()?;
        let proof = registration.enter();
        table.rows.restore_next_row(next, &proof)
    }
}
