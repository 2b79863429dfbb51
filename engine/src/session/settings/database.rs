//! `checkpoint_timeout` and `recovery_target`: settings of the whole database, like `max_memory`.
//!
//! They belong to a directory: where there is none, nothing is ever recovered, and what would have no
//! effect is refused. What `BEGIN` has begun takes no part: ROLLBACK does not take them back.

use super::value;
use crate::error::Result;
use remora_storage::Store;
use remora_storage::store::{CheckpointSettings, Schedule};
use std::time::Duration;

const CHECKPOINT_TIMEOUT: &str = "checkpoint_timeout";
const RECOVERY_TARGET: &str = "recovery_target";

/// What they are called.
pub(in crate::session) fn names() -> impl Iterator<Item = &'static str> {
    [CHECKPOINT_TIMEOUT, RECOVERY_TARGET].into_iter()
}

/// The setting of that name, if it is one of these.
fn known(name: &str) -> Option<&'static str> {
    names().find(|known| known.eq_ignore_ascii_case(name))
}

/// Where the setting is kept.
fn place<'s>(settings: &'s mut CheckpointSettings, name: &str) -> &'s mut Option<Duration> {
    match name {
        CHECKPOINT_TIMEOUT => &mut settings.timeout,
        _ => &mut settings.recovery_target,
    }
}

fn schedule<'s>(store: &'s Store, name: &str) -> Result<&'s Schedule> {
    store.schedule().ok_or_else(|| {
        sql_error!(
            OBJECT_NOT_IN_PREREQUISITE_STATE,
            "parameter \"{name}\" cannot be changed for a database in memory"
        )
        .with_hint("Only the database of a directory has checkpoints.")
    })
}

/// Whether the name is one of these settings.
pub(in crate::session) fn are(name: &str) -> bool {
    known(name).is_some()
}

/// Changes one; without a value it is what the database was opened with.
///
/// # Errors
/// 22023; 55000 in memory.
pub(in crate::session) fn set(store: &Store, name: &str, value: Option<&str>) -> Result<()> {
    let name = known(name).expect("one of these settings");
    let schedule = schedule(store, name)?;
    let value = value.filter(|value| !value.eq_ignore_ascii_case("default"));
    let length = match value {
        Some(value) => value::parse(name, value)?,
        None => *place(&mut schedule.initial_settings(), name),
    };
    let mut settings = schedule.settings();
    *place(&mut settings, name) = length;
    schedule.set(settings);
    Ok(())
}

/// What one is set to; nothing where the name is not one of these.
pub(in crate::session) fn show(store: &Store, name: &str) -> Option<String> {
    let name = known(name)?;
    let settings = store.schedule().map(Schedule::settings);
    let length = settings.and_then(|mut settings| *place(&mut settings, name));
    Some(value::format(length))
}
