//! Reads by key that are made once and run again and again: where the key and the columns are is found beforehand.
//!
//! ```text
//!   WHERE id = 7                        an integer of a unique index, compared with the bytes of a bare row
//!   WHERE email = 'x'                   a value a column of the index
//!   WHERE id BETWEEN 5 AND 9            a range, of which a number of rows may be enough
//!   WHERE id IN (1, 2, 3)               a list of keys, looked up together
//! ```
//!
//! Rows are put into places, one after another: those of the caller, so that their strings are used again. Few rows are
//! given in this way, and little text ([`ROWS_MAX`], [`BYTES_MAX`]): nobody accounts for them.

mod several;

use super::{PointRead, find_candidate, note_miss, row_with_key};
use crate::block::ShownColumn;
use crate::catalog::{IndexEntry, IntKey, TableEntry};
use crate::ids::{ColumnId, RowId};
use crate::mvcc::Viewpoint;
use crate::sync::atomic::AtomicU32;
use crate::sync::atomic::Ordering::Relaxed;
use crate::transaction::reads::Columns;
use crate::transaction::{RowRef, Transaction};
use crate::value::{DataType, Value, ValueRef};
use std::ops::Bound;
use std::sync::Arc;

/// Rows that one read gives at most.
pub const ROWS_MAX: usize = 128;
/// Rows of one key that is not unique: more are not gathered in vain.
const ROWS_OF_KEY_MAX: usize = 16;
/// Calls for several rows that are not tried after one that had too many: a statement that had many has many again.
const NOT_TRIED: u32 = 15;
/// Bytes of strings that it gives at most, where it gives several rows.
const BYTES_MAX: usize = 64 << 10;

/// The key that is read, or the keys.
#[derive(Clone, Copy, Debug)]
pub enum ReadKey<'k> {
    /// One integer, which the column can hold ([`KeyRead::is_by_int`]).
    Int(i64),
    /// A value a column, of its type.
    Values(&'k [ValueRef<'k>]),
    /// Keys that follow each other in an ordered index.
    Between(Between<'k>),
    /// Keys of one column; one given twice is read once.
    Each(&'k [ValueRef<'k>]),
}

/// A range of keys, with bounds as those of [`ReadView::range`](crate::transaction::ReadView::range).
#[derive(Clone, Copy, Debug)]
pub struct Between<'k> {
    /// From where.
    pub low: Bound<&'k [ValueRef<'k>]>,
    /// To where.
    pub high: Bound<&'k [ValueRef<'k>]>,
    /// From the last key to the first.
    pub reverse: bool,
    /// How many rows are wanted; `None` for all.
    pub limit: Option<usize>,
}

/// A read of some columns by the keys of an index.
#[derive(Debug)]
pub struct KeyRead {
    table: Arc<TableEntry>,
    index: Arc<IndexEntry>,
    /// How rows are compared with keys, where those are one integer.
    int: Option<IntKey>,
    /// Whether a key is such a one, and of one row at most.
    is_by_int: bool,
    /// Where rows have the key, where that is one text.
    text: Option<ShownColumn>,
    shown: Box<[ShownColumn]>,
    /// Whether some of these are strings.
    has_strings: bool,
    columns: Columns,
    /// Whether the table is a cache, which is told what is used.
    is_of_cache: bool,
    /// How many of the next calls for several rows are not tried.
    not_tried: AtomicU32,
}

/// Where rows are put, one after another.
struct Places<'p> {
    values: &'p mut Vec<Value>,
    rows: usize,
    bytes: usize,
    /// Where strings of frozen rows are put together.
    scratch: Vec<u8>,
}

impl<'p> Places<'p> {
    fn new(values: &'p mut Vec<Value>) -> Self {
        Self {
            values,
            rows: 0,
            bytes: 0,
            scratch: Vec::new(),
        }
    }
}

impl KeyRead {
    /// A read by an index of the table: it shows some columns, and has looked at others as well.
    pub fn new(
        table: &Arc<TableEntry>,
        index: &Arc<IndexEntry>,
        shown: &[ColumnId],
        columns: Columns,
    ) -> Self {
        let layout = table.rows.layout();
        let data_type = |column: ColumnId| {
            let position = table.def.position(column);
            position.map(|position| table.def.columns[position].data_type)
        };
        let int = index.int_key(&table.rows);
        let is_integer = |key: &IntKey| {
            let data_type = data_type(key.id);
            matches!(data_type, Some(DataType::BigInt | DataType::Integer))
        };
        let text = match index.def.columns.as_slice() {
            [part] if data_type(part.column) == Some(DataType::Text) => Some(part.column),
            _ => None,
        };
        let is_string = |column: &ColumnId| data_type(*column).is_none_or(DataType::is_variable);
        Self {
            is_by_int: index.def.unique && int.as_ref().is_some_and(is_integer),
            int,
            text: text.map(|column| layout.shown(column)),
            columns,
            is_of_cache: index.def.unique && table.rows.cache().is_some(),
            not_tried: AtomicU32::new(0),
            has_strings: shown.iter().any(is_string),
            shown: shown.iter().map(|column| layout.shown(*column)).collect(),
            table: Arc::clone(table),
            index: Arc::clone(index),
        }
    }

