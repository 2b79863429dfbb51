//! Aggregates over frames: one result a frame, of frames that move forward only.
//!
//! Taking the rows of each frame anew would be quadratic. Instead a [`Queue`] takes each row in and out once.
//! It is the queue made of two stacks: behind `middle` one state of all rows; before it, for each
//! row, the state of all rows from there up to `middle`:
//!
//! ```text
//!              start    middle       end
//!   rows    ..  3  4  5 | 6  7  8  9 | ..
//!   front       3-5                        result of the frame: front's last, then back
//!                  4-5
//!                     5
//!   back                  6-9              a row comes in: one step
//!                                          a row goes out: front loses its last
//! ```
//!
//! Where the front runs out, the rows of the frame become the front. An aggregate has to be able to
//! merge two states, not to undo a step: so minimum and sums of floats slide like the rest.
//!
//! What EXCLUDE leaves of a frame is at most two stretches and a row between, and either stretch moves
//! forward only.

use super::super::EvalContext;
use crate::error::Result;
use std::ops::Range;

/// The rows of one frame, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FrameRows {
    /// All of them, or those before what is left out.
    pub before: Range<u32>,
    /// The current row, where its neighbours are left out and it is not.
    pub own: Option<u32>,
    /// Those behind what is left out.
    pub after: Range<u32>,
}

impl FrameRows {
    /// A frame out of which nothing is left.
    pub(crate) fn whole(rows: Range<u32>) -> Self {
        Self {
            before: rows,
            own: None,
            after: 0..0,
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.before.len() + usize::from(self.own.is_some()) + self.after.len()
    }

    /// The rows, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> + use<> {
        (self.before.clone())
            .chain(self.own)
            .chain(self.after.clone())
            .map(|row| row as usize)
    }

    /// The row of this number, from 0.
    pub(crate) fn nth(&self, number: usize) -> Option<u32> {
        let number = u32::try_from(number).ok()?;
        let before = self.before.len() as u32;
        if number < before {
            return Some(self.before.start + number);
        }
        let own = u32::from(self.own.is_some());
        if number < before + own {
            return self.own;
        }
        let row = self.after.start.checked_add(number - before - own)?;
        (row < self.after.end).then_some(row)
    }
}

/// What an aggregate over frames may ask for.
pub(crate) struct FrameContext<'a> {
    /// As of functions.
    pub eval: &'a EvalContext,
    /// Reserves this much memory beside what is reserved.
    pub reserve: &'a mut dyn FnMut(usize) -> Result<()>,
}

/// Frames between two questions whether the statement was interrupted.
const CHECK_FRAMES: u32 = 1 << 10;

/// How a state takes rows in.
pub(super) struct Steps<Step, Merge> {
    /// Takes a row in.
    pub step: Step,
    /// Takes in the rows of another state, which come later.
    pub merge: Merge,
}

/// The state of each frame.
pub(super) fn slide<S: Clone + Default>(
    steps: &Steps<impl Fn(&mut S, usize) -> Result<()>, impl Fn(&mut S, &S) -> Result<()>>,
    frames: &[FrameRows],
    context: &mut FrameContext<'_>,
) -> Result<Vec<S>> {
    (context.reserve)(frames.len() * size_of::<S>())?;
    let mut states = Vec::with_capacity(frames.len());
    let (mut before, mut after) = (Queue::new(steps), Queue::new(steps));
    for (number, frame) in frames.iter().enumerate() {
        if number.is_multiple_of(CHECK_FRAMES as usize) {
            context.eval.check()?;
        }
        before.slide(frame.before.clone(), context)?;
        let mut state = before.state()?;
        if let Some(row) = frame.own {
            (steps.step)(&mut state, row as usize)?;
        }
        if !frame.after.is_empty() {
            after.slide(frame.after.clone(), context)?;
            (steps.merge)(&mut state, &after.state()?)?;
        }
        states.push(state);
    }
    Ok(states)
}

/// Gives `done` the state of each frame of an aggregate whose results may be as long as all rows of the
/// frame. So there is no shorter way than to take them in; only where a frame begins as the one before, that
/// is gone on with.
pub(super) fn grow<S: Clone + Default>(
    frames: &[FrameRows],
    context: &mut FrameContext<'_>,
    step: &dyn Fn(&mut S, usize) -> Result<()>,
    done: &mut dyn FnMut(S, &mut FrameContext<'_>) -> Result<()>,
) -> Result<()> {
    let mut rows = 0..0;
    let mut state = S::default();
    for frame in frames {
        context.eval.check()?;
        if frame.before.start != rows.start || frame.before.end < rows.end {
            rows = frame.before.start..frame.before.start;
            state = S::default();
        }
        (rows.end..frame.before.end).try_for_each(|row| step(&mut state, row as usize))?;
        rows = frame.before.clone();
        let mut whole = state.clone();
        let mut others = frame.own.into_iter().chain(frame.after.clone());
        others.try_for_each(|row| step(&mut whole, row as usize))?;
        done(whole, context)?;
    }
    Ok(())
}

/// Rows that come in behind and go out in front.
struct Queue<'a, S, Step, Merge> {
    steps: &'a Steps<Step, Merge>,
    rows: Range<u32>,
    middle: u32,
    /// Of the rows from `rows.start` (the last), from the next on .. up to `middle`.
    front: Vec<S>,
    /// Of the rows from `middle` on.
    back: S,
    /// States that memory is reserved for.
    reserved: usize,
}

impl<'a, S, Step, Merge> Queue<'a, S, Step, Merge>
where
    S: Clone + Default,
    Step: Fn(&mut S, usize) -> Result<()>,
    Merge: Fn(&mut S, &S) -> Result<()>,
{
    fn new(steps: &'a Steps<Step, Merge>) -> Self {
        Self {
            steps,
            rows: 0..0,
            middle: 0,
            front: Vec::new(),
            back: S::default(),
            reserved: 0,
        }
    }

    /// Becomes these rows, which neither begin nor end before those that it has.
    fn slide(&mut self, to: Range<u32>, context: &mut FrameContext<'_>) -> Result<()> {
        if to.start >= self.rows.end {
            self.front.clear();
            self.back = S::default();
            self.middle = to.start;
            self.rows = to.start..to.start;
        }
        for row in self.rows.end..to.end {
            if row.is_multiple_of(CHECK_FRAMES) {
                context.eval.check()?;
            }
            (self.steps.step)(&mut self.back, row as usize)?;
        }
        self.rows = to;
        match self.middle.checked_sub(self.rows.start) {
            Some(left) => self.front.truncate(left as usize),
            None => self.turn(context)?,
        }
        Ok(())
    }

    /// Makes all rows the front.
    fn turn(&mut self, context: &mut FrameContext<'_>) -> Result<()> {
        let more = self.rows.len().saturating_sub(self.reserved);
        (context.reserve)(more * size_of::<S>())?;
        self.reserved += more;
        self.front.clear();
        for row in self.rows.clone().rev() {
            if row.is_multiple_of(CHECK_FRAMES) {
                context.eval.check()?;
            }
            let mut state = S::default();
            (self.steps.step)(&mut state, row as usize)?;
            if let Some(later) = self.front.last() {
                (self.steps.merge)(&mut state, later)?;
            }
            self.front.push(state);
        }
        self.middle = self.rows.end;
        self.back = S::default();
        Ok(())
    }

    fn state(&self) -> Result<S> {
        match self.front.last() {
            None => Ok(self.back.clone()),
            Some(front) => {
                let mut state = front.clone();
                (self.steps.merge)(&mut state, &self.back)?;
                Ok(state)
            }
        }
    }
}
