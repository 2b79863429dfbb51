//! The catalog that was committed last.
//!
//! A reader that brings a catalog along only asks whether it is still the one: for that there is its address, since to
//! load the pointer itself takes as long as to find a row. Who asks keeps its catalog, so no other has its address.

use super::Catalog;
use crate::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Release};
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

/// The latest catalog, which commits replace.
#[derive(Debug)]
pub struct LatestCatalog {
    catalog: ArcSwap<Catalog>,
    address: AtomicUsize,
}

impl Default for LatestCatalog {
    fn default() -> Self {
        let catalog = Arc::default();
        Self {
            address: AtomicUsize::new(address(&catalog)),
            catalog: ArcSwap::new(catalog),
        }
    }
}

fn address(catalog: &Arc<Catalog>) -> usize {
    Arc::as_ptr(catalog).addr()
}

impl LatestCatalog {
    /// The catalog for a short time.
    pub fn load(&self) -> Guard<Arc<Catalog>> {
        self.catalog.load()
    }

    /// The catalog, kept.
    pub fn load_full(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Whether it is this one. To be asked after the clock was read: a commit replaces the catalog before it moves the
    /// clock, so that a snapshot that includes the commit finds the new one.
    #[inline]
    pub fn is(&self, catalog: &Arc<Catalog>) -> bool {
        // Acquire: what the catalog is about is there. The order after the clock is that of the clock's own load.
        self.address.load(Acquire) == address(catalog)
    }

    /// Replaces it, and gives the one before.
    pub fn replace(&self, catalog: Arc<Catalog>) -> Arc<Catalog> {
        let address = address(&catalog);
        let before = self.catalog.swap(catalog);
        self.address.store(address, Release);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_one_that_was_put_there_last() {
        let latest = LatestCatalog::default();
        let first = latest.load_full();
        assert!(latest.is(&first));
        let second = Arc::default();
        assert!(!latest.is(&second));
        assert!(Arc::ptr_eq(&latest.replace(Arc::clone(&second)), &first));
        assert!(latest.is(&second) && !latest.is(&first));
        assert!(Arc::ptr_eq(&latest.load(), &second));
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod models {
    use super::*;
    use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use crate::sync::check;
    use shuttle::thread;

    const SCHEDULES: usize = 1000;

    /// A commit replaces the catalog and moves the clock, in one order or the other, beside a reader that has the catalog
    /// of before.
    fn commit_beside_a_reader(clock_first: bool) {
        let latest = Arc::new(LatestCatalog::default());
        let clock = Arc::new(AtomicU64::new(0));
        let before = latest.load_full();
        let reader = {
            let (latest, clock) = (Arc::clone(&latest), Arc::clone(&clock));
            thread::spawn(move || {
                let snapshot = clock.load(SeqCst);
                let is_latest = latest.is(&before);
                assert!(snapshot == 0 || !is_latest, "a new row by an old catalog");
            })
        };
        if clock_first {
            clock.store(1, SeqCst);
        }
        latest.replace(Arc::default());
        if !clock_first {
            clock.store(1, SeqCst);
        }
        reader.join().unwrap();
    }

    #[test]
    fn a_snapshot_that_includes_a_commit_finds_its_catalog() {
        check(SCHEDULES, || commit_beside_a_reader(false));
    }

    #[test]
    #[should_panic = "a new row by an old catalog"]
    fn the_model_notices_a_clock_before_the_catalog() {
        check(SCHEDULES, || commit_beside_a_reader(true));
    }
}
