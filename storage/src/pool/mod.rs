//! Memory: the slab pool and the ledger from which everything reserves.

mod ledger;

pub use ledger::{Ledger, LedgerEntry, Owner, Reservation};
