//! Metered: a node whose rows, time and memory are counted, for EXPLAIN ANALYZE. No other statement has any.

use super::ExecContext;
use super::batch::Batch;
use super::pipeline::{Pipeline, Source};
use crate::error::Result;
use crate::plan::explain::{NodeProfile, Profile};
use crate::plan::physical::PhysicalPlan;
use std::sync::Arc;
use std::time::Instant;

/// Where a statement that is measured counts. Nothing of it is in the code of other statements, which ask for it alone.
#[derive(Clone, Debug)]
pub(crate) struct Profiling {
    all: Arc<Profile>,
    /// The node that runs.
    node: Option<Arc<NodeProfile>>,
}

impl Profiling {
    /// Of a statement.
    pub(crate) fn new(all: Arc<Profile>) -> Self {
        Self { all, node: None }
    }

    /// The numbers of a node.
    #[cold]
    #[inline(never)]
    pub(super) fn of(&self, plan: &PhysicalPlan) -> Arc<NodeProfile> {
        self.all.node(plan)
    }

    /// The node that runs holds so many bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn holds(&self, bytes: usize) {
        if let Some(node) = &self.node {
            node.holds(bytes);
        }
    }

    /// The node that runs has come to so many blocks, and has looked into so many.
    #[cold]
    #[inline(never)]
    pub(super) fn passed(&self, blocks: (u64, u64)) {
        if let Some(node) = &self.node {
            node.passed(blocks);
        }
    }
}

/// Runs a pipeline and counts.
#[derive(Debug)]
pub(super) struct Metered<'t> {
    pipeline: Pipeline<'t>,
    node: Arc<NodeProfile>,
    begun: bool,
}

impl<'t> Metered<'t> {
    #[cold]
    #[inline(never)]
    pub(super) fn new(pipeline: Pipeline<'t>, node: Arc<NodeProfile>) -> Self {
        Self {
            pipeline,
            node,
            begun: false,
        }
    }
}

impl Source for Metered<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let mut context = context.clone();
        if let Some(profiling) = &mut context.profiling {
            Arc::make_mut(profiling).node = Some(Arc::clone(&self.node));
        }
        let is_first = !std::mem::replace(&mut self.begun, true);
        if is_first {
            self.node.begin();
        }
        let begin = Instant::now();
        let batch = self.pipeline.next(&context);
        let rows = match &batch {
            Ok(Some(batch)) => batch.rows,
            Ok(None) | Err(_) => 0,
        };
        self.node.gave(rows, begin.elapsed(), is_first);
        batch
    }

    fn restart(&mut self, context: &ExecContext) -> Result<bool> {
        self.begun = false;
        self.pipeline.restart(context)
    }
}
