//! Blocks: rows with versions chained over them, hot or frozen.
//!
//! ```text
//!   Block   base    hot:    rows [ begin | head | columns | null bits ] x capacity, at most 16,384
//!                           heap  chunks of long strings; a row names chunk and offset
//!                   frozen: columns, encoded, of the rows that lived; heads, a chunk of them for
//!                           every 1,024 slots in which something changed since
//!           ranges  for every 1,024 slots: a count of what is not settled, a bit for each dead one
//!           successor   the block that took its place: where heads say *moved*
//! ```
//!
//! A block starts hot, takes rows until it is full, and may then be replaced, any number of times, by
//! a frozen or a hot one with the same rows in the same slots (`switch.rs`): row ids do not change.
//!
//! Who may touch the bytes of a hot base row:
//! - *before the begin stamp is set*: the one who claimed the slot, and nobody reads;
//! - *afterwards*: everybody reads, nobody writes, except that
//! - *folding* (garbage collection, one thread at a time) overwrites a base row while its `head`
//!   leads to a committed version, and no snapshot, registered or to come, sees an older state:
//!   because the version is at or below the horizon, or because the states were missed (`prune`, in
//!   maintenance, which tells who else might have looked). So nobody reads the base until `head` is
//!   cleared.
//!
//! A frozen base does not change. A version over it stays until the block is built anew.
//!
//! A row is *settled* when its insertion is at or below the horizon and nothing is chained over it. A
//! slot is *dead* when every snapshot sees no row there: its row was deleted at or below the horizon,
//! its insertion was taken back, or it never came. Where a range counts nothing unsettled, every
//! registered snapshot sees exactly the base rows of the slots that are not dead, and scans skip all
//! other per-row work.
//!
//! A column that a block's layout does not have reads as NULL: blocks outlive ALTER TABLE.

mod bare;
mod capture;
mod chain;
mod change;
mod claims;
mod column;
mod columns;
mod encode;
mod evacuate;
mod field;
mod freeze;
pub mod frozen;
mod gather;
mod heads;
mod heap;
mod hot;
mod image;
mod images;
mod layout;
mod pinned;
mod restore;
mod row;
mod slots;
mod switch;
mod test;
mod vector;

#[cfg(test)]
mod tests;

pub use bare::{Bare, BareRows, IntColumn};
pub use capture::Captured;
pub use chain::{Chain, Link};
pub use change::Written;
pub use encode::Gathering;
pub use frozen::{Encoded, Frozen};
pub use gather::Gatherer;
pub use images::{Part, Run, Stretch, Take};
pub use layout::Layout;
pub use pinned::Pinned;
pub use row::{RowRef, ShownColumn};
pub use slots::{Block, BlockLimits, Claimed, RANGE_SLOTS};
pub use switch::Rebuild;
pub use vector::{Choice, Sum, Vector, VectorColumn, Visitor};
