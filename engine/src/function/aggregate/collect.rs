//! `array_agg`: the values of a group as an array, NULLs too; arrays become the rows of one with a dimension more.

use super::super::array::{
    ELEMENT_WORK, array_value, subscript_error, too_large, too_many_dimensions,
};
use super::super::{CallTypes, Generic, Pattern, element_of};
use super::state::{Fold, group_states};
use super::{Accumulator, Aggregate, MakeAccumulator, RowOrder};
use crate::error::{Error, Result, state};
use crate::function::{EvalContext, Work};
use arrow_array::ArrayRef;
use arrow_buffer::NullBuffer;
use remora_storage::limits::VALUE_BYTES_MAX;
use remora_storage::value::{
    ARRAY_DIMENSIONS_MAX, Dimension, ElementType, PackedType, SqlArrayBuilder, value_at,
};
use remora_storage::{DataType, Value, ValueRef};

pub(super) static AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "array_agg",
        arguments: &[],
        returns: DataType::Text,
        accumulator: MakeAccumulator::Generic(
            Generic {
                arguments: &[Pattern::Array],
                returns: Pattern::Array,
            },
            collecting,
        ),
        order: RowOrder::Matters,
        doc: "The arrays, as the rows of one.",
    },
    Aggregate {
        name: "array_agg",
        arguments: &[],
        returns: DataType::Text,
        accumulator: MakeAccumulator::Generic(
            Generic {
                arguments: &[Pattern::Element],
                returns: Pattern::Array,
            },
            collecting,
        ),
        order: RowOrder::Matters,
        doc: "The values, NULLs too, as an array.",
    },
];

fn collecting(types: &CallTypes) -> Box<dyn Accumulator> {
    let argument = types.arguments[0];
    let element = element_of(argument).unwrap_or(argument);
    group_states(Collect {
        argument,
        element: ElementType::new(element).expect("the binder found an array of it"),
    })
}

/// The array of a group so far.
#[derive(Clone, Debug)]
struct Collected {
    elements: SqlArrayBuilder,
    rows: usize,
    /// The dimensions that each row has, where rows are arrays.
    row: Vec<Dimension>,
}

struct Collect {
    argument: DataType,
    element: ElementType,
}

/// An array becomes the next row of the group's array.
fn push_row(group: &mut Collected, value: ValueRef<'_>, work: &Work<'_>) -> Result<()> {
    let Some(array) = value.as_array() else {
        let message = "cannot accumulate null arrays";
        return Err(Error::new(state::NULL_VALUE_NOT_ALLOWED, message));
    };
    let dimensions: Vec<Dimension> = array.dimensions().collect();
    if dimensions.is_empty() {
        return Err(subscript_error("cannot accumulate empty arrays"));
    }
    if dimensions.len() == ARRAY_DIMENSIONS_MAX {
        return Err(too_many_dimensions(dimensions.len() + 1));
    }
    if group.rows == 0 {
        group.row = dimensions;
    } else if group.row != dimensions {
        return Err(subscript_error(
            "cannot accumulate arrays of different dimensionality",
        ));
    }
    for value in array.iter() {
        work.spend(ELEMENT_WORK)?;
        group.elements.push(value);
    }
    Ok(())
}

impl Fold for Collect {
    type State = Option<Collected>;
    type Columns<'a> = (&'a ArrayRef, Work<'a>);
    const GROWS: bool = true;

    fn returns(&self) -> DataType {
        self.element.array()
    }

    fn columns<'a>(
        &self,
        arguments: &'a [ArrayRef],
        context: &'a EvalContext,
    ) -> (Self::Columns<'a>, Option<NullBuffer>) {
        ((&arguments[0], Work::new(context)), None)
    }

    fn step(
        &self,
        state: &mut Self::State,
        (column, work): &Self::Columns<'_>,
        row: usize,
    ) -> Result<()> {
        let value = value_at(column.as_ref(), self.argument, row);
        let group = state.get_or_insert_with(|| Collected {
            elements: SqlArrayBuilder::new(self.element),
            rows: 0,
            row: Vec::new(),
        });
        match self.argument {
            DataType::Packed(PackedType::Array(_)) => push_row(group, value, work)?,
            _ => group.elements.push(value),
        }
        group.rows += 1;
        match group.elements.bytes() > VALUE_BYTES_MAX {
            true => Err(too_large()),
            false => Ok(()),
        }
    }

    fn value(&self, state: &Self::State, _: &Work<'_>) -> Result<Value> {
        let Some(group) = state else {
            return Ok(Value::Null);
        };
        let mut dimensions = vec![Dimension::of(group.rows)];
        dimensions.extend_from_slice(&group.row);
        Ok(array_value(group.elements.clone(), &dimensions))
    }

    fn heap(&self, state: &Self::State) -> usize {
        (state.as_ref()).map_or(0, |group| group.elements.bytes())
    }
}
