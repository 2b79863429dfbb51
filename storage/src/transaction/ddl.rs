//! Changing the structure: on the transaction's own copy of the catalog, until it commits.

use super::{TableHold, Transaction};
use crate::catalog::{
    Catalog, CatalogChange, CatalogObject, ColumnDefault, IndexDef, IndexEntry, TableDef,
    TableEntry, same,
};
use crate::error::{Error, Result};
use crate::ids::{ColumnId, IndexId, RowId, TableId, Timestamp};
use crate::limits::COLUMNS_MAX;
use crate::stop::Stop;
use crate::write_set::{NO_TABLE, Touched, Write, WriteKind};
use std::sync::Arc;

/// One step of DDL, with the way back.
#[derive(Debug)]
pub(super) struct DdlStep {
    /// What is logged of it; nothing of what follows from another step.
    change: Option<CatalogChange>,
    object: CatalogObject,
    before: Arc<Catalog>,
}

impl DdlStep {
    pub(super) fn change(&self) -> Option<&CatalogChange> {
        self.change.as_ref()
    }

    pub(super) fn object(&self) -> CatalogObject {
        self.object
    }

    pub(super) fn before(&self) -> &Catalog {
        &self.before
    }

    /// Whether nobody else may write to the table from it on.
    fn shuts(&self) -> bool {
        use CatalogChange as C;
        let change = self.change.as_ref();
        matches!(
            change,
            Some(C::AlterTable(_) | C::RewriteTable(_) | C::EmptyTable(_) | C::DropTable(_))
        )
    }

    /// The table it was about, as it was before.
    fn table_before(&self) -> Option<&Arc<TableEntry>> {
        self.before.table_by_id(self.object.table()?)
    }
}

impl Transaction {
    /// Creates a table; `def.id` is ignored and given anew, column ids are taken as they are.
    pub fn create_table(&mut self, mut def: TableDef) -> Result<TableId> {
        columns_fit(&def)?;
        if self.catalog().has_name((def.schema, def.name.as_str())) {
            return Err(Error::DuplicateRelation(def.name));
        }
        def.id = self.core.next_table()?;
        let id = def.id;
        let change = CatalogChange::CreateTable(def.clone());
        let entry = Arc::new(TableEntry::new(def, &self.core.pool));
        self.change(&entry, Some(Arc::clone(&entry)), Some(change))?;
        Ok(id)
    }

    /// Drops a table with its indexes and foreign keys, its own and those that refer to it. Fails with
    /// `SchemaConflict` while others write to it.
    pub fn drop_table(&mut self, id: TableId) -> Result<()> {
        self.drop_references(id, |_| true)?;
        for key in &self.entry_of(id)?.def.foreign_keys {
            self.drop_foreign_key(id, &key.name)?;
        }
        let entry = self.entry_of(id)?;
        self.with_shut(&entry, |tx| {
            tx.change(&entry, None, Some(CatalogChange::DropTable(id)))
        })
    }

    /// Creates an index and fills it; `def.id` is ignored and given anew.
    ///
    /// Others write to the table meanwhile, and keep the index up (`build`). Fails with
    /// `SchemaConflict` where the structure of the table was changed since the snapshot, or is being
    /// changed by another transaction; with `DuplicateKeys` where two rows have a key that is to be
    /// unique, and with `Conflict` where they may come to have it.
    pub fn create_index(&mut self, def: IndexDef) -> Result<IndexId> {
        self.create_index_unless(def, Stop::NEVER)
    }

    /// As [`Self::create_index`]; fails with `Interrupted` where it is to stop before it is filled.
    pub fn create_index_unless(&mut self, mut def: IndexDef, stop: Stop<'_>) -> Result<IndexId> {
        def.id = self.core.next_index()?;
        self.create_index_as(def, stop)
    }

    /// The same with the id that it says, which no index of the transaction's catalog has.
    pub fn create_index_as(&mut self, def: IndexDef, stop: Stop<'_>) -> Result<IndexId> {
        let entry = self.entry_of(def.table)?;
        if self
            .catalog()
            .has_name((entry.def.schema, def.name.as_str()))
        {
            return Err(Error::DuplicateRelation(def.name));
        }
        self.with_claim(&entry, |tx| tx.make_index(&entry, def, stop))
    }

