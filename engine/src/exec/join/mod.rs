//! Join: pairs of rows of two inputs, by a hash table over the right one or by trying all pairs.
//!
//! 1. The right input becomes a [`JoinTable`], at the first left batch.
//! 2. For each left batch the keys are looked up; a row's matches are one stretch of `rows`.
//!    Without keys every left row matches the stretch of all rows.
//! 3. Pairs are made [`BATCH_ROWS`] at a time: the columns of both sides are taken by index, and
//!    the rest of the condition filters them. The operator remembers where it was.
//! 4. A left join remembers which left rows found a partner and gives the others, with NULLs, where their pairs would
//!    be: left rows come out in their order. A single join does not allow a second partner.
//! 5. A full join is a left join that also remembers which right rows found a partner; what comes of the
//!    others is the affair of [`full_join`].
//! 6. Semi, anti and mark joins give left rows only, after the last pair; where the keys are the whole
//!    condition no pair is made. A mark join may have to tell NULL from false ([`NullTest`]).
//!
//! The finished table is immutable and behind an `Arc`: many probes can share it. Where the rows of the table come from
//! is no affair of [`Pairing`], which does 2 to 6: [`index_join`] gives it tables of a few left rows.

pub(super) mod apply;
pub(super) mod full_join;
pub(super) mod index_join;
pub(super) mod join_table;
pub(super) mod mark;
pub(super) mod memo;

use super::aggregate::key_table::MISSING;
use super::batch::Batch;
use super::memory::Held;
use super::pipeline::{Breaker, Operator, Step};
use super::scan::filter::Filter;
use super::{BATCH_ROWS, ExecContext};
use crate::error::{Error, Result, state};
use crate::plan::Expr;
use crate::plan::physical::{JoinKind, MarkTest};
use arrow_array::{ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow_buffer::BooleanBuffer;
use join_table::{JoinBuild, JoinKeys, JoinTable, Numbers};
use mark::NullTest;
use std::ops::Range;
use std::sync::Arc;

/// Gives the pairs of left rows, or those rows themselves.
#[derive(Debug)]
pub(super) struct JoinProbe<'t> {
    build: Breaker<'t, JoinBuild>,
    pairing: Pairing,
}

/// Pairs left rows with those of a table.
#[derive(Debug)]
pub(super) struct Pairing {
    keys: JoinKeys,
    kind: JoinKind,
    filter: Option<Filter>,
    nulls: Option<NullTest>,
    progress: Option<Progress>,
    /// Of a full join: which right rows found a partner; empty before the first left batch.
    met: Vec<bool>,
    met_held: Held,
}

/// How far a left batch has come.
#[derive(Debug)]
struct Progress {
    /// The key number of each left row; empty without keys.
    numbers: Vec<u32>,
    /// Where NULL is told from false: which left rows have a NULL in the key.
    nulls: Vec<bool>,
    /// The left row whose pairs come next.
    row: usize,
    /// How many of its matches were given.
    given: usize,
    /// Which left rows found a partner; empty where nobody asks.
    matched: Vec<bool>,
    /// Of a left join: the row from which on nothing was given of those without a partner.
    filled: usize,
}

impl<'t> JoinProbe<'t> {
    pub(super) fn new(
        keys: JoinKeys,
        build: Breaker<'t, JoinBuild>,
        kind: JoinKind,
        filter: Option<Expr>,
    ) -> Self {
        let pairing = Pairing::new(keys, kind, filter);
        Self { build, pairing }
    }

    /// The right rows, and of a full join which of them found a partner. `None` only after an error.
    pub(super) fn right(&mut self, context: &ExecContext) -> Result<Option<(&Batch, &[bool])>> {
        let table = self.build.output(context)?;
        let met = self.pairing.met.as_slice();
        Ok(table.map(|table| (&table.columns, met)))
    }

    /// The same for a mark join that tells NULL from false.
    pub(super) fn with_test(mut self, test: Option<MarkTest>) -> Self {
        let has_rest = self.pairing.filter.is_some();
        self.pairing.nulls = test.map(|test| NullTest::new(test, has_rest));
        self
    }
}

impl Pairing {
    /// `keys` are over the left columns; a table whose rows are by left row needs none.
    pub(super) fn new(keys: JoinKeys, kind: JoinKind, filter: Option<Expr>) -> Self {
        Self {
            keys,
            kind,
            filter: filter.map(Filter::new),
            nulls: None,
            progress: None,
            met: Vec::new(),
            met_held: Held::default(),
        }
    }

