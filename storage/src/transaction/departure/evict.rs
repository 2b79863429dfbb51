//! Eviction: a cache gives up rows until it is within its bounds.
//!
//! ```text
//!   INSERT of row 1,000,001      a transaction of the user    [ insert ........................ ] commit
//!   over max_rows                one of the system                   [ delete 0:7, 0:9, 2:4 ] commit
//! ```
//!
//! 1. The writer that passes a bound evicts, after its write and before it returns. One thread at a time evicts from a table.
//! 2. Victims ([`crate::table::RowCache`]) are deleted in a transaction of their own, so that the writer's transaction has no
//!    conflict for them, nor has anybody who read them: validation does not hear of it (`TransactionOptions::sweeps`).
//! 3. A row that another transaction is writing is passed over. If there is nothing else, the writer's own rows go: their
//!    insertion is taken back, oldest first.
//! 4. If there are none of these either, the bound is passed by what is locked.
//!
//! **Bytes.** A table is measured when a 64th of the bound was written to it since the last time. It is charged with its
//! blocks and indexes, but not with rows that are deleted and kept for an older snapshot. Blocks with many dead rows are
//! built anew first, as under memory pressure (`relief`); only then are rows given up. Pages of the pool that nobody has by
//! then go back to the system.

use crate::catalog::{Eviction, IndexEntry, TableDef, TableEntry};
use crate::error::{Error, Result};
use crate::ids::{RowId, Timestamp};
use crate::index::Key;
use crate::maintenance::{Compacted, Wish};
use crate::mvcc::{Operation, Registration, Resolved};
use crate::succinct::NO_USE;
use crate::table::{CacheBytes, DEAD_PERCENT, EvictionPolicy, RowCache, Victim, Victims};
use crate::transaction::{
    Core, Durability, Isolation, ReadView, RowRef, Transaction, TransactionOptions,
};
use crate::value::ValueRef;
use crate::wal::row_bytes_max;
use crate::write_set::{Write, WriteKind};
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::convert::Infallible;
use std::sync::Arc;

/// The part of a bound that is freed at a time, beside what is above it.
const BATCH_PART: u64 = 128;
/// Rows that are freed at a time at most, beside those above the bound.
const BATCH_MAX: u64 = 256;
/// Victims that are being written before an eviction gives up.
const TRIES: usize = 64;
/// Rows that one transaction of the system deletes.
const ROWS_MAX: u64 = 4096;
/// The part of `max_bytes` that is written between two measurements.
const MEASURED_PART: u64 = 64;
/// The part of `max_bytes` that rows are kept out of: for what is deleted and not collected yet, and for what the process
/// takes beside what the ledger counts.
const MARGIN_PART: u64 = 8;
/// The part of `max_bytes` that pages of nobody take at most.
const IDLE_PART: u64 = 64;
/// The part of a cache's rows that is given up at a time where memory is scarce.
const SHRINK_PART: u64 = 8;
/// How long rows that have expired are not looked for again, in microseconds.
const EXPIRED_EVERY: i64 = 1_000_000;
/// Rows that have expired and are found at a time.
const EXPIRED_MAX: usize = 1 << 16;
/// The part of the rows that is chosen at a time by when they expire.
const TTL_PART: u64 = 16;

impl Transaction {
    /// Makes a table with rows what its new definition says of bounds; nobody else writes to it. Where that is undone, its rows
    /// go on being counted.
    pub(in crate::transaction) fn begin_bounds(&self, table: &Arc<TableEntry>, def: &TableDef) {
        let rows = &table.rows;
        let eviction = def.eviction.as_ref().filter(|_| rows.cache().is_none());
        let is_counted = def.bound.is_none() || rows.count().is_some();
        if eviction.is_none() && is_counted {
            return;
        }
        match eviction {
            Some(eviction) => rows.begin_cache(eviction.policy, eviction.max_bytes),
            None => drop(rows.begin_count()),
        }
        rows.count_anew(self.rows_to_count(table), &self.registration.enter());
    }

