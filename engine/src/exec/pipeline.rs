//! Pipeline: a source, the operators its batches flow through, and the sink they end in.
//!
//! A source makes morsels. An operator turns one batch into some batches and keeps none. It does
//! so one output batch a call: a join may make a million rows of one morsel, and they must
//! neither pile up nor be made before the reader wants them. So an operator that has more to give
//! says [`Step::More`], and is called again with the same input once everything below it is idle:
//!
//! ```text
//!   source    a  .  .  .  b
//!   join      a  a  a  .  b        More, More, Done
//!   project   1  2  3  .  4
//!   reader    1  2  3  .  4        each by one call of Pipeline::next
//! ```
//!
//! A [`Sink`] takes all batches and then becomes a source: a [`Breaker`] holds the pipeline and its
//! sink until it is first asked, runs it to its end, and from then on gives what the sink made.
//!
//! A pipeline that is run for many rows, each with parameters of its own, is restarted instead of being compiled
//! again, where all of its parts can be: see [`Pipeline::restart`].
//!
//! Invariants
//! - At most one batch is pending at each operator, and the rest of one that was cut for it.
//! - After [`Step::Last`] nothing above that operator runs again: LIMIT stops the scan.

use super::ExecContext;
use super::batch::Batch;
use super::cut::Cut;
use crate::error::{Error, Result};
use crate::function::MemoryTracker;
use crate::stack::with_room_left;
use std::fmt::{self, Debug, Formatter};

/// What an operator made of its input.
pub(crate) enum Step {
    /// This (maybe no rows), and no more of this input.
    Done(Batch),
    /// This (maybe no rows); call again with the same input.
    More(Batch),
    /// This (maybe no rows), and no more of any input.
    Last(Batch),
}

/// Where batches come from.
pub(crate) trait Source: Debug + Send {
    /// The next batch; `None` at the end. Empty batches are passed over by the caller.
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>>;

    /// Goes back to before the first batch, with other parameters; false where it cannot.
    fn restart(&mut self, _: &ExecContext) -> Result<bool> {
        Ok(false)
    }
}

/// What batches flow through.
pub(crate) trait Operator: Debug + Send {
    /// Takes a batch, or goes on with the one that it said [`Step::More`] of. Where it fails because the batch is to
    /// be cut (see [`super::cut`]), it is as it was before, and is given a piece.
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step>;

    /// As [`Source::restart`].
    fn restart(&mut self, _: &ExecContext) -> Result<bool> {
        Ok(false)
    }
}

/// Where batches end.
pub(crate) trait Sink: Debug + Send {
    /// What it becomes.
    type Output: Debug + Send;
    /// Takes a batch.
    fn push(&mut self, batch: Batch, context: &ExecContext) -> Result<()>;
    /// Called after the last batch.
    fn finish(self, context: &ExecContext) -> Result<Self::Output>;
}

/// A source and its operators. It can borrow the transaction for `'t`, to lock rows; mostly it owns all
/// that it needs.
#[derive(Debug)]
pub(crate) struct Pipeline<'t> {
    source: Box<dyn Source + 't>,
    stages: Vec<Stage<'t>>,
    /// Whether the source is at its end or no longer wanted.
    ended: bool,
    /// The level of the values of functions before its first batch.
    level: Option<u64>,
}

/// An operator and what waits for it.
#[derive(Debug)]
struct Stage<'t> {
    operator: Box<dyn Operator + 't>,
    /// The batch of which it has more to give.
    pending: Option<Batch>,
    /// The part that was cut off its last batch, and is its next.
    rest: Option<Batch>,
    cut: Cut,
    /// The levels of the values of functions before its last batch, and when the operator had taken it.
    before: u64,
    after: u64,
}

