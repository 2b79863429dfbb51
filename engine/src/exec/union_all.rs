//! UnionAll: all rows of all inputs, one input after the other.

use super::ExecContext;
use super::batch::Batch;
use super::pipeline::{Pipeline, Source};
use crate::error::Result;

/// Runs pipelines in turn; each is dropped, with all it holds, when it is at its end.
#[derive(Debug)]
pub(super) struct UnionAll<'t> {
    /// The last is the one that runs.
    inputs: Vec<Pipeline<'t>>,
}

impl<'t> UnionAll<'t> {
    pub(super) fn new(mut inputs: Vec<Pipeline<'t>>) -> Self {
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
