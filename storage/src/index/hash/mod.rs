//! The hash index: points only.
//!
//! Keys are not kept. An entry is an [`Identity`](identity), 39 bits of the key's hash, and the
//! row, ten bytes in all; six of them and a control word fill a cache line, two lines a bucket.
//!
//! ```text
//!  key --hash--> identity --low bits--> bucket: | control | 6 tags | 6 words |
//!                                               | chained | 6 tags | 6 words |
//!                                                  more than twelve: link \
//!                      | chained | 6 tags | 6 words | <-------------------'
//! ```
//!
//! 1. A look-up hashes, loads two lines at a time (one in ten a third after them), and compares
//!    identities. It takes no lock and writes nothing but its epoch; if it finds nothing and
//!    something moved under it, it looks again ([`line`]).
//! 2. The number of buckets is any number, and grows and shrinks by one ([`directory`], [`resize`]).
//!    Which bucket an entry goes to is in its identity: keys are not needed.
//! 3. An identity of many rows is kept in an ordered index ([`heavy`]).
//!
//! With nine entries a bucket on average, three quarters of its slots, a tenth of the entries are in
//! chained lines: 16 bytes an entry.
//!
//! What follows from not keeping keys
//! - A look-up may name rows that have another key: once in 2^39 times the number of entries, and
//!   when an entry comes or goes meanwhile. Readers look at the row in any case.
//! - Two keys of one identity are one. A row that has, or had, both has one entry, which must stay
//!   until neither is wanted: [`super::Index::same_entry`].
//!
//! The hash is seeded at random for each index: no one can choose keys that collide.
//!
//! Invariants
//! - An entry that is there throughout a look-up is found by it.
//! - An insert that fails changed nothing; a removal never fails and never needs memory.
//! - No latch is held after a call returned; inside, the resizing lock comes before latches, the
//!   lower bucket's latch before the higher's.

mod chain;
mod directory;
mod evacuate;
mod heavy;
mod identity;
mod line;
mod read;
mod resize;

#[cfg(all(test, feature = "shuttle"))]
mod models;
#[cfg(test)]
pub(crate) mod tests;

pub use identity::ROWS_MAX;

use super::batch::{Batch, STRETCH};
use super::counter::Counter;
use super::memory::Memory;
use crate::error::Result;
use crate::ids::RowId;
use crate::index::TOGETHER;
use crate::mvcc::epoch::{Guard, pin};
use crate::pool::{Claim, Owner, Pool, Reservation};
use crate::stop::Stop;
use crate::sync::{Backoff, Mutex};
use chain::{Chain, Search};
use directory::{BUCKETS_MIN, Directory, bucket_of};
use hashbrown::DefaultHashBuilder;
use heavy::{Heavy, LIGHT_ROWS_MAX};
use identity::{Entry, Identity};
use line::Latch;
use resize::Scratch;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// What an entry takes on average, with the slots that are free.
const ENTRY_BYTES: u64 = 16;

/// Entries by hash.
pub struct HashIndex {
    hasher: DefaultHashBuilder,
    directory: Directory,
    /// Entries in buckets.
    light: Counter,
    heavy: Heavy,
    resizing: Mutex<Scratch>,
    memory: Arc<Memory>,
    /// For this struct itself.
    own: Reservation,
    #[cfg(test)]
    identity_bits: u32,
}

impl HashIndex {
    pub(super) fn new(claim: Claim, pool: &Arc<Pool>) -> Result<Self> {
        let bytes = size_of::<Self>() as u64;
        let own = pool.ledger().reserve_for(claim, Owner::Index, bytes)?;
        let memory = Arc::new(Memory::new(pool));
        let directory = Directory::new(claim, &memory)?;
        let index = Self {
            hasher: DefaultHashBuilder::default(),
            directory,
            light: Counter::default(),
            heavy: Heavy::default(),
            resizing: Mutex::default(),
            memory,
            own,
            #[cfg(test)]
            identity_bits: tests::identity_bits(),
        };
        index.open_first_buckets();
        Ok(index)
    }

    fn open_first_buckets(&self) {
        let guard = pin();
        for number in 0..BUCKETS_MIN {
            let root = self.directory.bucket(number, &guard);
            let mut latch = Latch::take(root.expect("the first buckets are open"));
            latch.change();
            latch.set_live(true);
        }
        self.directory.set_buckets(BUCKETS_MIN);
    }

    #[inline(always)]
    fn identity(&self, key: &[u8]) -> Identity {
        let identity = Identity::of(&self.hasher, key);
        #[cfg(test)]
        let identity = identity.weakened(self.identity_bits);
        identity
    }

    /// A number that is the same for keys that are one to this index.
    pub(super) fn identity_of(&self, key: &[u8]) -> u64 {
        self.identity(key).bits()
    }

    pub(super) fn insert(&self, key: &[u8], row: RowId) -> Result<()> {
        self.add(key, row, false).map(drop)
    }

    /// Adds the entries of a batch, unless the ledger could not grant them.
    pub(super) fn fill_from(&self, batch: &Batch, stop: Stop<'_>) -> Result<()> {
        let ledger = self.memory.pool().ledger();
        drop(ledger.reserve(Owner::Index, ENTRY_BYTES * batch.len() as u64)?);
        for (number, (key, row)) in batch.iter().enumerate() {
            if number % (STRETCH / 8) == 0 {
                stop.check()?;
            }
            self.insert(key, row)?;
        }
        Ok(())
    }

