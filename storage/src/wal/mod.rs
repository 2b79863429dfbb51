//! The log: what commits did, in commit order, on disk before they are acknowledged.
//!
//! ```text
//!   FrameBuilder --reserve--> Log --append--> queue --leader--> Writer --> wal/0000000007.log
//!                                                                              |
//!   recovery <---------------- Operation <-- SegmentReader <-------------------+
//! ```
//!
//! 1. A committing transaction encodes its operations with a [`FrameBuilder`] and has the log
//!    reserve room for it ([`Log::reserve`]): all that can fail, fails here.
//! 2. Inside the commit section [`Log::append`] only queues the frame, so that the order of log
//!    positions is the order of timestamps.
//! 3. Outside of it [`Log::wait_durable`] elects one waiter as leader, who writes all that is
//!    queued and syncs once for all (group commit, [`crowd`]).
//!
//! The bytes are drawn in `docs/file_format.md`; what recovery makes of them is in `recovery`.

mod builder;
pub mod closing;
pub mod condition;
mod crowd;
mod displaced;
mod flusher;
pub mod frame;
mod gate;
mod leader;
mod log;
mod operation;
mod packing;
mod queue;
mod reader;
pub mod segment;
mod status;
mod writer;

#[cfg(test)]
mod full_tests;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;

pub use builder::FrameBuilder;
pub use condition::LogCondition;
pub use displaced::{Behind, Displaced};
pub use flusher::Flusher;
pub use log::Log;
pub use operation::{Operation, RowValues, TARGET_BYTES_MAX, TIME_BYTES_MAX, row_bytes_max};
pub use reader::{Next, SegmentReader};
pub use status::LogStatus;
pub use writer::{LogStart, SegmentStart, UnfinishedRecovery, create_segment};
