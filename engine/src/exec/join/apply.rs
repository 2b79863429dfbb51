//! Apply: a join whose right input is run for each left row.
//!
//! What the right input names of the left row are parameters: they are computed for the whole left batch, and
//! for each row the right plan is run with that row's. So an index is asked with them as with any
//! parameter. The plan is compiled for the first row, and restarted for the next ones where it can be. Right rows are
//! cut to what is asked: one where only their being there counts, two of a value, as a second one is an error.
//! Short answers are remembered for left rows with the same values ([`Memo`]).
//!
//! This is the last resort: the optimizer makes a join of whatever it can (`optimize/decorrelate.rs`).

use super::memo::{Answer, Memo};
use super::{marked, more_than_one_row};
use crate::error::Result;
use crate::exec::batch::Batch;
use crate::exec::compile::compile_repeated;
use crate::exec::eval::Evaluator;
use crate::exec::memory::Held;
use crate::exec::pipeline::{Operator, Pipeline, Step};
use crate::exec::set::recursive::WorkingTables;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::physical::{DependentPlan, JoinKind, PhysicalPlan};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use remora_storage::value::value_at;
use remora_storage::{DataType, ReadView, Value};
use std::sync::Arc;

/// Left rows of which nothing is remembered.
const FEW_ROWS: usize = 32;

/// Runs its right input for each left row.
#[derive(Debug)]
pub(in crate::exec) struct Apply {
    right: Arc<PhysicalPlan>,
    outer: Vec<(usize, Evaluator)>,
    kind: JoinKind,
    is_tested: bool,
    view: ReadView,
    /// What it may read of recursions around it.
    working: WorkingTables,
    progress: Option<Progress>,
    /// The right input of a row that is done with.
    idle: Option<Running>,
    /// Whether answers are remembered: the plan is stable, and values come again.
    is_remembered: bool,
    /// Earlier answers, once there were more than a few left rows.
    memo: Option<Memo>,
    /// For the right rows that are put together.
    held: Held,
}

/// How far a left batch has come.
#[derive(Debug)]
struct Progress {
    /// The values of the parameters, one array each.
    values: Vec<ArrayRef>,
    /// By left row, the number of its values in the memo; empty where there is none.
    numbers: Vec<u32>,
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
    /// Whether the parameters of what is around the join have changed since.
    is_stale: bool,
    /// The rows that came, for the memo; `None` where they are too many, or are not kept.
    kept: Option<Vec<Batch>>,
}

