//! Tables and their indexes at run time. (Stub: signatures only.)

/// The rows of a table: a directory of blocks.
#[derive(Debug)]
pub struct Table {}

/// The entries of an index.
#[derive(Debug)]
pub struct Index {}
