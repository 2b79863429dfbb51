//! What is known of a checkpoint beside what is in it.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Why a checkpoint was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointReason {
    /// The log had become long.
    Size,
    /// The last one was some time ago.
    Time,
    /// Somebody asked for it.
    Command,
    /// Replaying the log would have taken longer than recovery may take.
    RecoveryTarget,
    /// The database was being closed.
    Close,
    /// An older one was made current, or what was there before was to be kept.
    Restore,
    /// It is a copy of another database.
    Backup,
    /// It is what could be kept of a damaged directory.
    Salvage,
}

impl CheckpointReason {
    /// Its name, as in SQL and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Time => "time",
            Self::Command => "command",
            Self::RecoveryTarget => "recovery_target",
            Self::Close => "close",
            Self::Restore => "restore",
            Self::Backup => "backup",
            Self::Salvage => "salvage",
        }
    }
}

/// What is known of a checkpoint beside what is in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointInfo {
    /// What it is called: every checkpoint of a database has a higher number than those before it.
    pub number: u64,
    /// When it was written, in microseconds since 1970.
    pub micros: i64,
    /// Why.
    pub reason: CheckpointReason,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of all that it consists of.
    pub bytes: u64,
    /// The checkpoint whose state it is, where it was made by restoring that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<u64>,
}

impl CheckpointInfo {
    /// When it was written.
    pub fn time(&self) -> SystemTime {
        let distance = Duration::from_micros(self.micros.unsigned_abs());
        let time = match self.micros < 0 {
            true => UNIX_EPOCH.checked_sub(distance),
            false => UNIX_EPOCH.checked_add(distance),
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}
