//! The ledger: one account of every byte, with a hard budget. (Stub: signatures only.)

use crate::error::Result;
use std::sync::Arc;

/// Who holds memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(usize)]
pub enum Owner {
    /// Blocks and their strings.
    Table,
    /// Versions over blocks.
    Version,
    /// Index nodes and keys.
    Index,
    /// Log buffers.
    Log,
    /// The catalog.
    Catalog,
    /// Write sets of running transactions.
    Transaction,
    /// Sorts, hash tables, results.
    Query,
    /// Plans and other caches.
    Cache,
}

/// One line of the account.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// Who.
    pub owner: Owner,
    /// Bytes reserved now.
    pub bytes: u64,
}

/// The account of memory.
#[derive(Debug)]
pub struct Ledger {}

impl Ledger {
    /// A ledger with `budget` bytes to give.
    pub fn new(_budget: u64) -> Arc<Self> {
        todo!()
    }

    /// Takes `bytes` from the budget, or fails with [`crate::Error::OutOfMemory`].
    pub fn reserve(self: &Arc<Self>, _owner: Owner, _bytes: u64) -> Result<Reservation> {
        todo!()
    }

    /// Bytes reserved now.
    pub fn used(&self) -> u64 {
        todo!()
    }

    /// The budget in bytes.
    pub fn budget(&self) -> u64 {
        todo!()
    }

    /// The account, a line an owner.
    pub fn entries(&self) -> Vec<LedgerEntry> {
        todo!()
    }
}

/// Bytes taken from a ledger, given back on drop.
#[derive(Debug)]
pub struct Reservation {}

impl Reservation {
    /// Makes it `bytes` in all: takes or gives back the difference.
    pub fn resize(&mut self, _bytes: u64) -> Result<()> {
        todo!()
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        todo!()
    }
}
