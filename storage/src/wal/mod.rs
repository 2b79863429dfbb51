//! The log: what commits did, in commit order, on disk before they are acknowledged.
//!
//! 1. A committing transaction encodes its operations with a [`FrameBuilder`] and has the log
//!    reserve room for it ([`Log::reserve`]): all that can fail, fails here.
//! 2. Inside the commit section [`Log::append`] only queues the frame, so that the order of log
//!    positions is the order of timestamps.
//! 3. Outside of it [`Log::wait_durable`] elects one waiter as leader, who writes all that is
//!    queued and syncs once for all (group commit).

mod frame;
mod log;

pub use frame::FrameBuilder;
pub use log::Log;
