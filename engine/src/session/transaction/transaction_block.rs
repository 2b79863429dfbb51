//! The transaction block: what BEGIN opens and COMMIT or ROLLBACK ends.
//!
//! ```text
//!                 BEGIN                     a statement fails
//!        Idle ---------------> Open ----------------------------> Failed
//!         ^  \                  |  ^        ROLLBACK TO savepoint    |
//!         |   one statement     |  +---------------------------------+
//!         |                     |                                    |  COMMIT, ROLLBACK
//!         +---------------------+------------------------------------+  (nothing is committed)
//!                                  COMMIT, ROLLBACK
//! ```
//!
//! - **Idle**: each statement is a transaction of its own (autocommit).
//! - **Open**: statements share a transaction. It gets its snapshot from the first of them that needs
//!   one: to begin costs nothing, holds nothing back, and whoever waits between BEGIN and the first
//!   query reads what is there when he does query.
//! - **Failed**: what a failure makes impossible to keep is undone at once, so that nobody loses a
//!   conflict against a transaction that can only roll back: everything since the innermost savepoint,
//!   or everything. The block is *failed* until the client says that it has noticed. With the setting
//!   `on_error_rollback` a statement that fails undoes itself and the block stays open.
//! - A text of several statements is an *implicit* block of its own unless it says BEGIN: all or
//!   nothing, as in PostgreSQL's simple query protocol.

use super::savepoints::Savepoints;
use crate::activity::SessionRecord;
use crate::error::{Error, Result, state};
use crate::exec::Transaction;
use crate::notification::Outbox;
use crate::plan::statement::TransactionOptions;
use crate::session::execute::core::Session;
use crate::session::limits::housekeeper::Limit;
use crate::session::settings::{DEFAULT_ISOLATION, DEFAULT_READ_ONLY, SettingsHistory};
use remora_storage::transaction::Committed;
use remora_storage::{Durability, Isolation, Store};
use std::time::Instant;

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TransactionStatus {
    /// No transaction is open; each statement is its own.
    #[default]
    Idle,
    /// A transaction is open.
    Open,
    /// A transaction is open and a statement in it has failed: it can only be rolled back, as a whole
    /// or to a savepoint.
    Failed,
}

/// The transaction block. It stays in its session and is filled anew: to begin allocates nothing.
#[derive(Debug, Default)]
pub(in crate::session) struct TransactionBlock {
    pub(in crate::session) status: TransactionStatus,
    /// From the first statement that needs it. None in an idle block, nor in a failed one without
    /// savepoints.
    pub(in crate::session) tx: Option<Transaction>,
    /// Not begun by BEGIN but by a text of several statements.
    pub(in crate::session) implicit: bool,
    pub(in crate::session) read_only: bool,
    pub(in crate::session) isolation: Isolation,
    /// What was asked for when it began; `None` where the setting decides, as it is when it matters.
    pub(in crate::session) durability: Option<Durability>,
    /// The beginning of its first statement, if there are limits.
    pub(in crate::session) began_at: Option<Instant>,
    /// The limit that has ended it, until the client knows.
    pub(in crate::session) ended_by: Option<Limit>,
    pub(in crate::session) savepoints: Savepoints,
    /// Messages to other sessions, and changes of what the session listens to.
    pub(in crate::session) outbox: Outbox,
    /// Where SET has changed settings.
    pub(in crate::session) settings: Option<Box<SettingsHistory>>,
}

impl TransactionBlock {
    /// The transaction of a statement: its `own`, or that of the block, which begins here if it has not yet.
    #[inline]
    pub(in crate::session) fn begun_or<'t>(
        &'t mut self,
        own: &'t mut Option<Transaction>,
        store: &Store,
        record: &SessionRecord,
    ) -> Result<&'t mut Transaction> {
        Ok(match (own, &mut self.tx) {
            (Some(own), _) => own,
            (None, Some(tx)) => tx,
            (None, none) => {
                // Also after ROLLBACK TO.
                let read_only = self.read_only && self.savepoints.only_read();
                let options = remora_storage::TransactionOptions {
                    isolation: self.isolation,
                    read_only,
                    // It is only known when it commits.
                    durability: None,
                    sweeps: None,
                };
                let tx = Transaction::begin(store, options)?;
                record.begin_block(tx.id().0, self.isolation, read_only);
                none.insert(tx)
            }
        })
    }
}

