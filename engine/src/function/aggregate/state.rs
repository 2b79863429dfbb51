//! The one shape that most accumulators have: a state per group, a step per value, a result.

use super::frames::{Slide, slide};
use super::{Accumulator, Folder, FrameContext, FrameRows};
use crate::error::Result;
use crate::function::EvalContext;
use crate::function::native::SqlType;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use remora_storage::Value;
use remora_storage::transaction::{Vector, VectorColumn};
use std::marker::PhantomData;

/// An aggregate of one argument: what it keeps for a group and what it does with a value.
pub(super) trait Fold: Send + 'static {
    /// The argument's type.
    type Input: SqlType;
    /// The result's type.
    type Output: SqlType;
    /// What is kept for a group; the default is that of no values.
    type State: Default + Clone + Send;

    /// Takes one value in.
    fn step(state: &mut Self::State, value: <Self::Input as SqlType>::Ref<'_>) -> Result<()>;
    /// Takes in the values of another state, which come later.
    fn merge(state: &mut Self::State, later: &Self::State) -> Result<()>;
    /// Takes in a column of rows that are still in storage.
    fn fold(state: &mut Self::State, column: VectorColumn<'_>) -> Result<()> {
        column.each(|value| Self::step(state, Self::Input::of(value)))
    }
    /// The group's result, `None` for NULL.
    fn result(state: &Self::State) -> Result<Option<<Self::Output as SqlType>::Owned>>;
    /// Bytes that a state holds beside itself.
    fn heap(_state: &Self::State) -> usize {
        0
    }
}

/// The accumulator of a [`Fold`].
pub(super) struct Folding<F: Fold> {
    states: Vec<F::State>,
    fold: PhantomData<F>,
}

/// Makes one, as [`super::Aggregate::accumulator`] wants it.
pub(super) fn folding<F: Fold>() -> Box<dyn Accumulator> {
    Box::new(Folding::<F> {
        states: Vec::new(),
        fold: PhantomData,
    })
}

impl<F: Fold> Accumulator for Folding<F> {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        _: &EvalContext,
    ) -> Result<()> {
        self.states
            .resize_with(group_count.max(self.states.len()), F::State::default);
        let column = F::Input::column(arguments[0].as_ref());
        let nulls = arguments[0].nulls().filter(|nulls| nulls.null_count() > 0);
        if let ([state], None) = (self.states.as_mut_slice(), nulls) {
            // All rows in one group, as where nothing is grouped by: its state stays at hand.
            return (0..groups.len()).try_for_each(|row| F::step(state, F::Input::at(column, row)));
        }
        let states = &mut self.states;
        let mut step = |row: usize, group: u32| {
            F::step(&mut states[group as usize], F::Input::at(column, row))
        };
        match nulls {
            None => groups
                .iter()
                .enumerate()
                .try_for_each(|(row, group)| step(row, *group)),
            Some(nulls) => nulls
                .valid_indices()
                .try_for_each(|row| step(row, groups[row])),
        }
    }

    fn folder(&mut self) -> Option<&mut dyn Folder> {
        Some(self)
    }

    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        let values = Sliding::<F> {
            column: F::Input::column(arguments[0].as_ref()),
            nulls: arguments[0].nulls(),
        };
        let states = slide(&values, frames, context)?;
        collect::<F::Output, _>(&states, F::result)
    }

    fn finish(&mut self, group_count: usize) -> Result<ArrayRef> {
        self.states
            .resize_with(group_count.max(self.states.len()), F::State::default);
        collect::<F::Output, _>(&self.states[..group_count], F::result)
    }

    fn bytes(&self) -> usize {
        self.states.capacity() * size_of::<F::State>()
            + self.states.iter().map(F::heap).sum::<usize>()
    }
}

/// A column that a fold slides over.
struct Sliding<'a, F: Fold> {
    column: <F::Input as SqlType>::Column<'a>,
    nulls: Option<&'a NullBuffer>,
}

impl<F: Fold> Slide for Sliding<'_, F> {
    type State = F::State;

    fn empty(&self) -> F::State {
        F::State::default()
    }

    fn step(&self, state: &mut F::State, row: usize) -> Result<()> {
        match self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            true => Ok(()),
            false => F::step(state, F::Input::at(self.column, row)),
        }
    }

    fn merge(&self, state: &mut F::State, later: &F::State) -> Result<()> {
        F::merge(state, later)
    }
}

impl<F: Fold> Folder for Folding<F> {
    fn fold(&mut self, _: &Vector<'_>, argument: Option<VectorColumn<'_>>) -> Result<()> {
        if self.states.is_empty() {
            self.states.push(F::State::default());
        }
        match argument {
            Some(column) => F::fold(&mut self.states[0], column),
            None => unreachable!("a fold is of one argument"),
        }
    }

    fn value(&self) -> Result<Value> {
        let result = match self.states.first() {
            Some(state) => F::result(state)?,
            None => F::result(&F::State::default())?,
        };
        Ok(result.map_or(Value::Null, F::Output::value))
    }
}

/// An array of results, `None` being NULL.
pub(super) fn collect<R: SqlType, S>(
    states: &[S],
    result: impl Fn(&S) -> Result<Option<R::Owned>>,
) -> Result<ArrayRef> {
    let mut results = states.iter().map(result).collect::<Result<Vec<_>>>()?;
    let nulls = NullBuffer::from_iter(results.iter().map(Option::is_some));
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    R::collect(states.len(), nulls, |row| {
        Ok(results[row]
            .take()
            .expect("collect asks only for rows that are not NULL, once"))
    })
}
