//! The rows' side of filling an index: which keys it is to have.
//!
//! An index has an entry for the key of every state that somebody may reach through it, committed or
//! not. The states of a row stay as they are while the collector's lock is held, but for versions that
//! are chained on top: so both steps here hold it, for some rows at a time.

use super::collector::{Collector, Row};
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::RowId;
use crate::index::Batch;
use crate::mvcc::Operation;
use crate::sync::{Fault, is_left_out};
use std::ops::Range;

/// Slots that are looked at in one go: a millisecond or so, in which nobody rolls back.
const STEP_SLOTS: usize = if cfg!(test) { 16 } else { 4096 };

impl Collector {
    /// Gathers the keys of all reachable states of the next rows, among those of `rows`; returns
    /// where to go on.
    pub fn gather_keys(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        rows: Range<RowId>,
        proof: &Operation<'_>,
        batch: &mut Batch,
    ) -> Result<RowId> {
        let horizon = self.timeline.horizon();
        let mut key = Vec::new();
        let visit = |id, block: &_, slot| {
            let row = Row {
                id,
                block,
                slot,
                horizon,
                proof,
            };
            for image in row.reachable().filter_map(|link| link.image()) {
                key.clear();
                let has_null = index.encode_row(&mut key, &image);
                if !index.leaves_out(&key) {
                    batch.push(&key, id, has_null)?;
                }
            }
            Ok(())
        };
        table.rows.visit_slots(rows, STEP_SLOTS, proof, visit)
    }

    /// Adds the entries of noted keys that some reachable state has, and removes the others.
    pub fn settle_noted<'k>(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        noted: impl Iterator<Item = (&'k [u8], RowId)>,
        proof: &Operation<'_>,
    ) -> Result<()> {
        let horizon = self.timeline.horizon();
        for (key, id) in noted {
            let _latch = index.latch(key);
            let is_wanted = table.rows.place(id, proof).is_some_and(|(block, slot)| {
                let row = Row {
                    id,
                    block,
                    slot,
                    horizon,
                    proof,
                };
                row.has_key(index, key)
            });
            if is_wanted {
                index.index.insert(key, id)?;
            } else if !is_left_out(Fault::NotedKeyStays) {
                index.index.remove(key, id);
            }
        }
        Ok(())
    }
}
