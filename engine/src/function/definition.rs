//! What things are defined as: `pg_get_indexdef`, `pg_get_constraintdef`, `pg_get_viewdef`, `pg_get_triggerdef`, and how
//! large tables are: `pg_relation_size` and its kin.
//!
//! Indexes and constraints are written out here, of the catalog alone. For queries of views and for triggers the
//! session is asked ([`SessionScope`](super::SessionScope)): where a name in them stands for something that is
//! called otherwise by now, the text has to be read.

use super::Volatility::Stable;
use super::kernel::function;
use super::oids::{Numbered, constraint_oid, numbered_by, relation_oid};
use super::sequence::scope;
use super::{EvalContext, Needs, Overload, Pattern, RelationName, quoted, schema_name};
use crate::error::Result;
use remora_storage::catalog::{
    Catalog, CheckDef, Collation, Constraint, Deferral, ForeignAction, ForeignKeyDef, IndexColumn,
    IndexDef, IndexKind, TableDef, TableEntry, key_name,
};
use remora_storage::{ColumnId, DataType, TableId, Value, ValueRef};
use std::borrow::Cow;
use std::sync::Arc;

/// What the session writes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Defined {
    /// The query of a view.
    View(TableId),
    /// The trigger of this object id.
    Trigger(i64),
}

/// An expression as a part of a key: only a call stands without parentheses, and those are PostgreSQL's own.
fn within(expression: Cow<'_, str>) -> String {
    match expression.starts_with('(') {
        true => format!("({expression})"),
        false => expression.into_owned(),
    }
}

/// A part of a key, as it is written.
fn key_text(table: &TableDef, key: &IndexColumn) -> String {
    if let Some((column, said)) = table.key_column(key.column) {
        return quoted(&column.name) + &collation_text(said);
    }
    let column = table.position(key.column).map(|at| &table.columns[at]);
    column.map_or_else(String::new, |column| within(key_name(column)))
}

/// A collation, as it is said.
pub(crate) fn collation_text(said: Option<Collation>) -> String {
    said.map_or_else(String::new, |said| {
        format!(" COLLATE {}", quoted(said.name()))
    })
}

/// An index as the statement that makes it.
pub(crate) fn index_definition(catalog: &Catalog, table: &TableDef, index: &IndexDef) -> String {
    let keys = index.columns.iter().skip(usize::from(index.partial));
    let columns = keys.map(|key| {
        let order = match (key.descending, key.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        };
        key_text(table, key) + order
    });
    let unique = if index.is_unique() { "UNIQUE " } else { "" };
    let kind = match index.kind {
        IndexKind::Ordered => "btree",
        IndexKind::Hash => "hash",
    };
    let schema = quoted(&schema_name(catalog, table.schema));
    let nulls = nulls_text(index);
    let condition = table.condition_of(index);
    let condition = condition.map_or_else(String::new, |text| format!(" WHERE ({text})"));
    format!(
        "CREATE {unique}INDEX {} ON {schema}.{} USING {kind} ({}){nulls}{condition}",
        quoted(&index.name),
        quoted(&table.name),
        columns.collect::<Vec<_>>().join(", ")
    )
}

fn nulls_text(index: &IndexDef) -> &'static str {
    match index.nulls_not_distinct {
        true => " NULLS NOT DISTINCT",
        false => "",
    }
}

/// A constraint that an index stands for.
fn key_constraint(table: &TableDef, index: &IndexDef, kind: Constraint) -> String {
    let kind = match kind {
        Constraint::PrimaryKey => "PRIMARY KEY",
        Constraint::Unique => "UNIQUE",
    };
    let columns = index.columns.iter().map(|key| key_text(table, key));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let (nulls, deferral) = (nulls_text(index), deferral_text(index.deferral));
    let using = match index.kind {
        IndexKind::Ordered => "",
        IndexKind::Hash => " USING HASH",
    };
    format!("{kind}{nulls}{using} ({columns}){deferral}")
}

