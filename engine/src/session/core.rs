//! How a statement passes through a session.
//!
//! 1. COMMIT, SET, CHECKPOINT and their like are the session's own business.
//! 2. All others get a storage transaction: that of the open block, or one of their own.
//! 3. The plan is made good for the catalog that this transaction sees, parameters are cast to the
//!    types it wants, the clock is read, and the statement runs as one command of the transaction.
//! 4. Whatever it shows is durable first: at `sync` it waits until its snapshot is.
//!
//! A statement of its own (autocommit) that loses a write conflict is run again, with a pause, a
//! limited number of times: nothing of it was shown.

use super::backoff::Backoff;
use super::dispatch::{self, Done, Pipe};
use super::plan_cache::PlanCache;
use super::prepared::{Call, Prepared};
use super::settings::Settings;
use super::size;
use super::transaction_block::TransactionBlock;
use crate::activity::SessionRecord;
use crate::error::{Error, Result, state};
use crate::function::StatementClock;
use crate::parse::Parsed;
use crate::plan::Statement;
use remora_storage::catalog::Catalog;
use remora_storage::pool::Ledger;
use remora_storage::{Durability, Store, TableId, Value};
use std::sync::Arc;

/// The setting that is the database's memory budget.
const MAX_MEMORY: &str = "max_memory";

/// What a connection holds.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) store: Store,
    pub(super) block: TransactionBlock,
    pub(super) settings: Settings,
    cache: PlanCache,
    /// What others see of it.
    pub(super) record: Arc<SessionRecord>,
    /// The number of the statement that was planned last.
    planned: u32,
    ledger: Arc<Ledger>,
    /// Whether results wait for the log.
    sync: bool,
    pub(super) notices: Vec<String>,
}

impl Session {
    pub(super) fn new(store: Store, record: Arc<SessionRecord>) -> Self {
        Self {
            ledger: Arc::clone(store.ledger()),
            sync: store.durability() == Durability::Sync,
            store,
            block: TransactionBlock::Idle,
            settings: Settings::default(),
            cache: PlanCache::new(),
            record,
            planned: 0,
            notices: Vec::new(),
        }
    }

    pub(super) fn new_call(&self) -> Call {
        Call::new(&self.record, &self.ledger)
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The catalog that the next statement sees.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        match &self.block {
            TransactionBlock::Open(open) => Arc::clone(open.tx.catalog()),
            _ => self.store.catalog(),
        }
    }

    /// The warnings since they were last taken.
    pub(super) fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Plans a statement for the catalog it would see now.
    pub(super) fn prepare(&mut self, parsed: Parsed) -> Result<Prepared> {
        self.check_not_failed(parsed.ends_transaction())?;
        self.planned = SessionRecord::number_after(self.planned);
        Prepared::new(parsed, &self.catalog(), self.planned)
    }

    /// The plan that an earlier run of the same text has left, if it is still good.
    pub(super) fn cached(&mut self, sql: &str) -> Option<Prepared> {
        let catalog = match &self.block {
            TransactionBlock::Open(open) => open.tx.catalog(),
            _ => &self.store.catalog(),
        };
        self.cache.get(sql, catalog, &self.ledger)
    }

    /// Keeps a plan for the next run of the same text.
    pub(super) fn keep(&mut self, sql: &str, prepared: &Prepared) {
        self.cache.offer(sql, prepared, &self.ledger);
    }

    /// Runs one statement.
    pub(super) fn step(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let statement = &prepared.plan.planned.statement;
        let ends = matches!(statement, Statement::Commit | Statement::Rollback);
        self.check_not_failed(ends)?;
        // Statements by key look at it nowhere else.
        self.record.interrupt().check()?;
        prepared.begin(&self.record);
        if let Some(done) = self.control(prepared, call) {
            return done;
        }
        match self.block {
            TransactionBlock::Idle => self.autocommit(prepared, call, pipe),
            _ => self.in_block(prepared, call, pipe),
        }
    }

    /// Statements about the transaction, the session or the store; `None` for all others.
    fn control(&mut self, prepared: &Prepared, call: &mut Call) -> Option<Result<Done>> {
        let planned = &prepared.plan.planned;
        let nothing = |()| Done::default();
        let result = match &planned.statement {
            Statement::Begin { read_only } => self.begin_block(*read_only).map(nothing),
            Statement::SetTransaction { read_only } => {
                self.set_transaction(*read_only).map(nothing)
            }
            Statement::Commit => self.commit_block().map(Done::tagged),
            Statement::Rollback => {
                self.rollback_block();
                Ok(Done::default())
            }
            Statement::Checkpoint => self.checkpoint().map(nothing),
            Statement::Compact(table) => self.compact(*table),
            Statement::Set { name, value } => self.set(name, value.as_deref()).map(nothing),
            Statement::Show(name) => self
                .show(name)
                .map(|value| Done::list(vec![vec![Value::Text(value)]])),
            _ => return None,
        };
        Some(call.bind(&planned.parameters).and(result))
    }

