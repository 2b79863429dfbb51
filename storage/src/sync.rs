//! Atomics and latches, through one door.
//!
//! Whatever takes part in the protocols of pool, versions, blocks and indexes takes its atomics
//! and latches from here and not from the libraries, so that a model checker can be put in their
//! place and try the interleavings.

pub use parking_lot::{Mutex, MutexGuard, RwLock};
pub use std::sync::atomic;
