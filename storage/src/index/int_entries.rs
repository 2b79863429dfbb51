//! Entries of a scan whose keys are integers: these are put together from the parts of their keys as they come.
//!
//! ```text
//!   path   01 80 00 00 00 00 00 | middle   12 34 00 ..       the key 01 80 00 00 00 00 00 12 34, the integer 0x1234
//! ```

use super::Key;
use super::cursor::Parts;
use super::key::{IntKeyBytes, KeyColumn, NOT_NULL};
use crate::ids::RowId;
use smallvec::SmallVec;

/// Entries that need no heap.
const INLINE: usize = 128;

/// Such entries.
#[derive(Debug)]
pub struct IntEntries {
    entries: SmallVec<[(i64, RowId); INLINE]>,
    is_wide: bool,
    column: KeyColumn,
    /// Whether the key of an entry was no integer.
    has_others: bool,
}

impl IntEntries {
    /// No entries, of an index of one column of 64 bits, or of 32.
    pub fn new(is_wide: bool, column: KeyColumn) -> Self {
        Self {
            entries: SmallVec::new(),
            is_wide,
            column,
            has_others: false,
        }
    }

    /// Integer and row of each entry, in the order of the scan.
    #[inline]
    pub fn as_slice(&self) -> &[(i64, RowId)] {
        &self.entries
    }

    /// Whether the key of an entry was no integer, but NULL. Then the entries are of no use.
    pub fn has_others(&self) -> bool {
        self.has_others
    }

    pub(super) fn begin(&mut self) {
        self.entries.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
    }

    pub(super) fn last(&self) -> Option<(Key, RowId)> {
        let (value, row) = self.entries.last()?;
        let key = IntKeyBytes::new(*value, self.is_wide, self.column);
        Some((Key::from_slice(&key), *row))
    }

    /// The bits that the keys of a run have in common, if they are integers that come as most do.
    #[inline(always)]
    pub(super) fn lead(&self, start: &[u8], start_len: usize, len: usize) -> Option<Lead> {
        let (mark, payload) = start.split_first()?;
        if len != 1 + self.bytes() || start_len == 0 || *mark != NOT_NULL {
            return None;
        }
        let own = 8 * (start_len as u32 - 1);
        let rest = u64::MAX.checked_shr(own).unwrap_or(0);
        Some(Lead {
            bits: u64::from_be_bytes(*payload.first_chunk()?) & !rest,
            own,
        })
    }

    /// Adds an entry of a run.
    #[inline(always)]
    pub(super) fn push(&mut self, lead: Option<&Lead>, key: &Parts<'_>, row: RowId) {
        let payload = match lead {
            Some(lead) => {
                let middle = u64::from_be_bytes(key.middle);
                lead.bits | middle.checked_shr(lead.own).unwrap_or(0)
            }
            // What is counted has to be there, whatever it is.
            None => payload(key, self.bytes()).unwrap_or_else(|| {
                self.has_others = true;
                0
            }),
        };
        let turn = if self.column.descending { -1_i64 } else { 0 };
        // Of 32 bits: in the upper half, as `IntKeyBytes` has them.
        let shift = if self.is_wide { 0 } else { 32 };
        let value = ((payload as i64 ^ i64::MIN) >> shift) ^ turn;
        self.entries.push((value, row));
    }

    #[inline(always)]
    fn bytes(&self) -> usize {
        if self.is_wide { 8 } else { 4 }
    }
}

/// The bits that the integers of a run have in common, which are so many, on the left of a word.
pub(super) struct Lead {
    bits: u64,
    own: u32,
}

/// The bytes after the mark of a key, which are so many, on the left of a word; `None` for another key.
#[cold]
fn payload(key: &Parts<'_>, bytes: usize) -> Option<u64> {
    let parts = [&key.start[..key.start_len], &key.middle, key.end];
    let whole: Key = parts.concat().into_iter().take(key.len).collect();
    let (mark, payload) = whole.split_first()?;
    if *mark != NOT_NULL || payload.len() != bytes {
        return None;
    }
    let mut word = [0; 8];
    word[..bytes].copy_from_slice(payload);
    Some(u64::from_be_bytes(word))
}
