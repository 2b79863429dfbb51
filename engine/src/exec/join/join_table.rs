//! JoinTable: the right input of a join, arranged by key.
//!
//! ```text
//!   right rows, as they came      r0 r1 r2 r3 r4        key numbers  0 1 0 2 1
//!   rows, by key number           r0 r2 | r1 r4 | r3
//!   starts                        0       2       4   5
//! ```
//!
//! The keys are numbered by a [`KeyTable`], and the rows are arranged by number: a key's matches
//! are one stretch of `rows`. Rows with a NULL in the key match nothing and are left out.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::aggregate::key_table::{KeyTable, MISSING, too_many};
use crate::exec::aggregate::keys::Keys;
use crate::exec::batch::Batch;
use crate::exec::eval::Evaluator;
use crate::exec::memory::Held;
use crate::exec::pipeline::Sink;
use crate::exec::set::recursive::Slot;
use crate::plan::physical::JoinKey;
use crate::plan::{Expr, Field};
use arrow_array::new_empty_array;
use remora_storage::DataType;
use std::ops::Range;
use std::sync::Arc;

/// What rows are compared by.
#[derive(Debug, Default)]
pub(in crate::exec) struct JoinKeys {
    values: Vec<Evaluator>,
    /// Of which of them NULL is equal to NULL; empty where of none.
    nulls_match: Vec<bool>,
}

impl JoinKeys {
    /// One side of the keys of a join.
    pub(in crate::exec) fn of(keys: &[JoinKey], side: impl Fn(&JoinKey) -> &Expr) -> Self {
        let values = keys.iter().map(|key| Evaluator::new(side(key).clone()));
        let nulls_match = keys.iter().map(|key| key.nulls_match);
        let any = keys.iter().any(|key| key.nulls_match);
        Self {
            values: values.collect(),
            nulls_match: if any {
                nulls_match.collect()
            } else {
                Vec::new()
            },
        }
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn table(&self) -> KeyTable {
        let types: Vec<_> = self.values.iter().map(Evaluator::data_type).collect();
        match self.nulls_match.is_empty() {
            true => KeyTable::new(&types),
            false => KeyTable::of_bytes(),
        }
    }

    /// The keys of a batch. [`Keys::has_null`] says which match nothing.
    pub(in crate::exec) fn evaluate(&self, batch: &Batch, context: &ExecContext) -> Result<Keys> {
        match self.nulls_match.as_slice() {
            [] => Keys::evaluate(&self.values, batch, context),
            matching => Keys::evaluate_matching(&self.values, matching, batch, context),
        }
    }
}

/// Collects the right input.
#[derive(Debug)]
pub(in crate::exec) struct JoinBuild {
    keys: JoinKeys,
    types: Vec<DataType>,
    table: KeyTable,
    batches: Vec<Batch>,
    batch_bytes: usize,
    /// The key number of each row; [`MISSING`] for keys with a NULL.
    numbers: Vec<u32>,
    rows: usize,
    held: Held,
    /// Where the table is left for others, too.
    slot: Option<Slot>,
}

impl JoinBuild {
    /// `keys` are over columns of `schema`.
    pub(in crate::exec) fn new(keys: JoinKeys, schema: &[Field]) -> Self {
        Self {
            types: schema.iter().map(|field| field.data_type).collect(),
            table: keys.table(),
            keys,
            batches: Vec::new(),
            batch_bytes: 0,
            numbers: Vec::new(),
            rows: 0,
            held: Held::default(),
            slot: None,
        }
    }

    /// The same, which also leaves the table in a slot.
    pub(in crate::exec) fn kept_in(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }
}

impl Sink for JoinBuild {
    type Output = Arc<JoinTable>;

    fn push(&mut self, batch: Batch, context: &ExecContext) -> Result<()> {
        self.rows += batch.rows;
        if self.rows >= MISSING as usize {
            return Err(too_many());
        }
        let batch = batch.compact();
        self.batch_bytes += batch.bytes();
        // Twice the rows: they are put together at the end. Two numbers a row and two a key.
        let bytes = 2 * self.batch_bytes + 16 * self.rows + self.table.bytes();
        self.held.reach(bytes, context)?;
        if !self.keys.is_empty() {
            let keys = self.keys.evaluate(&batch, context)?;
            self.held.grow(self.table.growth(&keys), context)?;
            let mut numbers = Vec::new();
            self.table.insert(&keys, &mut numbers)?;
            let number = |row: usize| match keys.has_null(row) {
                true => MISSING,
                false => numbers[row],
            };
            self.numbers.extend((0..keys.len()).map(number));
        }
        self.batches.push(batch);
        Ok(())
    }

