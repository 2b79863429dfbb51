//! What things are defined as: `pg_get_indexdef`, `pg_get_constraintdef`, `pg_get_viewdef`, `pg_get_triggerdef`, and how
//! large tables are: `pg_relation_size` and its kin.
//!
//! The session writes the definitions out ([`SessionScope`](super::SessionScope)): it can read the texts in which a name
//! may stand for an object that is called otherwise by now.

use super::Volatility::Stable;
use super::kernel::function;
use super::oids::{Numbered, numbered_by, relation_oid};
use super::statement::scope;
use super::{EvalContext, Needs, Overload, Pattern, RelationName};
use crate::error::Result;
use remora_storage::catalog::{Catalog, TableEntry};
use remora_storage::{DataType, IndexId, TableId, Value, ValueRef};
use std::sync::Arc;

/// What the session writes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Defined {
    /// The query of a view.
    View(TableId),
    /// The trigger of this object id.
    Trigger(i64),
    /// An index, or of its key the part of this number, from 1.
    Index(IndexId, usize),
    /// The constraint of this object id.
    Constraint(i64),
}

fn number(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::BigInt(number) => number,
        ValueRef::Integer(number) => number.into(),
        _ => 0,
    }
}

fn indexdef(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let part = arguments.get(1).map_or(0, |part| number(*part));
    match numbered_by(number(arguments[0])) {
        Some(Numbered::Index(id)) => {
            let part = usize::try_from(part).unwrap_or(0);
            defined(Defined::Index(id, part), context)
        }
        _ => Ok(Value::Null),
    }
}

fn constraintdef(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    defined(Defined::Constraint(number(arguments[0])), context)
}

/// What the session writes out.
fn defined(what: Defined, context: &EvalContext) -> Result<Value> {
    let catalog = scope(context)?.catalog();
    let session = super::setting::session(context)?;
    let text = session.definition(catalog, what)?;
    Ok(text.map_or(Value::Null, Value::Text))
}

fn viewdef(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let oid = match arguments[0] {
        ValueRef::Text(name) => {
            let scope = scope(context)?;
            let catalog = scope.catalog();
            let located = scope.path().locate(catalog, RelationName::parse(name)?);
            match relation_oid(catalog, &located) {
                Some(oid) => oid,
                None => return Err(super::sequence::undefined(&located)),
            }
        }
        oid => number(oid),
    };
    match numbered_by(oid) {
        Some(Numbered::Table(id)) => defined(Defined::View(id), context),
        _ => Ok(Value::Null),
    }
}

fn triggerdef(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    defined(Defined::Trigger(number(arguments[0])), context)
}

/// The bytes of a table, and of its indexes.
fn sizes(table: &TableEntry, context: &EvalContext) -> Result<(u64, u64)> {
    let indexes = table.indexes.iter().map(|index| index.bytes());
    Ok((
        super::setting::session(context)?.table_bytes(table)?,
        indexes.sum(),
    ))
}

/// How large the relation of an object id is, of which it is told by its rows and its indexes.
fn size(
    oid: ValueRef<'_>,
    context: &EvalContext,
    of: impl FnOnce((u64, u64)) -> u64,
) -> Result<Value> {
    let catalog: &Arc<Catalog> = scope(context)?.shared();
    let bytes = match numbered_by(number(oid)) {
        Some(Numbered::Table(id)) => match catalog.table_by_id(id) {
            Some(table) => of(sizes(table, context)?),
            None if catalog.view_by_id(id).is_some() => 0,
            None => return Ok(Value::Null),
        },
        Some(Numbered::Index(id)) => match catalog.index_by_id(id) {
            Some((_, index)) => of((index.bytes(), 0)),
            None => return Ok(Value::Null),
        },
        Some(Numbered::Sequence(_)) => 0,
        None => return Ok(Value::Null),
    };
    Ok(Value::BigInt(i64::try_from(bytes).unwrap_or(i64::MAX)))
}

/// The bytes of a value, as PostgreSQL would store it.
fn value_bytes(value: ValueRef<'_>) -> i32 {
    let long = |bytes: usize| bytes + if bytes < 127 { 1 } else { 4 };
    let bytes = match value {
        ValueRef::Boolean(_) => 1,
        ValueRef::SmallInt(_) => 2,
        ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Date(_) => 4,
        ValueRef::Interval(_) | ValueRef::Uuid(_) => 16,
        ValueRef::Text(text) => long(text.len()),
        ValueRef::Bytea(bytes) | ValueRef::Packed(_, bytes) => long(bytes.len()),
        // A header, and four digits in two bytes.
        ValueRef::Numeric(value) => {
            let digits = value.mantissa().unsigned_abs().checked_ilog10();
            digits.map_or(3, |digits| 5 + 2 * (digits as usize / 4))
        }
        _ => 8,
    };
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

static DEFINITIONS: &[Overload] = &[
    function!(strict row "pg_get_viewdef"(BigInt) -> Text, "The query of a view.", viewdef)
        .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_viewdef"(BigInt, Boolean) -> Text, "The query of a view.", viewdef)
        .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_viewdef"(Text) -> Text, "The query of a view.", viewdef)
        .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_viewdef"(Text, Boolean) -> Text, "The query of a view.", viewdef)
        .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_indexdef"(BigInt) -> Text,
        "The statement that makes an index.", indexdef)
    .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_indexdef"(BigInt, Integer, Boolean) -> Text,
        "The part of an index's key of this number; of 0 the statement that makes the index.",
        indexdef)
    .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_constraintdef"(BigInt) -> Text, "What a constraint says.",
        constraintdef)
    .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_constraintdef"(BigInt, Boolean) -> Text,
        "What a constraint says.", constraintdef)
    .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_triggerdef"(BigInt) -> Text,
        "The statement that makes a trigger.", triggerdef)
    .volatility(Stable).needs(Needs::CATALOG),
    function!(strict row "pg_get_triggerdef"(BigInt, Boolean) -> Text,
        "The statement that makes a trigger.", triggerdef)
    .volatility(Stable).needs(Needs::CATALOG),
];

static SIZES: &[Overload] = &[
    function!(strict row "pg_relation_size"(BigInt) -> BigInt, "The bytes of a table or index.",
        |arguments, cx| size(arguments[0], cx, |(rows, _)| rows))
    .volatility(Stable)
    .needs(Needs::CATALOG),
    function!(strict row "pg_table_size"(BigInt) -> BigInt, "The bytes of a table.",
        |arguments, cx| size(arguments[0], cx, |(rows, _)| rows))
    .volatility(Stable)
    .needs(Needs::CATALOG),
    function!(strict row "pg_indexes_size"(BigInt) -> BigInt, "The bytes of a table's indexes.",
        |arguments, cx| size(arguments[0], cx, |(_, indexes)| indexes))
    .volatility(Stable)
    .needs(Needs::CATALOG),
    function!(strict row "pg_total_relation_size"(BigInt) -> BigInt,
        "The bytes of a table and of its indexes.",
        |arguments, cx| size(arguments[0], cx, |(rows, indexes)| rows + indexes))
    .volatility(Stable)
    .needs(Needs::CATALOG),
];

static VALUES: &[Overload] = &[Overload::generic(
    "pg_column_size",
    &[Pattern::Any],
    Pattern::Is(DataType::Integer),
    "The bytes of a value, about as PostgreSQL stores it.",
    |call| Ok(Value::Integer(value_bytes(call.values[0]))),
)];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[DEFINITIONS, SIZES, VALUES];
