//! Entries of a scan whose keys are integers: these are put together from the parts of their keys as they come.
//!
//! ```text
//!   path   01 80 00 00 00 00 00 | middle   12 34 00 ..       the key 01 80 00 00 00 00 00 12 34, the integer 0x1234
//! ```

use super::Key;
use super::cursor::Parts;
use super::key::{IntKeyBytes, KeyColumn, NOT_NULL};
use crate::ids::RowId;
use arrayvec::ArrayVec;

/// How many there are at most.
pub(super) const ENTRIES_MAX: usize = 128;

/// Such entries.
#[derive(Debug)]
pub struct IntEntries {
    entries: ArrayVec<(i64, RowId), ENTRIES_MAX>,
    form: Form,
    /// Whether the key of an entry was no integer.
    has_others: bool,
}

/// The form of the keys of an index of one integer.
#[derive(Clone, Copy, Debug)]
struct Form {
    is_wide: bool,
    column: KeyColumn,
}

impl Form {
    /// The integer of a key, whose bytes after the mark are on the left of a word.
    #[inline(always)]
    fn value(self, payload: u64) -> i64 {
        let turn = if self.column.descending { -1_i64 } else { 0 };
        // Of 32 bits: in the upper half, as `IntKeyBytes` has them.
        let shift = if self.is_wide { 0 } else { 32 };
        ((payload as i64 ^ i64::MIN) >> shift) ^ turn
    }

    /// How many bytes come after the mark.
    #[inline(always)]
    fn bytes(self) -> usize {
        if self.is_wide { 8 } else { 4 }
    }
}

impl IntEntries {
    /// No entries, of an index of one column of 64 bits, or of 32.
    pub fn new(is_wide: bool, column: KeyColumn) -> Self {
        Self {
            entries: ArrayVec::new(),
            form: Form { is_wide, column },
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
        let key = IntKeyBytes::new(*value, self.form.is_wide, self.form.column);
        Some((Key::from_slice(&key), *row))
    }

    /// The common part of the keys of a run, if they are integers that come as most do.
    #[inline(always)]
    pub(super) fn lead(&self, start: &[u8], start_len: usize, len: usize) -> Option<Lead> {
        let (mark, payload) = start.split_first()?;
        if len != 1 + self.form.bytes() || start_len == 0 || *mark != NOT_NULL {
            return None;
        }
        let own = 8 * (start_len as u32 - 1);
        let rest = u64::MAX.checked_shr(own).unwrap_or(0);
        Some(Lead {
            bits: u64::from_be_bytes(*payload.first_chunk()?) & !rest,
            own,
            form: self.form,
        })
    }

    /// Adds an entry of a run.
    #[inline(always)]
    pub(super) fn push(&mut self, lead: Option<&Lead>, key: &Parts<'_>, row: RowId) {
        let value = match lead {
            Some(lead) => lead.value(u64::from_be_bytes(key.middle)),
            // What is counted has to be there, whatever it is.
            None => payload(key, self.form.bytes()).map_or_else(
                || {
                    self.has_others = true;
                    0
                },
                |payload| self.form.value(payload),
            ),
        };
        // There is room: `Index::scan_ints` asks for no more.
        self.entries.push((value, row));
    }
}

/// The common part of the integers of a run: so many bits on the left of a word, and their form.
pub(super) struct Lead {
    bits: u64,
    own: u32,
    form: Form,
}

impl Lead {
    /// The integer whose bytes go on with these.
    #[inline(always)]
    fn value(&self, middle: u64) -> i64 {
        let rest = middle.checked_shr(self.own).unwrap_or(0);
        self.form.value(self.bits | rest)
    }
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
