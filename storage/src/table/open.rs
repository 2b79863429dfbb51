//! Open blocks: where rows are added, a block for each thread that adds at the same time.
//!
//! ```text
//!   stripes   [ block 7 ][ block 6 ][ - ] ..     each under its own latch
//!                  ^          ^
//!               thread A   thread B              remembered by each thread
//! ```
//!
//! 1. All threads begin at the first stripe. Whoever finds a stripe taken goes to the next one and
//!    stays there: as many blocks are open as threads have met, and one where none have.
//! 2. Whoever has the stripe is alone in adding to its block. So the block's counters and its string
//!    heap stay in one core's cache, and nobody waits for a slot.
//! 3. When its block is full, a thread first takes over a block that another thread has opened and
//!    is not adding to at the moment; only then a new one is made. So what threads that are gone
//!    have left open is filled up.
//!
//! Invariants
//! - A block is in one stripe only. It has room, unless its table gives it up at the moment.
//! - The latch of one stripe is waited for by a thread that holds no other.

use crate::block::Block;
use crate::ids::BlockNo;
use crate::sync::{Mutex, MutexGuard};
use std::cell::Cell;
use std::sync::Arc;

/// Threads that can add rows to one table without waiting for each other.
const STRIPES: usize = 8;

thread_local! {
    /// The stripe at which this thread found nobody last.
    static STRIPE: Cell<usize> = const { Cell::new(0) };
}

/// A block that takes rows.
#[derive(Debug)]
pub(super) struct OpenBlock {
    pub(super) number: BlockNo,
    pub(super) block: Arc<Block>,
}

impl OpenBlock {
    fn is_full(&self) -> bool {
        self.block.is_full()
    }
}

/// What the holder of a stripe's latch finds.
#[derive(Debug, Default)]
pub(super) struct Place {
    open: Option<OpenBlock>,
    /// Whether a block was filled here since one was opened.
    has_filled: bool,
}

impl Place {
    /// The block to add to, if one is open.
    pub(super) fn open(&self) -> Option<&OpenBlock> {
        self.open.as_ref()
    }

    /// Opens a block where none is.
    pub(super) fn put(&mut self, open: OpenBlock) {
        self.has_filled = false;
        self.open = Some(open);
    }

    /// Lets go of the block once it is full: from then on its table may free it at any time.
    pub(super) fn close_if_full(&mut self) {
        if self.open.as_ref().is_some_and(OpenBlock::is_full) {
            self.open = None;
            self.has_filled = true;
        }
    }
}

/// The open blocks of a table.
#[derive(Debug, Default)]
pub(super) struct OpenBlocks {
    stripes: [Stripe; STRIPES],
}

/// On cache lines of its own, in pairs, because some machines fetch them so.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(Mutex<Place>);

impl OpenBlocks {
    /// The right to add rows to the block of a stripe. To be let go of before the next call.
    pub(super) fn enter(&self) -> MutexGuard<'_, Place> {
        let first = STRIPE.get() % STRIPES;
        if let Some(place) = self.stripes[first].0.try_lock() {
            return place;
        }
        for at in (first + 1..STRIPES).chain(0..first) {
            if let Some(place) = self.stripes[at].0.try_lock() {
                STRIPE.set(at);
                return place;
            }
        }
        self.stripes[first].0.lock()
    }

    /// A block that another thread has left open, if the holder of `place` has filled one.
    pub(super) fn take_over(&self, place: &Place) -> Option<OpenBlock> {
        if !place.has_filled {
            // Else two threads that both add could take one block from each other for ever.
            return None;
        }
        let mut others = self.stripes.iter().filter_map(|stripe| stripe.0.try_lock());
        others.find_map(|mut other| other.open.take())
    }

    /// Lets go of a block, wherever it is open. Whoever is adding to it is waited for.
    pub(super) fn close(&self, number: BlockNo) {
        for stripe in &self.stripes {
            let mut place = stripe.0.lock();
            if place
                .open
                .as_ref()
                .is_some_and(|open| open.number == number)
            {
                place.open = None;
            }
        }
    }
}
