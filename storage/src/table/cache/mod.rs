//! Caches: tables that stay within bounds by giving up rows.
//!
//! ```text
//!   blocks     [ block 0          ][ block 1          ][ block 2          ]
//!   marks      [ 7 7 3 0 7 4 .. ]  [ 9 9 7 9 .. ]      [ 12 12 .. ]            a byte a slot
//!                    |
//!   pass       ranks counted, the lowest taken:    victims  [ 0:2 ][ 0:5 ] ..  a 64th of the rows
//!   eviction   the next victims whose mark is still the same go
//! ```
//!
//! 1. Each row has a *use mark* beside its block ([`crate::succinct::Uses`]). A look-up by a full unique key sets the mark; scans
//!    do not. A mark that stays the same is not written, so that readers of a hot row share its line.
//! 2. *Victims* are found by a pass over the marks, for a 64th of the rows at a time, so that an eviction looks at 64 marks.
//!    A victim that was used since the pass is passed over.
//! 3. The counter of rows is that of bounds ([`RowCount`]): a deletion makes room when it commits.
//!
//! The meaning of a mark depends on the policy ([`EvictionPolicy`]):
//!
//! - `lru`, `fifo`: the *epoch* in which the row was used or inserted. There are 255 in a circle; one lasts for a 64th of the
//!   rows to be inserted, so that the order of rows is that of exact LRU up to a 64th of the cache. CLOCK (Corbato, 1968), which keeps
//!   one bit, would forget new rows too early here: rows are appended, and not put where the victim was.
//! - `lfu`: one more than the number of uses, up to 15, halved after ten look-ups for each row. A row begins with what is
//!   known of its key (`frequency`, W-TinyLFU). Of rows used equally often the newest goes first, except for those
//!   that came since the last pass: an established row is not given up for a newcomer that was asked for no more often.
//! - `random`: marks say only that there is a row.
//! - `ttl`: victims are found by reading the column (`transaction`).

mod frequency;
mod policy;
mod victims;

pub use policy::EvictionPolicy;
pub use victims::{Victim, Victims};

use super::RowCount;
use crate::block::{Block, BlockLimits};
use crate::ids::{RowId, Slot};
use crate::index::Counter;
use crate::mvcc::{Operation, OwnerId};
use crate::pool::{Ledger, Owner, Reservation};
use crate::succinct::NO_USE;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use crate::sync::{Mutex, MutexGuard, RwLock};
use frequency::{FREQUENCY_MAX, Frequency};
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Epochs that a cache's insertions make while all of its rows are replaced.
const EPOCHS: u64 = 64;
/// An epoch that lasts no longer than so many insertions ends by uses, too.
const SHORT_EPOCH: u32 = 4;
/// Epochs after which old marks are drawn together, before the circle is full.
const EPOCHS_UNTIL_PASS: u8 = 120;
/// The greatest age that a mark is left with then.
const AGE_MAX: u8 = 127;
/// Look-ups for each row after which frequencies are halved.
const LOOKUPS_A_ROW: u64 = 10;
/// Part of the rows that a pass finds victims among.
const PASS_PART: u64 = 64;
/// Blocks that the strings of a full cache are spread over at least, so that one can be built anew without much of the rest.
const BLOCKS_MIN: u64 = 48;
/// A block has room for so many bytes of rows and of strings at least.
const BLOCK_BYTES_MIN: u64 = 8 << 10;
/// Slots of a block, at least.
const BLOCK_ROWS_MIN: usize = 64;
/// A block is worth building anew when so many of its rows are dead, in percent.
pub const DEAD_PERCENT: usize = 20;
/// Victims that a pass finds at most.
const PASS_MAX: u64 = 1 << 16;

/// Counts and marks of a table that is a cache.
#[derive(Debug, Default)]
pub struct RowCache {
    policy: AtomicU8,
    count: Arc<RowCount>,
    epoch: Epoch,
    hits: Counter,
    misses: Counter,
    evicted: AtomicU64,
    /// Look-ups when frequencies were halved last.
    halved_at: AtomicU64,
    frequency: RwLock<Option<(Frequency, Reservation)>>,
    /// Bytes that were written since the table was measured.
    unmeasured: AtomicU64,
    hasher: DefaultHashBuilder,
    /// The bound in bytes; 0 where there is none.
    max_bytes: AtomicU64,
    /// Rows of the last block when it was full; 0 where none was.
    block_rows: AtomicU64,
    /// Held by the thread that evicts.
    victims: Mutex<Victims>,
}

