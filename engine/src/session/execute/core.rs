//! A session, and the way of a statement through it.
//!
//! 1. COMMIT, SET, CHECKPOINT and their like are the session's own business.
//! 2. All others are attempted in the transaction of the open block, or in one of their own ([`super::attempt`]).
//! 3. An attempt that has failed is repeated where it could not have been seen and may succeed ([`super::retry`]).
//! 4. All that a statement shows is durable first, unless `synchronous_commit` is off: it waits until its snapshot
//!    is, whoever has made it and at whatever level. While the log is full or has failed, a statement whose
//!    snapshot is not durable is run again, with one that is; and a change is refused before it begins.

use super::conflict::SessionConflicts;
use super::cursors::{Cursors, outside_block};
use super::dispatch::{Done, Pipe};
use super::lock_wait::LockWaitListener;
use crate::activity::SessionRecord;
use crate::error::Result;
use crate::function::{SearchPath, SessionSequences};
use crate::plan::Statement;
use crate::plan::statement::SHOW_ALL;
use crate::session::limits::admission::{Permit, Waiting};
use crate::session::limits::housekeeper::Watch;
use crate::session::plans::call::Call;
use crate::session::plans::named::NamedStatements;
use crate::session::plans::plan_cache::PlanCache;
use crate::session::plans::prepared::{Names, Prepared};
use crate::session::plans::session_planner::SessionPlanner;
use crate::session::plans::template::Template;
use crate::session::sessions::Sessions;
use crate::session::settings::Settings;
use crate::session::transaction::temporary;
use crate::session::transaction::transaction_block::TransactionBlock;
use remora_storage::catalog::Catalog;
use remora_storage::pool::Ledger;
use remora_storage::transaction::{Committed, Reader};
use remora_storage::{Store, Value};
use std::sync::Arc;

/// The session's place among those who read by key.
#[derive(Debug, Default)]
pub(in crate::session) enum Seat {
    #[default]
    NotAsked,
    /// There was none.
    Refused,
    Taken(Box<Reader>),
}

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
    /// From where it reads by key.
    pub(in crate::session) seat: Seat,
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
            notices: Vec::new(),
            conflicts: SessionConflicts::default(),
            lock_wait_listener: None,
            planner: Arc::default(),
            sequences: Arc::default(),
            last_commit: Committed::default(),
            seat: Seat::default(),
        };
        session.follow_path();
        session.watch_limits()?;
        Ok(session)
    }

    pub(in crate::session) fn new_call(&self) -> Call {
        Call::new(&self.record, &self.ledger, &self.planner, self.store.time())
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

    /// Forgets plans that are good for another catalog only, and with them the tables that they name; the plans of
    /// all sessions where this catalog `is_committed`.
    #[cold]
    pub(in crate::session) fn forget_plans(&mut self, catalog: &Arc<Catalog>, is_committed: bool) {
        self.cache.follow(Names {
            catalog,
            path: &self.path,
            effort: self.settings.effort(),
        });
        if is_committed {
            let rises = self.ledger.pressure().rises();
            self.sessions.plans.follow(catalog, rises);
        }
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
        self.begin_statement(prepared)?;
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

    /// Statements about the transaction, the session or the store.
    fn control(&mut self, prepared: &Prepared, call: &mut Call) -> Result<Done> {
        let nothing = |()| Done::default();
        match &prepared.plan.planned.statement {
            Statement::Begin(options) => self.begin_block(*options).map(nothing),
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
            Statement::Listen(channel) => self.listen(channel).map(nothing),
            Statement::Unlisten(channel) => self.unlisten(channel.as_ref()).map(nothing),
            Statement::Notify(message) => self.notify(message).map(nothing),
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
