//! Notifications for a program: those on the channels that its connection listens to.

use super::connection::Connection;
use crate::error::Result;
use crate::notification::Delivery;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Notifications of a connection, from [`Connection::notifications`].
///
/// They come in the order of the commits that sent them, each once that commit is durable. While the connection has a
/// transaction block open, there are none: what has come meanwhile can be taken when the block has ended. Up to 1 MiB of
/// them wait, beyond which the newest are counted as [`Delivery::Lost`].
#[derive(Clone, Copy, Debug)]
pub struct Notifications<'c> {
    conn: &'c Connection,
}

impl Connection {
    /// The notifications that the connection has received, and will receive, on the channels that `LISTEN` names.
    ///
    /// ```
    /// use remora::{Database, Delivery};
    /// use std::time::Duration;
    ///
    /// let db = Database::in_memory()?;
    /// let (worker, client) = (db.connect()?, db.connect()?);
    /// worker.execute("LISTEN jobs", [])?;
    /// client.execute("NOTIFY jobs, 'number 7'", [])?;
    /// match worker.notifications().next(Duration::from_secs(10))? {
    ///     Some(Delivery::Notification(job)) => assert_eq!(job.payload, "number 7"),
    ///     Some(Delivery::Lost(count)) => panic!("{count} were lost: read the table of jobs again"),
    ///     None => panic!("nothing in ten seconds"),
    /// }
    /// assert_eq!(worker.notifications().try_next()?, None);
    /// # Ok::<(), remora::Error>(())
    /// ```
    pub fn notifications(&self) -> Notifications<'_> {
        Notifications { conn: self }
    }
}

impl Notifications<'_> {
    /// Takes the next one, and waits for it for up to `timeout`; `None` when that is over. [`Duration::MAX`] is for ever.
    /// [`InterruptHandle::interrupt`](crate::InterruptHandle::interrupt) ends it within some 20 milliseconds.
    ///
    /// # Errors
    /// 25001 inside a transaction block, where none can come; 57014 where it is interrupted, 57P01 where the database is
    /// closed; 55006 when called from within a call of the same connection.
    pub fn next(&self, timeout: Duration) -> Result<Option<Delivery>> {
        let (listener, store) = self.conn.at_rest(|session| {
            let listener = Arc::clone(session.listener());
            Ok((listener, session.store.clone()))
        })?;
        if self.conn.is_in_transaction() {
            return Err(sql_error!(
                ACTIVE_SQL_TRANSACTION,
                "cannot wait for notifications inside a transaction block"
            )
            .with_hint("Commit or roll back first."));
        }
        let deadline = Instant::now().checked_add(timeout);
        let found = listener.next(deadline, || {
            self.conn.interrupt().check_new()?;
            match store.is_closed() {
                true => Err(remora_storage::Error::Closed.into()),
                false => Ok(()),
            }
        });
        if found.is_err() {
            // The request was meant for this wait.
            self.conn.settle(false);
        }
        found
    }

    /// Takes the next one, if it has come.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn try_next(&self) -> Result<Option<Delivery>> {
        let listener = self
            .conn
            .at_rest(|session| Ok(session.record.listener().cloned()))?;
        Ok(match self.conn.is_in_transaction() {
            true => None,
            false => listener.and_then(|listener| listener.try_next()),
        })
    }

    /// Takes those that have come, one by one, until there are none.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// let conn = db.connect()?;
    /// conn.execute_batch("LISTEN a; LISTEN b; NOTIFY a; NOTIFY b; NOTIFY a")?;
    /// assert_eq!(conn.notifications().iter().count(), 2);
    /// # Ok::<(), remora::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Result<Delivery>> {
        std::iter::from_fn(move || self.try_next().transpose())
    }

    /// From now on `callback` is called when something has come since [`Self::try_next`] last gave `None`, so that a
    /// program with a loop of its own can wait for notifications and other things at once. What is there already is
    /// announced at once. The thread that commits or makes commits durable calls it: `callback` must be quick and must not
    /// use the database; all it should do is to wake the loop. A panic in it is contained. What comes while a transaction
    /// block is open is announced, too: look again when the block has ended.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let db = remora::Database::in_memory()?;
    /// let conn = db.connect()?;
    /// let (sender, events) = mpsc::channel();
    /// let wake = move || sender.send("notification").expect("the loop is there");
    /// conn.notifications().on_arrival(wake)?;
    /// conn.execute("LISTEN jobs", [])?;
    /// db.connect()?.execute("NOTIFY jobs", [])?;
    /// assert_eq!(events.recv(), Ok("notification"));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn on_arrival(&self, callback: impl Fn() + Send + Sync + 'static) -> Result<()> {
        let listener = self
            .conn
            .at_rest(|session| Ok(Arc::clone(session.listener())))?;
        listener.on_arrival(Arc::new(callback));
        Ok(())
    }
}
