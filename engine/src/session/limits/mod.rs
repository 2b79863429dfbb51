//! The time limits of a session, where a call begins and ends and where a statement does.

pub(super) mod admission;
pub(super) mod holders;
pub(super) mod housekeeper;

use super::execute::core::Session;
use super::plans::prepared::Prepared;
use super::transaction::transaction_block::TransactionStatus;
use crate::error::{Error, Result};
use admission::Place;
use housekeeper::{Limit, Parked};
use std::time::{Duration, Instant};

/// How long things may take; `None` for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Timeouts {
    /// `statement_timeout`
    pub(super) statement: Option<Duration>,
    /// `transaction_timeout`
    pub(super) transaction: Option<Duration>,
    /// `idle_in_transaction_session_timeout`
    pub(super) idle: Option<Duration>,
}

impl Session {
    /// A call begins: takes the open transaction back, or learns that it was rolled back meanwhile.
    #[inline]
    pub(super) fn enter(&mut self) {
        if let Some(watch) = &self.watch {
            match watch.take() {
                Parked::Nothing => {}
                Parked::Open(transaction) => self.block.tx = Some(*transaction),
                Parked::Ended(limit) => {
                    self.block.status = TransactionStatus::Failed;
                    self.block.savepoints.clear();
                    self.block.ended_by = Some(limit);
                }
            }
        }
    }

    /// A call ends: leaves the open transaction where it can be taken from.
    #[inline]
    pub(super) fn leave(&mut self) {
        if self.watch.is_some() {
            self.park();
        }
    }

    fn park(&mut self) {
        let timeouts = self.settings.timeouts();
        if timeouts.idle.is_none() && timeouts.transaction.is_none() {
            return;
        }
        let deadline = self.transaction_deadline();
        if let (Some(watch), Some(transaction)) = (&self.watch, self.block.tx.take()) {
            let idle = timeouts
                .idle
                .map(|idle| (Instant::now() + idle, Limit::Idle));
            watch.park(transaction, earlier(idle, deadline));
        }
    }

    /// A statement begins: its limits count from now, and others see it.
    ///
    /// # Errors
    /// The session was asked to stop.
    #[inline]
    pub(super) fn begin_statement(&mut self, prepared: &Prepared) -> Result<()> {
        // From here on no limit of the statement before can be reached.
        self.end_limits();
        // Statements by key look at it nowhere else.
        self.record.interrupt().check_new()?;
        prepared.begin(&self.record);
        self.begin_limits();
        Ok(())
    }

    /// The limits of a statement, or of the next rows of one, begin.
    #[inline]
    fn begin_limits(&mut self) {
        if self.watch.is_some() && !self.is_idle() {
            self.block.began_at.get_or_insert_with(Instant::now);
        }
        if let Some(watch) = &self.watch {
            let timeouts = self.settings.timeouts();
            let statement = timeouts
                .statement
                .map(|limit| (Instant::now() + limit, Limit::Statement));
            watch.begin(earlier(statement, self.transaction_deadline()));
        }
    }

    /// When `transaction_timeout` is over: counted from BEGIN, or from the first statement that runs
    /// under it.
    fn transaction_deadline(&self) -> Option<(Instant, Limit)> {
        let limit = self.settings.timeouts().transaction?;
        let began = self.block.began_at.unwrap_or_else(Instant::now);
        Some((began + limit, Limit::Transaction))
    }

    /// A call is over: what was asked of its statements does not meet the next one.
    #[inline]
    pub(super) fn come_to_rest(&mut self) {
        self.rest();
        if self.record.interrupt().is_set() {
            self.record.interrupt().withdraw();
        }
    }

    /// No statement runs any more.
    #[inline]
    pub(super) fn rest(&mut self) {
        self.end_limits();
        let in_block = self.block.tx.is_some();
        self.record.rest(in_block);
        if self.is_idle() {
            self.block.began_at = None;
        }
        self.permit = None;
        if self.block.ended_by.is_some() && self.block.status != TransactionStatus::Failed {
            self.block.ended_by = None;
        }
    }

    /// The error of a block that a limit has ended.
    pub(super) fn limit_error(&self) -> Option<Error> {
        self.block.ended_by.map(Limit::error)
    }

    /// Has limits watched, once there are any.
    pub(super) fn watch_limits(&mut self) -> Result<()> {
        if self.watch.is_none() && self.settings.timeouts() != Timeouts::default() {
            self.watch = Some(self.sessions.housekeeper.watch(&self.record)?);
        }
        Ok(())
    }

    /// Goes on with a query that was handed out by a call that is over.
    pub(super) fn begin_fetch(&mut self) -> Result<()> {
        if let Some(error) = self.limit_error() {
            return Err(error);
        }
        self.begin_limits();
        self.admit()
    }

    /// The rows that were asked for are there.
    pub(super) fn end_fetch(&mut self) {
        self.end_limits();
        self.permit = None;
    }

    /// What was done until now is over, as far as limits are concerned.
    #[inline]
    pub(super) fn end_limits(&self) {
        if let Some(watch) = &self.watch {
            watch.end();
        }
    }

    /// The place of the statement under way, for a statement that gives it back now and then.
    pub(super) fn lend_place(&mut self) -> Option<Place> {
        let permit = self.permit.take()?;
        Some(Place::new(permit, &self.record))
    }

    /// Waits for its turn, where not all statements run at once.
    #[inline]
    pub(super) fn admit(&mut self) -> Result<()> {
        match &self.sessions.admission {
            Some(admission) if self.permit.is_none() => {
                self.permit = Some(admission.enter(&self.record)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn earlier(
    one: Option<(Instant, Limit)>,
    other: Option<(Instant, Limit)>,
) -> Option<(Instant, Limit)> {
    [one, other].into_iter().flatten().min_by_key(|(at, _)| *at)
}
