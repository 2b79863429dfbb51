//! `min` and `max` of every type that PostgreSQL orders and has them for.

use super::frames::{Slide, slide};
use super::state::{Fold, folding};
use super::{Accumulator, Aggregate, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::comparison::Compare;
use crate::function::native::{self, SqlType};
use crate::function::{EvalContext, Generic, Pattern};
use arrow_array::ArrayRef;
use remora_storage::transaction::VectorColumn;
use remora_storage::value::{ColumnBuilder, PackedType, value_at};
use remora_storage::{DataType, Value, ValueRef};
use std::cmp::Ordering;

/// What is kept of the best value: itself, owned.
trait Keep: Compare {
    type Kept: Clone + Send;
    fn keep(value: Self::Ref<'_>) -> Self::Kept;
    fn view(kept: &Self::Kept) -> Self::Ref<'_>;
    fn give(kept: &Self::Kept) -> Self::Owned;
    fn heap(_kept: &Self::Kept) -> usize {
        0
    }
}

macro_rules! kept_by_value {
    ($($name:ident $native:ty),*) => {
        $(impl Keep for native::$name {
            type Kept = $native;
            fn keep(value: $native) -> $native {
                value
            }
            fn view(kept: &$native) -> $native {
                *kept
            }
            fn give(kept: &$native) -> $native {
                *kept
            }
        })*
    };
}

kept_by_value!(
    SmallInt i16, Integer i32, BigInt i64, Real f32, Double f64, Numeric remora_storage::Numeric,
    Date i32, Time i64, Timestamp i64, TimestampTz i64, Interval remora_storage::Interval
);

macro_rules! kept_as_string {
    ($($name:ident),*) => {
        $(impl Keep for native::$name {
            type Kept = String;
            fn keep(value: &str) -> String {
                value.to_owned()
            }
            fn view(kept: &String) -> &str {
                kept
            }
            fn give(kept: &String) -> String {
                kept.clone()
            }
            fn heap(kept: &String) -> usize {
                kept.capacity()
            }
        })*
    };
}

kept_as_string!(Text, Char);

macro_rules! extremes {
    ($fold:ident, $side:tt, |$value:ident, $best:ident| $better:expr) => {
        struct $fold<T>(std::marker::PhantomData<T>);

        impl<T: Keep + Send> Fold for $fold<T> {
            type Input = T;
            type Output = T;
            type State = Option<T::Kept>;

            fn step(state: &mut Self::State, $value: T::Ref<'_>) -> Result<()> {
                let better = match state {
                    Some(kept) => {
                        let $best = T::view(kept);
                        $better
                    }
                    None => true,
                };
                if better {
                    *state = Some(T::keep($value));
                }
                Ok(())
            }
            fn merge(state: &mut Self::State, later: &Self::State) -> Result<()> {
                match later {
                    Some(kept) => Self::step(state, T::view(kept)),
                    None => Ok(()),
                }
            }
            fn fold(state: &mut Self::State, column: VectorColumn<'_>) -> Result<()> {
                match column.extremes() {
                    Some(extremes) => Self::step(state, T::of(extremes.$side)),
                    None => column.each(|value| Self::step(state, T::of(value))),
                }
            }
            fn result(state: &Self::State) -> Result<Option<T::Owned>> {
                Ok(state.as_ref().map(T::give))
            }
            fn heap(state: &Self::State) -> usize {
                state.as_ref().map_or(0, T::heap)
            }
        }
    };
}

extremes!(Min, 0, |value, best| T::less(value, best));
extremes!(Max, 1, |value, best| T::less(best, value));

macro_rules! table {
    ($($name:ident),*) => {
        &[$(
            Aggregate {
                name: "min",
                arguments: &[native::$name::TYPE],
                returns: native::$name::TYPE,
                accumulator: MakeAccumulator::Typed(folding::<Min<native::$name>>),
                order: RowOrder::Any,
                doc: "The least value.",
            },
            Aggregate {
                name: "max",
                arguments: &[native::$name::TYPE],
                returns: native::$name::TYPE,
                accumulator: MakeAccumulator::Typed(folding::<Max<native::$name>>),
                order: RowOrder::Any,
                doc: "The greatest value.",
            },
        )*]
    };
}

pub(super) static AGGREGATES: &[Aggregate] = table!(
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    Numeric,
    Text,
    Char,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval
);

const TIMETZ: DataType = DataType::Packed(PackedType::TimeTz);

/// Of values that only their bytes hold.
macro_rules! packed {
    ($($name:literal $pattern:expr, $wanted:expr, $doc:literal);* $(;)?) => {
        &[$(Aggregate {
            name: $name,
            arguments: &[],
            returns: DataType::Text,
            accumulator: MakeAccumulator::Generic(
                Generic {
                    arguments: &[$pattern],
                    returns: $pattern,
                },
                |types| Box::new(PackedExtreme {
                    data_type: types.returns,
                    wanted: $wanted,
                    groups: Vec::new(),
                }),
            ),
            order: RowOrder::Any,
            doc: $doc,
        }),*]
    };
}

pub(super) static PACKED: &[Aggregate] = packed!(
    "min" Pattern::Array, Ordering::Less, "The least array.";
    "max" Pattern::Array, Ordering::Greater, "The greatest array.";
    "min" Pattern::Enum, Ordering::Less, "The first value of an enumeration.";
    "max" Pattern::Enum, Ordering::Greater, "The last value of an enumeration.";
    "min" Pattern::Is(TIMETZ), Ordering::Less, "The least time.";
    "max" Pattern::Is(TIMETZ), Ordering::Greater, "The greatest time.";
);

/// The least or greatest packed value of each group.
struct PackedExtreme {
    data_type: DataType,
    wanted: Ordering,
    groups: Vec<Value>,
}

/// A column of packed values and which of them is looked for.
struct PackedColumn<'a> {
    data_type: DataType,
    wanted: Ordering,
    values: &'a ArrayRef,
}

impl PackedColumn<'_> {
    fn better(&self, best: &mut Value, value: ValueRef<'_>) {
        let is_better = !value.is_null()
            && (best.is_null() || value.compare(best.as_ref()) == Some(self.wanted));
        if is_better {
            *best = value.to_owned();
        }
    }
}

