//! Reads by key that are made once and run again and again: where the key and the columns are is found beforehand.
//!
//! A key that is one integer, which most are, is compared with the bytes of a row that is bare
//! ([`crate::block::Bare`]).

use super::{PointRead, find, find_only, row_with_key};
use crate::block::ShownColumn;
use crate::catalog::{IndexEntry, IntKey, TableEntry};
use crate::ids::{ColumnId, RowId};
use crate::mvcc::Viewpoint;
use crate::transaction::reads::Columns;
use crate::transaction::{RowRef, Transaction};
use crate::value::{DataType, Value, ValueRef};
use std::sync::Arc;

/// The key that is read.
#[derive(Clone, Copy, Debug)]
pub enum ReadKey<'k> {
    /// One integer, which the column can hold ([`KeyRead::is_by_int`]).
    Int(i64),
    /// A value a column, of its type.
    Values(&'k [ValueRef<'k>]),
}

/// A read of some columns by the key of an index.
#[derive(Debug)]
pub struct KeyRead {
    table: Arc<TableEntry>,
    index: Arc<IndexEntry>,
    int: Option<IntKey>,
    shown: Box<[ShownColumn]>,
    columns: Columns,
}

impl KeyRead {
    /// A read by the whole key of an index of the table: it shows some columns, and has looked at others as well.
    pub fn new(
        table: &Arc<TableEntry>,
        index: &Arc<IndexEntry>,
        shown: &[ColumnId],
        columns: Columns,
    ) -> Self {
        let layout = table.rows.layout();
        let is_integer = |key: &IntKey| {
            let position = table.def.position(key.id);
            let data_type = position.map(|position| table.def.columns[position].data_type);
            matches!(data_type, Some(DataType::BigInt | DataType::Integer))
        };
        let int = index.int_key(&table.rows).filter(is_integer);
        Self {
            int: int.filter(|_| index.def.unique),
            columns,
            shown: shown.iter().map(|column| layout.shown(*column)).collect(),
            table: Arc::clone(table),
            index: Arc::clone(index),
        }
    }

    /// How many columns it shows.
    #[inline]
    pub fn width(&self) -> usize {
        self.shown.len()
    }

    /// Whether its key is one integer, of a unique index.
    #[inline]
    pub fn is_by_int(&self) -> bool {
        self.int.is_some()
    }

    fn show(&self, row: &RowRef<'_>, places: &mut [Value]) {
        for (column, place) in self.shown.iter().zip(places) {
            row.show(column, place);
        }
    }

    /// Shows the row with this key; `None` where there are several.
    fn show_of_values(
        &self,
        viewpoint: &Viewpoint<'_>,
        key: &[ValueRef<'_>],
        places: &mut [Value],
    ) -> Option<Option<RowId>> {
        let (table, index) = (&self.table, &self.index);
        let show = |id, row: &RowRef<'_>| {
            self.show(row, places);
            id
        };
        match index.def.unique {
            true => Some(find(viewpoint, table, index, key, show)),
            false => find_only(viewpoint, table, index, key, show),
        }
    }

    #[inline]
    fn show_of_int(
        &self,
        viewpoint: &Viewpoint<'_>,
        (int, key): (&IntKey, i64),
        places: &mut [Value],
    ) -> Option<RowId> {
        let (table, index) = (&self.table, &self.index);
        index.index.find_map(&int.encode(key), |id| {
            let (block, slot) = table.rows.place(id, viewpoint.operation())?;
            if let Some(bare) = block.bare_row(slot, viewpoint) {
                if !bare.has_int(int.column, key) {
                    return None;
                }
                for (column, place) in self.shown.iter().zip(&mut *places) {
                    bare.show(column, place);
                }
                return Some(id);
            }
            let row = row_with_key(viewpoint, table, index, &[int.of(key)], id)?;
            self.show(&row, places);
            Some(id)
        })
    }

    #[inline]
    fn run(
        &self,
        viewpoint: &Viewpoint<'_>,
        key: &ReadKey<'_>,
        places: &mut [Value],
    ) -> Option<Option<RowId>> {
        match (key, &self.int) {
            (ReadKey::Int(key), Some(int)) => {
                Some(self.show_of_int(viewpoint, (int, *key), places))
            }
            (ReadKey::Int(_), None) => None,
            (ReadKey::Values(key), _) => self.show_of_values(viewpoint, key, places),
        }
    }
}

impl PointRead<'_> {
    /// Puts the columns of the row with this key in `places`; whether there is one, or `None` where there are several.
    #[inline]
    pub fn show(&self, read: &KeyRead, key: &ReadKey<'_>, places: &mut [Value]) -> Option<bool> {
        let found = read.run(&self.viewpoint(), key, places)?;
        Some(found.is_some())
    }
}

impl Transaction {
    /// As [`PointRead::show`], in the current command.
    pub fn show(&self, read: &KeyRead, key: &ReadKey<'_>, places: &mut [Value]) -> Option<bool> {
        let operation = self.registration.enter();
        let found = read.run(&operation.viewpoint(self.command), key, places)?;
        let note = |key: &[ValueRef<'_>]| {
            let row = found.filter(|_| read.index.def.unique);
            self.note_key(&read.table, &read.index, key, read.columns, row);
        };
        match (key, &read.int) {
            (ReadKey::Int(key), Some(int)) => note(&[int.of(*key)]),
            (ReadKey::Int(_), None) => {}
            (ReadKey::Values(key), _) => note(key),
        }
        Some(found.is_some())
    }
}
