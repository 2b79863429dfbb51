//! Apply: a join whose right input is run for each left row.
//!
//! What the right input names of the left row are parameters: they are computed for the whole left batch, and
//! for each row the right plan is compiled and run with that row's. So an index is asked with them as with any
//! parameter. Right rows are cut to what is asked: one where only their being there counts, two of a value, as
//! a second one is an error.
//!
//! This is the last resort: the optimizer makes a join of whatever it can (`optimize/decorrelate.rs`).

use super::batch::Batch;
use super::compile::compile_within;
use super::eval::Evaluator;
use super::join::{marked, more_than_one_row};
use super::memory::Held;
use super::pipeline::{Operator, Pipeline, Step};
use super::recursive::WorkingTables;
use super::{BATCH_ROWS, ExecContext};
use crate::error::Result;
use crate::plan::physical::{DependentPlan, JoinKind, PhysicalPlan};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use remora_storage::value::value_at;
use remora_storage::{DataType, ReadView, Value};
use std::sync::Arc;

/// Runs its right input for each left row.
#[derive(Debug)]
pub(super) struct Apply {
    right: Arc<PhysicalPlan>,
    outer: Vec<(usize, Evaluator)>,
    kind: JoinKind,
    is_tested: bool,
    view: ReadView,
    /// What it may read of recursions around it.
    working: WorkingTables,
    progress: Option<Progress>,
    /// For the right rows that are put together.
    held: Held,
}

/// How far a left batch has come.
#[derive(Debug)]
struct Progress {
    /// The values of the parameters, one array each.
    values: Vec<ArrayRef>,
    /// The left row that comes next.
    row: usize,
    /// The right rows of the row before it that are still to come.
    running: Option<Running>,
}

/// The right input for one left row.
#[derive(Debug)]
struct Running {
    pipeline: Pipeline<'static>,
    context: ExecContext,
    /// Whether a row came.
    any: bool,
}

impl Apply {
    pub(super) fn new(
        right: &DependentPlan,
        kind: JoinKind,
        view: ReadView,
        working: WorkingTables,
    ) -> Self {
        let outer = right.outer.iter();
        Self {
            right: Arc::clone(&right.plan),
            outer: outer
                .map(|(at, expr)| (*at, Evaluator::new(expr.clone())))
                .collect(),
            kind,
            is_tested: false,
            view,
            working,
            progress: None,
            held: Held::default(),
        }
    }

    /// The same for a mark join with a test.
    pub(super) fn with_test(self, is_tested: bool) -> Self {
        Self { is_tested, ..self }
    }

    fn begin(&self, input: &Batch, context: &ExecContext) -> Result<Progress> {
        let values = self
            .outer
            .iter()
            .map(|(_, value)| value.array(input, context));
        Ok(Progress {
            values: values.collect::<Result<_>>()?,
            row: 0,
            running: None,
        })
    }

    fn run(&self, progress: &Progress, row: usize, context: &ExecContext) -> Result<Running> {
        let mut parameters = context.parameters.to_vec();
        for ((at, value), array) in self.outer.iter().zip(&progress.values) {
            if parameters.len() <= *at {
                parameters.resize(at + 1, Value::Null);
            }
            parameters[*at] = value_at(array, value.data_type(), row).to_owned();
        }
        let context = ExecContext {
            parameters: parameters.into(),
            ..context.clone()
        };
        Ok(Running {
            pipeline: compile_within(&self.right, &self.view, &context, &self.working, None)?,
            context,
            any: false,
        })
    }

    /// For each row whether the right input has one, or what its test says.
    fn marks(&self, input: &Batch, context: &ExecContext) -> Result<BooleanArray> {
        let progress = self.begin(input, context)?;
        let mark = |row| {
            let mut running = self.run(&progress, row, context)?;
            let mut is_unknown = false;
            while let Some(batch) = running.next()? {
                if !self.is_tested {
                    return Ok(Some(true));
                }
                let tests = batch.columns[0].as_boolean();
                if tests.iter().any(|test| test == Some(true)) {
                    return Ok(Some(true));
                }
                is_unknown |= tests.null_count() > 0;
            }
            Ok((!is_unknown).then_some(false))
        };
        (0..input.rows).map(mark).collect()
    }

    /// The next left rows with what belongs to them.
    fn pairs(
        &mut self,
        input: &Batch,
        progress: &mut Progress,
        context: &ExecContext,
    ) -> Result<Batch> {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH_ROWS && (progress.row < input.rows || progress.running.is_some()) {
            let mut running = match progress.running.take() {
                Some(running) => running,
                None => {
                    progress.row += 1;
                    self.run(progress, progress.row - 1, context)?
                }
            };
            let batch = match running.next()? {
                Some(batch) => {
                    let is_second = running.any || batch.rows > 1;
                    if self.kind == JoinKind::Single && is_second {
                        return Err(more_than_one_row());
                    }
                    running.any = true;
                    progress.running = Some(running);
                    batch
                }
                None if running.any || self.kind == JoinKind::Inner => continue,
                None => self.nothing(),
            };
            left.resize(left.len() + batch.rows, progress.row as u32 - 1);
            rows += batch.rows;
            bytes += batch.bytes();
            // Twice: they are put together.
            self.held.reach(2 * bytes, context)?;
            right.push(batch);
        }
        let mut columns = input.take(&UInt32Array::from(left))?.columns;
        match right.is_empty() {
            true => columns.extend(self.nothing().slice(0, 0).columns),
            false => columns.extend(Batch::concat(&right, self.right.schema.len())?.columns),
        }
        Ok(Batch::new(columns, rows))
    }

    /// A right row of NULLs.
    fn nothing(&self) -> Batch {
        let null = |data_type: DataType| new_null_array(&data_type.arrow(), 1);
        let columns = self.right.schema.iter().map(|field| null(field.data_type));
        Batch::new(columns.collect(), 1)
    }
}

impl Running {
    fn next(&mut self) -> Result<Option<Batch>> {
        self.pipeline.next(&self.context)
    }
}

impl Operator for Apply {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        match self.kind {
            JoinKind::Mark => {
                let marks = self.marks(input, context)?;
                return Ok(Step::Done(marked(input, marks)));
            }
            JoinKind::Semi => {
                let marks = self.marks(input, context)?;
                return input.filter(&marks).map(Step::Done);
            }
            JoinKind::Anti => {
                let marks = self.marks(input, context)?;
                let not: BooleanArray = marks.iter().map(|mark| mark.map(|mark| !mark)).collect();
                return input.filter(&not).map(Step::Done);
            }
            JoinKind::Inner | JoinKind::Left | JoinKind::Full | JoinKind::Single => {}
        }
        let mut progress = match self.progress.take() {
            Some(progress) => progress,
            None => self.begin(input, context)?,
        };
        let output = self.pairs(input, &mut progress, context)?;
        if progress.row == input.rows && progress.running.is_none() {
            return Ok(Step::Done(output));
        }
        self.progress = Some(progress);
        Ok(Step::More(output))
    }
}
