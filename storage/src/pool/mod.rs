//! Memory: the slab pool and the ledger from which everything reserves.
//!
//! ```text
//!  Reservation ----+
//!  large request --+--> Ledger: one sum, a line an owner, a budget that holds
//!  extent ---------+
//!    |
//!    +--> 16 slabs --> slots of 48 sizes --> Pool::allocate
//! ```
//!
//! Memory of our own data structures comes from the [`Pool`]; what libraries allocate (Arrow, the
//! parser, standard collections) is reserved in the [`Ledger`] as an upper bound.

mod budget;
mod class;
mod extent;
mod ledger;
mod slab;

#[cfg(test)]
mod tests;

pub use budget::{ASSUMED_MEMORY_BYTES, DEFAULT_BUDGET_PERCENT, default_budget};
pub use class::SLOT_BYTES_MAX;
pub use extent::EXTENT_BYTES;
pub use ledger::{Ledger, LedgerEntry, Owner, Reservation};
pub use slab::{ClassStats, Pool};
