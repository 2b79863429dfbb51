//! Late indexes: those that not every writer of their table has in its catalog.
//!
//! ```text
//!   writer with an older catalog          builder
//!   | pinned
//!   | chains a version                    lists the index
//!   | looks at the list                   (a grace period)
//!   | adds keys                           gathers the keys of all chains
//!                                         ..
//!                                         commits; at the horizon it takes the index off the list
//! ```
//!
//! All catalogs share a table's list. An index is in it from before its keys are gathered until no
//! transaction can write that does not know it from its catalog: until the horizon has passed the
//! commit that published it, or until it is taken back. Who adds a key to a row adds it to the listed
//! indexes as well; so do those who remove keys.
//!
//! *No version is missed.* A writer chains a version and looks at the list in one operation. Those that were under way when
//! the index was listed are over before the builder gathers ([`crate::mvcc::Grace`]), and it finds their versions; those
//! that begin later find the index.

use super::IndexEntry;
use crate::ids::{IndexId, Timestamp};
use crate::sync::Mutex;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::{Acquire, Release};
use arc_swap::ArcSwap;
use std::borrow::Cow;
use std::sync::Arc;

/// The late indexes of one table.
#[derive(Debug, Default)]
pub struct LateIndexes {
    /// Whether there are some: asked at every write.
    is_any: AtomicBool,
    list: ArcSwap<Vec<Late>>,
    /// Held while the list is replaced.
    changing: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Late {
    index: Arc<IndexEntry>,
    /// The commit that published it.
    since: Option<Timestamp>,
}

impl LateIndexes {
    /// Lists an index. Operations that begin from now on find it there.
    pub fn add(&self, index: &Arc<IndexEntry>) {
        self.change(|list| {
            list.push(Late {
                index: Arc::clone(index),
                since: None,
            });
        });
    }

    /// Notes the commit that published an index.
    pub fn publish(&self, id: IndexId, since: Timestamp) {
        self.change(|list| {
            let mut listed = list.iter_mut();
            if let Some(late) = listed.find(|late| late.index.def.id == id) {
                late.since = Some(since);
            }
        });
    }

    /// Takes an index off the list.
    pub fn remove(&self, id: IndexId) {
        self.change(|list| list.retain(|late| late.index.def.id != id));
    }

    /// Takes those off the list that every transaction, now and later, has in its catalog.
    pub fn forget(&self, horizon: Timestamp) {
        let is_late = |late: &Late| late.since.is_none_or(|since| since > horizon);
        self.change(|list| list.retain(is_late));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Late>)) {
        let _changing = self.changing.lock();
        let mut list = Vec::clone(&self.list.load());
        change(&mut list);
        let is_any = !list.is_empty();
        self.list.store(Arc::new(list));
        // Release: who finds it set finds the list.
        self.is_any.store(is_any, Release);
    }

    /// Whether there are some. To be asked after the version was chained whose keys they may lack, in one operation.
    #[inline]
    pub fn is_any(&self) -> bool {
        self.is_any.load(Acquire)
    }

    /// `own` indexes and the late ones that are not among them.
    #[inline]
    pub fn with<'a>(&self, own: &'a [Arc<IndexEntry>]) -> Cow<'a, [Arc<IndexEntry>]> {
        match self.is_any() {
            true => Cow::Owned([own, &self.beside(own)].concat()),
            false => Cow::Borrowed(own),
        }
    }

    /// Late indexes that are not among `own`.
    #[cold]
    pub fn beside(&self, own: &[Arc<IndexEntry>]) -> Vec<Arc<IndexEntry>> {
        let list = self.list.load();
        let all = list.iter().map(|late| &late.index);
        let is_own = |index: &Arc<IndexEntry>| own.iter().any(|own| own.def.id == index.def.id);
        all.filter(|index| !is_own(index)).cloned().collect()
    }
}
