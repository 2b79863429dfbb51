//! What a conflict is told with, and how it is remembered.
//!
//! ```text
//!   a statement of its own, or transact:   lost -> noted -> paused -> run again
//!                                                    \-> reported, when it is not run any more
//!   all others:                            lost -> reported
//! ```
//!
//! To note a conflict takes what is at hand, because transactions that meet often are run again. Who
//! the rival was is looked up for those who are told, and for those who read `remora_conflicts`.

use super::core::Session;
use crate::activity::{Raised, Rival};
use crate::error::Error;
use crate::function::text;
use crate::session::api::connection::Connection;
use remora_storage::{DataType, Isolation, TransactionId, ValueRef};
use std::sync::Arc;

/// The conflicts of one session.
#[derive(Debug, Default)]
pub(in crate::session) struct SessionConflicts {
    /// The transaction that its last statement ran in, and the level of that.
    pub(in crate::session) ran_in: (TransactionId, Isolation),
    /// Whether a transaction that loses one is going to be run again.
    retries: bool,
    /// The number of the one that was noted and not reported.
    noted: Option<u64>,
    /// The last conflict after which the statement or transaction was run again, and its rival.
    last: Option<(u64, Option<TransactionId>)>,
}

impl Session {
    /// Notes a conflict of a statement or transaction that is run again. A conflict with the same rival as before is
    /// counted as another try of that one.
    #[cold]
    pub(in crate::session) fn note_conflict(&mut self, error: &Error) {
        let rival = error.rival();
        let (transaction, _) = self.conflicts.ran_in;
        let conflicts = self.record.activity().conflicts();
        let again = self.conflicts.last.take();
        let again = again
            .filter(|(number, last)| *last == rival && conflicts.again(*number, transaction.0));
        let number = match again {
            Some((number, _)) => Some(number),
            None => self.keep_conflict(error, None),
        };
        self.conflicts.noted = number;
        self.conflicts.last = number.map(|number| (number, rival));
    }

    /// Leaves the noted conflict as one that was run again.
    pub(in crate::session) fn forget_conflict(&mut self) {
        self.conflicts.noted = None;
    }

    /// Begins a statement. Its conflicts are not tries of earlier ones, unless it is a part of a transaction that is run
    /// again.
    #[inline]
    pub(in crate::session) fn begin_conflicts(&mut self) {
        if !self.conflicts.retries {
            self.conflicts.last = None;
        }
    }

    /// The error as the caller shall have it: it says who holds the memory, or who was first.
    #[cold]
    pub(in crate::session) fn told(&mut self, error: Error) -> Error {
        let error = self.with_holders(error);
        self.explain(error)
    }

    fn explain(&mut self, error: Error) -> Error {
        if !error.is_retryable() {
            self.end_conflict(None);
            return error;
        }
        if self.conflicts.retries {
            self.note_conflict(&error);
            return error;
        }
        let rival = error.rival();
        let rival = rival.map_or_else(Rival::default, |id| self.record.activity().rival(id.0));
        let sentence = sentence(&rival);
        match self.conflicts.noted {
            Some(_) => self.end_conflict(Some(rival)),
            None => drop(self.keep_conflict(&error, Some(rival))),
        }
        match (error.detail(), sentence) {
            (Some(detail), Some(sentence)) => {
                let detail = format!("{detail} {sentence}");
                error.with_detail(detail)
            }
            _ => error,
        }
    }

    /// What was noted is not run again.
    fn end_conflict(&mut self, rival: Option<Rival>) {
        if let Some(number) = self.conflicts.noted.take() {
            let conflicts = self.record.activity().conflicts();
            conflicts.report(number, rival, &self.ledger);
        }
    }

    fn keep_conflict(&self, error: &Error, rival: Option<Rival>) -> Option<u64> {
        let (transaction, isolation) = self.conflicts.ran_in;
        let raised = Raised {
            at: self.store.time().now(),
            transaction: transaction.0,
            session: self.record.number(),
            statement: self.record.last_statement(),
            isolation,
            what: Arc::clone(error.storage()?),
            is_retried: rival.is_none(),
            rival,
            tries: 1,
        };
        let conflicts = self.record.activity().conflicts();
        Some(conflicts.push(raised, &self.ledger))
    }
}

/// What is known of a rival.
fn sentence(rival: &Rival) -> Option<String> {
    let started = rival.started.map(ValueRef::TimestampTz);
    let started = started.and_then(|started| text::format(started, DataType::TimestampTz));
    match (started, &rival.statement) {
        (Some(started), Some(statement)) => Some(format!(
            "It began at {started}; its last statement is: {statement}"
        )),
        (Some(started), None) => Some(format!("It began at {started}.")),
        (None, Some(statement)) => Some(format!("Its last statement is: {statement}")),
        (None, None) => None,
    }
}

/// While it lives, conflicts are noted and not explained: what lost is going to be run again.
pub(in crate::session) struct Retrying<'conn>(&'conn Connection);

impl<'conn> Retrying<'conn> {
    pub(in crate::session) fn new(connection: &'conn Connection) -> Self {
        connection.quietly(|session| {
            session.conflicts.retries = true;
            session.conflicts.last = None;
        });
        Self(connection)
    }

    /// It is run again.
    pub(in crate::session) fn again(&self) {
        self.0.quietly(Session::forget_conflict);
    }

    /// It is not run any more: the conflict is the caller's.
    pub(in crate::session) fn give_up(self, error: Error) -> Error {
        self.0.quietly(|session| session.conflicts.retries = false);
        let mut error = Some(error);
        self.0
            .quietly(|session| error = error.take().map(|error| session.explain(error)));
        error.expect("it is put back")
    }
}

impl Drop for Retrying<'_> {
    fn drop(&mut self) {
        self.0.quietly(|session| {
            session.conflicts.retries = false;
            session.end_conflict(None);
        });
    }
}