    /// The rows of a table that this transaction sees, with those that it has deleted: they are counted off at its commit.
    fn rows_to_count(&self, table: &Arc<TableEntry>) -> u64 {
        let mut rows = 0;
        let Ok(()) = self.view().unrecorded().for_each_row(table, |_, _| {
            rows += 1;
            Ok::<(), Infallible>(())
        });
        let same = |write: &Write| Arc::ptr_eq(&self.set.entry(write).rows, &table.rows);
        let deleted = self
            .set
            .iter()
            .filter(|write| write.kind == WriteKind::Delete && same(write));
        rows + deleted.count() as u64
    }

    /// Does what a cache does about a row that was inserted into it: marks it, and makes room.
    ///
    /// # Errors
    /// `LimitExceeded` where the row is larger than the bound; those of a commit.
    #[inline(never)]
    pub(in crate::transaction) fn cache_row(
        &mut self,
        table: &Arc<TableEntry>,
        row: RowId,
        values: &[ValueRef<'_>],
    ) -> Result<()> {
        let Some(cache) = table.rows.cache() else {
            return Ok(());
        };
        let hashes = match cache.counts_keys() {
            true => key_hashes(table, cache, |index, key| {
                index.encode_new(key, &table.def, values)
            }),
            false => KeyHashes::new(),
        };
        table.rows.mark_new(row, hashes, &self.registration.enter());
        self.make_room(table, values.iter().copied())
    }

    /// Gives up rows where a write of these values has passed a bound.
    ///
    /// # Errors
    /// As [`Self::cache_row`].
    pub(in crate::transaction) fn make_room<'v>(
        &mut self,
        table: &Arc<TableEntry>,
        values: impl Iterator<Item = ValueRef<'v>>,
    ) -> Result<()> {
        let (Some(cache), Some(bounds)) = (table.rows.cache(), &table.def.eviction) else {
            return Ok(());
        };
        let bytes = row_bytes_max(values) as u64;
        let is_due = match bounds.max_bytes {
            Some(max) if bytes > max => {
                return Err(Error::LimitExceeded {
                    what: "size of a row",
                    found: bytes,
                    limit: max,
                });
            }
            Some(max) => cache.note_bytes(bytes) >= max / MEASURED_PART,
            None => false,
        };
        if is_due || bounds.max_rows.is_some_and(|max| cache.rows() > max) {
            self.evict(table, cache, bounds)?;
        }
        Ok(())
    }

    #[cold]
    fn evict(
        &mut self,
        table: &Arc<TableEntry>,
        cache: &RowCache,
        bounds: &Eviction,
    ) -> Result<()> {
        let core = Arc::clone(&self.core);
        let mut victims = cache.victims();
        let evictor = Evictor {
            core: &core,
            registration: self.registration.clone(),
            table,
            cache,
            bounds,
            now: self.time.unwrap_or_else(|| core.time.settled()),
        };
        loop {
            let wanted = evictor.excess().min(ROWS_MAX);
            if wanted == 0 {
                return Ok(());
            }
            let evicted = match cache.is_uncommitted() {
                true => None,
                false => evictor.evict(&mut victims, wanted)?,
            };
            // Its next command sees what became of its rows.
            self.departures.get_or_insert_default().extend(evicted);
            if evicted.is_none() && self.take_back_own(table, wanted) == 0 {
                return Ok(());
            }
        }
    }

    /// Takes back insertions of this transaction, oldest first, but for the last one; returns how many.
    fn take_back_own(&mut self, table: &Arc<TableEntry>, wanted: u64) -> u64 {
        let Some(number) = self.set.find(table) else {
            return 0;
        };
        let core = Arc::clone(&self.core);
        let mut collector = core.collector();
        let (mut at, mut taken) = (self.set.taken_back_to(number), 0);
        let last = self.set.entries().len().saturating_sub(1);
        while at < last && taken < wanted {
            let write = self.set.entries()[at];
            if write.table == number
                && write.kind == WriteKind::Insert
                && self.is_bare(table, &write)
            {
                let operation = self.registration.enter();
                if self.records() {
                    self.note_undone(table, &write, &operation);
                }
                collector.undo(table, &table.indexes, &write, &operation);
                self.set.take_back(at);
                if let (Some(count), Some(cache)) = (table.rows.count(), table.rows.cache()) {
                    count.note_undo();
                    cache.note_evicted(1);
                }
                taken += 1;
            }
            at += 1;
        }
        self.set.note_taken_back(number, at);
        taken
    }

