//! Plans that the connections of a database leave for each other.
//!
//! A connection finds plans among its own first, and takes no lock for that. What it comes to keep, because a text was
//! asked for again, it leaves here too: a connection that is asked for it the first time takes it over instead of planning.
//!
//! A plan was made for the search path of somebody else. It is taken over where the path names the same schemas, and each
//! name means the same table to both, be there temporary tables or not ([`Resolved`](crate::plan::resolved::Resolved)); what
//! is said about those there holds here. What was planned in a transaction that is still open stays out.
//!
//! Bounded in plans and in bytes; the ledger pays. When memory pressure rises all go; when a definition changes, those do
//! that are not good any more, since a plan holds on to its tables.

use super::plan_cache::plan_bytes;
use super::prepared::{Names, Prepared};
use crate::activity::Activity;
use hashbrown::HashMap;
use parking_lot::Mutex;
use remora_storage::catalog::Catalog;
use remora_storage::pool::{Ledger, Owner, Reservation};
use std::sync::Arc;

/// Plans kept at most.
const ENTRIES_MAX: usize = 1024;
/// The part of the memory budget that they may take, by what plans are taken to need.
const BUDGET_PART: u64 = 64;

#[derive(Debug)]
struct Entry {
    prepared: Prepared,
    used_at: u64,
    memory: Reservation,
}

#[derive(Debug, Default)]
struct Plans {
    entries: HashMap<Box<str>, Entry>,
    clock: u64,
    rises: u64,
    /// The catalog that all plans are good for.
    catalog: Option<Arc<Catalog>>,
}

/// The plans of a database.
#[derive(Debug)]
pub(in crate::session) struct SharedPlans {
    plans: Mutex<Plans>,
    /// Where is told how it does.
    activity: Arc<Activity>,
}

impl SharedPlans {
    pub(in crate::session) fn new(activity: &Arc<Activity>) -> Self {
        Self {
            plans: Mutex::default(),
            activity: Arc::clone(activity),
        }
    }

    /// The plan that another connection has left for a text, made good for `names`; it becomes a statement of this number.
    pub(in crate::session) fn get(
        &self,
        text: &str,
        names: Names<'_>,
        number: u32,
    ) -> Option<Prepared> {
        let mut plans = self.plans.lock();
        plans.clock += 1;
        let clock = plans.clock;
        let found = plans.entries.get_mut(text).and_then(|entry| {
            entry.used_at = clock;
            entry.prepared.adopted(names, number)
        });
        self.activity.shared_plans().count(found.is_some());
        found
    }

    /// Keeps the plan of a text, if another connection could use it.
    pub(in crate::session) fn offer(&self, text: &str, prepared: &Prepared, ledger: &Arc<Ledger>) {
        let (bytes, most) = (plan_bytes(text), ledger.budget() / BUDGET_PART);
        if !prepared.can_be_adopted() || bytes > most {
            return;
        }
        let mut plans = self.plans.lock();
        plans.entries.remove(text);
        while plans.entries.len() >= ENTRIES_MAX || plans.bytes() + bytes > most {
            plans.drop_oldest();
        }
        let Ok(memory) = ledger.reserve(Owner::Cache, bytes) else {
            return;
        };
        plans.clock += 1;
        let entry = Entry {
            prepared: prepared.clone(),
            used_at: plans.clock,
            memory,
        };
        plans.entries.insert(text.into(), entry);
        self.show_size(&plans);
    }

    /// Drops what is not good for the latest catalog, and all of it when memory pressure has risen.
    pub(in crate::session) fn follow(&self, catalog: &Arc<Catalog>, rises: u64) {
        let mut plans = self.plans.lock();
        if plans.rises != rises {
            plans.rises = rises;
            plans.entries.clear();
        }
        let is_known = |known: &Arc<Catalog>| Arc::ptr_eq(known, catalog);
        if !plans.catalog.as_ref().is_some_and(is_known) {
            plans.catalog = Some(Arc::clone(catalog));
            let is_good = |entry: &mut Entry| entry.prepared.follow(catalog);
            plans.entries.retain(|_, entry| is_good(entry));
        }
        self.show_size(&plans);
    }

    /// Drops all.
    pub(in crate::session) fn clear(&self) {
        let mut plans = self.plans.lock();
        plans.entries.clear();
        self.show_size(&plans);
    }

    fn show_size(&self, plans: &Plans) {
        let counts = self.activity.shared_plans();
        counts.set_size(plans.entries.len() as u64, plans.bytes());
    }
}

impl Plans {
    fn bytes(&self) -> u64 {
        let entries = self.entries.values();
        entries.map(|entry| entry.memory.bytes()).sum()
    }

    fn drop_oldest(&mut self) {
        let oldest = self.entries.values().map(|entry| entry.used_at).min();
        self.entries
            .retain(|_, entry| Some(entry.used_at) != oldest);
    }
}
