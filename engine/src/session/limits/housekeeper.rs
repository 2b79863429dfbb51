//! Time limits: a thread that stops what has taken too long.
//!
//! ```text
//!   a session's Watch     a statement runs          deadline -> the interrupt is requested
//!                         a transaction is at rest  deadline -> it is taken and rolled back
//! ```
//!
//! A session without limits has no watch, reads no clock and takes no lock for it. One with a limit
//! says when it begins a statement until when that may take; and where it comes to rest within a
//! transaction block, it *parks* the transaction in its watch: whoever comes first, the session's next
//! call or the housekeeper, has it. So a transaction that is forgotten pins nothing beyond its limit,
//! although nobody else can reach into a session.
//!
//! The thread is started with the first watch, and sleeps until the next deadline that it knows of.
//! Deadlines that were met in time are not told to it: it wakes up for nothing then, at most once in
//! the time of a limit.
//!
//! Invariants
//! - An interrupt is requested under the watch's lock, while the deadline stands; who sets another deadline,
//!   or none, takes it back under the lock. So it never meets the statement after the one it was meant for.
//! - A deadline is seen: it is set before the thread's next waking is looked at, and the thread gives
//!   that up before it looks at deadlines.

use crate::activity::{Request, SessionRecord};
use crate::error::{Error, Result, state};
use crate::exec::Transaction;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The longest sleep: a watch that is gone is forgotten then.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The thread of a database, once there is one.
#[derive(Debug)]
pub(crate) struct Housekeeper {
    shared: Arc<Shared>,
    started: Mutex<bool>,
}

#[derive(Debug)]
struct Shared {
    watches: Mutex<Vec<Weak<Watch>>>,
    alarm: Mutex<Alarm>,
    changed: Condvar,
    /// When the thread wakes up, in nanoseconds since `epoch`; `AWAKE` while it looks. Says to sessions
    /// whose deadline is later that there is nothing to tell.
    wakes: AtomicU64,
    epoch: Instant,
}

const AWAKE: u64 = u64::MAX;

#[derive(Debug, Default)]
struct Alarm {
    /// When the thread wakes up by itself.
    at: Option<Instant>,
    ended: bool,
}

/// The deadlines of one session.
#[derive(Debug)]
pub(in crate::session) struct Watch {
    record: Arc<SessionRecord>,
    shared: Arc<Shared>,
    state: Mutex<WatchState>,
}

#[derive(Debug, Default)]
struct WatchState {
    deadline: Option<(Instant, Limit)>,
    parked: Parked,
}

/// Which limit is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum Limit {
    /// `statement_timeout`
    Statement,
    /// `transaction_timeout`
    Transaction,
    /// `idle_in_transaction_session_timeout`
    Idle,
}

/// The transaction of a block between two calls.
#[derive(Debug, Default)]
pub(in crate::session) enum Parked {
    /// There is none.
    #[default]
    Nothing,
    Open(Box<Transaction>),
    /// It was rolled back because of the limit.
    Ended(Limit),
}

impl Limit {
    /// The error of a transaction that was rolled back because of it.
    pub(in crate::session) fn error(self) -> Error {
        let (state, limit) = match self {
            Self::Idle => (
                state::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "idle-in-transaction timeout",
            ),
            _ => (state::TRANSACTION_TIMEOUT, "transaction timeout"),
        };
        Error::new(state, format!("terminating transaction due to {limit}"))
            .with_hint("The transaction was rolled back; ROLLBACK, and run it again.")
    }

    fn request(self) -> Request {
        match self {
            Self::Statement => Request::StatementTimeout,
            _ => Request::TransactionTimeout,
        }
    }
}

impl Default for Housekeeper {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                watches: Mutex::default(),
                alarm: Mutex::default(),
                changed: Condvar::new(),
                wakes: AtomicU64::new(AWAKE),
                epoch: Instant::now(),
            }),
            started: Mutex::new(false),
        }
    }
}

impl Housekeeper {
    /// Watches over a session from now on.
    ///
    /// # Errors
    /// 58030 where the system refuses the thread.
    pub(in crate::session) fn watch(&self, record: &Arc<SessionRecord>) -> Result<Arc<Watch>> {
        let mut started = self.started.lock();
        if !*started {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("remora-limits".to_owned());
            thread.spawn(move || shared.run()).map_err(|error| {
                sql_error!(
                    IO_ERROR,
                    "could not start the thread for time limits: {error}"
                )
            })?;
            *started = true;
        }
        let watch = Arc::new(Watch {
            record: Arc::clone(record),
            shared: Arc::clone(&self.shared),
            state: Mutex::default(),
        });
        let mut watches = self.shared.watches.lock();
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(&watch));
        Ok(watch)
    }
}

