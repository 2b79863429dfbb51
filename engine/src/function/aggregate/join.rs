//! `string_agg`, of texts and of bytes: the delimiter of a row stands before that row's string.

use super::frames::grow;
use super::state::collect;
use super::{Accumulator, Aggregate, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::EvalContext;
use crate::function::native::{self, SqlType};
use arrow_array::{Array, ArrayRef};
use remora_storage::DataType;

/// A type whose values can be joined.
trait Joinable: SqlType<Owned: Clone + Send> {
    fn own(value: Self::Ref<'_>) -> Self::Owned;
    fn append(joined: &mut Self::Owned, value: Self::Ref<'_>);
    fn length(joined: &Self::Owned) -> usize;
}

impl Joinable for native::Text {
    fn own(value: &str) -> String {
        value.to_owned()
    }
    fn append(joined: &mut String, value: &str) {
        joined.push_str(value);
    }
    fn length(joined: &String) -> usize {
        joined.capacity()
    }
}

impl Joinable for native::Bytea {
    fn own(value: &[u8]) -> Vec<u8> {
        value.to_owned()
    }
    fn append(joined: &mut Vec<u8>, value: &[u8]) {
        joined.extend_from_slice(value);
    }
    fn length(joined: &Vec<u8>) -> usize {
        joined.capacity()
    }
}

struct StringAgg<T: Joinable> {
    strings: Vec<Option<T::Owned>>,
}

fn joining<T: Joinable>() -> Box<dyn Accumulator> {
    Box::new(StringAgg::<T> {
        strings: Vec::new(),
    })
}

/// The strings and delimiters of some rows.
struct Rows<'a> {
    strings: &'a ArrayRef,
    delimiters: &'a ArrayRef,
}

impl<'a> Rows<'a> {
    fn of(arguments: &'a [ArrayRef]) -> Self {
        Self {
            strings: &arguments[0],
            delimiters: &arguments[1],
        }
    }

    /// Takes a row in.
    fn join<T: Joinable>(&self, joined: &mut Option<T::Owned>, row: usize) {
        if self.strings.is_null(row) {
            return;
        }
        let string = T::at(T::column(self.strings.as_ref()), row);
        match joined {
            Some(joined) => {
                if self.delimiters.is_valid(row) {
                    T::append(joined, T::at(T::column(self.delimiters.as_ref()), row));
                }
                T::append(joined, string);
            }
            first => *first = Some(T::own(string)),
        }
    }
}

impl<T: Joinable> Accumulator for StringAgg<T> {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        _: &EvalContext,
    ) -> Result<()> {
        self.strings
            .resize_with(group_count.max(self.strings.len()), || None);
        let rows = Rows::of(arguments);
        for (row, group) in groups.iter().enumerate() {
            rows.join::<T>(&mut self.strings[*group as usize], row);
        }
        Ok(())
    }

    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        let rows = Rows::of(arguments);
        let mut results: Vec<Option<T::Owned>> = Vec::with_capacity(frames.len());
        let step = |joined: &mut _, row| {
            rows.join::<T>(joined, row);
            Ok(())
        };
        grow(frames, context, step, |joined, context| {
            let bytes = joined.as_ref().map_or(0, T::length);
            (context.reserve)(2 * bytes + size_of::<Option<T::Owned>>())?;
            results.push(joined);
            Ok(())
        })?;
        collect::<T, _>(&results, |string| Ok(string.clone()))
    }

    fn finish(&mut self, group_count: usize) -> Result<ArrayRef> {
        self.strings
            .resize_with(group_count.max(self.strings.len()), || None);
        collect::<T, _>(&self.strings[..group_count], |string| Ok(string.clone()))
    }

    fn bytes(&self) -> usize {
        let heap: usize = self.strings.iter().flatten().map(T::length).sum();
        self.strings.capacity() * size_of::<Option<T::Owned>>() + heap
    }
}

pub(super) static AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "string_agg",
        arguments: &[DataType::Text, DataType::Text],
        returns: DataType::Text,
        accumulator: MakeAccumulator::Typed(joining::<native::Text>),
        order: RowOrder::Matters,
        doc: "The texts, joined with a delimiter.",
    },
    Aggregate {
        name: "string_agg",
        arguments: &[DataType::Bytea, DataType::Bytea],
        returns: DataType::Bytea,
        accumulator: MakeAccumulator::Typed(joining::<native::Bytea>),
        order: RowOrder::Matters,
        doc: "The byte strings, joined with a delimiter.",
    },
];