const NO_TRANSACTION: &str = "there is no transaction in progress";

impl Session {
    pub(in crate::session) fn status(&self) -> TransactionStatus {
        self.block.status
    }

    /// Whether the statement that comes next may change nothing.
    pub(in crate::session) fn is_read_only(&self) -> bool {
        match self.is_idle() {
            true => self.settings.read_only(),
            false => self.block.read_only,
        }
    }

    pub(in crate::session) fn is_idle(&self) -> bool {
        self.block.status == TransactionStatus::Idle
    }

    /// To be called when a call from outside ends: a failure fails an open transaction, and an
    /// interrupt that was meant for this call does not meet the next one.
    pub(in crate::session) fn settle(&mut self, failed: bool) {
        if failed && self.block.status == TransactionStatus::Open {
            self.fail_block();
        }
        self.come_to_rest();
    }

    #[cold]
    fn fail_block(&mut self) {
        let block = &mut self.block;
        if block.implicit {
            self.end_block(false);
        } else if !self.settings.on_error_rollback() {
            block.status = TransactionStatus::Failed;
            match (block.savepoints.innermost(), &mut block.tx) {
                (Some(mark), Some(tx)) => tx.rollback_to(mark),
                _ => block.tx = None,
            }
        }
    }

    /// Leaves the block, undoing what was not committed before. Settings stay with what was kept.
    fn end_block(&mut self, kept: bool) {
        let block = &mut self.block;
        block.tx = None;
        self.cursors.end_block(kept);
        block.status = TransactionStatus::Idle;
        // What comes next is not of this transaction.
        block.durability = None;
        block.savepoints.clear();
        block.outbox = Outbox::default();
        block.began_at = None;
        block.ended_by = None;
        if let Some(history) = block.settings.take() {
            self.settings = if kept {
                history.lasting
            } else {
                history.before
            };
            self.follow_path();
        }
    }

    pub(in crate::session) fn check_not_failed(&self, gets_out: bool) -> Result<()> {
        if self.block.status == TransactionStatus::Failed && !gets_out {
            let ended = self.limit_error();
            return Err(ended.unwrap_or_else(|| {
                sql_error!(IN_FAILED_SQL_TRANSACTION, "current transaction is aborted, commands ignored until end of transaction block")
            }));
        }
        Ok(())
    }

    fn open_block(&mut self, implicit: bool, options: TransactionOptions) {
        let block = &mut self.block;
        block.status = TransactionStatus::Open;
        block.implicit = implicit;
        block.read_only = options.read_only.unwrap_or(self.settings.read_only());
        block.isolation = options.isolation.unwrap_or(self.settings.isolation());
        block.durability = options.durability;
    }

    /// BEGIN.
    pub(in crate::session) fn begin_block(&mut self, options: TransactionOptions) -> Result<()> {
        if self.is_idle() {
            self.open_block(false, options);
            return Ok(());
        }
        if !self.block.implicit {
            let notice = "there is already a transaction in progress";
            self.notices.push(notice.to_owned());
        }
        self.set_transaction(options)?;
        // The statements before BEGIN in the same text become part of the transaction.
        self.block.implicit = false;
        Ok(())
    }

    /// SET TRANSACTION.
    pub(in crate::session) fn set_transaction(
        &mut self,
        options: TransactionOptions,
    ) -> Result<()> {
        if self.is_idle() {
            let notice = "SET TRANSACTION can only be used in transaction blocks";
            self.notices.push(notice.to_owned());
            return Ok(());
        }
        if let Some(isolation) = options.isolation {
            self.set_isolation(isolation)?;
        }
        if let Some(read_only) = options.read_only {
            self.set_read_only(read_only)?;
        }
        let block = &mut self.block;
        block.durability = options.durability.or(block.durability);
        Ok(())
    }

    fn set_isolation(&mut self, isolation: Isolation) -> Result<()> {
        let block = &mut self.block;
        if block.isolation == isolation {
            return Ok(());
        }
        let refused = if block.tx.is_some() {
            "SET TRANSACTION ISOLATION LEVEL must be called before any query"
        } else if !block.savepoints.is_empty() {
            "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction"
        } else {
            block.isolation = isolation;
            return Ok(());
        };
        Err(Error::new(state::ACTIVE_SQL_TRANSACTION, refused))
    }

