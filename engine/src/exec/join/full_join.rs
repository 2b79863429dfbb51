//! FullJoin: a left join, and after its last pair the right rows that found no partner, with NULLs.
//!
//! The probe notes which right rows were met. It has to be known that no left row is left, which an operator
//! is never told: so this is a source, which drives the left pipeline and the probe itself.

use super::JoinProbe;
use crate::error::Result;
use crate::exec::batch::Batch;
use crate::exec::pipeline::{Operator, Pipeline, Source, Step};
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::Field;
use arrow_array::{ArrayRef, BooleanArray, new_null_array};
use remora_storage::DataType;

/// Gives pairs, then left rows, then right rows.
#[derive(Debug)]
pub(in crate::exec) struct FullJoin<'t> {
    left: Pipeline<'t>,
    left_types: Vec<DataType>,
    probe: JoinProbe<'t>,
    /// The left batch that has more pairs to give.
    pending: Option<Batch>,
    /// Right rows looked at after the last left row.
    passed: usize,
}

impl<'t> FullJoin<'t> {
    pub(in crate::exec) fn new(left: Pipeline<'t>, schema: &[Field], probe: JoinProbe<'t>) -> Self {
        Self {
            left,
            left_types: schema.iter().map(|field| field.data_type).collect(),
            probe,
            pending: None,
            passed: 0,
        }
    }

    /// The next right rows without a partner; `None` at the end.
    fn rest(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let Some((rows, met)) = self.probe.right(context)? else {
            return Ok(None);
        };
        let count = (rows.rows - self.passed).min(BATCH_ROWS);
        if count == 0 {
            return Ok(None);
        }
        // Nothing was met where there were no left rows.
        let is_met = |row: usize| met.get(row).copied().unwrap_or(false);
        let range = self.passed..self.passed + count;
        let keep: BooleanArray = range.map(|row| Some(!is_met(row))).collect();
        let right = rows.slice(self.passed, count).filter(&keep)?;
        self.passed += count;
        let null = |data_type: &DataType| new_null_array(&data_type.arrow(), right.rows);
        let mut columns: Vec<ArrayRef> = self.left_types.iter().map(null).collect();
        columns.extend(right.columns);
        Ok(Some(Batch::new(columns, right.rows)))
    }
}

impl Source for FullJoin<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        loop {
            context.check()?;
            let input = match self.pending.take() {
                Some(input) => Some(input),
                None => self.left.next(context)?,
            };
            let Some(input) = input else {
                return self.rest(context);
            };
            let output = match self.probe.push(&input, context)? {
                Step::Done(output) | Step::Last(output) => output,
                Step::More(output) => {
                    self.pending = Some(input);
                    output
                }
            };
            if output.rows > 0 {
                return Ok(Some(output));
            }
        }
    }
}
