//! `json_agg`, `json_object_agg`, and the same of JSONB: a document a group.
//!
//! The binder makes their arguments JSON or JSONB first, so that there is one aggregate for all types. NULLs
//! take part: they are null.

use super::frames::grow;
use super::{Accumulator, Aggregate, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::EvalContext;
use crate::function::json::{Document, JsonArray, JsonObject, JsonbArray, JsonbObject};
use arrow_array::ArrayRef;
use remora_storage::value::{ColumnBuilder, PackedType, value_at};
use remora_storage::{DataType, ValueRef};

/// Documents, one a group, of arguments of one type and of that type themselves.
struct Gathering<D: Document> {
    documents: Vec<Option<D>>,
    data_type: DataType,
    heap: usize,
}

fn gathering<D: Document>(data_type: DataType) -> Box<dyn Accumulator> {
    Box::new(Gathering::<D> {
        documents: Vec::new(),
        data_type,
        heap: 0,
    })
}

impl<D: Document> Gathering<D> {
    fn add(&self, document: &mut Option<D>, arguments: &[ArrayRef], row: usize) -> Result<()> {
        let values = arguments.iter();
        let values: Vec<ValueRef<'_>> = values
            .map(|array| value_at(array.as_ref(), self.data_type, row))
            .collect();
        document.get_or_insert_default().add(&values)
    }

    fn results(&self, documents: &[Option<D>]) -> Result<ArrayRef> {
        let mut results = ColumnBuilder::new(self.data_type, documents.len());
        for document in documents {
            match document {
                Some(document) => results.push(document.value()?.as_ref()),
                None => results.push(ValueRef::Null),
            }
        }
        Ok(results.finish())
    }
}

impl<D: Document> Accumulator for Gathering<D> {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        context: &EvalContext,
    ) -> Result<()> {
        let known = group_count.max(self.documents.len());
        self.documents.resize_with(known, || None);
        let mut documents = std::mem::take(&mut self.documents);
        for (row, group) in groups.iter().enumerate() {
            context.check()?;
            let document = &mut documents[*group as usize];
            let before = document.as_ref().map_or(0, D::heap);
            self.add(document, arguments, row)?;
            self.heap += document.as_ref().map_or(0, D::heap) - before;
        }
        self.documents = documents;
        Ok(())
    }

    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        let mut results: Vec<Option<D>> = Vec::with_capacity(frames.len());
        let step = |document: &mut _, row| self.add(document, arguments, row);
        grow(frames, context, step, |document, context| {
            let bytes = document.as_ref().map_or(0, D::heap);
            (context.reserve)(2 * bytes + size_of::<Option<D>>())?;
            results.push(document);
            Ok(())
        })?;
        self.results(&results)
    }

    fn finish(&mut self, group_count: usize) -> Result<ArrayRef> {
        let known = group_count.max(self.documents.len());
        self.documents.resize_with(known, || None);
        self.results(&self.documents[..group_count])
    }

    fn bytes(&self) -> usize {
        self.documents.capacity() * size_of::<Option<D>>() + self.heap
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
