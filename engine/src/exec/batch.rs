//! Batch: some rows as columns, what flows through pipelines.
//!
//! A batch may have no columns and still have rows (`count(*)` reads none), so the number of
//! rows is kept beside the arrays. Arrays are shared: selecting columns copies nothing.

use crate::error::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{ArrowError, DataType as ArrowType, SchemaRef};
use arrow_select::filter::FilterBuilder;
use std::sync::Arc;

/// Rows as columns.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// One array a column, each of `rows` values.
    pub(crate) columns: Vec<ArrayRef>,
    /// How many rows.
    pub(crate) rows: usize,
}

impl Batch {
    /// A batch of `rows` rows; every column has that length.
    pub(crate) fn new(columns: Vec<ArrayRef>, rows: usize) -> Self {
        debug_assert!(columns.iter().all(|column| column.len() == rows));
        Self { columns, rows }
    }

    /// The rows for which `keep` is true.
    pub(crate) fn filter(&self, keep: &BooleanArray) -> Result<Self> {
        let mut builder = FilterBuilder::new(keep);
        if self.columns.len() > 1 {
            builder = builder.optimize();
        }
        let predicate = builder.build();
        let columns = self
            .columns
            .iter()
            .map(|column| predicate.filter(column).map_err(internal))
            .collect::<Result<_>>()?;
        Ok(Self::new(columns, predicate.count()))
    }

    /// The same as Arrow has it, with names and types.
    pub(crate) fn record(self, schema: &SchemaRef) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), self.columns, &options)
            .map_err(internal)
    }

    /// The rows at `indices`, in that order; a NULL index gives a row of NULLs.
    pub(crate) fn take(&self, indices: &UInt32Array) -> Result<Self> {
        let columns = self
            .columns
            .iter()
            .map(|column| arrow_select::take::take(column, indices, None).map_err(internal))
            .collect::<Result<_>>()?;
        Ok(Self::new(columns, indices.len()))
    }

    /// A stretch of the rows, without copying.
    pub(crate) fn slice(&self, offset: usize, rows: usize) -> Self {
        let columns = self.columns.iter().map(|c| c.slice(offset, rows));
        Self::new(columns.collect(), rows)
    }

    /// All rows of `batches`, which have `width` columns each.
    pub(crate) fn concat(batches: &[Self], width: usize) -> Result<Self> {
        let rows = batches.iter().map(|batch| batch.rows).sum();
        if let [one] = batches {
            return Ok(one.clone());
        }
        let column = |position: usize| {
            let parts: Vec<&dyn Array> = batches
                .iter()
                .map(|batch| batch.columns[position].as_ref())
                .collect();
            arrow_select::concat::concat(&parts).map_err(internal)
        };
        let width = if batches.is_empty() { 0 } else { width };
        Ok(Self::new(
            (0..width).map(column).collect::<Result<_>>()?,
            rows,
        ))
    }

    /// Bytes that the rows stand for. Not what the arrays' buffers measure: those may be shared
    /// with many other batches, and counting them once a batch would refuse honest queries.
    pub(crate) fn bytes(&self) -> usize {
        column_bytes(&self.columns)
    }

    /// The same rows, without pinning string buffers of which they use only a small part.
    /// For operators that keep batches.
    pub(crate) fn compact(mut self) -> Self {
        for column in &mut self.columns {
            if let Some(strings) = column.as_string_view_opt() {
                if is_sparse(strings.data_buffers(), array_bytes(column)) {
                    *column = Arc::new(strings.gc());
                }
            } else if let Some(bytes) = column.as_binary_view_opt()
                && is_sparse(bytes.data_buffers(), array_bytes(column))
            {
                *column = Arc::new(bytes.gc());
            }
        }
        self
    }
}

/// Whether the buffers hold much more than the `used` bytes.
fn is_sparse(buffers: &[arrow_buffer::Buffer], used: usize) -> bool {
    let held: usize = buffers.iter().map(arrow_buffer::Buffer::len).sum();
    held > 2 * used
}

/// Bytes that the values of columns stand for.
pub(crate) fn column_bytes(columns: &[ArrayRef]) -> usize {
    columns.iter().map(array_bytes).sum()
}

/// Bytes that an array's values stand for.
fn array_bytes(array: &ArrayRef) -> usize {
    let nulls = array.nulls().map_or(0, |_| array.len().div_ceil(8));
    // Of views, the low half of the low word is the length; longer than 12, it is stored apart. Several can show the
    // same bytes: there are no more of these than buffers hold.
    let views = |views: &[u128], buffers: &[arrow_buffer::Buffer]| {
        let apart = views.iter().map(|view| *view as u32 as usize);
        let apart: usize = apart.filter(|length| *length > 12).sum();
        16 * views.len() + apart.min(buffers.iter().map(arrow_buffer::Buffer::len).sum())
    };
    let values = match array.data_type() {
        ArrowType::Boolean => array.len().div_ceil(8),
        ArrowType::Utf8View => {
            let strings = array.as_string_view();
            views(strings.views(), strings.data_buffers())
        }
        ArrowType::BinaryView => {
            let bytes = array.as_binary_view();
            views(bytes.views(), bytes.data_buffers())
        }
        ArrowType::FixedSizeBinary(width) => array.len() * *width as usize,
        other => array.len() * other.primitive_width().unwrap_or(16),
    };
    nulls + values
}

/// A refusal by an Arrow kernel: arrays of wrong types or lengths, so a broken invariant of ours,
/// but reported rather than trusted to be impossible.
pub(crate) fn internal(error: ArrowError) -> Error {
    Error::internal(error)
}
