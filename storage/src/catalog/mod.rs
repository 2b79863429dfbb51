//! The catalog: what tables and indexes there are, as an immutable value.
//!
//! A catalog is never changed: a transaction that runs DDL makes its own copy and installs it at
//! commit. Definitions are plain data (they are what the log and the manifest carry); beside each
//! stands the handle to the rows or the index itself.

mod definition;

pub use definition::{
    CatalogChange, CheckDef, ColumnDef, Constraint, IndexColumn, IndexDef, IndexKind, TableDef,
};

use crate::ids::{IndexId, TableId};
use crate::table::{Index, Table};
use std::sync::Arc;

/// A table in the catalog.
#[derive(Debug)]
pub struct TableEntry {
    /// What it is.
    pub def: TableDef,
    /// Its rows.
    pub rows: Arc<Table>,
    /// Its indexes, in order of creation; the primary key's is first.
    pub indexes: Vec<Arc<IndexEntry>>,
}

/// An index in the catalog.
#[derive(Debug)]
pub struct IndexEntry {
    /// What it is.
    pub def: IndexDef,
    /// Its entries.
    pub index: Arc<Index>,
}

/// All tables and indexes at one moment. (Stub.)
#[derive(Debug, Default)]
pub struct Catalog {}

impl Catalog {
    /// The table of that name (names are stored folded by the binder and compared exactly).
    pub fn table(&self, _name: &str) -> Option<&Arc<TableEntry>> {
        todo!()
    }

    /// The table of that id.
    pub fn table_by_id(&self, _id: TableId) -> Option<&Arc<TableEntry>> {
        todo!()
    }

    /// The index of that name, with its table.
    pub fn index(&self, _name: &str) -> Option<(&Arc<TableEntry>, &Arc<IndexEntry>)> {
        todo!()
    }

    /// The index of that id, with its table.
    pub fn index_by_id(&self, _id: IndexId) -> Option<(&Arc<TableEntry>, &Arc<IndexEntry>)> {
        todo!()
    }

    /// All tables, by name.
    pub fn tables(&self) -> Box<dyn Iterator<Item = &Arc<TableEntry>> + '_> {
        todo!()
    }
}
