//! Records from and to text: `(1,"a b",)`.

use super::super::cast::cast_value;
use super::super::{EvalContext, Work, record};
use super::scanner::{Scanner, write_part};
use super::{Style, write_counted};
use crate::error::{Error, Result, state};
use remora_storage::value::{RecordField, SqlRecord};
use remora_storage::{Value, ValueRef};

/// Appends a record's text form: NULL is nothing, an empty text is quoted.
pub(super) fn write_record(
    out: &mut String,
    record: &SqlRecord<'_>,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    let mut scratch = String::new();
    out.push('(');
    for (at, (data_type, value)) in record.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if value.is_null() {
            continue;
        }
        scratch.clear();
        write_counted(&mut scratch, value, data_type, style, work)?;
        write_part(out, &scratch, "(),", None, work)?;
    }
    out.push(')');
    Ok(())
}

/// Reads a record of these fields; gives its bytes.
///
/// # Errors
/// 22P02 with what is wrong, and those of the fields' types.
pub(crate) fn parse(text: &str, fields: &[RecordField], context: &EvalContext) -> Result<Vec<u8>> {
    let malformed = |detail: &str| {
        let message = format!("malformed record literal: \"{text}\"");
        Error::new(state::INVALID_TEXT_REPRESENTATION, message).with_detail(detail)
    };
    let mut scanner = Scanner { rest: text };
    let work = Work::new(context);
    scanner.skip_spaces(&work)?;
    if !scanner.eat('(') {
        return Err(malformed("Missing left parenthesis."));
    }
    let mut values = Vec::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        if at > 0 && !scanner.eat(',') {
            return Err(malformed("Too few columns."));
        }
        values.push(match scanner.peek() {
            Some(',' | ')') => Value::Null,
            _ => {
                let part = scanner.part(&[',', ')'], &work)?;
                let part = part.ok_or_else(|| malformed("Unexpected end of input."))?;
                cast_value(ValueRef::Text(&part), field.data_type, false, context)?
            }
        });
    }
    if !scanner.eat(')') {
        return Err(malformed("Too many columns."));
    }
    scanner.skip_spaces(&work)?;
    if !scanner.rest.is_empty() {
        return Err(malformed("Junk after right parenthesis."));
    }
    let types = fields.iter().map(|field| field.data_type);
    record::encode(types.zip(values.iter().map(Value::as_ref)))
}
