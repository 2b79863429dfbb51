//! `min` and `max` of every type that PostgreSQL orders and has them for.

use super::state::{ColumnFold, Fold, folding, group_states};
use super::{Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::comparison::Compare;
use crate::function::native::{self, SqlType};
use crate::function::{EvalContext, Generic, Pattern, Work};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use remora_storage::transaction::VectorColumn;
use remora_storage::value::{PackedType, value_at};
use remora_storage::{DataType, Value, ValueRef};
use std::cmp::Ordering;
use std::marker::PhantomData;

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

/// The least value, or with `MAX` the greatest.
struct Extreme<T, const MAX: bool>(PhantomData<T>);

impl<T: Keep + Send, const MAX: bool> ColumnFold for Extreme<T, MAX> {
    type Input = T;
    type Output = T;
    type State = Option<T::Kept>;

    fn step(&self, state: &mut Self::State, value: T::Ref<'_>) -> Result<()> {
        let is_better = match state.as_ref().map(T::view) {
            Some(best) if MAX => T::less(best, value),
            Some(best) => T::less(value, best),
            None => true,
        };
        if is_better {
            *state = Some(T::keep(value));
        }
        Ok(())
    }
    fn merge(&self, state: &mut Self::State, later: &Self::State) -> Result<()> {
        match later {
            Some(kept) => self.step(state, T::view(kept)),
            None => Ok(()),
        }
    }
    fn fold(&self, state: &mut Self::State, column: VectorColumn<'_>) -> Result<()> {
        match column.extremes() {
            Some((least, greatest)) => self.step(state, T::of(if MAX { greatest } else { least })),
            None => column.each(|value| self.step(state, T::of(value))),
        }
    }
    fn result(&self, state: &Self::State) -> Result<Option<T::Owned>> {
        Ok(state.as_ref().map(T::give))
    }
    fn heap(&self, state: &Self::State) -> usize {
        state.as_ref().map_or(0, T::heap)
    }
}

macro_rules! table {
    ($($name:ident),*) => {
        &[$(
            Aggregate {
                name: "min",
                arguments: &[native::$name::TYPE],
                returns: native::$name::TYPE,
                accumulator: MakeAccumulator::Typed(|| folding(Extreme::<native::$name, false>(PhantomData))),
                order: RowOrder::Any,
                doc: "The least value.",
            },
            Aggregate {
                name: "max",
                arguments: &[native::$name::TYPE],
                returns: native::$name::TYPE,
                accumulator: MakeAccumulator::Typed(|| folding(Extreme::<native::$name, true>(PhantomData))),
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
                |types| group_states(PackedExtreme {
                    data_type: types.returns,
                    wanted: $wanted,
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

/// The least or greatest packed value.
struct PackedExtreme {
    data_type: DataType,
    wanted: Ordering,
}

impl PackedExtreme {
    fn add(&self, best: &mut Value, value: ValueRef<'_>) {
        if best.is_null() || value.compare(best.as_ref()) == Some(self.wanted) {
            *best = value.to_owned();
        }
    }
}

impl Fold for PackedExtreme {
    type State = Value;
    type Columns<'a> = &'a ArrayRef;

    fn returns(&self) -> DataType {
        self.data_type
    }

    fn columns<'a>(
        &self,
        arguments: &'a [ArrayRef],
        _: &EvalContext,
    ) -> (&'a ArrayRef, Option<NullBuffer>) {
        (&arguments[0], arguments[0].nulls().cloned())
    }

    fn step(&self, state: &mut Value, column: &&ArrayRef, row: usize) -> Result<()> {
        self.add(state, value_at(column.as_ref(), self.data_type, row));
        Ok(())
    }

    fn merge(&self, state: &mut Value, later: &Value) -> Result<()> {
        if !later.is_null() {
            self.add(state, later.as_ref());
        }
        Ok(())
    }

    fn value(&self, state: &Value, _: &Work<'_>) -> Result<Value> {
        Ok(state.clone())
    }

    fn heap(&self, state: &Value) -> usize {
        state.as_ref().bytes().map_or(0, <[u8]>::len)
    }
}