    /// Whether its key is one integer, of a unique index.
    #[inline]
    pub fn is_by_int(&self) -> bool {
        self.is_by_int
    }

    fn show(&self, row: &RowRef<'_>, (place, scratch): (&mut [Value], &mut Vec<u8>)) {
        for (column, place) in self.shown.iter().zip(place) {
            row.show(column, place, scratch);
        }
    }

    /// The place of the next row, and scratch space.
    #[inline(always)]
    fn next_place<'p>(&self, places: &'p mut Places<'_>) -> (&'p mut [Value], &'p mut Vec<u8>) {
        let width = self.shown.len();
        let start = places.rows * width;
        places.rows += 1;
        if places.values.len() < start + width {
            places.values.resize(start + width, Value::Null);
        }
        let place = &mut places.values[start..start + width];
        (place, &mut places.scratch)
    }

    /// Shows one of several rows; false where they become too many or too long.
    fn show_next(&self, row: &RowRef<'_>, places: &mut Places<'_>) -> bool {
        self.show_one(places, |place| self.show(row, place))
    }

    /// As [`Self::show_next`], by a function.
    #[inline(always)]
    fn show_one(
        &self,
        places: &mut Places<'_>,
        show: impl FnOnce((&mut [Value], &mut Vec<u8>)),
    ) -> bool {
        if places.rows == ROWS_MAX {
            return false;
        }
        let (place, scratch) = self.next_place(places);
        show((place, scratch));
        if self.has_strings {
            places.bytes += place.iter().map(Value::string_bytes).sum::<usize>();
        }
        places.bytes <= BYTES_MAX
    }

    /// Shows the row of a candidate, if it has the key: whether rows are neither too many then nor too long. A bare row is
    /// compared with a text where it lies.
    fn show_candidate(
        &self,
        viewpoint: &Viewpoint<'_>,
        key: &[ValueRef<'_>],
        id: RowId,
        places: &mut Places<'_>,
    ) -> Option<bool> {
        let (table, index) = (&self.table, &self.index);
        if let (Some(column), [ValueRef::Text(text)]) = (&self.text, key)
            && let Some((block, slot)) = table.rows.place(id, viewpoint.operation())
            && let Some(bare) = block.bare_row(slot, viewpoint)
        {
            let is_its_key = bare.is_text(column, text);
            return is_its_key
                .then(|| self.show_one(places, |(place, _)| bare.show(&self.shown, place)));
        }
        let row = row_with_key(viewpoint, table, index, key, id)?;
        Some(self.show_next(&row, places))
    }

    /// Shows the rows with this key; of one whose index is unique, which is given back.
    fn show_of_values(
        &self,
        viewpoint: &Viewpoint<'_>,
        key: &[ValueRef<'_>],
        places: &mut Places<'_>,
    ) -> Option<Option<RowId>> {
        let index = &self.index;
        let mut show = |id| self.show_candidate(viewpoint, key, id, places);
        if index.def.unique {
            // Of one row, however long.
            return Some(find_candidate(index, key, |id| show(id).map(|_| id)));
        }
        let mut looked = 0;
        let too_many = find_candidate(index, key, |id| {
            looked += 1;
            let fits = looked <= ROWS_OF_KEY_MAX && show(id).unwrap_or(true);
            (!fits).then_some(())
        });
        too_many.is_none().then_some(None)
    }

    #[inline]
    fn show_of_int(
        &self,
        viewpoint: &Viewpoint<'_>,
        (int, key): (&IntKey, i64),
        places: &mut Places<'_>,
    ) -> Option<RowId> {
        let (table, index) = (&self.table, &self.index);
        index.index.find_map(&int.encode(key), |id| {
            let (block, slot) = table.rows.place(id, viewpoint.operation())?;
            if let Some(bare) = block.bare_row(slot, viewpoint) {
                if !bare.has_int(int.column, key) {
                    return None;
                }
                bare.show(&self.shown, self.next_place(places).0);
                return Some(id);
            }
            let row = row_with_key(viewpoint, table, index, &[int.of(key)], id)?;
            self.show(&row, self.next_place(places));
            Some(id)
        })
    }

    /// Shows the rows of one key; of a unique index it gives back which that is.
    #[inline(always)]
    fn show_key(
        &self,
        viewpoint: &Viewpoint<'_>,
        key: &ReadKey<'_>,
        places: &mut Places<'_>,
    ) -> Option<Option<RowId>> {
        match key {
            ReadKey::Int(key) => {
                let int = self.int.as_ref().filter(|_| self.is_by_int)?;
                Some(self.show_of_int(viewpoint, (int, *key), places))
            }
            ReadKey::Values(key) => self.show_of_values(viewpoint, key, places),
            ReadKey::Between(_) | ReadKey::Each(_) => None,
        }
    }

    /// Tells the cache what a look-up has found.
    #[inline]
    fn note_use(&self, viewpoint: &Viewpoint<'_>, key: &ReadKey<'_>, found: Option<RowId>) {
        match found {
            Some(row) => self.table.rows.note_hit(row, viewpoint.operation()),
            None => self.note_miss(key),
        }
    }

    #[cold]
    fn note_miss(&self, key: &ReadKey<'_>) {
        match (key, &self.int) {
            (ReadKey::Int(key), Some(int)) => note_miss(&self.table, &self.index, &[int.of(*key)]),
            (ReadKey::Values(key), _) => note_miss(&self.table, &self.index, key),
            _ => {}
        }
    }

    /// Records that a key was read, and which row it was found to be, if that is known.
    fn note(&self, tx: &Transaction, key: &[ValueRef<'_>], row: Option<RowId>) {
        let row = row.filter(|_| self.index.def.unique);
        tx.note_key(&self.table, &self.index, key, self.columns, row);
    }

    /// As [`Self::note`], of one key.
    #[inline(always)]
    fn note_one(&self, tx: &Transaction, key: &ReadKey<'_>, row: Option<RowId>) {
        match (key, &self.int) {
            (ReadKey::Int(key), Some(int)) => self.note(tx, &[int.of(*key)], row),
            (ReadKey::Values(key), _) => self.note(tx, key, row),
            _ => {}
        }
    }

    /// Shows several rows, unless one of the last calls had too many.
    fn tried(&self, show: impl FnOnce() -> Option<()>) -> Option<()> {
        // A hint: whoever reads it late tries in vain, or goes the general way.
        let left = self.not_tried.load(Relaxed);
        if left > 0 {
            self.not_tried.store(left - 1, Relaxed);
            return None;
        }
        let shown = show();
        if shown.is_none() {
            self.not_tried.store(NOT_TRIED, Relaxed);
        }
        shown
    }

    /// Shows the rows; how many.
    #[inline]
    fn run(
        &self,
        viewpoint: &Viewpoint<'_>,
        key: &ReadKey<'_>,
        values: &mut Vec<Value>,
        reads: Option<&Transaction>,
    ) -> Option<usize> {
        let mut places = Places::new(values);
        match key {
            ReadKey::Int(_) | ReadKey::Values(_) => {
                let found = self.show_key(viewpoint, key, &mut places)?;
                if self.is_of_cache {
                    self.note_use(viewpoint, key, found);
                }
                if let Some(tx) = reads {
                    self.note_one(tx, key, found);
                }
            }
            ReadKey::Between(between) => {
                self.tried(|| self.show_between(viewpoint, between, &mut places, reads))?;
            }
            ReadKey::Each(keys) => {
                let note = |key: &[ValueRef<'_>], row| {
                    if let Some(tx) = reads {
                        self.note(tx, key, row);
                    }
                };
                self.tried(|| self.show_each(viewpoint, keys, &mut places, note))?;
            }
        }
        Some(places.rows)
    }
}

impl PointRead<'_> {
    /// Puts the columns of the rows with these keys in `places`, row by row; says how many rows, or `None` where they are
    /// too many or too long.
    #[inline]
    pub fn show(
        &self,
        read: &KeyRead,
        key: &ReadKey<'_>,
        places: &mut Vec<Value>,
    ) -> Option<usize> {
        read.run(&self.viewpoint(), key, places, None)
    }
}

impl Transaction {
    /// As [`PointRead::show`], in the current command.
    pub fn show(
        &self,
        read: &KeyRead,
        key: &ReadKey<'_>,
        places: &mut Vec<Value>,
    ) -> Option<usize> {
        let operation = self.registration.enter();
        read.run(&operation.viewpoint(self.command), key, places, Some(self))
    }

    /// As [`Self::show`] of one key of a unique index, whose row is locked then: the lock keeps rivals from it, and nothing
    /// is recorded. `None` as well where it cannot be locked; then it is not.
    #[inline(never)]
    pub fn show_and_lock(
        &mut self,
        read: &KeyRead,
        key: &ReadKey<'_>,
        places: &mut Vec<Value>,
    ) -> Option<usize> {
        let found = {
            let operation = self.registration.enter();
            let viewpoint = operation.viewpoint(self.command);
            let found = read.show_key(&viewpoint, key, &mut Places::new(places))?;
            if read.is_of_cache {
                read.note_use(&viewpoint, key, found);
            }
            found
        };
        match found {
            Some(row) => match self.lock_if_free(&read.table, row) {
                Ok(true) => Some(1),
                Ok(false) | Err(_) => None,
            },
            None => {
                read.note_one(self, key, None);
                Some(0)
            }
        }
    }
}
