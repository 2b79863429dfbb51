//! A foreign key with its two tables: what its keys look like on either side.

use super::expired::has_expired;
use super::key_set::Key;
use crate::error::{Error, Result, state};
use crate::exec::{ExecContext, Transaction};
use crate::function::EvalContext;
use crate::function::cast::KeyCast;
use remora_storage::catalog::{Catalog, ForeignKeyDef, IndexEntry, TableEntry};
use remora_storage::{ColumnId, DataType, TableId, Value, ValueRef};
use std::sync::Arc;

/// A foreign key, ready to be checked.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) key: ForeignKeyDef,
    pub(super) child: Arc<TableEntry>,
    pub(super) parent: Arc<TableEntry>,
    /// The unique index that is referred to.
    index: Arc<IndexEntry>,
    /// For each column of that index, its place in the key.
    order: Vec<usize>,
    casts: Vec<KeyCast>,
    /// Types of the key's columns on either side.
    child_types: Vec<DataType>,
    parent_types: Vec<DataType>,
}

impl Link {
    /// A foreign key of a catalog.
    ///
    /// # Errors
    /// XX000 where the catalog, which may have been read from a file, has not all that the key names, or
    /// has it of types that cannot be compared.
    pub(super) fn new(catalog: &Catalog, child: TableId, key: &ForeignKeyDef) -> Result<Self> {
        Self::find(catalog, child, key).ok_or_else(|| {
            let message = format!("foreign key \"{}\" does not fit its tables", key.name);
            Error::new(state::INTERNAL_ERROR, message)
        })
    }

    fn find(catalog: &Catalog, child: TableId, key: &ForeignKeyDef) -> Option<Self> {
        let child = catalog.table_by_id(child)?;
        let parent = catalog.table_by_id(key.parent)?;
        let mut indexes = parent.indexes.iter();
        let index = indexes.find(|index| index.def.id == key.index)?;
        let places = index.def.columns.iter().map(|part| {
            let mut referenced = key.referenced.iter();
            referenced.position(|id| *id == part.column)
        });
        let child_types = types(child, &key.columns)?;
        let parent_types = types(parent, &key.referenced)?;
        let casts = child_types.iter().zip(&parent_types);
        let casts = casts.map(|(child, parent)| KeyCast::between(*child, *parent));
        Some(Self {
            order: places.collect::<Option<_>>()?,
            casts: casts.collect::<Option<_>>()?,
            child_types,
            parent_types,
            key: key.clone(),
            child: Arc::clone(child),
            parent: Arc::clone(parent),
            index: Arc::clone(index),
        })
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let ids = 2 * size_of::<ColumnId>() + size_of::<usize>();
        let part = ids + size_of::<KeyCast>() + 2 * size_of::<DataType>();
        size_of::<Self>() + self.key.name.len() + self.key.columns.len() * part
    }

    /// Whether it is the same foreign key.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.child.def.id == other.child.def.id && self.key.name == other.key.name
    }

    /// Whether a table refers to itself by it.
    pub(super) fn is_own(&self) -> bool {
        self.child.def.id == self.parent.def.id
    }

    /// The values that those of a row that refers stand for; `None` where that is nothing.
    pub(super) fn to_parent<'v>(
        &self,
        values: impl Iterator<Item = ValueRef<'v>>,
        eval: &EvalContext,
    ) -> Option<Key> {
        let parts = values.zip(&self.casts).zip(&self.parent_types);
        let parts = parts.map(|((value, cast), to)| cast.to_parent(value, *to, eval));
        parts.collect()
    }

    /// Whether each key has just one that refers to it.
    pub(super) fn has_counterparts(&self) -> bool {
        self.casts.iter().all(|cast| cast.has_counterparts())
    }

    /// The key of rows that refer to this one; `None` where there can be none.
    pub(super) fn to_child(&self, key: &[Value]) -> Option<Key> {
        let parts = key.iter().zip(&self.casts).zip(&self.child_types);
        let parts = parts.map(|((value, cast), to)| cast.to_child(value.as_ref(), *to));
        parts.collect()
    }

    /// A key that is referred to, as its index writes it. There is no NULL in it.
    pub(super) fn encode(&self, key: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.index.encode(&mut bytes, &self.in_order(key));
        bytes
    }

    /// Whether a row has a key, and has not expired; relies on that row.
    pub(super) fn share(&self, tx: &Transaction, key: &[Value], context: &ExecContext) -> bool {
        let found = tx.share_found(&self.parent, &self.index, &self.in_order(key));
        found.is_some_and(|row| !has_expired(&self.parent, row, tx, context))
    }

    fn in_order<'v>(&self, key: &'v [Value]) -> Vec<ValueRef<'v>> {
        self.order
            .iter()
            .map(|place| key[*place].as_ref())
            .collect()
    }
}

/// The types of columns; `None` where one is not there.
fn types(table: &TableEntry, columns: &[ColumnId]) -> Option<Vec<DataType>> {
    let type_of = |id: &ColumnId| {
        let position = table.def.position(*id)?;
        Some(table.def.columns[position].data_type)
    };
    columns.iter().map(type_of).collect()
}
