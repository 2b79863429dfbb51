//! Join: pairs of rows of two inputs, by a hash table over the right one or by trying all pairs.
//!
//! ```text
//!   right rows, as they came      r0 r1 r2 r3 r4        key numbers  0 1 0 2 1
//!   rows, by key number           r0 r2 | r1 r4 | r3
//!   starts                        0       2       4   5
//! ```
//!
//! 1. The right input is collected; its keys are numbered by a [`KeyTable`], and the rows are
//!    arranged by number. Rows with a NULL in the key match nothing and are left out.
//! 2. For each left batch the keys are looked up; a row's matches are one stretch of `rows`.
//!    Without keys every left row matches the stretch of all rows.
//! 3. Pairs are made [`BATCH_ROWS`] at a time: the columns of both sides are taken by index, and
//!    the rest of the condition filters them. The operator remembers where it was.
//! 4. A left join remembers which left rows found a partner and gives the others, with
//!    NULLs, after the last pair of their batch.
//!
//! The finished table is immutable and behind an `Arc`: many probes can share it.

use super::batch::Batch;
use super::eval::Evaluator;
use super::filter::Filter;
use super::keys::{KeyTable, Keys, MISSING, too_many};
use super::memory::Held;
use super::pipeline::{Breaker, Operator, Sink, Step};
use super::{BATCH_ROWS, ExecContext};
use crate::error::Result;
use crate::plan::physical::JoinKind;
use crate::plan::{Expr, Field};
use arrow_array::{ArrayRef, BooleanArray, UInt32Array, new_empty_array, new_null_array};
use remora_storage::DataType;
use std::ops::Range;
use std::sync::Arc;

/// Collects the right input.
#[derive(Debug)]
pub(super) struct JoinBuild {
    keys: Vec<Evaluator>,
    types: Vec<DataType>,
    table: KeyTable,
    batches: Vec<Batch>,
    batch_bytes: usize,
    /// The key number of each row; [`MISSING`] for keys with a NULL.
    numbers: Vec<u32>,
    rows: usize,
    held: Held,
}

impl JoinBuild {
    /// `keys` are over columns of `schema`.
    pub(super) fn new(keys: Vec<Expr>, schema: &[Field]) -> Self {
        let key_types: Vec<_> = keys.iter().map(|key| key.data_type).collect();
        Self {
            keys: keys.into_iter().map(Evaluator::new).collect(),
            types: schema.iter().map(|field| field.data_type).collect(),
            table: KeyTable::new(&key_types),
            batches: Vec::new(),
            batch_bytes: 0,
            numbers: Vec::new(),
            rows: 0,
            held: Held::default(),
        }
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
            let keys = Keys::evaluate(&self.keys, &batch, context)?;
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
        let lookup = (!self.keys.is_empty()).then(|| Lookup::new(self.table, &self.numbers));
        let table = lookup.as_ref().map_or(0, Lookup::bytes);
        self.held.shrink(self.batch_bytes + table)?;
        Ok(Arc::new(JoinTable {
            columns: Batch::new(columns, self.rows),
            lookup,
            _held: self.held,
        }))
    }
}

/// The right input, ready to be probed.
#[derive(Debug)]
pub(super) struct JoinTable {
    columns: Batch,
    /// `None` without keys.
    lookup: Option<Lookup>,
    _held: Held,
}

/// Right rows by key.
#[derive(Debug)]
struct Lookup {
    table: KeyTable,
    /// One more than keys: where each key's rows start in `rows`.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Lookup {
    /// Arranges rows by key number: counts them, then places each.
    fn new(table: KeyTable, numbers: &[u32]) -> Self {
        let mut starts = vec![0_u32; table.len() + 1];
        let known = || numbers.iter().filter(|number| **number != MISSING);
        for number in known() {
            starts[*number as usize + 1] += 1;
        }
        for key in 1..starts.len() {
            starts[key] += starts[key - 1];
        }
        let mut rows = vec![0; known().count()];
        let mut next = starts.clone();
        for (row, number) in numbers.iter().enumerate() {
            if *number != MISSING {
                let place = &mut next[*number as usize];
                rows[*place as usize] = row as u32;
                *place += 1;
            }
        }
        Self {
            table,
            starts,
            rows,
        }
    }

    fn bytes(&self) -> usize {
        self.table.bytes() + size_of::<u32>() * (self.starts.len() + self.rows.len())
    }
}

/// Gives the pairs of left rows.
#[derive(Debug)]
pub(super) struct JoinProbe {
    keys: Vec<Evaluator>,
    build: Breaker<JoinBuild>,
    kind: JoinKind,
    filter: Option<Filter>,
    progress: Option<Progress>,
}

/// How far a left batch has come.
#[derive(Debug)]
struct Progress {
    /// The key number of each left row; empty without keys.
    numbers: Vec<u32>,
    /// The left row whose pairs come next.
    row: usize,
    /// How many of its matches were given.
    given: usize,
    /// Of a left join: which left rows found a partner.
    matched: Vec<bool>,
}

