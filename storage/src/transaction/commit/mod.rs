//! Commit.

mod unlogged;

use super::ddl::DdlStep;
use super::validate::Validation;
use super::{Committed, Core, RowRef, Transaction, TransactionOptions};
use crate::block::Chain;
use crate::catalog::{Catalog, CatalogObject, same_rows};
use crate::error::{Error, Result};
use crate::ids::{Lsn, Timestamp};
use crate::mvcc::{Operation, Registration};
use crate::pool::{Claim, Reservation};
use crate::table::{Change, ChangedBlocks};
use crate::wal::{FrameBuilder, TIME_BYTES_MAX};
use crate::write_set::{Write, WriteKind, WriteSet};
use arc_swap::Guard;
use smallvec::SmallVec;
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::time::Duration;

/// What a commit that made the database larger waits where memory is nearly used up, so that
/// clearing away keeps up.
const SLOW_PAUSE: Duration = Duration::from_millis(1);

/// A commit of which only waiting is left.
#[derive(Debug, Default)]
#[must_use = "it may not be durable yet"]
pub struct Committing {
    committed: Committed,
    rest: Option<Rest>,
}

impl Committing {
    /// Waits until it is as durable as the transaction's options ask.
    ///
    /// # Errors
    /// `OutcomeUnknown`
    pub fn wait(self) -> Result<Committed> {
        if let Some(rest) = self.rest {
            rest.run(self.committed.lsn)?;
        }
        Ok(self.committed)
    }
}

impl Transaction {
    pub(super) fn new(
        core: Arc<Core>,
        registration: Registration,
        options: TransactionOptions,
        base: Guard<Arc<Catalog>>,
    ) -> Self {
        Self {
            core,
            registration,
            options,
            time: None,
            command: 0,
            base,
            own: None,
            ddl: Vec::new(),
            set: WriteSet::default(),
            reads: RefCell::default(),
            shared: OnceCell::new(),
            departures: None,
        }
    }

    /// Makes all changes visible to later snapshots, at once, and waits until they are as durable
    /// as its options ask.
    ///
    /// # Errors
    /// Nothing has happened, except for `OutcomeUnknown`.
    pub fn commit(mut self) -> Result<Committed> {
        let committing = self.commit_in_place()?;
        drop(self);
        committing.wait()
    }

    /// The first half of [`Self::commit`]: all changes are visible. It stays where it is, since it is some hundred bytes,
    /// and to move it takes as long as to begin one; to be dropped before [`Committing::wait`], which waits without a
    /// snapshot.
    ///
    /// # Errors
    /// Nothing has happened; the transaction can only be dropped.
    pub fn commit_in_place(&mut self) -> Result<Committing> {
        self.commit_in_place_then(None)
    }

    /// Like [`Self::commit_in_place`], but calls `then` in the commit section, with the timestamp of the commit, once its
    /// changes are visible: calls come in the order of commits. `then` must be quick, and take no lock within which somebody
    /// commits. It is not called where nothing was written: there is no commit then.
    ///
    /// # Errors
    /// As for [`Self::commit_in_place`]; `then` was not called.
    pub fn commit_in_place_then(
        &mut self,
        then: Option<&mut dyn FnMut(Timestamp)>,
    ) -> Result<Committing> {
        if !self.has_writes() {
            // Locks are rolled back.
            return Ok(Committing::default());
        }
        if self.core.has_to_wait() {
            // Nearly all of it has been reserved since the first write.
            let ledger = self.core.ledger();
            self.set.reserve_to_wait(ledger, Claim::Emergency)?;
        }
        if let Some(shared) = self.shared.get() {
            shared.end();
        }
        let mut validation = Validation::of(self);
        if let Some(validation) = &mut validation {
            validation.look_ahead(self)?;
        }
        let changes = self.changes();
        let mut frame = None;
        let memory = self.set.take_frame();
        if let Some(attached) = self.core.log() {
            let mut encoded = self.encode(memory, attached.log.part_bytes());
            if encoded.is_empty() {
                self.log_unlogged(attached, &mut encoded)?;
            }
            // Of what is temporary nothing is logged.
            if !encoded.is_empty() {
                if !attached.waits(self.options.durability) {
                    attached.log.keep_window()?;
                }
                if let Some(micros) = self.core.time.told() {
                    encoded.time(micros);
                }
                attached.log.reserve(&mut encoded)?;
                frame = Some(encoded);
            }
        }
        if let Some(validation) = &mut validation {
            validation.look_ahead(self)?;
        }
        let (timestamp, lsn) = self.enter_order(frame, validation, &changes, then)?;
        Ok(Committing {
            rest: self.finish(timestamp),
            committed: Committed {
                timestamp: Some(timestamp),
                lsn,
            },
        })
    }

