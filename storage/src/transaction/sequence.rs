//! Sequences: taking numbers, and their DDL.
//!
//! Numbers are taken beside transactions: from a counter that all share, under its latch. Where the log
//! has to be told of more numbers, that is a frame of its own, which is no commit:
//!
//! ```text
//!   A: takes 1    log: [ s goes on behind 33 ]
//!   B: takes 2                                  nothing: 33 is logged
//!   A: commits    log:                        [ insert 1 ]     later in the log, so no more durable
//! ```
//!
//! A number is in a commit only after it was taken, and it is taken only when its frame is queued: no
//! commit that uses it is durable unless that frame is.
//!
//! Locks, in order: the commit section, then a counter's latch. The section makes a checkpoint find
//! every frame that was queued before its position in the counters.
//!
//! If we crash: numbers between the last one taken and the last one logged are never given away.

use super::{Core, Transaction};
use crate::catalog::{
    Catalog, CatalogChange, CatalogObject, Counter, CounterState, SequenceDef, SequenceEntry,
    SequencePosition,
};
use crate::error::{Error, Result};
use crate::ids::SequenceId;
use crate::wal::FrameBuilder;
use std::sync::Arc;

impl Core {
    /// Takes the next number of a sequence.
    ///
    /// # Errors
    /// `SequenceEnds`; `SchemaConflict` where another transaction has dropped or restarted it since;
    /// `OutOfMemory`, `LogFailed`, `Closed` where the log takes nothing.
    #[inline]
    pub fn next_value(&self, sequence: &SequenceEntry) -> Result<i64> {
        match sequence.take_covered()? {
            Some(number) => Ok(number),
            None => self.take_and_log(sequence),
        }
    }

    #[cold]
    fn take_and_log(&self, sequence: &SequenceEntry) -> Result<i64> {
        let taken = self.move_counter(sequence, |state| sequence.after_taking(state))?;
        Ok(taken.position.last)
    }

    /// Has a sequence go on at a position, whoever has taken numbers from it.
    ///
    /// # Errors
    /// As for [`Self::next_value`].
    pub fn set_value(&self, sequence: &SequenceEntry, position: SequencePosition) -> Result<()> {
        let moved = self.move_counter(sequence, |state| Ok(state.moved_to(position)));
        moved.map(drop)
    }

    fn move_counter(
        &self,
        sequence: &SequenceEntry,
        after: impl Fn(CounterState) -> Result<CounterState>,
    ) -> Result<CounterState> {
        loop {
            let before = sequence.state()?;
            let after = after(before)?;
            let Some(attached) = self.log().filter(|_| before.is_shared) else {
                if sequence.counter.change(before, after, || {}) {
                    return Ok(after);
                }
                continue;
            };
            let mut frame = FrameBuilder::new();
            frame.sequence(sequence.def.id, after.logged);
            attached.log.reserve(&mut frame)?;
            let _section = self.commit.lock();
            let timestamp = self.timeline.latest();
            let append = || {
                attached.log.append(frame, timestamp);
            };
            if sequence.counter.change(before, after, append) {
                return Ok(after);
            }
            // Somebody else has moved it: mostly so far that there is nothing to log any more.
        }
    }
}

impl Transaction {
    /// Where numbers are taken: beside all transactions.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Creates a sequence; `def.id` is ignored and given anew.
    ///
    /// # Errors
    /// `DuplicateRelation`, `ReadOnly`.
    pub fn create_sequence(&mut self, mut def: SequenceDef) -> Result<SequenceId> {
        if self.catalog().has_name(def.place()) {
            return Err(Error::DuplicateRelation(def.name));
        }
        def.id = self.core.next_sequence()?;
        let id = def.id;
        let change = CatalogChange::CreateSequence(def.clone());
        self.set_sequence(id, Some(SequenceEntry::new(def)), change)?;
        Ok(id)
    }

