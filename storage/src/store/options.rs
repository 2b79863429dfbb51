//! How a store is opened.

use super::schedule::CheckpointSettings;
use crate::checkpoint::kept::KEEP_DEFAULT;
use crate::pool::{Pool, PressureThresholds};
use crate::recovery::{RecoveryListener, RecoveryMode, RecoveryOptions};
use crate::time::{DatabaseTime, SystemTimeSource, TimeSource};
use crate::transaction::Durability;
use crate::wal::segment::SEGMENT_BYTES_MAX;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of log after which a checkpoint is written.
const CHECKPOINT_LOG_BYTES: u64 = 64 << 20;

/// How long after a checkpoint the next one comes, if anything is logged.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(300);

/// Bytes a second for checkpoints that nobody waits for.
const CHECKPOINT_RATE: u64 = 64 << 20;

/// How long a commit that nobody waited for may be at risk.
const LOSS_WINDOW: Duration = Duration::from_millis(100);
/// Longer is as good as for ever, and a moment so far from now can be told.
const LOSS_WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long a block must not have been changed to be frozen.
const FREEZE_AFTER: Duration = Duration::from_secs(10);

/// The system's clocks.
pub(super) fn system_time() -> Arc<dyn TimeSource> {
    Arc::new(SystemTimeSource)
}

/// How a store is opened.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// When a commit returns. A store in memory is always [`Durability::Memory`].
    pub durability: Durability,
    /// How long after its return a commit at [`Durability::Buffered`] may still be lost; `None` for
    /// 100 ms. What the store does about it stands with [`crate::wal::Flusher`].
    pub loss_window: Option<Duration>,
    /// The memory budget in bytes; `None` for 80 % of what the machine or its cgroup grants.
    pub max_memory: Option<u64>,
    /// Where the levels of memory pressure begin.
    pub pressure_thresholds: PressureThresholds,
    /// Whether memory of rows, strings and versions is cleared as soon as it is free, so that no
    /// deleted value stays there. It does not reach indexes, buffers and files.
    pub secure_delete: bool,
    /// How many transactions, and unfinished reads of theirs, there can be at a time; `None` for 4,096, which
    /// is the most.
    pub max_transactions: Option<usize>,
    /// Whether nothing runs in the background, so that tests are deterministic.
    pub manual_maintenance: bool,
    /// Bytes of log after which the background writes a checkpoint; `None` for 64 MiB.
    pub checkpoint_log_bytes: Option<u64>,
    /// How long after a checkpoint the background writes the next one, if anything was logged; `None` for
    /// 5 minutes, `Duration::MAX` for never.
    pub checkpoint_timeout: Option<Duration>,
    /// How long the replay of the log may take after a crash: the background writes checkpoints often enough
    /// for that. `None` for any time.
    pub recovery_target: Option<Duration>,
    /// Bytes a second that the background writes to a checkpoint, so that commits stay quick; `None` for
    /// 64 MiB, `u64::MAX` for no limit.
    pub checkpoint_rate: Option<u64>,
    /// Whether closing writes a checkpoint, so that opening has nothing to replay.
    pub checkpoint_on_close: bool,
    /// How many checkpoints before the current one are kept; `None` for 2.
    pub keep_checkpoints: Option<usize>,
    /// The length beyond which a segment of the log gets no further batch; `None` for 64 MiB.
    pub segment_bytes: Option<u64>,
    /// The name that a new database in a directory gets; `None` for a random one. Only for who simulates, and
    /// wants the same bytes in every run: two databases of one name may be taken for each other.
    pub database_id: Option<[u8; 16]>,
    /// How long nobody must have changed a block of rows for the background to encode it; `None`
    /// for 10 seconds.
    pub freeze_after: Option<Duration>,
    /// What is done about damage when a directory is opened.
    pub recovery: RecoveryMode,
    /// Who is told how far recovery is.
    pub on_recovery: Option<RecoveryListener>,
    /// The source of the time; `None` for the clocks of the disk, which are the system's unless it is simulated.
    pub time: Option<Arc<dyn TimeSource>>,
    /// Whether the wall clock is right also where the files say that it is later than that: by itself time never goes
    /// back. What has expired meanwhile and was not cleared away comes back.
    pub accept_clock: bool,
    /// The node in snowflake ids, up to [`crate::time::NODE_MAX`]; `None` for one that is drawn from the name and the place of
    /// the database, and at random in memory.
    pub node_id: Option<u32>,
    /// The epoch of snowflake ids in milliseconds since 1970; `None` for [`crate::time::EPOCH_MILLIS`].
    pub snowflake_epoch: Option<i64>,
}

impl StoreOptions {
    /// Where nothing else is said, it is as late as the `source` says.
    pub(super) fn recovery(&self, pool: Arc<Pool>, source: Arc<dyn TimeSource>) -> RecoveryOptions {
        RecoveryOptions {
            pool,
            manual_maintenance: self.manual_maintenance,
            segment_bytes_max: self.segment_bytes_max(),
            mode: self.recovery,
            listener: self.on_recovery.clone(),
            database_id: self.database_id,
            loss_window: self.loss_window(),
            time: self.time.clone().unwrap_or(source),
            accept_clock: self.accept_clock,
        }
    }

    /// The time of a store in memory.
    pub(super) fn time_in_memory(&self) -> DatabaseTime {
        let source = self.time.clone();
        let source = source.unwrap_or_else(system_time);
        DatabaseTime::new(source, self.accept_clock)
    }

    pub(super) fn durability_on_disk(&self) -> Durability {
        match self.durability {
            Durability::Memory => Durability::Buffered,
            level => level,
        }
    }

    /// Within which time commits become durable; `None` where there is no background, and nobody has said that he
    /// will do what it does.
    pub(super) fn loss_window(&self) -> Option<Duration> {
        let window = self.loss_window.unwrap_or(LOSS_WINDOW);
        let is_kept = self.loss_window.is_some() || !self.manual_maintenance;
        is_kept.then_some(window.min(LOSS_WINDOW_MAX))
    }

    /// When the background freezes a block; `None` where there is no background.
    pub(super) fn freeze_after(&self) -> Option<Duration> {
        let after = self.freeze_after.unwrap_or(FREEZE_AFTER);
        (!self.manual_maintenance).then_some(after)
    }

    pub(super) fn checkpoint_log_bytes(&self) -> u64 {
        self.checkpoint_log_bytes.unwrap_or(CHECKPOINT_LOG_BYTES)
    }

    /// Bytes a second; `None` for no limit.
    pub(super) fn checkpoint_rate(&self) -> Option<u64> {
        let rate = self.checkpoint_rate.unwrap_or(CHECKPOINT_RATE);
        (rate < u64::MAX).then_some(rate)
    }

    pub(super) fn checkpoint_settings(&self) -> CheckpointSettings {
        let timeout = self.checkpoint_timeout.unwrap_or(CHECKPOINT_TIMEOUT);
        CheckpointSettings {
            timeout: (timeout < Duration::MAX).then_some(timeout),
            recovery_target: self.recovery_target,
        }
    }

    pub(super) fn keep_checkpoints(&self) -> usize {
        self.keep_checkpoints.unwrap_or(KEEP_DEFAULT)
    }

    pub(super) fn segment_bytes_max(&self) -> u64 {
        self.segment_bytes.unwrap_or(SEGMENT_BYTES_MAX)
    }
}
