//! Checkpoints that are kept, as their manifests report them at the moment of reading.

use super::table::system_table;
use crate::error::Result;
use remora_storage::Error;
use remora_storage::checkpoint::kept;
use remora_storage::disk::Disk;
use remora_storage::store::KeptCheckpoint;

system_table! {
    /// The newest first, and behind them a row for each that cannot be read.
    CHECKPOINTS = "remora_checkpoints", NOTHING;
    |context|
    let disk = context.opening().and_then(|opening| opening.disk.as_deref());
    for (kept, damage) in disk.map_or_else(|| Ok(Vec::new()), checkpoints)?;
    let kept = kept.as_ref();
    let info = kept.and_then(|kept| kept.info.as_ref());
    "number" BigInt = kept.map(|kept| kept.number),
    "time" TimestampTz = info.map(|info| info.time()),
    "reason" Text = info.map(|info| info.reason.name()),
    "tables" BigInt = kept.map(|kept| kept.tables),
    "rows" BigInt = kept.map(|kept| kept.rows),
    "bytes" BigInt = kept.map(|kept| kept.bytes),
    "timestamp" BigInt = kept.map(|kept| kept.timestamp.0),
    "timeline" BigInt = kept.map(|kept| kept.timeline),
    "restored_from" BigInt = info.and_then(|info| info.restored_from),
    "is_current" Boolean = kept.map(|kept| kept.is_current),
    "damage" Text = damage.map(|error| error.to_string()),
}

fn checkpoints(disk: &dyn Disk) -> Result<Vec<(Option<KeptCheckpoint>, Option<Error>)>> {
    let kept = kept::list(disk)?;
    let whole = kept.checkpoints.into_iter().map(|one| (Some(one), None));
    let damaged = kept.damaged.into_iter().map(|error| (None, Some(error)));
    Ok(whole.chain(damaged).collect())
}