impl Stage<'_> {
    fn is_waiting(&self) -> bool {
        self.pending.is_some() || self.rest.is_some()
    }

    /// Goes on with what waits. What was made below it of its last output is gone.
    fn resume(&mut self, context: &ExecContext) -> Result<Step> {
        let memory = &context.eval.memory;
        if let Some(piece) = self.pending.take() {
            memory.back_to(self.after);
            let step = self.operator.push(&piece, context)?;
            return Ok(self.took(piece, step, memory));
        }
        memory.back_to(self.before);
        match self.rest.take() {
            Some(rest) => self.push(rest, context),
            None => Err(Error::internal("an operator that nothing waits for")),
        }
    }

    /// Has the operator take a batch, or as much of it as is not too much at a time.
    fn push(&mut self, whole: Batch, context: &ExecContext) -> Result<Step> {
        let memory = &context.eval.memory;
        self.before = memory.level();
        loop {
            let rows = self.cut.rows().min(whole.rows);
            let piece = match rows == whole.rows {
                true => whole.clone(),
                false => whole.slice(0, rows),
            };
            match self.operator.push(&piece, context) {
                Err(_) if rows > 1 && memory.take_cut() => {
                    memory.back_to(self.before);
                    context.check()?;
                    self.cut.failed(rows);
                }
                step => {
                    self.cut.succeeded();
                    let rest = whole.rows - rows;
                    self.rest = (rest > 0).then(|| whole.slice(rows, rest));
                    return Ok(self.took(piece, step?, memory));
                }
            }
        }
    }

    /// Notes how the operator left a batch.
    fn took(&mut self, piece: Batch, step: Step, memory: &MemoryTracker) -> Step {
        self.after = memory.level();
        self.pending = matches!(step, Step::More(_)).then_some(piece);
        step
    }

    fn clear(&mut self) {
        (self.pending, self.rest) = (None, None);
    }
}

impl<'t> Pipeline<'t> {
    /// A pipeline that begins with `source`.
    pub(crate) fn new(source: impl Source + 't) -> Self {
        Self {
            source: Box::new(source),
            stages: Vec::new(),
            ended: false,
            level: None,
        }
    }

    /// The same with one more operator at its end.
    #[must_use]
    pub(crate) fn with(mut self, operator: impl Operator + 't) -> Self {
        self.stages.push(Stage {
            operator: Box::new(operator),
            pending: None,
            rest: None,
            cut: Cut::default(),
            before: 0,
            after: 0,
        });
        self
    }

    /// The next batch that comes out of the last operator, never empty; `None` at the end.
    pub(crate) fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        loop {
            context.check()?;
            let resumed = self.stages.iter().rposition(Stage::is_waiting);
            let batch = match resumed {
                Some(at) => {
                    let step = self.stages[at].resume(context)?;
                    let batch = self.output(at, step);
                    self.push(at + 1, batch, context)?
                }
                None => match self.next_of_source(context)? {
                    Some(batch) => self.push(0, batch, context)?,
                    None => return Ok(None),
                },
            };
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
    }

    /// The next batch of the source. All that was made of the one before is gone, or has been kept and reserved.
    fn next_of_source(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let memory = &context.eval.memory;
        if self.ended {
            if let Some(level) = self.level.take() {
                memory.back_to(level);
            }
            return Ok(None);
        }
        memory.back_to(*self.level.get_or_insert_with(|| memory.level()));
        let batch = self.source.next(context)?;
        self.ended = batch.is_none();
        Ok(batch)
    }

    /// Goes back to before the first batch, with other parameters; false where some part of it cannot: then it must not
    /// be used any more.
    ///
    /// # Errors
    /// Errors of expressions that are evaluated when a pipeline is compiled, such as LIMIT.
    pub(crate) fn restart(&mut self, context: &ExecContext) -> Result<bool> {
        self.stages.iter_mut().for_each(Stage::clear);
        self.ended = false;
        self.level = None;
        if !self.source.restart(context)? {
            return Ok(false);
        }
        for stage in &mut self.stages {
            if !stage.operator.restart(context)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Pushes a batch through the operators from a position on.
    fn push(&mut self, from: usize, mut batch: Batch, context: &ExecContext) -> Result<Batch> {
        for position in from..self.stages.len() {
            if batch.rows == 0 {
                break;
            }
            let step = self.stages[position].push(batch, context)?;
            batch = self.output(position, step);
        }
        Ok(batch)
    }

    /// The output of an operator's step; after its last one nothing above runs again.
    fn output(&mut self, position: usize, step: Step) -> Batch {
        match step {
            Step::Done(output) | Step::More(output) => output,
            Step::Last(output) => {
                self.stages[..=position].iter_mut().for_each(Stage::clear);
                self.ended = true;
                output
            }
        }
    }
}

impl Source for Pipeline<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        // A pipeline that feeds another one.
        with_room_left(|| Pipeline::next(self, context))
    }

