//! The store: everything together, behind one handle. (Stub: signatures only.)

use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::error::Result;
use crate::ids::{Lsn, Timestamp};
use crate::pool::Ledger;
use crate::transaction::Transaction;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// When a commit returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Nothing is logged; the database lives as long as its handle.
    Memory,
    /// When the frame is handed over; it is durable within 100 ms.
    Buffered,
    /// When the frame is durable.
    #[default]
    Sync,
}

/// How a store is opened.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// When a commit returns. A store in memory is always [`Durability::Memory`].
    pub durability: Durability,
    /// The memory budget in bytes; `None` for 80 % of what the machine or its cgroup grants.
    pub max_memory: Option<u64>,
    /// Whether nothing runs in the background, so that tests are deterministic.
    pub manual_maintenance: bool,
}

/// What recovery found and did.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// Whether the directory was new.
    pub created: bool,
    /// Whether the last close was clean.
    pub clean: bool,
    /// Timestamp of the checkpoint that was loaded.
    pub checkpoint: Option<Timestamp>,
    /// Rows loaded from block images.
    pub rows_loaded: u64,
    /// Frames applied.
    pub frames_replayed: u64,
    /// Bytes of a torn tail that were dropped.
    pub bytes_dropped: u64,
    /// Why they were, with file and offset.
    pub dropped_because: Option<String>,
    /// Time of loading images, replaying, building indexes.
    pub elapsed: [Duration; 3],
}

/// What a checkpoint wrote.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckpointReport {
    /// Everything committed up to here is in it.
    pub timestamp: Timestamp,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// A database without SQL. Clones share it; the last one closes it.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// A store that lives in memory only.
    pub fn in_memory(_options: StoreOptions) -> Result<Self> {
        todo!()
    }

    /// Opens or creates the database in a directory of the file system.
    pub fn open(_directory: &Path, _options: StoreOptions) -> Result<(Self, RecoveryReport)> {
        todo!()
    }

    /// Opens or creates the database on any disk.
    pub fn open_on(_disk: Arc<dyn Disk>, _options: StoreOptions) -> Result<(Self, RecoveryReport)> {
        todo!()
    }

    /// Starts a transaction on the latest committed state.
    pub fn begin(&self) -> Result<Transaction> {
        todo!()
    }

    /// The latest committed catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        todo!()
    }

    /// The memory account.
    pub fn ledger(&self) -> &Arc<Ledger> {
        todo!()
    }

    /// When commits return.
    pub fn durability(&self) -> Durability {
        todo!()
    }

    /// Waits until everything that a snapshot of `timestamp` shows is durable; returns at once at
    /// levels other than [`Durability::Sync`].
    pub fn wait_durable(&self, _timestamp: Timestamp) -> Result<()> {
        todo!()
    }

    /// The end of the log.
    pub fn log_end(&self) -> Lsn {
        todo!()
    }

    /// Writes a consistent image of all tables, after which the log before it is deleted. In
    /// memory it does nothing.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        todo!()
    }

    /// Syncs the log, writes the closing mark and refuses further transactions. Running ones fail
    /// at commit.
    pub fn close(&self) -> Result<()> {
        todo!()
    }
}
