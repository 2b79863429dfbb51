//! What opening the database found and did.

use super::rows::{count, text};
use remora_storage::Value;
use remora_storage::store::{Loss, Lost, RecoveryReport};
use std::time::Duration;

/// The one row of `remora_recovery`.
pub(super) fn row(report: &RecoveryReport) -> Vec<Value> {
    let optional = |value: &Option<String>| value.as_deref().map_or(Value::Null, text);
    let [images, log, indexes] = report.elapsed.map(millis);
    vec![
        Value::Boolean(report.created),
        Value::Boolean(report.clean),
        text(report.mode.name()),
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
        optional(&report.dropped_because),
        count(report.losses.len() as u64),
        optional(&report.quarantine),
        optional(&report.full),
    ]
}

/// A row of `remora_recovery_losses`.
pub(super) fn loss(loss: &Loss) -> Vec<Value> {
    let mut row = vec![Value::Null; 9];
    row[0] = text(&loss.file);
    row[1] = count(loss.offset);
    match &loss.what {
        Lost::Nothing => {}
        Lost::Rows { table, block, rows } => {
            row[2] = text(table);
            row[3] = count(block.0.into());
            row[4] = count(*rows);
        }
        Lost::Log(range) => {
            row[5] = count(range.start.0);
            row[6] = count(range.end.0);
        }
        Lost::Changes(changes) => row[7] = count(*changes),
    }
    row[8] = text(&loss.because);
    row
}

fn millis(took: Duration) -> Value {
    Value::Double(took.as_secs_f64() * 1e3)
}
