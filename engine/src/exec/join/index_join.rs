//! IndexJoin: a join that looks up the right rows of each left one by an index, as long as there are few.
//!
//! ```text
//!   left batch    | slice | slice | slice .. rest |
//!                     |       |           |
//!   right rows     by index, by index   all of them, in a hash table
//! ```
//!
//! 1. A left batch is taken in slices. If the right rows are those of a table, the keys of a slice are evaluated as
//!    arrays; the rows that the index has for each are fetched together, filtered, and arranged by left row: they are a
//!    [`JoinTable`], and from there on the join is any other one ([`Pairing`]). Otherwise (`max(k)` of the rows of a
//!    group) a plan is run for each left row ([`Apply`]).
//! 2. How many left rows there will be is a guess of the optimizer's. What was looked up is counted, and a left batch of
//!    more rows than pay ([`LookupLimit`]), or the rest of one, meets a hash table of all right rows. So a wrong guess
//!    costs no more than a part of that table would.
//! 3. Without an equality there is no hash table, but all pairs are tried: then it goes on with the index as long as
//!    that finds few rows for each left one.
//!
//! Left rows come out in their order, whoever pairs them.

use super::apply::Apply;
use super::join_table::{JoinKeys, JoinTable};
use super::{JoinProbe, Pairing};
use crate::error::{Error, Result};
use crate::exec::batch::Batch;
use crate::exec::eval::Evaluator;
use crate::exec::memory::Held;
use crate::exec::pipeline::{Operator, Step};
use crate::exec::scan::index_scan::{go_between, range_between};
use crate::exec::scan::table_scan::Shape;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::explain::NodeProfile;
use crate::plan::physical::{self, IndexKeys, IndexedRows, JoinKind, LookupLimit};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{ArrayRef, UInt32Array};
use hashbrown::HashSet;
use remora_storage::index::TOGETHER;
use remora_storage::transaction::IndexScan as Range;
use remora_storage::value::value_at;
use remora_storage::{DataType, ReadView, RowId, ValueRef};
use std::sync::Arc;
use std::time::Instant;

/// Left rows of the first slice; each has twice as many as the one before it.
const FIRST_SLICE_ROWS: usize = 32;
/// Left rows of a slice.
const SLICE_ROWS: usize = 512;
/// Right rows that are read at once of the range of a left row, at first: there are few, mostly, and room is made for as
/// many as are asked for.
const FIRST_RANGE_ROWS: usize = 16;
/// Right rows of a left one up to which several left rows are looked up together.
const FEW_ROWS: usize = 16;
/// Right rows after which a slice ends.
const FOUND_ROWS: usize = 4 * BATCH_ROWS;

/// Pairs left rows with those that an index has for them.
#[derive(Debug)]
pub(in crate::exec) struct IndexJoin<'t> {
    /// `None` after too many.
    lookups: Option<Lookups>,
    limit: LookupLimit,
    probe: JoinProbe<'t>,
    /// Rows of the left batch that are done with.
    done: usize,
    slice: Option<Slice>,
    slice_rows: usize,
}

/// Left rows that are paired.
#[derive(Debug)]
struct Slice {
    left: Batch,
    /// What belongs to them, where that is known for all of them together.
    table: Option<JoinTable>,
}

/// What finds the right rows.
#[derive(Debug)]
pub(in crate::exec) enum Lookups {
    Rows(Box<RowLookups>),
    Plan(Box<Apply>),
}

impl Lookups {
    /// Rows of a table.
    pub(in crate::exec) fn by_index(
        plan: &Arc<IndexedRows>,
        kind: JoinKind,
        view: ReadView,
        context: &ExecContext,
    ) -> Self {
        let evaluators = |exprs: &[_]| exprs.iter().cloned().map(Evaluator::new).collect();
        let scan = plan.index_scan();
        Self::Rows(Box::new(RowLookups {
            shape: Shape::new(&scan.scan),
            keys: scan.keys.values().into_iter().map(evaluators).collect(),
            exprs: plan.exprs.as_deref().map(evaluators),
            pairing: Pairing::new(JoinKeys::default(), kind, plan.filter.clone()),
            profile: (context.profiling.as_ref()).map(|profiling| profiling.of(&plan.scan)),
            plan: Arc::clone(plan),
            view,
        }))
    }

