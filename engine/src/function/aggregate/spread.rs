//! `variance` and `stddev`, of a sample and of a population.
//!
//! Exact types keep the sum and the sum of squares as NUMERIC and finish with one division. Floats
//! follow Youngs and Cramer, as PostgreSQL does: the sum of squared distances is updated value by
//! value, so that nothing cancels out; so are two such sums when they are merged (Chan, Golub, LeVeque).

use super::state::{ColumnFold, folding};
use super::{Aggregate, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::arithmetic::float;
use crate::function::decimal;
use crate::function::native::{self, SqlType};
use remora_storage::Numeric;
use std::marker::PhantomData;

/// Which of the four is asked for.
#[derive(Clone, Copy)]
struct Spread {
    is_sample: bool,
    is_root: bool,
}

const fn spread(is_sample: bool, is_root: bool) -> Spread {
    Spread { is_sample, is_root }
}

const VAR_SAMP: Spread = spread(true, false);
const VAR_POP: Spread = spread(false, false);
const STDDEV_SAMP: Spread = spread(true, true);
const STDDEV_POP: Spread = spread(false, true);

/// Count, sum, sum of squares.
#[derive(Clone, Copy)]
struct Moments {
    count: i64,
    sum: Numeric,
    squares: Numeric,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            count: 0,
            sum: Numeric::ZERO,
            squares: Numeric::ZERO,
        }
    }
}

/// An exact type's values as NUMERIC.
trait Exact: SqlType {
    fn numeric(value: Self::Ref<'_>) -> Numeric;
}

impl Exact for native::SmallInt {
    fn numeric(value: i16) -> Numeric {
        Numeric::from(i64::from(value))
    }
}
impl Exact for native::Integer {
    fn numeric(value: i32) -> Numeric {
        Numeric::from(i64::from(value))
    }
}
impl Exact for native::BigInt {
    fn numeric(value: i64) -> Numeric {
        Numeric::from(value)
    }
}
impl Exact for native::Numeric {
    fn numeric(value: Numeric) -> Numeric {
        value
    }
}

struct ExactSpread<T>(Spread, PhantomData<T>);

impl<T: Exact + Send> ColumnFold for ExactSpread<T> {
    type Input = T;
    type Output = native::Numeric;
    type State = Moments;

    fn step(&self, state: &mut Moments, value: T::Ref<'_>) -> Result<()> {
        let value = T::numeric(value);
        state.count += 1;
        state.sum = decimal::add(state.sum, value)?;
        state.squares = decimal::add(state.squares, decimal::multiply(value, value)?)?;
        Ok(())
    }

    fn merge(&self, state: &mut Moments, later: &Moments) -> Result<()> {
        state.count += later.count;
        state.sum = decimal::add(state.sum, later.sum)?;
        state.squares = decimal::add(state.squares, later.squares)?;
        Ok(())
    }

    fn result(&self, state: &Moments) -> Result<Option<Numeric>> {
        let n = state.count;
        if n == 0 || (n == 1 && self.0.is_sample) {
            return Ok(None);
        }
        // (n * sum of squares - sum^2) / (n * (n - 1)), or / n^2 for a population.
        let count = Numeric::from(n);
        let top = decimal::subtract(
            decimal::multiply(count, state.squares)?,
            decimal::multiply(state.sum, state.sum)?,
        )?;
        if top.is_finite() && decimal::signum(top) <= 0 {
            return Ok(Some(Numeric::ZERO));
        }
        let bottom = decimal::multiply(
            count,
            Numeric::from(if self.0.is_sample { n - 1 } else { n }),
        )?;
        let variance = decimal::divide(top, bottom)?;
        Ok(Some(if self.0.is_root && variance.is_finite() {
            decimal::sqrt_at(variance, variance.scale())?
        } else {
            variance
        }))
    }
}

/// Count, sum, sum of squared distances from the mean.
#[derive(Clone, Copy, Default)]
struct Distances {
    count: f64,
    sum: f64,
    squares: f64,
}

struct FloatSpread<T>(Spread, PhantomData<T>);

impl<T> ColumnFold for FloatSpread<T>
where
    T: SqlType + Send,
    for<'a> T::Ref<'a>: Into<f64>,
{
    type Input = T;
    type Output = native::Double;
    type State = Distances;

    fn step(&self, state: &mut Distances, value: T::Ref<'_>) -> Result<()> {
        let value: f64 = value.into();
        let finite = state.sum.is_finite() && value.is_finite();
        state.count += 1.0;
        state.sum += value;
        if state.count > 1.0 {
            let distance = value * state.count - state.sum;
            state.squares += distance * distance / (state.count * (state.count - 1.0));
        } else if !value.is_finite() {
            state.squares = f64::NAN;
        }
        if state.sum.is_infinite() || state.squares.is_infinite() {
            if finite {
                return Err(float::overflow());
            }
            state.squares = f64::NAN;
        }
        Ok(())
    }

    fn merge(&self, state: &mut Distances, later: &Distances) -> Result<()> {
        if later.count == 0.0 {
            return Ok(());
        }
        if state.count == 0.0 {
            *state = *later;
            return Ok(());
        }
        let finite = state.sum.is_finite() && later.sum.is_finite();
        let count = state.count + later.count;
        let apart = state.sum / state.count - later.sum / later.count;
        state.squares += later.squares + state.count * later.count * apart * apart / count;
        state.sum += later.sum;
        state.count = count;
        if finite && (state.sum.is_infinite() || state.squares.is_infinite()) {
            return Err(float::overflow());
        }
        Ok(())
    }

    fn result(&self, state: &Distances) -> Result<Option<f64>> {
        let n = state.count;
        if n == 0.0 || (n == 1.0 && self.0.is_sample) {
            return Ok(None);
        }
        let variance = state.squares / if self.0.is_sample { n - 1.0 } else { n };
        Ok(Some(if self.0.is_root {
            variance.sqrt()
        } else {
            variance
        }))
    }
}

macro_rules! table {
    ($($name:literal $spread:ident $doc:literal),* $(,)?) => {
        &[$(
            table!(entry $name, $doc, SmallInt, Numeric, ExactSpread, $spread),
            table!(entry $name, $doc, Integer, Numeric, ExactSpread, $spread),
            table!(entry $name, $doc, BigInt, Numeric, ExactSpread, $spread),
            table!(entry $name, $doc, Numeric, Numeric, ExactSpread, $spread),
            table!(entry $name, $doc, Real, Double, FloatSpread, $spread),
            table!(entry $name, $doc, Double, Double, FloatSpread, $spread),
        )*]
    };
    (entry $name:literal, $doc:literal, $input:ident, $output:ident, $fold:ident, $spread:ident) => {
        Aggregate {
            name: $name,
            arguments: &[native::$input::TYPE],
            returns: native::$output::TYPE,
            accumulator: MakeAccumulator::Typed(|| {
                folding($fold::<native::$input>($spread, PhantomData))
            }),
            order: RowOrder::Any,
            doc: $doc,
        }
    };
}

pub(super) static AGGREGATES: &[Aggregate] = table!(
    "variance" VAR_SAMP "Variance of the sample.",
    "var_samp" VAR_SAMP "Variance of the sample.",
    "var_pop" VAR_POP "Variance of the population.",
    "stddev" STDDEV_SAMP "Standard deviation of the sample.",
    "stddev_samp" STDDEV_SAMP "Standard deviation of the sample.",
    "stddev_pop" STDDEV_POP "Standard deviation of the population.",
);
