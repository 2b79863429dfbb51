//! Hot blocks: rows of one fixed stride, in pool memory, with versions chained over them.
//!
//! ```text
//!   Block   rows    [ begin | head | columns | null bits ] x capacity, at most 16,384
//!           heap    chunks of long strings; a row names chunk and offset, never an address
//!           ranges  a counter for every 1,024 slots: rows that are not settled
//! ```
//!
//! Who may touch the bytes of a base row:
//! - *before the begin stamp is set*: the one who claimed the slot, and nobody reads;
//! - *afterwards*: everybody reads, nobody writes, except that
//! - *folding* (garbage collection, one thread at a time) overwrites a base row while its `head`
//!   leads to a version committed at or below the horizon: every registered snapshot and every
//!   later one stops at that version, so nobody reads the base until `head` is cleared.
//!
//! A row is *settled* when its insertion is at or below the horizon, nothing is chained over it and
//! it is not deleted. Where a range counts no unsettled row, every registered snapshot sees exactly
//! the base rows, and scans skip all per-row work.
//!
//! A column that a block's layout does not have reads as NULL: blocks outlive ALTER TABLE.

mod chain;
mod change;
mod field;
pub mod frozen;
mod gather;
mod heap;
mod hot;
mod image;
mod layout;
mod restore;
mod row;

#[cfg(test)]
mod tests;

pub use chain::{Chain, Link};
pub use change::Written;
pub use frozen::Frozen;
pub use gather::gather;
pub use hot::{Block, Claimed, RANGE_SLOTS};
pub use layout::Layout;
pub use row::RowRef;
