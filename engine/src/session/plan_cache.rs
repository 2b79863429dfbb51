//! Plans of statements that were run as text, so that running the same text again skips the parser.
//!
//! Keyed by the exact text, or by the [`Template`](super::template::Template) of texts that differ in their literals;
//! one a connection, so no lock is taken. A text is kept when it comes the second time: a script of a million
//! different INSERTs passes through without pushing anything out. Bounded in entries and in the ledger; a full
//! budget means only that nothing is cached. When the catalog changes, plans go whose names mean something else in it, or
//! may, because a plan holds on to the tables it names. When memory pressure rises all go.

use super::prepared::{Names, Prepared};
use crate::activity::PlanCacheUse;
use hashbrown::HashMap;
use remora_storage::catalog::Catalog;
use remora_storage::pool::{Ledger, Owner, Reservation};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Plans kept at most.
const ENTRIES_MAX: usize = 128;
/// Longer texts are not kept.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// Texts remembered as seen once.
const SEEN: usize = 256;
/// What a plan is taken to need, a byte of its text: trees are larger than what they are made of.
const BYTES_PER_TEXT_BYTE: u64 = 64;

#[derive(Debug)]
struct Entry {
    /// `None` for a template that has no plan that serves all its literals.
    prepared: Option<Prepared>,
    used_at: u64,
    memory: Reservation,
}

/// The cache of one connection.
#[derive(Debug)]
pub(super) struct PlanCache {
    entries: HashMap<Box<str>, Entry>,
    /// Hashes of texts seen lately, each in the place its low bits name.
    seen: Box<[u64; SEEN]>,
    clock: u64,
    /// How often memory pressure had risen when this was looked at last.
    rises: u64,
    /// The catalog that all plans are good for.
    catalog: Option<Arc<Catalog>>,
    /// Counts that other sessions can read.
    counts: Arc<PlanCacheUse>,
}

impl PlanCache {
    pub(super) fn new(counts: &Arc<PlanCacheUse>) -> Self {
        Self {
            catalog: None,
            counts: Arc::clone(counts),
            entries: HashMap::default(),
            seen: Box::new([0; SEEN]),
            clock: 0,
            rises: 0,
        }
    }

    /// What is kept for a text. A plan for another path than that of `names` empties the cache, and so does memory pressure
    /// that has risen since the last look.
    pub(super) fn get(
        &mut self,
        sql: &str,
        names: Names<'_>,
        ledger: &Ledger,
    ) -> Option<Option<Prepared>> {
        self.clock += 1;
        let rises = ledger.pressure().rises();
        if rises != self.rises {
            self.rises = rises;
            self.clear();
        }
        if !(self.catalog.as_ref()).is_some_and(|catalog| Arc::ptr_eq(catalog, names.catalog)) {
            self.follow(names);
        }
        let entry = self.entries.get_mut(sql)?;
        if let Some(prepared) = &mut entry.prepared {
            if !prepared.is_good_for(names) {
                self.clear();
                return None;
            }
            if prepared.is_outgrown() {
                self.entries.remove(sql);
                return None;
            }
        }
        entry.used_at = self.clock;
        Some(entry.prepared.clone())
    }

    /// Counts a text, whose plan was found or not.
    pub(super) fn count(&self, is_hit: bool) {
        self.counts.count(is_hit);
    }

    /// Drops plans that are not good for this catalog.
    #[cold]
    pub(super) fn follow(&mut self, names: Names<'_>) {
        self.entries.retain(|_, entry| {
            let prepared = entry.prepared.as_mut();
            prepared.is_none_or(|prepared| prepared.is_good_for(names))
        });
        self.catalog = Some(Arc::clone(names.catalog));
        self.show_size();
    }

    fn show_size(&self) {
        let bytes = self.entries.values().map(|entry| entry.memory.bytes());
        self.counts.set_size(self.entries.len() as u64, bytes.sum());
    }

    /// Keeps the plan of a text that was seen before; remembers that it was seen otherwise.
    pub(super) fn offer(&mut self, sql: &str, prepared: &Prepared, ledger: &Arc<Ledger>) {
        if sql.len() <= TEXT_BYTES_MAX && self.was_seen(sql) {
            self.insert(sql, Some(prepared.clone()), ledger);
        }
    }

    /// Keeps the plan of a text, or that it is not to be planned.
    pub(super) fn insert(&mut self, sql: &str, prepared: Option<Prepared>, ledger: &Arc<Ledger>) {
        let bytes = sql.len() as u64 * BYTES_PER_TEXT_BYTE;
        let Ok(memory) = ledger.reserve(Owner::Cache, bytes) else {
            return;
        };
        if self.entries.len() >= ENTRIES_MAX {
            self.drop_oldest();
        }
        let entry = Entry {
            prepared,
            used_at: self.clock,
            memory,
        };
        self.entries.insert(sql.into(), entry);
        self.show_size();
    }

    /// Forgets all plans, and with them the tables they name.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.catalog = None;
        self.show_size();
    }

    /// Whether a text has come lately; it is remembered.
    pub(super) fn was_seen(&mut self, sql: &str) -> bool {
        let hash = self.entries.hasher().hash_one(sql);
        let place = &mut self.seen[hash as usize % SEEN];
        std::mem::replace(place, hash) == hash
    }

    fn drop_oldest(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used_at);
        if let Some(text) = oldest.map(|(text, _)| text.clone()) {
            self.entries.remove(&text);
        }
    }
}
