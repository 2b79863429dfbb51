//! Rows into Arrow columns: those that pass the bounds of a scan.
//!
//! ```text
//!   rows, some hundred at a time      bounds       columns
//!   [ stretch ][ RowRef .. ]    -->   positions -> [ .. ][ .. ]   --> arrays
//!   [ run of a frozen block ]   -->   positions -> arrays ------------^
//! ```
//!
//! 1. Bounds are tested first, one column after the other, each on the rows that are left; what is
//!    left is a list of positions.
//! 2. Each column then reads its values from those rows only.
//!
//! A hot row is as wide as all of its columns, so both passes walk over the same cache lines: rows
//! come in pieces that the first-level cache holds ([`Gatherer::piece`]), and are fetched from
//! memory once. A frozen block tests bounds and decodes by itself. Rows one by one are read value by
//! value where frozen ones are among them.

use super::RANGE_SLOTS;
use super::column::{Chosen, Column};
use super::frozen::Frozen;
use super::images::{Choice, Images, Run, Stretch, Take, Versions};
use super::layout::Layout;
use super::row::RowRef;
use super::test::Test;
use crate::ids::{BlockNo, ColumnId, RowId, Slot};
use crate::value::{ColumnBounds, DataType};
use arrow_array::ArrayRef;
use std::ptr;

/// Bytes of rows that are worked on at once: half of a common first-level cache.
const PIECE_BYTES: usize = 24 << 10;
const PIECE_ROWS_MIN: usize = 64;

/// Gathers columns of rows that pass.
#[derive(Debug)]
pub struct Gatherer {
    bounds: Vec<ColumnBounds>,
    tests: Vec<Test>,
    columns: Vec<Column>,
    rows: usize,
    /// The rows' ids, if they are wanted.
    ids: Option<Vec<RowId>>,
    /// The positions of what passed last, kept for its memory.
    chosen: Vec<u16>,
}

impl Gatherer {
    /// Of these columns, with their types, from rows that all bounds let pass.
    pub fn new(columns: &[(ColumnId, DataType)], bounds: &[ColumnBounds]) -> Self {
        let columns = columns.iter();
        Self {
            bounds: bounds.to_vec(),
            tests: bounds.iter().map(Test::new).collect(),
            columns: columns.map(|(id, ty)| Column::new(*id, *ty)).collect(),
            rows: 0,
            ids: None,
            chosen: Vec::new(),
        }
    }

    /// From now on the ids of the rows are wanted, too.
    pub fn want_ids(&mut self) {
        self.ids = Some(Vec::new());
    }

    /// Whether neither values nor ids are wanted, of any row.
    pub fn only_counts(&self) -> bool {
        self.columns.is_empty() && self.bounds.is_empty() && self.ids.is_none()
    }

    /// Adds rows of which [nothing but their number](Self::only_counts) is wanted.
    pub fn add_count(&mut self, rows: usize) {
        assert!(self.only_counts(), "values are wanted");
        self.rows += rows;
    }

    /// How many rows of a layout are best added at once: a power of two, at most a range.
    pub fn piece(layout: &Layout) -> usize {
        let rows = (PIECE_BYTES / layout.stride()).clamp(PIECE_ROWS_MIN, RANGE_SLOTS);
        1 << rows.ilog2()
    }

    fn add_row(&mut self, id: impl FnOnce() -> RowId, row: &RowRef<'_>) {
        let passes = |bounds: &ColumnBounds| bounds.admits(row.get(bounds.column));
        if !self.bounds.iter().all(passes) {
            return;
        }
        for column in &mut self.columns {
            column.push(row.get(column.id()));
        }
        if let Some(ids) = &mut self.ids {
            ids.push(id());
        }
        self.rows += 1;
    }

    fn add<I: Images>(&mut self, images: &I, of: Option<&[u16]>, id: impl Fn(usize) -> RowId) {
        let all = images.len();
        if self.tests.is_empty() && of.is_none() {
            self.append(images, None);
            self.rows += all;
            if let Some(ids) = &mut self.ids {
                ids.extend((0..all).map(id));
            }
            return;
        }
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        match of {
            Some(of) => chosen.extend_from_slice(of),
            None => chosen.extend((0..all).map(|at| at as u16)),
        }
        for test in &self.tests {
            test.narrow(images, &mut chosen);
        }
        match chosen.len() {
            0 => {}
            passed if passed == all => self.append(images, None),
            _ => self.append(images, Some(&chosen)),
        }
        self.rows += chosen.len();
        if let Some(ids) = &mut self.ids {
            ids.extend(chosen.iter().map(|at| id(usize::from(*at))));
        }
        self.chosen = chosen;
    }

