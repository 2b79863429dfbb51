//! A scan in progress, and what it returned last.

use super::key::Key;
use crate::ids::RowId;
use std::cmp::Ordering;
use std::ops::Bound;

/// A place between entries: after those with a lesser key, and of its own key's those with rows
/// below `rows`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Cut {
    pub(super) key: Key,
    /// Beyond any row's number: after all of them.
    pub(super) rows: u128,
}

impl Cut {
    /// Before all entries of a key.
    pub(super) fn below(key: &[u8]) -> Self {
        Self {
            key: Key::from_slice(key),
            rows: 0,
        }
    }

    /// After all entries of a key.
    pub(super) fn above(key: &[u8]) -> Self {
        Self {
            key: Key::from_slice(key),
            rows: u128::from(u64::MAX) + 1,
        }
    }

    /// Moves it to just before an entry or, unless `reverse`, just after.
    pub(super) fn move_to(&mut self, key: &[u8], row: RowId, reverse: bool) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.rows = u128::from(row.0) + u128::from(!reverse);
    }
}

/// Where a scan of an ordered index stands. It holds no lock and no reference to the index.
#[derive(Clone, Debug)]
pub struct Cursor {
    low: Cut,
    high: Option<Cut>,
    reverse: bool,
    done: bool,
}

impl Cursor {
    /// A scan of the keys between two bounds, in key order or, if `reverse`, against it; rows of
    /// one key likewise. Bounds that exclude everything are fine.
    pub fn new(low: Bound<&[u8]>, high: Bound<&[u8]>, reverse: bool) -> Self {
        Self {
            low: match low {
                Bound::Included(key) => Cut::below(key),
                Bound::Excluded(key) => Cut::above(key),
                Bound::Unbounded => Cut::default(),
            },
            high: match high {
                Bound::Included(key) => Some(Cut::above(key)),
                Bound::Excluded(key) => Some(Cut::below(key)),
                Bound::Unbounded => None,
            },
            reverse,
            done: is_empty(low, high),
        }
    }

    /// Whether all entries were given out.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether keys come against their order.
    pub fn is_backward(&self) -> bool {
        self.reverse
    }

    /// No key beyond this one was given out so far; `None` where that is not known.
    pub fn edge(&self) -> Option<&[u8]> {
        let here = match self.reverse {
            true => self.high.as_ref(),
            false => Some(&self.low),
        };
        here.map(|cut| &*cut.key)
    }

    /// What is left lies between these.
    pub(super) fn cuts(&self) -> (&Cut, Option<&Cut>) {
        (&self.low, self.high.as_ref())
    }

    /// Remembers the last entry given out, or passed.
    pub(crate) fn stand_at(&mut self, key: &[u8], row: RowId) {
        let here = match self.reverse {
            true => self.high.get_or_insert_default(),
            false => &mut self.low,
        };
        here.move_to(key, row, self.reverse);
    }

    /// Has a scan in key order go on at a place.
    pub(super) fn go_on_at(&mut self, place: Cut) {
        self.low = place;
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

/// Bytes that are copied at a time where a key is no longer: a copy of a fixed length is a few
/// instructions, one of any length a call.
pub(super) const COPIED: usize = 32;

/// Entries that room is made for at most before they are there, and bytes of each one's key.
const RESERVED_MAX: usize = 256;
const KEY_BYTES_RESERVED: usize = 9;

/// Entries that a scan returned. Keeping one for a whole scan saves allocations.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// Keys, one after the other, and room for more.
    keys: Vec<u8>,
    /// Bytes that the keys take.
    used: usize,
    /// Where in `keys` the key ends, and the row.
    entries: Vec<(usize, RowId)>,
}

/// A key in three parts, which are only put together where it is to stay.
pub(super) struct Parts<'a> {
    /// Begins with the first part, and has [`COPIED`] bytes at least.
    pub(super) start: &'a [u8],
    /// How long the first part is.
    pub(super) start_len: usize,
    pub(super) middle: [u8; 8],
    pub(super) end: &'a [u8],
    /// The key is the first so many bytes of all parts.
    pub(super) len: usize,
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
        (0..self.len()).map(|at| self.entry(at))
    }

    /// Key and row of an entry.
    pub(crate) fn entry(&self, at: usize) -> (&[u8], RowId) {
        let start = at.checked_sub(1).map_or(0, |before| self.entries[before].0);
        let (end, row) = self.entries[at];
        (&self.keys[start..end], row)
    }

    /// Key and row of the last entry.
    pub fn last(&self) -> Option<(&[u8], RowId)> {
        self.iter().next_back()
    }

    /// Forgets all entries, and makes room for so many.
    pub(super) fn begin(&mut self, entries: usize) {
        self.truncate(0);
        let entries = entries.min(RESERVED_MAX);
        self.entries.reserve(entries);
        if self.keys.len() < entries * KEY_BYTES_RESERVED {
            self.lengthen(entries * KEY_BYTES_RESERVED);
        }
    }

    /// Forgets all but the first `len` entries.
    pub(super) fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
        self.used = self.entries.last().map_or(0, |entry| entry.0);
    }

    /// Adds an entry. What is written is not read again: the parts that change from key to key go
    /// where the key stays at once, over what was copied of the part that does not.
    #[inline(always)]
    pub(super) fn push(&mut self, key: &Parts<'_>, row: RowId) {
        let at = key.start_len;
        let wanted = self.used + at.max(COPIED) + key.middle.len() + key.end.len();
        if self.keys.len() < wanted {
            self.lengthen(wanted);
        }
        let to = &mut self.keys[self.used..];
        match (to.first_chunk_mut(), key.start.first_chunk::<COPIED>()) {
            (Some(to), Some(start)) if at <= COPIED => *to = *start,
            _ => to[..at].copy_from_slice(&key.start[..at]),
        }
        to[at..at + key.middle.len()].copy_from_slice(&key.middle);
        if !key.end.is_empty() {
            to[at + key.middle.len()..][..key.end.len()].copy_from_slice(key.end);
        }
        self.used += key.len;
        self.entries.push((self.used, row));
    }

    #[cold]
    fn lengthen(&mut self, wanted: usize) {
        self.keys.resize(wanted.max(2 * self.keys.len()), 0);
    }
}
