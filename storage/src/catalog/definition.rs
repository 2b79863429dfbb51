//! Definitions of tables and indexes: plain data, as logged and as checkpointed.

use crate::ids::{ColumnId, IndexId, TableId};
use crate::value::DataType;
use serde::{Deserialize, Serialize};

/// A table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TableDef {
    /// Its id.
    pub id: TableId,
    /// Its name.
    pub name: String,
    /// Its columns in the order of `SELECT *`.
    pub columns: Vec<ColumnDef>,
    /// Conditions every row satisfies.
    pub checks: Vec<CheckDef>,
}

/// A column.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Its id, never reused within the table.
    pub id: ColumnId,
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether NULL is refused (by the engine, before storage is asked).
    pub not_null: bool,
    /// The default as SQL text; storage does not read it.
    pub default: Option<String>,
}

/// A CHECK constraint.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CheckDef {
    /// Its name.
    pub name: String,
    /// The condition as SQL text; storage does not read it.
    pub expression: String,
}

/// An index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct IndexDef {
    /// Its id.
    pub id: IndexId,
    /// Its name.
    pub name: String,
    /// The table it is on.
    pub table: TableId,
    /// Its columns, most significant first.
    pub columns: Vec<IndexColumn>,
    /// Whether no two rows may have one key (rows with a NULL in the key never collide).
    pub unique: bool,
    /// What structure it is.
    pub kind: IndexKind,
    /// The constraint it stands for, if any.
    pub constraint: Option<Constraint>,
}

/// One column of an index.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct IndexColumn {
    /// The column.
    pub column: ColumnId,
    /// Whether greater values come first.
    pub descending: bool,
    /// Whether NULLs come before all values.
    pub nulls_first: bool,
}

/// What structure an index is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum IndexKind {
    /// Points, ranges and order.
    Ordered,
    /// Points only.
    Hash,
}

/// The constraint that an index stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Constraint {
    /// PRIMARY KEY
    PrimaryKey,
    /// UNIQUE
    Unique,
}

/// One step of DDL, as logged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum CatalogChange {
    /// A table came.
    CreateTable(TableDef),
    /// A table went, with its indexes.
    DropTable(TableId),
    /// An index came.
    CreateIndex(IndexDef),
    /// An index went.
    DropIndex(IndexId),
}

impl TableDef {
    /// The column of that name, with its position.
    pub fn column(&self, name: &str) -> Option<(usize, &ColumnDef)> {
        self.columns
            .iter()
            .enumerate()
            .find(|(_, column)| column.name == name)
    }

    /// The position of the column of that id.
    pub fn position(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }
}
