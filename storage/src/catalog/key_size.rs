//! Sizes of keys: about how many rows have the same values in the first columns of an index.
//!
//! An index knows by a sample of its entries ([`Index::entries_of_key`]). The size that it found is remembered until the
//! number of entries, rounded down to a power of two, is another one than that, its half, or its double.
//!
//! [`Index::entries_of_key`]: crate::index::Index::entries_of_key

use super::definition::IndexDef;
use super::{IndexEntry, TableEntry};
use crate::index::column_len;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Sizes, by the number of columns: 58 bits of size above 6 of the number of entries, as a power of two. No size is 0.
/// Relaxed, because each word is all that it is about.
#[derive(Debug)]
pub(super) struct KeySizes(Box<[AtomicU64]>);

const POWER_BITS: u32 = 6;

impl KeySizes {
    pub(super) fn new(def: &IndexDef) -> Self {
        Self(def.columns.iter().map(|_| AtomicU64::new(0)).collect())
    }

    /// The size that is remembered for the first `columns`, or else found now.
    fn get(
        &self,
        columns: usize,
        entries: usize,
        find: impl FnOnce() -> Option<u64>,
    ) -> Option<u64> {
        let word = self.0.get(columns.checked_sub(1)?)?;
        let power = u64::from(entries.checked_ilog2()?);
        let remembered = word.load(Relaxed);
        let (size, then) = (remembered >> POWER_BITS, remembered % (1 << POWER_BITS));
        if size > 0 && power.abs_diff(then) <= 1 {
            return Some(size);
        }
        let size = find()?.max(1);
        word.store(size << POWER_BITS | power, Relaxed);
        Some(size)
    }
}

impl TableEntry {
    /// About how many rows have the same values in the first `columns` of an index; `None` where the index does not
    /// know: it is empty, a hash index, or its columns are of types with parts.
    pub fn rows_of_key(&self, index: &IndexEntry, columns: usize) -> Option<u64> {
        let len = |key: &[u8]| self.len_of(index, columns, key);
        let entries = index.index.len();
        index
            .key_sizes()
            .get(columns, entries, || index.index.entries_of_key(len))
    }

    /// How many bytes of an index's key are of its first `columns`.
    fn len_of(&self, index: &IndexEntry, columns: usize, key: &[u8]) -> Option<usize> {
        if columns == index.def.columns.len() {
            return Some(key.len());
        }
        let parts = index.def.columns.iter().zip(index.orders());
        parts.take(columns).try_fold(0, |len, (part, order)| {
            let column = &self.def.columns[self.def.position(part.column)?];
            Some(len + column_len(key.get(len..)?, *order, column.data_type)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_found_again_when_entries_are_far_more_or_fewer() {
        let sizes = KeySizes((0..2).map(|_| AtomicU64::new(0)).collect());
        assert_eq!(sizes.get(1, 0, || Some(1)), None, "of no entries");
        assert_eq!(sizes.get(1, 1000, || None), None);
        assert_eq!(sizes.get(1, 1000, || Some(7)), Some(7));
        for near in [256, 1000, 2047] {
            assert_eq!(sizes.get(1, near, || Some(8)), Some(7));
        }
        assert_eq!(sizes.get(2, 1000, || Some(0)), Some(1), "each has its own");
        assert_eq!(sizes.get(1, 2048, || Some(9)), Some(9));
        assert_eq!(sizes.get(1, 300, || Some(5)), Some(5));
        assert_eq!(
            sizes.get(3, 1000, || Some(5)),
            None,
            "there are two columns"
        );
    }
}
