//! Transactions that are run again when they lose a conflict.

use super::connection::Connection;
use super::transaction::{DropBehavior, Transaction};
use crate::activity::{Backoff, RetryLimit};
use crate::error::Result;
use crate::plan::statement::TransactionOptions;
use crate::session::execute::conflict::Retrying;

impl Connection {
    /// Runs `f` in a transaction and commits it. Where the transaction loses a conflict (40001), in `f`
    /// or at its commit, it is rolled back and `f` is run again, after a pause, up to a limit
    /// ([`RetryLimit`]); any other error rolls it back and is returned.
    ///
    /// `f` may run several times: what it does outside of the transaction it does each time.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let mut conn = db.connect()?;
    /// # conn.execute_batch("CREATE TABLE account (id INT PRIMARY KEY, balance INT);
    /// #     INSERT INTO account VALUES (1, 100), (2, 0)")?;
    /// let left: i32 = conn.transact(|tx| {
    ///     tx.execute("UPDATE account SET balance = balance - 30 WHERE id = 1", [])?;
    ///     tx.execute("UPDATE account SET balance = balance + 30 WHERE id = 2", [])?;
    ///     tx.query_row("SELECT balance FROM account WHERE id = 1", [], |row| row.get(0))
    /// })?;
    /// assert_eq!(left, 70);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `f` and of the commit; 40001 when the limit is reached; 25001 where SQL has begun a
    /// transaction already.
    pub fn transact<T>(&mut self, f: impl FnMut(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        self.transact_with(TransactionOptions::new(), RetryLimit::new(), f)
    }

    /// As [`Connection::transact`], with a level of isolation and a limit of one's own.
    ///
    /// # Errors
    /// As for [`Connection::transact`].
    pub fn transact_with<T>(
        &mut self,
        options: TransactionOptions,
        limit: RetryLimit,
        mut f: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let connection: &Self = self;
        let mut backoff = Backoff::new(limit);
        let retrying = Retrying::new(connection);
        loop {
            let mut tx = connection.unchecked_transaction(options)?;
            let done = match f(&mut tx) {
                Ok(value) => tx.commit().map(|()| value),
                // Rolled back also where SQL has ended it already, and whatever `f` wanted of a drop.
                Err(error) => {
                    tx.set_drop_behavior(DropBehavior::Rollback);
                    drop(tx);
                    Err(error)
                }
            };
            match done {
                Err(error) if error.is_retryable() => {
                    let again = backoff.pause(connection.interrupt());
                    // Whoever asked it to stop hears that it did.
                    connection.check_interrupt()?;
                    if !again {
                        return Err(retrying.give_up(error));
                    }
                    retrying.again();
                }
                done => return done,
            }
        }
    }
}