    fn make_index(
        &mut self,
        entry: &Arc<TableEntry>,
        def: IndexDef,
        stop: Stop<'_>,
    ) -> Result<IndexId> {
        let id = def.id;
        let change = CatalogChange::CreateIndex(def.clone());
        let index = Arc::new(IndexEntry::new(def, &self.core.pool)?);
        self.build(entry, &index, stop)?;
        let mut indexes = entry.indexes.clone();
        indexes.push(index);
        let changed = Arc::new(entry.with_indexes(indexes));
        let made = self.change(&changed, Some(Arc::clone(&changed)), Some(change));
        if made.is_err() {
            entry.late.remove(id);
        }
        made.map(|()| id)
    }

    /// Drops an index, and the foreign keys that refer by it. Others write to the table meanwhile, and to
    /// the index as long as it is in their catalog. Fails as [`Self::create_index`] does where the
    /// structure changes otherwise.
    pub fn drop_index(&mut self, id: IndexId) -> Result<()> {
        let found = self.catalog().index_by_id(id);
        let table = found.map(|(table, _)| table.def.id);
        let table = table.ok_or_else(|| Error::UndefinedRelation(id.to_string()))?;
        self.drop_references(table, |reference| reference.key.index == id)?;
        let entry = self.entry_of(table)?;
        let kept = entry.indexes.iter().filter(|index| index.def.id != id);
        let changed = Arc::new(entry.with_indexes(kept.cloned().collect()));
        let change = CatalogChange::DropIndex(id);
        self.with_claim(&entry, |tx| {
            tx.change(&changed, Some(Arc::clone(&changed)), Some(change))
        })
    }

    /// A table that it sees.
    pub(super) fn entry_of(&self, id: TableId) -> Result<Arc<TableEntry>> {
        let entry = self.catalog().table_by_id(id).cloned();
        entry.ok_or_else(|| Error::UndefinedRelation(id.to_string()))
    }

    /// Gives a column another default, which rows to come take. Others write to the table meanwhile, and
    /// fail at their commit. Fails as [`Self::create_index`] does where the structure changes otherwise.
    pub fn set_default(
        &mut self,
        table: TableId,
        column: ColumnId,
        default: ColumnDefault,
    ) -> Result<()> {
        let entry = self.entry_of(table)?;
        let def = entry.def.clone().with_default(column, default.clone());
        let changed = Arc::new(entry.with_def(def));
        let change = CatalogChange::SetDefault(table, column, default);
        self.with_claim(&entry, |tx| {
            tx.change(&changed, Some(Arc::clone(&changed)), Some(change))
        })
    }

    /// Changes a table that nobody else writes to.
    pub(super) fn with_shut<T>(
        &mut self,
        entry: &Arc<TableEntry>,
        change: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let changed = self.shut(entry).and_then(|()| change(self));
        if changed.is_err() {
            self.unclaim(entry);
        }
        changed
    }

    /// Changes the structure of a table that nobody else does that to.
    pub(super) fn with_claim<T>(
        &mut self,
        entry: &Arc<TableEntry>,
        change: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let changed = self.claim(entry).and_then(|()| change(self));
        if changed.is_err() {
            self.unclaim(entry);
        }
        changed
    }

    /// Holds a whole table until this transaction ends, whatever of it is undone. Nobody waits.
    ///
    /// # Errors
    /// `SchemaConflict` where somebody else is there, or has been since the snapshot; `ReadOnly`, `OutOfMemory`.
    pub fn hold_table(&mut self, entry: &Arc<TableEntry>, hold: TableHold) -> Result<()> {
        match hold {
            TableHold::Written => return self.enter(entry, false, || 0).map(drop),
            TableHold::Structure => self.claim(entry)?,
            TableHold::Alone => self.with_shut(entry, |_| Ok(()))?,
        }
        let table = self.touch(entry);
        self.set.hold(table);
        Ok(())
    }

    /// Lets others write to a table, and change its structure; unless this transaction has changed it in a
    /// way that keeps them out.
    fn unclaim(&self, entry: &TableEntry) {
        let is_held = |touched: &Touched| touched.held && touched.entry.def.id == entry.def.id;
        if self.set.touched().iter().any(is_held) {
            return;
        }
        let gate = entry.rows.gate();
        let object = CatalogObject::Table(entry.def.id);
        let mut steps = self.ddl.iter().filter(|step| step.object == object);
        let left = steps.clone().next().is_some();
        if steps.any(DdlStep::shuts) {
            return;
        }
        match left {
            true => gate.open(self.id()),
            false => gate.unclaim(self.id()),
        }
    }