/// The circle of marks under `lru` and `fifo`.
#[derive(Debug)]
struct Epoch {
    mark: AtomicU8,
    /// Insertions since it began.
    ticks: AtomicU32,
    /// Insertions that it lasts for.
    length: AtomicU32,
    /// Epochs since old marks were drawn together.
    since_pass: AtomicU8,
}

impl Default for Epoch {
    fn default() -> Self {
        Self {
            mark: AtomicU8::new(1),
            ticks: AtomicU32::new(0),
            length: AtomicU32::new(1),
            since_pass: AtomicU8::new(0),
        }
    }
}

impl Epoch {
    /// Marks are from 1 to 255; how many epochs ago one was set.
    fn age(&self, mark: u8) -> u8 {
        let now = self.mark.load(Relaxed);
        match now >= mark {
            true => now - mark,
            false => now + (u8::MAX - mark),
        }
    }

    /// The mark of an epoch so long ago.
    fn mark_of(&self, age: u8) -> u8 {
        let now = self.mark.load(Relaxed);
        match now > age {
            true => now - age,
            false => u8::MAX - (age - now),
        }
    }

    /// Counts an insertion; returns whether the epoch is over.
    fn tick(&self) -> bool {
        // Relaxed: two threads that end one epoch together make it shorter or longer, which does no harm.
        let ticks = self.ticks.fetch_add(1, Relaxed) + 1;
        ticks >= self.length.load(Relaxed)
    }

    /// Begins the next epoch, unless old marks are to be drawn together before.
    fn advance(&self) -> bool {
        if self.since_pass.load(Relaxed) >= EPOCHS_UNTIL_PASS {
            return false;
        }
        self.since_pass.fetch_add(1, Relaxed);
        self.ticks.store(0, Relaxed);
        let now = self.mark.load(Relaxed);
        self.mark.store(now.checked_add(1).unwrap_or(1), Relaxed);
        true
    }
}

/// Bytes that a cache is charged with.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheBytes {
    /// Bytes of blocks and indexes, without what older snapshots keep.
    pub charged: u64,
    /// The part of it that rows take.
    pub live: u64,
    /// Whether there is a block that would be smaller if it were built anew.
    pub has_dead_rows: bool,
}

impl RowCache {
    /// The policy that marks are set by.
    #[inline]
    fn policy(&self) -> EvictionPolicy {
        let number = usize::from(self.policy.load(Relaxed));
        EvictionPolicy::ALL.get(number).copied().unwrap_or_default()
    }

    /// Rows that are committed, and those of running transactions.
    pub fn rows(&self) -> u64 {
        self.count.rows()
    }

    /// Whether running transactions have inserted all of its rows.
    pub fn is_uncommitted(&self) -> bool {
        self.count.is_uncommitted()
    }

    /// Look-ups by key that found a row, and those that did not.
    pub fn lookups(&self) -> (u64, u64) {
        (self.hits.total() as u64, self.misses.total() as u64)
    }

    /// Rows that were given up since the table was opened.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    /// Notes rows that were given up.
    pub fn note_evicted(&self, rows: u64) {
        self.evicted.fetch_add(rows, Relaxed);
    }

    /// Counts bytes that were written; returns how many were since the table was measured.
    pub fn note_bytes(&self, bytes: u64) -> u64 {
        self.unmeasured.fetch_add(bytes, Relaxed) + bytes
    }

    /// Notes that the table is measured now.
    pub fn note_measured(&self) {
        self.unmeasured.store(0, Relaxed);
    }

    /// Marks a row that was found by its key, by the owner of a slot; returns whether an epoch is over.
    #[inline]
    fn note_hit(&self, block: &Block, slot: Slot, owner: OwnerId) -> bool {
        self.hits.add_in(owner.number());
        let Some(uses) = block.uses() else {
            return false;
        };
        match self.policy() {
            EvictionPolicy::Lru => {
                let is_new = uses.set(slot, self.epoch.mark.load(Relaxed));
                is_new && self.epoch.length.load(Relaxed) <= SHORT_EPOCH && self.epoch.tick()
            }
            EvictionPolicy::Lfu => {
                let mark = uses.get(slot);
                if (1..=FREQUENCY_MAX).contains(&mark) {
                    uses.set(slot, mark + 1);
                }
                false
            }
            EvictionPolicy::Fifo | EvictionPolicy::Random | EvictionPolicy::Ttl => false,
        }
    }

