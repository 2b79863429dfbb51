//! The state that is shown while the log takes no frames: the last durable one.
//!
//! ```text
//!   commits     40        41        42        43          the log is full, or has failed
//!               durable   durable   queued    queued      transactions that begin now see 41
//!   catalogs    [ since 38 ....... ][ since 42 ........
//!                 kept until 42 is durable
//! ```
//!
//! 1. Transactions that begin get a snapshot of what is durable, and the catalog of that moment: catalogs that DDL
//!    has replaced are kept until that DDL is durable. Rows of that moment are there anyway: the horizon does
//!    not pass it ([`crate::mvcc::Timeline`]).
//! 2. What began before may have a snapshot beyond that. It is told so before it shows anything, with an error
//!    after which the transaction can be begun again.
//! 3. Whoever wants to write is refused before anything is written, unless there is room again.
//!
//! [`crate::wal::condition`] has the whole table.

use super::Core;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::ids::Timestamp;
use crate::sync::Mutex;
use arc_swap::Guard;
use std::collections::VecDeque;
use std::sync::Arc;

/// Catalogs that were replaced by one that is not durable yet, the oldest first.
#[derive(Debug, Default)]
pub(super) struct ReplacedCatalogs(Mutex<VecDeque<Arc<Catalog>>>);

impl Core {
    /// Installs the catalog of a commit. Called inside the commit section.
    pub(super) fn install_catalog(&self, catalog: Catalog) {
        let catalog = Arc::new(catalog);
        if self.log().is_none() {
            self.catalog.replace(catalog);
            return;
        }
        let mut replaced = self.replaced.0.lock();
        replaced.push_back(self.catalog.replace(catalog));
        let forgotten = self.take_forgotten(&mut replaced);
        drop(replaced);
        // Tables may go with them.
        drop(forgotten);
    }

    /// Gives up replaced catalogs that no transaction can begin with any more.
    pub(super) fn forget_catalogs(&self) {
        let mut replaced = self.replaced.0.lock();
        let forgotten = self.take_forgotten(&mut replaced);
        drop(replaced);
        drop(forgotten);
    }

    fn take_forgotten(&self, replaced: &mut VecDeque<Arc<Catalog>>) -> Vec<Arc<Catalog>> {
        let durable = self.timeline.durable();
        let latest = self.catalog.load().since();
        let successors = replaced.iter().skip(1).map(|next| next.since());
        let successors = successors.chain([latest]);
        let count = successors.take_while(|since| *since <= durable).count();
        let count = count.min(replaced.len());
        replaced.drain(..count).collect()
    }

    /// The catalog that a snapshot sees; `None` where it is given up, since such a snapshot is not taken any more,
    /// or not there yet.
    pub(super) fn catalog_at(&self, snapshot: Timestamp) -> Option<Guard<Arc<Catalog>>> {
        let latest = self.catalog.load();
        if latest.since() <= snapshot {
            return Some(latest);
        }
        let replaced = self.replaced.0.lock();
        let before = replaced.iter().rev();
        let mut before = before.filter(|catalog| catalog.since() <= snapshot);
        before
            .next()
            .map(|found| Guard::from_inner(Arc::clone(found)))
    }

    /// The catalog that a transaction sees which begins now.
    pub fn shown_catalog(&self) -> Arc<Catalog> {
        while self.timeline.is_durable_only() {
            if let Some(catalog) = self.catalog_at(self.timeline.durable()) {
                return Guard::into_inner(catalog);
            }
            // More has become durable meanwhile.
            crate::sync::yield_now();
        }
        self.catalog()
    }

    /// Checks that a transaction which writes could commit now. Where the medium was full, it is tried
    /// whether it still is.
    ///
    /// # Errors
    /// `DiskFull`, `LogFailed`.
    pub fn check_writable(&self) -> Result<()> {
        self.log()
            .map_or(Ok(()), |attached| attached.log.check_takes(0))
    }
}
