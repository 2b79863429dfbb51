//! Batches that several threads gathered, put into one order.
//!
//! ```text
//!   batch 0   [ a c | g m ]     sorted by a thread each
//!   batch 1   [ b   | h z ]
//!             range 0 range 1   cut at the same entries, found in samples: a thread each
//!   merged    [ a b c | g h m z ]
//! ```
//!
//! Heads are those of what follows the bytes that the keys of *all* batches begin with: so they are in
//! order across batches, and most comparisons look at no key.

use super::batch::{Batch, Ranked};
use crate::error::Result;
use crate::parallel;
use crate::pool::{Ledger, Owner, Reservation, reserve_huge};
use crate::stop::Stop;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;
use std::sync::Arc;

/// Entries of a batch that say where to cut.
const SAMPLES: usize = 64;
/// Entries that are worth another thread.
const SHARE_MIN: u64 = 1 << 15;

/// Sorted batches whose entries can be compared.
#[derive(Debug)]
pub(super) struct Merged {
    batches: Vec<Batch>,
}

/// The entries of each batch that go into a range of the result.
type Cuts = Vec<Range<usize>>;

impl Merged {
    /// Sorts the batches, each by a thread of its own.
    pub(super) fn new(batches: Vec<Batch>) -> Result<Self> {
        let Some(first) = batches.iter().find_map(Batch::first_key) else {
            return Ok(Self {
                batches: Vec::new(),
            });
        };
        let common = |batch: &Batch| batch.common_with(first, Stop::NEVER);
        let all: Result<Vec<usize>> = parallel::map(batches.iter().collect(), common)
            .into_iter()
            .collect();
        let common = all?.into_iter().min().unwrap_or(0);
        // One batch alone is sorted by all threads.
        let threads = (parallel::threads() / batches.len()).max(1);
        let sort = |mut batch: Batch| {
            batch.sort_after(common, threads, Stop::NEVER)?;
            Ok(batch)
        };
        let sorted: Result<Vec<Batch>> = parallel::map(batches, sort).into_iter().collect();
        Ok(Self { batches: sorted? })
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }

    /// What `make` makes of all entries, in their order, with the memory for it. Nothing is to be made of
    /// `empty`.
    pub(super) fn collect<'b, T: Copy + Send + 'b>(
        &'b self,
        ledger: &Arc<Ledger>,
        empty: T,
        make: impl Fn(Ranked<'b>) -> T + Sync,
    ) -> Result<(Vec<T>, Reservation)> {
        let bytes = self.len() * size_of::<T>();
        let memory = ledger.reserve(Owner::Index, bytes as u64)?;
        let mut all = Vec::new();
        reserve_huge(&mut all, self.len());
        all.resize(self.len(), empty);
        let (mut left, mut parts) = (&mut all[..], Vec::new());
        for cuts in self.cuts() {
            let len = cuts.iter().map(Range::len).sum();
            let (part, rest) = left.split_at_mut(len);
            parts.push((cuts, part));
            left = rest;
        }
        parallel::map(parts, |(cuts, out)| self.merge(cuts, out, &make));
        Ok((all, memory))
    }

    /// The ranges of the result, of about the same length.
    fn cuts(&self) -> Vec<Cuts> {
        let mut samples: Vec<Ranked<'_>> = Vec::new();
        for batch in &self.batches {
            let at = |sample| sample * batch.len() / SAMPLES;
            samples.extend((0..SAMPLES.min(batch.len())).map(|sample| batch.ranked(at(sample))));
        }
        samples.sort_unstable();
        let parts = parallel::ranges(self.len() as u64, parallel::threads(), SHARE_MIN).len();
        let mut from = vec![0; self.batches.len()];
        let mut cuts = Vec::new();
        for part in 1..=parts {
            let to: Vec<usize> = match samples.get(part * samples.len() / parts) {
                Some(splitter) => self.batches.iter().map(|b| b.before(*splitter)).collect(),
                None => self.batches.iter().map(Batch::len).collect(),
            };
            cuts.push(from.iter().zip(&to).map(|(from, to)| *from..*to).collect());
            from = to;
        }
        cuts
    }

    fn merge<'b, T>(&'b self, cuts: Cuts, out: &mut [T], make: &impl Fn(Ranked<'b>) -> T) {
        let mut left = cuts;
        let mut next = |batch: usize| {
            let at = left[batch].next()?;
            Some(Reverse((self.batches[batch].ranked(at), batch)))
        };
        let mut heap: BinaryHeap<_> = (0..self.batches.len()).filter_map(&mut next).collect();
        for place in out {
            let mut least = heap.peek_mut().expect("as many entries as places");
            let Reverse((entry, batch)) = *least;
            *place = make(entry);
            match next(batch) {
                Some(following) => *least = following,
                None => drop(PeekMut::pop(least)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RowId;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn batches_are_merged_as_one_would_be_sorted(
            keys in prop::collection::vec(prop::collection::vec(97_u8..100, 0..12), 0..300),
            count in 1_usize..5,
        ) {
            let ledger = Ledger::new(64 << 20);
            let mut batches: Vec<Batch> = (0..count).map(|_| Batch::new(&ledger).unwrap()).collect();
            let mut expected = Vec::new();
            for (row, key) in keys.iter().enumerate() {
                let row = RowId(row as u64);
                batches[row.0 as usize * 7 % count].push(key, row, false).unwrap();
                expected.push((key.as_slice(), row));
            }
            expected.sort_unstable();
            let merged = Merged::new(batches).unwrap();
            let empty: (&[u8], RowId) = (&[], RowId(0));
            let all = merged.collect(&ledger, empty, |(_, key, row)| (key, row));
            prop_assert_eq!(all.unwrap().0, expected);
        }
    }

    #[test]
    fn many_entries_are_merged_by_several_threads() {
        let ledger = Ledger::new(1 << 30);
        let mut batches: Vec<Batch> = (0..3).map(|_| Batch::new(&ledger).unwrap()).collect();
        let key = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        for n in 0..200_000 {
            // The last one has few.
            let batch = if n % 1000 == 0 {
                2
            } else {
                (n / 1000 % 2) as usize
            };
            batches[batch].push(&key(n), RowId(n), false).unwrap();
        }
        let merged = Merged::new(batches).unwrap();
        let empty: (&[u8], RowId) = (&[], RowId(0));
        let (all, memory) = merged
            .collect(&ledger, empty, |(_, key, row)| (key, row))
            .unwrap();
        assert_eq!(all.len(), 200_000);
        assert!(all.is_sorted_by(|a, b| a < b));
        assert!(memory.bytes() > 0);
    }
}
