//! Reads by key that are a statement each, without a transaction.
//!
//! A session has a [`Reader`]: a seat among the registered snapshots and the catalog that it has seen last. A read sits
//! down, looks whether the catalog is the one that its plan was made for, finds its row, and gets up: no slot is claimed,
//! no pointer counted, no list of reads begun, since nobody can ask a single read what it relied on.

use super::lookup::find;
use super::{Core, RowRef};
use crate::catalog::{Catalog, IndexEntry, TableEntry};
use crate::ids::RowId;
use crate::mvcc::{Seat, SeatedRead};
use crate::value::ValueRef;
use arc_swap::{ArcSwap, Cache};
use std::ops::Deref;
use std::sync::Arc;

/// Where a session reads by key.
pub struct Reader {
    seat: Seat,
    catalog: Cache<LatestCatalog, Arc<Catalog>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reader").field(&self.seat).finish()
    }
}

/// The catalog of a core, which changes.
struct LatestCatalog(Arc<Core>);

impl Deref for LatestCatalog {
    type Target = ArcSwap<Catalog>;

    fn deref(&self) -> &ArcSwap<Catalog> {
        &self.0.catalog
    }
}

impl Core {
    /// A reader; `None` where transactions are counted or slots become scarce.
    pub fn reader(self: &Arc<Self>) -> Option<Reader> {
        Some(Reader {
            seat: Seat::take(&self.timeline)?,
            catalog: Cache::new(LatestCatalog(Arc::clone(self))),
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
        let latest = self.catalog.load();
        let is_right = Arc::ptr_eq(latest, catalog) && latest.since() <= read.snapshot();
        is_right.then_some(PointRead(read))
    }
}

/// A read that has begun. Nothing is freed before its end: it is not held across a wait, nor while a user's code runs.
#[derive(Debug)]
pub struct PointRead<'r>(SeatedRead<'r>);

impl PointRead<'_> {
    /// Calls `read` with the row whose key in `index`, a unique one, is exactly `key`, if there is one.
    #[inline]
    pub fn find<T>(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        read: impl FnOnce(RowId, &RowRef<'_>) -> T,
    ) -> Option<T> {
        find(&self.0.viewpoint(0), table, index, key, read)
    }
}
