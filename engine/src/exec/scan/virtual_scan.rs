//! VirtualScan: rows that a virtual table of the host gives.
//!
//! What its constraints compare with is evaluated when the first rows are wanted; a NULL among them means no rows,
//! and the table is not asked.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::eval::eval_constant;
use crate::exec::pipeline::Source;
use crate::function::host_table::{Feed, IndexConstraint, VTabScan};
use crate::plan::virtual_scan::VirtualScan;
use std::sync::Arc;

/// Reads a virtual table.
#[derive(Debug)]
pub(in crate::exec) struct VirtualRows {
    scan: Arc<VirtualScan>,
    batch_rows: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Reading(Feed),
    Ended,
}

impl VirtualRows {
    /// Batches have at most `batch_rows` rows.
    pub(in crate::exec) fn new(scan: &Arc<VirtualScan>, batch_rows: usize) -> Self {
        Self {
            scan: Arc::clone(scan),
            batch_rows,
            stage: Stage::Waiting,
        }
    }

    fn open(&self, context: &ExecContext) -> Result<Stage> {
        let mut constraints = Vec::with_capacity(self.scan.constraints.len());
        for constraint in &self.scan.constraints {
            let value = eval_constant(&constraint.value, context)?.into_value();
            if value.is_null() {
                return Ok(Stage::Ended);
            }
            constraints.push(IndexConstraint {
                column: constraint.column,
                op: constraint.op,
                value,
            });
        }
        let columns: Vec<usize> = self.scan.columns.iter().map(|(_, at)| *at).collect();
        let feed = self.scan.table.open(&VTabScan {
            columns: &columns,
            constraints: &constraints,
        })?;
        Ok(Stage::Reading(feed))
    }
}

impl Source for VirtualRows {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        if matches!(self.stage, Stage::Waiting) {
            self.stage = self.open(context)?;
        }
        let Stage::Reading(feed) = &mut self.stage else {
            return Ok(None);
        };
        let next = feed.next(self.batch_rows, &context.eval)?;
        Ok(next.map(|(columns, rows)| Batch::new(columns, rows)))
    }
}
