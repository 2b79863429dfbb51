//! The state of one session, and how a statement passes through it.
//!
//! ```text
//!                 BEGIN                     a statement fails
//!        Idle ---------------> Open ----------------------------> Failed
//!         ^  \                  |  COMMIT, ROLLBACK                  |  COMMIT, ROLLBACK
//!         |   one statement     |                                    |  (nothing is committed)
//!         +---------------------+------------------------------------+
//! ```
//!
//! - **Idle**: each statement is a transaction of its own (autocommit). One that loses a write
//!   conflict before its result was shown is run again, with a pause, a limited number of times.
//! - **Open**: statements share a transaction. The first that fails ends it: its changes are undone
//!   at once, so that nobody loses a conflict against a transaction that can only roll back, and
//!   the block is *failed* until the client says that it has noticed.
//! - A text of several statements is an *implicit* block of its own unless it says BEGIN: all or
//!   nothing, as in PostgreSQL's simple query protocol.
//!
//! Whatever a statement shows is durable first: at `sync` it waits until its snapshot is.

use super::backoff::Backoff;
use super::dispatch::{self, Done, Pipe};
use super::plan_cache::PlanCache;
use super::prepared::{Call, Prepared};
use super::settings::Settings;
use crate::error::{Error, Result, state};
use crate::parse::Parsed;
use crate::plan::Statement;
use remora_storage::catalog::Catalog;
use remora_storage::pool::Ledger;
use remora_storage::{Durability, Store, Transaction, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionStatus {
    /// No transaction is open; each statement is its own.
    Idle,
    /// A transaction is open.
    Open,
    /// A transaction is open and a statement in it has failed: it can only be rolled back.
    Failed,
}

/// The transaction block, if any.
#[derive(Debug)]
enum Block {
    Idle,
    Open(Box<Open>),
    /// Settings to return to at its end.
    Failed(Option<Settings>),
}

#[derive(Debug)]
struct Open {
    tx: Transaction,
    /// Not begun by BEGIN but by a text of several statements.
    implicit: bool,
    read_only: bool,
    start_micros: i64,
    /// The settings as they were, where SET has changed them.
    settings: Option<Settings>,
}

/// What a connection holds.
#[derive(Debug)]
pub(super) struct Session {
    store: Store,
    block: Block,
    settings: Settings,
    cache: PlanCache,
    interrupted: Arc<AtomicBool>,
    ledger: Arc<Ledger>,
    /// Whether results wait for the log.
    sync: bool,
    notices: Vec<String>,
}

impl Session {
    pub(super) fn new(store: Store, interrupted: Arc<AtomicBool>) -> Self {
        Self {
            ledger: Arc::clone(store.ledger()),
            sync: store.durability() == Durability::Sync,
            store,
            block: Block::Idle,
            settings: Settings::default(),
            cache: PlanCache::new(),
            interrupted,
            notices: Vec::new(),
        }
    }

    pub(super) fn new_call(&self) -> Call {
        Call::new(&self.interrupted, &self.ledger)
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub(super) fn status(&self) -> TransactionStatus {
        match self.block {
            Block::Idle => TransactionStatus::Idle,
            Block::Open(_) => TransactionStatus::Open,
            Block::Failed(_) => TransactionStatus::Failed,
        }
    }

    /// The catalog that the next statement sees.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        match &self.block {
            Block::Open(open) => Arc::clone(open.tx.catalog()),
            _ => self.store.catalog(),
        }
    }

    /// The warnings since they were last taken.
    pub(super) fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// To be called when a call from outside ends: a failure ends an open transaction, and an
    /// interrupt that was meant for this call does not meet the next one.
    pub(super) fn settle(&mut self, failed: bool) {
        if failed && matches!(self.block, Block::Open(_)) {
            self.fail_block();
        }
        if self.interrupted.load(Ordering::Relaxed) {
            self.interrupted.store(false, Ordering::Relaxed);
        }
    }

    fn fail_block(&mut self) {
        let block = std::mem::replace(&mut self.block, Block::Idle);
        if let Block::Open(open) = block {
            let Open {
                tx,
                implicit,
                settings,
                ..
            } = *open;
            tx.rollback();
            if implicit {
                self.restore(settings);
            } else {
                self.block = Block::Failed(settings);
            }
        }
    }

    fn restore(&mut self, settings: Option<Settings>) {
        if let Some(settings) = settings {
            self.settings = settings;
        }
    }

    /// Plans a statement for the catalog it would see now.
    pub(super) fn prepare(&mut self, parsed: Parsed) -> Result<Prepared> {
        self.check_not_failed(parsed.ends_transaction())?;
        Prepared::new(parsed, &self.catalog())
    }

    /// The plan that an earlier run of the same text has left, if it is still good.
    pub(super) fn cached(&mut self, sql: &str) -> Option<Prepared> {
        let catalog = match &self.block {
            Block::Open(open) => open.tx.catalog(),
            _ => &self.store.catalog(),
        };
        self.cache.get(sql, catalog)
    }

    /// Keeps a plan for the next run of the same text.
    pub(super) fn keep(&mut self, sql: &str, prepared: &Prepared) {
        self.cache.offer(sql, prepared, &self.ledger);
    }

    fn check_not_failed(&self, ends_block: bool) -> Result<()> {
        if matches!(self.block, Block::Failed(_)) && !ends_block {
            return Err(Error::new(
                state::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
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
        self.check_interrupt()?;
        if let Some(done) = self.control(prepared, call) {
            return done;
        }
        match self.block {
            Block::Idle => self.autocommit(prepared, call, pipe),
            _ => self.in_block(prepared, call, pipe),
        }
    }

    /// Statements by key look at the interrupt flag nowhere else.
    fn check_interrupt(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Error::new(
                state::QUERY_CANCELED,
                "canceling statement due to user request",
            ));
        }
        Ok(())
    }

    /// Statements about the transaction, the session or the store; `None` for all others.
    fn control(&mut self, prepared: &Prepared, call: &mut Call) -> Option<Result<Done>> {
        let planned = &prepared.plan.planned;
        let nothing = |()| Done::default();
        let result = match &planned.statement {
            Statement::Begin { read_only } => self.begin_block(*read_only).map(nothing),
            Statement::Commit => self.commit_block().map(nothing),
            Statement::Rollback => {
                self.rollback_block();
                Ok(Done::default())
            }
            Statement::Checkpoint => self.checkpoint().map(nothing),
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
        loop {
            let result = self.attempt(prepared, call, pipe);
            match &result {
                // What a pipe has given or taken cannot be had again.
                Err(error)
                    if error.is_retryable()
                        && matches!(pipe, Pipe::None)
                        && backoff.pause(&self.interrupted) => {}
                _ => return result,
            }
        }
    }

    fn attempt(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let mut tx = self.store.begin()?;
        if prepared.refresh(tx.catalog())? {
            self.cache.clear();
        }
        let planned = &prepared.plan.planned;
        if self.settings.read_only() {
            dispatch::refuse_change(&planned.statement, planned.tag)?;
        }
        call.bind(&planned.parameters)?;
        let now = now_micros();
        call.context.eval.transaction_start = now;
        call.context.eval.statement_start = now;
        tx.begin_command();
        // On error the transaction is dropped here, and with it what the statement changed.
        let done = dispatch::run(&planned.statement, &mut tx, call, pipe)?;
        if tx.has_writes() {
            tx.commit()?;
        } else if self.sync {
            self.store.wait_durable(tx.view().snapshot())?;
        }
        Ok(done)
    }

    fn in_block(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        let Block::Open(open) = &mut self.block else {
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
        call.context.eval.transaction_start = open.start_micros;
        call.context.eval.statement_start = now_micros();
        open.tx.begin_command();
        let done = dispatch::run(&planned.statement, &mut open.tx, call, pipe)?;
        if self.sync {
            self.store.wait_durable(open.tx.view().snapshot())?;
        }
        Ok(done)
    }

    fn open_block(&mut self, implicit: bool, read_only: bool) -> Result<()> {
        self.block = Block::Open(Box::new(Open {
            tx: self.store.begin()?,
            implicit,
            read_only: read_only || self.settings.read_only(),
            start_micros: now_micros(),
            settings: None,
        }));
        Ok(())
    }

    /// BEGIN.
    pub(super) fn begin_block(&mut self, read_only: bool) -> Result<()> {
        match &mut self.block {
            Block::Open(open) if open.implicit => {
                // The statements before BEGIN in the same text become part of the transaction.
                open.implicit = false;
                open.read_only |= read_only;
            }
            Block::Open(_) => self
                .notices
                .push("there is already a transaction in progress".to_owned()),
            _ => self.open_block(false, read_only)?,
        }
        Ok(())
    }

    /// COMMIT. Of a failed transaction it is ROLLBACK.
    pub(super) fn commit_block(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.block, Block::Idle) {
            Block::Open(open) => {
                let Open {
                    tx,
                    implicit,
                    settings,
                    ..
                } = *open;
                if implicit {
                    self.notices.push(NO_TRANSACTION.to_owned());
                }
                tx.commit()
                    .map(|_| ())
                    .inspect_err(|_| self.restore(settings))
                    .map_err(Error::from)
            }
            Block::Failed(settings) => {
                self.restore(settings);
                Ok(())
            }
            Block::Idle => {
                self.notices.push(NO_TRANSACTION.to_owned());
                Ok(())
            }
        }
    }

    /// ROLLBACK.
    pub(super) fn rollback_block(&mut self) {
        match std::mem::replace(&mut self.block, Block::Idle) {
            Block::Open(open) => {
                let Open {
                    tx,
                    implicit,
                    settings,
                    ..
                } = *open;
                if implicit {
                    self.notices.push(NO_TRANSACTION.to_owned());
                }
                tx.rollback();
                self.restore(settings);
            }
            Block::Failed(settings) => self.restore(settings),
            Block::Idle => self.notices.push(NO_TRANSACTION.to_owned()),
        }
    }

    /// Makes the statements of one text one transaction, until one of them says otherwise.
    pub(super) fn ensure_block(&mut self) -> Result<()> {
        match self.block {
            Block::Idle => self.open_block(true, false),
            _ => Ok(()),
        }
    }

    /// Commits what [`Self::ensure_block`] began, at the end of the text.
    pub(super) fn end_implicit(&mut self) -> Result<()> {
        let Block::Open(open) = &mut self.block else {
            return Ok(());
        };
        if !std::mem::take(&mut open.implicit) {
            return Ok(());
        }
        self.commit_block()
    }

    fn checkpoint(&mut self) -> Result<()> {
        if !matches!(self.block, Block::Idle) {
            return Err(Error::new(
                state::ACTIVE_SQL_TRANSACTION,
                "CHECKPOINT cannot run inside a transaction block",
            ));
        }
        self.store.checkpoint()?;
        Ok(())
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        if let Block::Open(open) = &mut self.block {
            open.settings.get_or_insert_with(|| self.settings.clone());
        }
        self.settings.set(name, value)
    }

    fn show(&self, name: &str) -> Result<String> {
        let read_only = match &self.block {
            Block::Open(open) => open.read_only,
            _ => self.settings.read_only(),
        };
        Ok(match name.to_ascii_lowercase().as_str() {
            "transaction_isolation" => "repeatable read".to_owned(),
            "transaction_read_only" if read_only => "on".to_owned(),
            "transaction_read_only" => "off".to_owned(),
            name => self.settings.get(name)?.to_owned(),
        })
    }
}

const NO_TRANSACTION: &str = "there is no transaction in progress";

/// Microseconds since 1970 UTC.
fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
    })
}
