//! The clock as one statement reads it: once, and only if something asks.
//!
//! Times a clock can cost as much as finding a row, and most statements by key never ask for the time. So the first who
//! asks reads it, for all. A copy shares the answer: it asks before it is made.
//!
//! A transaction has one time as well: that of its first statement to ask. Since its snapshot is older than that, `now()` is
//! never before something that it sees.

use crate::error::{Error, Result};
use remora_storage::time::DatabaseTime;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

/// What stands for *not read yet*: no moment that a clock gives.
const UNREAD: i64 = i64::MIN;

/// When a statement and its transaction began, in microseconds since 1970 UTC.
#[derive(Debug)]
pub(crate) struct StatementClock {
    /// The database's; `None` for a clock that stands still.
    time: Option<Arc<DatabaseTime>>,
    /// Of the statement that runs.
    pub(crate) times: Times,
}

/// The times that one statement has.
#[derive(Debug)]
pub(crate) struct Times {
    statement: AtomicI64,
    /// `None` for a statement that is a transaction of its own, or the first in its transaction to ask.
    transaction: Option<i64>,
}

impl Times {
    /// Of a statement that begins now, in a transaction whose time is `transaction`, if it has one yet.
    pub(crate) fn starting(transaction: Option<i64>) -> Self {
        Self {
            statement: AtomicI64::new(UNREAD),
            transaction,
        }
    }
}

impl StatementClock {
    /// A clock by the time of a database, for statements one after another.
    pub(crate) fn of(time: &Arc<DatabaseTime>) -> Self {
        Self {
            time: Some(Arc::clone(time)),
            times: Times::starting(None),
        }
    }

    /// A clock that stands still.
    pub(crate) fn at(micros: i64) -> Self {
        Self {
            time: None,
            times: Times {
                statement: AtomicI64::new(micros),
                transaction: None,
            },
        }
    }

    /// The statement's start.
    pub(crate) fn statement_start(&self) -> i64 {
        // Relaxed: the number is all there is.
        match self.times.statement.load(Relaxed) {
            UNREAD => {
                let now = self.time.as_ref().map_or(0, |time| time.tell());
                let first = self
                    .times
                    .statement
                    .compare_exchange(UNREAD, now, Relaxed, Relaxed);
                first.map_or_else(|earlier| earlier, |_| now)
            }
            micros => micros,
        }
    }

    /// The statement's start, if it has asked.
    pub(crate) fn read_at(&self) -> Option<i64> {
        Some(self.times.statement.load(Relaxed)).filter(|micros| *micros != UNREAD)
    }

    /// The transaction's time: `now()`.
    pub(crate) fn transaction_start(&self) -> i64 {
        let known = self.times.transaction;
        known.unwrap_or_else(|| self.statement_start())
    }

    /// The time of the database.
    ///
    /// # Errors
    /// 0A000 for a clock that stands still.
    pub(crate) fn time(&self) -> Result<&DatabaseTime> {
        let time = self.time.as_deref();
        time.ok_or_else(|| Error::unsupported("the time of the database in this place"))
    }

    /// This moment, which goes on.
    pub(crate) fn now(&self) -> i64 {
        // Read first, so that no statement begins after a moment that it was told.
        let start = self.statement_start();
        self.time.as_ref().map_or(start, |time| time.tell())
    }
}

impl Default for StatementClock {
    fn default() -> Self {
        Self::at(0)
    }
}

impl Clone for StatementClock {
    fn clone(&self) -> Self {
        Self {
            time: self.time.clone(),
            times: Times {
                statement: AtomicI64::new(self.statement_start()),
                transaction: self.times.transaction,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remora_storage::time::ManualTime;
    use std::time::{Duration, UNIX_EPOCH};

    fn clock() -> (ManualTime, StatementClock) {
        let source = ManualTime::at(UNIX_EPOCH);
        let time = DatabaseTime::new(Arc::new(source.clone()), false);
        (source, StatementClock::of(&Arc::new(time)))
    }

    #[test]
    fn it_is_read_once_and_a_copy_says_the_same() {
        let (source, clock) = clock();
        let copy = clock.clone();
        source.advance(Duration::from_micros(5));
        assert_eq!(clock.statement_start(), 0);
        assert_eq!(copy.statement_start(), 0);
        assert_eq!((clock.transaction_start(), clock.now()), (0, 5));
    }

    #[test]
    fn a_transaction_keeps_its_own_time() {
        let (source, mut clock) = clock();
        source.advance(Duration::from_micros(8));
        clock.times = Times::starting(Some(7));
        assert_eq!(clock.read_at(), None);
        assert_eq!(clock.transaction_start(), 7);
        assert_eq!(clock.statement_start(), 8);
        assert_eq!(clock.read_at(), Some(8));
        clock.times = Times::starting(None);
        assert_eq!(clock.transaction_start(), 8);
    }
}