    /// The commit section.
    fn enter_order(
        &self,
        frame: Option<FrameBuilder>,
        validation: Option<Validation>,
        changes: &[(u32, Change, ChangedBlocks)],
        then: Option<&mut dyn FnMut(Timestamp)>,
    ) -> Result<(Timestamp, Option<Lsn>)> {
        let core = &*self.core;
        let _section = core.commit.lock();
        if let Some(mut validation) = validation {
            validation.look_at_rest(self, &core.catalog.load())?;
        }
        let catalog = self.check_structure()?;
        let timestamp = Timestamp(core.timeline.latest().0 + 1);
        if let (Some(attached), None) = (core.log(), &frame) {
            self.check_unlogged(attached)?;
        }
        self.retire_counters()?;
        // From here on nothing fails.
        let lsn = match (core.log(), frame) {
            (Some(attached), Some(frame)) => Some(attached.log.append(frame, timestamp)),
            (Some(attached), None) => {
                attached.log.pass(timestamp);
                None
            }
            (None, _) => None,
        };
        if let Some(mut catalog) = catalog {
            catalog.set_since(timestamp);
            self.share_counters(&catalog);
            core.install_catalog(catalog);
        }
        let horizon = core.timeline.validation_horizon();
        for (table, change, blocks) in changes {
            let touched = &self.set.touched()[*table as usize];
            let rows = &touched.entry.rows;
            match self.options.sweeps == Some(touched.entry.def.id) {
                true => rows.note_departed(timestamp, horizon),
                false => rows.note_commit(timestamp, change, horizon),
            }
            rows.note_blocks(timestamp, blocks);
        }
        core.timeline.commit(&self.registration, timestamp);
        if let Some(then) = then {
            then(timestamp);
        }
        Ok((timestamp, lsn))
    }

    /// What others who validate have to know of, by table, and checkpoints, if there are any. Locks change
    /// nothing.
    fn changes(&self) -> SmallVec<[(u32, Change, ChangedBlocks); 1]> {
        let is_change = |write: &Write| !write.is_of_no_row() && write.kind != WriteKind::Lock;
        let is_logged = self.core.log().is_some();
        let mut changes = SmallVec::new();
        for (table, touched) in (0..).zip(self.set.touched()) {
            if !touched.rows {
                continue;
            }
            let writes = self.set.iter().filter(|write| write.table == table);
            let rows = writes.filter(is_change).map(|write| write.row);
            // Checkpoints want to know, and whoever looks for rows that have expired.
            let is_asked = is_logged || touched.entry.def.expiry.is_some();
            let blocks = match is_asked {
                true => ChangedBlocks::of(rows.clone()),
                false => ChangedBlocks::default(),
            };
            changes.push((table, Change::new(rows, self.core.ledger()), blocks));
        }
        changes
    }

    /// Whether the tables written to are still what they were, but for their indexes: those that came
    /// have the keys of what was written ([`crate::catalog::LateIndexes`]). And the catalog to be installed, if
    /// this transaction changed it. Called inside the commit section.
    fn check_structure(&self) -> Result<Option<Catalog>> {
        let latest = self.core.catalog.load();
        if !Arc::ptr_eq(&latest, &self.base) {
            for touched in self.set.touched() {
                let id = touched.entry.def.id;
                let own = self.restructured().any(|changed| changed == id);
                if !own && !same_rows(self.base.table_by_id(id), latest.table_by_id(id)) {
                    return Err(Error::SchemaConflict {
                        table: touched.entry.def.name.clone(),
                    });
                }
            }
        }
        if self.ddl.is_empty() {
            return Ok(None);
        }
        Catalog::merge(&self.base, &latest, &self.steps()).map(Some)
    }

    /// What each step of DDL was about, and the catalog after it.
    fn steps(&self) -> Vec<(CatalogObject, &Catalog)> {
        let after = self.ddl.iter().skip(1).map(DdlStep::before);
        let after = after.chain(std::iter::once(&**self.catalog()));
        self.ddl.iter().map(DdlStep::object).zip(after).collect()
    }

