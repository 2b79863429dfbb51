//! The catalog: what tables and indexes there are, as an immutable value.
//!
//! A catalog is never changed: a transaction that runs DDL makes its own copy and installs it at
//! commit. Definitions are plain data (they are what the log and the manifest carry); beside each
//! stands the handle to the rows or the index itself.
//!
//! A table's entry is replaced whenever its structure changes, indexes included. So two snapshots
//! agree on a table's structure exactly if they hold the same entry: that is how commits find out
//! that they wrote to a table that is no longer what it was ([`Catalog::merge`]). Who changed rows only
//! does not mind other indexes ([`same_rows`]): those that came were kept up ([`LateIndexes`]).

mod definition;
mod describe;
mod entry;
mod foreign;
mod late;
mod notes;

pub use definition::{
    CatalogChange, CheckDef, ColumnDef, Constraint, IndexColumn, IndexDef, IndexKind, TableDef,
};
pub use entry::{IndexEntry, IntKey, TableEntry};
pub use foreign::{ForeignAction, ForeignKeyDef, Reference};
pub use late::LateIndexes;

use crate::error::{Error, Result};
use crate::ids::{IndexId, TableId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a name stands for; tables and indexes share one name space, as in PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    Table(TableId),
    Index(TableId, IndexId),
}

/// All tables and indexes at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    tables: BTreeMap<TableId, Arc<TableEntry>>,
    names: BTreeMap<String, Relation>,
    /// Which table an index is on.
    indexes: BTreeMap<IndexId, TableId>,
    since: Timestamp,
}

impl Catalog {
    /// The table of that name (names are stored folded by the binder and compared exactly).
    pub fn table(&self, name: &str) -> Option<&Arc<TableEntry>> {
        match self.names.get(name)? {
            Relation::Table(id) => self.tables.get(id),
            Relation::Index(..) => None,
        }
    }

    /// The table of that id.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<TableEntry>> {
        self.tables.get(&id)
    }

    /// The index of that name, with its table.
    pub fn index(&self, name: &str) -> Option<(&Arc<TableEntry>, &Arc<IndexEntry>)> {
        match self.names.get(name)? {
            Relation::Table(_) => None,
            Relation::Index(table, index) => self.tables.get(table)?.with_index(*index),
        }
    }

    /// The index of that id, with its table.
    pub fn index_by_id(&self, id: IndexId) -> Option<(&Arc<TableEntry>, &Arc<IndexEntry>)> {
        self.tables.get(self.indexes.get(&id)?)?.with_index(id)
    }

    /// All tables, by name.
    pub fn tables(&self) -> Box<dyn Iterator<Item = &Arc<TableEntry>> + '_> {
        Box::new(self.names.values().filter_map(|relation| match relation {
            Relation::Table(id) => self.tables.get(id),
            Relation::Index(..) => None,
        }))
    }

    /// The commit that installed it.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Notes the commit that installs it.
    pub fn set_since(&mut self, since: Timestamp) {
        self.since = since;
    }

    /// Sets what a table is: a new or changed entry, or none any more. Ids are taken from the
    /// entry. On error nothing has changed.
    ///
    /// # Errors
    /// `DuplicateRelation` where a name is taken.
    pub fn set_table(&mut self, id: TableId, entry: Option<Arc<TableEntry>>) -> Result<()> {
        if let Some(entry) = &entry {
            let taken = entry
                .relations()
                .find(|(name, _)| self.owner_of(name).is_some_and(|owner| owner != id));
            if let Some((name, _)) = taken {
                return Err(Error::DuplicateRelation(name.to_owned()));
            }
        }
        let old = self.tables.remove(&id);
        let parents = [old.as_ref(), entry.as_ref()].into_iter().flatten();
        let parents: Vec<TableId> = parents.flat_map(|entry| entry.parents()).collect();
        if let Some(old) = &old {
            for (name, _) in old.relations() {
                self.names.remove(name);
            }
            self.indexes.retain(|_, table| *table != id);
        }
        if let Some(entry) = entry {
            for (name, index) in entry.relations() {
                let relation = match index {
                    None => Relation::Table(id),
                    Some(index) => Relation::Index(id, index),
                };
                self.names.insert(name.to_owned(), relation);
                self.indexes.extend(index.map(|index| (index, id)));
            }
            self.tables.insert(id, entry);
        }
        for parent in parents {
            self.refer(parent, id);
        }
        if old.is_none() {
            self.refer_to_new(id);
        }
        Ok(())
    }

    fn owner_of(&self, name: &str) -> Option<TableId> {
        self.names.get(name).map(|relation| match relation {
            Relation::Table(id) | Relation::Index(id, _) => *id,
        })
    }

    /// Whether a name is taken.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Brings what a transaction did to the tables `changed` in its own copy of `base` into
    /// `latest`.
    ///
    /// # Errors
    /// `SchemaConflict` where another commit changed one of these tables, or took one of their
    /// names.
    pub fn merge(base: &Self, own: &Self, latest: &Self, changed: &[TableId]) -> Result<Self> {
        let mut merged = latest.clone();
        // Tables that went come first: their names may be those of tables that came.
        let (came, went): (Vec<TableId>, Vec<TableId>) = changed
            .iter()
            .partition(|id| own.table_by_id(**id).is_some());
        for id in went.into_iter().chain(came) {
            let entry = own.table_by_id(id);
            let conflict = || Error::SchemaConflict {
                table: entry
                    .or_else(|| base.table_by_id(id))
                    .map_or_else(|| id.to_string(), |entry| entry.def.name.clone()),
            };
            if !same(base.table_by_id(id), latest.table_by_id(id)) {
                return Err(conflict());
            }
            merged
                .set_table(id, entry.cloned())
                .map_err(|_| conflict())?;
        }
        Ok(merged)
    }
}

/// Whether two catalogs hold the same entry for a table.
pub fn same(one: Option<&Arc<TableEntry>>, other: Option<&Arc<TableEntry>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

/// Whether a table in two catalogs differs in its indexes at most. Its foreign keys, and those that
/// refer to it, are the same.
pub fn same_rows(one: Option<&Arc<TableEntry>>, other: Option<&Arc<TableEntry>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) if !Arc::ptr_eq(one, other) => {
            Arc::ptr_eq(&one.rows, &other.rows)
                && one.def == other.def
                && one.references == other.references
        }
        _ => same(one, other),
    }
}

#[cfg(test)]
mod tests;
