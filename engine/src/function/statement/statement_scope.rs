//! Statement scope: what functions may use beyond their arguments, of the database and of the transaction that their
//! statement runs in.
//!
//! A statement has one only if a function of it [needs](crate::function::Needs) one, so that others pay nothing. What functions do beside
//! their results is gathered here, and takes effect when the statement has succeeded: messages to other sessions, for
//! instance. Sequences are the exception: numbers are taken beside transactions.

use crate::error::{Error, Result, state};
use crate::function::{EvalContext, SearchPath, SessionSequences};
use crate::limit::PendingLimits;
use crate::notification::{Message, Outbox};
use parking_lot::Mutex;
use remora_storage::catalog::Catalog;
use remora_storage::transaction::{Core, ReadView};
use remora_storage::{Lsn, TransactionId};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// The part of the database that functions of one statement may use.
#[derive(Debug)]
pub(crate) struct StatementScope {
    pub(in crate::function) catalog: Arc<Catalog>,
    pub(in crate::function) path: Arc<SearchPath>,
    pub(in crate::function) core: Arc<Core>,
    /// Whether the transaction was begun to read only.
    read_only: bool,
    /// Whether nobody may see what it takes before that is durable.
    is_synchronous: bool,
    /// Where the log must be durable before the numbers of the statement may be seen; 0 while it has none.
    logged: AtomicU64,
    pub(in crate::function) session: Arc<SessionSequences>,
    /// Messages of the statement to other sessions.
    outbox: Mutex<Outbox>,
    /// The transaction that the statement runs in and what it sees, for functions that look at rows.
    view: OnceLock<(TransactionId, ReadView)>,
    /// Taken from rate limits, and not yet written.
    pub(super) limits: Mutex<PendingLimits>,
}

impl StatementScope {
    /// The scope of a statement that sees `catalog`, and looks names up by `path`.
    pub(crate) fn new(
        (catalog, path): (Arc<Catalog>, Arc<SearchPath>),
        core: Arc<Core>,
        read_only: bool,
        is_synchronous: bool,
        session: &Arc<SessionSequences>,
    ) -> Arc<Self> {
        Arc::new(Self {
            catalog,
            path,
            core,
            read_only,
            is_synchronous,
            logged: AtomicU64::new(0),
            session: Arc::clone(session),
            outbox: Mutex::default(),
            view: OnceLock::new(),
            limits: Mutex::default(),
        })
    }

    /// Lets functions look at rows that the statement sees.
    pub(crate) fn show(&self, transaction: TransactionId, view: ReadView) {
        // The first is what the statement sees.
        let _ = self.view.set((transaction, view));
    }

    /// The transaction, and what the statement sees.
    ///
    /// # Errors
    /// 0A000 where it is shown nothing.
    pub(in crate::function) fn view(&self) -> Result<&(TransactionId, ReadView)> {
        self.view.get().ok_or_else(unsupported)
    }

    /// Sends a message, if the transaction of the statement commits.
    ///
    /// # Errors
    /// 53200
    pub(in crate::function) fn send(&self, message: Arc<Message>) -> Result<()> {
        self.outbox.lock().send(message, self.core.ledger())
    }

    /// Takes the messages that the statement has sent.
    pub(crate) fn take_outbox(&self) -> Outbox {
        std::mem::take(&mut self.outbox.lock())
    }

    /// Waits until the numbers of the statement so far may be seen: they must not be given to another one after a
    /// crash.
    ///
    /// # Errors
    /// 25006 where that can no longer be, 53100 where there is no room for it now.
    pub(crate) fn before_shown(&self) -> Result<()> {
        // Relaxed: the statement runs on this thread.
        let logged = Lsn(self.logged.load(Relaxed));
        match self.is_synchronous && logged > Lsn(0) {
            true => Ok(self.core.wait_logged_to(logged)?),
            false => Ok(()),
        }
    }

    /// Notes that the statement has a number which is in the log before there.
    pub(in crate::function) fn note_logged(&self, lsn: Lsn) {
        self.logged.fetch_max(lsn.0, Relaxed);
    }

    /// The catalog that the statement sees.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The catalog that the statement sees, to be kept.
    pub(crate) fn shared(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Where the statement looks names up.
    pub(crate) fn path(&self) -> &SearchPath {
        &self.path
    }

    /// Refuses what changes something, where the transaction was begun to read only.
    ///
    /// # Errors
    /// 25006
    pub(in crate::function) fn refuse_to_change(&self, function: &str) -> Result<()> {
        if !self.read_only {
            return Ok(());
        }
        let message = format!("cannot execute {function}() in a read-only transaction");
        Err(Error::new(state::READ_ONLY_SQL_TRANSACTION, message))
    }
}

/// The scope of the statement that a function is called by.
///
/// # Errors
/// 0A000 where there is none, as while a plan is made.
pub(in crate::function) fn scope(context: &EvalContext) -> Result<&StatementScope> {
    let scope = context.statement.as_deref();
    scope.ok_or_else(unsupported)
}

fn unsupported() -> Error {
    Error::unsupported("this function in this place")
}
