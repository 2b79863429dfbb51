//! How a statement passes through a session.
//!
//! 1. COMMIT, SET, CHECKPOINT and their like are the session's own business.
//! 2. All others get a storage transaction: that of the open block, or one of their own.
//! 3. The plan is made good for the catalog that this transaction sees, parameters are cast to the
//!    types it wants, the clock is read, and the statement runs as one command of the transaction.
//! 4. Whatever it shows is durable first, unless `synchronous_commit` is off: it waits until its snapshot
//!    is, whoever has made it and at whatever level. While the log is full or has failed, a statement whose
//!    snapshot is not durable is run again, with one that is; and a change is refused before it begins.
//!
//! A statement of its own (autocommit) that loses a write conflict is run again, with a pause, a
//! limited number of times: nothing of it was shown.

use super::backoff::Backoff;
use super::conflict::SessionConflicts;
use super::cursors::{Cursors, outside_block};
use super::dispatch::{self, Done, Pipe};
use super::lock_wait::{LockWaitListener, Patience};
use super::schema_elements;
use crate::activity::SessionRecord;
use crate::error::{Error, Result};
use crate::exec::Reliefs;
use crate::function::{
    Needs, SearchPath, SessionScope, SessionSequences, StatementClock, now_micros,
};
use crate::plan::Statement;
use crate::plan::statement::SHOW_ALL;
use crate::session::limits::admission::{Permit, Waiting};
use crate::session::limits::housekeeper::{Limit, Watch};
use crate::session::plans::named::NamedStatements;
use crate::session::plans::plan_cache::PlanCache;
use crate::session::plans::prepared::{Call, Names, Prepared};
use crate::session::plans::session_planner::SessionPlanner;
use crate::session::plans::template::Template;
use crate::session::sessions::Sessions;
use crate::session::settings::Settings;
use crate::session::settings::settings_scope::SettingsScope;
use crate::session::transaction::temporary;
use crate::session::transaction::transaction_block::TransactionBlock;
use remora_storage::catalog::Catalog;
use remora_storage::pool::Ledger;
use remora_storage::transaction::Committed;
use remora_storage::{Durability, Store, Transaction, TransactionOptions, Value};
use std::sync::Arc;
use std::time::Instant;

/// What a connection holds.
#[derive(Debug)]
pub(in crate::session) struct Session {
    pub(in crate::session) store: Store,
    pub(in crate::session) block: TransactionBlock,
    pub(in crate::session) settings: Settings,
    pub(in crate::session) cache: PlanCache,
    /// Where texts are read into.
    pub(in crate::session) template: Template,
    /// Where it looks for names.
    pub(in crate::session) path: Arc<SearchPath>,
    /// Whether it may have tables that a commit empties or drops.
    pub(in crate::session) has_brief_tables: bool,
    /// What PREPARE has named.
    pub(in crate::session) named: NamedStatements,
    /// What DECLARE has.
    pub(in crate::session) cursors: Cursors,
    /// What others see of it.
    pub(in crate::session) record: Arc<SessionRecord>,
    /// The number of the statement that was planned last.
    pub(in crate::session) planned: u32,
    pub(in crate::session) sessions: Arc<Sessions>,
    /// Its time limits, once there were any.
    pub(in crate::session) watch: Option<Arc<Watch>>,
    /// The turn that its statement has.
    pub(in crate::session) permit: Option<Permit>,
    /// When the block began, if there are limits.
    pub(in crate::session) block_began: Option<Instant>,
    /// What the block was ended by, until the client knows.
    pub(in crate::session) ended_by: Option<Limit>,
    pub(in crate::session) ledger: Arc<Ledger>,
    pub(in crate::session) notices: Vec<String>,
    pub(in crate::session) conflicts: SessionConflicts,
    /// Called when a statement has begun to wait for a rival.
    pub(in crate::session) lock_wait_listener: Option<LockWaitListener>,
    /// What it has taken from sequences.
    pub(in crate::session) sequences: Arc<SessionSequences>,
    /// Plans what running statements turn out to need.
    pub(in crate::session) planner: Arc<SessionPlanner>,
    /// Where the last commit stands among all, and in the log.
    pub(in crate::session) last_commit: Committed,
}

