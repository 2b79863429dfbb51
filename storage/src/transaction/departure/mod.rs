//! Departures: rows that the system deletes, and transactions that still see them.
//!
//! ```text
//!   evict    a cache gives up rows, in transactions of the system
//!   revive   a transaction writes a row again that the system has deleted since its snapshot
//! ```
//!
//! The sweeper of the engine deletes rows that have expired in the same way (`TransactionOptions::sweeps`).

mod evict;
mod revive;
