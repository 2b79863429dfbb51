//! UnionAll: all rows of all inputs, one input after the other.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::pipeline::{Pipeline, Source};

/// Runs pipelines in turn; each is dropped, with all it holds, when it is at its end.
#[derive(Debug)]
pub(in crate::exec) struct UnionAll<'t> {
    /// The last is the one that runs.
    inputs: Vec<Pipeline<'t>>,
}

impl<'t> UnionAll<'t> {
    pub(in crate::exec) fn new(mut inputs: Vec<Pipeline<'t>>) -> Self {
        inputs.reverse();
        Self { inputs }
    }
}

impl Source for UnionAll<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        while let Some(input) = self.inputs.last_mut() {
            if let Some(batch) = input.next(context)? {
                return Ok(Some(batch));
            }
            self.inputs.pop();
        }
        Ok(None)
    }
}
