//! Snowflake ids: `snowflake_id()` and the moment of one.
//!
//! A BIGINT of milliseconds, node and sequence (`remora_storage::time::Snowflakes`). The array form takes the ids of all
//! rows of a batch at once: one compare-exchange and one look at the clock.

use crate::error::Result;
use crate::function::Volatility::{Stable, Volatile};
use crate::function::calendar;
use crate::function::kernel::function;
use crate::function::native::{BigInt, SqlType};
use crate::function::{EvalContext, Kernel, Needs, Operand, Overload};
use arrow_array::{ArrayRef, Int64Array};
use remora_storage::time::{DatabaseTime, Tick};
use remora_storage::{DataType, Value, ValueRef};
use std::sync::Arc;

pub(super) static FUNCTIONS: &[Overload] = &[
    Overload {
        name: "snowflake_id",
        arguments: &[],
        variadic: false,
        returns: DataType::BigInt,
        fields: &[],
        volatility: Volatile,
        strict: true,
        needs: Needs::NOTHING,
        kernel: Kernel::Typed {
            scalar: |_, context| {
                let (time, tick) = take(context, 1)?;
                id(time, tick).map(Value::BigInt)
            },
            vector: Some(ids),
        },
        doc: "A new id: milliseconds since snowflake_epoch, node_id, and a number within the millisecond.",
    },
    function!(strict row "snowflake_timestamp"(BigInt) -> TimestampTz,
        "The millisecond of a snowflake id, by snowflake_epoch.", moment)
    .volatility(Stable),
];

/// The ids of so many rows, in their order.
fn ids(_: &[Operand], rows: usize, context: &EvalContext) -> Result<ArrayRef> {
    let (time, first) = take(context, rows)?;
    let ids = (0..rows).map(|row| id(time, first.after(row)));
    let ids = ids.collect::<Result<Vec<i64>>>()?;
    Ok(Arc::new(Int64Array::from(ids)))
}

/// Takes so many ticks, and returns the first.
///
/// # Errors
/// 57014 and its like where the statement is interrupted while it waits for them.
fn take(context: &EvalContext, count: usize) -> Result<(&DatabaseTime, Tick)> {
    let time = context.clock.time()?;
    let first = super::ticks(context, || time.take_ticks(count))?;
    Ok((time, first))
}

fn id(time: &DatabaseTime, tick: Tick) -> Result<i64> {
    time.snowflakes().id(tick).ok_or_else(|| {
        sql_error!(
            NUMERIC_VALUE_OUT_OF_RANGE,
            "the present time is out of the range of snowflake ids"
        )
        .with_detail("There are ids for 69 years from the setting \"snowflake_epoch\" on.")
    })
}

fn moment(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let id = BigInt::of(arguments[0]);
    let millis = context.clock.time()?.snowflakes().millis_of(id);
    let micros = millis.checked_mul(1000);
    let micros = micros.ok_or_else(calendar::timestamp_out_of_range)?;
    Ok(Value::TimestampTz(micros))
}
