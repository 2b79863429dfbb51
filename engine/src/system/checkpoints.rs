//! The checkpoints that are kept, as their manifests tell at the moment of asking.

use super::rows::{count, moment, text};
use super::table::SystemTable;
use crate::error::Result;
use remora_storage::Value;
use remora_storage::checkpoint::kept;
use remora_storage::disk::Disk;
use remora_storage::store::KeptCheckpoint;

/// A row a checkpoint, the newest first, and one for each that cannot be read.
pub(super) fn rows(disk: &dyn Disk) -> Result<Vec<Vec<Value>>> {
    let kept = kept::list(disk)?;
    let damaged = kept.damaged.iter().map(|error| {
        let mut row = vec![Value::Null; SystemTable::Checkpoints.columns().len() - 1];
        row.push(text(&error.to_string()));
        row
    });
    Ok(kept.checkpoints.iter().map(row).chain(damaged).collect())
}

fn row(one: &KeptCheckpoint) -> Vec<Value> {
    let info = one.info.as_ref();
    let restored_from = info.and_then(|info| info.restored_from);
    vec![
        count(one.number),
        info.map_or(Value::Null, |info| moment(info.time())),
        info.map_or(Value::Null, |info| text(info.reason.name())),
        count(one.tables),
        count(one.rows),
        count(one.bytes),
        count(one.timestamp.0),
        count(one.timeline.into()),
        restored_from.map_or(Value::Null, count),
        Value::Boolean(one.is_current),
        Value::Null,
    ]
}
