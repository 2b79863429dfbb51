//! The memory of one index: what it holds, and what waits until no reader can be at it.

use crate::error::Result;
use crate::mvcc::Grace;
use crate::pool::{Claim, Owner, Pool, rounded_bytes};
use crate::sync::Mutex;
#[cfg(test)]
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

/// Nodes that wait before a reclaimer looks for readers.
const WAITING_NODES: usize = 128;

/// A node out of its index.
struct Retired {
    at: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the node is out of the index, and whoever holds this value is the only one to free it.
unsafe impl Send for Retired {}

/// Nodes out of the index, oldest first.
#[derive(Default)]
struct Limbo {
    waiting: VecDeque<Retired>,
    /// Grace periods that have begun, each of so many of the nodes; those behind them have none yet.
    graces: VecDeque<(Grace, usize)>,
    /// When to look for readers next.
    look_at: usize,
}

/// The pool, with an account of what the index has of it.
pub(super) struct Memory {
    pool: Arc<Pool>,
    /// Bytes of slots held; relaxed, because it guards nothing.
    bytes: AtomicU64,
    limbo: Mutex<Limbo>,
    /// Allocations to grant before all are refused.
    #[cfg(test)]
    pub(super) granted: AtomicU64,
    /// Whether all that is held is taken for evacuated.
    #[cfg(test)]
    pub(super) all_leaves: AtomicBool,
}

/// The memory of an index for requests of one kind.
#[derive(Clone, Copy)]
pub(super) struct Supply<'a> {
    pub(super) memory: &'a Memory,
    claim: Claim,
}

impl Supply<'_> {
    /// Zeroed memory, aligned to 16; `bytes` is the size of a whole slot.
    pub(super) fn allocate(self, bytes: usize) -> Result<NonNull<u8>> {
        debug_assert_eq!(
            bytes,
            rounded_bytes(Owner::Index, bytes),
            "whole slots are asked for"
        );
        #[cfg(test)]
        self.memory.refuse_if_wanted(bytes)?;
        let pool = &self.memory.pool;
        let at = pool.allocate_for(self.claim, Owner::Index, bytes)?;
        self.memory.bytes.fetch_add(bytes as u64, Relaxed);
        Ok(at)
    }
}

impl Memory {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            bytes: AtomicU64::new(0),
            limbo: Mutex::default(),
            #[cfg(test)]
            granted: AtomicU64::new(u64::MAX),
            #[cfg(test)]
            all_leaves: AtomicBool::new(false),
        }
    }

    /// Bytes held, those of nodes that wait included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Bytes of nodes that are out of the index and wait.
    #[cfg(test)]
    pub(super) fn waiting_bytes(&self) -> u64 {
        let limbo = self.limbo.lock();
        limbo.waiting.iter().map(|node| node.bytes as u64).sum()
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The supply of what holds more entries than before.
    pub(super) fn to_grow(&self) -> Supply<'_> {
        self.supply(Claim::Ordinary)
    }

    /// The supply of what makes the index smaller: it may dip into the emergency reserve.
    pub(super) fn to_shrink(&self) -> Supply<'_> {
        self.supply(Claim::Emergency)
    }

    /// The supply of requests with a claim.
    pub(super) fn supply(&self, claim: Claim) -> Supply<'_> {
        Supply {
            memory: self,
            claim,
        }
    }

    #[cfg(test)]
    fn refuse_if_wanted(&self, bytes: usize) -> Result<()> {
        let less = |left: u64| match left {
            u64::MAX => Some(left),
            _ => left.checked_sub(1),
        };
        let granted = self.granted.fetch_update(Relaxed, Relaxed, less);
        granted.map(drop).map_err(|_| crate::Error::OutOfMemory {
            wanted: bytes as u64,
            owner: "index",
            available: 0,
            budget: 0,
            holder: "index",
            held: 0,
        })
    }

    /// Gives memory back at once.
    ///
    /// # Safety
    /// [`Supply::allocate`] of this value returned it for so many bytes, and no reader can be at it.
    pub(super) unsafe fn free(&self, at: NonNull<u8>, bytes: usize) {
        // SAFETY: by contract.
        unsafe { self.pool.free(Owner::Index, at, bytes) };
        self.bytes.fetch_sub(bytes as u64, Relaxed);
    }

    /// Gives memory back once the readers of now are gone.
    ///
    /// # Safety
    /// [`Supply::allocate`] of this value returned it for so many bytes, and whoever begins to read
    /// from now on does not come to it.
    pub(super) unsafe fn retire(&self, at: NonNull<u8>, bytes: usize) {
        let mut limbo = self.limbo.lock();
        limbo.waiting.push_back(Retired { at, bytes });
        if limbo.waiting.len() >= limbo.look_at.max(WAITING_NODES) {
            self.reclaim(&mut limbo);
        }
    }

    /// Frees what no reader can be at. All that waits was unlinked before the latch was taken.
    fn reclaim(&self, limbo: &mut Limbo) {
        let begun: usize = limbo.graces.iter().map(|(_, nodes)| nodes).sum();
        let fresh = limbo.waiting.len() - begun;
        if fresh > 0 {
            limbo.graces.push_back((Grace::begin(), fresh));
        }
        while let Some((_, nodes)) = limbo.graces.pop_front_if(|(grace, _)| grace.is_over()) {
            for retired in limbo.waiting.drain(..nodes) {
                // SAFETY: `retire` was told that new readers do not come to it; the older ones are gone, because the
                // grace period is over that began behind it.
                unsafe { self.free(retired.at, retired.bytes) };
            }
        }
        // Where a reader is slow, not every retirement looks for it.
        limbo.look_at = limbo.waiting.len() + WAITING_NODES;
    }

    /// Frees what waits, as far as readers allow.
    pub(super) fn flush(&self) {
        let mut limbo = self.limbo.lock();
        if !limbo.waiting.is_empty() {
            self.reclaim(&mut limbo);
        }
    }

    /// Whether memory that was allocated here lies in an extent that is evacuated.
    pub(super) fn is_evacuating(&self, at: NonNull<u8>) -> bool {
        #[cfg(test)]
        if self.all_leaves.load(Relaxed) {
            return true;
        }
        self.pool.is_evacuating(at)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for retired in std::mem::take(&mut self.limbo.get_mut().waiting) {
            // SAFETY: nobody reads an index that is being dropped.
            unsafe { self.free(retired.at, retired.bytes) };
        }
        debug_assert_eq!(self.bytes(), 0, "an index frees its nodes");
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
