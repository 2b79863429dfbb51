//! Small structures that answer much: a bit vector with rank and select, a bloom filter, sets of rows.
//!
//! ```text
//!  BitVector   which slots of a block hold a row, and how a slot becomes a position and back
//!  Bloom       whether a value may be in a column: "no" is certain, "yes" is not
//!  SlotSet     some slots of a block; RowSet  some rows of a table
//!  Uses        a byte for each slot of a block
//! ```
//!
//! The first two are built once and then only read.

mod bits;
mod bloom;
mod row_set;
mod slot_set;
mod uses;

pub use bits::BitVector;
pub use bloom::Bloom;
pub use row_set::RowSet;
pub use slot_set::SlotSet;
pub use uses::{NO_USE, Uses};
