//! Adaptive: rows in the order of an index, as long as few have to be read for them.
//!
//! `ORDER BY k LIMIT 5` of the rows that pass a filter is had from an index over `k` at once if many rows pass, and
//! slower than by sorting if few do; nobody knows before. So the index is tried: what it gives is kept, and given out if
//! it came to its end. If a scan has read as many rows as it may ([`Trial`]), all of it is forgotten, and the rows are
//! sorted. What was read in vain is a small part of what is read then.

use super::recursive::WorkingTables;
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::compile::compile_within;
use crate::exec::pipeline::{Pipeline, Source};
use crate::exec::scan::lock_rows::Kept;
use crate::plan::physical::PhysicalPlan;
use remora_storage::ReadView;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a scan of what is tried was given up.
#[derive(Clone, Debug, Default)]
pub(in crate::exec) struct Trial(Arc<AtomicBool>);

impl Trial {
    /// Says that a scan has read as many rows as it may.
    pub(in crate::exec) fn give_up(&self) {
        // The scan and its reader are in one pipeline, which one thread at a time runs.
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tries one plan, and runs another one otherwise.
#[derive(Debug)]
pub(in crate::exec) struct Adaptive<'t> {
    stage: Stage<'t>,
    otherwise: Arc<PhysicalPlan>,
    view: ReadView,
    working: WorkingTables,
}

#[derive(Debug)]
enum Stage<'t> {
    Waiting(Box<Pipeline<'t>>, Trial),
    Running,
    Kept(Kept),
    Otherwise(Box<Pipeline<'static>>),
}

impl<'t> Adaptive<'t> {
    /// `first` is tried, and its scans tell `trial`.
    pub(in crate::exec) fn new(
        first: Pipeline<'t>,
        trial: Trial,
        otherwise: &Arc<PhysicalPlan>,
        view: ReadView,
        working: WorkingTables,
    ) -> Self {
        Self {
            stage: Stage::Waiting(Box::new(first), trial),
            otherwise: Arc::clone(otherwise),
            view,
            working,
        }
    }

    /// Runs what is tried, and compiles the other plan if that was given up.
    fn begin(
        &self,
        mut first: Pipeline<'_>,
        trial: &Trial,
        context: &ExecContext,
    ) -> Result<Stage<'t>> {
        let mut kept = Kept::default();
        while let Some(batch) = first.next(context)? {
            kept.push(batch, context)?;
        }
        if !trial.is_given_up() {
            return Ok(Stage::Kept(kept));
        }
        let (view, working) = (&self.view, &self.working);
        let otherwise = compile_within(&self.otherwise, view, context, working, None)?;
        Ok(Stage::Otherwise(Box::new(otherwise)))
    }
}

impl Source for Adaptive<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        if let Stage::Waiting(..) = self.stage
            && let Stage::Waiting(first, trial) = std::mem::replace(&mut self.stage, Stage::Running)
        {
            self.stage = self.begin(*first, &trial, context)?;
        }
        match &mut self.stage {
            Stage::Waiting(..) | Stage::Running => Ok(None),
            Stage::Kept(kept) => kept.next(context),
            Stage::Otherwise(pipeline) => pipeline.next(context),
        }
    }
}
