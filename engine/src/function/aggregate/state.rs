//! The shape that most accumulators have: a state for each group, a step for each row, a result of each state.
//!
//! A [`Fold`] gives these three; [`GroupStates`] is its accumulator: it keeps the states, counts their bytes, and
//! takes care of NULLs, frames and interrupts. A [`ColumnFold`] is the usual case: one argument of one type.

use super::frames::{Steps, grow, slide};
use super::{Accumulator, Folder, FrameContext, FrameRows};
use crate::error::Result;
use crate::function::native::SqlType;
use crate::function::{EvalContext, Work};
use arrow_array::ArrayRef;
use arrow_buffer::NullBuffer;
use remora_storage::transaction::{Vector, VectorColumn};
use remora_storage::value::ColumnBuilder;
use remora_storage::{DataType, Value};

/// An aggregate: what it keeps for a group, and what a row does to it.
pub(super) trait Fold: Send + Sized + 'static {
    /// What is kept for a group; the default is that of no rows.
    type State: Default + Clone + Send;
    /// The arguments, ready for reading by row.
    type Columns<'a>;
    /// Whether a state holds all values of its group. Then each row may take long, and states are not merged.
    const GROWS: bool = false;
    /// Whether it can take rows where storage has them, by [`Fold::fold`].
    const FOLDS: bool = false;

    /// The type of its results.
    fn returns(&self) -> DataType;
    /// The arguments, and which rows do not count because a value is NULL.
    fn columns<'a>(
        &self,
        arguments: &'a [ArrayRef],
        context: &'a EvalContext,
    ) -> (Self::Columns<'a>, Option<NullBuffer>);
    /// Takes a row in.
    fn step(&self, state: &mut Self::State, columns: &Self::Columns<'_>, row: usize) -> Result<()>;
    /// Takes in the rows of another state, which come later.
    fn merge(&self, _state: &mut Self::State, _later: &Self::State) -> Result<()> {
        unreachable!("states that grow are not merged")
    }
    /// Takes in a column of rows that are still in storage.
    fn fold(&self, _state: &mut Self::State, _column: VectorColumn<'_>) -> Result<()> {
        unreachable!("only what folds is given such columns")
    }
    /// The result of a group.
    fn value(&self, state: &Self::State, work: &Work<'_>) -> Result<Value>;
    /// The results of groups.
    fn results(&self, states: &[Self::State], work: &Work<'_>) -> Result<ArrayRef> {
        let mut results = ColumnBuilder::new(self.returns(), states.len());
        for state in states {
            results.push_owned(self.value(state, work)?);
        }
        Ok(results.finish())
    }
    /// Bytes that a state holds beside itself.
    fn heap(&self, _state: &Self::State) -> usize {
        0
    }
}

/// The accumulator of a [`Fold`].
struct GroupStates<F: Fold> {
    fold: F,
    states: Vec<F::State>,
    /// Bytes that the states hold beside themselves.
    heap: usize,
}

/// A state of which it is asked whether it may grow, before it does.
const LARGE_STATE_BYTES: usize = 256 << 10;

/// Makes the accumulator of a fold.
pub(super) fn group_states(fold: impl Fold) -> Box<dyn Accumulator> {
    Box::new(GroupStates {
        fold,
        states: Vec::new(),
        heap: 0,
    })
}

impl<F: Fold> GroupStates<F> {
    /// Has states for so many groups at least.
    fn reach(&mut self, group_count: usize) {
        self.states
            .resize_with(group_count.max(self.states.len()), F::State::default);
    }
}

/// Fails where a state of so many bytes could not become twice as large, as it does when it is full, with some beside.
#[inline]
fn room_to_grow(bytes: usize, context: &EvalContext) -> Result<()> {
    if bytes < LARGE_STATE_BYTES {
        return Ok(());
    }
    let level = context.memory.level();
    context.memory.take(bytes + bytes / 2)?;
    context.memory.back_to(level);
    Ok(())
}

impl<F: Fold> Accumulator for GroupStates<F> {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        context: &EvalContext,
    ) -> Result<()> {
        self.reach(group_count);
        let (fold, heap) = (&self.fold, &mut self.heap);
        let (columns, nulls) = fold.columns(arguments, context);
        let mut step = |state: &mut F::State, row: usize| {
            let before = fold.heap(state);
            if F::GROWS {
                context.check()?;
                room_to_grow(before, context)?;
            }
            fold.step(state, &columns, row)?;
            let after = fold.heap(state);
            *heap = *heap + after - before;
            if F::GROWS {
                // Until the operator has reserved all states.
                context.memory.take(after.saturating_sub(before))?;
            }
            Ok(())
        };
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let states = &mut self.states;
        match nulls {
            // All rows in one group, as where nothing is grouped by: its state stays at hand.
            None if states.len() == 1 => {
                let state = &mut states[0];
                (0..groups.len()).try_for_each(|row| step(state, row))
            }
            None => (groups.iter().enumerate())
                .try_for_each(|(row, group)| step(&mut states[*group as usize], row)),
            Some(nulls) => (nulls.valid_indices())
                .try_for_each(|row| step(&mut states[groups[row] as usize], row)),
        }
    }

    fn folder(&mut self) -> Option<&mut dyn Folder> {
        F::FOLDS.then_some(self as &mut dyn Folder)
    }

    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        let (columns, nulls) = self.fold.columns(arguments, context.eval);
        let work = Work::new(context.eval);
        let steps = Steps {
            step: |state: &mut F::State, row: usize| match &nulls {
                Some(nulls) if nulls.is_null(row) => Ok(()),
                _ => self.fold.step(state, &columns, row),
            },
            merge: |state: &mut F::State, later: &F::State| self.fold.merge(state, later),
        };
        if !F::GROWS {
            return self.fold.results(&slide(&steps, frames, context)?, &work);
        }
        let mut results = ColumnBuilder::new(self.fold.returns(), frames.len());
        grow(frames, context, &steps.step, &mut |state, context| {
            let value = self.fold.value(&state, &work)?;
            (context.reserve)(value.as_ref().bytes().map_or(0, <[u8]>::len))?;
            results.push_owned(value);
            Ok(())
        })?;
        Ok(results.finish())
    }

    fn finish(&mut self, group_count: usize, context: &EvalContext) -> Result<ArrayRef> {
        self.reach(group_count);
        let states = &self.states[..group_count];
        self.fold.results(states, &Work::new(context))
    }

    fn bytes(&self) -> usize {
        self.states.capacity() * size_of::<F::State>() + self.heap
    }
}

