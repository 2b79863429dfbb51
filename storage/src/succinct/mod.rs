//! Small structures that answer much: a bit vector with rank and select, a bloom filter.
//!
//! ```text
//!  BitVector   which slots of a block hold a row, and how a slot becomes a position and back
//!  Bloom       whether a value may be in a column: "no" is certain, "yes" is not
//! ```
//!
//! Both are built once and then only read.

mod bits;
mod bloom;

pub use bits::BitVector;
pub use bloom::Bloom;
