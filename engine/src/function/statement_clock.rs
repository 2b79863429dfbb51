//! The clock as one statement reads it: once, and only if something asks.
//!
//! Reading the system's clock can cost as much as finding a row, and most statements by key never
//! ask for the time. So the first who asks reads it, for all. A copy shares the answer: it asks
//! before it is made.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

/// What stands for *not read yet*: no moment that a clock gives.
const UNREAD: i64 = i64::MIN;

/// When a statement and its transaction began, in microseconds since 1970 UTC.
#[derive(Debug)]
pub(crate) struct StatementClock {
    statement: AtomicI64,
    /// `None` for a statement that is a transaction of its own, or the first in its transaction to ask.
    transaction: Option<i64>,
}

impl StatementClock {
    /// The clock of a statement that begins now, in a transaction that began at `transaction`; `None`
    /// makes the transaction's start its own.
    pub(crate) fn starting(transaction: Option<i64>) -> Self {
        Self {
            statement: AtomicI64::new(UNREAD),
            transaction,
        }
    }

    /// A clock that stands still.
    pub(crate) fn at(micros: i64) -> Self {
        Self {
            statement: AtomicI64::new(micros),
            transaction: None,
        }
    }

    /// The statement's start.
    pub(crate) fn statement_start(&self) -> i64 {
        // Relaxed: the number is all there is.
        match self.statement.load(Relaxed) {
            UNREAD => {
                let now = now_micros();
                let first = self
                    .statement
                    .compare_exchange(UNREAD, now, Relaxed, Relaxed);
                first.map_or_else(|earlier| earlier, |_| now)
            }
            micros => micros,
        }
    }

    /// The statement's start, if it has asked.
    pub(crate) fn read_at(&self) -> Option<i64> {
        Some(self.statement.load(Relaxed)).filter(|micros| *micros != UNREAD)
    }

    /// The transaction's start: `now()`.
    pub(crate) fn transaction_start(&self) -> i64 {
        self.transaction.unwrap_or_else(|| self.statement_start())
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
            statement: AtomicI64::new(self.statement_start()),
            transaction: self.transaction,
        }
    }
}

/// Microseconds since 1970 UTC.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_once_and_a_copy_says_the_same() {
        let clock = StatementClock::starting(None);
        let copy = clock.clone();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(clock.statement_start(), copy.statement_start());
        assert_eq!(clock.transaction_start(), copy.transaction_start());
        assert!((now_micros() - clock.statement_start()) >= 2000);
    }

    #[test]
    fn a_transaction_keeps_its_own_start() {
        let clock = StatementClock::starting(Some(7));
        assert_eq!(clock.transaction_start(), 7);
        assert!(clock.statement_start() > 7);
    }
}
