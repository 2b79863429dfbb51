//! One attempt of a statement: it runs once, in the transaction of the open block or in one of its own.
//!
//! The order of its effects. `tests/attempt.rs` has a test for each line but three, which other tests are about: line 6 in
//! `tests/system.rs`, line 8 in `tests/durability.rs`, line 15 in `tests/notifications.rs`.
//!
//! | | effect | in a transaction of its own | in a block |
//! |---|---|---|---|
//! | 1 | a change is refused while nothing can be logged | | |
//! | 2 | the transaction begins | at the session's level | with the first statement that needs it |
//! | 3 | the plan is made good for the catalog that the transaction sees | | |
//! | 4 | a change is refused where nothing may be changed | by the session's setting | by the block's |
//! | 5 | parameters are cast | | |
//! | 6 | the activity record has the transaction | | and counts the statement |
//! | 7 | the clock is set | it stands at no time yet | it stands where an earlier statement of the snapshot has read it |
//! | 8 | commits that the statement may show at once are durable | | |
//! | 9 | the statement runs as one command, what its functions have taken from rate limits is written, and all of it goes if it fails | with its transaction | back to the mark |
//! | 10 | deferred constraints are checked | if it has changed anything | by COMMIT |
//! | 11 | temporary tables are emptied or dropped | if it has changed anything | by COMMIT |
//! | 12 | the interrupt is looked at for the last time, and the commit is durable | if it has changed anything | by COMMIT |
//! | 13 | numbers and commits that it shows are durable | if it has changed nothing | |
//! | 14 | the time that it has read is the transaction's, even if it has failed | | |
//! | 15 | notifications that it has sent | are handed out with line 12 or behind line 13 | by COMMIT |
//! | 16 | settings that it has changed hold | | |

use super::core::Session;
use super::dispatch::{self, Done, Pipe};
use super::schema_elements;
use crate::error::Result;
use crate::exec::Transaction;
use crate::exec::{self, ExecContext};
use crate::function::{Needs, SessionScope, StatementScope, Times};
use crate::plan::statement::Planned;
use crate::session::plans::call::Call;
use crate::session::plans::prepared::{Names, Prepared};
use crate::session::sweeper::Sweeper;
use crate::session::transaction::temporary;
use remora_storage::transaction::Mark;
use remora_storage::{Durability, Store, TransactionOptions};
use std::sync::Arc;

impl Session {
    /// Runs a statement once. On error nothing of it is left.
    pub(in crate::session) fn attempt(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let changes = prepared.plan.planned.changes();
        if changes {
            self.store.check_writable()?;
        }
        // A transaction stays where it is until it is committed: to move it takes as long as to begin it.
        let is_alone = self.is_idle();
        let mut own = match is_alone {
            true => {
                let options = TransactionOptions {
                    isolation: self.settings.isolation(),
                    read_only: !changes,
                    durability: Some(self.durability()),
                    sweeps: None,
                };
                Some(Transaction::begin(&self.store, options)?)
            }
            false => None,
        };
        let tx = self.block.begun_or(&mut own, &self.store, &self.record)?;
        let names = Names {
            catalog: tx.catalog(),
            path: &self.path,
            effort: self.settings.effort(),
        };
        if prepared.refresh(names)? {
            let catalog = Arc::clone(tx.catalog());
            self.forget_plans(&catalog, is_alone);
        }
        let planned = &prepared.plan.planned;
        let scope = planned.needs.any();
        let scope = scope.then(|| Arc::new(self.settings_scope()));
        let read_only = self.is_read_only();
        let is_synchronous = self.durability() == Durability::Sync;
        if read_only {
            dispatch::refuse_change(planned)?;
        }
        call.context.eval.style.clone_from(self.settings.style());
        call.bind(prepared)?;
        let tx = self.block.begun_or(&mut own, &self.store, &self.record)?;
        let isolation = tx.options().isolation;
        self.conflicts.ran_in = (tx.id(), isolation);
        match is_alone {
            true => self.record.runs_alone(tx.id().0, isolation, changes),
            false => self.record.runs_in_block(tx.id().0, read_only),
        }
        call.context.eval.clock.times = Times::starting(tx.time());
        if let Some(scope) = &scope {
            call.context.eval.scope = Some(Arc::clone(scope) as Arc<dyn SessionScope>);
            call.use_scope((tx, &self.path), read_only, is_synchronous, &self.sequences);
        }
        if planned.statement.shows_at_once() {
            wait_shown(&self.store, tx, is_synchronous)?;
        }
        let before = tx.begin_command();
        if planned.needs.has(Needs::ROWS) {
            call.show_rows(tx);
        }
        let mut done = dispatch::run(&prepared.plan, tx, call, pipe).and_then(|done| {
            if let Some(elements) = prepared.schema_elements() {
                schema_elements::make(elements, prepared, tx, call)?;
            }
            if !Arc::ptr_eq(tx.catalog(), prepared.catalog()) {
                self.has_brief_tables |= temporary::makes_brief(&planned.statement);
                self.sessions.sweeper.follow(tx.catalog(), &self.store)?;
            }
            if planned.needs.has(Needs::WRITES) {
                write_limits(tx, call, (&self.sessions.sweeper, &self.store))?;
            }
            Ok(done)
        });
        // A query that is still to be read has an account of its own.
        call.context.eval.memory.end();
        if is_alone {
            if done.is_ok() {
                self.end_own(&mut own, planned, call)?;
            }
        } else {
            self.stay_in_block(before, &mut done, planned, call);
        }
        if let (Ok(_), Some(scope)) = (&done, &scope) {
            self.take_over_settings(scope)?;
        }
        done
    }