impl Session {
    pub(in crate::session) fn new(
        store: Store,
        sessions: &Arc<Sessions>,
        record: Arc<SessionRecord>,
    ) -> Result<Self> {
        let path = SearchPath::of_session(record.number());
        let path = Arc::new(path.with_host(sessions.host.lock().clone()));
        // Another session had the number before, and was not cleared up after.
        temporary::clear(&store, &path)?;
        let mut session = Self {
            path,
            has_brief_tables: false,
            ledger: Arc::clone(store.ledger()),
            store,
            block: TransactionBlock::default(),
            settings: Settings::new(Arc::clone(&sessions.presets))?,
            cache: PlanCache::new(record.plan_cache()),
            template: Template::default(),
            named: NamedStatements::default(),
            cursors: Cursors::default(),
            record,
            planned: 0,
            sessions: Arc::clone(sessions),
            watch: None,
            permit: None,
            block_began: None,
            ended_by: None,
            notices: Vec::new(),
            conflicts: SessionConflicts::default(),
            lock_wait_listener: None,
            planner: Arc::default(),
            sequences: Arc::default(),
            last_commit: Committed::default(),
        };
        session.follow_path();
        session.watch_limits()?;
        Ok(session)
    }

    pub(in crate::session) fn new_call(&self) -> Call {
        Call::new(&self.record, &self.ledger, &self.planner)
    }

    pub(in crate::session) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The catalog that the next statement sees.
    pub(in crate::session) fn catalog(&self) -> Arc<Catalog> {
        match &self.block.tx {
            Some(tx) => Arc::clone(tx.catalog()),
            None => self.store.catalog(),
        }
    }

    /// What names mean, where that is the catalog.
    pub(in crate::session) fn names<'n>(&'n self, catalog: &'n Arc<Catalog>) -> Names<'n> {
        Names {
            catalog,
            path: &self.path,
            effort: self.settings.effort(),
        }
    }

    /// Forgets plans that are good for another catalog only, and with them the tables that they name.
    #[cold]
    fn forget_plans(&mut self, catalog: &Arc<Catalog>) {
        self.cache.follow(Names {
            catalog,
            path: &self.path,
            effort: self.settings.effort(),
        });
        let rises = self.ledger.pressure().rises();
        self.sessions.plans.follow(catalog, rises);
    }

    /// The warnings since they were last taken.
    pub(in crate::session) fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Runs one statement.
    pub(in crate::session) fn step(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let statement = &prepared.plan.planned.statement;
        self.check_not_failed(statement.gets_out_of_failure())?;
        let is_control = statement.is_control();
        if let Some(arguments) = &prepared.arguments {
            call.take_arguments(arguments)?;
        }
        // From here on no limit of the statement before can be reached.
        self.end_limits();
        // Statements by key look at it nowhere else.
        self.record.interrupt().check_new()?;
        prepared.begin(&self.record);
        self.begin_limits();
        if is_control {
            // What it does cannot be undone by an error.
            call.bind(prepared)?;
            return self.control(prepared, call);
        }
        if let Some(declare) = &prepared.declare {
            self.check_declare(declare)?;
        }
        if let Some(what) = prepared.runs_alone() {
            self.refuse_in_block(what)?;
        }
        if self.is_idle() && matches!(statement, Statement::LockTables(_)) {
            return Err(outside_block("LOCK TABLE"));
        }
        self.admit()?;
        if let Some(declare) = prepared.declare.clone() {
            let done = self.run(prepared, call, pipe)?;
            return self.declare(prepared, &declare, done, call);
        }
        let place = match pipe {
            Pipe::None => None,
            _ => self.lend_place(),
        };
        match (place, pipe) {
            (Some(place), Pipe::Reader(reader)) => {
                let mut reader = Waiting::new(&mut **reader, place);
                self.run(prepared, call, &mut Pipe::Reader(&mut reader))
            }
            (Some(place), Pipe::Writer(writer)) => {
                let mut writer = Waiting::new(&mut **writer, place);
                self.run(prepared, call, &mut Pipe::Writer(&mut writer))
            }
            (_, pipe) => self.run(prepared, call, pipe),
        }
    }