    /// Stamps what was written, hands it to the collector, and leaves. What is left to do waits for
    /// others, and is done without the snapshot.
    fn finish(&mut self, timestamp: Timestamp) -> Option<Rest> {
        self.stamp(timestamp);
        self.publish_indexes(timestamp);
        self.end_departures();
        self.count_rows();
        self.leave_gates();
        let (writes, grows) = (self.set.len(), self.set.grows());
        let changes_catalog = !self.ddl.is_empty();
        self.core.hand_over(timestamp, &mut self.set);
        let asked = self.options.durability;
        let waits = self.core.log().is_some_and(|log| log.waits(asked));
        let pauses = grows && self.core.is_nearly_full();
        (waits || pauses || self.core.is_behind()).then(|| Rest {
            core: Arc::clone(&self.core),
            writes,
            pauses,
            waits,
            changes_catalog,
        })
    }

    /// Tells tables with bounds how many rows they have gained and lost, and those who wait for room in them.
    fn count_rows(&self) {
        for (table, touched) in (0..).zip(self.set.touched()) {
            if let Some(count) = touched.entry.rows.count() {
                let writes = self.set.iter().filter(|write| write.table == table);
                let of = |kind| writes.clone().filter(|write| write.kind == kind).count() as u64;
                let deleted = of(WriteKind::Delete);
                count.note_commit(of(WriteKind::Insert), deleted);
                if deleted > 0 {
                    let table = touched.entry.def.id;
                    self.core.waiting.call_for_room(table, deleted);
                }
            }
        }
    }

    fn stamp(&self, timestamp: Timestamp) {
        // Others may have chained versions over ours by now, which may go at any time.
        let operation = self.registration.enter();
        for write in self.set.iter() {
            if write.is_of_no_row() {
                continue;
            }
            let rows = &self.set.entry(&write).rows;
            if let Some((block, slot)) = rows.place(write.row, &operation) {
                block.stamp(slot, &operation, timestamp);
            }
        }
    }

    /// The write set as a log frame, or several, of about `part_bytes` each.
    ///
    /// A row that was changed several times is logged as often, each time with the last values of
    /// the columns that changed then: replayed in order they come to the same.
    fn encode(
        &self,
        (memory, bytes): (Option<Reservation>, usize),
        part_bytes: usize,
    ) -> FrameBuilder {
        let operation = self.registration.enter();
        // A part is put aside once it is so long, which the last operation may pass.
        let bytes = bytes.min(part_bytes + part_bytes / 8) + TIME_BYTES_MAX;
        let mut frame = FrameBuilder::with_memory(memory, bytes);
        for write in self.set.entries() {
            frame.cut_if_long(part_bytes, self.core.ledger());
            if let WriteKind::Ddl(step) = write.kind {
                self.encode_step(&mut frame, step as usize);
                continue;
            }
            let entry = self.set.entry(write);
            if entry.def.unlogged || entry.def.schema.is_temporary() {
                continue;
            }
            let table = entry.def.id;
            match write.kind {
                WriteKind::Ddl(_) | WriteKind::Lock | WriteKind::TakenBack => {}
                WriteKind::Delete => frame.delete(table, write.row),
                WriteKind::DeleteSome(slots) => {
                    frame.delete_some(table, write.row.block(), self.set.slots(slots));
                }
                WriteKind::Insert => {
                    let image = self.image(&operation, write, |chain| chain.last()?.image());
                    let columns = entry.def.columns.iter();
                    let values = columns.map(|column| (column.id, image.get(column.id)));
                    frame.insert(table, write.row, values);
                }
                WriteKind::Update(columns) => {
                    let image = self.image(&operation, write, |mut chain| {
                        chain.find_map(|link| link.image())
                    });
                    let columns = self.set.columns(columns).iter();
                    let values = columns.map(|column| (*column, image.get(*column)));
                    frame.update(table, write.row, values);
                }
            }
        }
        frame
    }

    fn image<'a>(
        &'a self,
        operation: &'a Operation<'a>,
        write: &Write,
        pick: impl FnOnce(Chain<'a>) -> Option<RowRef<'a>>,
    ) -> RowRef<'a> {
        let rows = &self.set.entry(write).rows;
        let place = rows.place(write.row, operation);
        place
            .and_then(|(block, slot)| pick(block.chain(slot, operation)))
            .expect("a row that was written has an image")
    }
}

/// What a commit does when its transaction is gone.
#[derive(Debug)]
struct Rest {
    core: Arc<Core>,
    writes: usize,
    pauses: bool,
    waits: bool,
    changes_catalog: bool,
}

impl Rest {
    fn run(self, lsn: Option<Lsn>) -> Result<()> {
        self.core.cooperate(self.writes);
        if self.pauses {
            std::thread::sleep(SLOW_PAUSE);
        }
        if let (Some(attached), Some(lsn), true) = (self.core.log(), lsn, self.waits) {
            attached.log.wait_durable(lsn)?;
        }
        if self.changes_catalog {
            self.core.forget_catalogs();
        }
        Ok(())
    }
}