    /// Ends the transaction of a statement that has succeeded outside of blocks.
    #[inline]
    fn end_own(
        &mut self,
        own: &mut Option<Transaction>,
        planned: &Planned,
        call: &Call,
    ) -> Result<()> {
        let takes_numbers = planned.needs.has(Needs::EFFECTS);
        if let Some(tx) = own
            && tx.has_writes()
        {
            self.before_commit(tx, Some(&call.context))?;
            // The last moment: a commit cannot be undone.
            call.context.check()?;
            let committing = match takes_numbers {
                true => self.commit_with(tx, call.take_outbox())?,
                false => tx.commit_in_place()?,
            };
            // Its snapshot is given up before anybody is waited for.
            *own = None;
            self.last_commit = committing.wait()?;
            return Ok(());
        }
        if takes_numbers {
            call.scope().map_or(Ok(()), StatementScope::before_shown)?;
        }
        // Also where it would have changed something: that there was nothing to change.
        if let Some(tx) = own
            && (planned.shows_commits || takes_numbers || planned.changes())
        {
            wait_shown(&self.store, tx, self.durability() == Durability::Sync)?;
        }
        if takes_numbers {
            self.announce(call.take_outbox());
        }
        Ok(())
    }

    /// Leaves the transaction of a block to the statements that follow, without the changes of one that has failed.
    fn stay_in_block(
        &mut self,
        before: Mark,
        done: &mut Result<Done>,
        planned: &Planned,
        call: &Call,
    ) {
        let is_synchronous = self.durability() == Durability::Sync;
        let changes = planned.changes();
        let takes_numbers = planned.needs.has(Needs::EFFECTS);
        let block = &mut self.block;
        let Some(tx) = &mut block.tx else {
            return;
        };
        // The first that asks for the time fixes it for all.
        if let (None, Some(micros)) = (tx.time(), call.context.eval.clock.read_at()) {
            tx.set_time(micros);
        }
        if done.is_ok() && (changes || planned.shows_commits || takes_numbers) {
            // The numbers of a change become durable with it.
            let numbers = call.scope().filter(|_| takes_numbers && !changes);
            let numbers = numbers.map_or(Ok(()), StatementScope::before_shown);
            let shown = numbers.and_then(|()| wait_shown(&self.store, tx, is_synchronous));
            if let Err(error) = shown {
                *done = Err(error);
            }
        }
        if done.is_ok() && takes_numbers {
            let kept = block.outbox.append(call.take_outbox(), &self.ledger);
            if let Err(error) = kept {
                *done = Err(error);
            }
        }
        match done {
            Ok(done) => self.record.wrote_in_block(done.changes),
            Err(_) => tx.rollback_to(before),
        }
    }

    /// Does what is left to be done before a transaction with changes is committed: deferred constraints are checked,
    /// temporary tables emptied or dropped. A COMMIT has no `context`: few need one.
    #[inline]
    pub(in crate::session) fn before_commit(
        &self,
        tx: &mut Transaction,
        context: Option<&ExecContext>,
    ) -> Result<()> {
        if tx.has_deferred() {
            self.check_deferred(tx, context)?;
        }
        match self.has_brief_tables {
            true => temporary::settle(tx, &self.path),
            false => Ok(()),
        }
    }

    #[cold]
    fn check_deferred(&self, tx: &mut Transaction, context: Option<&ExecContext>) -> Result<()> {
        match context {
            Some(context) => exec::check_deferred(tx, context),
            None => {
                let mut call = self.new_call();
                call.context.eval.clock.times = Times::starting(tx.time());
                exec::check_deferred(tx, &call.context)
            }
        }
    }

    /// The durability of commits now.
    pub(in crate::session) fn durability(&self) -> Durability {
        let setting = match self.settings.synchronous() {
            true => Durability::Sync,
            false => Durability::Buffered,
        };
        self.block.durability.unwrap_or(setting)
    }
}

/// Writes what functions of a statement have taken from rate limits, the rows of which expire.
#[inline(never)]
fn write_limits(
    tx: &mut Transaction,
    call: &Call,
    (sweeper, store): (&Sweeper, &Store),
) -> Result<()> {
    match call.scope() {
        Some(scope) if scope.write_limits(tx)? => sweeper.follow(&store.catalog(), store),
        _ => Ok(()),
    }
}

/// Waits until the commits that a transaction sees may be shown. Without `synchronous_commit` those that may be lost are
/// shown as well, as long as the log goes on.
#[inline]
pub(super) fn wait_shown(store: &Store, tx: &Transaction, is_synchronous: bool) -> Result<()> {
    match is_synchronous {
        true => store.wait_shown(tx.snapshot())?,
        false => store.check_shown(tx.snapshot())?,
    }
    Ok(())
}
