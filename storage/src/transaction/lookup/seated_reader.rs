//! A session's reads by key outside of a transaction.
//!
//! A read by key that is a statement by itself needs no transaction. A session has a [`Reader`]: a seat among the
//! registered snapshots. A read sits down, looks whether the catalog is the one that its plan was made for, finds its row,
//! and gets up: no slot is claimed, no list of reads begun, since nobody can ask a single read what it relied on.

use crate::catalog::Catalog;
use crate::mvcc::{Seat, SeatedRead, Viewpoint};
use crate::transaction::Core;
use std::sync::Arc;

/// Where a session reads by key. At rest it holds nothing: what was dropped or emptied meanwhile is free.
#[derive(Debug)]
pub struct Reader {
    seat: Seat,
    core: Arc<Core>,
}

impl Core {
    /// A reader; `None` where transactions are counted or slots become scarce.
    pub fn reader(self: &Arc<Self>) -> Option<Reader> {
        Some(Reader {
            seat: Seat::take(&self.timeline)?,
            core: Arc::clone(self),
        })
    }
}

impl Reader {
    /// Begins a read of the latest committed state, by a plan that was made for `catalog`; `None` where the state has
    /// another catalog, or may still be lost.
    #[inline]
    pub fn read(&mut self, catalog: &Arc<Catalog>) -> Option<PointRead<'_>> {
        let read = self.seat.read()?;
        // After the clock was read: a commit installs its catalog before it moves the clock, so a snapshot that
        // includes it finds it here. A catalog that is not included yet says so.
        let is_right = self.core.catalog.is(catalog) && catalog.since() <= read.snapshot();
        is_right.then_some(PointRead(read))
    }
}

/// A read that has begun. Nothing is freed before its end: it is not held across a wait, nor while a user's code runs.
#[derive(Debug)]
pub struct PointRead<'r>(SeatedRead<'r>);

impl PointRead<'_> {
    #[inline]
    pub(super) fn viewpoint(&self) -> Viewpoint<'_> {
        self.0.viewpoint(0)
    }
}
