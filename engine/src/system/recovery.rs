//! Recovery: what opening the database found and did, and what it found damaged.

use super::table::system_table;
use remora_storage::store::Lost;
use remora_storage::{Interval, Value};
use std::time::Duration;

fn span(time: Duration) -> Value {
    Value::Interval(Interval {
        months: 0,
        days: 0,
        micros: i64::try_from(time.as_micros()).unwrap_or(i64::MAX),
    })
}

system_table! {
    /// The report of opening the database.
    RECOVERY = "remora_recovery", NOTHING;
    |context| for opening in context.opening().into_iter();
    let report = &opening.report;
    let [images, log, indexes] = report.elapsed;
    "created" Boolean = report.created,
    "clean" Boolean = report.clean,
    "mode" Text = report.mode.name(),
    "checkpoint" BigInt = report.checkpoint.map(|at| at.0),
    "image_bytes" BigInt = report.image_bytes,
    "rows_loaded" BigInt = report.rows_loaded,
    "images_ms" Double = images,
    "frames_replayed" BigInt = report.frames_replayed,
    "changes_replayed" BigInt = report.changes_replayed,
    "bytes_replayed" BigInt = report.bytes_replayed,
    "log_ms" Double = log,
    "index_entries" BigInt = report.index_entries,
    "indexes_ms" Double = indexes,
    "bytes_dropped" BigInt = report.bytes_dropped,
    "dropped_because" Text = report.dropped_because.as_ref(),
    "losses" BigInt = report.losses.len() as u64,
    "quarantine" Text = report.quarantine.as_ref(),
    "disk_full" Text = report.full.as_ref(),
    "ahead" Interval = report.ahead.map(span),
}

system_table! {
    /// Damage that was found, and what was lost by it.
    RECOVERY_LOSSES = "remora_recovery_losses", NOTHING;
    |context| for loss in context.opening().into_iter().flat_map(|opening| &opening.report.losses);
    let rows = match &loss.what {
        Lost::Rows { table, block, rows } => Some((table, block.0, *rows)),
        _ => None,
    };
    let range = match &loss.what {
        Lost::Log(range) => Some(range),
        _ => None,
    };
    "file" Text = &loss.file,
    "offset" BigInt = loss.offset,
    "table_name" Text = rows.map(|(table, ..)| table),
    "block" BigInt = rows.map(|(_, block, _)| block),
    "rows" BigInt = rows.map(|(.., rows)| rows),
    "from_position" BigInt = range.map(|range| range.start.0),
    "to_position" BigInt = range.map(|range| range.end.0),
    "changes" BigInt = match &loss.what {
        Lost::Changes(changes) => Some(*changes),
        _ => None,
    },
    "because" Text = &loss.because,
}