    fn run(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        match self.is_idle() {
            true => self.autocommit(prepared, call, pipe),
            false => self.in_block(prepared, call, pipe),
        }
    }

    /// Statements about the transaction, the session or the store.
    fn control(&mut self, prepared: &Prepared, call: &mut Call) -> Result<Done> {
        let nothing = |()| Done::default();
        match &prepared.plan.planned.statement {
            Statement::Begin(options) => {
                let begun = self.begin_block(*options).map(nothing);
                let start = &mut self.block.start_micros;
                start.get_or_insert_with(now_micros);
                begun
            }
            Statement::SetTransaction(options) => self.set_transaction(*options).map(nothing),
            Statement::SetCharacteristics(options) => {
                self.set_characteristics(*options).map(nothing)
            }
            Statement::Commit { chain: false } => self.commit_block().map(Done::tagged),
            Statement::Commit { chain: true } => {
                self.chain("COMMIT", Self::commit_block).map(Done::tagged)
            }
            Statement::Rollback { chain: false } => {
                self.rollback_block();
                Ok(Done::default())
            }
            Statement::Rollback { chain: true } => self
                .chain("ROLLBACK", |session| {
                    session.rollback_block();
                    Ok(())
                })
                .map(nothing),
            Statement::Savepoint(name) => self.savepoint(name).map(|_| Done::default()),
            Statement::Release(name) => self.release(name).map(nothing),
            Statement::RollbackTo(name) => self.rollback_to(name).map(nothing),
            Statement::Prepare(name, types) => {
                self.name_statement(prepared, name, types).map(nothing)
            }
            Statement::Deallocate(name) => self.forget_statement(name.as_deref()).map(nothing),
            Statement::Discard(what) => self.discard(*what).map(nothing),
            Statement::Upkeep { vacuum: true } => self.refuse_in_block("VACUUM").map(nothing),
            Statement::Upkeep { vacuum: false } => Ok(Done::default()),
            Statement::Fetch(fetch) => {
                self.admit()?;
                self.fetch(fetch, call)
            }
            Statement::Close(name) => self.close_cursor(name.as_deref()).map(nothing),
            Statement::Checkpoint => self.checkpoint().map(nothing),
            Statement::Compact(table) => self.compact(*table, &call.context),
            Statement::Set { name, value, local } => {
                self.set(name, value.as_deref(), *local).map(nothing)
            }
            Statement::Show(name) if name == SHOW_ALL => self.show_all().map(Done::list),
            Statement::Show(name) => self
                .show(name)
                .map(|value| Done::list(vec![vec![Value::Text(value)]])),
            _ => unreachable!("all others run in a transaction"),
        }
    }

    fn autocommit(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        self.begin_conflicts();
        let mut backoff = Backoff::default();
        let mut patience = Patience::default();
        let mut reliefs = Reliefs::default();
        loop {
            let result = self.attempt(prepared, call, pipe);
            match &result {
                Err(error)
                    if matches!(pipe, Pipe::None) && self.is_relieved(error, &mut reliefs) => {}
                Err(error) if matches!(pipe, Pipe::None) && self.may_wait(error) => {
                    if !self.wait_for_rival(error, None, &mut patience)? {
                        return result;
                    }
                }
                Err(error) if error.is_retryable() && pipe.is_untouched_after(error) => {
                    self.note_conflict(error);
                    // Others may run meanwhile, the rival for one.
                    self.permit = None;
                    let again = backoff.pause(self.record.interrupt());
                    // Whoever asked it to stop hears that it did.
                    self.record.interrupt().check()?;
                    if !again {
                        return result;
                    }
                    self.forget_conflict();
                    self.admit()?;
                }
                _ => return result,
            }
        }
    }

