//! `min` and `max` of every type that PostgreSQL orders and has them for.

use super::state::{Fold, folding};
use super::{Aggregate, RowOrder};
use crate::error::Result;
use crate::function::comparison::Compare;
use crate::function::native::{self, SqlType};
use remora_storage::transaction::VectorColumn;

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
                accumulator: folding::<Min<native::$name>>,
                order: RowOrder::Any,
                doc: "The least value.",
            },
            Aggregate {
                name: "max",
                arguments: &[native::$name::TYPE],
                returns: native::$name::TYPE,
                accumulator: folding::<Max<native::$name>>,
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