    fn restart(&mut self, context: &ExecContext) -> Result<bool> {
        Pipeline::restart(self, context)
    }
}

/// The end of one pipeline and the beginning of the next.
#[derive(Debug)]
pub(crate) enum Breaker<'t, S: Sink> {
    /// Not asked yet. Boxed: a pipeline is large and is dropped when it has run, unless it is to run again.
    Waiting(Box<Work<'t, S>>),
    /// Being run, or failed while it was.
    Running,
    /// The output of the sink, and the work to do again.
    Done(S::Output, Option<Box<Work<'t, S>>>),
}

/// A pipeline and the sink it ends in.
#[derive(Debug)]
pub(crate) struct Work<'t, S> {
    pipeline: Pipeline<'t>,
    /// `None` once it has run.
    sink: Option<S>,
    again: Option<Again<S>>,
}

/// Makes a sink.
type Make<S> = dyn Fn(&ExecContext) -> Result<S> + Send;

/// How a sink is made once more.
struct Again<S>(Box<Make<S>>);

impl<S> Debug for Again<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Again")
    }
}

impl<'t, S: Sink> Breaker<'t, S> {
    /// Will run `pipeline` into `sink`.
    pub(crate) fn new(pipeline: Pipeline<'t>, sink: S) -> Self {
        Self::Waiting(Box::new(Work {
            pipeline,
            sink: Some(sink),
            again: None,
        }))
    }

    /// A breaker whose output was made earlier.
    pub(crate) fn done(output: S::Output) -> Self {
        Self::Done(output, None)
    }

    /// Like [`Breaker::new`], but the pipeline may run several times: `sink` makes a sink for each.
    pub(crate) fn repeated(
        pipeline: Pipeline<'t>,
        sink: impl Fn(&ExecContext) -> Result<S> + Send + 'static,
    ) -> Self {
        Self::Waiting(Box::new(Work {
            pipeline,
            sink: None,
            again: Some(Again(Box::new(sink))),
        }))
    }

    /// What the sink became; runs the pipeline at the first call. `None` only after an error.
    pub(crate) fn output(&mut self, context: &ExecContext) -> Result<Option<&mut S::Output>> {
        if let Self::Waiting(_) = self
            && let Self::Waiting(work) = std::mem::replace(self, Self::Running)
        {
            let mut work = work;
            let mut sink = match (work.sink.take(), &work.again) {
                (Some(sink), _) => sink,
                (None, Some(again)) => again.0(context)?,
                (None, None) => return Ok(None),
            };
            while let Some(batch) = with_room_left(|| work.pipeline.next(context))? {
                sink.push(batch, context)?;
            }
            let work = work.again.is_some().then_some(work);
            *self = Self::Done(sink.finish(context)?, work);
        }
        match self {
            Self::Done(output, _) => Ok(Some(output)),
            _ => Ok(None),
        }
    }
}

impl<S: Sink> Source for Breaker<'_, S>
where
    S::Output: Source,
{
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        match self.output(context)? {
            Some(output) => output.next(context),
            None => Ok(None),
        }
    }

    fn restart(&mut self, context: &ExecContext) -> Result<bool> {
        let mut work = match std::mem::replace(self, Self::Running) {
            Self::Waiting(work) | Self::Done(_, Some(work)) => work,
            Self::Running | Self::Done(_, None) => return Ok(false),
        };
        let is_restarted = work.again.is_some() && work.pipeline.restart(context)?;
        *self = Self::Waiting(work);
        Ok(is_restarted)
    }
}
