//! The steps of PostgreSQL's aggregates of floats, as functions: a state is an array of sums.
//!
//! ```text
//!  float8_accum        {N, Sx, Sxx}                    with another value, or of two states together
//!  float8_regr_accum   {N, Sx, Sxx, Sy, Syy, Sxy}      the same of pairs
//! ```
//!
//! Sums of squares are those of the distances from the mean, after Youngs and Cramer: nothing is lost where the
//! values are large and near each other.

use super::{array_at, array_of, builder_of, push};
use crate::error::{Error, Result, state};
use crate::function::kernel::function;
use crate::function::native::out_of_range;
use crate::function::{GenericCall, Overload, Pattern, Work};
use remora_storage::{DataType, Value, ValueRef};

const DOUBLE: Pattern = Pattern::Is(DataType::Double);
const STATE: Pattern = Pattern::Is(array_of(DataType::Double));

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "float8_accum"(STATE, DOUBLE) -> STATE,
        "The state of an average with another value.", accumulate),
    function!(strict generic "float8_combine"(STATE, STATE) -> STATE, "Two states of an average together.",
        combine),
    function!(strict generic "float8_regr_accum"(STATE, DOUBLE, DOUBLE) -> STATE,
        "The state of a regression with another pair, y before x.", accumulate_pair),
    function!(strict generic "float8_regr_combine"(STATE, STATE) -> STATE,
        "Two states of a regression together.", combine_pairs),
];

fn state_at<const N: usize>(call: &GenericCall<'_>, at: usize, name: &str) -> Result<[f64; N]> {
    let number = |value: ValueRef<'_>| match value {
        ValueRef::Double(value) => Some(value),
        _ => None,
    };
    let array = array_at(call.values, at);
    let sums: Option<Vec<f64>> = array.iter().map(number).collect();
    sums.and_then(|sums| sums.try_into().ok()).ok_or_else(|| {
        let message = format!("{name}: expected {N}-element float8 array");
        Error::new(state::INVALID_PARAMETER_VALUE, message)
    })
}

fn number_at(call: &GenericCall<'_>, at: usize) -> f64 {
    match call.values[at] {
        ValueRef::Double(value) => value,
        _ => 0.0,
    }
}

fn given<const N: usize>(call: &GenericCall<'_>, sums: [f64; N]) -> Result<Value> {
    let mut builder = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for sum in sums {
        push(&mut builder, ValueRef::Double(sum), &work)?;
    }
    Ok(builder.finish_list())
}

/// A sum that is infinite though nothing in it was is an overflow.
fn check(sums: &[f64], is_finite: bool) -> Result<()> {
    if sums.iter().all(|sum| sum.is_finite()) {
        return Ok(());
    }
    if is_finite && sums.iter().any(|sum| sum.is_infinite()) {
        return Err(out_of_range("double precision"));
    }
    Ok(())
}

fn accumulate(call: &GenericCall<'_>) -> Result<Value> {
    let [n, x, xx] = state_at::<3>(call, 0, "float8_accum")?;
    let value = number_at(call, 1);
    let (count, sum) = (n + 1.0, x + value);
    let squares = match n > 0.0 {
        true => {
            let part = value * count - sum;
            xx + part * part / (count * n)
        }
        false if value.is_finite() => xx,
        false => f64::NAN,
    };
    let sums = [count, sum, squares];
    check(&sums, x.is_finite() && value.is_finite())?;
    given(call, sums)
}

fn combine(call: &GenericCall<'_>) -> Result<Value> {
    let one @ [n, x, xx] = state_at::<3>(call, 0, "float8_combine")?;
    let two @ [m, y, yy] = state_at::<3>(call, 1, "float8_combine")?;
    if n == 0.0 || m == 0.0 {
        return given(call, if n == 0.0 { two } else { one });
    }
    let apart = x / n - y / m;
    let sums = [n + m, x + y, xx + yy + n * m * apart * apart / (n + m)];
    check(&sums, x.is_finite() && y.is_finite())?;
    given(call, sums)
}

fn accumulate_pair(call: &GenericCall<'_>) -> Result<Value> {
    let [n, sx, sxx, sy, syy, sxy] = state_at::<6>(call, 0, "float8_regr_accum")?;
    let (y, x) = (number_at(call, 1), number_at(call, 2));
    let (count, all_x, all_y) = (n + 1.0, sx + x, sy + y);
    let sums = match n > 0.0 {
        true => {
            let (part_x, part_y) = (x * count - all_x, y * count - all_y);
            let scale = 1.0 / (count * n);
            [
                count,
                all_x,
                sxx + part_x * part_x * scale,
                all_y,
                syy + part_y * part_y * scale,
                sxy + part_x * part_y * scale,
            ]
        }
        false => {
            let or_nan = |sum: f64, of: f64| if of.is_finite() { sum } else { f64::NAN };
            let both = or_nan(or_nan(sxy, x), y);
            [count, all_x, or_nan(sxx, x), all_y, or_nan(syy, y), both]
        }
    };
    let is_finite = [sx, sy, x, y].iter().all(|part| part.is_finite());
    check(&sums, is_finite)?;
    given(call, sums)
}

fn combine_pairs(call: &GenericCall<'_>) -> Result<Value> {
    let one @ [n, sx, sxx, sy, syy, sxy] = state_at::<6>(call, 0, "float8_regr_combine")?;
    let two @ [m, tx, txx, ty, tyy, txy] = state_at::<6>(call, 1, "float8_regr_combine")?;
    if n == 0.0 || m == 0.0 {
        return given(call, if n == 0.0 { two } else { one });
    }
    let (apart_x, apart_y) = (sx / n - tx / m, sy / n - ty / m);
    let weight = n * m / (n + m);
    let sums = [
        n + m,
        sx + tx,
        sxx + txx + weight * apart_x * apart_x,
        sy + ty,
        syy + tyy + weight * apart_y * apart_y,
        sxy + txy + weight * apart_x * apart_y,
    ];
    let is_finite = [sx, tx, sy, ty].iter().all(|part| part.is_finite());
    check(&sums, is_finite)?;
    given(call, sums)
}
