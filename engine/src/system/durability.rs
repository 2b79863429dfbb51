//! Durability of commits, and what a crash could take at the moment of reading.

use super::table::system_table;

system_table! {
    /// One row. In memory nothing is durable, and the columns about the log are NULL.
    DURABILITY = "remora_durability", NOTHING;
    |context| for status in std::iter::once(context.core().durability_status());
    let log = status.log.as_ref();
    "level" Text = status.level.name(),
    "loss_window_ms" Double = log.and_then(|log| log.loss_window),
    "committed_timestamp" BigInt = status.committed.0,
    "committed_lsn" BigInt = log.map(|log| log.committed.1.0),
    "durable_timestamp" BigInt = log.map(|log| log.durable.0.0),
    "durable_lsn" BigInt = log.map(|log| log.durable.1.0),
    "transactions_at_risk" BigInt = log.map(|log| log.transactions_at_risk()),
    "bytes_at_risk" BigInt = log.map(|log| log.bytes_at_risk()),
    "ms_at_risk" Double = log.map(|log| log.oldest.unwrap_or_default()),
    "ms_at_risk_max" Double = log.map(|log| log.longest),
    "syncs" BigInt = log.map(|log| log.syncs),
    "sync_ms" Double = log.map(|log| log.sync_time),
    "log" Text = log.map(|log| log.condition.name()),
    "failure" Text = log.and_then(|log| log.condition.cause()),
}
