//! Plans of statements that were run as text, so that running the same text again skips the parser.
//!
//! Keyed by the exact text, or by the [`Template`](super::template::Template) of texts that differ in their literals;
//! one a connection, so no lock is taken. A text is kept when it comes the second time: a script of a million
//! different INSERTs passes through without pushing anything out. A text that has a template is kept with its literals,
//! so that it is not read again. Bounded in entries and in the ledger; a full budget means only that nothing is cached.
//! When the catalog changes, plans go whose names mean something else in it, or may, because a plan holds on to the tables
//! it names. When memory pressure rises all go.

use super::prepared::{Names, Prepared};
use crate::activity::PlanCacheUse;
use crate::function::SearchPath;
use crate::optimize::Effort;
use hashbrown::{DefaultHashBuilder, HashTable};
use remora_storage::Value;
use remora_storage::catalog::Catalog;
use remora_storage::pool::{Ledger, Owner, Reservation};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Plans kept at most.
const ENTRIES_MAX: usize = 128;
/// Longer texts are not kept.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// Keys of a kind that are remembered as seen once.
const SEEN: usize = 256;
/// What a plan is taken to need, a byte of its text: trees are larger than what they are made of.
const BYTES_PER_TEXT_BYTE: u64 = 64;

/// The memory that a text's plan is taken to need, in bytes.
pub(in crate::session) fn plan_bytes(text: &str) -> u64 {
    text.len() as u64 * BYTES_PER_TEXT_BYTE
}

/// The value of an entry.
#[derive(Clone, Debug)]
pub(in crate::session) enum Kept {
    /// A plan.
    Plan(Prepared),
    /// The plan of the text's template, and the text's literals.
    Literals(Prepared, Arc<[Value]>),
    /// A mark that no plan of the template serves all literals.
    NoPlan,
}

impl Kept {
    fn prepared(&mut self) -> Option<&mut Prepared> {
        match self {
            Self::Plan(prepared) | Self::Literals(prepared, _) => Some(prepared),
            Self::NoPlan => None,
        }
    }
}

/// Keys that came lately: their hashes, each in the place that its low bits name. A key has one kind, and each kind its own
/// places, since keys of two kinds come by turns and two in one place would never be seen twice.
#[derive(Debug)]
struct Seen(Box<[u64; SEEN]>);

impl Default for Seen {
    fn default() -> Self {
        Self(Box::new([0; SEEN]))
    }
}

impl Seen {
    /// Whether a key has come lately; it is remembered.
    #[inline]
    fn note(&mut self, key: Key<'_>) -> bool {
        let place = &mut self.0[key.hash as usize % SEEN];
        std::mem::replace(place, key.hash) == key.hash
    }

    #[inline]
    fn has(&self, key: Key<'_>) -> bool {
        self.0[key.hash as usize % SEEN] == key.hash
    }
}

/// A text or a template, hashed once.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Key<'k> {
    text: &'k str,
    hash: u64,
}

#[derive(Debug)]
struct Entry {
    text: Box<str>,
    hash: u64,
    kept: Kept,
    used_at: u64,
    memory: Reservation,
}

/// The catalog, path and effort that all plans of a cache are good for.
#[derive(Debug)]
struct Basis {
    catalog: Arc<Catalog>,
    path: Arc<SearchPath>,
    effort: Effort,
}

impl Basis {
    fn is(&self, names: Names<'_>) -> bool {
        Arc::ptr_eq(&self.catalog, names.catalog)
            && Arc::ptr_eq(&self.path, names.path)
            && self.effort == names.effort
    }
}

/// The cache of one connection.
#[derive(Debug)]
pub(in crate::session) struct PlanCache {
    entries: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    seen_texts: Seen,
    seen_templates: Seen,
    /// Texts of templates that have a plan. Most never come again.
    seen_literals: Seen,
    clock: u64,
    /// How often memory pressure had risen when this was looked at last.
    rises: u64,
    basis: Option<Basis>,
    /// Counts that other sessions can read.
    counts: Arc<PlanCacheUse>,
}

impl PlanCache {
    pub(in crate::session) fn new(counts: &Arc<PlanCacheUse>) -> Self {
        Self {
            entries: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            seen_texts: Seen::default(),
            seen_templates: Seen::default(),
            seen_literals: Seen::default(),
            clock: 0,
            rises: 0,
            basis: None,
            counts: Arc::clone(counts),
        }
    }