    /// What a plan gives.
    pub(in crate::exec) fn by_plan(apply: Apply) -> Self {
        Self::Plan(Box::new(apply))
    }

    /// Takes the first of the left rows; says how many right rows were read for them.
    fn slice(&mut self, left: Batch, context: &ExecContext) -> Result<(Slice, u64)> {
        match self {
            Self::Rows(rows) => rows.slice(left, context),
            Self::Plan(_) => Ok((Slice { left, table: None }, 0)),
        }
    }

    fn push(&mut self, slice: &Slice, context: &ExecContext) -> Result<Step> {
        match (self, &slice.table) {
            (Self::Rows(rows), Some(table)) => rows.pairing.push(&slice.left, table, context),
            (Self::Plan(apply), _) => apply.push(&slice.left, context),
            (Self::Rows(_), None) => unreachable!("its slices have tables"),
        }
    }
}

impl<'t> IndexJoin<'t> {
    /// `probe` does the same without an index.
    pub(in crate::exec) fn new(lookups: Lookups, limit: LookupLimit, probe: JoinProbe<'t>) -> Self {
        Self {
            lookups: Some(lookups),
            limit,
            probe,
            done: 0,
            slice: None,
            slice_rows: FIRST_SLICE_ROWS,
        }
    }

    /// The next left rows for which right ones are looked up, if any are.
    fn next_slice(&mut self, input: &Batch, context: &ExecContext) -> Result<()> {
        if let Some(lookups) = &mut self.lookups
            && self.slice.is_none()
        {
            let rows = self.slice_rows.min(input.rows - self.done);
            let (slice, read) = lookups.slice(input.slice(self.done, rows), context)?;
            self.slice_rows = (2 * self.slice_rows).min(SLICE_ROWS);
            self.count(slice.left.rows as u64, read);
            self.slice = Some(slice);
        }
        Ok(())
    }

    /// Whether that many left rows are too many.
    fn is_over(&self, rows: usize) -> bool {
        match self.limit {
            LookupLimit::All(left) => left < rows as u64 * physical::Lookup::LEFT_ROW,
            LookupLimit::Each(_) => false,
        }
    }

    /// What was read is taken from what may be.
    fn count(&mut self, left: u64, read: u64) {
        self.limit = match self.limit {
            LookupLimit::All(rows) => {
                let cost = read + left * physical::Lookup::LEFT_ROW;
                LookupLimit::All(rows.saturating_sub(cost))
            }
            LookupLimit::Each(rows) if read > left * rows => LookupLimit::All(0),
            each => each,
        };
    }
}

impl Operator for IndexJoin<'_> {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        if self.slice.is_none() && self.is_over(input.rows - self.done) {
            self.lookups = None;
        }
        self.next_slice(input, context)?;
        let (Some(lookups), Some(slice)) = (&mut self.lookups, &self.slice) else {
            let rest = match self.done {
                0 => return self.probe.push(input, context),
                done => input.slice(done, input.rows - done),
            };
            let step = self.probe.push(&rest, context)?;
            if !matches!(step, Step::More(_)) {
                self.done = 0;
            }
            return Ok(step);
        };
        let step = lookups.push(slice, context)?;
        let Step::Done(output) = step else {
            return Ok(step);
        };
        self.done += slice.left.rows;
        self.slice = None;
        if self.done < input.rows {
            return Ok(Step::More(output));
        }
        self.done = 0;
        Ok(Step::Done(output))
    }
}

