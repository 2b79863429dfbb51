//! How durable commits are, and what a crash could take now. Its moment is when it is read.

use super::rows::{count, text};
use super::table::SystemTable;
use remora_storage::Value;
use remora_storage::store::DurabilityStatus;
use std::time::Duration;

/// The one row. In memory nothing is durable, and nothing is said about it.
pub(super) fn row(status: &DurabilityStatus) -> Vec<Value> {
    let level = text(status.level.name());
    let committed = count(status.committed.0);
    let Some(log) = &status.log else {
        let mut row = vec![level, Value::Null, committed];
        row.resize(SystemTable::Durability.columns().len(), Value::Null);
        return row;
    };
    vec![
        level,
        log.loss_window.map_or(Value::Null, millis),
        committed,
        count(log.committed.1.0),
        count(log.durable.0.0),
        count(log.durable.1.0),
        count(log.transactions_at_risk()),
        count(log.bytes_at_risk()),
        millis(log.oldest.unwrap_or_default()),
        millis(log.longest),
        count(log.syncs),
        millis(log.sync_time),
        text(log.condition.name()),
        log.condition
            .cause()
            .map_or(Value::Null, |cause| text(&cause)),
    ]
}

fn millis(length: Duration) -> Value {
    Value::Double(length.as_secs_f64() * 1000.0)
}
