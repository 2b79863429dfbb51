//! What the database says of itself, and of its values' types.

use super::Volatility::{Stable, Volatile};
use super::kernel::function;
use super::{EvalContext, Overload, Pattern, type_name};
use crate::error::{Error, Result, state};
use remora_storage::{DataType, Value, ValueRef};

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

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[ABOUT, TYPES, RAISE];
