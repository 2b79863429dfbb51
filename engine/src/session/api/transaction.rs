//! A transaction as a value: it ends when the value does.

use super::connection::Connection;
use crate::error::{Error, Result};
use crate::session::Savepoint;
use crate::session::transaction::transaction_block::TransactionStatus;
use std::ops::Deref;

/// What becomes of a [`Transaction`] or a [`Savepoint`] that is dropped unfinished.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DropBehavior {
    /// It is rolled back.
    #[default]
    Rollback,
    /// It is committed; errors of that are lost.
    Commit,
    /// It stays open: the connection's next statements are part of it.
    Ignore,
}

/// A transaction on a connection, which it borrows: everything that runs on either is part of it.
/// Dropped without [`Transaction::commit`], it is rolled back.
///
/// ```
/// # let db = remora::Database::in_memory()?;
/// # let mut conn = db.connect()?;
/// # conn.execute_batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (1)")?;
/// let tx = conn.transaction()?;
/// tx.execute("UPDATE t SET n = n + 1", [])?;
/// drop(tx);
/// assert_eq!(conn.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0))?, 1);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Debug)]
pub struct Transaction<'conn> {
    connection: &'conn Connection,
    drop_behavior: DropBehavior,
    finished: bool,
}

impl<'conn> Transaction<'conn> {
    pub(in crate::session) fn new(connection: &'conn Connection) -> Self {
        Self {
            connection,
            drop_behavior: DropBehavior::default(),
            finished: false,
        }
    }

    /// What becomes of it if it is dropped unfinished.
    pub fn drop_behavior(&self) -> DropBehavior {
        self.drop_behavior
    }

    /// Changes what becomes of it if it is dropped unfinished.
    pub fn set_drop_behavior(&mut self, drop_behavior: DropBehavior) {
        self.drop_behavior = drop_behavior;
    }

    /// A savepoint: a part of it that can be undone by itself. `&mut` keeps the transaction from being
    /// used otherwise meanwhile.
    ///
    /// # Errors
    /// 25P02 where a statement has failed, 53200 where memory is full, 25P01 where SQL has ended the
    /// transaction.
    pub fn savepoint(&mut self) -> Result<Savepoint<'_>> {
        Savepoint::new(self.connection, None)
    }

    /// As [`Transaction::savepoint`], with a name by which SQL can go back to it: as it is, upper and
    /// lower case differ.
    ///
    /// # Errors
    /// As for [`Transaction::savepoint`].
    pub fn savepoint_with_name(&mut self, name: impl AsRef<str>) -> Result<Savepoint<'_>> {
        Savepoint::new(self.connection, Some(name.as_ref()))
    }

    /// Makes its changes visible to others, all at once, and returns when they are as durable as
    /// the database's level asks.
    ///
    /// # Errors
    /// 40001 where it lost a conflict, 25P02 where a statement in it had failed: then it is rolled
    /// back. 08007 where the log failed and the outcome is unknown. 25P01 where SQL had ended it.
    pub fn commit(mut self) -> Result<()> {
        self.finished = true;
        commit(self.connection)
    }

    /// Undoes its changes.
    ///
    /// # Errors
    /// 25P01 where SQL had ended it already.
    pub fn rollback(mut self) -> Result<()> {
        self.finished = true;
        match self.connection.transaction_status() {
            TransactionStatus::Idle => Err(ended()),
            _ => self.connection.with_session(|session| {
                session.rollback_block();
                Ok(())
            }),
        }
    }
}

fn commit(connection: &Connection) -> Result<()> {
    let status = connection.transaction_status();
    connection.with_session(|session| match status {
        TransactionStatus::Idle => Err(ended()),
        // A limit may have ended it meanwhile.
        TransactionStatus::Open => session.commit_block().map(drop),
        TransactionStatus::Failed => {
            session.rollback_block();
            Err(sql_error!(
                IN_FAILED_SQL_TRANSACTION,
                "the transaction was rolled back, because a statement in it had failed"
            ))
        }
    })
}

fn ended() -> Error {
    sql_error!(
        NO_ACTIVE_SQL_TRANSACTION,
        "the transaction was ended already"
    )
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.finished || !self.connection.is_in_transaction() {
            return;
        }
        // A drop has nobody to tell an error to.
        let _ = match self.drop_behavior {
            DropBehavior::Rollback => self.connection.with_session(|session| {
                session.rollback_block();
                Ok(())
            }),
            DropBehavior::Commit => commit(self.connection),
            DropBehavior::Ignore => Ok(()),
        };
    }
}
