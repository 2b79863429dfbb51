//! IndexScan: rows of a table by an index, in the index's order.
//!
//! 1. The keys are evaluated once, at the start. A NULL in a key or bound means no rows: no
//!    comparison with it is true.
//! 2. Points give RowIds (`lookup`), whose rows are then fetched a batch at a time; a range gives
//!    batches of rows as it goes, where only the first rows are wanted small ones at first. Storage has dropped entries that the view does not show.
//! 3. The rest of the predicate is evaluated over the batch, as in a table scan.

use super::row_test::{Scan, row_test};
use super::table_scan::Shape;
use crate::error::Result;
use crate::exec::batch::Batch;
use crate::exec::eval::{Datum, eval_constant, with_refs, with_values};
use crate::exec::memory::Held;
use crate::exec::pipeline::Source;
use crate::exec::set::adaptive::Trial;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::Expr;
use crate::plan::physical::{self, IndexKeys, KeyEnd};
use hashbrown::HashSet;
use remora_storage::index::TOGETHER;
use remora_storage::transaction::{IndexScan as Range, ScanBatch};
use remora_storage::{ReadView, RowId, ValueRef};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

/// Rows of the first batch of a scan that is tried.
const FIRST_TRIED_ROWS: usize = 64;
/// Rows of the largest batch where a scan may be ended at any time: what is read beyond the last row that is wanted is
/// read in vain.
const FEW_ROWS: usize = 256;
/// Memory of a row that was found: its number, in a list and in a set.
const FOUND_BYTES: usize = 32;

/// Reads rows by index.
#[derive(Debug)]
pub(in crate::exec) struct IndexScan {
    plan: Arc<physical::IndexScan>,
    view: ReadView,
    shape: Shape,
    /// Rows of the first batch, and of the next one.
    first_rows: usize,
    batch_rows: usize,
    /// The trial that the scan belongs to, and how many rows it may still read.
    trial: Option<(Trial, u64)>,
    /// `None` before the first batch.
    rows: Option<Rows>,
}

/// Where rows come from.
#[derive(Debug)]
enum Rows {
    /// Points, all found already.
    Found {
        rows: std::vec::IntoIter<RowId>,
        _memory: Held,
    },
    /// A range.
    Range(Box<Range>),
}

impl Rows {
    fn found(rows: Vec<RowId>, memory: Held) -> Self {
        Self::Found {
            rows: rows.into_iter(),
            _memory: memory,
        }
    }
}

impl IndexScan {
    pub(in crate::exec) fn new(
        plan: &Arc<physical::IndexScan>,
        view: ReadView,
        batch_rows: usize,
    ) -> Self {
        Self {
            shape: Shape::new(&plan.scan),
            plan: Arc::clone(plan),
            view,
            first_rows: batch_rows,
            batch_rows,
            trial: None,
            rows: None,
        }
    }

    /// Makes the scan part of a trial: it gives up after `read_max` rows of its plan.
    pub(in crate::exec) fn tried(mut self, trial: &Trial) -> Self {
        if let Some(read_max) = self.plan.read_max {
            self.trial = Some((trial.clone(), read_max));
            self.batch_rows = self.batch_rows.min(FIRST_TRIED_ROWS);
        }
        self
    }

    fn fetch(&self, found: &mut std::vec::IntoIter<RowId>) -> Result<Option<ScanBatch>> {
        let ids: Vec<RowId> = found.take(self.batch_rows).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let scan = &self.plan.scan;
        Ok(Some(self.view.fetch(&scan.table, &scan.columns, &ids)?))
    }

    fn open(&self, context: &ExecContext) -> Result<Rows> {
        match &self.plan.keys {
            IndexKeys::Points(keys) => {
                let values = evaluate(keys.iter().flatten(), context)?;
                if keys.len() > 1 {
                    return self.points(values.iter().map(Datum::as_ref), context);
                }
                let (table, index) = (&self.plan.scan.table, &self.plan.index);
                let found = with_refs(&values, |key| self.view.lookup(table, index, key))?;
                Ok(self.found(found, Held::default()))
            }
            IndexKeys::Elements(array) => {
                let array = eval_constant(array, context)?;
                let array = array.as_ref().as_array();
                self.points(array.iter().flat_map(|array| array.iter()), context)
            }
            IndexKeys::Range { .. } | IndexKeys::Prefix(_) => {
                let range = open_range(&self.plan, &self.view, context)?;
                let test = || row_test(Scan::Index(Arc::clone(&self.plan)), context);
                let test = self.view.is_recording().then(test).flatten();
                let range = match (range, test) {
                    (Some(range), Some(test)) => Some(range.passing(test)),
                    (range, _) => range,
                };
                Ok(match range {
                    Some(range) => Rows::Range(Box::new(range)),
                    None => Rows::found(Vec::new(), Held::default()),
                })
            }
        }
    }