impl Slide for PackedColumn<'_> {
    type State = Value;

    fn empty(&self) -> Value {
        Value::Null
    }

    fn step(&self, state: &mut Value, row: usize) -> Result<()> {
        self.better(state, value_at(self.values.as_ref(), self.data_type, row));
        Ok(())
    }

    fn merge(&self, state: &mut Value, later: &Value) -> Result<()> {
        self.better(state, later.as_ref());
        Ok(())
    }
}

impl PackedExtreme {
    fn column<'a>(&self, values: &'a ArrayRef) -> PackedColumn<'a> {
        PackedColumn {
            data_type: self.data_type,
            wanted: self.wanted,
            values,
        }
    }

    fn array(&self, values: &[Value]) -> ArrayRef {
        let mut out = ColumnBuilder::new(self.data_type, values.len());
        values.iter().for_each(|value| out.push(value.as_ref()));
        out.finish()
    }
}

impl Accumulator for PackedExtreme {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        _: &EvalContext,
    ) -> Result<()> {
        let mut states = std::mem::take(&mut self.groups);
        states.resize(group_count.max(states.len()), Value::Null);
        let column = self.column(&arguments[0]);
        for (row, group) in groups.iter().enumerate() {
            column.step(&mut states[*group as usize], row)?;
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
        Ok(self.array(&states))
    }

    fn finish(&mut self, group_count: usize) -> Result<ArrayRef> {
        self.groups
            .resize(group_count.max(self.groups.len()), Value::Null);
        Ok(self.array(&self.groups[..group_count]))
    }

    fn bytes(&self) -> usize {
        let held = self
            .groups
            .iter()
            .filter_map(|value| value.as_ref().bytes());
        self.groups.capacity() * size_of::<Value>() + held.map(<[u8]>::len).sum::<usize>()
    }
}
