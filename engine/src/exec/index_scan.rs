//! IndexScan: rows of a table by an index, in the index's order.
//!
//! 1. The keys are evaluated once, at the start. A NULL in a key or bound means no rows: no
//!    comparison with it is true.
//! 2. Points give RowIds (`lookup`), whose rows are then fetched a batch at a time; a range gives
//!    batches of rows as it goes, where only the first rows are wanted small ones at first. Storage has dropped entries that the view does not show.
//! 3. The rest of the predicate is evaluated over the batch, as in a table scan.

use super::batch::Batch;
use super::eval::{Datum, eval_constant, with_refs, with_values};
use super::pipeline::Source;
use super::row_test::{Scan, row_test};
use super::table_scan::Shape;
use super::{BATCH_ROWS, ExecContext};
use crate::error::Result;
use crate::plan::Expr;
use crate::plan::physical::{self, IndexKeys, KeyEnd};
use remora_storage::transaction::{IndexScan as Range, ScanBatch};
use remora_storage::{ReadView, RowId, ValueRef};
use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

/// Reads rows by index.
#[derive(Debug)]
pub(super) struct IndexScan {
    plan: Arc<physical::IndexScan>,
    view: ReadView,
    shape: Shape,
    batch_rows: usize,
    /// `None` before the first batch.
    rows: Option<Rows>,
}

/// Where rows come from.
#[derive(Debug)]
enum Rows {
    /// Points, all found already.
    Found(std::vec::IntoIter<RowId>),
    /// A range.
    Range(Box<Range>),
}

impl IndexScan {
    pub(super) fn new(plan: &Arc<physical::IndexScan>, view: ReadView, batch_rows: usize) -> Self {
        Self {
            shape: Shape::new(&plan.scan),
            plan: Arc::clone(plan),
            view,
            batch_rows,
            rows: None,
        }
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
            IndexKeys::Points(keys) => self.points(keys, context),
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
                    None => Rows::Found(Vec::new().into_iter()),
                })
            }
        }
    }

    /// A row has one key, so a row found twice was found by a key given twice.
    fn points(&self, keys: &[Vec<Expr>], context: &ExecContext) -> Result<Rows> {
        let (table, index) = (&self.plan.scan.table, &self.plan.index);
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for key in keys {
            context.check()?;
            let key = evaluate(key, context)?;
            let rows = with_refs(&key, |key| self.view.lookup(table, index, key))?;
            let new = |row: &RowId| keys.len() == 1 || seen.insert(*row);
            found.extend(rows.into_iter().filter(new));
        }
        if self.plan.reverse {
            found.reverse();
        }
        Ok(Rows::Found(found.into_iter()))
    }
}

/// The keys of a plan that follow each other; `None` where there are none, because NULL is asked for.
pub(super) fn open_range(
    plan: &physical::IndexScan,
    view: &ReadView,
    context: &ExecContext,
) -> Result<Option<Range>> {
    let (scan, index, reverse) = (&plan.scan, &plan.index, plan.reverse);
    let (table, columns) = (&scan.table, &scan.columns);
    let range = match &plan.keys {
        IndexKeys::Points(_) => None,
        IndexKeys::Range { low, high } => with_end(low, context, |low| {
            with_end(high, context, |high| match (low, high) {
                (Some(low), Some(high)) => {
                    Ok(Some(view.range(table, index, columns, low, high, reverse)?))
                }
                _ => Ok(None),
            })
        })?,
        IndexKeys::Prefix(values) => with_key(values, context, |values| match values {
            Some(values) => Ok(Some(
                view.range_of_prefix(table, index, columns, values, reverse)?,
            )),
            None => Ok(None),
        })?,
    };
    Ok(range.map(|range| match scan.row_id {
        true => range.with_ids(),
        false => range,
    }))
}

fn evaluate<'a>(key: &'a [Expr], context: &'a ExecContext) -> Result<Vec<Datum<'a>>> {
    key.iter()
        .map(|expr| eval_constant(expr, context))
        .collect()
}

/// Calls `f` with the bound that an end is, or with none where one of its values is NULL.
fn with_end<T>(
    end: &KeyEnd,
    context: &ExecContext,
    f: impl FnOnce(Option<Bound<&[ValueRef<'_>]>>) -> Result<T>,
) -> Result<T> {
    match end {
        KeyEnd::Open => f(Some(Bound::Unbounded)),
        KeyEnd::Included(values) => {
            with_key(values, context, |values| f(values.map(Bound::Included)))
        }
        KeyEnd::Excluded(values) => {
            with_key(values, context, |values| f(values.map(Bound::Excluded)))
        }
        KeyEnd::Nulls(values) => with_key(values, context, |values| match values {
            Some(values) => f(Some(Bound::Excluded(&[values, &[ValueRef::Null]].concat()))),
            None => f(None),
        }),
    }
}

/// Calls `f` with the values of a key, or with none where one is NULL.
fn with_key<T>(
    key: &[Expr],
    context: &ExecContext,
    f: impl FnOnce(Option<&[ValueRef<'_>]>) -> Result<T>,
) -> Result<T> {
    with_values(key, context, |values| {
        with_refs(values, |values| {
            let is_null = values.iter().any(|value| value.is_null());
            f((!is_null).then_some(values))
        })
    })
}

impl Source for IndexScan {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.open(context)?,
        };
        let read = match &mut rows {
            Rows::Found(found) => self.fetch(found)?,
            Rows::Range(range) => range.next(self.batch_rows)?,
        };
        // The first rows are perhaps all that is wanted.
        self.batch_rows = (2 * self.batch_rows).min(BATCH_ROWS);
        self.rows = Some(rows);
        read.map(|read| self.shape.apply(read, context)).transpose()
    }
}