    fn begin(&self, input: &Batch, table: &JoinTable, context: &ExecContext) -> Result<Progress> {
        let (mut numbers, mut nulls) = (Vec::new(), Vec::new());
        match table.lookup.as_ref().map(|lookup| &lookup.numbers) {
            None => {}
            Some(Numbers::LeftRows) => numbers.extend(0..input.rows as u32),
            Some(Numbers::Keys(table)) => {
                let keys = self.keys.evaluate(input, context)?;
                table.find(&keys, &mut numbers)?;
                for (row, number) in numbers.iter_mut().enumerate() {
                    if keys.has_null(row) {
                        *number = MISSING;
                    }
                }
                if self.nulls.is_some() {
                    nulls = (0..input.rows).map(|row| keys.has_null(row)).collect();
                }
            }
        }
        let left_rows = match self.kind {
            JoinKind::Inner => 0,
            _ => input.rows,
        };
        let mut progress = Progress {
            numbers,
            nulls,
            row: 0,
            given: 0,
            matched: vec![false; left_rows],
            filled: 0,
        };
        if self.filter.is_none() && !self.kind.gives_right() {
            // It is known without any pair.
            for row in 0..left_rows {
                progress.row = row;
                progress.matched[row] = !progress.matches(table).is_empty();
            }
            progress.row = left_rows;
        }
        Ok(progress)
    }

    /// The columns of both sides for these pairs, as far as the condition is true of them.
    fn pairs(
        &mut self,
        input: &Batch,
        table: &JoinTable,
        (left, right): (Vec<u32>, Vec<u32>),
        progress: &mut Progress,
        context: &ExecContext,
    ) -> Result<Batch> {
        let left = UInt32Array::from(left);
        let mut columns = input.take(&left)?.columns;
        let right = UInt32Array::from(right);
        columns.extend(table.columns.take(&right)?.columns);
        let mut pairs = Batch::new(columns, left.len());
        let mut kept = None;
        if let Some(filter) = &self.filter {
            let keep = filter.keep(&pairs, context)?;
            if keep.has_false() {
                pairs = pairs.filter(&BooleanArray::new(keep.clone(), None))?;
                kept = Some(keep);
            }
        }
        if self.kind == JoinKind::Single {
            mark_single(&mut progress.matched, &left, kept.as_ref())?;
        }
        mark(&mut progress.matched, &left, kept.as_ref());
        mark(&mut self.met, &right, kept.as_ref());
        if !self.kind.gives_right() || self.kind == JoinKind::Inner {
            return Ok(pairs);
        }
        let unmatched = progress.unmatched(progress.row);
        if unmatched.is_empty() {
            return Ok(pairs);
        }
        let keep = |pair: &usize| kept.as_ref().is_none_or(|kept| kept.value(*pair));
        let kept = (0..left.len()).filter(keep);
        let kept = kept.map(|pair| (left.value(pair), Some(right.value(pair))));
        filled(input, table, kept, &unmatched)
    }

    /// What comes of a left batch after its last pair.
    fn end(
        &self,
        input: &Batch,
        table: &JoinTable,
        progress: &mut Progress,
        context: &ExecContext,
    ) -> Result<Batch> {
        if self.kind.gives_right() && self.kind != JoinKind::Inner {
            let unmatched = progress.unmatched(input.rows);
            return filled(input, table, std::iter::empty(), &unmatched);
        }
        let matched = &progress.matched;
        match self.kind {
            JoinKind::Inner | JoinKind::Left | JoinKind::Full | JoinKind::Single => {
                Ok(input.slice(0, 0))
            }
            JoinKind::Semi => input.filter(&matched.clone().into()),
            JoinKind::Anti => {
                let not: Vec<bool> = matched.iter().map(|matched| !matched).collect();
                input.filter(&not.into())
            }
            JoinKind::Mark => {
                let unknown = match &self.nulls {
                    Some(nulls) => {
                        let keys = (progress.numbers.as_slice(), progress.nulls.as_slice());
                        nulls.unknown(input, table, keys, matched, context)?
                    }
                    None => vec![false; input.rows],
                };
                let marks = matched.iter().zip(unknown);
                let marks = marks.map(|(matched, unknown)| (!unknown).then_some(*matched));
                Ok(marked(input, marks.collect()))
            }
        }
    }
}

/// Rows with a column more, of truth values.
pub(super) fn marked(input: &Batch, marks: BooleanArray) -> Batch {
    let mut columns = input.columns.clone();
    columns.push(Arc::new(marks));
    Batch::new(columns, input.rows)
}