impl Apply {
    pub(in crate::exec) fn new(
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
            idle: None,
            is_remembered: right.is_stable,
            memo: None,
            held: Held::default(),
        }
    }

    /// The same for a mark join with a test.
    pub(in crate::exec) fn with_test(self, is_tested: bool) -> Self {
        Self { is_tested, ..self }
    }

    fn begin(&mut self, input: &Batch, context: &ExecContext) -> Result<Progress> {
        let values = self
            .outer
            .iter()
            .map(|(_, value)| value.array(input, context));
        let values = values.collect::<Result<Vec<_>>>()?;
        self.begin_memo(input.rows);
        let numbers = match &mut self.memo {
            Some(memo) => memo.numbers(&values, input.rows, context)?,
            None => Vec::new(),
        };
        Ok(Progress {
            values,
            numbers,
            row: 0,
            running: None,
        })
    }

    /// Begins to remember where that is worth the room for it, and ends where it does not pay.
    fn begin_memo(&mut self, left_rows: usize) {
        self.is_remembered &= self.memo.as_ref().is_none_or(Memo::pays);
        if !self.is_remembered {
            self.memo = None;
        } else if self.memo.is_none() && left_rows > FEW_ROWS {
            let types = self.outer.iter().map(|(_, value)| value.data_type());
            self.memo = Memo::new(types.collect());
            self.is_remembered = self.memo.is_some();
        }
    }

    /// The right input for a left row, before its first batch.
    fn run(&mut self, progress: &Progress, row: usize, context: &ExecContext) -> Result<Running> {
        let (pipeline, mut parameters) = match self.idle.take() {
            Some(idle) if idle.is_stale => (Some(idle.pipeline), self.parameters(context)),
            Some(idle) => (Some(idle.pipeline), idle.context.parameters),
            None => (None, self.parameters(context)),
        };
        let places = Arc::make_mut(&mut parameters);
        for ((at, value), array) in self.outer.iter().zip(&progress.values) {
            places[*at] = value_at(array, value.data_type(), row).to_owned();
        }
        let context = ExecContext {
            parameters,
            ..context.clone()
        };
        if let Some(mut pipeline) = pipeline
            && pipeline.restart(&context)?
        {
            return Ok(Running::new(pipeline, context));
        }
        let (view, working) = (&self.view, &self.working);
        let pipeline = compile_repeated(&self.right, view, &context, working)?;
        Ok(Running::new(pipeline, context))
    }

    /// The statement's parameters, with room for those of a left row.
    fn parameters(&self, context: &ExecContext) -> Arc<[Value]> {
        let mut parameters = context.parameters.to_vec();
        let end = self.outer.iter().map(|(at, _)| at + 1).max().unwrap_or(0);
        if parameters.len() < end {
            parameters.resize(end, Value::Null);
        }
        parameters.into()
    }

    /// For each row whether the right input has one, or what its test says.
    fn marks(&mut self, input: &Batch, context: &ExecContext) -> Result<BooleanArray> {
        let progress = self.begin(input, context)?;
        let mark = |row| {
            if let Some(Answer::Mark(mark)) = self.known(&progress, row) {
                return Ok(mark);
            }
            let level = context.eval.memory.level();
            let mut running = self.run(&progress, row, context)?;
            let mark = running.mark(self.is_tested)?;
            // Not all rows need have been asked for.
            context.eval.memory.back_to(level);
            self.idle = Some(running);
            self.keep(&progress, row, Answer::Mark(mark), context)?;
            Ok(mark)
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
            let batch = match progress.running.take() {
                Some(running) => self.go_on(running, progress, context)?,
                None => self.next_row(progress, context)?,
            };
            let Some(batch) = batch else { continue };
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

    /// Begins with the next left row; gives its right rows, where they are known.
    fn next_row(
        &mut self,
        progress: &mut Progress,
        context: &ExecContext,
    ) -> Result<Option<Batch>> {
        let row = progress.row;
        progress.row += 1;
        if let Some(Answer::Rows(batch)) = self.known(progress, row) {
            return Ok(match batch.rows {
                0 => self.filler(),
                _ => Some(batch),
            });
        }
        let mut running = self.run(progress, row, context)?;
        running.kept = self.memo.is_some().then(Vec::new);
        progress.running = Some(running);
        Ok(None)
    }

    /// More right rows of the left row that is under way.
    fn go_on(
        &mut self,
        mut running: Running,
        progress: &mut Progress,
        context: &ExecContext,
    ) -> Result<Option<Batch>> {
        if let Some(batch) = running.next()? {
            let is_second = running.any || batch.rows > 1;
            if self.kind == JoinKind::Single && is_second {
                return Err(more_than_one_row());
            }
            // The next batch, if there is one, is no short answer.
            running.kept = running.kept.filter(|_| !running.any);
            running
                .kept
                .iter_mut()
                .for_each(|kept| kept.push(batch.clone()));
            running.any = true;
            progress.running = Some(running);
            return Ok(Some(batch));
        }
        let any = running.any;
        if let Some(kept) = running.kept.take() {
            let rows = match kept.first() {
                Some(batch) => batch.clone().compact(),
                None => self.nothing().slice(0, 0),
            };
            self.keep(progress, progress.row - 1, Answer::Rows(rows), context)?;
        }
        self.idle = Some(running);
        Ok(match any {
            true => None,
            false => self.filler(),
        })
    }

    /// Returns the answer for the values of a row, if it is remembered.
    fn known(&mut self, progress: &Progress, row: usize) -> Option<Answer> {
        self.memo.as_mut()?.get(progress.numbers[row])
    }

    fn keep(
        &mut self,
        progress: &Progress,
        row: usize,
        answer: Answer,
        context: &ExecContext,
    ) -> Result<()> {
        match &mut self.memo {
            Some(memo) => memo.keep(progress.numbers[row], answer, context),
            None => Ok(()),
        }
    }

    /// The right side of a left row that matches nothing; `None` in an inner join.
    fn filler(&self) -> Option<Batch> {
        (self.kind != JoinKind::Inner).then(|| self.nothing())
    }

    /// A right row of NULLs.
    fn nothing(&self) -> Batch {
        let null = |data_type: DataType| new_null_array(&data_type.arrow(), 1);
        let columns = self.right.schema.iter().map(|field| null(field.data_type));
        Batch::new(columns.collect(), 1)
    }
}

impl Running {
    fn new(pipeline: Pipeline<'static>, context: ExecContext) -> Self {
        Self {
            pipeline,
            context,
            any: false,
            is_stale: false,
            kept: None,
        }
    }

    /// Whether there is a row, or what the test says of all.
    fn mark(&mut self, is_tested: bool) -> Result<Option<bool>> {
        let mut is_unknown = false;
        while let Some(batch) = self.next()? {
            if !is_tested {
                return Ok(Some(true));
            }
            let tests = batch.columns[0].as_boolean();
            if tests.iter().any(|test| test == Some(true)) {
                return Ok(Some(true));
            }
            is_unknown |= tests.null_count() > 0;
        }
        Ok((!is_unknown).then_some(false))
    }

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

    fn restart(&mut self, _: &ExecContext) -> Result<bool> {
        // Answers and parameters were those for another row of what is around the join.
        self.progress = None;
        self.memo = None;
        self.idle.iter_mut().for_each(|idle| idle.is_stale = true);
        self.outer.iter_mut().for_each(|(_, value)| value.restart());
        Ok(true)
    }
}
