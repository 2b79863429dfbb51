//! Changing the structure: on the transaction's own copy of the catalog, until it commits.

use super::Transaction;
use crate::catalog::{Catalog, CatalogChange, IndexDef, IndexEntry, TableDef, TableEntry};
use crate::error::{Error, Result};
use crate::ids::{IndexId, RowId, TableId};
use crate::limits::COLUMNS_MAX;
use crate::maintenance::{Write, WriteKind};
use std::sync::Arc;

/// One step of DDL, with the way back.
#[derive(Debug)]
pub(super) struct DdlStep {
    change: CatalogChange,
    table: TableId,
    before: Arc<Catalog>,
}

impl DdlStep {
    pub(super) fn change(&self) -> &CatalogChange {
        &self.change
    }

    pub(super) fn table(&self) -> TableId {
        self.table
    }
}

impl Transaction {
    /// Creates a table; `def.id` is ignored and given anew, column ids are taken as they are.
    pub fn create_table(&mut self, mut def: TableDef) -> Result<TableId> {
        if def.columns.len() > COLUMNS_MAX {
            return Err(Error::LimitExceeded {
                what: "number of columns",
                found: def.columns.len() as u64,
                limit: COLUMNS_MAX as u64,
            });
        }
        if self.catalog().has_name(&def.name) {
            return Err(Error::DuplicateRelation(def.name));
        }
        def.id = self.core.next_table()?;
        let id = def.id;
        let change = CatalogChange::CreateTable(def.clone());
        let entry = Arc::new(TableEntry::new(def, &self.core.pool));
        self.change(&entry, Some(Arc::clone(&entry)), change)?;
        Ok(id)
    }

    /// Drops a table with its indexes. Fails with `SchemaConflict` while others write to it.
    pub fn drop_table(&mut self, id: TableId) -> Result<()> {
        let entry = self.catalog().table_by_id(id).cloned();
        let entry = entry.ok_or_else(|| Error::UndefinedRelation(id.to_string()))?;
        self.shut(&entry)?;
        self.change(&entry, None, CatalogChange::DropTable(id))
    }

    /// Creates an index and fills it; `def.id` is ignored and given anew.
    ///
    /// From here to the end of the transaction nobody else writes to the table: who tries gets
    /// `SchemaConflict`. Fails likewise while others are writing, and where the table was changed
    /// since the snapshot, because an index has no entries for what was before it.
    pub fn create_index(&mut self, mut def: IndexDef) -> Result<IndexId> {
        let entry = self.catalog().table_by_id(def.table).cloned();
        let entry = entry.ok_or_else(|| Error::UndefinedRelation(def.table.to_string()))?;
        if self.catalog().has_name(&def.name) {
            return Err(Error::DuplicateRelation(def.name));
        }
        self.shut(&entry)?;
        def.id = self.core.next_index()?;
        let id = def.id;
        let change = CatalogChange::CreateIndex(def.clone());
        let index = Arc::new(IndexEntry::new(def, &self.core.pool)?);
        self.fill(&entry, &index)?;
        let mut indexes = entry.indexes.clone();
        indexes.push(index);
        let changed = Arc::new(entry.with_indexes(indexes));
        self.change(&changed, Some(Arc::clone(&changed)), change)?;
        Ok(id)
    }

    /// Drops an index.
    pub fn drop_index(&mut self, id: IndexId) -> Result<()> {
        let found = self.catalog().index_by_id(id);
        let found = found.map(|(table, _)| Arc::clone(table));
        let entry = found.ok_or_else(|| Error::UndefinedRelation(id.to_string()))?;
        self.shut(&entry)?;
        let kept = entry.indexes.iter().filter(|index| index.def.id != id);
        let changed = Arc::new(entry.with_indexes(kept.cloned().collect()));
        let change = CatalogChange::DropIndex(id);
        self.change(&changed, Some(Arc::clone(&changed)), change)
    }

    /// Keeps writers away from the table until this transaction ends.
    fn shut(&mut self, entry: &Arc<TableEntry>) -> Result<()> {
        let conflict = || Error::SchemaConflict {
            table: entry.def.name.clone(),
        };
        let table = match self.set.find(entry) {
            Some(table) => table,
            None => self.set.touch(entry),
        };
        let has_passed = self.set.touched()[table as usize].rows;
        if !entry.rows.gate().shut(self.id(), has_passed) {
            return Err(conflict());
        }
        if entry.rows.last_commit() > self.registration.snapshot() {
            return Err(conflict());
        }
        Ok(())
    }

    /// Sets what the table of `touched` is, as one undoable step.
    fn change(
        &mut self,
        touched: &Arc<TableEntry>,
        becomes: Option<Arc<TableEntry>>,
        change: CatalogChange,
    ) -> Result<()> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        self.set.reserve(self.core.ledger(), false)?;
        let id = touched.def.id;
        let mut catalog = Catalog::clone(self.catalog());
        catalog.set_table(id, becomes)?;
        let before = Arc::clone(self.catalog());
        self.own = Some(Arc::new(catalog));
        let table = match self.set.find(touched) {
            Some(number) => number,
            None => self.set.touch(touched),
        };
        let step = self.ddl.len() as u32;
        self.ddl.push(DdlStep {
            change,
            table: id,
            before,
        });
        self.set.push(Write {
            row: RowId::default(),
            table,
            kind: WriteKind::Ddl(step),
        });
        Ok(())
    }

    pub(super) fn undo_ddl(&mut self, step: u32) {
        debug_assert_eq!(step as usize + 1, self.ddl.len(), "undone in reverse order");
        if let Some(step) = self.ddl.pop() {
            self.own = Some(step.before);
        }
    }

    /// Adds the entries of all live rows. No rival has changes here, so the latest state of each
    /// row is this transaction's or in its snapshot.
    fn fill(&self, table: &TableEntry, index: &IndexEntry) -> Result<()> {
        let mut batch = table.gather_keys(index, &self.registration, self.core.ledger())?;
        batch.sort();
        if index.def.unique
            && let Some(row) = batch.repeated()
        {
            let operation = self.registration.enter();
            let viewpoint = operation.viewpoint(u64::MAX);
            let row = table.rows.visible(row, &viewpoint);
            let key = row.map(|row| table.describe_key(index, &row));
            let key = key.expect("the row was just read");
            return Err(Error::DuplicateKeys {
                index: index.def.name.clone(),
                detail: format!("Key {key} is duplicated."),
            });
        }
        index.index.fill(batch)
    }
}
