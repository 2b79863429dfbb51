//! CHECKPOINT and COMPACT: what the background does in time, done now.

use super::core::Session;
use super::dispatch::Done;
use crate::error::Result;
use crate::exec::ExecContext;
use remora_storage::{Stop, TableId, Value};

impl Session {
    pub(in crate::session) fn checkpoint(&mut self) -> Result<()> {
        self.refuse_in_block("CHECKPOINT")?;
        self.store.checkpoint()?;
        Ok(())
    }

    /// Returns one row: rows moved, bytes freed, blocks left as they are for lack of memory, and what the largest
    /// request for one of them was for. A transaction's own snapshot would hold back what it is to give back.
    pub(in crate::session) fn compact(
        &mut self,
        table: Option<TableId>,
        context: &ExecContext,
    ) -> Result<Done> {
        self.refuse_in_block("COMPACT")?;
        let is_asked = || context.check().is_err();
        let compacted = self.store.compact_unless(table, Stop::when(&is_asked));
        let compacted = compacted.map_err(|error| context.stopped(error))?;
        let count = |count: u64| Value::BigInt(i64::try_from(count).unwrap_or(i64::MAX));
        let row = [
            compacted.rows,
            compacted.bytes,
            compacted.blocks_left,
            compacted.bytes_wanted,
        ];
        Ok(Done::list(vec![row.map(count).to_vec()]))
    }
}
