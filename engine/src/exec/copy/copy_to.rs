//! COPY TO: the rows of a query as CSV.
//!
//! A field is quoted where reading it back would otherwise give something else: it holds the
//! delimiter, a quote or a line end, equals the NULL string, or is the end mark alone in its line.

use super::super::{Cursor, ExecContext, arrow_schema};
use super::{io_error, wrong_direction};
use crate::error::Result;
use crate::function::text;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Copy, CopyDirection, CsvFormat};
use arrow_array::RecordBatch;
use remora_storage::ReadView;
use remora_storage::value::value_at;
use std::io::Write;

/// Runs a COPY into `writer`; returns the number of rows.
///
/// # Errors
/// 58030 where they cannot be written, and those of the query.
pub(crate) fn copy_to(
    plan: &Copy,
    writer: &mut dyn Write,
    view: ReadView,
    context: &ExecContext,
) -> Result<u64> {
    let CopyDirection::To(query) = &plan.direction else {
        return Err(wrong_direction());
    };
    let mut cursor = Cursor::new(query, arrow_schema(&query.schema), view, context)?;
    let mut lines = Lines::new(&plan.format, query.schema.len());
    if plan.format.header {
        let names = query.schema.iter().map(|field| Some(field.name.as_str()));
        lines.record(names);
    }
    let mut count = 0;
    while let Some(batch) = cursor.next()? {
        lines.batch(&batch, query, writer, context)?;
        count += batch.num_rows() as u64;
    }
    lines.show(writer, context)?;
    writer.flush().map_err(|error| io_error("write", &error))?;
    Ok(count)
}

/// Lines are handed on when there are this many bytes of them.
const FLUSH_BYTES: usize = 64 << 10;

/// Lines on their way out.
pub(super) struct Lines<'a> {
    format: &'a CsvFormat,
    /// Whether records have one field.
    alone: bool,
    out: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Lines of `width` fields each.
    pub(super) fn new(format: &'a CsvFormat, width: usize) -> Self {
        Self {
            format,
            alone: width == 1,
            out: Vec::new(),
        }
    }

    fn batch(
        &mut self,
        batch: &RecordBatch,
        query: &PhysicalPlan,
        writer: &mut dyn Write,
        context: &ExecContext,
    ) -> Result<()> {
        let mut field = String::new();
        for row in 0..batch.num_rows() {
            context.check()?;
            for (position, (array, column)) in batch.columns().iter().zip(&query.schema).enumerate()
            {
                if position > 0 {
                    self.out.push(self.format.delimiter);
                }
                let value = value_at(array, column.data_type, row);
                field.clear();
                text::write_in(&mut field, value, column.data_type, context.eval.style());
                self.field((!value.is_null()).then_some(&field));
            }
            self.out.push(b'\n');
            if self.out.len() >= FLUSH_BYTES {
                self.show(writer, context)?;
            }
        }
        Ok(())
    }

    /// Appends a record.
    pub(super) fn record<'f>(&mut self, fields: impl Iterator<Item = Option<&'f str>>) {
        for (position, field) in fields.enumerate() {
            if position > 0 {
                self.out.push(self.format.delimiter);
            }
            self.field(field);
        }
        self.out.push(b'\n');
    }

    /// Hands the lines on, once all numbers in them may be seen.
    fn show(&mut self, writer: &mut dyn Write, context: &ExecContext) -> Result<()> {
        if let Some(scope) = &context.eval.statement {
            scope.before_shown()?;
        }
        self.flush(writer)
    }

    fn field(&mut self, field: Option<&str>) {
        let Some(field) = field else {
            self.out.extend_from_slice(self.format.null.as_bytes());
            return;
        };
        let CsvFormat {
            delimiter,
            quote,
            escape,
            ..
        } = *self.format;
        let special = |byte: &u8| [delimiter, quote, b'\n', b'\r'].contains(byte);
        let quoted = field == self.format.null
            || self.alone && field == r"\."
            || field.as_bytes().iter().any(special);
        if !quoted {
            self.out.extend_from_slice(field.as_bytes());
            return;
        }
        self.out.push(quote);
        for &byte in field.as_bytes() {
            if byte == quote || byte == escape {
                self.out.push(escape);
            }
            self.out.push(byte);
        }
        self.out.push(quote);
    }

    /// Hands on what was appended.
    pub(super) fn flush(&mut self, writer: &mut dyn Write) -> Result<()> {
        let written = writer.write_all(&self.out);
        self.out.clear();
        written.map_err(|error| io_error("write", &error))
    }
}