impl Drop for Housekeeper {
    fn drop(&mut self) {
        self.shared.alarm.lock().ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn run(&self) {
        loop {
            {
                let mut alarm = self.alarm.lock();
                if alarm.ended {
                    return;
                }
                // Whoever sets a deadline from here on tells of it: if the look at his watch misses it, he
                // has taken the watch's lock after that look, and therefore sees this, or what follows.
                alarm.at = None;
                self.wakes.store(AWAKE, Relaxed);
            }
            let next = self.look();
            let mut alarm = self.alarm.lock();
            let at = [alarm.at, next].into_iter().flatten().min();
            let at = at.unwrap_or_else(|| Instant::now() + SLEEP_MAX);
            self.set(&mut alarm, at);
            if !alarm.ended {
                self.changed.wait_until(&mut alarm, at);
            }
        }
    }

    /// Stops what has taken too long; returns the next deadline.
    fn look(&self) -> Option<Instant> {
        let watches: Vec<_> = {
            let watches = self.watches.lock();
            watches.iter().filter_map(Weak::upgrade).collect()
        };
        let now = Instant::now();
        let deadlines = watches.iter().filter_map(|watch| watch.look(now));
        deadlines.min()
    }

    /// Makes sure that the thread wakes up in time.
    fn wake_at(&self, deadline: Instant) {
        if self.nanos(deadline) >= self.wakes.load(Relaxed) {
            return;
        }
        let mut alarm = self.alarm.lock();
        if alarm.at.is_none_or(|at| deadline < at) {
            self.set(&mut alarm, deadline);
            self.changed.notify_all();
        }
    }

    fn set(&self, alarm: &mut Alarm, at: Instant) {
        alarm.at = Some(at);
        self.wakes.store(self.nanos(at), Relaxed);
    }

    fn nanos(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(nanos).unwrap_or(AWAKE - 1)
    }
}

impl Watch {
    /// Says until when the statement may run that begins now.
    pub(in crate::session) fn begin(&self, deadline: Option<(Instant, Limit)>) {
        self.set(deadline);
        if let Some((at, _)) = deadline {
            self.shared.wake_at(at);
        }
    }

    fn set(&self, deadline: Option<(Instant, Limit)>) {
        let mut state = self.state.lock();
        state.deadline = deadline;
        // The one before may have been reached at the last moment.
        for limit in [Limit::Statement, Limit::Transaction] {
            self.record.interrupt().withdraw_one(limit.request());
        }
    }

    /// The statement is done: no limit meets the next one.
    pub(in crate::session) fn end(&self) {
        self.set(None);
    }

    /// Leaves a transaction here until the next call.
    pub(in crate::session) fn park(
        &self,
        transaction: Transaction,
        deadline: Option<(Instant, Limit)>,
    ) {
        let mut state = self.state.lock();
        state.parked = Parked::Open(Box::new(transaction));
        state.deadline = deadline;
        drop(state);
        if let Some((at, _)) = deadline {
            self.shared.wake_at(at);
        }
    }

    /// What became of the transaction that was left here.
    pub(in crate::session) fn take(&self) -> Parked {
        let mut state = self.state.lock();
        if matches!(state.parked, Parked::Nothing) {
            return Parked::Nothing;
        }
        state.deadline = None;
        std::mem::take(&mut state.parked)
    }

    /// Does what is due; returns the deadline that stands.
    fn look(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let (at, limit) = state.deadline?;
        if at > now {
            return Some(at);
        }
        state.deadline = None;
        match std::mem::take(&mut state.parked) {
            Parked::Open(transaction) => {
                state.parked = Parked::Ended(limit);
                // While the session cannot take note of it and begin something else.
                self.record.rest(false);
                drop(state);
                // May take a while: without the lock.
                drop(transaction);
            }
            other => {
                state.parked = other;
                self.record.interrupt().request(limit.request());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Activity;

    /// Alice's first statement ends just as its time does. Her second has its own time.
    #[test]
    fn a_limit_that_is_reached_at_the_last_moment_does_not_meet_the_next_statement() {
        let housekeeper = Housekeeper::default();
        let record = Activity::new().join();
        let watch = housekeeper.watch(&record).unwrap();
        let later = || Instant::now() + Duration::from_secs(3600);
        for limit in [Limit::Statement, Limit::Transaction] {
            watch.begin(Some((Instant::now(), limit)));
            // By the thread, or here.
            watch.look(later());
            assert!(record.interrupt().is_set());
            watch.begin(Some((later(), limit)));
            assert!(!record.interrupt().is_set());
            watch.look(later() + Duration::from_secs(1));
            assert!(record.interrupt().is_set());
            watch.end();
            assert!(!record.interrupt().is_set());
        }
        // What a person asks for is not taken back.
        record.interrupt().request(Request::Cancel);
        watch.end();
        watch.begin(None);
        assert!(record.interrupt().is_set());
    }
}