    /// Frees memory for a statement that was refused some. Returns whether it may succeed if it runs again.
    fn is_relieved(&mut self, error: &Error, reliefs: &mut Reliefs) -> bool {
        let Some((wanted, available)) = error.refused_bytes() else {
            return false;
        };
        self.cache.clear();
        self.sessions.plans.clear();
        let relieve = |wanted| self.store.relieve(wanted, available);
        reliefs.free(self.store.ledger(), wanted, relieve)
    }

    fn attempt(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let isolation = self.settings.isolation();
        let changes = prepared.plan.planned.changes();
        if changes {
            self.store.check_writable()?;
        }
        let mut tx = self.store.begin_with(TransactionOptions {
            isolation,
            read_only: !changes,
            durability: Some(self.durability()),
        })?;
        self.record.runs_alone(tx.id().0, isolation, changes);
        self.conflicts.ran_in = (tx.id(), isolation);
        if prepared.refresh(self.names(tx.catalog()))? {
            self.forget_plans(tx.catalog());
        }
        let planned = &prepared.plan.planned;
        let settings = planned.needs.any().then(|| self.lend_settings(call));
        if self.settings.read_only() {
            dispatch::refuse_change(planned)?;
        }
        call.context.eval.style.clone_from(self.settings.style());
        call.bind(prepared)?;
        call.context.eval.clock = StatementClock::starting(None);
        let takes_numbers = planned.needs.has(Needs::EFFECTS);
        if planned.needs.any() {
            let read_only = self.settings.read_only();
            let synchronous = self.settings.synchronous();
            call.use_sequences((&tx, &self.path), read_only, synchronous, &self.sequences);
        }
        if planned.statement.shows_at_once() {
            self.before_shown(&tx)?;
        }
        tx.begin_command();
        // On error the transaction is dropped here, and with it what the statement changed.
        let done = dispatch::run(&prepared.plan, &mut tx, call, pipe)?;
        schema_elements::make(prepared, &mut tx, call)?;
        self.has_brief_tables |= temporary::makes_brief(&planned.statement);
        if tx.has_writes() {
            if tx.has_aside() {
                crate::exec::check_deferred(&mut tx, &call.context)?;
            }
            if self.has_brief_tables {
                temporary::settle(&mut tx, &self.path)?;
            }
            // The last moment: what is committed cannot be taken back.
            call.context.check()?;
            self.last_commit = tx.commit()?;
        } else {
            if let Some(numbers) = call.numbers().filter(|_| takes_numbers) {
                numbers.before_shown()?;
            }
            if planned.shows_commits || takes_numbers || changes {
                // Also that there was nothing to change.
                self.before_shown(&tx)?;
            }
        }
        self.take_over_settings(settings.as_deref())?;
        Ok(done)
    }

    /// Waits until what a transaction sees may be shown. What may be lost is shown to whoever asked for that, as long
    /// as the log goes on.
    fn before_shown(&self, tx: &Transaction) -> Result<()> {
        match self.settings.synchronous() {
            true => self.store.wait_shown(tx.snapshot())?,
            false => self.store.check_shown(tx.snapshot())?,
        }
        Ok(())
    }

    /// Lets a statement ask for settings, and change them.
    fn lend_settings(&self, call: &mut Call) -> Arc<SettingsScope> {
        let scope = Arc::new(self.settings_scope());
        call.context.eval.scope = Some(Arc::clone(&scope) as Arc<dyn SessionScope>);
        scope
    }

