//! Statements that are one look-up by a key, each by itself: they need no transaction, no clock, no turn.
//!
//! The rows are those that the general way gives ([`super::attempt`]). A statement goes that way wherever it could make a
//! difference: in a block, under a time limit, where turns are given, where the session was asked to stop, where the plan
//! is not for the catalog of the moment, where a parameter has to be cast or EXECUTE computes it, where the last commit is
//! not durable yet.

use super::core::{Seat, Session};
use crate::session::plans::prepared::Prepared;
use crate::session::transaction::transaction_block::TransactionStatus;
use remora_storage::Value;

impl Session {
    /// Runs a statement that is one look-up, whose row is left in `row`: whether there is one. `None` where it has to go
    /// the general way; then nothing was done but that `row` may have other values.
    #[inline]
    pub(in crate::session) fn read_by_key(
        &mut self,
        prepared: &mut Prepared,
        parameters: &[Value],
        row: &mut Vec<Value>,
    ) -> Option<bool> {
        if !self.is_unhindered() || !prepared.is_current(&self.path, self.settings.effort()) {
            return None;
        }
        let Seat::Taken(reader) = &mut self.seat else {
            self.take_seat();
            return None;
        };
        // The parameters of an EXECUTE are those of its arguments, and not yet the statement's.
        let point = prepared.plan.point.as_ref();
        let point = point.filter(|_| prepared.arguments.is_none())?;
        let key = point.key(parameters)?;
        let read = reader.read(prepared.catalog())?;
        prepared.begin(&self.record);
        let found = point.run(&read, &key, row);
        drop(read);
        self.record.pause();
        if found.is_some() && self.record.interrupt().is_set() {
            // A request that came meanwhile was meant for this statement, and not for the next.
            self.record.interrupt().withdraw();
        }
        found
    }

    /// Whether nothing but the statement itself has to be seen to.
    #[inline]
    fn is_unhindered(&self) -> bool {
        self.block.status == TransactionStatus::Idle
            && self.watch.is_none()
            && self.sessions.admission.is_none()
            && self.record.interrupt().check_new().is_ok()
            && !self.store.is_closed()
    }

    /// Takes a seat for the next statement.
    #[cold]
    fn take_seat(&mut self) {
        if matches!(self.seat, Seat::NotAsked) {
            self.seat = match self.store.reader() {
                Some(reader) => Seat::Taken(Box::new(reader)),
                None => Seat::Refused,
            };
        }
    }
}
