//! ALTER SEQUENCE, and changes of an identity column's sequence by ALTER TABLE.

use crate::error::Result;
use crate::exec::Transaction;
use crate::plan::sequence::SequenceChange;
use remora_storage::{Error, SequenceId};

/// Changes the options of a sequence, and its position on RESTART.
///
/// # Errors
/// 22023, 40001.
pub(crate) fn alter_sequence(
    tx: &mut Transaction,
    id: SequenceId,
    change: &SequenceChange,
) -> Result<()> {
    let entry = tx.catalog().sequence_by_id(id).cloned();
    let entry = entry.ok_or_else(|| Error::UndefinedRelation(id.to_string()))?;
    let position = entry.state()?.position;
    let (def, restart) = change.alter(&entry.def, position)?;
    Ok(tx.alter_sequence(def, restart)?)
}
