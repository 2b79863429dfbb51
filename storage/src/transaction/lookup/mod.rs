//! Rows by key: the entries of an index, each accepted only if the version seen has the key.
//!
//! ```text
//!   mod            by a view, or in a transaction: what is found is recorded
//!   seated_reader  outside of a transaction: a session's seat
//!   key_read       compiled: one after another by the same index, the same columns
//! ```

mod key_read;
mod seated_reader;

pub use key_read::{Between, KeyRead, ROWS_MAX, ReadKey};
pub use seated_reader::{PointRead, Reader};

use super::reads::Columns;
use super::{ReadView, RowRef, Transaction};
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::RowId;
use crate::index::{Key, TOGETHER};
use crate::mvcc::Viewpoint;
use crate::value::ValueRef;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

impl Transaction {
    /// What [`ReadView::find`] gives in a view of the current command, without making the view.
    pub fn find<T>(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        columns: Columns,
        read: impl FnOnce(RowId, &RowRef<'_>) -> T,
    ) -> Option<T> {
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        let mut found = None;
        let result = find(&viewpoint, table, index, key, |row, image| {
            found = Some(row);
            read(row, image)
        });
        self.note_key(table, index, key, columns, found);
        result
    }

    /// The same for a row that is to be changed at once, where `read` gives something: then the change
    /// keeps rivals from the row, and nothing is recorded. The index is a unique one.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn find_to_change<T, E>(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        read: impl FnOnce(RowId, &RowRef<'_>) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        let mut found = None;
        let result = find(&viewpoint, table, index, key, |row, image| {
            found = Some(row);
            read(row, image)
        });
        if !matches!(result, Some(Ok(Some(_)))) {
            self.note_key(table, index, key, Columns::ALL, found);
        }
        result.unwrap_or(Ok(None))
    }

    /// Calls `read` with each visible row whose key in `index` is exactly `key`, until it fails. It looks at
    /// these columns;
    /// returns `false`, and has not called it, where the index has more than `max` rows to look at.
    pub fn find_few<E>(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        columns: Columns,
        max: usize,
        mut read: impl FnMut(RowId, &RowRef<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut few = SmallVec::<[RowId; 4]>::new();
        let too_many = find_candidate(index, key, |id| {
            few.push(id);
            (few.len() > max).then_some(())
        });
        if too_many.is_some() {
            return Ok(false);
        }
        self.note_key(table, index, key, columns, None);
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        for id in few {
            if let Some(row) = row_with_key(&viewpoint, table, index, key, id) {
                read(id, &row)?;
            }
        }
        Ok(true)
    }
}

impl ReadView {
    /// Visible rows whose key in `index` is exactly `key` (one value a key column; a NULL in it
    /// finds nothing). Each row once.
    pub fn lookup(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
    ) -> Result<Vec<RowId>> {
        let operation = self.enter();
        let viewpoint = self.viewpoint(&operation);
        let mut rows = Vec::new();
        let _: Option<()> = find_candidate(index, key, |id| {
            rows.extend(row_with_key(&viewpoint, table, index, key, id).map(|_| id));
            None
        });
        note_use(&viewpoint, (table, index), key, rows.first().copied());
        self.note_key(table, index, key, Columns::NONE, rows.first().copied());
        Ok(rows)
    }

