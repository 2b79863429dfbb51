//! Statements that read few rows by an index and show columns: they need no clock, no turn, and alone no transaction.
//!
//! ```text
//!   alone       the seat      the state that was committed last; registered for as long as the row is read
//!   in a block  its transaction       the state of its snapshot and its own changes; what was read is recorded
//! ```
//!
//! The rows are those that the general way gives ([`super::attempt`]). A statement goes that way wherever it could make a
//! difference: as the first of a block, under a time limit, where turns are given, where the session was asked to stop,
//! where the plan is not for the catalog of the moment, where a parameter has to be cast or EXECUTE computes it, where the
//! last commit is not durable yet, where the rows are more than a few, where a row cannot be locked at once.

use super::attempt::wait_shown;
use super::core::{Seat, Session};
use crate::activity::SessionRecord;
use crate::exec::{Also, PointRead};
use crate::plan::Field;
use crate::session::plans::plan_cache::Kept;
use crate::session::plans::prepared::Prepared;
use crate::session::transaction::transaction_block::{TransactionBlock, TransactionStatus};
use remora_storage::{Durability, Store, Value};
use std::sync::Arc;

/// Where a session reads by key, and what others see of it.
struct Place<'s> {
    store: &'s Store,
    block: &'s mut TransactionBlock,
    seat: &'s mut Seat,
    record: &'s SessionRecord,
    /// The durability of the block.
    durability: Durability,
}

/// The place of a session of which another part is borrowed.
macro_rules! place {
    ($session:ident) => {
        Place {
            durability: $session.durability(),
            store: &$session.store,
            block: &mut $session.block,
            seat: &mut $session.seat,
            record: &$session.record,
        }
    };
}

impl Session {
    /// Runs a statement that is one look-up, whose rows are left in `rows`, one after another: how many there are. `None`
    /// where it has to go the general way; then nothing was done but that `rows` may have other values.
    #[inline]
    pub(in crate::session) fn read_by_key(
        &mut self,
        prepared: &mut Prepared,
        parameters: &[Value],
        rows: &mut Vec<Value>,
    ) -> Option<usize> {
        let effort = self.settings.effort();
        if !self.is_unhindered() || !prepared.is_current(&self.path, effort) {
            return None;
        }
        place!(self).read(prepared, parameters, rows)
    }

    /// Runs the statement of a text as [`Session::read_by_key`] does, where its plan is kept and it is one look-up; gives
    /// the columns as well.
    pub(in crate::session) fn read_text_by_key(
        &mut self,
        sql: &str,
        parameters: &[Value],
        rows: &mut Vec<Value>,
    ) -> Option<(usize, Arc<[Field]>)> {
        if !self.is_unhindered() || self.cache.has_to_give_way(&self.ledger) {
            return None;
        }
        let text = self.cache.key(sql);
        let effort = self.settings.effort();
        // A text that is not known by itself may be one of a template. When it comes again, the general way keeps it.
        let is_known = self.cache.look(text).is_some();
        let key = match is_known {
            true => text,
            false if !parameters.is_empty() || self.cache.was_of_template(text) => return None,
            false if self.template.read(sql) => self.cache.key(&self.template.key),
            false => return None,
        };
        let place = place!(self);
        let (prepared, parameters) = match self.cache.look(key)? {
            Kept::Plan(prepared) if is_known => (prepared, parameters),
            Kept::Plan(prepared) => (prepared, self.template.literals.as_slice()),
            Kept::Literals(prepared, literals) if parameters.is_empty() => (prepared, &**literals),
            Kept::Literals(..) | Kept::NoPlan => return None,
        };
        if prepared.plan.point.is_none() || !prepared.is_current(&self.path, effort) {
            return None;
        }
        let found = place.read(prepared, parameters, rows)?;
        let columns = prepared.own_columns();
        if !is_known {
            self.cache.note_of_template(text);
        }
        self.cache.count(true);
        Some((found, columns))
    }

    /// Whether nothing but the statement itself has to be seen to.
    #[inline]
    fn is_unhindered(&self) -> bool {
        self.watch.is_none()
            && self.sessions.admission.is_none()
            && self.record.interrupt().check_new().is_ok()
            && !self.store.is_closed()
    }
}

