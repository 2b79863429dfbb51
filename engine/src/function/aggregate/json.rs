//! `json_agg`, `json_object_agg`, and the same of JSONB: a document a group.
//!
//! The binder makes their arguments JSON or JSONB first, so that there is one aggregate for all types. NULLs
//! take part: they are null.

use super::state::{Fold, group_states};
use super::{Accumulator, Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::json::{Document, JsonArray, JsonObject, JsonbArray, JsonbObject};
use crate::function::{EvalContext, Work};
use arrow_array::ArrayRef;
use arrow_buffer::NullBuffer;
use remora_storage::value::{PackedType, value_at};
use remora_storage::{DataType, Value, ValueRef};
use std::marker::PhantomData;

/// Documents of arguments of one type and of that type themselves.
struct Gathering<D>(DataType, PhantomData<D>);

fn gathering<D: Document>(data_type: DataType) -> Box<dyn Accumulator> {
    group_states(Gathering::<D>(data_type, PhantomData))
}

impl<D: Document> Fold for Gathering<D> {
    type State = Option<D>;
    type Columns<'a> = (&'a [ArrayRef], Work<'a>);
    const GROWS: bool = true;

    fn returns(&self) -> DataType {
        self.0
    }

    fn columns<'a>(
        &self,
        arguments: &'a [ArrayRef],
        context: &'a EvalContext,
    ) -> (Self::Columns<'a>, Option<NullBuffer>) {
        ((arguments, Work::new(context)), None)
    }

    fn step(
        &self,
        document: &mut Option<D>,
        (columns, work): &Self::Columns<'_>,
        row: usize,
    ) -> Result<()> {
        let values = columns.iter();
        let values: Vec<ValueRef<'_>> = values
            .map(|array| value_at(array.as_ref(), self.0, row))
            .collect();
        document.get_or_insert_default().add(&values, work)
    }

    fn value(&self, document: &Option<D>, work: &Work<'_>) -> Result<Value> {
        let document = document.as_ref();
        document.map_or(Ok(Value::Null), |document| document.value(work))
    }

    fn heap(&self, document: &Option<D>) -> usize {
        document.as_ref().map_or(0, D::heap)
    }
}

const JSON: DataType = DataType::Json;
const JSONB: DataType = DataType::Packed(PackedType::Jsonb);

const fn of(
    name: &'static str,
    arguments: &'static [DataType],
    accumulator: fn() -> Box<dyn Accumulator>,
    doc: &'static str,
) -> Aggregate {
    Aggregate {
        name,
        arguments,
        returns: arguments[0],
        accumulator: MakeAccumulator::Typed(accumulator),
        order: RowOrder::Matters,
        doc,
    }
}

const ARRAY: &str = "The values as an array.";
const OBJECT: &str = "The pairs of a key and a value as an object.";

pub(super) static AGGREGATES: &[Aggregate] = &[
    of(
        "json_agg",
        &[JSON],
        || gathering::<JsonArray<false>>(JSON),
        ARRAY,
    ),
    of(
        "jsonb_agg",
        &[JSONB],
        || gathering::<JsonbArray>(JSONB),
        ARRAY,
    ),
    of(
        "json_object_agg",
        &[JSON, JSON],
        || gathering::<JsonObject>(JSON),
        OBJECT,
    ),
    of(
        "jsonb_object_agg",
        &[JSONB, JSONB],
        || gathering::<JsonbObject>(JSONB),
        OBJECT,
    ),
];

static OF_LINES: Aggregate = of(
    "json_agg",
    &[JSON],
    || gathering::<JsonArray<true>>(JSON),
    ARRAY,
);

/// `json_agg` of rows and arrays, which are put on a line each.
pub(crate) fn json_agg_of_lines() -> &'static Aggregate {
    &OF_LINES
}