    /// SET SESSION CHARACTERISTICS.
    pub(in crate::session) fn set_characteristics(
        &mut self,
        options: TransactionOptions,
    ) -> Result<()> {
        if let Some(isolation) = options.isolation {
            self.set(DEFAULT_ISOLATION, Some(isolation.name()), false)?;
        }
        if let Some(read_only) = options.read_only {
            let value = if read_only { "on" } else { "off" };
            self.set(DEFAULT_READ_ONLY, Some(value), false)?;
        }
        Ok(())
    }

    fn set_read_only(&mut self, read_only: bool) -> Result<()> {
        let block = &mut self.block;
        if block.read_only && !read_only {
            let refused = if !block.savepoints.is_empty() {
                Some("cannot set transaction read-write mode inside a read-only transaction")
            } else if block.tx.is_some() {
                Some("transaction read-write mode must be set before any query")
            } else {
                None
            };
            if let Some(refused) = refused {
                return Err(Error::new(state::ACTIVE_SQL_TRANSACTION, refused));
            }
        }
        block.read_only = read_only;
        Ok(())
    }

    /// COMMIT; returns the tag of what was done. Of a failed transaction it is ROLLBACK.
    pub(in crate::session) fn commit_block(&mut self) -> Result<&'static str> {
        match self.block.status {
            TransactionStatus::Idle => {
                self.notices.push(NO_TRANSACTION.to_owned());
                Ok("COMMIT")
            }
            TransactionStatus::Failed => {
                // Who commits does not know that the transaction is gone.
                let ended = self.limit_error();
                self.end_block(false);
                ended.map_or(Ok("ROLLBACK"), Err)
            }
            TransactionStatus::Open => {
                if self.block.implicit {
                    self.notices.push(NO_TRANSACTION.to_owned());
                }
                let held = self.cursors.run_ahead();
                // One that has written nothing ends where it is: to move it takes as long as to begin it.
                let writer = self.block.tx.take_if(|tx| tx.has_writes());
                let durability = self.durability();
                let outbox = std::mem::take(&mut self.block.outbox);
                let committed = held.and_then(|()| match writer {
                    Some(mut tx) => {
                        tx.set_durability(Some(durability));
                        self.before_commit(&mut tx, None)?;
                        let committing = self.commit_with(&mut tx, outbox)?;
                        drop(tx);
                        Ok(committing.wait()?)
                    }
                    None => {
                        self.announce(outbox);
                        Ok(Committed::default())
                    }
                });
                self.end_block(committed.is_ok());
                self.last_commit = committed?;
                Ok("COMMIT")
            }
        }
    }

    /// ROLLBACK.
    pub(in crate::session) fn rollback_block(&mut self) {
        if self.is_idle() || self.block.implicit {
            self.notices.push(NO_TRANSACTION.to_owned());
        }
        self.end_block(false);
    }

    /// AND CHAIN: ends the block, and begins one with the same characteristics.
    pub(in crate::session) fn chain<T>(
        &mut self,
        what: &str,
        end: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        if self.is_idle() || self.block.implicit {
            return Err(sql_error!(
                NO_ACTIVE_SQL_TRANSACTION,
                "{what} AND CHAIN can only be used in transaction blocks"
            ));
        }
        let mut options = TransactionOptions::new()
            .isolation(self.block.isolation)
            .read_only(self.block.read_only);
        options.durability = self.block.durability;
        let ended = end(self)?;
        self.open_block(false, options);
        Ok(ended)
    }

    /// Makes the statements of one text one transaction, until one of them says otherwise.
    pub(in crate::session) fn ensure_block(&mut self) {
        if self.is_idle() {
            self.open_block(true, TransactionOptions::new());
        }
    }

    /// Commits what [`Self::ensure_block`] began, at the end of the text.
    pub(in crate::session) fn end_implicit(&mut self) -> Result<()> {
        if self.is_idle() || !std::mem::take(&mut self.block.implicit) {
            return Ok(());
        }
        self.commit_block().map(drop)
    }
}
