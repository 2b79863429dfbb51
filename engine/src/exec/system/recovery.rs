//! What opening the database found and did.

use super::{count, text};
use remora_storage::Value;
use remora_storage::store::RecoveryReport;
use std::time::Duration;

/// The one row of `remora_recovery`.
pub(super) fn row(report: &RecoveryReport) -> Vec<Value> {
    let [images, log, indexes] = report.elapsed.map(millis);
    vec![
        Value::Boolean(report.created),
        Value::Boolean(report.clean),
        report.checkpoint.map_or(Value::Null, |at| count(at.0)),
        count(report.image_bytes),
        count(report.rows_loaded),
        images,
        count(report.frames_replayed),
        count(report.changes_replayed),
        count(report.bytes_replayed),
        log,
        count(report.index_entries),
        indexes,
        count(report.bytes_dropped),
        report.dropped_because.as_deref().map_or(Value::Null, text),
    ]
}

fn millis(took: Duration) -> Value {
    Value::Double(took.as_secs_f64() * 1e3)
}
