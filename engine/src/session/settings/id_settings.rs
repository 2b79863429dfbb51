//! Settings of the database that snowflake ids are made by: `node_id` and `snowflake_epoch`.
//!
//! Ids of all sessions come from one sequence, so these are no session's: two sessions with an epoch each would make the
//! same ids at different times.

use super::value::{self, Unit, invalid, refuse};
use crate::error::Result;
use crate::function::text;
use remora_storage::time::{EPOCH_REACH_MILLIS, NODE_MAX};
use remora_storage::{DataType, Store, Value, ValueRef};

pub(super) const NODE: &str = "node_id";
pub(super) const EPOCH: &str = "snowflake_epoch";

pub(super) fn show_node(store: &Store) -> String {
    store.time().snowflakes().node().to_string()
}

pub(super) fn show_epoch(store: &Store) -> String {
    epoch_text(store.time().snowflakes().epoch())
}

/// Gives the ids to come another node.
///
/// # Errors
/// 22023.
pub(super) fn set_node(store: &Store, value: Option<&str>) -> Result<()> {
    let node = given(value).map(node_of).transpose()?;
    store.time().snowflakes().set_node(node);
    Ok(())
}

/// Gives the ids to come another epoch.
///
/// # Errors
/// 22023 for what is no moment, and where there would be no ids now.
pub(super) fn set_epoch(store: &Store, value: Option<&str>) -> Result<()> {
    let epoch = given(value).map(|value| epoch_of(store, value));
    store.time().snowflakes().set_epoch(epoch.transpose()?);
    Ok(())
}

/// A value that is none of the words for what the database was opened with.
fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.eq_ignore_ascii_case("default"))
}

fn node_of(text: &str) -> Result<u32> {
    let node = value::whole(NODE, text, Unit::Count, 0, NODE_MAX.into())?;
    node.parse().map_err(|_| refuse(NODE, text))
}

/// Reads an epoch, in milliseconds since 1970.
fn epoch_of(store: &Store, text: &str) -> Result<i64> {
    let Ok(Value::TimestampTz(micros)) = text::parse(text, DataType::TimestampTz) else {
        return Err(refuse(EPOCH, text));
    };
    let epoch = micros.div_euclid(1000);
    let now = store.time().tell().div_euclid(1000);
    match now.checked_sub(epoch) {
        Some(0..EPOCH_REACH_MILLIS) => Ok(epoch),
        _ => Err(invalid(format!(
            "{} is outside the valid range for parameter \"{EPOCH}\"",
            epoch_text(epoch)
        ))
        .with_detail("The epoch must be in the past, and not more than 69 years ago.")),
    }
}

fn epoch_text(millis: i64) -> String {
    let micros = millis.saturating_mul(1000);
    let shown = text::format(ValueRef::TimestampTz(micros), DataType::TimestampTz);
    shown.unwrap_or_default()
}