impl Place<'_> {
    #[inline]
    fn read(
        self,
        prepared: &Prepared,
        parameters: &[Value],
        rows: &mut Vec<Value>,
    ) -> Option<usize> {
        // The parameters of an EXECUTE are those of its arguments, and not yet the statement's.
        let point = prepared.plan.point.as_ref();
        let point = point.filter(|_| prepared.arguments.is_none())?;
        let record = self.record;
        let found = match point.also() {
            Also::Nothing => match self.block.status {
                TransactionStatus::Idle => self.read_alone(prepared, point, parameters, rows),
                TransactionStatus::Open => {
                    self.read_in_block::<false>(prepared, point, parameters, rows)
                }
                TransactionStatus::Failed => None,
            },
            Also::Expiry(moment) => self.read_alive(moment, prepared, point, parameters, rows),
            _ => self.read_and_lock(prepared, point, parameters, rows),
        };
        if found.is_some() && record.interrupt().is_set() {
            // A request that came meanwhile was meant for this statement, and not for the next.
            record.interrupt().withdraw();
        }
        found
    }

    /// Reads a row that may have expired.
    #[inline(never)]
    fn read_alive(
        mut self,
        moment: usize,
        prepared: &Prepared,
        point: &PointRead,
        parameters: &[Value],
        rows: &mut Vec<Value>,
    ) -> Option<usize> {
        let place = self.again();
        let found = match place.block.status {
            TransactionStatus::Idle => place.read_alone(prepared, point, parameters, rows),
            TransactionStatus::Open => {
                place.read_in_block::<false>(prepared, point, parameters, rows)
            }
            TransactionStatus::Failed => None,
        };
        self.leave_out_expired(found, moment, rows)
    }

    /// Reads a row and locks it.
    #[cold]
    fn read_and_lock(
        mut self,
        prepared: &Prepared,
        point: &PointRead,
        parameters: &[Value],
        rows: &mut Vec<Value>,
    ) -> Option<usize> {
        // A lock of its own is given up at once, but may have to be waited for. That a row may not be locked, or cannot, is
        // told on the general way.
        if self.block.status != TransactionStatus::Open || !self.may_lock() {
            return None;
        }
        let place = self.again();
        let found = place.read_in_block::<true>(prepared, point, parameters, rows);
        match point.also() {
            Also::LockAndExpiry(moment) => self.leave_out_expired(found, moment, rows),
            _ => found,
        }
    }

    /// How many rows are left of those that were found: none of one that has expired.
    #[inline]
    fn leave_out_expired(
        &mut self,
        found: Option<usize>,
        moment: usize,
        rows: &[Value],
    ) -> Option<usize> {
        match found {
            Some(1) => Some(usize::from(PointRead::is_alive(rows, moment, self.time()))),
            found => found,
        }
    }

    /// This place, for who needs it again afterwards.
    fn again(&mut self) -> Place<'_> {
        Place {
            block: self.block,
            seat: self.seat,
            ..*self
        }
    }

    /// Whether rows can be locked in the block.
    fn may_lock(&self) -> bool {
        let tx = self.block.tx.as_ref();
        let may_write = tx.is_some_and(|tx| !tx.options().read_only) && !self.block.read_only;
        may_write && self.store.check_writable().is_ok()
    }

    /// The time of the transaction, or of one of its own.
    fn time(&mut self) -> i64 {
        let Some(tx) = &mut self.block.tx else {
            return self.store.time().tell();
        };
        let micros = tx.time().unwrap_or_else(|| self.store.time().tell());
        tx.set_time(micros);
        micros
    }

    #[inline]
    fn read_alone(
        self,
        prepared: &Prepared,
        point: &PointRead,
        parameters: &[Value],
        rows: &mut Vec<Value>,
    ) -> Option<usize> {
        let Seat::Taken(reader) = self.seat else {
            take_seat(self.seat, self.store);
            return None;
        };
        point.run(parameters, rows, |what, key, places| {
            let read = reader.read(prepared.catalog())?;
            prepared.begin(self.record);
            let found = read.show(what, key, places);
            drop(read);
            self.record.pause();
            found
        })
    }

    fn read_in_block<const LOCKS: bool>(
        self,
        prepared: &Prepared,
        point: &PointRead,
        parameters: &[Value],
        rows: &mut Vec<Value>,
    ) -> Option<usize> {
        let tx = self.block.tx.as_mut()?;
        if !Arc::ptr_eq(tx.catalog(), prepared.catalog()) {
            return None;
        }
        point.run(parameters, rows, |what, key, places| {
            prepared.begin(self.record);
            // A failure is met again on the general way, which tells it.
            wait_shown(self.store, tx, self.durability == Durability::Sync).ok()?;
            self.record.runs_in_block(tx.id().0, self.block.read_only);
            tx.begin_command();
            let found = match LOCKS {
                true => tx.show_and_lock(what, key, places),
                false => tx.show(what, key, places),
            };
            self.record.rest(true);
            found
        })
    }
}

/// Takes a seat for the next statement.
#[cold]
fn take_seat(seat: &mut Seat, store: &Store) {
    if matches!(seat, Seat::NotAsked) {
        *seat = match store.reader() {
            Some(reader) => Seat::Taken(Box::new(reader)),
            None => Seat::Refused,
        };
    }
}
