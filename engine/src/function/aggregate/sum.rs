//! `sum` and `avg`, with PostgreSQL's result types: wider than the argument, so that the sum of a
//! table's column does not overflow where a row's does not.

use super::state::{ColumnFold, folding};
use super::{Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::native::{self, SqlType};
use crate::function::{arithmetic, decimal};
use remora_storage::transaction::VectorColumn;
use remora_storage::{Interval, Numeric};
use std::marker::PhantomData;

/// A sum and the number of its values.
#[derive(Clone, Copy, Default)]
pub(super) struct Total {
    sum: i128,
    count: i64,
}

/// The sum or the mean of integers, and what makes the result of it.
struct Integers<T, R: SqlType> {
    result: fn(i128, i64) -> Result<R::Owned>,
    input: PhantomData<T>,
}

impl<T, R: SqlType> ColumnFold for Integers<T, R>
where
    T: for<'a> SqlType<Ref<'a>: Into<i128>> + Send,
    R: Send,
{
    type Input = T;
    type Output = R;
    // 2^64 rows of 64-bit values fit: no step can overflow.
    type State = Total;

    fn step(&self, state: &mut Total, value: T::Ref<'_>) -> Result<()> {
        state.sum += value.into();
        state.count += 1;
        Ok(())
    }
    fn merge(&self, state: &mut Total, later: &Total) -> Result<()> {
        state.sum += later.sum;
        state.count += later.count;
        Ok(())
    }
    fn fold(&self, state: &mut Total, column: VectorColumn<'_>) -> Result<()> {
        let Some(part) = column.sum_i64() else {
            return column.each(|value| self.step(state, T::of(value)));
        };
        state.sum += part.sum;
        state.count += part.count as i64;
        Ok(())
    }
    fn result(&self, state: &Total) -> Result<Option<R::Owned>> {
        (state.count > 0)
            .then(|| (self.result)(state.sum, state.count))
            .transpose()
    }
}

fn bigint(sum: i128, _: i64) -> Result<i64> {
    i64::try_from(sum).map_err(|_| native::out_of_range("bigint"))
}

fn whole(sum: i128, _: i64) -> Result<Numeric> {
    Numeric::new(sum, 0).ok_or_else(decimal::overflow)
}

fn mean(sum: i128, count: i64) -> Result<Numeric> {
    decimal::divide(whole(sum, count)?, Numeric::from(count))
}

const fn integers<T, R: SqlType>(result: fn(i128, i64) -> Result<R::Owned>) -> Integers<T, R> {
    Integers {
        result,
        input: PhantomData,
    }
}

macro_rules! checked_folds {
    ($sum:ident, $avg:ident, $input:ident, $average:ident, $native:ty, $widened:ty, $add:expr, $part:expr, $divide:expr) => {
        struct $sum;
        impl ColumnFold for $sum {
            type Input = native::$input;
            type Output = native::$input;
            type State = Option<$native>;

            fn step(&self, state: &mut Option<$native>, value: $native) -> Result<()> {
                // The first value is the sum itself, with its own scale.
                *state = Some(match *state {
                    Some(sum) => $add(sum, value)?,
                    None => value,
                });
                Ok(())
            }
            fn merge(&self, state: &mut Option<$native>, later: &Option<$native>) -> Result<()> {
                later.map_or(Ok(()), |value| self.step(state, value))
            }
            fn fold(&self, state: &mut Option<$native>, column: VectorColumn<'_>) -> Result<()> {
                match $part(&column) {
                    Some((_, 0)) => Ok(()),
                    Some((part, _)) => self.step(state, part),
                    None => column.each(|value| self.step(state, Self::Input::of(value))),
                }
            }
            fn result(&self, state: &Option<$native>) -> Result<Option<$native>> {
                Ok(*state)
            }
        }

        struct $avg;
        impl ColumnFold for $avg {
            type Input = native::$input;
            type Output = native::$average;
            type State = (Option<$widened>, i64);

            fn step(&self, state: &mut Self::State, value: $native) -> Result<()> {
                let value = <$widened>::from(value);
                state.0 = Some(match state.0 {
                    Some(sum) => $add(sum, value)?,
                    None => value,
                });
                state.1 += 1;
                Ok(())
            }
            fn merge(&self, state: &mut Self::State, later: &Self::State) -> Result<()> {
                state.0 = match (state.0, later.0) {
                    (Some(sum), Some(later)) => Some($add(sum, later)?),
                    (sum, later) => sum.or(later),
                };
                state.1 += later.1;
                Ok(())
            }
            fn fold(&self, state: &mut Self::State, column: VectorColumn<'_>) -> Result<()> {
                match $part(&column) {
                    Some((_, 0)) => Ok(()),
                    Some((part, count)) => {
                        self.step(state, part)?;
                        state.1 += count - 1;
                        Ok(())
                    }
                    None => column.each(|value| self.step(state, Self::Input::of(value))),
                }
            }
            fn result(&self, state: &Self::State) -> Result<Option<$widened>> {
                state.0.map(|sum| $divide(sum, state.1)).transpose()
            }
        }
    };
}

/// The sum or the mean of NUMERICs.
struct Numerics(fn(&decimal::Sum) -> Result<Option<Numeric>>);

impl ColumnFold for Numerics {
    type Input = native::Numeric;
    type Output = native::Numeric;
    type State = decimal::Sum;

    fn step(&self, state: &mut decimal::Sum, value: Numeric) -> Result<()> {
        state.add(value, 1)
    }
    fn merge(&self, state: &mut decimal::Sum, later: &decimal::Sum) -> Result<()> {
        state.merge(later)
    }
    fn fold(&self, state: &mut decimal::Sum, column: VectorColumn<'_>) -> Result<()> {
        match numeric_part(&column) {
            Some((part, count)) => state.add(part, count),
            None => column.each(|value| self.step(state, Self::Input::of(value))),
        }
    }
    fn result(&self, state: &decimal::Sum) -> Result<Option<Numeric>> {
        (self.0)(state)
    }
}

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
    ($($name:literal $input:ident $output:ident $fold:expr, $doc:literal;)*) => {
        &[$(Aggregate {
            name: $name,
            arguments: &[native::$input::TYPE],
            returns: native::$output::TYPE,
            accumulator: MakeAccumulator::Typed(|| folding($fold)),
            order: RowOrder::Any,
            doc: $doc,
        }),*]
    };
}

pub(super) static AGGREGATES: &[Aggregate] = table!(
    "sum" SmallInt BigInt integers::<native::SmallInt, native::BigInt>(bigint), "The sum.";
    "sum" Integer BigInt integers::<native::Integer, native::BigInt>(bigint), "The sum.";
    "sum" BigInt Numeric integers::<native::BigInt, native::Numeric>(whole), "The sum.";
    "sum" Numeric Numeric Numerics(decimal::Sum::value), "The sum.";
    "sum" Real Real SumReal, "The sum.";
    "sum" Double Double SumDouble, "The sum.";
    "sum" Interval Interval SumInterval, "The sum.";
    "avg" SmallInt Numeric integers::<native::SmallInt, native::Numeric>(mean), "The mean.";
    "avg" Integer Numeric integers::<native::Integer, native::Numeric>(mean), "The mean.";
    "avg" BigInt Numeric integers::<native::BigInt, native::Numeric>(mean), "The mean.";
    "avg" Numeric Numeric Numerics(decimal::Sum::mean), "The mean.";
    "avg" Real Double AvgReal, "The mean.";
    "avg" Double Double AvgDouble, "The mean.";
    "avg" Interval Interval AvgInterval, "The mean.";
);
