//! Reads by key that are made once and run often: where the key and the columns are is found beforehand.
//!
//! ```text
//!   KeyRead   table, index, offset of the key, offsets of the columns     made with the statement's plan
//!   run       key -> its bytes -> RowId -> the row where it lies          no list, no look for a column
//! ```
//!
//! A key that is one integer, which most are, is compared with the bytes of a row that is bare ([`crate::block::Bare`]);
//! all others, and rows that are frozen or have versions, go the way of [`super::lookup`].

use super::lookup::{self, PointRead};
use crate::block::{RowRef, ShownColumn};
use crate::catalog::{IndexEntry, IntKey, TableEntry};
use crate::ids::ColumnId;
use crate::value::{DataType, Value, ValueRef};
use std::sync::Arc;

/// A read of some columns by the key of an index.
#[derive(Debug)]
pub struct KeyRead {
    table: Arc<TableEntry>,
    index: Arc<IndexEntry>,
    int: Option<IntKey>,
    shown: Box<[ShownColumn]>,
}

impl KeyRead {
    /// A read of these columns by the whole key of an index of the table.
    pub fn new(
        table: &Arc<TableEntry>,
        index: &Arc<IndexEntry>,
        shown: impl Iterator<Item = ColumnId>,
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
            shown: shown.map(|column| layout.shown(column)).collect(),
            table: Arc::clone(table),
            index: Arc::clone(index),
        }
    }

    /// How many columns it shows.
    #[inline]
    pub fn width(&self) -> usize {
        self.shown.len()
    }

    /// Whether [`PointRead::show_of_int`] can be asked: the index is unique, and its key one integer.
    #[inline]
    pub fn is_by_int(&self) -> bool {
        self.int.is_some()
    }

    fn show(&self, row: &RowRef<'_>, places: &mut [Value]) {
        for (column, place) in self.shown.iter().zip(places) {
            row.show(column, place);
        }
    }
}

impl PointRead<'_> {
    /// Puts the columns of the row with this key in `places`; whether there is one, or `None` where there are several.
    pub fn show(&self, read: &KeyRead, key: &[ValueRef<'_>], places: &mut [Value]) -> Option<bool> {
        let (table, index) = (&read.table, &read.index);
        let show = |_, row: &RowRef<'_>| read.show(row, places);
        match index.def.unique {
            true => Some(self.find(table, index, key, show).is_some()),
            false => self
                .find_only(table, index, key, show)
                .map(|found| found.is_some()),
        }
    }

    /// [`Self::show`] for a key that is one integer ([`KeyRead::is_by_int`]), which the column can hold.
    #[inline]
    pub fn show_of_int(&self, read: &KeyRead, key: i64, places: &mut [Value]) -> bool {
        let Some(int) = &read.int else {
            return false;
        };
        let (table, index) = (&read.table, &read.index);
        let viewpoint = self.viewpoint();
        let found = index.index.find_map(&int.encode(key), |id| {
            let (block, slot) = table.rows.place(id, viewpoint.operation())?;
            if let Some(bare) = block.bare_row(slot, &viewpoint) {
                if !bare.has_int(int.column, key) {
                    return None;
                }
                for (column, place) in read.shown.iter().zip(&mut *places) {
                    bare.show(column, place);
                }
                return Some(());
            }
            let row = lookup::row_with_key(&viewpoint, table, index, &[int.of(key)], id)?;
            read.show(&row, places);
            Some(())
        });
        found.is_some()
    }
}
