//! Waiting for a rival before a conflict is the caller's (`lock_timeout`), and for room in a table that is full (`on_full`).
//!
//! Who comes second has lost: his statement fails and is undone. But where the one who was first is still
//! running, he may roll back. So with a `lock_timeout` the statement waits for what becomes of him, having let
//! go of all that it had taken itself, and is run again:
//!
//! | the rival | a statement of its own, the first of a transaction | a later one |
//! |---|---|---|
//! | rolls back | goes on | goes on |
//! | commits | goes on with a new snapshot | 40001: the transaction has used the old one |
//! | is not done in time | 55P03 | 55P03 |
//!
//! A transaction keeps what its earlier statements have taken while it waits. Whoever would wait for somebody
//! who waits for him has his conflict at once, so there is no deadlock; and the time is that of the statement
//! as a whole, however many rivals it meets. While it waits its turn is somebody else's.
//!
//! Room in a table is waited for likewise, but for ever if there is no `lock_timeout`. Nobody can tell who will make it.

use super::core::Session;
use crate::activity::{Backoff, RetryLimit};
use crate::error::{Error, Result, state};
use remora_storage::transaction::Waited;
use remora_storage::{TableId, TransactionId};
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// After so long a waiter tries again at first, whatever he has heard.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// And at last, having waited twice as long from try to try.
const TRY_AGAIN_MAX: Duration = Duration::from_secs(1);

/// How a statement waits.
pub(in crate::session) struct Patience {
    /// Until when; not known before it does.
    until: Option<Instant>,
    /// The rival it has waited for last.
    rival: Option<TransactionId>,
    /// After how long it tries again.
    pause: Duration,
    /// When it was run again last.
    resumed: Option<Instant>,
    /// For those who meet again and again; the time ends it.
    backoff: Backoff,
    /// Whether the session's listener was called.
    is_told: Cell<bool>,
}

/// The session's callback for the beginning of a wait.
pub(in crate::session) struct LockWaitListener(pub(in crate::session) Box<dyn Fn() + Send>);

impl fmt::Debug for LockWaitListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockWaitListener")
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            until: None,
            rival: None,
            pause: TRY_AGAIN,
            resumed: None,
            backoff: Backoff::new(RetryLimit::new().attempts(u32::MAX)),
            is_told: Cell::new(false),
        }
    }
}

impl Patience {
    /// Until when to wait, from the first time on that it is asked.
    fn until(&mut self, limit: Duration) -> Instant {
        *self.until.get_or_insert_with(|| Instant::now() + limit)
    }

    /// For how long to wait at a time: not shorter than the statement takes to try.
    fn pause(&mut self) -> Duration {
        let took = self.resumed.map_or(Duration::ZERO, |at| at.elapsed());
        let pause = self.pause.max(took.min(TRY_AGAIN_MAX));
        self.pause = TRY_AGAIN_MAX.min(pause * 2);
        pause
    }
}

impl Session {
    /// Whether a statement that has failed is to wait for somebody.
    #[inline]
    pub(in crate::session) fn may_wait(&self, error: &Error) -> bool {
        self.settings.lock_timeout().is_some() && error.running_rival().is_some()
    }

    /// Waits for the rival against whom a statement was lost, if there is one; returns whether to run it
    /// again. `own` is the transaction that is open meanwhile.
    ///
    /// # Errors
    /// 55P03 when the time is over; what the session is asked to stop with.
    pub(in crate::session) fn wait_for_rival(
        &mut self,
        error: &Error,
        own: Option<TransactionId>,
        patience: &mut Patience,
    ) -> Result<bool> {
        let (Some(limit), Some(rival)) = (self.settings.lock_timeout(), error.running_rival())
        else {
            return Ok(false);
        };
        let until = patience.until(limit);
        self.note_conflict(error);
        if patience.rival.replace(rival) != Some(rival) {
            patience.pause = TRY_AGAIN;
        }
        self.permit = None;
        self.record.wait_for_rival(rival.0);
        let interrupt = self.record.interrupt();
        let pause = patience.pause();
        // Asked before it waits, and then once a millisecond.
        let has_waited = Cell::new(false);
        let waited = self.store.wait_for(rival, own, until, pause, || {
            if has_waited.replace(true) && !patience.is_told.replace(true) {
                self.tell_listener();
            }
            !interrupt.is_set()
        });
        self.record.wait_for_rival(0);
        if waited == Waited::Gone {
            patience.backoff.pause(self.record.interrupt());
        }
        self.record.interrupt().check()?;
        match waited {
            Waited::Circle => Ok(false),
            Waited::Over => Err(timed_out(error)),
            Waited::TryAgain | Waited::Gone => {
                self.forget_conflict();
                patience.resumed = Some(Instant::now());
                self.admit().map(|()| true)
            }
        }
    }

    /// Waits for room in a table that refused a row; returns whether to run the statement again.
    ///
    /// # Errors
    /// 55P03 when the time is over; what the session is asked to stop with.
    pub(in crate::session) fn wait_for_room(
        &mut self,
        table: TableId,
        error: &Error,
        own: Option<TransactionId>,
        patience: &mut Patience,
    ) -> Result<bool> {
        let limit = self.settings.lock_timeout();
        let until = limit.map(|limit| patience.until(limit));
        self.permit = None;
        self.record.wait_for_room(true);
        let interrupt = self.record.interrupt();
        let is_wanted = || !interrupt.is_set();
        let waited = self.store.wait_for_room(table, own, until, is_wanted);
        self.record.wait_for_room(false);
        self.record.interrupt().check()?;
        match waited {
            Waited::Over => Err(timed_out(error).with_detail(error.message().to_owned())),
            _ => self.admit().map(|()| true),
        }
    }

    /// Calls the session's listener. A panic in it is contained: the statement goes on.
    fn tell_listener(&self) {
        if let Some(LockWaitListener(listener)) = &self.lock_wait_listener {
            let _ = catch_unwind(AssertUnwindSafe(listener));
        }
    }

    /// The first statement of a block has lost against somebody who has committed: it may have a newer
    /// snapshot, as nobody has used this one. Returns whether to run it again, until the time is over.
    ///
    /// # Errors
    /// What the session is asked to stop with.
    pub(in crate::session) fn wait_for_snapshot(
        &mut self,
        error: &Error,
        patience: &mut Patience,
    ) -> Result<bool> {
        let Some(limit) = self.settings.lock_timeout() else {
            return Ok(false);
        };
        if Instant::now() >= patience.until(limit) {
            return Ok(false);
        }
        self.give_way(error, &mut patience.backoff)
    }
}

fn timed_out(error: &Error) -> Error {
    let message = "canceling statement due to lock timeout";
    let timed_out = Error::new(state::LOCK_NOT_AVAILABLE, message);
    match error.detail() {
        Some(detail) => timed_out.with_detail(detail),
        None => timed_out,
    }
}
