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
//! Invariants
//! - At most one batch is pending at each operator.
//! - After [`Step::Last`] nothing above that operator runs again: LIMIT stops the scan.

use super::ExecContext;
use super::batch::Batch;
use crate::error::Result;
use crate::parse::with_room_left;
use std::fmt::Debug;

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
}

/// What batches flow through.
pub(crate) trait Operator: Debug + Send {
    /// Takes a batch, or goes on with the one that it said [`Step::More`] of.
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step>;
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
    operators: Vec<Box<dyn Operator + 't>>,
    /// One an operator: the batch of which it has more to give.
    pending: Vec<Option<Batch>>,
    /// Whether the source is at its end or no longer wanted.
    ended: bool,
}

impl<'t> Pipeline<'t> {
    /// A pipeline that begins with `source`.
    pub(crate) fn new(source: impl Source + 't) -> Self {
        Self {
            source: Box::new(source),
            operators: Vec::new(),
            pending: Vec::new(),
            ended: false,
        }
    }

    /// The same with one more operator at its end.
    #[must_use]
    pub(crate) fn with(mut self, operator: impl Operator + 't) -> Self {
        self.operators.push(Box::new(operator));
        self.pending.push(None);
        self
    }

    /// The next batch that comes out of the last operator, never empty; `None` at the end.
    pub(crate) fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        loop {
            context.check()?;
            let resumed = self.pending.iter().rposition(Option::is_some);
            let (at, batch) = match resumed {
                Some(at) => (at, self.pending[at].take()),
                None if self.ended => (0, None),
                None => (0, self.source.next(context)?),
            };
            let Some(batch) = batch else {
                self.ended = true;
                return Ok(None);
            };
            let batch = self.push(at, batch, context)?;
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
    }

    /// Pushes a batch through the operators from `at` on.
    fn push(&mut self, at: usize, mut batch: Batch, context: &ExecContext) -> Result<Batch> {
        for position in at..self.operators.len() {
            if batch.rows == 0 {
                break;
            }
            batch = match self.operators[position].push(&batch, context)? {
                Step::Done(output) => output,
                Step::More(output) => {
                    self.pending[position] = Some(batch);
                    output
                }
                Step::Last(output) => {
                    self.pending[..=position].fill(None);
                    self.ended = true;
                    output
                }
            };
        }
        Ok(batch)
    }
}

impl Source for Pipeline<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        // A pipeline that feeds another one.
        with_room_left(|| Pipeline::next(self, context))
    }
}

/// The end of one pipeline and the beginning of the next.
#[derive(Debug)]
pub(crate) enum Breaker<'t, S: Sink> {
    /// Not asked yet. Boxed: a pipeline is large and is dropped when it has run.
    Waiting(Box<(Pipeline<'t>, S)>),
    /// Being run, or failed while it was.
    Running,
    /// What the sink became.
    Done(S::Output),
}

impl<'t, S: Sink> Breaker<'t, S> {
    /// Will run `pipeline` into `sink`.
    pub(crate) fn new(pipeline: Pipeline<'t>, sink: S) -> Self {
        Self::Waiting(Box::new((pipeline, sink)))
    }

    /// What the sink became; runs the pipeline at the first call. `None` only after an error.
    pub(crate) fn output(&mut self, context: &ExecContext) -> Result<Option<&mut S::Output>> {
        if let Self::Waiting(_) = self
            && let Self::Waiting(work) = std::mem::replace(self, Self::Running)
        {
            let (mut pipeline, mut sink) = *work;
            while let Some(batch) = with_room_left(|| pipeline.next(context))? {
                sink.push(batch, context)?;
            }
            drop(pipeline);
            *self = Self::Done(sink.finish(context)?);
        }
        match self {
            Self::Done(output) => Ok(Some(output)),
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
}