    fn autocommit(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let mut backoff = Backoff::default();
        let mut relieved = false;
        loop {
            let result = self.attempt(prepared, call, pipe);
            match &result {
                Err(error)
                    if error.sqlstate() == state::OUT_OF_MEMORY
                        && matches!(pipe, Pipe::None)
                        && !std::mem::replace(&mut relieved, true)
                        && self.relieve() => {}
                // What a pipe has given or taken cannot be had again.
                Err(error)
                    if error.is_retryable()
                        && matches!(pipe, Pipe::None)
                        && backoff.pause(self.record.interrupt()) => {}
                _ => return result,
            }
        }
    }

    /// Gives up what can be given up before a statement is refused; returns whether that was
    /// anything.
    #[cold]
    fn relieve(&mut self) -> bool {
        self.cache.clear();
        self.store.relieve()
    }

    fn attempt(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let mut tx = self.store.begin()?;
        self.record.runs_in(tx.id().0);
        if prepared.refresh(tx.catalog())? {
            self.cache.clear();
        }
        let planned = &prepared.plan.planned;
        if self.settings.read_only() {
            dispatch::refuse_change(&planned.statement, planned.tag)?;
        }
        call.bind(&planned.parameters)?;
        call.context.eval.clock = StatementClock::starting(None);
        tx.begin_command();
        // On error the transaction is dropped here, and with it what the statement changed.
        let done = dispatch::run(&prepared.plan, &mut tx, call, pipe)?;
        if tx.has_writes() {
            tx.commit()?;
        } else if self.sync {
            self.store.wait_durable(tx.snapshot())?;
        }
        Ok(done)
    }

    fn in_block(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let TransactionBlock::Open(open) = &mut self.block else {
            unreachable!("a statement runs in an open block")
        };
        if prepared.refresh(open.tx.catalog())? {
            self.cache.clear();
        }
        let planned = &prepared.plan.planned;
        if open.read_only {
            dispatch::refuse_change(&planned.statement, planned.tag)?;
        }
        call.bind(&planned.parameters)?;
        open.used = true;
        self.record.runs_in_block(open.tx.id().0, open.read_only);
        call.context.eval.clock = StatementClock::starting(Some(open.start_micros));
        open.tx.begin_command();
        let done = dispatch::run(&prepared.plan, &mut open.tx, call, pipe)?;
        self.record.wrote_in_block(done.changes);
        if self.sync {
            self.store.wait_durable(open.tx.snapshot())?;
        }
        Ok(done)
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.refuse_in_block("CHECKPOINT")?;
        self.store.checkpoint()?;
        Ok(())
    }

    /// One row: rows moved, bytes freed. A transaction's own snapshot would hold back what it is to
    /// give back.
    fn compact(&mut self, table: Option<TableId>) -> Result<Done> {
        self.refuse_in_block("COMPACT")?;
        let compacted = self.store.compact(table)?;
        let count = |count: u64| Value::BigInt(i64::try_from(count).unwrap_or(i64::MAX));
        let row = vec![count(compacted.rows), count(compacted.bytes)];
        Ok(Done::list(vec![row]))
    }

    fn refuse_in_block(&self, statement: &str) -> Result<()> {
        if matches!(self.block, TransactionBlock::Idle) {
            return Ok(());
        }
        Err(Error::new(
            state::ACTIVE_SQL_TRANSACTION,
            format!("{statement} cannot run inside a transaction block"),
        ))
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        if name.eq_ignore_ascii_case(MAX_MEMORY) {
            return self.set_max_memory(value);
        }
        if let TransactionBlock::Open(open) = &mut self.block {
            open.settings.get_or_insert_with(|| self.settings.clone());
        }
        self.settings.set(name, value)
    }

    /// The budget is the database's and not the session's: ROLLBACK does not take it back.
    fn set_max_memory(&mut self, value: Option<&str>) -> Result<()> {
        self.refuse_in_block("SET max_memory")?;
        let bytes = match value {
            Some(value) => size::parse(MAX_MEMORY, value)?,
            None => self.ledger.initial_budget(),
        };
        Ok(self.ledger.set_budget(bytes)?)
    }

    fn show(&self, name: &str) -> Result<String> {
        let read_only = match &self.block {
            TransactionBlock::Open(open) => open.read_only,
            _ => self.settings.read_only(),
        };
        Ok(match name.to_ascii_lowercase().as_str() {
            MAX_MEMORY => size::format(self.ledger.budget()),
            "secure_delete" if self.store.secure_delete() => "on".to_owned(),
            "secure_delete" => "off".to_owned(),
            "pressure_thresholds" => {
                let percent = self.ledger.pressure().thresholds().percent();
                percent.map(|percent| percent.to_string()).join(", ")
            }
            "transaction_isolation" => "repeatable read".to_owned(),
            "transaction_read_only" if read_only => "on".to_owned(),
            "transaction_read_only" => "off".to_owned(),
            name => self.settings.get(name)?.to_owned(),
        })
    }
}
