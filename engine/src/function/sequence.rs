//! Sequences' functions: `nextval`, `currval`, `lastval`, `setval`.
//!
//! They ask for what no argument says: what sequences there are, and what the session has taken
//! ([`StatementScope`]). A statement gets that only if it calls one of them, so that others pay nothing.
//! Numbers are taken beside transactions ([`remora_storage::transaction::Core::next_value`]).

use super::Overload;
use super::Volatility::Volatile;
use super::kernel::function;
use super::oids::{described, relation_named, relation_oid};
use super::statement::{StatementScope, scope};
use super::{Located, NOWHERE, Needs, RelationName, SearchPath, schema_name};
use crate::error::{Error, Result, state};
use parking_lot::Mutex;
use remora_storage::catalog::{Catalog, SequenceDef, SequenceEntry, SequencePosition};
use remora_storage::{Lsn, SequenceId, Value, ValueRef};
use std::collections::HashMap;
use std::sync::Arc;

/// What a session has taken from sequences.
#[derive(Debug, Default)]
pub(crate) struct SessionSequences(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// The number that it took last, of each.
    numbers: HashMap<SequenceId, i64>,
    /// Which it took from last.
    last: Option<SequenceId>,
    /// Where the log ended when it took its last number: all of them are in the log before that.
    logged: Lsn,
}

impl SessionSequences {
    /// Forgets it.
    pub(crate) fn forget(&self) {
        *self.0.lock() = Taken::default();
    }
}

impl StatementScope {
    fn next(&self, name: &str) -> Result<i64> {
        let entry = find(&self.catalog, &self.path, name)?;
        self.refuse_to_change("nextval")?;
        let number = self.core.next_value(entry)?;
        let logged = self.core.log_end();
        self.note_logged(logged);
        let mut taken = self.session.0.lock();
        taken.numbers.insert(entry.def.id, number);
        taken.last = Some(entry.def.id);
        taken.logged = logged;
        Ok(number)
    }

    fn current(&self, name: &str) -> Result<i64> {
        let entry = find(&self.catalog, &self.path, name)?;
        let taken = self.session.0.lock();
        self.note_logged(taken.logged);
        taken
            .numbers
            .get(&entry.def.id)
            .copied()
            .ok_or_else(|| not_yet(&format!("currval of sequence \"{}\"", entry.def.name)))
    }

    fn last(&self) -> Result<i64> {
        let taken = self.session.0.lock();
        self.note_logged(taken.logged);
        let last = taken
            .last
            .filter(|id| self.catalog.sequence_by_id(*id).is_some());
        let number = last.and_then(|id| taken.numbers.get(&id));
        number.copied().ok_or_else(|| not_yet("lastval"))
    }

    fn set(&self, name: &str, number: i64, is_called: bool) -> Result<i64> {
        let entry = find(&self.catalog, &self.path, name)?;
        self.refuse_to_change("setval")?;
        let rule = &entry.def.rule;
        if !(rule.min..=rule.max).contains(&number) {
            return Err(sql_error!(
                NUMERIC_VALUE_OUT_OF_RANGE,
                "setval: value {number} is out of bounds for sequence \"{}\" ({}..{})",
                entry.def.name,
                rule.min,
                rule.max
            ));
        }
        let position = SequencePosition {
            last: number,
            is_called,
        };
        self.core.set_value(entry, position)?;
        let logged = self.core.log_end();
        self.note_logged(logged);
        let mut taken = self.session.0.lock();
        taken.logged = logged;
        if is_called {
            taken.numbers.insert(entry.def.id, number);
        }
        Ok(number)
    }

    /// What is said of an object, or of a column of it.
    fn comment(&self, object: i64, part: i64) -> Value {
        let mut comments = self.catalog.comments();
        let found = comments.find(|(on, _)| {
            let (_, found, number) = described(*on);
            found == object && i64::from(number) == part
        });
        found.map_or(Value::Null, |(_, text)| Value::Text(text.to_string()))
    }

    /// The relation of an object id, as a name that can be read back.
    fn relation(&self, oid: i64) -> Value {
        let name = relation_named(&self.catalog, &self.path, oid);
        Value::Text(match (name, oid) {
            (Some(name), _) => name.to_string(),
            (None, 0) => "-".to_owned(),
            (None, oid) => oid.to_string(),
        })
    }

    /// The sequence that goes with a column, as a name that can be read back.
    fn of_column(&self, table: &str, column: &str) -> Result<Value> {
        let name = self.path.locate(&self.catalog, RelationName::parse(table)?);
        let Some(entry) = self.catalog.table(&name) else {
            return Err(undefined(&name));
        };
        let Some((_, def)) = entry.def.column(column) else {
            return Err(sql_error!(
                UNDEFINED_COLUMN,
                "column \"{column}\" of relation \"{name}\" does not exist"
            ));
        };
        let mut owned = self.catalog.sequences_of(entry.def.id);
        let found = owned.find(|sequence| sequence.def.owner == Some((entry.def.id, def.id)));
        Ok(found.map_or(Value::Null, |found| {
            Value::Text(name_of(&self.catalog, &found.def).to_string())
        }))
    }
}

