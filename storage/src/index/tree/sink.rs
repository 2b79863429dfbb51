//! Takers of the entries that a scan walks over: whole keys, integers, or rows alone.

use crate::ids::RowId;
use crate::index::Key;
use crate::index::cursor::{Entries, Parts};
use crate::index::int_entries::{IntEntries, Lead};

/// A taker of the entries of a walk.
pub(in crate::index) trait Sink {
    /// The form in which it keeps the first part of keys that have it in common.
    type Lead;
    /// Begins a run of keys that are so long, and whose first part is the same so many bytes.
    fn lead(&self, start: &[u8], start_len: usize, len: usize) -> Self::Lead;
    /// How many it has.
    fn len(&self) -> usize;
    /// Takes back all but the first `len`.
    fn truncate(&mut self, len: usize);
    /// Takes an entry.
    fn push(&mut self, lead: &Self::Lead, key: &Parts<'_>, row: RowId);
    /// The last one.
    fn last(&self) -> Option<(Key, RowId)>;
}

impl Sink for Entries {
    type Lead = ();

    fn lead(&self, _start: &[u8], _start_len: usize, _len: usize) {}

    fn len(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }

    #[inline(always)]
    fn push(&mut self, (): &(), key: &Parts<'_>, row: RowId) {
        self.push(key, row);
    }

    fn last(&self) -> Option<(Key, RowId)> {
        self.last().map(|(key, row)| (Key::from_slice(key), row))
    }
}

impl Sink for IntEntries {
    type Lead = Option<Lead>;

    #[inline(always)]
    fn lead(&self, start: &[u8], start_len: usize, len: usize) -> Option<Lead> {
        self.lead(start, start_len, len)
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }

    #[inline(always)]
    fn push(&mut self, lead: &Option<Lead>, key: &Parts<'_>, row: RowId) {
        self.push(lead.as_ref(), key, row);
    }

    fn last(&self) -> Option<(Key, RowId)> {
        self.last()
    }
}

/// The rows of one key, added to a list that may have others.
pub(super) struct Rows<'a> {
    key: &'a [u8],
    had: usize,
    out: &'a mut Vec<RowId>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(key: &'a [u8], out: &'a mut Vec<RowId>) -> Self {
        let had = out.len();
        Self { key, had, out }
    }
}

impl Sink for Rows<'_> {
    type Lead = ();

    fn lead(&self, _start: &[u8], _start_len: usize, _len: usize) {}

    fn len(&self) -> usize {
        self.out.len() - self.had
    }

    fn truncate(&mut self, len: usize) {
        self.out.truncate(self.had + len);
    }

    #[inline(always)]
    fn push(&mut self, (): &(), _key: &Parts<'_>, row: RowId) {
        self.out.push(row);
    }

    fn last(&self) -> Option<(Key, RowId)> {
        let row = self.out[self.had..].last()?;
        Some((Key::from_slice(self.key), *row))
    }
}