fn check_constraint(check: &CheckDef) -> String {
    format!(
        "CHECK (({})){}",
        check.expression,
        untested(check.not_valid)
    )
}

fn foreign_key(catalog: &Catalog, table: &TableDef, key: &ForeignKeyDef) -> String {
    let names = |table: &TableDef, columns: &[ColumnId]| {
        let columns = columns.iter().filter_map(|id| table.position(*id));
        let names = columns.map(|position| quoted(&table.columns[position].name));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut text = format!("FOREIGN KEY ({})", names(table, &key.columns));
    if let Some(parent) = catalog.table_by_id(key.parent) {
        let parent = &parent.def;
        let schema = match parent.schema.is_public() {
            true => String::new(),
            false => quoted(&schema_name(catalog, parent.schema)) + ".",
        };
        let (name, columns) = (quoted(&parent.name), names(parent, &key.referenced));
        text += &format!(" REFERENCES {schema}{name}({columns})");
    }
    if key.full {
        text += " MATCH FULL";
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        let action = match action {
            ForeignAction::NoAction => continue,
            ForeignAction::Restrict => "RESTRICT",
            ForeignAction::Cascade => "CASCADE",
            ForeignAction::SetNull => "SET NULL",
            ForeignAction::SetDefault => "SET DEFAULT",
        };
        text += &format!(" ON {event} {action}");
        if event == "DELETE" && !key.set_columns.is_empty() {
            text += &format!(" ({})", names(table, &key.set_columns));
        }
    }
    text + deferral_text(key.deferral) + untested(key.not_valid)
}

fn deferral_text(deferral: Deferral) -> &'static str {
    match deferral {
        Deferral::Never => "",
        Deferral::Immediate => " DEFERRABLE",
        Deferral::Deferred => " DEFERRABLE INITIALLY DEFERRED",
    }
}

fn untested(is: bool) -> &'static str {
    if is { " NOT VALID" } else { "" }
}

/// The constraint of an object id.
fn constraint_definition(catalog: &Catalog, oid: i64) -> Option<String> {
    catalog.tables().find_map(|entry| {
        let table = &entry.def;
        let is = |name: &str| constraint_oid(table.id, name) == oid;
        let mut indexes = entry.indexes.iter();
        let key = indexes.find_map(|index| {
            let kind = index.def.constraint.filter(|_| is(&index.def.name))?;
            Some(key_constraint(table, &index.def, kind))
        });
        let check = || table.checks.iter().find(|check| is(&check.name));
        let link = || table.foreign_keys.iter().find(|key| is(&key.name));
        key.or_else(|| check().map(check_constraint))
            .or_else(|| link().map(|key| foreign_key(catalog, table, key)))
    })
}

fn number(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::BigInt(number) => number,
        ValueRef::Integer(number) => number.into(),
        _ => 0,
    }
}

fn shown(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}

fn indexdef(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let catalog = scope(context)?.catalog();
    let Some(Numbered::Index(id)) = numbered_by(number(arguments[0])) else {
        return Ok(Value::Null);
    };
    let Some((table, index)) = catalog.index_by_id(id) else {
        return Ok(Value::Null);
    };
    let part = arguments.get(1).map_or(0, |part| number(*part));
    let Some(at) = usize::try_from(part).ok().filter(|part| *part > 0) else {
        let text = index_definition(catalog, &table.def, &index.def);
        return Ok(Value::Text(text));
    };
    let mut keys = index
        .def
        .columns
        .iter()
        .skip(usize::from(index.def.partial));
    let key = keys.nth(at - 1);
    let text = key.map_or_else(String::new, |key| key_text(&table.def, key));
    Ok(Value::Text(text))
}

fn constraintdef(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let catalog = scope(context)?.catalog();
    Ok(shown(constraint_definition(catalog, number(arguments[0]))))
}

/// What the session writes out.
fn defined(what: Defined, context: &EvalContext) -> Result<Value> {
    let catalog = scope(context)?.catalog();
    let session = super::setting::session(context)?;
    session.definition(catalog, what).map(shown)
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
