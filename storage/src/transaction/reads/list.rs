//! Reads in the order in which they came, within bounds.

use super::{Columns, Read, What};
use crate::ids::{RowId, TableId};
use crate::pool::{Ledger, Owner, Reservation};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads of one list.
const READS_MAX: usize = if cfg!(test) { 256 } else { 1 << 16 };
/// Bytes that are not reserved for: every transaction may have them.
const FREE_BYTES: u64 = 4096;

/// Reads of a transaction. The first ones lie in place.
#[derive(Debug, Default)]
pub(in crate::transaction) struct ReadList {
    reads: SmallVec<[Read; 2]>,
    /// Tables that were read so much that they count as read whole.
    whole: Vec<TableId>,
    /// What the reads take beside their places here.
    bytes: u64,
    memory: Option<Reservation>,
    /// How often reads were put together or taken back: numbers from before mean nothing any more.
    generation: u32,
}

/// A read that is in the list, as long as it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::transaction) struct Handle {
    generation: u32,
    at: u32,
}

/// How far a list had come.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::transaction) struct ListMark {
    generation: u32,
    len: usize,
}

impl ReadList {
    pub(in crate::transaction) fn mark(&self) -> ListMark {
        ListMark {
            generation: self.generation,
            len: self.reads.len(),
        }
    }

    /// Takes back what has come since, unless it was put together with what was there.
    pub(in crate::transaction) fn cut(&mut self, mark: ListMark) {
        if self.generation == mark.generation && self.reads.len() > mark.len {
            self.generation += 1;
            self.reads.truncate(mark.len);
            self.shrink();
        }
    }

    pub(in crate::transaction) fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    pub(in crate::transaction) fn len(&self) -> usize {
        self.reads.len()
    }

    pub(in crate::transaction) fn into_reads(self) -> impl Iterator<Item = Read> {
        self.reads.into_iter()
    }

    /// Adds one; there is no handle where the whole table is read anyway.
    pub(in crate::transaction) fn push(
        &mut self,
        read: Read,
        ledger: &Arc<Ledger>,
    ) -> Option<Handle> {
        let bytes = read.bytes() as u64;
        let is_full = self.reads.len() == self.reads.capacity();
        if is_full || bytes > 0 {
            return self.push_large(read, bytes, is_full, ledger);
        }
        Some(self.put(read))
    }

    fn put(&mut self, read: Read) -> Handle {
        self.reads.push(read);
        Handle {
            generation: self.generation,
            at: self.reads.len() as u32 - 1,
        }
    }

    /// Adds one that needs memory.
    #[cold]
    fn push_large(
        &mut self,
        read: Read,
        bytes: u64,
        is_full: bool,
        ledger: &Arc<Ledger>,
    ) -> Option<Handle> {
        if self.whole.contains(&read.table) {
            return None;
        }
        let places = self.reads.capacity() * (1 + usize::from(is_full));
        if self.reads.len() >= READS_MAX || !self.reserve(places, self.bytes + bytes, ledger) {
            self.reads.push(read);
            self.put_together();
            self.shrink();
            return None;
        }
        if is_full {
            self.reads.grow(places);
        }
        self.bytes += bytes;
        Some(self.put(read))
    }

    /// Makes room for what a read comes to keep besides.
    pub(in crate::transaction) fn reserve_more(
        &mut self,
        bytes: u64,
        ledger: &Arc<Ledger>,
    ) -> bool {
        let all = self.bytes + bytes;
        let is_granted = bytes == 0 || self.reserve(self.reads.capacity(), all, ledger);
        if is_granted {
            self.bytes = all;
        }
        is_granted
    }

    fn reserve(&mut self, places: usize, bytes: u64, ledger: &Arc<Ledger>) -> bool {
        let wanted = (places * size_of::<Read>()) as u64 + bytes;
        let held = self.memory.as_ref().map_or(FREE_BYTES, Reservation::bytes);
        if wanted <= held {
            return true;
        }
        let wanted = wanted.next_power_of_two();
        match &mut self.memory {
            Some(memory) => memory.resize(wanted).is_ok(),
            none => match ledger.reserve(Owner::Transaction, wanted) {
                Ok(memory) => none.replace(memory).is_none(),
                Err(_) => false,
            },
        }
    }

    /// Makes fewer reads of many, which say the same or more.
    fn put_together(&mut self) {
        self.generation += 1;
        let enough = self.reads.len() / 2;
        self.merge_rows();
        let mut counts: HashMap<TableId, usize> = HashMap::new();
        for read in &self.reads {
            *counts.entry(read.table).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(table, count)| (std::cmp::Reverse(*count), *table));
        let mut left = self.reads.len();
        for (table, count) in counts {
            if left <= enough {
                break;
            }
            left -= count - 1;
            self.reads.retain(|read| read.table != table);
            self.reads.push(Read {
                table,
                columns: Columns::ALL,
                what: What::Table,
            });
            self.whole.push(table);
        }
    }

    /// Makes one read of those of one row.
    fn merge_rows(&mut self) {
        let mut first: HashMap<(TableId, RowId), usize> = HashMap::new();
        let mut kept: SmallVec<[Read; 2]> = SmallVec::new();
        for read in self.reads.drain(..) {
            if let What::Row(row) = read.what {
                if let Some(at) = first.get(&(read.table, row)) {
                    let same: &mut Read = &mut kept[*at];
                    same.columns = same.columns.with(read.columns);
                    continue;
                }
                first.insert((read.table, row), kept.len());
            }
            kept.push(read);
        }
        self.reads = kept;
    }

    /// Gives back what is not needed any more.
    fn shrink(&mut self) {
        self.reads.shrink_to_fit();
        self.bytes = self.reads.iter().map(|read| read.bytes() as u64).sum();
        let wanted = (self.reads.capacity() * size_of::<Read>()) as u64 + self.bytes;
        match &mut self.memory {
            Some(memory) if wanted > FREE_BYTES => memory.shrink(wanted),
            memory => *memory = None,
        }
    }

    pub(in crate::transaction) fn get_mut(&mut self, handle: Handle) -> Option<&mut Read> {
        let is_there = handle.generation == self.generation;
        // A list that a commit has taken is empty; whoever reads on is not asked any more.
        self.reads.get_mut(handle.at as usize).filter(|_| is_there)
    }
}
