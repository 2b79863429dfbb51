//! The word by which a session is asked to stop.
//!
//! Anybody sets bits in it, at any time and without a lock, also from a signal handler. Whatever takes
//! long looks at it at least once a millisecond, and a session that waits for notifications every 20; the end
//! of a statement takes requests back that were meant for it.
//!
//! | request | meant for | error |
//! |---|---|---|
//! | `Cancel` | the running statement | 57014 canceling statement due to user request |
//! | `StatementTimeout` | the running statement | 57014 canceling statement due to statement timeout |
//! | `TransactionTimeout` | the running transaction | 25P04 |
//! | `Refuse` | what has not begun yet, for good | 57P01 |
//! | `Shutdown` | all that runs, for good | 57P01 |

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicU8, Ordering};

/// Why a session shall stop what it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Request {
    /// Somebody asked for it.
    Cancel = 1,
    /// `statement_timeout` is over.
    StatementTimeout = 2,
    /// `transaction_timeout` is over.
    TransactionTimeout = 4,
    /// The database is closed. Stays.
    Shutdown = 8,
    /// The database is being closed: what runs may end, nothing new begins. Stays.
    Refuse = 16,
}

/// What ends a statement that runs.
const RUNNING: u8 = !(Request::Refuse as u8);
/// What no end of a statement takes back.
const STAYS: u8 = Request::Shutdown as u8 | Request::Refuse as u8;

/// The requests that a session has not met yet.
#[derive(Debug, Default)]
pub(crate) struct Interrupt(AtomicU8);

// Relaxed everywhere: the word guards no other data; that it is seen soon is all that matters.
impl Interrupt {
    /// Asks.
    pub(crate) fn request(&self, request: Request) {
        self.0.fetch_or(request as u8, Ordering::Relaxed);
    }

    /// Takes back what was asked of one statement.
    pub(crate) fn withdraw(&self) {
        self.0.fetch_and(STAYS, Ordering::Relaxed);
    }

    /// Takes one request back.
    pub(crate) fn withdraw_one(&self, request: Request) {
        self.0.fetch_and(!(request as u8), Ordering::Relaxed);
    }

    /// Whether anything was asked of what runs.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) & RUNNING != 0
    }

    /// Fails where a statement that is about to begin shall not.
    ///
    /// # Errors
    /// As for [`Self::check`].
    #[inline]
    pub(crate) fn check_new(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            asked => Err(error(asked)),
        }
    }

    /// Fails where something was asked of what runs.
    ///
    /// # Errors
    /// 57014, 25P04, 57P01.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) & RUNNING {
            0 => Ok(()),
            asked => Err(error(asked)),
        }
    }
}

/// The error of what weighs most.
#[cold]
fn error(asked: u8) -> Error {
    let is = |request: Request| asked & request as u8 != 0;
    if is(Request::Shutdown) || is(Request::Refuse) {
        return sql_error!(
            ADMIN_SHUTDOWN,
            "terminating connection due to administrator command"
        )
        .with_detail("The database is being closed.");
    }
    if is(Request::TransactionTimeout) {
        return sql_error!(
            TRANSACTION_TIMEOUT,
            "terminating connection due to transaction timeout"
        );
    }
    let why = match is(Request::StatementTimeout) {
        true => "statement timeout",
        false => "user request",
    };
    sql_error!(QUERY_CANCELED, "canceling statement due to {why}")
}
