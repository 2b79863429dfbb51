//! `string_agg`, of texts and of bytes: the delimiter of a row stands before that row's string.

use super::state::{Fold, group_states};
use super::{Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::native::{self, SqlType};
use crate::function::{EvalContext, Work};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use remora_storage::{DataType, Value};
use std::marker::PhantomData;

/// A type whose values can be joined.
trait Joinable: SqlType<Owned: Clone + Default + Send> + Send {
    fn append(joined: &mut Self::Owned, value: Self::Ref<'_>);
    fn capacity(joined: &Self::Owned) -> usize;
}

impl Joinable for native::Text {
    fn append(joined: &mut String, value: &str) {
        joined.push_str(value);
    }
    fn capacity(joined: &String) -> usize {
        joined.capacity()
    }
}

impl Joinable for native::Bytea {
    fn append(joined: &mut Vec<u8>, value: &[u8]) {
        joined.extend_from_slice(value);
    }
    fn capacity(joined: &Vec<u8>) -> usize {
        joined.capacity()
    }
}

/// Of strings of one type. A group's state is its strings so far, joined.
struct StringAgg<T>(PhantomData<T>);

/// The strings and the delimiters of some rows.
struct Columns<'a, T: Joinable> {
    strings: T::Column<'a>,
    delimiters: T::Column<'a>,
    no_delimiters: Option<&'a NullBuffer>,
}

impl<T: Joinable> Fold for StringAgg<T> {
    type State = Option<T::Owned>;
    type Columns<'a> = Columns<'a, T>;
    const GROWS: bool = true;

    fn returns(&self) -> DataType {
        T::TYPE
    }

    fn columns<'a>(
        &self,
        arguments: &'a [ArrayRef],
        _: &EvalContext,
    ) -> (Columns<'a, T>, Option<NullBuffer>) {
        let columns = Columns {
            strings: T::column(arguments[0].as_ref()),
            delimiters: T::column(arguments[1].as_ref()),
            no_delimiters: arguments[1].nulls(),
        };
        (columns, arguments[0].nulls().cloned())
    }

    fn step(&self, state: &mut Self::State, columns: &Columns<'_, T>, row: usize) -> Result<()> {
        let is_first = state.is_none();
        let joined = state.get_or_insert_default();
        if !is_first && columns.no_delimiters.is_none_or(|no| no.is_valid(row)) {
            T::append(joined, T::at(columns.delimiters, row));
        }
        T::append(joined, T::at(columns.strings, row));
        Ok(())
    }

    fn value(&self, state: &Self::State, _: &Work<'_>) -> Result<Value> {
        Ok(state.clone().map_or(Value::Null, T::value))
    }

    fn heap(&self, state: &Self::State) -> usize {
        state.as_ref().map_or(0, T::capacity)
    }
}

pub(super) static AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "string_agg",
        arguments: &[DataType::Text, DataType::Text],
        returns: DataType::Text,
        accumulator: MakeAccumulator::Typed(|| {
            group_states(StringAgg::<native::Text>(PhantomData))
        }),
        order: RowOrder::Matters,
        doc: "The texts, joined with a delimiter.",
    },
    Aggregate {
        name: "string_agg",
        arguments: &[DataType::Bytea, DataType::Bytea],
        returns: DataType::Bytea,
        accumulator: MakeAccumulator::Typed(|| {
            group_states(StringAgg::<native::Bytea>(PhantomData))
        }),
        order: RowOrder::Matters,
        doc: "The byte strings, joined with a delimiter.",
    },
];