    /// Whether an insertion is all that happened to its row.
    fn is_bare(&self, table: &TableEntry, write: &Write) -> bool {
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        let place = table.rows.place(write.row, &operation);
        place.is_some_and(|(block, slot)| {
            let newest = block.newest(slot, &operation);
            let resolved = viewpoint.resolve(|| newest.stamp());
            newest.is_base() && matches!(resolved, Resolved::Own(_))
        })
    }
}

/// One eviction from a table.
struct Evictor<'e> {
    core: &'e Arc<Core>,
    /// Of the writer.
    registration: Registration,
    table: &'e Arc<TableEntry>,
    cache: &'e RowCache,
    bounds: &'e Eviction,
    now: i64,
}

/// The victims of an eviction.
#[derive(Default)]
struct Found {
    /// Victims that are deleted, with the hashes of their keys.
    gone: Vec<(Victim, KeyHashes)>,
    /// Victims that are being written, and stay.
    stays: Vec<Victim>,
}

impl Evictor<'_> {
    /// How many rows are to go.
    fn excess(&self) -> u64 {
        let rows = self.cache.rows();
        let by_rows = self.bounds.max_rows.map_or(0, |max| match rows {
            rows if rows > max => rows - max + (max / BATCH_PART).min(BATCH_MAX),
            _ => 0,
        });
        by_rows.max(self.bounds.max_bytes.map_or(0, |max| self.rows_beyond(max)))
    }

    /// How many rows are to go so that the table is charged with no more than so many bytes.
    fn rows_beyond(&self, max: u64) -> u64 {
        let measure = || measure(self.table, self.cache, &self.registration.enter());
        let mut measured = measure();
        let max = max - max / MARGIN_PART;
        if measured.charged > max && measured.has_dead_rows {
            self.core.compact_cache(self.table);
            measured = measure();
        }
        self.cache.note_measured();
        // Blocks come and go: without this the process would be a fifth larger than what it is charged with.
        self.core.pool.purge_beyond(max / IDLE_PART);
        if measured.charged <= max {
            return 0;
        }
        let rows = self.cache.rows().max(1);
        let wanted = measured.charged - (max - max / MEASURED_PART);
        wanted / (measured.charged / rows).max(1) + 1
    }

    /// Deletes about so many victims in a transaction of their own; returns when it was committed, `None` where none could
    /// be deleted.
    ///
    /// # Errors
    /// The errors of a commit.
    fn evict(&self, victims: &mut Victims, wanted: u64) -> Result<Option<Timestamp>> {
        let mut tx = self.core.begin_with(TransactionOptions {
            isolation: Isolation::Snapshot,
            durability: Some(Durability::Buffered),
            sweeps: Some(self.table.def.id),
            ..TransactionOptions::default()
        })?;
        tx.begin_command();
        self.find(victims, &tx);
        let mut found = Found::default();
        let deleted = self.delete_some(victims, wanted, &mut tx, &mut found);
        let is_none = found.gone.is_empty();
        let committed = match deleted {
            Ok(()) if is_none => Ok(None),
            Ok(()) => tx.commit().map(|committed| committed.timestamp),
            Err(error) => Err(error),
        };
        match &committed {
            Ok(_) => self.note_gone(&found.gone),
            // They are there still.
            Err(_) => found
                .stays
                .extend(found.gone.iter().map(|(victim, _)| *victim)),
        }
        for victim in found.stays {
            let operation = self.registration.enter();
            self.table
                .rows
                .set_mark(victim.row, victim.mark, &operation);
        }
        committed
    }

    /// Deletes victims until there are as many as are wanted, or too many of them are being written.
    fn delete_some(
        &self,
        victims: &mut Victims,
        wanted: u64,
        tx: &mut Transaction,
        found: &mut Found,
    ) -> Result<()> {
        let rows = &self.table.rows;
        while (found.gone.len() as u64) < wanted && found.stays.len() < TRIES {
            let next = {
                let operation = tx.registration.enter();
                rows.next_victim(self.cache, victims, &operation)
            };
            let Some(victim) = next else {
                break;
            };
            // It is not found again in this eviction.
            rows.set_mark(victim.row, NO_USE, &tx.registration.enter());
            match self.delete(victim, tx) {
                Ok(Some(hashes)) => found.gone.push((victim, hashes)),
                Ok(None) => {}
                Err(error) if error.is_retryable() => found.stays.push(victim),
                Err(error) => {
                    found.stays.push(victim);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn delete(&self, victim: Victim, tx: &mut Transaction) -> Result<Option<KeyHashes>> {
        let mut hashes = KeyHashes::new();
        if self.cache.counts_keys() {
            let read = |row: &RowRef<'_>| {
                key_hashes(self.table, self.cache, |index, key| {
                    index.encode_row(key, row)
                })
            };
            hashes.extend(
                tx.row_to_change(self.table, victim.row, read)
                    .into_iter()
                    .flatten(),
            );
        }
        let is_gone = tx.delete(self.table, victim.row)?;
        Ok(is_gone.then_some(hashes))
    }

    fn note_gone(&self, gone: &[(Victim, KeyHashes)]) {
        for (victim, hashes) in gone {
            self.cache.keep_uses(victim.mark, hashes.iter().copied());
        }
        self.cache.note_evicted(gone.len() as u64);
    }

    /// Finds victims that are told by when they expire.
    fn find(&self, victims: &mut Victims, tx: &Transaction) {
        {
            let operation = tx.registration.enter();
            let rows = &self.table.rows;
            if rows.adopt_policy(
                self.cache,
                (self.bounds.policy, self.bounds.max_bytes),
                &operation,
            ) {
                victims.clear();
            }
        }
        if self.bounds.policy == EvictionPolicy::Ttl {
            if victims.is_empty() {
                let wanted = (self.cache.rows() / TTL_PART).clamp(1, EXPIRED_MAX as u64);
                victims.add(self.soonest(tx, wanted as usize, i64::MAX));
            }
            return;
        }
        let last = victims.expired_at.unwrap_or(i64::MIN);
        if self.table.def.expiry.is_some() && self.now.saturating_sub(last) >= EXPIRED_EVERY {
            victims.expired_at = Some(self.now);
            let expired = self.soonest(tx, EXPIRED_MAX, self.now);
            victims.add_first(expired);
        }
    }

    /// The rows that expire first and not after a moment, so many at most, in order.
    fn soonest(&self, tx: &Transaction, wanted: usize, until: i64) -> Vec<RowId> {
        let Some(expiry) = &self.table.def.expiry else {
            return Vec::new();
        };
        let mut soonest = BinaryHeap::new();
        let view = tx.view().unrecorded();
        let Ok(()) = view.for_each_row(self.table, |row, values| {
            let moment = match values.get(expiry.column) {
                ValueRef::TimestampTz(moment) => moment,
                _ => i64::MAX,
            };
            let is_soon =
                soonest.len() < wanted || soonest.peek().is_some_and(|last| (moment, row) < *last);
            if moment <= until && is_soon {
                soonest.push((moment, row));
                if soonest.len() > wanted {
                    soonest.pop();
                }
            }
            Ok::<(), Infallible>(())
        });
        let sorted = soonest.into_sorted_vec().into_iter();
        sorted.map(|(_, row)| row).collect()
    }
}

/// Hashes of the unique keys of a row.
type KeyHashes = SmallVec<[u64; 2]>;

/// The hashes of the unique keys that `encode` gives; it says whether there is a NULL in one.
fn key_hashes(
    table: &TableEntry,
    cache: &RowCache,
    encode: impl Fn(&IndexEntry, &mut Key) -> bool,
) -> KeyHashes {
    let unique = table.indexes.iter().filter(|index| index.def.unique);
    let hashes = unique.filter_map(|index| {
        let mut key = Key::new();
        let has_null = encode(index, &mut key);
        (!has_null).then(|| cache.hash(&key))
    });
    hashes.collect()
}

impl ReadView {
    /// Measures a cache.
    pub fn measure_cache(&self, table: &TableEntry, cache: &RowCache) -> CacheBytes {
        measure(table, cache, &self.enter())
    }
}

fn measure(table: &TableEntry, cache: &RowCache, proof: &Operation<'_>) -> CacheBytes {
    let blocks = table.rows.cache_bytes(proof);
    let indexes = table.all_indexes();
    let part = |index: &Arc<IndexEntry>| {
        // Entries of rows that are not collected yet are charged to the snapshots that keep them.
        let entries = (index.index.len() as u64).max(1);
        index.bytes() * cache.rows().min(entries) / entries
    };
    let indexes = indexes.iter().map(part).sum::<u64>();
    CacheBytes {
        charged: blocks.charged + indexes + cache.bytes(),
        live: blocks.live + indexes,
        ..blocks
    }
}

impl Core {
    /// Gives up rows of a cache until it is within its bounds: those that were set since its last write.
    ///
    /// # Errors
    /// The errors of a commit.
    pub fn trim_cache(self: &Arc<Self>, table: &Arc<TableEntry>) -> Result<()> {
        let (Some(cache), Some(bounds)) = (table.rows.cache(), &table.def.eviction) else {
            return Ok(());
        };
        let mut victims = cache.victims();
        let evictor = Evictor {
            core: self,
            registration: self.timeline.register()?,
            table,
            cache,
            bounds,
            now: self.time.settled(),
        };
        loop {
            let wanted = evictor.excess().min(ROWS_MAX);
            if wanted == 0 || evictor.evict(&mut victims, wanted)?.is_none() {
                return Ok(());
            }
        }
    }

    /// Gives up a part of the rows of the cache that is the first to shrink where memory is scarce; returns whether one could.
    pub(in crate::transaction) fn shrink_cache(self: &Arc<Self>) -> bool {
        let catalog = self.catalog();
        let caches = catalog.tables().filter_map(|table| {
            let (cache, bounds) = (table.rows.cache()?, table.def.eviction.as_ref()?);
            (!cache.is_uncommitted()).then_some((table, cache, bounds))
        });
        let mut caches: Vec<_> = caches.collect();
        caches.sort_by_key(|(_, cache, bounds)| (bounds.priority, Reverse(cache.rows())));
        caches.into_iter().any(|(table, cache, bounds)| {
            // The thread that holds them evicts already, and may wait for the relief.
            let Some(mut victims) = cache.try_victims() else {
                return false;
            };
            let Ok(registration) = self.timeline.register() else {
                return false;
            };
            let evictor = Evictor {
                core: self,
                registration,
                table,
                cache,
                bounds,
                now: self.time.settled(),
            };
            let wanted = (cache.rows() / SHRINK_PART).clamp(1, ROWS_MAX);
            matches!(evictor.evict(&mut victims, wanted), Ok(Some(_)))
        })
    }

    /// Builds the blocks of a cache anew that lost many of their rows.
    fn compact_cache(&self, table: &TableEntry) {
        self.collect_round();
        let percent = DEAD_PERCENT;
        let lost = self.collector().lost_blocks(&table.rows, percent);
        let mut sum = Compacted::default();
        for (_, number) in lost {
            let wish = Wish::Lost {
                percent,
                horizon: self.timeline.horizon(),
            };
            let queues = (&self.garbage, &self.catalog);
            // A block that there is no memory for stays as it is.
            let _ = self
                .collector()
                .compact_one(&table.rows, number, wish, queues, &mut sum);
        }
    }
}
