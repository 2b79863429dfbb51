//! Taking changes back: the other way in which states become unreachable.
//!
//! The owner of the changes holds the collector's lock meanwhile, because what it unlinks must be
//! retired, and because it must not read base rows while they are folded.

use super::collector::{Collector, Row};
use crate::catalog::{IndexEntry, TableEntry};
use crate::ids::IndexId;
use crate::mvcc::Operation;
use crate::write_set::{Write, WriteKind};
use std::sync::Arc;

impl Collector {
    /// Takes back the newest change of a row, which is that of `proof`'s owner. `entry` has all
    /// indexes that the change may have entries in, but for those that came late; `committed` those
    /// that older states may have some in: the owner may have dropped one of them, and take that back
    /// later.
    pub fn undo(
        &mut self,
        entry: &TableEntry,
        committed: &[Arc<IndexEntry>],
        write: &Write,
        proof: &Operation<'_>,
    ) {
        let Some((block, slot)) = entry.rows.place(write.row, proof) else {
            unreachable!("a row with an uncommitted change is in its block");
        };
        let row = Row {
            id: write.row,
            block,
            slot,
            horizon: self.timeline.horizon(),
            proof,
        };
        let indexes = entry.all_indexes();
        // Whoever locks a row gives it no key.
        let changes = write.kind != WriteKind::Lock;
        let gone = block.newest(slot, proof).image().filter(|_| changes);
        match write.kind {
            WriteKind::Insert => block.undo_insert(slot),
            WriteKind::Update(_) | WriteKind::Delete | WriteKind::Lock => {
                if let Some(garbage) = block.undo_change(slot, proof) {
                    self.retire(garbage);
                }
            }
            WriteKind::Ddl(_) | WriteKind::DeleteSome(_) | WriteKind::TakenBack => return,
        }
        if let Some(gone) = gone {
            // An older state that was cut off may have had that key as well: so it is not only the
            // indexes that the owner had.
            let is_own = |id: IndexId| indexes.iter().any(|own| own.def.id == id);
            let dropped = committed.iter().filter(|index| !is_own(index.def.id));
            for index in indexes.iter().chain(dropped) {
                row.remove_key(index, &gone);
            }
        }
        // What is the newest now was not folded while the change was above it.
        self.settle(&row, &entry.late.with(committed));
        if write.kind == WriteKind::Insert
            && let Some(garbage) = entry.rows.bury(write.row, proof)
        {
            self.retire(garbage);
        }
    }
}
