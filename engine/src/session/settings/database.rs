//! Settings that are not the session's own: those of the whole database, and of the transaction under way.
//!
//! Most of the database's are fixed when it is opened. Those that can be changed are changed at once and for all sessions:
//! a statement that does so runs outside transaction blocks, and no ROLLBACK takes it back. Settings of checkpoints belong
//! to a directory: in memory nothing is ever recovered, and a change is refused because it would have no effect.

use super::{id_settings, value};
use crate::error::Result;
use crate::session::execute::core::Session;
use crate::session::sessions::Sessions;
use remora_storage::pool::Ledger;
use remora_storage::store::{CheckpointSettings, Schedule};
use remora_storage::{Isolation, Store};
use std::sync::Arc;
use std::time::Duration;

/// State that the settings show.
#[derive(Debug)]
pub(super) struct SharedState {
    pub store: Store,
    pub ledger: Arc<Ledger>,
    pub sessions: Arc<Sessions>,
    pub isolation: Isolation,
    pub read_only: bool,
}

type Set = fn(&Session, Option<&str>) -> Result<()>;

/// One setting.
pub(super) struct Shared {
    pub name: &'static str,
    pub show: fn(&SharedState) -> String,
    /// Changes it; without a value it becomes what the database was opened with.
    pub set: Option<Set>,
}

const fn fixed(name: &'static str, show: fn(&SharedState) -> String) -> Shared {
    Shared {
        name,
        show,
        set: None,
    }
}

const MAX_MEMORY: &str = "max_memory";
const CHECKPOINT_TIMEOUT: &str = "checkpoint_timeout";
const RECOVERY_TARGET: &str = "recovery_target";

pub(super) static SHARED: &[Shared] = &[
    Shared {
        name: MAX_MEMORY,
        show: |state| value::show_bytes(state.ledger.budget()),
        set: Some(|session, value| {
            let bytes = match value {
                Some(value) => value::bytes(MAX_MEMORY, value)?,
                None => session.ledger.initial_budget(),
            };
            Ok(session.ledger.set_budget(bytes)?)
        }),
    },
    Shared {
        name: CHECKPOINT_TIMEOUT,
        show: |state| show_checkpoints(state, |settings| &mut settings.timeout),
        set: Some(|session, value| {
            set_checkpoints(session, CHECKPOINT_TIMEOUT, value, |settings| {
                &mut settings.timeout
            })
        }),
    },
    Shared {
        name: RECOVERY_TARGET,
        show: |state| show_checkpoints(state, |settings| &mut settings.recovery_target),
        set: Some(|session, value| {
            set_checkpoints(session, RECOVERY_TARGET, value, |settings| {
                &mut settings.recovery_target
            })
        }),
    },
    Shared {
        name: id_settings::NODE,
        show: |state| id_settings::show_node(&state.store),
        set: Some(|session, value| id_settings::set_node(&session.store, value)),
    },
    Shared {
        name: id_settings::EPOCH,
        show: |state| id_settings::show_epoch(&state.store),
        set: Some(|session, value| id_settings::set_epoch(&session.store, value)),
    },
    fixed("max_active_statements", |state| {
        let admission = state.sessions.admission.as_ref();
        let places = admission.map(|admission| admission.places());
        places.unwrap_or(0).to_string()
    }),
    fixed("loss_window", |state| {
        // `0` where nothing is logged, or where no thread writes the log by itself.
        let log = state.store.durability_status().log;
        value::show_duration(log.and_then(|log| log.loss_window))
    }),
    fixed("max_transactions", |state| {
        state.store.max_transactions().to_string()
    }),
    fixed("secure_delete", |state| {
        value::show_switch(state.store.secure_delete())
    }),
    fixed("pressure_thresholds", |state| {
        let percent = state.ledger.pressure().thresholds().percent();
        percent.map(|percent| percent.to_string()).join(", ")
    }),
    fixed("transaction_isolation", |state| {
        state.isolation.name().to_owned()
    }),
    fixed("transaction_read_only", |state| {
        value::show_switch(state.read_only)
    }),
];

/// Returns the setting of that name.
pub(super) fn shared(name: &str) -> Option<&'static Shared> {
    SHARED
        .iter()
        .find(|setting| setting.name.eq_ignore_ascii_case(name))
}

type Place = fn(&mut CheckpointSettings) -> &mut Option<Duration>;

fn show_checkpoints(state: &SharedState, place: Place) -> String {
    let settings = state.store.schedule().map(Schedule::settings);
    value::show_duration(settings.and_then(|mut settings| *place(&mut settings)))
}

fn set_checkpoints(session: &Session, name: &str, value: Option<&str>, place: Place) -> Result<()> {
    let schedule = session.store.schedule().ok_or_else(|| {
        sql_error!(
            OBJECT_NOT_IN_PREREQUISITE_STATE,
            "parameter \"{name}\" cannot be changed for a database in memory"
        )
        .with_hint("Only the database of a directory has checkpoints.")
    })?;
    let value = value.filter(|value| !value.eq_ignore_ascii_case("default"));
    let length = match value {
        Some(value) => value::duration(name, value)?,
        None => *place(&mut schedule.initial_settings()),
    };
    let mut settings = schedule.settings();
    *place(&mut settings) = length;
    schedule.set(settings);
    Ok(())
}