    /// Counts a look-up that found nothing; `hash` gives the hash of the key.
    pub fn note_miss(&self, hash: impl FnOnce() -> u64) {
        self.misses.add(1);
        if self.policy() == EvictionPolicy::Lfu
            && let Some((frequency, _)) = &*self.frequency.read()
        {
            frequency.add(hash());
        }
    }

    /// Marks a row that was inserted; `hashes` gives the hashes of its unique keys. Returns whether an epoch is over.
    pub fn mark_new(
        &self,
        block: &Block,
        slot: Slot,
        hashes: impl IntoIterator<Item = u64>,
    ) -> bool {
        if block.uses().is_none() {
            // There are rows before this one where there was no memory for marks when they came.
            self.mark_unknown(block);
        }
        let Some(uses) = block.uses() else {
            return false;
        };
        let is_counted = self.policy() == EvictionPolicy::Lfu;
        uses.set(
            slot,
            match is_counted {
                true => self.known_uses(hashes).max(1) + 1,
                false => self.epoch.mark.load(Relaxed),
            },
        );
        !is_counted && self.epoch.tick()
    }

    fn known_uses(&self, hashes: impl IntoIterator<Item = u64>) -> u8 {
        match &*self.frequency.read() {
            Some((frequency, _)) => {
                let counts = hashes.into_iter().map(|hash| frequency.estimate(hash));
                counts.max().unwrap_or(0)
            }
            None => 0,
        }
    }

    /// Whether the uses of keys are counted, also of those that have no row.
    pub fn counts_keys(&self) -> bool {
        self.policy() == EvictionPolicy::Lfu
    }

    /// Keeps what is known of a row that goes; `hashes` gives the hashes of its unique keys.
    pub fn keep_uses(&self, mark: u8, hashes: impl IntoIterator<Item = u64>) {
        if let Some((frequency, _)) = &*self.frequency.read() {
            for hash in hashes {
                frequency.raise(hash, mark.saturating_sub(1));
            }
        }
    }

    /// The hash of a key.
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Bytes of what is known of keys without rows.
    pub fn bytes(&self) -> u64 {
        let frequency = self.frequency.read();
        frequency.as_ref().map_or(0, |(_, memory)| memory.bytes())
    }

    /// Notes how many rows a block had when it was full.
    pub(super) fn note_block_rows(&self, rows: usize) {
        self.block_rows.store(rows as u64, Relaxed);
    }

    /// The bounds of new blocks, with rows of so many bytes. Under a bound in bytes they are small parts of it, and have slots
    /// for twice as many rows as the last one had.
    pub(super) fn block_limits(&self, row_bytes: usize) -> BlockLimits {
        let (bytes, rows) = (self.max_bytes.load(Relaxed), self.block_rows.load(Relaxed));
        if bytes == 0 {
            return BlockLimits::default();
        }
        let part = (bytes / BLOCKS_MIN).max(BLOCK_BYTES_MIN) as usize;
        let fitting = part / row_bytes;
        let slots = match rows {
            0 => fitting,
            rows => fitting.min(2 * rows as usize),
        };
        BlockLimits {
            // Powers of two leave no gaps between them.
            string_bytes: Some(1 << part.ilog2()),
            slots: Some(slots.max(BLOCK_ROWS_MIN)),
        }
    }

