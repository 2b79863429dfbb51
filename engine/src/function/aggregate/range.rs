//! `range_agg`: what is in any range of a group, as a multirange; `range_intersect_agg`: what is in all of them.

use super::super::range::{Ranges, intersect, multirange, normal, range_type};
use super::super::{CallTypes, Generic, Pattern};
use super::frames::{Slide, slide};
use super::{Accumulator, Aggregate, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::EvalContext;
use crate::function::array::too_large;
use arrow_array::ArrayRef;
use remora_storage::limits::VALUE_BYTES_MAX;
use remora_storage::value::{
    ColumnBuilder, Dimension, RangeType, SqlArray, SqlArrayBuilder, value_at,
};
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
    fn first(of: RangeType, value: ValueRef<'_>) -> Result<Self>;
    fn add(&mut self, of: RangeType, value: ValueRef<'_>) -> Result<()>;
    fn merge(&mut self, of: RangeType, later: &Self) -> Result<()>;
    fn value(&self, of: RangeType) -> Result<Value>;
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
    fn first(of: RangeType, value: ValueRef<'_>) -> Result<Self> {
        let mut ranges = Self(SqlArrayBuilder::new(of.element()));
        ranges.add(of, value)?;
        Ok(ranges)
    }

    fn add(&mut self, _: RangeType, value: ValueRef<'_>) -> Result<()> {
        match value.as_ranges() {
            Some(ranges) => ranges.iter().for_each(|range| self.0.push(range)),
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
        ranges.iter().try_for_each(|range| self.add(of, range))
    }

    fn value(&self, of: RangeType) -> Result<Value> {
        let encoded = self.encoded();
        let ranges = SqlArray::new(of.element(), &encoded).unwrap_or_default();
        let bounds = ranges.iter().filter_map(|range| range.as_range()?.bounds());
        multirange(of, &normal(of, bounds.collect()))
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// What is in all so far.
#[derive(Clone)]
struct InAll(Value);

impl Gathered for InAll {
    fn first(_: RangeType, value: ValueRef<'_>) -> Result<Self> {
        Ok(Self(value.to_owned()))
    }

    fn add(&mut self, of: RangeType, value: ValueRef<'_>) -> Result<()> {
        self.0 = intersect(of, Ranges::of(self.0.as_ref()), Ranges::of(value))?;
        Ok(())
    }

    fn merge(&mut self, of: RangeType, later: &Self) -> Result<()> {
        self.add(of, later.0.as_ref())
    }

    fn value(&self, _: RangeType) -> Result<Value> {
        Ok(self.0.clone())
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().bytes().map_or(0, <[u8]>::len)
    }
}

/// The groups of one of the two.
struct OfAll<G> {
    types: CallTypes,
    of: RangeType,
    groups: Vec<Option<G>>,
    /// Of all groups.
    bytes: usize,
}

fn of_all<G: Gathered>(types: &CallTypes) -> Box<dyn Accumulator> {
    Box::new(OfAll::<G> {
        of: range_type(types.returns).expect("the binder found a type of ranges"),
        types: types.clone(),
        groups: Vec::new(),
        bytes: 0,
    })
}

/// A column of ranges, and what is made of it.
struct Column<'a, G> {
    data_type: DataType,
    of: RangeType,
    values: &'a ArrayRef,
    made: PhantomData<G>,
}

impl<G: Gathered> Slide for Column<'_, G> {
    type State = Option<G>;

    fn empty(&self) -> Option<G> {
        None
    }

    fn step(&self, state: &mut Option<G>, row: usize) -> Result<()> {
        let value = value_at(self.values.as_ref(), self.data_type, row);
        match state {
            _ if value.is_null() => Ok(()),
            Some(state) => state.add(self.of, value),
            None => {
                *state = Some(G::first(self.of, value)?);
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
}

impl<G: Gathered> OfAll<G> {
    fn column<'a>(&self, values: &'a ArrayRef) -> Column<'a, G> {
        Column {
            data_type: self.types.arguments[0],
            of: self.of,
            values,
            made: PhantomData,
        }
    }

    fn array(&self, groups: &[Option<G>]) -> Result<ArrayRef> {
        let mut out = ColumnBuilder::new(self.types.returns, groups.len());
        for group in groups {
            match group {
                Some(group) => out.push(group.value(self.of)?.as_ref()),
                None => out.push(ValueRef::Null),
            }
        }
        Ok(out.finish())
    }
}

impl<G: Gathered> Accumulator for OfAll<G> {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        _: &EvalContext,
    ) -> Result<()> {
        let mut states = std::mem::take(&mut self.groups);
        states.resize_with(group_count.max(states.len()), || None);
        let column = self.column(&arguments[0]);
        for (row, group) in groups.iter().enumerate() {
            let state = &mut states[*group as usize];
            let before = state.as_ref().map_or(0, G::bytes);
            column.step(state, row)?;
            let after = state.as_ref().map_or(0, G::bytes);
            self.bytes = (self.bytes + after).saturating_sub(before);
        }
        self.groups = states;
        Ok(())
    }

    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        let states = slide(&self.column(&arguments[0]), frames, context)?;
        self.array(&states)
    }

    fn finish(&mut self, group_count: usize) -> Result<ArrayRef> {
        self.groups
            .resize_with(group_count.max(self.groups.len()), || None);
        self.array(&self.groups[..group_count])
    }

    fn bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Option<G>>() + self.bytes
    }
}