    fn append<I: Images>(&mut self, images: &I, at: Option<&[u16]>) {
        for column in &mut self.columns {
            column.append(Choice { images, at });
        }
    }

    /// The rows of a run that pass, by vector.
    fn choose(&self, run: &Run<'_>) -> Option<Vec<(usize, Chosen)>> {
        let vectors = run.positions.len().div_ceil(Frozen::VECTOR_ROWS);
        let mut chosen = Vec::with_capacity(vectors + 1);
        let may_pass = run.each_vector(&self.bounds, |vector, mask| {
            chosen.push((vector, Chosen::new(mask)));
        });
        may_pass.then_some(chosen)
    }

    /// One array a column, of the rows added since the last call, and their ids, if they are
    /// wanted.
    pub fn finish(&mut self) -> (Vec<ArrayRef>, Vec<RowId>) {
        self.rows = 0;
        let ids = self.ids.as_mut().map(std::mem::take);
        let columns = self.columns.iter_mut().map(Column::finish);
        (columns.collect(), ids.unwrap_or_default())
    }
}

impl Take for Gatherer {
    fn held(&self) -> usize {
        self.rows
    }

    fn copies_strings(&self) -> bool {
        self.columns.iter().any(Column::is_of_strings)
    }

    fn take_stretch(&mut self, number: BlockNo, rows: &Stretch<'_>) {
        let id = |at: usize| RowId::new(number, Slot((rows.slot + at) as u16));
        self.add(rows, rows.live.as_deref(), id);
    }

    fn take_rows(&mut self, ids: &[RowId], rows: &[RowRef<'_>]) {
        if let Some(images) = Versions::of(rows) {
            self.add(&images, None, |at| ids[at]);
        } else if self.bounds.is_empty()
            && let Some((frozen, positions)) = all_frozen(rows)
        {
            for column in &mut self.columns {
                let array = frozen.array_of(column.id(), column.data_type(), &positions);
                column.append_array(array);
            }
            self.rows += rows.len();
            if let Some(own) = &mut self.ids {
                own.extend_from_slice(ids);
            }
        } else {
            (0..rows.len()).for_each(|at| self.add_row(|| ids[at], &rows[at]));
        }
    }

    fn take_run(&mut self, number: BlockNo, run: &Run<'_>) -> bool {
        let (frozen, all) = (run.frozen, run.positions.clone());
        if self.bounds.is_empty() && run.dead.is_empty() {
            for column in &mut self.columns {
                let array = frozen.array(column.id(), column.data_type(), all.clone());
                column.append_array(array);
            }
            self.rows += all.len();
            if let Some(ids) = &mut self.ids {
                ids.extend(all.map(|position| RowId::new(number, frozen.slot_at(position))));
            }
            return true;
        }
        let Some(vectors) = self.choose(run) else {
            return false;
        };
        let rows = vectors
            .iter()
            .map(|(_, chosen)| chosen.rows())
            .sum::<usize>();
        if rows == 0 {
            return true;
        }
        let at = |(vector, chosen): &(usize, Chosen)| {
            let first = (vector * Frozen::VECTOR_ROWS) as u32;
            chosen
                .iter()
                .map(move |at| first + at as u32)
                .collect::<Vec<_>>()
        };
        let positions = || vectors.iter().flat_map(at);
        for column in &mut self.columns {
            let mut vectors = vectors.iter();
            if !vectors.all(|(vector, chosen)| column.append_vector(frozen, *vector, chosen)) {
                // Not even the first.
                let positions: Vec<u32> = positions().collect();
                let array = frozen.array_of(column.id(), column.data_type(), &positions);
                column.append_array(array);
            }
        }
        self.rows += rows;
        if let Some(ids) = &mut self.ids {
            ids.extend(positions().map(|at| RowId::new(number, frozen.slot_at(at))));
        }
        true
    }
}

/// Where the rows are, if all of them are in one frozen block.
fn all_frozen<'a>(rows: &[RowRef<'a>]) -> Option<(&'a Frozen, Vec<u32>)> {
    let (block, _) = rows.first()?.as_frozen()?;
    let position = |row: &RowRef<'a>| {
        let (frozen, position) = row.as_frozen()?;
        ptr::eq(frozen, block).then_some(position)
    };
    let positions: Option<Vec<u32>> = rows.iter().map(position).collect();
    Some((block, positions?))
}