    /// The rows that have the keys of which these are the values. A row has one key, so a row found twice was found by a
    /// key given twice.
    fn points<'v>(
        &self,
        mut values: impl Iterator<Item = ValueRef<'v>>,
        context: &ExecContext,
    ) -> Result<Rows> {
        let (table, index) = (&self.plan.scan.table, &self.plan.index);
        let width = index.def.columns.len();
        let (mut found, mut memory) = (Vec::new(), Held::default());
        let mut seen = HashSet::new();
        loop {
            let group = values.by_ref().take(TOGETHER * width);
            let group: SmallVec<[ValueRef<'_>; TOGETHER]> = group.collect();
            if group.is_empty() {
                break;
            }
            context.check()?;
            let keys: SmallVec<[&[ValueRef<'_>]; TOGETHER]> = group.chunks(width).collect();
            let new = |_, id| found.extend(seen.insert(id).then_some(id));
            self.view.lookup_each(table, index, &keys, new);
            if found.len() > BATCH_ROWS {
                memory.reach(found.len() * FOUND_BYTES, context)?;
            }
        }
        Ok(self.found(found, memory))
    }

    fn found(&self, mut rows: Vec<RowId>, memory: Held) -> Rows {
        if self.plan.reverse {
            rows.reverse();
        }
        Rows::found(rows, memory)
    }
}

/// The keys of a plan that follow each other; `None` where there are none, because NULL is asked for.
pub(in crate::exec) fn open_range(
    plan: &physical::IndexScan,
    view: &ReadView,
    context: &ExecContext,
) -> Result<Option<Range>> {
    let (low, high): (&[Expr], &[Expr]) = match &plan.keys {
        IndexKeys::Points(_) | IndexKeys::Elements(_) => return Ok(None),
        IndexKeys::Range { low, high } => (low.values(), high.values()),
        IndexKeys::Prefix(values) => (values, &[]),
    };
    with_values(low, context, |low| {
        with_values(high, context, |high| {
            with_refs(low, |low| {
                with_refs(high, |high| range_between(plan, view, low, high))
            })
        })
    })
}

/// The same where the ends have these values; a prefix is `low`.
pub(in crate::exec) fn range_between(
    plan: &physical::IndexScan,
    view: &ReadView,
    low: &[ValueRef<'_>],
    high: &[ValueRef<'_>],
) -> Result<Option<Range>> {
    if low.iter().chain(high).any(|value| value.is_null()) {
        return Ok(None);
    }
    let (scan, index, reverse) = (&plan.scan, &plan.index, plan.reverse);
    let (table, columns) = (&scan.table, &scan.columns);
    let range = match &plan.keys {
        IndexKeys::Points(_) | IndexKeys::Elements(_) => return Ok(None),
        IndexKeys::Range {
            low: from,
            high: to,
        } => {
            let (low, high) = (bound(from, low), bound(to, high));
            let (low, high) = (low.as_ref().map(|v| &**v), high.as_ref().map(|v| &**v));
            view.range(table, index, columns, low, high, reverse)?
        }
        IndexKeys::Prefix(_) => view.range_of_prefix(table, index, columns, low, reverse)?,
    };
    Ok(Some(match scan.row_id {
        true => range.with_ids(),
        false => range,
    }))
}

/// Goes to where the ends have these values, with a scan by the same plan that has read another range; false where there
/// are no keys.
pub(in crate::exec) fn go_between(
    plan: &physical::IndexScan,
    range: &mut Range,
    low: &[ValueRef<'_>],
    high: &[ValueRef<'_>],
) -> bool {
    if low.iter().chain(high).any(|value| value.is_null()) {
        return false;
    }
    match &plan.keys {
        IndexKeys::Points(_) | IndexKeys::Elements(_) => return false,
        IndexKeys::Range {
            low: from,
            high: to,
        } => {
            let (low, high) = (bound(from, low), bound(to, high));
            let (low, high) = (low.as_ref().map(|v| &**v), high.as_ref().map(|v| &**v));
            range.go_to(low, high);
        }
        IndexKeys::Prefix(_) => range.go_to_prefix(low),
    }
    true
}

/// The bound that an end with these values is.
fn bound<'v>(end: &KeyEnd, values: &'v [ValueRef<'v>]) -> Bound<Cow<'v, [ValueRef<'v>]>> {
    match end {
        KeyEnd::Open => Bound::Unbounded,
        KeyEnd::Included(_) => Bound::Included(Cow::Borrowed(values)),
        KeyEnd::Excluded(_) => Bound::Excluded(Cow::Borrowed(values)),
        KeyEnd::Nulls(_) => Bound::Excluded(Cow::Owned([values, &[ValueRef::Null]].concat())),
        KeyEnd::Null(_) => Bound::Included(Cow::Owned([values, &[ValueRef::Null]].concat())),
    }
}

fn evaluate<'a>(
    values: impl Iterator<Item = &'a Expr>,
    context: &'a ExecContext,
) -> Result<Vec<Datum<'a>>> {
    values.map(|expr| eval_constant(expr, context)).collect()
}

impl Source for IndexScan {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.open(context)?,
        };
        if let Some((trial, left)) = &self.trial {
            if *left == 0 {
                trial.give_up();
                return Ok(None);
            }
            self.batch_rows = self.batch_rows.min(*left as usize);
        }
        let read = match &mut rows {
            Rows::Found { rows, .. } => self.fetch(rows)?,
            Rows::Range(range) => range.next(self.batch_rows)?,
        };
        if let (Some((_, left)), Some(read)) = (&mut self.trial, &read) {
            *left -= read.rows as u64;
        }
        // The first rows are perhaps all that is wanted.
        self.batch_rows = match self.trial.is_some() || self.first_rows < FEW_ROWS {
            true => (self.batch_rows + self.batch_rows.div_ceil(2)).min(FEW_ROWS),
            false => (2 * self.batch_rows).min(BATCH_ROWS),
        };
        self.rows = Some(rows);
        read.map(|read| self.shape.apply(read, context)).transpose()
    }

    fn restart(&mut self, _: &ExecContext) -> Result<bool> {
        if self.trial.is_some() {
            return Ok(false);
        }
        self.rows = None;
        self.batch_rows = self.first_rows;
        self.shape.restart();
        Ok(true)
    }
}
