//! Records: `ROW(..)`, their fields, their tests and their order.
//!
//! How a record is held, `remora_storage::value::SqlRecord` says. The binder knows which fields a record has, and
//! gives calls of [`RECORD_OF`] and [`RECORD_FIELD`] the types that they come to.

use super::generic::GenericCall;
use super::resolve::base;
use super::{Overload, Pattern, check_size};
use crate::error::{Error, Result, state};
use crate::function::kernel::function;
use remora_storage::value::{PackedType, RecordField, RecordType, SqlRecord};
use remora_storage::{DataType, Value, ValueRef};
use std::cmp::Ordering;

/// What makes a record of its arguments.
pub(crate) const RECORD_OF: &str = "record_of";
/// What gives a field of a record, by its number from 0.
pub(crate) const RECORD_FIELD: &str = "record_field";
/// What calls a record one of another type that has the same fields.
pub(crate) const RECORD_AS: &str = "record_as";
/// `IS NULL` of a record, and `IS NOT NULL`, which is not the opposite.
pub(crate) const RECORD_TESTS: [&str; 2] = ["record_is_null", "record_is_not_null"];

/// A record of which fields are not known.
pub(crate) const RECORD: DataType = DataType::Packed(PackedType::Record(RecordType::ANY));

/// The type of records that have these fields.
pub(super) fn of_fields(fields: &[(&str, DataType)]) -> DataType {
    let fields = fields.iter().map(|(name, data_type)| RecordField {
        name: (*name).to_owned(),
        data_type: *data_type,
    });
    DataType::Packed(PackedType::Record(RecordType::of(fields.collect())))
}

/// So deep may records lie within each other: what walks over them recurses as deep.
const DEPTH_MAX: u8 = 100;

/// The bytes of a record.
///
/// # Errors
/// 54000 where it is too large, 54001 where it is too deep.
pub(crate) fn encode<'v>(
    fields: impl IntoIterator<Item = (DataType, ValueRef<'v>)>,
) -> Result<Vec<u8>> {
    let fields: Vec<_> = fields.into_iter().collect();
    let lengths = fields.iter().filter_map(|(_, value)| value.bytes());
    check_size(Some(lengths.map(<[u8]>::len).sum()))?;
    let bytes = SqlRecord::encode(fields);
    match SqlRecord::new(&bytes) {
        Some(record) if record.depth() > DEPTH_MAX => Err(sql_error!(
            STATEMENT_TOO_COMPLEX,
            "records may lie within each other {DEPTH_MAX} deep"
        )),
        _ => Ok(bytes),
    }
}

fn make(call: &GenericCall<'_>) -> Result<Value> {
    let fields = call.types.iter().copied().zip(call.values.iter().copied());
    Ok(Value::Packed(packed(call.returns), encode(fields)?))
}

/// The type of records that a call gives.
pub(super) fn packed(data_type: DataType) -> PackedType {
    match data_type {
        DataType::Packed(packed) => packed,
        _ => PackedType::Record(RecordType::ANY),
    }
}

fn field(call: &GenericCall<'_>) -> Result<Value> {
    let record = call.values[0].as_record().unwrap_or_default();
    let ValueRef::Integer(at) = call.values[1] else {
        return Ok(Value::Null);
    };
    let at = at as usize;
    let value = record.get(at);
    let found = record.field_type(at).unwrap_or(call.returns);
    match value.is_null() || base(found).without_modifier() == base(call.returns).without_modifier()
    {
        true => Ok(value.to_owned()),
        false => Err(sql_error!(
            DATATYPE_MISMATCH,
            "field {} is of type {found}, not {}",
            at + 1,
            call.returns
        )),
    }
}

/// Whether all fields pass a test; `otherwise` of NULL, which is no record.
fn all(call: &GenericCall<'_>, otherwise: bool, test: fn(ValueRef<'_>) -> bool) -> Value {
    Value::Boolean(match call.values[0].as_record() {
        None => otherwise,
        Some(record) => record.values().all(test),
    })
}

/// The order of two records.
///
/// # Errors
/// 42804 where a field that counts is of two types, or one of them has more fields.
pub(crate) fn compare(one: SqlRecord<'_>, two: SqlRecord<'_>) -> Result<Ordering> {
    for (at, ((of, one), (than, two))) in one.iter().zip(two.iter()).enumerate() {
        if base(of).without_modifier() != base(than).without_modifier() {
            let (of, than) = (super::type_name(of), super::type_name(than));
            let message = format!(
                "cannot compare dissimilar column types {of} and {than} at record column {}",
                at + 1
            );
            return Err(Error::new(state::DATATYPE_MISMATCH, message));
        }
        let order = match (one.as_record(), two.as_record()) {
            (Some(one), Some(two)) => compare(one, two)?,
            _ => one.compare(two).unwrap_or(Ordering::Equal),
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    match one.len() == two.len() {
        true => Ok(Ordering::Equal),
        false => Err(sql_error!(
            DATATYPE_MISMATCH,
            "cannot compare record types with different numbers of columns"
        )),
    }
}

static RECORDS: &[Overload] = &[
    function!(generic RECORD_OF(Pattern::Any) -> Pattern::Is(RECORD), "The record of its arguments: ROW(..).",
        make).variadic(),
    function!(strict generic RECORD_FIELD(Pattern::Any, Pattern::Is(DataType::Integer)) -> Pattern::Any,
        "A field of a record, by its number from 0.", field),
    function!(strict generic RECORD_AS(Pattern::Any) -> Pattern::Any,
        "A record as one of another type that has the same fields.",
        |call| Ok(match (call.values[0].as_record(), call.values[0].bytes()) {
            (Some(_), Some(bytes)) => Value::Packed(packed(call.returns), bytes.to_vec()),
            // SQL can call it with a value that is no record: it stays as it is.
            _ if call.types[0] == call.returns => call.values[0].to_owned(),
            _ => Value::Null,
        })),
    Overload::generic(
        RECORD_TESTS[0],
        &[Pattern::Any],
        Pattern::Is(DataType::Boolean),
        "Whether all fields of a record are NULL: IS NULL.",
        |call| Ok(all(call, true, |value| value.is_null())),
    )
    .called_on_null(),
    Overload::generic(
        RECORD_TESTS[1],
        &[Pattern::Any],
        Pattern::Is(DataType::Boolean),
        "Whether no field of a record is NULL: IS NOT NULL.",
        |call| Ok(all(call, false, |value| !value.is_null())),
    )
    .called_on_null(),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[RECORDS];
