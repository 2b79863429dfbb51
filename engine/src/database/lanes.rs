//! Connections for a handle that many threads use, such as that of a key-value table: one for each, taken without meeting
//! others.
//!
//! ```text
//!   thread 0   thread 1   thread 2 ..   thread 64
//!      |          |          |             |
//!   [lane 0]   [lane 1]   [lane 2] ..   [lane 0], or where that is in use a connection for this call alone
//! ```
//!
//! A thread has its lane by a number that it gets when it asks first. Nobody waits for a lane: a call within a call of
//! the same handle, too, is given a connection of its own.

use super::Database;
use crate::error::Result;
use crate::session::Connection;
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const LANES: usize = 64;

/// One connection, on cache lines of its own: neighbours belong to other threads.
#[repr(align(128))]
#[derive(Default)]
struct Lane(Mutex<Option<Box<Connection>>>);

/// Connections to a database, by thread.
pub(crate) struct Lanes {
    db: Database,
    lanes: Box<[Lane]>,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl Lanes {
    pub(crate) fn new(db: &Database) -> Self {
        Self {
            db: db.clone(),
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
        }
    }

    /// Calls `f` with a connection on which nothing else runs.
    #[inline]
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        match self.lanes[number() % LANES].0.try_lock() {
            Some(mut lane) => match &mut *lane {
                Some(connection) => f(connection),
                none => f(none.insert(Box::new(self.db.connect()?))),
            },
            None => f(&mut self.db.connect()?),
        }
    }
}

/// The number of this thread.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // Relaxed: nothing but the number goes from one thread to another.
        static NUMBER: usize = NEXT.fetch_add(1, Relaxed);
    }
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_within_a_call_has_a_connection_of_its_own() {
        let db = Database::in_memory().unwrap();
        let lanes = Lanes::new(&db);
        let inner = lanes.with(|outer| {
            let _tx = outer.transaction()?;
            lanes.with(|inner| Ok(inner.is_in_transaction()))
        });
        assert!(!inner.unwrap());
    }

    #[test]
    fn a_thread_comes_back_to_its_connection() {
        let db = Database::in_memory().unwrap();
        let lanes = Lanes::new(&db);
        lanes
            .with(|conn| conn.execute("SET work_note.seen = 'yes'", []))
            .unwrap();
        let seen = |conn: &mut Connection| {
            conn.query_row(
                "SELECT current_setting('work_note.seen', true)",
                [],
                |row| row.get::<_, Option<String>>(0),
            )
        };
        assert_eq!(lanes.with(seen).unwrap().as_deref(), Some("yes"));
        let other = std::thread::scope(|scope| scope.spawn(|| lanes.with(seen)).join().unwrap());
        assert_eq!(other.unwrap(), None);
    }
}