    /// Adds the entry if no entry has its identity; whether it did.
    pub(super) fn insert_new(&self, key: &[u8], row: RowId) -> Result<bool> {
        self.add(key, row, true)
    }

    fn add(&self, key: &[u8], row: RowId, only_new: bool) -> Result<bool> {
        let identity = self.identity(key);
        let guard = pin();
        let mut chain = self.latch(identity, &guard);
        match chain.search(identity, row) {
            Search::Found(_) => return Ok(false),
            Search::Heavy(_) | Search::Others(1..) if only_new => return Ok(false),
            Search::Heavy(_) => return self.heavy.insert(identity, row).map(|()| true),
            Search::Others(LIGHT_ROWS_MAX..) => {
                return self.make_heavy(chain, identity, row).map(|()| true);
            }
            Search::Others(_) => chain.add(Entry::new(identity, row), &self.memory)?,
        }
        drop(chain);
        if self.light.add(1) {
            self.resize();
        }
        Ok(true)
    }

    /// Moves the rows of an identity, and one more, from its bucket to where there is room.
    fn make_heavy(&self, mut chain: Chain<'_>, identity: Identity, row: RowId) -> Result<()> {
        let mut rows = vec![row];
        chain.rows_of(identity, &mut rows);
        self.heavy.take_over(identity, &rows, self.memory.pool())?;
        let (mut entries, mut lines) = (Vec::new(), Vec::new());
        chain.copy_to(&mut entries);
        entries.retain(|entry| entry.identity() != identity);
        entries.push(Entry::heavy(identity));
        chain.links_to(&mut lines);
        chain.latch.change();
        chain.rewrite(&entries, &mut lines);
        drop(chain);
        self.retire_lines(lines);
        self.light.add(1 - rows.len() as isize);
        Ok(())
    }

    pub(super) fn remove(&self, key: &[u8], row: RowId) -> bool {
        let identity = self.identity(key);
        let guard = pin();
        let mut chain = self.latch(identity, &guard);
        let line = match chain.search(identity, row) {
            Search::Others(_) => return false,
            Search::Heavy(marker) => {
                let removed = self.heavy.remove(identity, row);
                if let Some(last) = self.heavy.only(identity) {
                    chain.latch.change();
                    self.heavy.remove(identity, last);
                    chain.replace(marker, Entry::new(identity, last));
                    self.light.add(1);
                }
                return removed;
            }
            Search::Found(place) => chain.take(place),
        };
        drop(chain);
        self.retire_lines(line);
        if self.light.add(-1) {
            self.resize();
        }
        true
    }

    /// Latches the bucket of an identity.
    fn latch<'g>(&self, identity: Identity, guard: &'g Guard) -> Chain<'g> {
        let mut backoff = Backoff::default();
        loop {
            let number = bucket_of(identity, self.directory.buckets());
            if let Some(root) = self.directory.bucket(number, guard) {
                root.prefetch();
                let latch = Latch::take(root);
                // It may have been split or merged before; it cannot be now.
                if latch.is_live() && bucket_of(identity, self.directory.buckets()) == number {
                    return Chain { latch };
                }
            }
            backoff.wait();
        }
    }

    #[inline(always)]
    pub(super) fn find_map<T>(
        &self,
        key: &[u8],
        mut visit: impl FnMut(RowId) -> Option<T>,
    ) -> Option<T> {
        // No longer pinned where it is visited: what is called may take its time.
        let identity = self.identity(key);
        let row = self.glance(identity);
        match row.and_then(&mut visit) {
            None => self.find_other(identity, row, visit),
            found => found,
        }
    }

    /// [`Self::find_map`] without what was visited before.
    #[cold]
    fn find_other<T>(
        &self,
        identity: Identity,
        visited: Option<RowId>,
        mut visit: impl FnMut(RowId) -> Option<T>,
    ) -> Option<T> {
        let mut rows = self.read(identity);
        let mut others = rows.sorted().iter().filter(|row| Some(**row) != visited);
        others.find_map(|row| visit(*row))
    }

    /// Calls `visit` with the number of a key and a row that it has, key by key: all buckets are asked for first.
    pub(super) fn find_together(&self, keys: &[&[u8]], mut visit: impl FnMut(usize, RowId)) {
        let identities: SmallVec<[Identity; TOGETHER]> =
            keys.iter().map(|key| self.identity(key)).collect();
        {
            let guard = pin();
            for identity in &identities {
                let number = bucket_of(*identity, self.directory.buckets());
                if let Some(root) = self.directory.bucket(number, &guard) {
                    root.prefetch();
                }
            }
        }
        for (at, identity) in identities.into_iter().enumerate() {
            let mut rows = self.read(identity);
            rows.sorted().iter().for_each(|row| visit(at, *row));
        }
    }

    pub(super) fn get(&self, key: &[u8], out: &mut Vec<RowId>) {
        out.extend_from_slice(self.read(self.identity(key)).sorted());
    }

    pub(super) fn len(&self) -> usize {
        self.light.total() + self.heavy.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.own.bytes() + self.memory.bytes() + self.heavy.bytes()
    }
}

impl fmt::Debug for HashIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashIndex")
            .field("entries", &self.len())
            .field("buckets", &self.directory.buckets())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