    /// Makes a sequence what `def` says, whose id tells which one is meant. It goes on where it stands,
    /// or, from this transaction's commit on, for others at `restart`. Where it goes on by another rule, the
    /// commit fails with `SchemaConflict` if others take numbers until then.
    ///
    /// # Errors
    /// `UndefinedRelation`, `DuplicateRelation`, `ReadOnly`; `SchemaConflict` where it is retired, or stands
    /// outside the new limits.
    pub fn alter_sequence(
        &mut self,
        def: SequenceDef,
        restart: Option<SequencePosition>,
    ) -> Result<()> {
        let id = def.id;
        let entry = self.catalog().sequence_by_id(id);
        let entry = entry.ok_or_else(|| Error::UndefinedRelation(id.to_string()))?;
        let mut altered = entry.with_def(def.clone());
        if let Some(position) = restart {
            altered.counter = Arc::new(Counter::at(position));
        } else if def.rule != entry.def.rule {
            // Of its own: by another rule the shared one would give numbers away that others have had,
            // and would not go back when this is rolled back.
            let position = entry.state()?.position;
            if !def.rule.admits(position) {
                return Err(entry.retired());
            }
            altered.counter = Arc::new(Counter::continuing(position));
        }
        self.set_sequence(id, Some(altered), CatalogChange::AlterSequence(def))
    }

    /// Drops a sequence. At commit it conflicts with a default that takes numbers from it.
    ///
    /// # Errors
    /// `UndefinedRelation`, `ReadOnly`.
    pub fn drop_sequence(&mut self, id: SequenceId) -> Result<()> {
        if self.catalog().sequence_by_id(id).is_none() {
            return Err(Error::UndefinedRelation(id.to_string()));
        }
        self.set_sequence(id, None, CatalogChange::DropSequence(id))
    }

    fn set_sequence(
        &mut self,
        id: SequenceId,
        entry: Option<SequenceEntry>,
        change: CatalogChange,
    ) -> Result<()> {
        self.step(CatalogObject::Sequence(id), None, Some(change), |catalog| {
            catalog.set_sequence(id, entry.map(Arc::new))
        })
    }

    /// The catalog as a step of DDL left it.
    fn after_step(&self, step: usize) -> &Catalog {
        match self.ddl.get(step + 1) {
            Some(next) => next.before(),
            None => self.catalog(),
        }
    }

    /// A step as it is logged. With a counter that others do not have yet comes where it stands; of one
    /// that they have, the log knows.
    pub(super) fn encode_step(&self, frame: &mut FrameBuilder, number: usize) {
        let step = &self.ddl[number];
        let catalogs = [step.before(), self.after_step(number)];
        if catalogs
            .iter()
            .any(|catalog| catalog.is_temporary(step.object()))
        {
            return;
        }
        if let Some(change) = step.change() {
            frame.catalog(change);
        }
        let CatalogObject::Sequence(id) = step.object() else {
            return;
        };
        // The counter that it had then: that of a later step may stand outside these limits.
        if let Some(entry) = self.after_step(number).sequence_by_id(id)
            && !entry.counter.is_shared()
        {
            frame.sequence(id, entry.counter.logged());
        }
    }

    /// Retires the counters whose place others take, or none. Called in the commit section, as the last
    /// thing that can fail: no number is taken between a look at where they stand and their end.
    ///
    /// # Errors
    /// `SchemaConflict` where one has moved that another one continues; then nothing has happened.
    pub(super) fn retire_counters(&self) -> Result<()> {
        // Nobody else holds two of these latches, or waits for the section under one.
        let mut held = Vec::new();
        for (number, step) in self.ddl.iter().enumerate() {
            let CatalogObject::Sequence(id) = step.object() else {
                continue;
            };
            let Some(before) = step.before().sequence_by_id(id) else {
                continue;
            };
            let now = self.after_step(number).sequence_by_id(id);
            let now = now.map(|entry| &entry.counter);
            if now.is_some_and(|now| Arc::ptr_eq(now, &before.counter)) {
                continue;
            }
            let state = before.counter.hold_for(now.map(|now| &**now));
            held.push(state.ok_or_else(|| before.retired())?);
        }
        held.iter_mut().for_each(|state| state.retire());
        Ok(())
    }

    /// Others take numbers from the counters of the catalog to be installed. Called in the commit section,
    /// when the frame is in the log. The log is told nothing of temporary ones, which only their session has.
    pub(super) fn share_counters(&self, installed: &Catalog) {
        for step in &self.ddl {
            if let CatalogObject::Sequence(id) = step.object()
                && let Some(entry) = installed.sequence_by_id(id)
                && !entry.def.schema.is_temporary()
            {
                entry.counter.share();
            }
        }
    }
}