    /// Calls `found` with the number of a key and a row that [`Self::lookup`] gives for it, key by key. Keys are looked up
    /// in groups, the members of which wait for memory together.
    pub fn lookup_each<'v>(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        keys: &[impl AsRef<[ValueRef<'v>]>],
        mut found: impl FnMut(usize, RowId),
    ) {
        for (group, keys) in keys.chunks(TOGETHER).enumerate() {
            let operation = self.enter();
            let viewpoint = self.viewpoint(&operation);
            let take = |at, id, _: &RowRef<'_>| found(group * TOGETHER + at, id);
            let note = |key: &[ValueRef<'_>], first| {
                self.note_key(table, index, key, Columns::NONE, first);
            };
            rows_of_keys(&viewpoint, (table, index), keys, take, note);
        }
    }

    /// Calls `read` with the visible row whose key in `index`, a unique one, is exactly `key`, if
    /// there is one: what [`Self::lookup`] and [`Self::row`] give, in one look at the row.
    pub fn find<T>(
        &self,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
        key: &[ValueRef<'_>],
        read: impl FnOnce(RowId, &RowRef<'_>) -> T,
    ) -> Option<T> {
        let operation = self.enter();
        let mut found = None;
        let result = find(
            &self.viewpoint(&operation),
            table,
            index,
            key,
            |row, image| {
                found = Some(row);
                read(row, image)
            },
        );
        self.note_key(table, index, key, Columns::ALL, found);
        result
    }
}

#[inline]
pub(super) fn find<T>(
    viewpoint: &Viewpoint<'_>,
    table: &TableEntry,
    index: &IndexEntry,
    key: &[ValueRef<'_>],
    read: impl FnOnce(RowId, &RowRef<'_>) -> T,
) -> Option<T> {
    let mut read = Some(read);
    // Read where it is found: to carry the row out costs more than to read a column.
    // And looked at where it is, not moved.
    let found = find_candidate(index, key, |id| match &table.rows.visible(id, viewpoint) {
        Some(row) if index.matches(row, key) => {
            table.rows.note_hit(id, viewpoint.operation());
            read.take().map(|read| read(id, row))
        }
        _ => None,
    });
    if found.is_none() {
        note_miss(table, index, key);
    }
    found
}

/// Tells a cache that a look-up by a key has found nothing.
#[inline]
fn note_miss(table: &TableEntry, index: &IndexEntry, key: &[ValueRef<'_>]) {
    if let Some(cache) = table.rows.cache() {
        let hash = || {
            let mut bytes = Key::new();
            index.encode(&mut bytes, key);
            cache.hash(&bytes)
        };
        cache.note_miss(hash);
    }
}

/// Tells a cache what a look-up by a unique key has found.
#[inline]
fn note_use(
    viewpoint: &Viewpoint<'_>,
    (table, index): (&TableEntry, &IndexEntry),
    key: &[ValueRef<'_>],
    found: Option<RowId>,
) {
    if table.rows.cache().is_some() && index.def.unique {
        match found {
            Some(row) => table.rows.note_hit(row, viewpoint.operation()),
            None => note_miss(table, index, key),
        }
    }
}

/// The row as the viewpoint sees it, if it sees it with this key.
fn row_with_key<'a>(
    viewpoint: &Viewpoint<'a>,
    table: &'a TableEntry,
    index: &IndexEntry,
    key: &[ValueRef<'_>],
    id: RowId,
) -> Option<RowRef<'a>> {
    let row = table.rows.visible(id, viewpoint)?;
    index.matches(&row, key).then_some(row)
}

/// Gives the rows of a group of keys, key by key, with the key's number in the group; then `note` is told of each key, and of
/// the first of its rows.
fn rows_of_keys<'v>(
    viewpoint: &Viewpoint<'_>,
    (table, index): (&TableEntry, &IndexEntry),
    keys: &[impl AsRef<[ValueRef<'v>]>],
    mut take: impl FnMut(usize, RowId, &RowRef<'_>),
    mut note: impl FnMut(&[ValueRef<'v>], Option<RowId>),
) {
    let candidates = candidates(index, keys);
    for (_, id) in &candidates {
        if let Some((block, slot)) = table.rows.place(*id, viewpoint.operation()) {
            block.fetch(slot);
        }
    }
    let mut firsts = SmallVec::<[Option<RowId>; TOGETHER]>::from_elem(None, keys.len());
    for (at, id) in candidates {
        let key = keys[at].as_ref();
        if let Some(row) = row_with_key(viewpoint, table, index, key, id) {
            firsts[at].get_or_insert(id);
            take(at, id, &row);
        }
    }
    for (key, first) in keys.iter().zip(firsts) {
        note_use(viewpoint, (table, index), key.as_ref(), first);
        note(key.as_ref(), first);
    }
}

/// Rows that have, or had, one of these keys, with the key's number; there are none for a key with a NULL in it.
fn candidates<'v>(
    index: &IndexEntry,
    keys: &[impl AsRef<[ValueRef<'v>]>],
) -> SmallVec<[(usize, RowId); TOGETHER]> {
    let mut bytes = Vec::new();
    let mut written = SmallVec::<[(usize, Range<usize>); TOGETHER]>::new();
    for (at, key) in keys.iter().enumerate() {
        let (key, begin) = (key.as_ref(), bytes.len());
        if !key.iter().any(|value| value.is_null()) {
            index.encode(&mut bytes, key);
            written.push((at, begin..bytes.len()));
        }
    }
    let slices = written.iter().map(|(_, range)| &bytes[range.clone()]);
    let slices: SmallVec<[&[u8]; TOGETHER]> = slices.collect();
    let mut candidates = SmallVec::new();
    let found = |number: usize, id| candidates.push((written[number].0, id));
    index.index.find_together(&slices, found);
    candidates
}

/// The first result that `visit` gives for a row that has, or had, the key; there is none for a key
/// with a NULL in it.
fn find_candidate<T>(
    index: &IndexEntry,
    key: &[ValueRef<'_>],
    visit: impl FnMut(RowId) -> Option<T>,
) -> Option<T> {
    if key.iter().any(|value| value.is_null()) {
        return None;
    }
    let mut bytes = Key::new();
    index.encode(&mut bytes, key);
    index.index.find_map(&bytes, visit)
}