impl<F: Fold> Folder for GroupStates<F> {
    fn fold(&mut self, _: &Vector<'_>, argument: Option<VectorColumn<'_>>) -> Result<()> {
        self.reach(1);
        let state = &mut self.states[0];
        let before = self.fold.heap(state);
        self.fold
            .fold(state, argument.expect("a fold is of one argument"))?;
        self.heap = self.heap + self.fold.heap(state) - before;
        Ok(())
    }

    fn value(&self) -> Result<Value> {
        // No state that folds is long.
        let work = &Work::unasked();
        match self.states.first() {
            Some(state) => self.fold.value(state, work),
            None => self.fold.value(&F::State::default(), work),
        }
    }
}

/// An aggregate of one argument of one type, whose NULLs do not count.
pub(super) trait ColumnFold: Send + 'static {
    /// The argument's type.
    type Input: SqlType;
    /// The result's type.
    type Output: SqlType;
    /// What is kept for a group; the default is that of no values.
    type State: Default + Clone + Send;

    /// Takes one value in.
    fn step(&self, state: &mut Self::State, value: <Self::Input as SqlType>::Ref<'_>)
    -> Result<()>;
    /// Takes in the values of another state, which come later.
    fn merge(&self, state: &mut Self::State, later: &Self::State) -> Result<()>;
    /// Takes in a column of rows that are still in storage.
    fn fold(&self, state: &mut Self::State, column: VectorColumn<'_>) -> Result<()> {
        column.each(|value| self.step(state, Self::Input::of(value)))
    }
    /// The group's result, `None` for NULL.
    fn result(&self, state: &Self::State) -> Result<Option<<Self::Output as SqlType>::Owned>>;
    /// Bytes that a state holds beside itself.
    fn heap(&self, _state: &Self::State) -> usize {
        0
    }
}

/// A [`ColumnFold`] as a [`Fold`].
struct OfColumn<F>(F);

/// Makes the accumulator of a fold of one column.
pub(super) fn folding(fold: impl ColumnFold) -> Box<dyn Accumulator> {
    group_states(OfColumn(fold))
}

impl<F: ColumnFold> Fold for OfColumn<F> {
    type State = F::State;
    type Columns<'a> = <F::Input as SqlType>::Column<'a>;
    const FOLDS: bool = true;

    fn returns(&self) -> DataType {
        F::Output::TYPE
    }

    fn columns<'a>(
        &self,
        arguments: &'a [ArrayRef],
        _: &EvalContext,
    ) -> (Self::Columns<'a>, Option<NullBuffer>) {
        let column = arguments[0].as_ref();
        (F::Input::column(column), column.nulls().cloned())
    }

    #[inline]
    fn step(&self, state: &mut F::State, column: &Self::Columns<'_>, row: usize) -> Result<()> {
        self.0.step(state, F::Input::at(*column, row))
    }

    fn merge(&self, state: &mut F::State, later: &F::State) -> Result<()> {
        self.0.merge(state, later)
    }

    fn fold(&self, state: &mut F::State, column: VectorColumn<'_>) -> Result<()> {
        self.0.fold(state, column)
    }

    fn value(&self, state: &F::State, _: &Work<'_>) -> Result<Value> {
        let result = self.0.result(state)?;
        Ok(result.map_or(Value::Null, F::Output::value))
    }

    fn results(&self, states: &[F::State], _: &Work<'_>) -> Result<ArrayRef> {
        let results = states.iter().map(|state| self.0.result(state));
        collect::<F::Output>(results.collect::<Result<_>>()?)
    }

    fn heap(&self, state: &F::State) -> usize {
        self.0.heap(state)
    }
}

/// An array of results, `None` being NULL.
pub(super) fn collect<R: SqlType>(mut results: Vec<Option<R::Owned>>) -> Result<ArrayRef> {
    let nulls = NullBuffer::from_iter(results.iter().map(Option::is_some));
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    R::collect(results.len(), nulls, |row| {
        Ok(results[row]
            .take()
            .expect("collect asks only for rows that are not NULL, once"))
    })
}
