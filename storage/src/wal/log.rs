//! The log's front: queue, group commit, waiting. (Skeleton: signatures.)

use super::FrameBuilder;
use crate::error::Result;
use crate::ids::{Lsn, Timestamp};

/// The log, shared by all transactions.
#[derive(Debug)]
pub struct Log {}

impl Log {
    /// Reserves memory for the frame in the ledger ([`crate::pool::Owner::Log`]) and checks that
    /// the log takes it. Called before the commit section; the frame keeps the reservation until
    /// it is written or dropped.
    ///
    /// # Errors
    /// `OutOfMemory`, `LimitExceeded`, `LogFailed` after an earlier failure, `Closed`.
    pub fn reserve(&self, _frame: &mut FrameBuilder) -> Result<()> {
        todo!()
    }

    /// Queues the frame and returns where it ends. Called inside the commit section, so that the
    /// order in the log is the order of timestamps. Cannot fail: whether the frame got to the
    /// medium is learnt from [`Self::wait_durable`].
    pub fn append(&self, _frame: FrameBuilder, _timestamp: Timestamp) -> Lsn {
        todo!()
    }

    /// Returns once everything before `lsn` is durable.
    ///
    /// # Errors
    /// `OutcomeUnknown` where the log failed before that was known.
    pub fn wait_durable(&self, _lsn: Lsn) -> Result<()> {
        todo!()
    }

    /// Returns once every commit up to `timestamp` is durable; for readers, who have nothing at
    /// stake.
    ///
    /// # Errors
    /// `LogFailed` where that can no longer be.
    pub fn wait_durable_timestamp(&self, _timestamp: Timestamp) -> Result<()> {
        todo!()
    }

    /// The latest timestamp all of whose commits are known to be durable.
    pub fn durable_timestamp(&self) -> Timestamp {
        todo!()
    }

    /// The end of the log: where the next frame goes.
    pub fn end(&self) -> Lsn {
        todo!()
    }

    /// The first failure, after which the log takes nothing more.
    pub fn failure(&self) -> Option<String> {
        todo!()
    }
}
