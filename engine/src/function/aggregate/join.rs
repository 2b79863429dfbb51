//! `string_agg`, of texts and of bytes: the delimiter of a row stands before that row's string.

use super::state::{Fold, group_states};
use super::{Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use remora_storage::value::value_at;
use remora_storage::{DataType, Value, ValueRef};

/// Of strings of one type. A group's state is its strings so far, joined.
struct StringAgg(DataType);

fn append(joined: &mut Value, string: ValueRef<'_>) {
    match (joined, string) {
        (Value::Text(joined), ValueRef::Text(text)) => joined.push_str(text),
        (Value::Bytea(joined), ValueRef::Bytea(bytes)) => joined.extend_from_slice(bytes),
        // A delimiter may be NULL.
        _ => {}
    }
}

impl Fold for StringAgg {
    type State = Value;
    type Columns<'a> = &'a [ArrayRef];
    const GROWS: bool = true;

    fn returns(&self) -> DataType {
        self.0
    }

    fn columns<'a>(&self, arguments: &'a [ArrayRef]) -> (&'a [ArrayRef], Option<NullBuffer>) {
        (arguments, arguments[0].nulls().cloned())
    }

    fn step(&self, joined: &mut Value, columns: &&[ArrayRef], row: usize) -> Result<()> {
        let string = value_at(columns[0].as_ref(), self.0, row);
        if joined.is_null() {
            *joined = string.to_owned();
        } else {
            append(joined, value_at(columns[1].as_ref(), self.0, row));
            append(joined, string);
        }
        Ok(())
    }

    fn value(&self, joined: &Value) -> Result<Value> {
        Ok(joined.clone())
    }

    fn heap(&self, joined: &Value) -> usize {
        match joined {
            Value::Text(joined) => joined.capacity(),
            Value::Bytea(joined) => joined.capacity(),
            _ => 0,
        }
    }
}

pub(super) static AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "string_agg",
        arguments: &[DataType::Text, DataType::Text],
        returns: DataType::Text,
        accumulator: MakeAccumulator::Typed(|| group_states(StringAgg(DataType::Text))),
        order: RowOrder::Matters,
        doc: "The texts, joined with a delimiter.",
    },
    Aggregate {
        name: "string_agg",
        arguments: &[DataType::Bytea, DataType::Bytea],
        returns: DataType::Bytea,
        accumulator: MakeAccumulator::Typed(|| group_states(StringAgg(DataType::Bytea))),
        order: RowOrder::Matters,
        doc: "The byte strings, joined with a delimiter.",
    },
];
