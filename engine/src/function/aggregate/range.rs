//! `range_agg`: what is in any range of a group, as a multirange; `range_intersect_agg`: what is in all of them.

use super::super::range::{RANGE_WORK, Ranges, intersect, multirange, normal, range_type};
use super::super::{CallTypes, EvalContext, Generic, Pattern, Work};
use super::state::{Fold, group_states};
use super::{Accumulator, Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::array::too_large;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use remora_storage::limits::VALUE_BYTES_MAX;
use remora_storage::value::{Dimension, RangeType, SqlArray, SqlArrayBuilder, value_at};
use remora_storage::{DataType, Value, ValueRef};
use std::marker::PhantomData;

/// One of ranges, and one of multiranges.
macro_rules! table {
    ($($name:literal $argument:ident -> $returns:ident, $make:expr, $doc:literal;)*) => {
        &[$(Aggregate {
            name: $name,
            arguments: &[],
            returns: DataType::Text,
            accumulator: MakeAccumulator::Generic(
                Generic {
                    arguments: &[Pattern::$argument],
                    returns: Pattern::$returns,
                },
                $make,
            ),
            order: RowOrder::Any,
            doc: $doc,
        }),*]
    };
}

pub(super) static AGGREGATES: &[Aggregate] = table!(
    "range_agg" Range -> Multirange, of_all::<Together>, "What is in any of them, as a multirange.";
    "range_agg" Multirange -> Multirange, of_all::<Together>, "What is in any of them, as a multirange.";
    "range_intersect_agg" Range -> Range, of_all::<InAll>, "What is in all of them.";
    "range_intersect_agg" Multirange -> Multirange, of_all::<InAll>, "What is in all of them.";
);

/// What one of the two aggregates knows of a group that has a value.
trait Gathered: Clone + Send + 'static {
    fn first(of: RangeType, value: ValueRef<'_>, work: &Work<'_>) -> Result<Self>;
    fn add(&mut self, of: RangeType, value: ValueRef<'_>, work: &Work<'_>) -> Result<()>;
    fn merge(&mut self, of: RangeType, later: &Self) -> Result<()>;
    fn value(&self, of: RangeType, work: &Work<'_>) -> Result<Value>;
    fn bytes(&self) -> usize;
}

/// All ranges so far, as they came.
#[derive(Clone)]
struct Together(SqlArrayBuilder);

impl Together {
    fn encoded(&self) -> Vec<u8> {
        self.0.clone().finish(&[Dimension::of(self.0.len())])
    }
}

impl Gathered for Together {
    fn first(of: RangeType, value: ValueRef<'_>, work: &Work<'_>) -> Result<Self> {
        let mut ranges = Self(SqlArrayBuilder::new(of.element()));
        ranges.add(of, value, work)?;
        Ok(ranges)
    }

    fn add(&mut self, _: RangeType, value: ValueRef<'_>, work: &Work<'_>) -> Result<()> {
        match value.as_ranges() {
            Some(ranges) => {
                for range in ranges.iter() {
                    work.spend(RANGE_WORK)?;
                    self.0.push(range);
                }
            }
            None => self.0.push(value),
        }
        match self.0.bytes() > VALUE_BYTES_MAX {
            true => Err(too_large()),
            false => Ok(()),
        }
    }

    fn merge(&mut self, of: RangeType, later: &Self) -> Result<()> {
        let later = later.encoded();
        let ranges = SqlArray::new(of.element(), &later).unwrap_or_default();
        let work = &Work::unasked();
        ranges
            .iter()
            .try_for_each(|range| self.add(of, range, work))
    }

    fn value(&self, of: RangeType, work: &Work<'_>) -> Result<Value> {
        let encoded = self.encoded();
        let ranges = SqlArray::new(of.element(), &encoded).unwrap_or_default();
        let bounds = ranges.iter().filter_map(|range| range.as_range()?.bounds());
        multirange(of, &normal(of, bounds.collect(), work)?, work)
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// What is in all so far.
#[derive(Clone)]
struct InAll(Value);

impl Gathered for InAll {
    fn first(_: RangeType, value: ValueRef<'_>, _: &Work<'_>) -> Result<Self> {
        Ok(Self(value.to_owned()))
    }

    fn add(&mut self, of: RangeType, value: ValueRef<'_>, work: &Work<'_>) -> Result<()> {
        self.0 = intersect(of, Ranges::of(self.0.as_ref()), Ranges::of(value), work)?;
        Ok(())
    }

    fn merge(&mut self, of: RangeType, later: &Self) -> Result<()> {
        self.add(of, later.0.as_ref(), &Work::unasked())
    }

    fn value(&self, _: RangeType, _: &Work<'_>) -> Result<Value> {
        Ok(self.0.clone())
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().bytes().map_or(0, <[u8]>::len)
    }
}

/// One of the two, of ranges or multiranges of one type.
struct OfAll<G> {
    argument: DataType,
    returns: DataType,
    of: RangeType,
    gathered: PhantomData<G>,
}

fn of_all<G: Gathered>(types: &CallTypes) -> Box<dyn Accumulator> {
    group_states(OfAll::<G> {
        argument: types.arguments[0],
        returns: types.returns,
        of: range_type(types.returns).expect("the binder found a type of ranges"),
        gathered: PhantomData,
    })
}

impl<G: Gathered> Fold for OfAll<G> {
    type State = Option<G>;
    type Columns<'a> = (&'a ArrayRef, Work<'a>);

    fn returns(&self) -> DataType {
        self.returns
    }

    fn columns<'a>(
        &self,
        arguments: &'a [ArrayRef],
        context: &'a EvalContext,
    ) -> (Self::Columns<'a>, Option<NullBuffer>) {
        let columns = (&arguments[0], Work::new(context));
        (columns, arguments[0].nulls().cloned())
    }

    fn step(
        &self,
        state: &mut Option<G>,
        (column, work): &Self::Columns<'_>,
        row: usize,
    ) -> Result<()> {
        let value = value_at(column.as_ref(), self.argument, row);
        match state {
            Some(state) => state.add(self.of, value, work),
            None => {
                *state = Some(G::first(self.of, value, work)?);
                Ok(())
            }
        }
    }

    fn merge(&self, state: &mut Option<G>, later: &Option<G>) -> Result<()> {
        match (state, later) {
            (_, None) => Ok(()),
            (Some(state), Some(later)) => state.merge(self.of, later),
            (state, later) => {
                state.clone_from(later);
                Ok(())
            }
        }
    }

    fn value(&self, state: &Option<G>, work: &Work<'_>) -> Result<Value> {
        (state.as_ref()).map_or(Ok(Value::Null), |state| state.value(self.of, work))
    }

    fn heap(&self, state: &Option<G>) -> usize {
        state.as_ref().map_or(0, G::bytes)
    }
}
