//! Memory: the slab pool and the ledger from which everything reserves.
//!
//! ```text
//!  Reservation ----+
//!  span (> 2 MiB) -+--> Ledger: one sum, a line an owner, a budget that holds
//!  extent ---------+
//!    |
//!    +--> 512 pages --+--> runs (16 KiB to 2 MiB, and all of tables) ---> Pool::allocate
//!                     +--> slabs --> slots of 36 sizes --> thread's cache --> Pool::allocate
//! ```
//!
//! Memory of our own data structures comes from the [`Pool`]; what libraries allocate (Arrow, the
//! parser, standard collections) is reserved in the [`Ledger`] as an upper bound.

mod allocator;
mod budget;
mod cache;
mod claim;
mod class;
mod evacuation;
mod extent;
mod ledger;
mod map;
mod pages;
mod prefetch;
mod pressure;
mod release;
mod run;
mod slab;
mod span;
mod stats;
mod system;
mod tally;

#[cfg(all(test, feature = "shuttle"))]
mod models;
#[cfg(test)]
mod tests;

pub use allocator::{Pool, PoolOptions, rounded_bytes};
pub use budget::{ASSUMED_MEMORY_BYTES, DEFAULT_BUDGET_PERCENT, default_budget};
pub use claim::Claim;
pub use class::SLOT_BYTES_MAX;
pub use extent::{EXTENT_BYTES, ExtentStats};
pub use ledger::{Ledger, LedgerEntry, Owner, Relief, Reservation};
pub(crate) use prefetch::prefetch;
pub use pressure::{Pressure, PressureChange, PressureLevel, PressureThresholds};
pub use stats::{ClassStats, LargeStats, PoolStats};
pub use system::{reserve_huge, trim_heap};
