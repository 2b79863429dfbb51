//! Ids and codes: numbers and UUIDs that a program makes up, and short texts for numbers and places.
//!
//! ```text
//!  snowflake   snowflake_id, snowflake_timestamp
//!  uuid        gen_random_uuid, uuidv4, uuidv7, uuid_extract_timestamp, uuid_extract_version
//!  base62      base62_encode, base62_decode
//!  sqids       sqids_encode, sqids_decode
//!  geohash     geohash_encode, geohash_decode, geohash_neighbours
//! ```
//!
//! Ids that rise with the time are made of ticks of the database's time (`remora_storage::time::IdClock`). Codes are pure
//! functions: what a text cannot be read as is an error of class 22.

mod base62;
mod geohash;
mod snowflake;
mod sqids;
#[cfg(test)]
mod tests;
mod uuid;

pub(super) use ::sqids::DEFAULT_ALPHABET as SQIDS_ALPHABET;

use super::{EvalContext, Overload};
use crate::error::{Error, Result};
use remora_storage::time::Tick;
use std::thread::sleep;
use std::time::Duration;

/// The sleep of a statement between two attempts to take ticks: a millisecond has 4,096 of them.
const TICK_WAIT: Duration = Duration::from_millis(1);

/// All overloads of this folder.
pub(super) static FUNCTIONS: &[&[Overload]] = &[
    snowflake::FUNCTIONS,
    uuid::FUNCTIONS,
    base62::FUNCTIONS,
    sqids::FUNCTIONS,
    geohash::FUNCTIONS,
];

/// Takes ticks as soon as there are some. While they are too far ahead of the time the statement waits, and can be
/// interrupted.
///
/// # Errors
/// 57014 and its like.
fn ticks(context: &EvalContext, mut take: impl FnMut() -> Option<Tick>) -> Result<Tick> {
    loop {
        if let Some(first) = take() {
            return Ok(first);
        }
        context.check()?;
        sleep(TICK_WAIT);
    }
}

/// 22P02 for a character of a text, whose place counts from 1.
fn unreadable(what: &str, text: &str, place: usize, found: char) -> Error {
    sql_error!(
        INVALID_TEXT_REPRESENTATION,
        "invalid input for {what}: \"{text}\""
    )
    .with_detail(format!(
        "Character \"{found}\" at position {place} is not a digit of {what}."
    ))
}