/// Looks up right rows of a table.
#[derive(Debug)]
pub(in crate::exec) struct RowLookups {
    plan: Arc<IndexedRows>,
    view: ReadView,
    shape: Shape,
    /// The values of the keys, as [`IndexKeys::values`] gives them.
    keys: Vec<Vec<Evaluator>>,
    exprs: Option<Vec<Evaluator>>,
    pairing: Pairing,
    /// Where is counted what is done, if that is asked for.
    profile: Option<Arc<NodeProfile>>,
}

/// The values of one key for each left row.
type Arrays = Vec<(ArrayRef, DataType)>;

impl RowLookups {
    /// The first of these left rows, with what belongs to them; and how many rows were read.
    fn slice(&self, left: Batch, context: &ExecContext) -> Result<(Slice, u64)> {
        let begin = self.profile.is_some().then(Instant::now);
        let array = |key: &Evaluator| Ok((key.array(&left, context)?, key.data_type()));
        let keys = self.keys.iter();
        let keys = keys.map(|key| key.iter().map(array).collect::<Result<Arrays>>());
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let mut held = Held::default();
        let (done, found) = match &self.plan.index_scan().keys {
            IndexKeys::Points(_) => self.points(&keys, left.rows, &mut held, context)?,
            IndexKeys::Elements(_) => return Err(Error::internal("a list of keys for each row")),
            IndexKeys::Range { .. } | IndexKeys::Prefix(_) => {
                self.ranges(&keys, left.rows, &mut held, context)?
            }
        };
        let found = found.into_batch(|| self.fetch(&[]))?;
        let read = found.rows as u64;
        let mut found = self.shape.filtered(found, context)?;
        let owners = found.columns.pop().expect("it is put there last");
        let starts = starts(owners.as_primitive::<UInt32Type>().values(), done);
        if let Some(exprs) = &self.exprs {
            let columns = Evaluator::arrays(exprs, &found, context)?;
            found = Batch::new(columns, found.rows);
        }
        if let (Some(profile), Some(begin)) = (&self.profile, begin) {
            profile.looked_up(done, found.rows, begin.elapsed());
        }
        let slice = Slice {
            left: left.slice(0, done),
            table: Some(JoinTable::by_left_row(found, starts, held)),
        };
        Ok((slice, read))
    }

