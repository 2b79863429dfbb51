//! What the database says of itself, and of its values' types; and what statements say to others.

use super::Volatility::{Stable, Volatile};
use super::kernel::function;
use super::statement::scope;
use super::{EvalContext, Needs, Overload, Pattern, type_name};
use crate::error::{Error, Result, state};
use crate::notification::Message;
use remora_storage::{DataType, Value, ValueRef};
use std::sync::Arc;

/// Users are not told apart: there is one.
pub(super) const USER: &str = "remora";

static ABOUT: &[Overload] = &[
    function!(context "version"() -> Text, "Name and version of the engine.", |_| {
        Ok(concat!("Remora ", env!("CARGO_PKG_VERSION")).to_owned())
    })
    .volatility(Stable),
    function!(context "current_user"() -> Text, "The user.", |_| Ok(USER.to_owned()))
        .volatility(Stable),
    function!(context "session_user"() -> Text, "The user.", |_| Ok(USER.to_owned()))
        .volatility(Stable),
    function!(context "current_database"() -> Text, "The database.", |_| Ok("remora".to_owned()))
        .volatility(Stable),
    function!(context "current_schema"() -> Text, "The schema.", |_| Ok("public".to_owned()))
        .volatility(Stable),
    function!(context "pg_backend_pid"() -> Integer, "The number of the session.", |context| {
        let session = context.session.as_ref();
        Ok(session.map_or(0, |session| session.number() as i32))
    })
    .volatility(Stable),
];

static TYPES: &[Overload] = &[Overload::generic(
    "pg_typeof",
    &[Pattern::Any],
    Pattern::Is(DataType::Text),
    "The type's name.",
    |call| Ok(Value::Text(type_name(call.types[0]))),
)
.called_on_null()];

static RAISE: &[Overload] = &[function!(row "raise"(Text, Text) -> Text,
    "In a trigger: ends the statement with a message (ABORT), or skips the row (IGNORE).", raise)
.volatility(Volatile)];

/// What a trigger is ended by.
fn raise(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let message = match arguments {
        [ValueRef::Text("ignore"), _] => return Err(Error::new(state::NO_DATA, IGNORED)),
        [_, ValueRef::Text(message)] => *message,
        _ => "",
    };
    Err(Error::new(state::RAISE_EXCEPTION, message))
}

/// The message of what RAISE(IGNORE) ends a trigger with, which nobody is shown.
const IGNORED: &str = "the row is skipped";

/// Whether an error is what RAISE(IGNORE) ends a trigger with.
pub(crate) fn is_ignored(error: &Error) -> bool {
    error.sqlstate() == state::NO_DATA && error.message() == IGNORED
}

impl EvalContext {
    /// Sends a message to the sessions that listen, if the transaction commits.
    ///
    /// # Errors
    /// 53200
    pub(crate) fn notify(&self, message: Arc<Message>) -> Result<()> {
        scope(self)?.send(message)
    }
}

/// A channel and a payload; NULL is an empty text.
fn pg_notify(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let text = |at: usize| match arguments[at] {
        ValueRef::Text(text) => text,
        _ => "",
    };
    context.notify(Message::new(text(0), text(1))?)?;
    Ok(Value::Text(String::new()))
}

static NOTIFY: &[Overload] = &[function!(row "pg_notify"(Text, Text) -> Text,
    "Sends a payload to the sessions that listen to a channel.", pg_notify)
.volatility(Volatile)
.needs(Needs::EFFECTS)];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[ABOUT, TYPES, RAISE, NOTIFY];
