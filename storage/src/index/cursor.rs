//! A scan in progress, and what it returned last.

use super::bytes::KeyBytes;
use super::probe::{Head, put_key};
use crate::ids::RowId;
use std::cmp::Ordering;
use std::ops::Bound;

/// Where a scan of an ordered index stands. It holds no lock and no reference to the index.
#[derive(Clone, Debug)]
pub struct Cursor {
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
    reverse: bool,
    /// The last row given out, of the key that `low` (`high`, if reverse) now names.
    after: Option<RowId>,
    done: bool,
}

impl Cursor {
    /// A scan of the keys between two bounds, in key order or, if `reverse`, against it; rows of
    /// one key likewise. Bounds that exclude everything are fine.
    pub fn new(low: Bound<&[u8]>, high: Bound<&[u8]>, reverse: bool) -> Self {
        Self {
            low: low.map(<[u8]>::to_vec),
            high: high.map(<[u8]>::to_vec),
            reverse,
            after: None,
            done: is_empty(low, high),
        }
    }

    /// Whether all entries were given out.
    pub fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn is_reverse(&self) -> bool {
        self.reverse
    }

    pub(super) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (
            self.low.as_ref().map(Vec::as_slice),
            self.high.as_ref().map(Vec::as_slice),
        )
    }

    /// The row to go on after, if the scan stands within the rows of `key`.
    pub(super) fn after(&self, key: &[u8]) -> Option<RowId> {
        let (low, high) = self.bounds();
        let here = if self.reverse { high } else { low };
        self.after.filter(|_| here == Bound::Included(key))
    }

    /// Remembers the last entry given out.
    pub(super) fn stand_at(&mut self, key: &[u8], row: RowId) {
        let here = match self.reverse {
            true => &mut self.high,
            false => &mut self.low,
        };
        let mut bytes = match std::mem::replace(here, Bound::Unbounded) {
            Bound::Included(bytes) | Bound::Excluded(bytes) => bytes,
            Bound::Unbounded => Vec::new(),
        };
        bytes.clear();
        bytes.extend_from_slice(key);
        *here = Bound::Included(bytes);
        self.after = Some(row);
    }

    pub(super) fn finish(&mut self) {
        self.done = true;
    }
}

/// Whether no key can lie between the bounds.
fn is_empty(low: Bound<&[u8]>, high: Bound<&[u8]>) -> bool {
    use Bound::{Excluded, Included, Unbounded};
    match (low, high) {
        (Unbounded, _) | (_, Unbounded) => false,
        (Included(low), Included(high)) => low > high,
        (Included(low) | Excluded(low), Included(high) | Excluded(high)) => {
            low.cmp(high) != Ordering::Less
        }
    }
}

/// Entries that a scan returned. Keeping one for a whole scan saves allocations.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// Keys, one after the other, each once for all its rows.
    keys: Vec<u8>,
    /// Where in `keys` the key stands, and the row.
    entries: Vec<(usize, usize, RowId)>,
}

impl Entries {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Key and row of each entry, in the order of the scan.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], RowId)> + ExactSizeIterator {
        let entry = |&(start, end, row): &(usize, usize, RowId)| (&self.keys[start..end], row);
        self.entries.iter().map(entry)
    }

    /// Key and row of the last entry.
    pub fn last(&self) -> Option<(&[u8], RowId)> {
        self.iter().next_back()
    }

    /// Makes room for so many entries more, of short keys.
    pub(super) fn reserve(&mut self, entries: usize) {
        self.keys.reserve(entries * size_of::<Head>());
        self.entries.reserve(entries);
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.entries.clear();
    }

    /// Adds a key and says where it stands; the rows pushed next are its rows.
    pub(super) fn push_key(&mut self, head: Head, tail: &KeyBytes) -> (usize, usize) {
        let start = self.keys.len();
        put_key(&mut self.keys, head, tail);
        (start, self.keys.len())
    }

    /// The key that stands there.
    pub(super) fn key(&self, (start, end): (usize, usize)) -> &[u8] {
        &self.keys[start..end]
    }

    pub(super) fn push_row(&mut self, key: (usize, usize), row: RowId) {
        self.entries.push((key.0, key.1, row));
    }
}
