//! The transaction block: what BEGIN opens and COMMIT or ROLLBACK ends.
//!
//! ```text
//!                 BEGIN                     a statement fails
//!        Idle ---------------> Open ----------------------------> Failed
//!         ^  \                  |  COMMIT, ROLLBACK                  |  COMMIT, ROLLBACK
//!         |   one statement     |                                    |  (nothing is committed)
//!         +---------------------+------------------------------------+
//! ```
//!
//! - **Idle**: each statement is a transaction of its own (autocommit).
//! - **Open**: statements share a transaction. The first that fails ends it: its changes are undone
//!   at once, so that nobody loses a conflict against a transaction that can only roll back, and
//!   the block is *failed* until the client says that it has noticed.
//! - A text of several statements is an *implicit* block of its own unless it says BEGIN: all or
//!   nothing, as in PostgreSQL's simple query protocol.

use super::core::Session;
use super::settings::Settings;
use crate::error::{Error, Result, state};
use crate::function::now_micros;
use remora_storage::Transaction;

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
pub(super) enum TransactionBlock {
    Idle,
    Open(Box<Open>),
    /// Settings to return to at its end.
    Failed(Option<Settings>),
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) tx: Transaction,
    /// Not begun by BEGIN but by a text of several statements.
    implicit: bool,
    pub(super) read_only: bool,
    /// Whether a statement has run in it.
    pub(super) used: bool,
    pub(super) start_micros: i64,
    /// The settings as they were, where SET has changed them.
    pub(super) settings: Option<Settings>,
}

const NO_TRANSACTION: &str = "there is no transaction in progress";

impl Session {
    pub(super) fn status(&self) -> TransactionStatus {
        match self.block {
            TransactionBlock::Idle => TransactionStatus::Idle,
            TransactionBlock::Open(_) => TransactionStatus::Open,
            TransactionBlock::Failed(_) => TransactionStatus::Failed,
        }
    }

    /// To be called when a call from outside ends: a failure ends an open transaction, and an
    /// interrupt that was meant for this call does not meet the next one.
    pub(super) fn settle(&mut self, failed: bool) {
        if failed && matches!(self.block, TransactionBlock::Open(_)) {
            self.fail_block();
        }
        self.record
            .rest(matches!(self.block, TransactionBlock::Open(_)));
        if self.record.interrupt().is_set() {
            self.record.interrupt().withdraw();
        }
    }

    fn fail_block(&mut self) {
        let block = std::mem::replace(&mut self.block, TransactionBlock::Idle);
        if let TransactionBlock::Open(open) = block {
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
                self.block = TransactionBlock::Failed(settings);
            }
        }
    }

    fn restore(&mut self, settings: Option<Settings>) {
        if let Some(settings) = settings {
            self.settings = settings;
        }
    }

    pub(super) fn check_not_failed(&self, ends_block: bool) -> Result<()> {
        if matches!(self.block, TransactionBlock::Failed(_)) && !ends_block {
            return Err(Error::new(
                state::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    fn open_block(&mut self, implicit: bool, read_only: Option<bool>) -> Result<()> {
        let tx = self.store.begin()?;
        let read_only = read_only.unwrap_or(self.settings.read_only());
        let start_micros = now_micros();
        self.record.begin_block(tx.id().0, start_micros, read_only);
        self.block = TransactionBlock::Open(Box::new(Open {
            tx,
            implicit,
            read_only,
            used: false,
            start_micros,
            settings: None,
        }));
        Ok(())
    }

    /// BEGIN.
    pub(super) fn begin_block(&mut self, read_only: Option<bool>) -> Result<()> {
        match &mut self.block {
            TransactionBlock::Open(open) if open.implicit => {
                // The statements before BEGIN in the same text become part of the transaction.
                open.implicit = false;
                open.read_only = read_only.unwrap_or(open.read_only);
            }
            TransactionBlock::Open(_) => self
                .notices
                .push("there is already a transaction in progress".to_owned()),
            _ => self.open_block(false, read_only)?,
        }
        Ok(())
    }

    /// SET TRANSACTION.
    pub(super) fn set_transaction(&mut self, read_only: Option<bool>) -> Result<()> {
        match (&mut self.block, read_only) {
            (TransactionBlock::Open(open), Some(false)) if open.read_only && open.used => {
                Err(Error::new(
                    state::ACTIVE_SQL_TRANSACTION,
                    "transaction read-write mode must be set before any query",
                ))
            }
            (TransactionBlock::Open(open), _) => {
                open.read_only = read_only.unwrap_or(open.read_only);
                Ok(())
            }
            _ => {
                let notice = "SET TRANSACTION can only be used in transaction blocks";
                self.notices.push(notice.to_owned());
                Ok(())
            }
        }
    }

    /// COMMIT; returns the tag of what was done. Of a failed transaction it is ROLLBACK.
    pub(super) fn commit_block(&mut self) -> Result<&'static str> {
        match std::mem::replace(&mut self.block, TransactionBlock::Idle) {
            TransactionBlock::Open(open) => {
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
                    .map(|_| "COMMIT")
                    .inspect_err(|_| self.restore(settings))
                    .map_err(Error::from)
            }
            TransactionBlock::Failed(settings) => {
                self.restore(settings);
                Ok("ROLLBACK")
            }
            TransactionBlock::Idle => {
                self.notices.push(NO_TRANSACTION.to_owned());
                Ok("COMMIT")
            }
        }
    }

    /// ROLLBACK.
    pub(super) fn rollback_block(&mut self) {
        match std::mem::replace(&mut self.block, TransactionBlock::Idle) {
            TransactionBlock::Open(open) => {
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
            TransactionBlock::Failed(settings) => self.restore(settings),
            TransactionBlock::Idle => self.notices.push(NO_TRANSACTION.to_owned()),
        }
    }

    /// Makes the statements of one text one transaction, until one of them says otherwise.
    pub(super) fn ensure_block(&mut self) -> Result<()> {
        match self.block {
            TransactionBlock::Idle => self.open_block(true, None),
            _ => Ok(()),
        }
    }

    /// Commits what [`Self::ensure_block`] began, at the end of the text.
    pub(super) fn end_implicit(&mut self) -> Result<()> {
        let TransactionBlock::Open(open) = &mut self.block else {
            return Ok(());
        };
        if !std::mem::take(&mut open.implicit) {
            return Ok(());
        }
        self.commit_block().map(drop)
    }
}
