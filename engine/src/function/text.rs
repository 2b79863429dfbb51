//! Values from and to PostgreSQL's text form. (Stub: signatures only.)

use crate::error::Result;
use remora_storage::{DataType, Value, ValueRef};

/// Reads a value of a type from text, as a quoted literal or a CSV field would be.
///
/// # Errors
/// 22P02, 22003, 22001, 22007, 22008 as in PostgreSQL.
pub fn parse(_text: &str, _data_type: DataType) -> Result<Value> {
    todo!()
}

/// Appends a value's text form (nothing for NULL). TIMESTAMPTZ is shown in UTC.
pub fn write(_out: &mut String, _value: ValueRef<'_>, _data_type: DataType) {
    todo!()
}

/// The text form of a value; `None` for NULL.
pub fn format(value: ValueRef<'_>, data_type: DataType) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut out = String::new();
    write(&mut out, value, data_type);
    Some(out)
}