    /// The rows that have the keys of the first left rows, and how many those are.
    fn points(
        &self,
        keys: &[Arrays],
        rows: usize,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<(usize, Found)> {
        let scan = self.plan.index_scan();
        let (table, index) = (&scan.scan.table, &scan.index);
        let (mut ids, mut found) = (Vec::<RowId>::new(), Found::default());
        let mut seen = HashSet::new();
        let mut asked = Vec::new();
        let mut row = 0;
        while row < rows && ids.len() < FOUND_ROWS {
            context.check()?;
            // Where keys have many rows, those of one left row are enough at a time.
            let step = match ids.len() < row * FEW_ROWS {
                true => TOGETHER / keys.len().clamp(1, TOGETHER),
                false => 1,
            };
            let until = rows.min(row + step);
            asked.clear();
            for row in row..until {
                keys.iter()
                    .for_each(|key| push_values(key, row, &mut asked));
            }
            let asked: Vec<_> = asked.chunks(index.def.columns.len()).collect();
            self.view.lookup_each(table, index, &asked, |at, id| {
                let owner = (row + at / keys.len()) as u32;
                if keys.len() == 1 || seen.insert((owner, id)) {
                    ids.push(id);
                    found.owners.push(owner);
                }
            });
            row = until;
        }
        for ids in ids.chunks(BATCH_ROWS) {
            found.push(self.fetch(ids)?, held, context)?;
        }
        Ok((row, found))
    }

    /// The same where the keys are between two ends.
    fn ranges(
        &self,
        keys: &[Arrays],
        rows: usize,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<(usize, Found)> {
        let plan = self.plan.index_scan();
        let mut found = Found::default();
        let open = Arrays::new();
        let (mut low, mut high) = (Vec::new(), Vec::new());
        let mut scan: Option<Range> = None;
        let mut row = 0;
        while row < rows && found.owners.len() < FOUND_ROWS {
            context.check()?;
            values_at(&keys[0], row, &mut low);
            values_at(keys.get(1).unwrap_or(&open), row, &mut high);
            let has_keys = match &mut scan {
                Some(scan) => go_between(plan, scan, &low, &high),
                None => {
                    scan = range_between(plan, &self.view, &low, &high)?;
                    scan.is_some()
                }
            };
            if has_keys && let Some(scan) = &mut scan {
                self.range(scan, row, &mut found, held, context)?;
            }
            row += 1;
        }
        if let Some(mut scan) = scan {
            found.push(self.shape.rows(scan.gathered()), held, context)?;
        }
        Ok((row, found))
    }

    /// Gathers the rows of a range, which belong to a left row.
    fn range(
        &self,
        scan: &mut Range,
        row: usize,
        found: &mut Found,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<()> {
        let mut wanted = FIRST_RANGE_ROWS;
        loop {
            let read = scan.gather(wanted);
            if read == 0 {
                return Ok(());
            }
            found.owners.resize(found.owners.len() + read, row as u32);
            if found.owners.len() - found.rows >= BATCH_ROWS {
                context.check()?;
                found.push(self.shape.rows(scan.gathered()), held, context)?;
            }
            wanted = (2 * wanted).min(BATCH_ROWS);
        }
    }

    fn fetch(&self, ids: &[RowId]) -> Result<Batch> {
        let scan = &self.plan.index_scan().scan;
        let read = self.view.fetch(&scan.table, &scan.columns, ids)?;
        debug_assert_eq!(
            read.rows,
            ids.len(),
            "what a view shows once, it shows again"
        );
        Ok(self.shape.rows(read))
    }
}

/// Right rows of some left ones.
#[derive(Default)]
struct Found {
    batches: Vec<Batch>,
    rows: usize,
    bytes: usize,
    /// The left row of each, and of those that are still gathered.
    owners: Vec<u32>,
}

impl Found {
    fn push(&mut self, batch: Batch, held: &mut Held, context: &ExecContext) -> Result<()> {
        self.rows += batch.rows;
        self.bytes += batch.bytes();
        // Twice: they are put together.
        held.reach(2 * self.bytes + 4 * self.owners.len(), context)?;
        self.batches.push(batch);
        Ok(())
    }

    /// All of them, with a column more, of the left rows that they belong to; `none` has the columns where there is none.
    fn into_batch(self, none: impl FnOnce() -> Result<Batch>) -> Result<Batch> {
        let mut batch = match self.batches.first() {
            None => none()?,
            Some(first) => Batch::concat(&self.batches, first.columns.len())?,
        };
        batch.columns.push(Arc::new(UInt32Array::from(self.owners)));
        Ok(batch)
    }
}

fn values_at<'a>(arrays: &'a Arrays, row: usize, values: &mut Vec<ValueRef<'a>>) {
    values.clear();
    push_values(arrays, row, values);
}

/// Appends the values of a key for a left row.
fn push_values<'a>(arrays: &'a Arrays, row: usize, values: &mut Vec<ValueRef<'a>>) {
    let value = |(array, data_type): &'a (ArrayRef, DataType)| value_at(array, *data_type, row);
    values.extend(arrays.iter().map(value));
}

/// Where the rows of each left row begin, and where the last ones end.
fn starts(owners: &[u32], left_rows: usize) -> Vec<u32> {
    let mut starts = vec![0; left_rows + 1];
    for owner in owners {
        starts[*owner as usize + 1] += 1;
    }
    for row in 0..left_rows {
        starts[row + 1] += starts[row];
    }
    starts
}
