//! One commit as bytes. (Skeleton: signatures.)

use crate::catalog::CatalogChange;
use crate::ids::{ColumnId, RowId, TableId};
use crate::pool::Reservation;
use crate::value::ValueRef;

/// Collects the operations of one transaction in the form in which they are logged.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
    operations: u32,
    pub(super) space: Option<Reservation>,
}

impl FrameBuilder {
    /// A frame without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// A row came.
    pub fn insert<'v>(
        &mut self,
        _table: TableId,
        _row: RowId,
        _values: impl IntoIterator<Item = (ColumnId, ValueRef<'v>)>,
    ) {
        todo!()
    }

    /// Columns of a row changed; only those that did are given.
    pub fn update<'v>(
        &mut self,
        _table: TableId,
        _row: RowId,
        _values: impl IntoIterator<Item = (ColumnId, ValueRef<'v>)>,
    ) {
        todo!()
    }

    /// A row went.
    pub fn delete(&mut self, _table: TableId, _row: RowId) {
        todo!()
    }

    /// A step of DDL, in its place between the other operations.
    pub fn catalog(&mut self, _change: &CatalogChange) {
        todo!()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.operations == 0
    }

    /// The bytes that the frame takes in the log.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}
