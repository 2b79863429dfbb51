//! ALTER SEQUENCE, and what ALTER TABLE does to the sequence of an identity column.

use crate::error::Result;
use crate::plan::sequence::SequenceChange;
use remora_storage::{Error, SequenceId, Transaction};

/// Gives a sequence other options, and another position where it is restarted.
///
/// # Errors
/// 22023, 40001.
pub fn alter_sequence(tx: &mut Transaction, id: SequenceId, change: &SequenceChange) -> Result<()> {
    let entry = tx.catalog().sequence_by_id(id).cloned();
    let entry = entry.ok_or_else(|| Error::UndefinedRelation(id.to_string()))?;
    let position = entry.state()?.position;
    let (def, restart) = change.alter(&entry.def, position)?;
    Ok(tx.alter_sequence(def, restart)?)
}
