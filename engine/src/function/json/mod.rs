//! JSON, as text that is kept as written, and JSONB, as bytes that sort and compare as SQL says.
//!
//! ```text
//!  text ──lex, parse──> tape ──pack──> packed bytes ──write──> text
//!                        │                  │
//!                   spans (JSON)        get, contain, change, strip (JSONB)
//! ```
//!
//! - `lex`, `parse`: the grammar with PostgreSQL's complaints; a stack of its own, no recursion, and a limit
//!   of depth.
//! - `tape`: a text's values in order, each with its place in the text. What JSON's functions work on.
//! - `packed`, `number`: the form of JSONB. `memcmp` of two values is their order, equal bytes are equal
//!   values; there are no lengths in it but counts, so that a part is changed by changing its bytes alone.
//! - `write`: JSONB as text, tight or pretty.
//! - `get`, `contain`, `change`, `assign`, `strip`: what operators and functions of JSONB do, as functions of bytes.
//! - `sql`: values of SQL as JSON and back.
//! - `path`: the language of paths.
//! - `over_text`, `over_packed`, `conversions`, `rows`, `gather`: the functions that SQL knows.
//!
//! Whoever reads packed bytes trusts none of them: they come from a disk.

mod arguments;
pub(super) mod assign;
mod change;
mod contain;
pub(super) mod conversions;
mod gather;
mod get;
mod lex;
mod number;
pub(super) mod over_packed;
pub(super) mod over_text;
mod packed;
mod parse;
pub(super) mod path;
pub(super) mod record;
pub(super) mod rows;
mod sql;
mod strip;
mod tape;
#[cfg(test)]
mod tests;
mod write;

pub(super) use gather::{Document, JsonArray, JsonObject, JsonbArray, JsonbObject};
pub(super) use sql::as_json;
pub(crate) use sql::{cast_jsonb, parse_json, parse_jsonb, write_jsonb};

use crate::error::{Error, state};

/// The work of a member beside that over its bytes.
const MEMBER_WORK: usize = 16;

/// 22023
fn invalid(message: impl Into<String>) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}
