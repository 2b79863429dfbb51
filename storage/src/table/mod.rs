//! Tables and their indexes at run time. (Stub: signatures only.)

use crate::ids::RowId;

/// The rows of a table: a directory of blocks.
#[derive(Debug)]
pub struct Table {}

impl Table {
    /// The lowest id that no row has been given yet.
    pub fn next_row(&self) -> RowId {
        todo!()
    }
}

/// The entries of an index.
#[derive(Debug)]
pub struct Index {}