    /// The key of a text.
    #[inline]
    pub(in crate::session) fn key<'k>(&self, text: &'k str) -> Key<'k> {
        let hash = self.hasher.hash_one(text.as_bytes());
        Key { text, hash }
    }

    /// Whether memory pressure has risen since [`Self::freshen`].
    #[inline]
    pub(in crate::session) fn has_to_give_way(&self, ledger: &Ledger) -> bool {
        ledger.pressure().rises() != self.rises
    }

    /// Makes the cache fit for look-ups: drops plans that are not good for `names`, and all of them when memory pressure
    /// has risen. Returns whether something of the kind was the case.
    #[inline]
    pub(in crate::session) fn freshen(&mut self, names: Names<'_>, ledger: &Ledger) -> bool {
        if self.has_to_give_way(ledger) {
            self.rises = ledger.pressure().rises();
            self.clear();
        }
        let is_fresh = self.basis.as_ref().is_some_and(|basis| basis.is(names));
        if !is_fresh {
            self.follow(names);
        }
        !is_fresh
    }

    /// The value of a key, be it good for the names of the moment or not.
    #[inline]
    pub(in crate::session) fn look(&mut self, key: Key<'_>) -> Option<&mut Kept> {
        let is_it = |entry: &Entry| *entry.text == *key.text;
        let entry = self.entries.find_mut(key.hash, is_it)?;
        self.clock += 1;
        entry.used_at = self.clock;
        Some(&mut entry.kept)
    }

    /// Looks a key up. [`Self::freshen`] comes first.
    #[inline]
    pub(in crate::session) fn get(&mut self, key: Key<'_>) -> Option<Kept> {
        let kept = self.look(key)?;
        if kept.prepared().is_some_and(Prepared::is_outgrown) {
            self.remove(key);
            return None;
        }
        Some(kept.clone())
    }

    fn remove(&mut self, key: Key<'_>) {
        let is_it = |entry: &Entry| *entry.text == *key.text;
        if let Ok(found) = self.entries.find_entry(key.hash, is_it) {
            found.remove();
        }
    }

    /// Counts a text, whose plan was found or not.
    pub(in crate::session) fn count(&self, is_hit: bool) {
        self.counts.count(is_hit);
    }

    /// Drops plans that are not good for `names`.
    #[cold]
    pub(in crate::session) fn follow(&mut self, names: Names<'_>) {
        self.entries.retain(|entry| {
            let prepared = entry.kept.prepared();
            prepared.is_none_or(|prepared| prepared.is_good_for(names))
        });
        self.basis = Some(Basis {
            catalog: Arc::clone(names.catalog),
            path: Arc::clone(names.path),
            effort: names.effort,
        });
        self.show_size();
    }

    fn show_size(&self) {
        let bytes = self.entries.iter().map(|entry| entry.memory.bytes());
        self.counts.set_size(self.entries.len() as u64, bytes.sum());
    }

    /// Keeps the plan of a text that was seen before; remembers that it was seen otherwise. Returns whether it is kept.
    pub(in crate::session) fn offer(
        &mut self,
        text: &str,
        prepared: &Prepared,
        ledger: &Arc<Ledger>,
    ) -> bool {
        if text.len() > TEXT_BYTES_MAX {
            return false;
        }
        let key = self.key(text);
        let is_kept = self.seen_texts.note(key);
        if is_kept {
            self.insert(key, Kept::Plan(prepared.clone()), ledger);
        }
        is_kept
    }

    /// Whether a text was seen before that had a plan of its template: then it is kept with its literals.
    #[inline]
    pub(in crate::session) fn was_of_template(&self, key: Key<'_>) -> bool {
        self.seen_literals.has(key)
    }

    /// Remembers such a text.
    #[inline]
    pub(in crate::session) fn note_of_template(&mut self, key: Key<'_>) {
        self.seen_literals.note(key);
    }

    /// Keeps the literals of a text that was seen before, with the plan of its template.
    #[inline]
    pub(in crate::session) fn offer_literals(
        &mut self,
        key: Key<'_>,
        (prepared, literals): (&Prepared, &[Value]),
        ledger: &Arc<Ledger>,
    ) {
        if self.seen_literals.note(key) {
            let kept = Kept::Literals(prepared.clone(), literals.into());
            self.insert(key, kept, ledger);
        }
    }

    /// Keeps something for a key, in the place of what there was.
    #[cold]
    pub(in crate::session) fn insert(&mut self, key: Key<'_>, kept: Kept, ledger: &Arc<Ledger>) {
        let bytes = match &kept {
            Kept::Plan(_) | Kept::NoPlan => plan_bytes(key.text),
            // The plan is the template's; strings among the literals are no longer than the text.
            Kept::Literals(_, literals) => {
                (2 * key.text.len() + size_of::<Entry>() + size_of_val(&**literals)) as u64
            }
        };
        let Ok(memory) = ledger.reserve(Owner::Cache, bytes) else {
            return;
        };
        self.remove(key);
        if self.entries.len() >= ENTRIES_MAX {
            self.drop_oldest();
        }
        self.clock += 1;
        let entry = Entry {
            text: key.text.into(),
            hash: key.hash,
            kept,
            used_at: self.clock,
            memory,
        };
        self.entries
            .insert_unique(key.hash, entry, |entry| entry.hash);
        self.show_size();
    }

    /// Forgets all plans, and with them the tables they name.
    pub(in crate::session) fn clear(&mut self) {
        self.entries.clear();
        self.basis = None;
        self.show_size();
    }

    /// Whether a template has come lately; it is remembered.
    pub(in crate::session) fn was_template_seen(&mut self, key: Key<'_>) -> bool {
        self.seen_templates.note(key)
    }

    fn drop_oldest(&mut self) {
        let oldest = self.entries.iter().map(|entry| entry.used_at).min();
        self.entries.retain(|entry| Some(entry.used_at) != oldest);
    }
}