impl JoinProbe {
    pub(super) fn new(
        keys: Vec<Expr>,
        build: Breaker<JoinBuild>,
        kind: JoinKind,
        filter: Option<Expr>,
    ) -> Self {
        Self {
            keys: keys.into_iter().map(Evaluator::new).collect(),
            build,
            kind,
            filter: filter.map(Filter::new),
            progress: None,
        }
    }

    fn begin(&self, input: &Batch, table: &JoinTable, context: &ExecContext) -> Result<Progress> {
        let mut numbers = Vec::new();
        if let Some(lookup) = &table.lookup {
            let keys = Keys::evaluate(&self.keys, input, context)?;
            lookup.table.find(&keys, &mut numbers)?;
            for (row, number) in numbers.iter_mut().enumerate() {
                if keys.has_null(row) {
                    *number = MISSING;
                }
            }
        }
        let left_rows = match self.kind {
            JoinKind::Left => input.rows,
            JoinKind::Inner => 0,
        };
        Ok(Progress {
            numbers,
            row: 0,
            given: 0,
            matched: vec![false; left_rows],
        })
    }

    /// The columns of both sides for these pairs, as far as the condition is true of them.
    fn pairs(
        &self,
        input: &Batch,
        table: &JoinTable,
        (left, right): (Vec<u32>, Vec<u32>),
        matched: &mut [bool],
        context: &ExecContext,
    ) -> Result<Batch> {
        let left = UInt32Array::from(left);
        let mut columns = input.take(&left)?.columns;
        columns.extend(table.columns.take(&UInt32Array::from(right))?.columns);
        let mut pairs = Batch::new(columns, left.len());
        let mut met = left.values().to_vec();
        if let Some(filter) = &self.filter {
            let keep = filter.keep(&pairs, context)?;
            met = keep.set_indices().map(|pair| met[pair]).collect();
            if keep.has_false() {
                pairs = pairs.filter(&BooleanArray::new(keep, None))?;
            }
        }
        if !matched.is_empty() {
            for row in met {
                matched[row as usize] = true;
            }
        }
        Ok(pairs)
    }
}

impl Progress {
    /// Where the matches of the left row lie in the table.
    fn matches(&self, table: &JoinTable) -> Range<usize> {
        match &table.lookup {
            None => 0..table.columns.rows,
            Some(lookup) => match self.numbers[self.row] {
                MISSING => 0..0,
                number => {
                    let key = number as usize;
                    lookup.starts[key] as usize..lookup.starts[key + 1] as usize
                }
            },
        }
    }

    /// The next pairs of left and right rows, at most a batch; none at the end.
    fn next_pairs(&mut self, left_rows: usize, table: &JoinTable) -> (Vec<u32>, Vec<u32>) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        while self.row < left_rows && left.len() < BATCH_ROWS {
            let matches = self.matches(table);
            let taken = (matches.len() - self.given).min(BATCH_ROWS - left.len());
            let start = matches.start + self.given;
            left.resize(left.len() + taken, self.row as u32);
            match &table.lookup {
                None => right.extend((start..start + taken).map(|row| row as u32)),
                Some(lookup) => right.extend_from_slice(&lookup.rows[start..start + taken]),
            }
            self.given += taken;
            if self.given == matches.len() {
                self.row += 1;
                self.given = 0;
            }
        }
        (left, right)
    }
}

/// The left rows without a partner, with NULLs for the right columns.
fn unmatched(input: &Batch, table: &JoinTable, matched: &[bool]) -> Result<Batch> {
    let keep: BooleanArray = matched.iter().map(|matched| Some(!matched)).collect();
    let mut rows = input.filter(&keep)?;
    let count = rows.rows;
    let null = |column: &ArrayRef| new_null_array(column.data_type(), count);
    rows.columns.extend(table.columns.columns.iter().map(null));
    Ok(rows)
}

impl Operator for JoinProbe {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let Some(table) = self.build.output(context)?.cloned() else {
            return Ok(Step::Last(input.slice(0, 0)));
        };
        if table.columns.rows == 0 && self.kind == JoinKind::Inner {
            return Ok(Step::Last(input.slice(0, 0)));
        }
        let mut progress = match self.progress.take() {
            Some(progress) => progress,
            None => self.begin(input, &table, context)?,
        };
        let indices = progress.next_pairs(input.rows, &table);
        if indices.0.is_empty() {
            return Ok(Step::Done(match self.kind {
                JoinKind::Inner => input.slice(0, 0),
                JoinKind::Left => unmatched(input, &table, &progress.matched)?,
            }));
        }
        let output = self.pairs(input, &table, indices, &mut progress.matched, context)?;
        if self.kind == JoinKind::Inner && progress.row == input.rows {
            return Ok(Step::Done(output));
        }
        self.progress = Some(progress);
        Ok(Step::More(output))
    }
}
