//! Aggregates of the host: what a program keeps for a group, what it does with a row, and what comes of it.
//!
//! Rows with a NULL among the arguments are left out, as the system's aggregates leave them out. Over frames the
//! rows of each frame are taken anew, since a state of the host's cannot be merged with another: that costs
//! the sum of the frames' lengths.

use super::{Accumulator, Aggregate, FrameContext, FrameRows, RowOrder};
use crate::error::Result;
use crate::function::host::{fitted, guarded};
use crate::function::{CallTypes, EvalContext};
use arrow_array::ArrayRef;
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, Value, ValueRef};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Rows between two looks at whether to stop.
const ROWS_BETWEEN_CHECKS: usize = 256;

/// The state of a group, which only the aggregate looks into.
pub(crate) type HostState = Box<dyn Any + Send>;

/// What an aggregate of the host does.
pub(crate) trait HostSteps: Send + Sync {
    /// The state of a group before its first row.
    ///
    /// # Errors
    /// The host's.
    fn init(&self) -> Result<HostState>;
    /// Takes a row in, none of whose values is NULL.
    ///
    /// # Errors
    /// The host's.
    fn step(&self, state: &mut HostState, values: &[ValueRef<'_>]) -> Result<()>;
    /// What comes of the rows; `None` where there was none.
    ///
    /// # Errors
    /// The host's.
    fn finalize(&self, state: Option<HostState>) -> Result<Value>;
    /// Bytes of a state, without what it points to.
    fn state_bytes(&self) -> usize;
}

/// An aggregate of the host.
pub(crate) struct HostAggregate {
    /// Its name, as an unquoted one is folded.
    pub name: String,
    /// The types it takes, without modifiers; at least one.
    pub arguments: Vec<DataType>,
    /// The type it gives.
    pub returns: DataType,
    /// What it does.
    pub steps: Box<dyn HostSteps>,
}

impl fmt::Debug for HostAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// The aggregate that a call is of.
#[derive(Clone, Debug)]
pub(crate) enum Callable {
    /// One of the system's.
    System(&'static Aggregate),
    /// One of the host's.
    Host(Arc<HostAggregate>),
}

impl Callable {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::System(aggregate) => aggregate.name,
            Self::Host(aggregate) => &aggregate.name,
        }
    }

    /// The types it takes.
    pub(crate) fn arguments(&self) -> &[DataType] {
        match self {
            Self::System(aggregate) => aggregate.arguments,
            Self::Host(aggregate) => &aggregate.arguments,
        }
    }

    /// The type it gives.
    pub(crate) fn returns(&self) -> DataType {
        match self {
            Self::System(aggregate) => aggregate.returns,
            Self::Host(aggregate) => aggregate.returns,
        }
    }

    /// What the order of its rows means to it.
    pub(crate) fn order(&self) -> RowOrder {
        match self {
            Self::System(aggregate) => aggregate.order,
            Self::Host(_) => RowOrder::Matters,
        }
    }

    /// The state for all groups of one operator.
    pub(crate) fn start(&self, types: impl FnOnce() -> CallTypes) -> Box<dyn Accumulator> {
        match self {
            Self::System(aggregate) => aggregate.start(types),
            Self::Host(aggregate) => Box::new(States {
                aggregate: Arc::clone(aggregate),
                groups: Vec::new(),
            }),
        }
    }

    /// Whether it is the same one.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System(one), Self::System(two)) => std::ptr::eq(*one, *two),
            (Self::Host(one), Self::Host(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

/// The states of all groups; nothing for a group without rows.
struct States {
    aggregate: Arc<HostAggregate>,
    groups: Vec<Option<HostState>>,
}

impl HostAggregate {
    fn step(
        &self,
        state: &mut Option<HostState>,
        arguments: &[ArrayRef],
        row: usize,
    ) -> Result<()> {
        let values = arguments.iter().zip(&self.arguments);
        let values = values.map(|(array, data_type)| value_at(array.as_ref(), *data_type, row));
        let values: Vec<ValueRef<'_>> = values.collect();
        if values.iter().any(|value| value.is_null()) {
            return Ok(());
        }
        guarded(&self.name, || {
            if state.is_none() {
                *state = Some(self.steps.init()?);
            }
            match state {
                Some(state) => self.steps.step(state, &values),
                None => Ok(()),
            }
        })
    }

    fn finish(&self, state: Option<HostState>) -> Result<Value> {
        let value = guarded(&self.name, || self.steps.finalize(state))?;
        fitted(&self.name, self.returns, value, &EvalContext::default())
    }
}

impl Accumulator for States {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        context: &EvalContext,
    ) -> Result<()> {
        let count = group_count.max(self.groups.len());
        self.groups.resize_with(count, || None);
        for (row, group) in groups.iter().enumerate() {
            if row % ROWS_BETWEEN_CHECKS == 0 {
                context.check()?;
            }
            let state = &mut self.groups[*group as usize];
            self.aggregate.step(state, arguments, row)?;
        }
        Ok(())
    }

    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        let mut results = ColumnBuilder::new(self.aggregate.returns, frames.len());
        for frame in frames {
            context.eval.check()?;
            let mut state = None;
            for (number, row) in frame.rows().enumerate() {
                if number % ROWS_BETWEEN_CHECKS == ROWS_BETWEEN_CHECKS - 1 {
                    context.eval.check()?;
                }
                self.aggregate.step(&mut state, arguments, row)?;
            }
            results.push(self.aggregate.finish(state)?.as_ref());
        }
        Ok(results.finish())
    }

    fn finish(&mut self, group_count: usize, _: &EvalContext) -> Result<ArrayRef> {
        let count = group_count.max(self.groups.len());
        self.groups.resize_with(count, || None);
        let mut results = ColumnBuilder::new(self.aggregate.returns, group_count);
        for state in &mut self.groups[..group_count] {
            results.push(self.aggregate.finish(state.take())?.as_ref());
        }
        Ok(results.finish())
    }

    fn bytes(&self) -> usize {
        let state = size_of::<Option<HostState>>() + self.aggregate.steps.state_bytes();
        self.groups.capacity() * state
    }
}