    /// The victims, to be evicted by the caller alone.
    pub fn victims(&self) -> MutexGuard<'_, Victims> {
        self.victims.lock()
    }

    /// As [`Self::victims`], unless another thread evicts.
    pub fn try_victims(&self) -> Option<MutexGuard<'_, Victims>> {
        self.victims.try_lock()
    }

    /// A random number, another one for each `nth`.
    fn random(&self, nth: u64) -> u64 {
        self.hasher.hash_one(nth)
    }

    /// How many victims a pass is to find.
    fn pass_rows(&self) -> usize {
        (self.rows() / PASS_PART).clamp(1, PASS_MAX) as usize
    }

    /// Goes over to a policy and a bound; returns whether the policy was another one.
    fn adopt(&self, policy: EvictionPolicy, max_bytes: Option<u64>) -> bool {
        self.max_bytes.store(max_bytes.unwrap_or(0), Relaxed);
        let number = policy as u8;
        self.policy.swap(number, Relaxed) != number
    }

    /// Sets the length of epochs, draws old marks together, and halves frequencies where that is due.
    fn tidy(&self, blocks: &[&Block], ledger: &Arc<Ledger>) {
        let rows = self.rows();
        let length = (rows / EPOCHS).clamp(1, u32::MAX.into());
        self.epoch.length.store(length as u32, Relaxed);
        let change_all = |change: &dyn Fn(u8) -> u8| {
            let marked = blocks.iter().filter_map(|block| block.uses());
            marked.for_each(|uses| uses.change_all(change));
        };
        match self.policy() {
            EvictionPolicy::Lfu => {
                let (hits, misses) = self.lookups();
                let lookups = hits + misses;
                if lookups.wrapping_sub(self.halved_at.load(Relaxed)) >= LOOKUPS_A_ROW * rows.max(1)
                {
                    self.halved_at.store(lookups, Relaxed);
                    change_all(&|mark| mark.div_ceil(2));
                    if let Some((frequency, _)) = &*self.frequency.read() {
                        frequency.halve();
                    }
                }
                self.resize_frequency(rows as usize, ledger);
            }
            _ if self.epoch.since_pass.load(Relaxed) >= EPOCHS_UNTIL_PASS / 2 => {
                let oldest = self.epoch.mark_of(AGE_MAX);
                change_all(&|mark| match mark {
                    NO_USE => NO_USE,
                    mark if self.epoch.age(mark) > AGE_MAX => oldest,
                    mark => mark,
                });
                self.epoch.since_pass.store(0, Relaxed);
            }
            _ => {}
        }
    }

    fn resize_frequency(&self, rows: usize, ledger: &Arc<Ledger>) {
        let is_small = |known: &Option<(Frequency, Reservation)>| {
            known
                .as_ref()
                .is_none_or(|(known, _)| known.is_small_for(rows))
        };
        if !is_small(&self.frequency.read()) {
            return;
        }
        // Without memory for it a newcomer begins as if it had never been asked for.
        if let Ok(memory) = ledger.reserve(Owner::Table, Frequency::bytes_for(rows)) {
            *self.frequency.write() = Some((Frequency::new(rows), memory));
        }
    }

    /// Marks the rows of a block as those of whose use nothing is known, which go first.
    fn mark_unknown(&self, block: &Block) {
        let unknown = match self.policy() {
            EvictionPolicy::Lru | EvictionPolicy::Fifo => self.epoch.mark_of(AGE_MAX),
            EvictionPolicy::Lfu | EvictionPolicy::Random | EvictionPolicy::Ttl => 1,
        };
        if let Ok(uses) = block.add_uses() {
            for slot in 0..block.claimed() {
                let is_dead = block.is_dead_slot(slot);
                uses.set(Slot(slot as u16), if is_dead { NO_USE } else { unknown });
            }
        }
    }

    /// Marks all rows as those of whose use nothing is known.
    fn forget_uses(&self, blocks: &[&Block], ledger: &Arc<Ledger>) {
        blocks.iter().for_each(|block| self.mark_unknown(block));
        self.tidy(blocks, ledger);
    }

    /// Ranks a mark: rows with the lowest rank go first.
    fn rank(&self, mark: u8) -> u8 {
        match self.policy() {
            EvictionPolicy::Lru | EvictionPolicy::Fifo => u8::MAX - self.epoch.age(mark),
            EvictionPolicy::Lfu => mark,
            EvictionPolicy::Random | EvictionPolicy::Ttl => 1,
        }
    }
}

impl super::Table {
    /// Its counts and marks, if it is a cache.
    #[inline]
    pub fn cache(&self) -> Option<&RowCache> {
        self.cache.get().map(Box::as_ref)
    }

    /// Makes an empty table a cache under a policy, and within so many bytes if there is a bound.
    pub fn begin_cache(&self, policy: EvictionPolicy, max_bytes: Option<u64>) {
        self.cache.get_or_init(|| {
            let cache = RowCache {
                count: Arc::clone(self.begin_count()),
                ..RowCache::default()
            };
            cache.adopt(policy, max_bytes);
            Box::new(cache)
        });
    }

