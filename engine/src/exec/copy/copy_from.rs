//! COPY FROM: each record becomes a row, is tested and inserted as it is read, so memory does not
//! grow with the file. As any statement it is atomic: at an error the caller rolls back.
//!
//! Errors say where: the detail ends with `COPY t, line 3`, and the column where it is one field's.

use super::reader::{Field, Reader};
use super::wrong_direction;
use crate::error::{Error, Result};
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::dml::Inserter;
use crate::exec::eval::{Datum, eval_constant};
use crate::function::cast::cast_value;
use crate::function::{cut_to, text};
use crate::plan::Expr;
use crate::plan::statement::{Copy, CopyDirection, CsvFormat, Insert};
use remora_storage::catalog::ColumnDef;
use remora_storage::{Value, ValueRef};
use std::io::Read;

/// Records between interrupt checks.
const CHECK_RECORDS: u64 = 64;

/// Runs a COPY against `reader`; returns the number of rows.
///
/// # Errors
/// 22P04 where records do not fit the columns, 22021 where they are not UTF-8, 58030 where they
/// cannot be read, and those of an INSERT. The caller rolls back to its mark.
pub(crate) fn copy_from(
    plan: &Copy,
    reader: &mut dyn Read,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<u64> {
    let CopyDirection::From {
        insert,
        columns,
        defaults,
    } = &plan.direction
    else {
        return Err(wrong_direction());
    };
    let load = Load {
        insert,
        columns,
        defaults,
        format: &plan.format,
    };
    let mut reader = Reader::new(reader, &plan.format, context);
    let mut row = Vec::new();
    let mut inserter = Inserter::new(insert, tx, context)?;
    let mut count = 0;
    let level = context.eval.memory.level();
    if plan.format.header && !load.advance(&mut reader)? {
        return Ok(0);
    }
    while load.advance(&mut reader)? {
        if count % CHECK_RECORDS == 0 {
            context.check()?;
        }
        context.eval.memory.back_to(level);
        let done = load.record(&reader, &mut row, (&mut inserter, tx), context);
        done.map_err(|error| load.locate(error, &reader, None))?;
        count += 1;
    }
    Ok(inserter.finish(tx, context)?.rows)
}

struct Load<'a> {
    insert: &'a Insert,
    columns: &'a [usize],
    defaults: &'a [Expr],
    format: &'a CsvFormat,
}

impl<'a> Load<'a> {
    fn advance(&self, reader: &mut Reader<'_>) -> Result<bool> {
        let advanced = reader.advance();
        advanced.map_err(|error| self.locate(error, reader, None))
    }

    /// Makes a row of the current record and inserts it.
    fn record(
        &self,
        reader: &Reader<'_>,
        row: &mut Vec<Datum<'a>>,
        (inserter, tx): (&mut Inserter<'_>, &mut Transaction),
        context: &'a ExecContext,
    ) -> Result<()> {
        let mut fields = reader.fields();
        if fields.len() > self.columns.len() {
            return Err(sql_error!(
                BAD_COPY_FILE_FORMAT,
                "extra data after last expected column"
            ));
        }
        row.clear();
        for (position, default) in self.defaults.iter().enumerate() {
            // Defaults of columns that the file gives are not evaluated: they may fail.
            let given = self.columns.contains(&position);
            row.push(match given {
                true => Datum::NULL,
                false => eval_constant(default, context)?,
            });
        }
        for &position in self.columns {
            let column = &self.insert.table.def.columns[position];
            let Some(field) = fields.next() else {
                return Err(sql_error!(
                    BAD_COPY_FILE_FORMAT,
                    "missing data for column \"{}\"",
                    column.name
                ));
            };
            row[position] = Datum::Owned(
                self.field(field, column, context)
                    .map_err(|error| self.locate(error, reader, Some((column, field))))?,
            );
        }
        inserter.row(tx, row, context)
    }

    fn field(&self, field: Field<'_>, column: &ColumnDef, context: &ExecContext) -> Result<Value> {
        if !field.quoted && field.bytes == self.format.null.as_bytes() {
            return Ok(Value::Null);
        }
        let text = std::str::from_utf8(field.bytes).map_err(|error| {
            let bad = &field.bytes[error.valid_up_to()..];
            let length = error.error_len().unwrap_or(bad.len());
            let bad = bad.iter().take(length).map(|byte| format!(" 0x{byte:02x}"));
            sql_error!(
                CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\":{}",
                bad.collect::<String>()
            )
        })?;
        let (to, eval) = (column.data_type, &context.eval);
        let value = match to.made() {
            None => text::parse_in(text, to, eval.reading())?,
            Some(_) => cast_value(ValueRef::Text(text), to, false, eval)?,
        };
        match column.time_modifier {
            None => Ok(value),
            Some(modifier) => cut_to(value, modifier),
        }
    }

    /// Adds the place to an error that has none yet.
    fn locate(
        &self,
        error: Error,
        reader: &Reader<'_>,
        field: Option<(&ColumnDef, Field<'_>)>,
    ) -> Error {
        let mut place = format!(
            "COPY {}, line {}",
            self.insert.table.def.name,
            reader.line()
        );
        let detail = error.detail().unwrap_or_default();
        if detail
            .lines()
            .last()
            .is_some_and(|line| line.starts_with(&place))
        {
            return error;
        }
        if let Some((column, field)) = field {
            let shown = String::from_utf8_lossy(field.bytes);
            let shown: String = shown.chars().take(100).collect();
            place.push_str(&format!(", column {}: \"{shown}\"", column.name));
        }
        let detail = match detail {
            "" => place,
            detail => format!("{detail}\n{place}"),
        };
        error.with_detail(detail)
    }
}
