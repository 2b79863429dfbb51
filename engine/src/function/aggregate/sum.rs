//! `sum` and `avg`, with PostgreSQL's result types: wider than the argument, so that the sum of a
//! table's column does not overflow where a row's does not.

use super::state::{Fold, folding};
use super::{Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::native::{self, SqlType};
use crate::function::{arithmetic, decimal};
use remora_storage::transaction::VectorColumn;
use remora_storage::{Interval, Numeric};

/// A sum and the number of its values.
#[derive(Clone, Copy, Default)]
pub(super) struct Total<T> {
    sum: T,
    count: i64,
}

fn average(sum: Numeric, count: i64) -> Result<Option<Numeric>> {
    (count > 0)
        .then(|| decimal::divide(sum, Numeric::from(count)))
        .transpose()
}

fn whole(sum: i128) -> Result<Numeric> {
    Numeric::new(sum, 0).ok_or_else(decimal::overflow)
}

macro_rules! integer_folds {
    ($sum:ident, $avg:ident, $input:ident, $output:ident, $result:expr) => {
        struct $sum;
        impl Fold for $sum {
            type Input = native::$input;
            type Output = native::$output;
            // 2^64 rows of 64-bit values fit: no step can overflow.
            type State = Total<i128>;

            fn step(
                state: &mut Total<i128>,
                value: <native::$input as native::SqlType>::Ref<'_>,
            ) -> Result<()> {
                state.sum += i128::from(value);
                state.count += 1;
                Ok(())
            }
            fn merge(state: &mut Total<i128>, later: &Total<i128>) -> Result<()> {
                state.sum += later.sum;
                state.count += later.count;
                Ok(())
            }
            fn fold(state: &mut Total<i128>, column: VectorColumn<'_>) -> Result<()> {
                let Some(part) = column.sum_i64() else {
                    return column.each(|value| Self::step(state, Self::Input::of(value)));
                };
                state.sum += part.sum;
                state.count += part.count as i64;
                Ok(())
            }
            fn result(
                state: &Total<i128>,
            ) -> Result<Option<<native::$output as native::SqlType>::Owned>> {
                (state.count > 0).then(|| $result(state.sum)).transpose()
            }
        }

        struct $avg;
        impl Fold for $avg {
            type Input = native::$input;
            type Output = native::Numeric;
            type State = Total<i128>;

            fn step(
                state: &mut Total<i128>,
                value: <native::$input as native::SqlType>::Ref<'_>,
            ) -> Result<()> {
                $sum::step(state, value)
            }
            fn merge(state: &mut Total<i128>, later: &Total<i128>) -> Result<()> {
                $sum::merge(state, later)
            }
            fn fold(state: &mut Total<i128>, column: VectorColumn<'_>) -> Result<()> {
                $sum::fold(state, column)
            }
            fn result(state: &Total<i128>) -> Result<Option<Numeric>> {
                average(whole(state.sum)?, state.count)
            }
        }
    };
}

fn bigint(sum: i128) -> Result<i64> {
    i64::try_from(sum).map_err(|_| arithmetic::out_of_range("bigint"))
}

integer_folds!(SumSmallInt, AvgSmallInt, SmallInt, BigInt, bigint);
integer_folds!(SumInteger, AvgInteger, Integer, BigInt, bigint);
integer_folds!(SumBigInt, AvgBigInt, BigInt, Numeric, whole);

macro_rules! checked_folds {
    ($sum:ident, $avg:ident, $input:ident, $average:ident, $native:ty, $widened:ty, $add:expr, $part:expr, $divide:expr) => {
        struct $sum;
        impl Fold for $sum {
            type Input = native::$input;
            type Output = native::$input;
            type State = Option<$native>;

            fn step(state: &mut Option<$native>, value: $native) -> Result<()> {
                // The first value is the sum itself, with its own scale.
                *state = Some(match *state {
                    Some(sum) => $add(sum, value)?,
                    None => value,
                });
                Ok(())
            }
            fn merge(state: &mut Option<$native>, later: &Option<$native>) -> Result<()> {
                later.map_or(Ok(()), |value| Self::step(state, value))
            }
            fn fold(state: &mut Option<$native>, column: VectorColumn<'_>) -> Result<()> {
                match $part(&column) {
                    Some((_, 0)) => Ok(()),
                    Some((part, _)) => Self::step(state, part),
                    None => column.each(|value| Self::step(state, Self::Input::of(value))),
                }
            }
            fn result(state: &Option<$native>) -> Result<Option<$native>> {
                Ok(*state)
            }
        }

        struct $avg;
        impl Fold for $avg {
            type Input = native::$input;
            type Output = native::$average;
            type State = (Option<$widened>, i64);

            fn step(state: &mut Self::State, value: $native) -> Result<()> {
                let value = <$widened>::from(value);
                state.0 = Some(match state.0 {
                    Some(sum) => $add(sum, value)?,
                    None => value,
                });
                state.1 += 1;
                Ok(())
            }
            fn merge(state: &mut Self::State, later: &Self::State) -> Result<()> {
                state.0 = match (state.0, later.0) {
                    (Some(sum), Some(later)) => Some($add(sum, later)?),
                    (sum, later) => sum.or(later),
                };
                state.1 += later.1;
                Ok(())
            }
            fn fold(state: &mut Self::State, column: VectorColumn<'_>) -> Result<()> {
                match $part(&column) {
                    Some((_, 0)) => Ok(()),
                    Some((part, count)) => {
                        Self::step(state, part)?;
                        state.1 += count - 1;
                        Ok(())
                    }
                    None => column.each(|value| Self::step(state, Self::Input::of(value))),
                }
            }
            fn result(state: &Self::State) -> Result<Option<$widened>> {
                state.0.map(|sum| $divide(sum, state.1)).transpose()
            }
        }
    };
}

macro_rules! numeric_folds {
    ($($fold:ident $result:ident),*) => {$(
        struct $fold;
        impl Fold for $fold {
            type Input = native::Numeric;
            type Output = native::Numeric;
            type State = decimal::Sum;

            fn step(state: &mut decimal::Sum, value: Numeric) -> Result<()> {
                state.add(value, 1)
            }
            fn merge(state: &mut decimal::Sum, later: &decimal::Sum) -> Result<()> {
                state.merge(later)
            }
            fn fold(state: &mut decimal::Sum, column: VectorColumn<'_>) -> Result<()> {
                match numeric_part(&column) {
                    Some((part, count)) => state.add(part, count),
                    None => column.each(|value| Self::step(state, Self::Input::of(value))),
                }
            }
            fn result(state: &decimal::Sum) -> Result<Option<Numeric>> {
                state.$result()
            }
        }
    )*};
}

numeric_folds!(SumNumeric value, AvgNumeric mean);
checked_folds!(
    SumReal,
    AvgReal,
    Real,
    Double,
    f32,
    f64,
    arithmetic::float::add,
    |_: &VectorColumn<'_>| None,
    |sum: f64, count: i64| Ok(sum / count as f64)
);
checked_folds!(
    SumDouble,
    AvgDouble,
    Double,
    Double,
    f64,
    f64,
    arithmetic::float::add,
    double_part,
    |sum: f64, count: i64| Ok(sum / count as f64)
);
checked_folds!(
    SumInterval,
    AvgInterval,
    Interval,
    Interval,
    Interval,
    Interval,
    crate::function::interval::add,
    |_: &VectorColumn<'_>| None,
    |sum, count: i64| crate::function::interval::divide(sum, count as f64)
);

/// The sum of a vector and how many values it is of; `None` where they have to be added one by one.
fn numeric_part(column: &VectorColumn<'_>) -> Option<(Numeric, i64)> {
    let part = column.sum_i64()?;
    Some((Numeric::new(part.sum, part.scale)?, part.count as i64))
}

/// The same. What is not finite may be so because the order of adding matters.
fn double_part(column: &VectorColumn<'_>) -> Option<(f64, i64)> {
    let part = column.sum_f64().filter(|part| part.sum.is_finite())?;
    Some((part.sum, part.count as i64))
}

macro_rules! table {
    ($($name:literal $fold:ident $input:ident $output:ident $doc:literal),* $(,)?) => {
        &[$(Aggregate {
            name: $name,
            arguments: &[<native::$input as native::SqlType>::TYPE],
            returns: <native::$output as native::SqlType>::TYPE,
            accumulator: MakeAccumulator::Typed(folding::<$fold>),
            order: RowOrder::Any,
            doc: $doc,
        }),*]
    };
}

pub(super) static AGGREGATES: &[Aggregate] = table!(
    "sum" SumSmallInt SmallInt BigInt "The sum.",
    "sum" SumInteger Integer BigInt "The sum.",
    "sum" SumBigInt BigInt Numeric "The sum.",
    "sum" SumNumeric Numeric Numeric "The sum.",
    "sum" SumReal Real Real "The sum.",
    "sum" SumDouble Double Double "The sum.",
    "sum" SumInterval Interval Interval "The sum.",
    "avg" AvgSmallInt SmallInt Numeric "The mean.",
    "avg" AvgInteger Integer Numeric "The mean.",
    "avg" AvgBigInt BigInt Numeric "The mean.",
    "avg" AvgNumeric Numeric Numeric "The mean.",
    "avg" AvgReal Real Double "The mean.",
    "avg" AvgDouble Double Double "The mean.",
    "avg" AvgInterval Interval Interval "The mean.",
);
