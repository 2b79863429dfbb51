//! What the database says of itself, and of its values' types.

use super::Overload;
use super::Volatility::{Stable, Volatile};
use super::kernel::function;
use remora_storage::Value;

/// Users are not told apart: there is one.
const USER: &str = "remora";

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
    function!(context "gen_random_uuid"() -> Uuid, "A new UUID of version 4.",
        |_| Ok(uuid::Uuid::new_v4().into_bytes()))
    .volatility(Volatile),
];

macro_rules! type_names {
    ($($sql:ident $name:literal),*) => {
        &[$(function!(row "pg_typeof"($sql) -> Text, "The type's name.",
            |_, _| Ok(Value::Text($name.to_owned())))),*]
    };
}

static TYPES: &[Overload] = type_names!(
    Boolean "boolean", SmallInt "smallint", Integer "integer", BigInt "bigint", Real "real",
    Double "double precision", Numeric "numeric", Text "text", Char "character", Bytea "bytea",
    Date "date", Time "time without time zone", Timestamp "timestamp without time zone",
    TimestampTz "timestamp with time zone", Interval "interval", Uuid "uuid"
);

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[ABOUT, TYPES];