    /// Keeps others from changing the structure of the table until this transaction ends.
    fn claim(&mut self, entry: &Arc<TableEntry>) -> Result<()> {
        self.touch(entry);
        let id = entry.def.id;
        let is_free = entry.rows.gate().claim(self.id());
        // Nobody publishes another structure from here on.
        let latest = self.core.catalog.load();
        match is_free && same(self.base.table_by_id(id), latest.table_by_id(id)) {
            true => Ok(()),
            false => Err(schema_conflict(entry)),
        }
    }

    /// The number of a table in the write set.
    fn touch(&mut self, entry: &Arc<TableEntry>) -> u32 {
        match self.set.find(entry) {
            Some(number) => number,
            None => self.set.touch(entry),
        }
    }

    /// Keeps writers away from the table until this transaction ends.
    fn shut(&mut self, entry: &Arc<TableEntry>) -> Result<()> {
        let table = self.touch(entry);
        let has_passed = self.set.touched()[table as usize].rows;
        let is_shut = entry.rows.gate().shut(self.id(), has_passed);
        let is_seen = entry.rows.last_commit() <= self.registration.snapshot();
        let (id, latest) = (entry.def.id, self.core.catalog.load());
        let is_latest = same(self.base.table_by_id(id), latest.table_by_id(id));
        match is_shut && is_seen && is_latest {
            true => Ok(()),
            false => Err(schema_conflict(entry)),
        }
    }

    /// Sets what the table of `touched` is, as one undoable step.
    pub(super) fn change(
        &mut self,
        touched: &Arc<TableEntry>,
        becomes: Option<Arc<TableEntry>>,
        change: Option<CatalogChange>,
    ) -> Result<()> {
        let id = touched.def.id;
        let object = CatalogObject::Table(id);
        self.step(object, Some(touched), change, |catalog| {
            catalog.set_table(id, becomes)
        })
    }

    /// One undoable step of DDL: what `set` does to the catalog.
    pub(super) fn step(
        &mut self,
        object: CatalogObject,
        touched: Option<&Arc<TableEntry>>,
        change: Option<CatalogChange>,
        set: impl FnOnce(&mut Catalog) -> Result<()>,
    ) -> Result<()> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        self.set.reserve(self.core.ledger(), false)?;
        let mut catalog = Catalog::clone(self.catalog());
        set(&mut catalog)?;
        let before = Arc::clone(self.catalog());
        self.own = Some(Arc::new(catalog));
        let table = touched.map_or(NO_TABLE, |touched| self.touch(touched));
        let step = self.ddl.len() as u32;
        self.ddl.push(DdlStep {
            change,
            object,
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
            if let Some(entry) = step.table_before() {
                if let Some(CatalogChange::CreateIndex(def)) = &step.change {
                    entry.late.remove(def.id);
                }
                // The write set holds the table as it is again, without the index and its memory.
                self.set.find(entry);
                self.unclaim(entry);
            }
            self.own = Some(step.before);
        }
    }

    /// Whether this transaction has dropped an index.
    pub(super) fn has_dropped(&self, id: IndexId) -> bool {
        let dropped = |step: &DdlStep| matches!(&step.change, Some(CatalogChange::DropIndex(dropped)) if *dropped == id);
        self.ddl.iter().any(dropped)
    }

    /// Tells those who found its new indexes in the list only that they are published, and takes those
    /// off that it dropped.
    pub(super) fn publish_indexes(&self, timestamp: Timestamp) {
        for step in &self.ddl {
            let Some(entry) = step.table_before() else {
                continue;
            };
            match &step.change {
                Some(CatalogChange::CreateIndex(def)) => entry.late.publish(def.id, timestamp),
                Some(CatalogChange::DropIndex(id)) => entry.late.remove(*id),
                _ => {}
            }
        }
    }
}

/// Fails where a table has more columns than there can be.
pub(super) fn columns_fit(def: &TableDef) -> Result<()> {
    match def.columns.len() <= COLUMNS_MAX {
        true => Ok(()),
        false => Err(Error::LimitExceeded {
            what: "number of columns",
            found: def.columns.len() as u64,
            limit: COLUMNS_MAX as u64,
        }),
    }
}

fn schema_conflict(entry: &TableEntry) -> Error {
    Error::SchemaConflict {
        table: entry.def.name.clone(),
    }
}
