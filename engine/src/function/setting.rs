//! Settings as functions see them: `current_setting` and `set_config`.
//!
//! Settings are a session's, which lives on a higher floor; a statement that calls one of these functions is
//! given a look at them ([`SessionScope`]). What `set_config` changes, the rest of the statement sees at
//! once; the session takes it over when the statement is done, so that one that fails changes no setting.

use super::Volatility::{Stable, Volatile};
use super::kernel::function;
use super::{Defined, EvalContext, Needs, Overload, SearchPath};
use crate::error::{Error, Result, state};
use remora_storage::catalog::{Catalog, TableEntry, ViewDef};
use remora_storage::{DataType, Value, ValueRef};
use std::fmt::Debug;

/// The settings of a session, and what else only it knows, for one statement.
pub(crate) trait SessionScope: Debug + Send + Sync {
    /// A setting's value.
    ///
    /// # Errors
    /// 42704 where there is none of the name.
    fn get(&self, name: &str) -> Result<String>;

    /// Changes a setting, until the end of the transaction only where `local`; `None` gives it its default
    /// back. Returns its value.
    ///
    /// # Errors
    /// 42704, 22023 for a value it cannot have, 55P02 where it cannot be changed.
    fn set(&self, name: &str, value: Option<&str>, local: bool) -> Result<String>;

    /// Its cursors, the oldest first.
    fn cursors(&self) -> &[CursorShown];

    /// The statements that it knows by name.
    fn statements(&self) -> &[StatementShown];

    /// What something is defined as; `None` where there is no such thing.
    ///
    /// # Errors
    /// Those of reading a text that was read before.
    fn definition(&self, catalog: &Catalog, what: Defined) -> Result<Option<String>>;

    /// For each column of a view whether it can be written; `None` where the view cannot.
    fn updatable(&self, catalog: &Catalog, path: &SearchPath, view: &ViewDef) -> Option<Vec<bool>>;

    /// The bytes of a table without its indexes.
    ///
    /// # Errors
    /// 53300
    fn table_bytes(&self, table: &TableEntry) -> Result<u64>;
}

/// What is shown of a cursor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CursorShown {
    /// What it is called.
    pub name: String,
    /// What declared it.
    pub statement: String,
    /// Whether it stays when its transaction has committed.
    pub is_holdable: bool,
    /// Whether it also goes backward.
    pub is_scrollable: bool,
    /// When it was declared, in microseconds since 1970 UTC.
    pub created: i64,
}

/// What is shown of a statement with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StatementShown {
    /// Its name.
    pub name: String,
    /// What prepared it.
    pub statement: String,
    /// When, in microseconds since 1970 UTC.
    pub prepared: i64,
    /// The types of its parameters.
    pub parameters: Vec<DataType>,
}

/// The session that asks.
pub(super) fn session(context: &EvalContext) -> Result<&dyn SessionScope> {
    let session = context.scope.as_deref();
    session.ok_or_else(|| Error::unsupported("a setting in this place"))
}

fn text<'a>(value: ValueRef<'a>) -> Option<&'a str> {
    match value {
        ValueRef::Text(text) => Some(text),
        _ => None,
    }
}

fn current(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let name = text(arguments[0]).unwrap_or_default();
    let may_miss = matches!(arguments.get(1), Some(ValueRef::Boolean(true)));
    match session(context)?.get(name) {
        Err(error) if may_miss && error.sqlstate() == state::UNDEFINED_OBJECT => Ok(Value::Null),
        found => found.map(Value::Text),
    }
}

fn set(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let Some(name) = text(arguments[0]) else {
        let message = "SET requires parameter name";
        return Err(Error::new(state::NULL_VALUE_NOT_ALLOWED, message));
    };
    let local = matches!(arguments[2], ValueRef::Boolean(true));
    let set = session(context)?.set(name, text(arguments[1]), local);
    set.map(Value::Text)
}

static SETTINGS: &[Overload] = &[
    function!(strict row "current_setting"(Text) -> Text, "The value of a setting.", current)
        .volatility(Stable)
        .needs(Needs::SESSION),
    function!(strict row "current_setting"(Text, Boolean) -> Text,
        "The value of a setting; NULL where there is none of the name, if that is said to be fine.",
        current)
    .volatility(Stable)
    .needs(Needs::SESSION),
    function!(row "set_config"(Text, Text, Boolean) -> Text,
        "Changes a setting, until the end of the transaction only if that is said.", set)
    .volatility(Volatile)
    .needs(Needs::EFFECTS),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[SETTINGS];
