//! A savepoint as a value: it ends when the value does.

use super::connection::Connection;
use super::transaction::DropBehavior;
use crate::error::Result;
use crate::session::transaction::savepoints::SavepointId;
use std::ops::Deref;

/// The name of a savepoint that was given none.
const UNNAMED: &str = "_remora_savepoint";

/// A part of a transaction, which it borrows: what runs while it lives can be undone without the rest.
/// Dropped without [`Savepoint::commit`], it is rolled back. Savepoints nest.
///
/// ```
/// # let db = remora::Database::in_memory()?;
/// # let mut conn = db.connect()?;
/// # conn.execute_batch("CREATE TABLE t (n BIGINT PRIMARY KEY)")?;
/// let mut tx = conn.transaction()?;
/// tx.execute("INSERT INTO t VALUES (1)", [])?;
/// let savepoint = tx.savepoint()?;
/// savepoint.execute("INSERT INTO t VALUES (2)", [])?;
/// assert_eq!(savepoint.execute("INSERT INTO t VALUES (1)", []).unwrap_err().sqlstate(), "23505");
/// drop(savepoint);                                     // the transaction is usable again
/// let savepoint = tx.savepoint_with_name("second")?;
/// savepoint.execute("INSERT INTO t VALUES (3)", [])?;
/// savepoint.commit()?;
/// tx.commit()?;
/// let sum: i64 = conn.query_row("SELECT CAST(sum(n) AS BIGINT) FROM t", [], |row| row.get(0))?;
/// assert_eq!(sum, 4);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Debug)]
pub struct Savepoint<'conn> {
    connection: &'conn Connection,
    id: SavepointId,
    drop_behavior: DropBehavior,
    finished: bool,
}

impl<'conn> Savepoint<'conn> {
    pub(in crate::session) fn new(
        connection: &'conn Connection,
        name: Option<&str>,
    ) -> Result<Self> {
        let name = name.unwrap_or(UNNAMED);
        let id = connection.with_session(|session| session.savepoint(name))?;
        Ok(Self {
            connection,
            id,
            drop_behavior: DropBehavior::default(),
            finished: false,
        })
    }

    /// A savepoint within this one. `&mut` keeps this one from being used meanwhile.
    ///
    /// # Errors
    /// 25P02 where a statement has failed, 53200 where memory is full.
    pub fn savepoint(&mut self) -> Result<Savepoint<'_>> {
        Savepoint::new(self.connection, None)
    }

    /// As [`Savepoint::savepoint`], with a name by which SQL can go back to it.
    ///
    /// # Errors
    /// As for [`Savepoint::savepoint`].
    pub fn savepoint_with_name(&mut self, name: impl AsRef<str>) -> Result<Savepoint<'_>> {
        Savepoint::new(self.connection, Some(name.as_ref()))
    }

    /// What becomes of it if it is dropped unfinished.
    pub fn drop_behavior(&self) -> DropBehavior {
        self.drop_behavior
    }

    /// Changes what becomes of it if it is dropped unfinished.
    pub fn set_drop_behavior(&mut self, drop_behavior: DropBehavior) {
        self.drop_behavior = drop_behavior;
    }

    /// Makes its changes a part of what it lies in.
    ///
    /// # Errors
    /// 25P02 where a statement in it had failed: then its changes are undone, and the transaction can
    /// go on. 3B001 where SQL had ended it.
    pub fn commit(mut self) -> Result<()> {
        self.finished = true;
        let id = self.id;
        // Not by `with_session`: that it was rolled back fails nothing else.
        self.connection
            .at_rest(|session| session.commit_savepoint(id))
    }

    /// Undoes its changes, also after a statement in it has failed. It goes on, as if it had just begun.
    ///
    /// # Errors
    /// 3B001 where SQL had ended it.
    pub fn rollback(&mut self) -> Result<()> {
        let id = self.id;
        self.connection
            .at_rest(|session| session.rollback_to_savepoint(id))
    }

    /// Does what dropping it does, and tells what goes wrong.
    ///
    /// # Errors
    /// As for [`Savepoint::commit`] or [`Savepoint::rollback`].
    pub fn finish(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let (id, behavior) = (self.id, self.drop_behavior);
        self.connection.at_rest(|session| match behavior {
            DropBehavior::Rollback => session.drop_savepoint(id),
            DropBehavior::Commit => session.commit_savepoint(id),
            DropBehavior::Ignore => Ok(()),
        })
    }
}

impl Deref for Savepoint<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        // A drop has nobody to tell an error to.
        let _ = self.end();
    }
}