    /// Sets the count of a table that has so many rows, and of whose use nothing is known. Nobody else writes to it.
    pub fn count_anew(&self, rows: u64, proof: &Operation<'_>) {
        if let Some(count) = self.count() {
            count.reset(rows);
        }
        if let Some(cache) = self.cache() {
            cache.forget_uses(&self.blocks_there(proof), self.pool.ledger());
        }
    }

    /// Goes over to a policy, under which marks mean something else, and a bound; returns whether the policy was another one.
    pub fn adopt_policy(
        &self,
        cache: &RowCache,
        (policy, max_bytes): (EvictionPolicy, Option<u64>),
        proof: &Operation<'_>,
    ) -> bool {
        let is_new = cache.adopt(policy, max_bytes);
        if is_new {
            cache.forget_uses(&self.blocks_there(proof), self.pool.ledger());
        }
        is_new
    }

    /// Sets the mark of a row; `NO_USE` for one that cannot be given up.
    pub fn set_mark(&self, row: RowId, mark: u8, proof: &Operation<'_>) {
        let place = self.place(row, proof);
        if let Some((uses, slot)) = place.and_then(|(block, slot)| Some((block.uses()?, slot))) {
            uses.set(slot, mark);
        }
    }

    /// Measures the blocks of a cache: what they are charged with, and what is left of it for rows that are there.
    pub fn cache_bytes(&self, proof: &Operation<'_>) -> CacheBytes {
        let mut sum = CacheBytes::default();
        for block in self.blocks_there(proof) {
            let marked = match block.uses() {
                Some(uses) => uses.iter().filter(|(_, mark)| *mark != NO_USE).count(),
                None => block.claimed(),
            };
            let slots = block.room().min(block.claimed());
            let there = block.claimed().saturating_sub(block.dead_slots());
            // Rows without a mark are deleted. Snapshots keep them, or they are about to be collected.
            let held = there.saturating_sub(marked);
            let part = |of: usize| block.bytes() as u64 * of as u64 / slots.max(1) as u64;
            sum.charged += part(slots.saturating_sub(held));
            sum.live += part(there.min(marked));
            sum.has_dead_rows |= (slots - there.min(slots)) * 100 > slots * DEAD_PERCENT;
        }
        sum
    }

    /// The blocks that there are now.
    fn blocks_there<'a>(&'a self, proof: &'a Operation<'a>) -> Vec<&'a Block> {
        let numbers = self.blocks();
        numbers
            .filter_map(|number| self.directory.get(number)?.get(proof))
            .collect()
    }

    /// Notes a row that was found by its key, if this is a cache.
    #[inline]
    pub fn note_hit(&self, row: RowId, proof: &Operation<'_>) {
        if let Some(cache) = self.cache() {
            self.note_cache_hit(cache, row, proof);
        }
    }

    fn note_cache_hit(&self, cache: &RowCache, row: RowId, proof: &Operation<'_>) {
        if let Some(block) = self.block_of(row, proof)
            && cache.note_hit(block, row.slot(), proof.owner())
        {
            self.end_epoch(cache, proof);
        }
    }

    /// Marks a row that was inserted, if this is a cache.
    pub fn mark_new(
        &self,
        row: RowId,
        hashes: impl IntoIterator<Item = u64>,
        proof: &Operation<'_>,
    ) {
        if let Some(cache) = self.cache()
            && let Some((block, slot)) = self.place(row, proof)
            && cache.mark_new(block, slot, hashes)
        {
            self.end_epoch(cache, proof);
        }
    }

    #[cold]
    fn end_epoch(&self, cache: &RowCache, proof: &Operation<'_>) {
        if !cache.epoch.advance() {
            cache.tidy(&self.blocks_there(proof), self.pool.ledger());
            cache.epoch.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ages are told for as long as marks are drawn together in time, all around the circle.
    #[test]
    fn an_epoch_tells_how_long_ago_a_mark_was_set() {
        let epoch = Epoch::default();
        let mut marks = Vec::new();
        for _ in 0..1000 {
            epoch.since_pass.store(0, Relaxed);
            marks.push(epoch.mark.load(Relaxed));
            let ages = marks.iter().rev().zip(0..=u8::MAX - 1);
            for (mark, age) in ages {
                assert_ne!(*mark, NO_USE);
                assert_eq!((epoch.age(*mark), epoch.mark_of(age)), (age, *mark));
            }
            assert!(epoch.advance());
        }
    }
}