/// A subquery that is a value has several.
pub(super) fn more_than_one_row() -> Error {
    let message = "more than one row returned by a subquery used as an expression";
    Error::new(state::CARDINALITY_VIOLATION, message)
}

impl Progress {
    /// Left rows before `end` without a partner, of which nothing was given so far.
    fn unmatched(&mut self, end: usize) -> Vec<u32> {
        let rows = self.filled..end;
        self.filled = end;
        let rows = rows.filter(|row| !self.matched[*row]);
        rows.map(|row| row as u32).collect()
    }

    /// Where the matches of the left row lie in the table.
    fn matches(&self, table: &JoinTable) -> Range<usize> {
        match &table.lookup {
            None => 0..table.columns.rows,
            Some(lookup) => match self.numbers[self.row] {
                MISSING => 0..0,
                number => lookup.stretch_of(number),
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

/// Marks the rows of the pairs that were kept; all if nothing is said, and none where nothing is remembered.
fn mark(met: &mut [bool], rows: &UInt32Array, kept: Option<&BooleanBuffer>) {
    if met.is_empty() {
        return;
    }
    let rows = rows.values();
    match kept {
        None => rows.iter().for_each(|row| met[*row as usize] = true),
        Some(kept) => {
            let pairs = kept.set_indices();
            pairs.for_each(|pair| met[rows[pair] as usize] = true);
        }
    }
}

/// Of a single join: that no left row finds a second partner. Marks those that found one.
fn mark_single(
    matched: &mut [bool],
    left: &UInt32Array,
    kept: Option<&BooleanBuffer>,
) -> Result<()> {
    let is_kept = |pair: &usize| kept.is_none_or(|kept| kept.value(*pair));
    for pair in (0..left.len()).filter(is_kept) {
        if std::mem::replace(&mut matched[left.value(pair) as usize], true) {
            return Err(more_than_one_row());
        }
    }
    Ok(())
}

/// Pairs and left rows without a partner, with NULLs for the right columns, in the order of the left rows.
fn filled(
    input: &Batch,
    table: &JoinTable,
    pairs: impl Iterator<Item = (u32, Option<u32>)>,
    unmatched: &[u32],
) -> Result<Batch> {
    let mut pairs = pairs.peekable();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut give = |(left_row, right_row)| {
        left.push(left_row);
        right.push(right_row);
    };
    for row in unmatched {
        while let Some(pair) = pairs.next_if(|(left_row, _)| left_row < row) {
            give(pair);
        }
        give((*row, None));
    }
    pairs.for_each(give);
    let rows = left.len();
    let mut columns = input.take(&UInt32Array::from(left))?.columns;
    match table.columns.rows {
        // There is no row that could be taken.
        0 => {
            let null = |column: &ArrayRef| new_null_array(column.data_type(), rows);
            columns.extend(table.columns.columns.iter().map(null));
        }
        _ => columns.extend(table.columns.take(&UInt32Array::from(right))?.columns),
    }
    Ok(Batch::new(columns, rows))
}

impl Operator for JoinProbe<'_> {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let Some(table) = self.build.output(context)?.cloned() else {
            return Ok(Step::Last(input.slice(0, 0)));
        };
        let needs_match = matches!(self.pairing.kind, JoinKind::Inner | JoinKind::Semi);
        if table.columns.rows == 0 && needs_match {
            return Ok(Step::Last(input.slice(0, 0)));
        }
        self.pairing.push(input, &table, context)
    }
}

impl Pairing {
    /// As [`Operator::push`], with the rows of this table.
    pub(super) fn push(
        &mut self,
        input: &Batch,
        table: &JoinTable,
        context: &ExecContext,
    ) -> Result<Step> {
        if self.kind == JoinKind::Full && self.met.is_empty() {
            self.met_held.reach(table.columns.rows, context)?;
            self.met = vec![false; table.columns.rows];
        }
        let mut progress = match self.progress.take() {
            Some(progress) => progress,
            None => self.begin(input, table, context)?,
        };
        let indices = progress.next_pairs(input.rows, table);
        if indices.0.is_empty() {
            return Ok(Step::Done(self.end(
                input,
                table,
                &mut progress,
                context,
            )?));
        }
        let mut output = self.pairs(input, table, indices, &mut progress, context)?;
        if self.kind.gives_right() && progress.row == input.rows {
            return Ok(Step::Done(output));
        }
        if !self.kind.gives_right() {
            output = input.slice(0, 0);
        }
        self.progress = Some(progress);
        Ok(Step::More(output))
    }
}
