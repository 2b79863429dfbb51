//! `array_agg`: the values of a group as an array, NULLs too; arrays become the rows of one with a dimension more.

use super::super::array::{array_value, subscript_error, too_large, too_many_dimensions};
use super::super::{CallTypes, Generic, Pattern, element_of};
use super::frames::grow;
use super::{Accumulator, Aggregate, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::{Error, Result, state};
use crate::function::EvalContext;
use arrow_array::ArrayRef;
use remora_storage::limits::VALUE_BYTES_MAX;
use remora_storage::value::{
    ARRAY_DIMENSIONS_MAX, ColumnBuilder, Dimension, ElementType, PackedType, SqlArrayBuilder,
    value_at,
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
    Box::new(Collect {
        argument,
        element: ElementType::new(element).expect("the binder found an array of it"),
        groups: Vec::new(),
        bytes: 0,
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
    groups: Vec<Option<Collected>>,
    /// Of all groups.
    bytes: usize,
}

impl Collect {
    /// Takes a value in; returns how many bytes the array has grown by.
    fn push(&self, group: &mut Option<Collected>, value: ValueRef<'_>) -> Result<usize> {
        let is_new = group.is_none();
        let group = group.get_or_insert_with(|| Collected {
            elements: SqlArrayBuilder::new(self.element),
            rows: 0,
            row: Vec::new(),
        });
        let before = if is_new { 0 } else { group.elements.bytes() };
        match self.argument {
            DataType::Packed(PackedType::Array(_)) => push_row(group, value)?,
            _ => group.elements.push(value),
        }
        group.rows += 1;
        let after = group.elements.bytes();
        match after > VALUE_BYTES_MAX {
            true => Err(too_large()),
            false => Ok(after - before),
        }
    }

    fn value(&self, group: Option<Collected>) -> Value {
        let Some(group) = group else {
            return Value::Null;
        };
        let mut dimensions = vec![Dimension::of(group.rows)];
        dimensions.extend(group.row);
        array_value(group.elements, &dimensions)
    }

    fn data_type(&self) -> DataType {
        self.element.array()
    }
}

/// An array becomes the next row of the group's array.
fn push_row(group: &mut Collected, value: ValueRef<'_>) -> Result<()> {
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
    array.iter().for_each(|value| group.elements.push(value));
    Ok(())
}

impl Accumulator for Collect {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        _: &EvalContext,
    ) -> Result<()> {
        let mut states = std::mem::take(&mut self.groups);
        states.resize_with(group_count.max(states.len()), || None);
        for (row, group) in groups.iter().enumerate() {
            let value = value_at(arguments[0].as_ref(), self.argument, row);
            self.bytes += self.push(&mut states[*group as usize], value)?;
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
        let mut out = ColumnBuilder::new(self.data_type(), frames.len());
        let column = arguments[0].as_ref();
        let step = |group: &mut _, row| {
            let value = value_at(column, self.argument, row);
            self.push(group, value).map(|_| ())
        };
        grow(frames, context, step, |group, context| {
            let value = self.value(group);
            (context.reserve)(value.as_ref().bytes().map_or(0, <[u8]>::len))?;
            out.push(value.as_ref());
            Ok(())
        })?;
        Ok(out.finish())
    }

    fn finish(&mut self, group_count: usize) -> Result<ArrayRef> {
        self.groups
            .resize_with(group_count.max(self.groups.len()), || None);
        let mut out = ColumnBuilder::new(self.data_type(), group_count);
        for group in &self.groups[..group_count] {
            out.push(self.value(group.clone()).as_ref());
        }
        Ok(out.finish())
    }

    fn bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Option<Collected>>() + self.bytes
    }
}