/// The sequence that a text names.
///
/// # Errors
/// 42P01, 42809, 42602, 3F000
pub(crate) fn find<'c>(
    catalog: &'c Catalog,
    path: &SearchPath,
    text: &str,
) -> Result<&'c Arc<SequenceEntry>> {
    let name = path.locate(catalog, RelationName::parse(text)?);
    match catalog.sequence(&name) {
        Some(entry) => Ok(entry),
        None if catalog.has_name(&name) => Err(sql_error!(
            WRONG_OBJECT_TYPE,
            "\"{name}\" is not a sequence"
        )),
        None => Err(undefined(&name)),
    }
}

pub(super) fn undefined(name: &Located) -> Error {
    if let (NOWHERE, Some(schema)) = (name.schema, &name.written.schema) {
        let message = format!("schema \"{schema}\" does not exist");
        return Error::new(state::INVALID_SCHEMA_NAME, message);
    }
    let message = format!("relation \"{name}\" does not exist");
    Error::new(state::UNDEFINED_TABLE, message)
}

/// What a sequence is called, with its schema.
pub(crate) fn name_of(catalog: &Catalog, def: &SequenceDef) -> RelationName {
    RelationName {
        schema: Some(schema_name(catalog, def.schema)),
        name: def.name.clone(),
    }
}

fn not_yet(what: &str) -> Error {
    sql_error!(
        OBJECT_NOT_IN_PREREQUISITE_STATE,
        "{what} is not yet defined in this session"
    )
}

fn text<'a>(arguments: &[ValueRef<'a>], at: usize) -> &'a str {
    match arguments[at] {
        ValueRef::Text(text) => text,
        _ => "",
    }
}

fn number(arguments: &[ValueRef<'_>]) -> i64 {
    match arguments[1] {
        ValueRef::BigInt(number) => number,
        _ => 0,
    }
}

static SEQUENCES: &[Overload] = &[
    function!(strict row "nextval"(Text) -> BigInt, "The next number of a sequence.",
        |arguments, cx| scope(cx)?.next(text(arguments, 0)).map(Value::BigInt))
    .volatility(Volatile)
    .needs(Needs::EFFECTS),
    function!(strict row "currval"(Text) -> BigInt, "The number that the session took last.",
        |arguments, cx| scope(cx)?.current(text(arguments, 0)).map(Value::BigInt))
    .volatility(Volatile)
    .needs(Needs::EFFECTS),
    function!(context "lastval"() -> BigInt, "The number that the session took last, of any.",
        |cx| scope(cx)?.last())
    .volatility(Volatile)
    .needs(Needs::EFFECTS),
    function!(strict row "setval"(Text, BigInt) -> BigInt, "Makes a number the one taken last.",
    |arguments, cx| {
        let set = scope(cx)?.set(text(arguments, 0), number(arguments), true);
        set.map(Value::BigInt)
    })
    .volatility(Volatile)
    .needs(Needs::EFFECTS),
    function!(strict row "setval"(Text, BigInt, Boolean) -> BigInt,
    "Makes a number the one taken last, or the next.",
    |arguments, cx| {
        let is_called = matches!(arguments[2], ValueRef::Boolean(true));
        let set = scope(cx)?.set(text(arguments, 0), number(arguments), is_called);
        set.map(Value::BigInt)
    })
    .volatility(Volatile)
    .needs(Needs::EFFECTS),
    function!(strict row "obj_description"(BigInt) -> Text, "The comment on an object.",
    |arguments, cx| Ok(match arguments[0] {
        ValueRef::BigInt(object) => scope(cx)?.comment(object, 0),
        _ => Value::Null,
    }))
    .volatility(Volatile)
    .needs(Needs::CATALOG),
    function!(strict row "obj_description"(BigInt, Text) -> Text, "The comment on an object.",
    |arguments, cx| Ok(match arguments[0] {
        ValueRef::BigInt(object) => scope(cx)?.comment(object, 0),
        _ => Value::Null,
    }))
    .volatility(Volatile)
    .needs(Needs::CATALOG),
    function!(strict row "col_description"(BigInt, BigInt) -> Text, "The comment on a column.",
    |arguments, cx| Ok(match arguments[0] {
        ValueRef::BigInt(table) => scope(cx)?.comment(table, number(arguments)),
        _ => Value::Null,
    }))
    .volatility(Volatile)
    .needs(Needs::CATALOG),
    function!(strict row "regclass"(BigInt) -> Text, "The name of a relation by its object id.",
    |arguments, cx| Ok(match arguments[0] {
        ValueRef::BigInt(oid) => scope(cx)?.relation(oid),
        _ => Value::Null,
    }))
    .volatility(Volatile)
    .needs(Needs::CATALOG),
    function!(strict row "to_regclass"(Text) -> BigInt, "The object id of a relation by its name.",
    |arguments, cx| {
        let scope = scope(cx)?;
        let name = RelationName::parse(text(arguments, 0))?;
        let located = scope.path.locate(&scope.catalog, name);
        Ok(relation_oid(&scope.catalog, &located).map_or(Value::Null, Value::BigInt))
    })
    .volatility(Volatile)
    .needs(Needs::CATALOG),
    function!(strict row "pg_get_serial_sequence"(Text, Text) -> Text,
        "The sequence that goes with a column of a table.",
        |arguments, cx| scope(cx)?.of_column(text(arguments, 0), text(arguments, 1)))
    .volatility(Volatile)
    .needs(Needs::CATALOG),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[SEQUENCES];