    fn in_block(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        self.begin_conflicts();
        let mut patience = Patience::default();
        let mut reliefs = Reliefs::default();
        let waits = self.settings.lock_timeout().is_some() && matches!(pipe, Pipe::None);
        loop {
            let is_first = self.block.tx.is_none() && self.block.savepoints.is_empty();
            let before = self.block.tx.as_ref().filter(|_| waits);
            let before = before.map(|tx| tx.read_mark());
            let result = self.attempt_in_block(prepared, call, pipe);
            if let Err(error) = &result
                && matches!(pipe, Pipe::None)
                && self.is_relieved(error, &mut reliefs)
            {
                continue;
            }
            let error = match &result {
                Err(error) if waits && error.is_retryable() => error,
                _ => return result,
            };
            if is_first {
                // Nobody has used its snapshot.
                self.block.tx = None;
            }
            let own = self.block.tx.as_ref().map(|tx| tx.id());
            let again = match error.running_rival() {
                Some(_) => self.wait_for_rival(error, own, &mut patience)?,
                None if is_first => self.wait_for_snapshot(error, &mut patience)?,
                None => false,
            };
            if !again {
                return result;
            }
            // Nobody was shown what this attempt has read.
            if let (Some(tx), Some(before)) = (&self.block.tx, before) {
                tx.forget_reads(before);
            }
        }
    }

    fn attempt_in_block(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let (read_only, start) = (self.block.read_only, self.block.start_micros);
        let synchronous = self.durability() == Durability::Sync;
        let changes = prepared.plan.planned.changes();
        if changes {
            self.store.check_writable()?;
        }
        let tx = self.block.begun(&self.store, &self.record)?;
        let names = Names {
            catalog: tx.catalog(),
            path: &self.path,
            effort: self.settings.effort(),
        };
        if prepared.refresh(names)? {
            self.cache.follow(names);
        }
        let planned = &prepared.plan.planned;
        let settings = planned.needs.any().then(|| self.lend_settings(call));
        let tx = self.block.begun(&self.store, &self.record)?;
        if read_only {
            dispatch::refuse_change(planned)?;
        }
        call.context.eval.style.clone_from(self.settings.style());
        call.bind(prepared)?;
        self.record.runs_in_block(tx.id().0, read_only);
        self.conflicts.ran_in = (tx.id(), tx.options().isolation);
        call.context.eval.clock = StatementClock::starting(start);
        let takes_numbers = planned.needs.has(Needs::EFFECTS);
        if planned.needs.any() {
            call.use_sequences((tx, &self.path), read_only, synchronous, &self.sequences);
        }
        let before_shown = |tx: &Transaction| match synchronous {
            true => self.store.wait_shown(tx.snapshot()),
            false => self.store.check_shown(tx.snapshot()),
        };
        if planned.statement.shows_at_once() {
            before_shown(tx)?;
        }
        let before = tx.begin_command();
        let mut done = dispatch::run(&prepared.plan, tx, call, pipe).and_then(|done| {
            schema_elements::make(prepared, tx, call)?;
            Ok(done)
        });
        self.has_brief_tables |= temporary::makes_brief(&planned.statement);
        if done.is_ok() && (changes || planned.shows_commits || takes_numbers) {
            let numbers = call.numbers().filter(|_| takes_numbers && !changes);
            let numbers = numbers.map_or(Ok(()), |numbers| numbers.before_shown());
            let shown = before_shown(tx).map_err(Error::from);
            done = numbers.and(shown).and(done);
        }
        match &done {
            Ok(done) => self.record.wrote_in_block(done.changes),
            Err(_) => tx.rollback_to(before),
        }
        // The first who asks for the time fixes it for all.
        self.block.start_micros = start.or_else(|| call.context.eval.clock.read_at());
        if done.is_ok() {
            self.take_over_settings(settings.as_deref())?;
        }
        done
    }

    /// How durable what is committed now shall be.
    pub(in crate::session) fn durability(&self) -> Durability {
        let setting = match self.settings.synchronous() {
            true => Durability::Sync,
            false => Durability::Buffered,
        };
        self.block.durability.unwrap_or(setting)
    }

    pub(in crate::session) fn refuse_in_block(&self, statement: &str) -> Result<()> {
        if self.is_idle() {
            return Ok(());
        }
        Err(sql_error!(
            ACTIVE_SQL_TRANSACTION,
            "{statement} cannot run inside a transaction block"
        ))
    }
}
