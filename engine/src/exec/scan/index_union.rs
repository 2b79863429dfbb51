//! IndexUnion: rows of a table that one of several indexes finds.
//!
//! 1. Each index gives the RowIds of the rows that it finds. All of them together are sorted, and each is kept once.
//! 2. The rows are fetched a batch at a time, in that order, and the whole condition is asked of them: an index finds
//!    rows by one part of it.

use super::table_scan::Shape;
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::memory::Held;
use crate::exec::pipeline::{Pipeline, Source};
use crate::plan::physical;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use remora_storage::{ReadView, RowId};
use std::sync::Arc;

/// Reads rows that one of several indexes finds.
#[derive(Debug)]
pub(in crate::exec) struct IndexUnion<'t> {
    plan: Arc<physical::IndexUnion>,
    parts: Vec<Pipeline<'t>>,
    view: ReadView,
    shape: Shape,
    batch_rows: usize,
    /// Those that are still to be read; `None` before the first batch.
    rows: Option<std::vec::IntoIter<RowId>>,
    held: Held,
}

impl<'t> IndexUnion<'t> {
    /// `parts` give RowIds.
    pub(in crate::exec) fn new(
        plan: &Arc<physical::IndexUnion>,
        parts: Vec<Pipeline<'t>>,
        view: ReadView,
        batch_rows: usize,
    ) -> Self {
        Self {
            shape: Shape::new(&plan.scan),
            plan: Arc::clone(plan),
            parts,
            view,
            batch_rows,
            rows: None,
            held: Held::default(),
        }
    }

    /// What the indexes find, each row once.
    fn find(&mut self, context: &ExecContext) -> Result<std::vec::IntoIter<RowId>> {
        let mut found = Vec::new();
        for mut part in std::mem::take(&mut self.parts) {
            while let Some(batch) = part.next(context)? {
                let ids = batch.columns[0].as_primitive::<Int64Type>();
                // Twice: it grows by doubling.
                let bytes = 2 * size_of::<RowId>() * (found.len() + batch.rows);
                self.held.reach(bytes, context)?;
                found.extend(ids.values().iter().map(|id| RowId(*id as u64)));
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found.into_iter())
    }
}

impl Source for IndexUnion<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.find(context)?,
        };
        let ids: Vec<RowId> = rows.by_ref().take(self.batch_rows).collect();
        self.rows = Some(rows);
        if ids.is_empty() {
            return Ok(None);
        }
        let scan = &self.plan.scan;
        let read = self.view.fetch(&scan.table, &scan.columns, &ids)?;
        self.shape.apply(read, context).map(Some)
    }
}
