//! Reads of several rows: those of a range of keys, or of a list of them.
//!
//! Mostly the key is an integer, and rows are bare. Then entries come as integers, and rows are only found at first: where
//! they are is two words a row. They are shown together, a column at a time, so that how a column is read is asked once.
//!
//! ```text
//!   entries   (5, row 17) (6, row 18) (7, row 90)
//!   found      body         body         has versions: what was found is shown, then this one by itself
//! ```

use super::{BYTES_MAX, Between, KeyRead, Places, ROWS_MAX};
use crate::block::{Bare, Block};
use crate::catalog::IntKey;
use crate::ids::RowId;
use crate::index::{Cursor, Entries, TOGETHER};
use crate::mvcc::Viewpoint;
use crate::transaction::lookup::rows_of_keys;
use crate::transaction::view::ends;
use crate::transaction::walk::{ROWS_AHEAD, each_row, other_row};
use crate::transaction::{RowRef, Transaction};
use crate::value::{Value, ValueRef};
use arrayvec::ArrayVec;
use smallvec::SmallVec;

/// Bare rows that follow each other in what is shown.
type FoundRows<'a> = ArrayVec<Bare<'a>, ROWS_MAX>;

impl KeyRead {
    /// Shows the rows of a range, as many as are wanted, and records how far it came where that is asked for.
    pub(super) fn show_between(
        &self,
        viewpoint: &Viewpoint<'_>,
        between: &Between<'_>,
        places: &mut Places<'_>,
        reads: Option<&Transaction>,
    ) -> Option<()> {
        let (low, high) = ends(&self.index, between.low, between.high);
        let low = low.as_ref().map(|key| &**key);
        let high = high.as_ref().map(|key| &**key);
        let mut cursor = Cursor::new(low, high, between.reverse);
        let wanted = between.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX);
        match &self.int {
            Some(int) => self.show_ints(viewpoint, int, (&mut cursor, wanted), places)?,
            None => self.show_entries(viewpoint, (&mut cursor, wanted), places)?,
        }
        let are_all = cursor.is_done() || between.limit == Some(places.rows);
        if let Some(tx) = reads.filter(|_| are_all) {
            let index = (&*self.table, &*self.index);
            tx.note_walk(index, self.columns, (low, high), &cursor);
        }
        are_all.then_some(())
    }

    fn show_ints(
        &self,
        viewpoint: &Viewpoint<'_>,
        int: &IntKey,
        (cursor, wanted): (&mut Cursor, usize),
        places: &mut Places<'_>,
    ) -> Option<()> {
        let mut entries = int.entries();
        while places.rows < wanted && !cursor.is_done() {
            let left = wanted - places.rows;
            self.index.index.scan_ints(cursor, left, &mut entries);
            if entries.has_others() {
                return None;
            }
            self.show_rows(viewpoint, int, entries.as_slice(), places)?;
        }
        Some(())
    }

    fn show_entries(
        &self,
        viewpoint: &Viewpoint<'_>,
        (cursor, wanted): (&mut Cursor, usize),
        places: &mut Places<'_>,
    ) -> Option<()> {
        let (table, index) = (&self.table.rows, &*self.index);
        let (mut entries, mut fits) = (Entries::new(), true);
        while fits && places.rows < wanted && !cursor.is_done() {
            let left = wanted - places.rows;
            index.index.scan(cursor, left, &mut entries);
            each_row((index, None), &entries, table, viewpoint, |_, row| {
                fits = fits && self.show_next(&row, places);
            });
        }
        fits.then_some(())
    }

    /// Shows the rows of each key of a list. `note` is told of the keys, with the row that was found if that is known.
    pub(super) fn show_each(
        &self,
        viewpoint: &Viewpoint<'_>,
        keys: &[ValueRef<'_>],
        places: &mut Places<'_>,
        mut note: impl FnMut(&[ValueRef<'_>], Option<RowId>),
    ) -> Option<()> {
        if keys.len() > ROWS_MAX {
            return None;
        }
        let (table, index) = (&self.table, &self.index);
        let int = self.int.as_ref().filter(|_| self.is_by_int);
        let (mut seen, mut fits) = (Seen::new(), true);
        for keys in keys.chunks(TOGETHER) {
            if seen.is_full() || !fits {
                return None;
            }
            if let Some(int) = int {
                let entries = self.entries_of(int, keys, &mut seen);
                self.show_rows(viewpoint, int, &entries, places)?;
                if self.is_of_cache {
                    for (_, id) in &entries {
                        table.rows.note_hit(*id, viewpoint.operation());
                    }
                }
                keys.iter().for_each(|key| note(&[*key], None));
                continue;
            }
            let keys: SmallVec<[[ValueRef<'_>; 1]; TOGETHER]> =
                keys.iter().map(|key| [*key]).collect();
            let take = |_, id, row: &RowRef<'_>| {
                if fits && seen.is_new(id) {
                    fits = self.show_next(row, places);
                }
            };
            rows_of_keys(viewpoint, (table, index), &keys, take, &mut note);
        }
        (fits && !seen.is_full()).then_some(())
    }

    /// The entries of integers that were not seen before. The index is asked for all of them together, and then for the
    /// rows.
    fn entries_of(
        &self,
        int: &IntKey,
        keys: &[ValueRef<'_>],
        seen: &mut Seen,
    ) -> SmallVec<[(i64, RowId); TOGETHER]> {
        let ints = keys.iter().filter_map(|key| match key {
            ValueRef::BigInt(value) => Some(*value),
            ValueRef::Integer(value) => Some(i64::from(*value)),
            _ => None,
        });
        let ints: SmallVec<[i64; TOGETHER]> = ints.collect();
        let keys: SmallVec<[_; TOGETHER]> = ints.iter().map(|value| int.encode(*value)).collect();
        let keys: SmallVec<[&[u8]; TOGETHER]> = keys.iter().map(|key| &**key).collect();
        let mut entries = SmallVec::new();
        self.index.index.find_together(&keys, |number, id| {
            if seen.is_new(id) {
                entries.push((ints[number], id));
            }
        });
        entries
    }

    /// Shows the rows of entries, those that have their keys.
    #[inline]
    fn show_rows(
        &self,
        viewpoint: &Viewpoint<'_>,
        int: &IntKey,
        entries: &[(i64, RowId)],
        places: &mut Places<'_>,
    ) -> Option<()> {
        let table = &self.table.rows;
        let mut found = FoundRows::new();
        for run in entries.chunk_by(|(_, one), (_, other)| one.block() == other.block()) {
            let block = table.block_of(run[0].1, viewpoint.operation());
            let rows = block.and_then(Block::bare_rows);
            for (at, (value, id)) in run.iter().enumerate() {
                if let (Some(rows), Some((_, next))) = (rows, run.get(at + ROWS_AHEAD)) {
                    rows.fetch(next.slot());
                }
                if let Some(bare) = rows.and_then(|rows| rows.get(id.slot(), viewpoint)) {
                    if bare.has_int(int.column, *value) {
                        // There is room: a range has no more entries, and a key of a list one row.
                        self.fits(bare, places).then(|| found.push(bare))?;
                    }
                    continue;
                }
                self.show_found(&mut found, places);
                self.show_other(viewpoint, (int, *value), *id, places)?;
            }
        }
        self.show_found(&mut found, places);
        Some(())
    }

    /// Shows the row of an entry, of whatever kind it is, if it has its key.
    #[inline(never)]
    fn show_other(
        &self,
        viewpoint: &Viewpoint<'_>,
        (int, value): (&IntKey, i64),
        id: RowId,
        places: &mut Places<'_>,
    ) -> Option<()> {
        let Some((block, _)) = self.table.rows.place(id, viewpoint.operation()) else {
            return Some(());
        };
        let mut fits = true;
        let show = &mut |_, row: RowRef<'_>| fits = self.show_next(&row, places);
        let (index, entry) = ((&*self.index, Some(int)), (&*int.encode(value), id));
        other_row(index, block, viewpoint, entry, show);
        fits.then_some(())
    }

    /// Whether another row is not too long.
    #[inline]
    fn fits(&self, row: Bare<'_>, places: &mut Places<'_>) -> bool {
        if !self.has_strings {
            return true;
        }
        let strings = self.shown.iter().map(|column| row.string_bytes(column));
        places.bytes += strings.sum::<usize>();
        places.bytes <= BYTES_MAX
    }

    /// Shows rows that were found, column by column.
    fn show_found(&self, rows: &mut FoundRows<'_>, places: &mut Places<'_>) {
        let width = self.shown.len();
        let start = places.rows * width;
        let end = start + rows.len() * width;
        if places.values.len() < end {
            places.values.resize(end, Value::Null);
        }
        for (at, column) in self.shown.iter().enumerate() {
            let values = places.values[start..end].chunks_exact_mut(width);
            Bare::show_each(rows, column, values.map(|row| &mut row[at]));
        }
        places.rows += rows.len();
        rows.clear();
    }
}

/// Rows that were given for a list: a table that is never more than half full.
struct Seen {
    rows: [u64; Self::SLOTS],
    len: usize,
}

impl Seen {
    const SLOTS: usize = 4 * ROWS_MAX;
    const EMPTY: u64 = u64::MAX;

    fn new() -> Self {
        Self {
            rows: [Self::EMPTY; Self::SLOTS],
            len: 0,
        }
    }

    /// Whether it cannot say any more which rows come for the first time.
    fn is_full(&self) -> bool {
        self.len == Self::SLOTS / 2
    }

    /// Whether the row comes for the first time, unless it is full.
    #[inline]
    fn is_new(&mut self, row: RowId) -> bool {
        if self.is_full() {
            return true;
        }
        // Fibonacci hashing: rows of one block differ in their low bits.
        let mut at = (row.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize;
        loop {
            at %= Self::SLOTS;
            match self.rows[at] {
                Self::EMPTY => {
                    self.rows[at] = row.0;
                    self.len += 1;
                    return true;
                }
                found if found == row.0 => return false,
                _ => at += 1,
            }
        }
    }
}