    fn finish(mut self, context: &ExecContext) -> Result<Self::Output> {
        context.check()?;
        let columns = match self.batches.as_slice() {
            [] => {
                let empty = |data_type: &DataType| new_empty_array(&data_type.arrow());
                self.types.iter().map(empty).collect()
            }
            batches => Batch::concat(batches, self.types.len())?.columns,
        };
        self.batches.clear();
        let lookup = match self.keys.is_empty() {
            true => None,
            false => Some(Lookup::new(self.table, &self.numbers, context)?),
        };
        let table = lookup.as_ref().map_or(0, Lookup::bytes);
        self.held.shrink(self.batch_bytes + table);
        let table = Arc::new(JoinTable {
            columns: Batch::new(columns, self.rows),
            lookup,
            _held: self.held,
        });
        if let Some(slot) = self.slot {
            // One that is there already is the same.
            let _ = slot.set(table.clone());
        }
        Ok(table)
    }
}

/// The right input, ready to be probed.
#[derive(Debug)]
pub(in crate::exec) struct JoinTable {
    /// All its columns.
    pub(in crate::exec) columns: Batch,
    /// `None` without keys.
    pub(in crate::exec) lookup: Option<Lookup>,
    _held: Held,
}

impl JoinTable {
    /// The right rows of a few left ones, in their order; `starts` as in [`Lookup`].
    pub(in crate::exec) fn by_left_row(columns: Batch, starts: Vec<u32>, held: Held) -> Self {
        Self {
            columns,
            lookup: Some(Lookup::by_left_row(starts)),
            _held: held,
        }
    }
}

/// Rows between interrupt checks.
const CHECK_ROWS: usize = 1 << 15;

/// What numbers the stretches of right rows.
#[derive(Debug)]
pub(in crate::exec) enum Numbers {
    /// The keys of left rows have numbers here.
    Keys(KeyTable),
    /// The table is of a few left rows: their positions.
    LeftRows,
}

/// Right rows by key.
#[derive(Debug)]
pub(in crate::exec) struct Lookup {
    /// Whose numbers they are.
    pub(in crate::exec) numbers: Numbers,
    /// One more than keys: where each key's rows start in `rows`.
    pub(in crate::exec) starts: Vec<u32>,
    /// Right rows, by key number.
    pub(in crate::exec) rows: Vec<u32>,
    /// Right rows with a NULL in the key.
    pub(in crate::exec) nulls: Vec<u32>,
}

impl Lookup {
    /// Arranges rows by key number: counts them, then places each.
    fn new(table: KeyTable, numbers: &[u32], context: &ExecContext) -> Result<Self> {
        let mut starts = vec![0_u32; table.len() + 1];
        let mut known = 0;
        for numbers in numbers.chunks(CHECK_ROWS) {
            context.check()?;
            for number in numbers.iter().filter(|number| **number != MISSING) {
                starts[*number as usize + 1] += 1;
                known += 1;
            }
        }
        for key in 1..starts.len() {
            starts[key] += starts[key - 1];
        }
        let mut rows = vec![0; known];
        let mut nulls = Vec::with_capacity(numbers.len() - known);
        let mut next = starts.clone();
        for (row, number) in numbers.iter().enumerate() {
            if row.is_multiple_of(CHECK_ROWS) {
                context.check()?;
            }
            if *number != MISSING {
                let place = &mut next[*number as usize];
                rows[*place as usize] = row as u32;
                *place += 1;
            } else {
                nulls.push(row as u32);
            }
        }
        Ok(Self {
            numbers: Numbers::Keys(table),
            starts,
            rows,
            nulls,
        })
    }

    /// Rows in the order of the left rows that they belong to; `starts` as in the struct.
    pub(in crate::exec) fn by_left_row(starts: Vec<u32>) -> Self {
        let rows = starts.last().copied().unwrap_or_default();
        Self {
            numbers: Numbers::LeftRows,
            starts,
            rows: (0..rows).collect(),
            nulls: Vec::new(),
        }
    }

    fn bytes(&self) -> usize {
        let numbers = self.starts.len() + self.rows.len() + self.nulls.len();
        let table = match &self.numbers {
            Numbers::Keys(table) => table.bytes(),
            Numbers::LeftRows => 0,
        };
        table + size_of::<u32>() * numbers
    }

    /// Where the rows of a key are in `rows`.
    pub(in crate::exec) fn stretch_of(&self, number: u32) -> Range<usize> {
        let key = number as usize;
        self.starts[key] as usize..self.starts[key + 1] as usize
    }

    /// The right rows of a key.
    pub(in crate::exec) fn rows_of(&self, number: u32) -> &[u32] {
        &self.rows[self.stretch_of(number)]
    }
}
