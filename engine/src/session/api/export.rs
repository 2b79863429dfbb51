//! Results as Arrow record batches, for programs that go on with them.
//!
//! Types are those that the engine itself uses, but for these:
//! - bare NUMERIC, whose values have a scale each, becomes text (Utf8View), which loses nothing;
//!   cast to `NUMERIC(p,s)` in SQL to get a `Decimal128(p, s)`;
//! - arrays become text (Utf8View), as they are shown;
//! - NaN in a `NUMERIC(p,s)` is an error, because a `Decimal128` has none;
//! - an INTERVAL whose time beside months and days is longer than 292 years is an error, as nanoseconds do not count
//!   so far.
//!
//! A UUID column is named so in its field's metadata (`arrow.uuid`).

use crate::error::{Error, Result, state};
use crate::function::text;
use crate::plan::Field;
use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, IntervalMonthDayNano, IntervalMonthDayNanoType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType as ArrowType, Field as ArrowField, Schema, SchemaRef};
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// The Arrow schema of columns.
pub(in crate::session) fn schema(columns: &[Field]) -> SchemaRef {
    let field = |column: &Field| {
        let arrow = match column.data_type {
            DataType::Numeric(None) | DataType::Packed(_) => ArrowType::Utf8View,
            other => other.arrow(),
        };
        let field = ArrowField::new(&column.name, arrow, true);
        if column.data_type != DataType::Uuid {
            return field;
        }
        let extension = ("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned());
        field.with_metadata(HashMap::from([extension]))
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// An engine's batch as it is handed out.
pub(in crate::session) fn batch(
    batch: &RecordBatch,
    columns: &[Field],
    to: &SchemaRef,
) -> Result<RecordBatch> {
    let arrays = batch.columns().iter().zip(columns);
    let arrays = arrays.map(|(array, column)| match column.data_type {
        DataType::Numeric(None) | DataType::Packed(_) => Ok(as_text(array, column.data_type)),
        DataType::Numeric(Some(_)) => refuse_nan(array, column),
        DataType::Interval => in_nanoseconds(array, column),
        _ => Ok(Arc::clone(array)),
    });
    record_batch(to, arrays.collect::<Result<_>>()?, batch.num_rows())
}

/// Rows that never were a batch as one.
pub(in crate::session) fn rows(
    rows: &[Vec<Value>],
    columns: &[Field],
    to: &SchemaRef,
) -> Result<RecordBatch> {
    let array = |(position, column): (usize, &Field)| {
        let mut builder = ColumnBuilder::new(column.data_type, rows.len());
        for row in rows {
            builder.push(row[position].as_ref());
        }
        builder.finish()
    };
    let arrays = columns.iter().enumerate().map(array).collect();
    let plain = Arc::new(Schema::new(
        columns
            .iter()
            .map(|c| ArrowField::new(&c.name, c.data_type.arrow(), true))
            .collect::<Vec<_>>(),
    ));
    batch(&record_batch(&plain, arrays, rows.len())?, columns, to)
}

/// A batch that may have no columns.
fn record_batch(schema: &SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
        .map_err(|error| Error::new(state::INTERNAL_ERROR, error.to_string()))
}

fn as_text(array: &ArrayRef, data_type: DataType) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(array.len());
    for row in 0..array.len() {
        let value = value_at(array.as_ref(), data_type, row);
        builder.append_option(text::format(value, data_type));
    }
    Arc::new(builder.finish())
}

/// Intervals with nanoseconds, as Arrow has them.
fn in_nanoseconds(array: &ArrayRef, column: &Field) -> Result<ArrayRef> {
    let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
    let converted = intervals.try_unary::<_, IntervalMonthDayNanoType, _>(|interval| {
        let nanoseconds = interval.nanoseconds.checked_mul(1000);
        let nanoseconds = nanoseconds.ok_or_else(|| too_long(column))?;
        Ok(IntervalMonthDayNano {
            nanoseconds,
            ..interval
        })
    });
    converted.map(|array| Arc::new(array) as ArrayRef)
}

fn too_long(column: &Field) -> Error {
    let message = format!(
        "column \"{}\" holds a time of more than 292 years, which Arrow's intervals do not hold",
        column.name
    );
    Error::new(state::DATETIME_FIELD_OVERFLOW, message).with_hint("Cast the column to TEXT.")
}

fn refuse_nan(array: &ArrayRef, column: &Field) -> Result<ArrayRef> {
    let decimals = array.as_primitive::<Decimal128Type>();
    // What `Numeric::to_fixed` writes for NaN.
    if decimals
        .iter()
        .flatten()
        .any(|mantissa| mantissa == i128::MAX)
    {
        return Err(sql_error!(
            NUMERIC_VALUE_OUT_OF_RANGE,
            "column \"{}\" holds NaN, which Arrow's decimals do not have",
            column.name
        )
        .with_hint("Cast the column to TEXT or to NUMERIC without precision."));
    }
    Ok(Arc::clone(array))
}
