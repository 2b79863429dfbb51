//! Where the statements of a handle run.

use crate::database::{Database, Lanes};
use crate::error::Result;
use crate::plan::statement::TransactionOptions;
use crate::session::{Connection, Transaction};
use std::sync::Arc;

/// On connections of the handle's own, one for each thread that uses it.
#[derive(Clone, Debug)]
pub struct Pooled(Arc<Lanes>);

/// Where the statements of a table run: on connections of the handle's own, or on a given one.
pub trait Place: sealed::Sealed {
    /// Calls `f` with a connection.
    #[doc(hidden)]
    fn with<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T>;

    /// Calls `f` with a connection that has a transaction, perhaps several times.
    #[doc(hidden)]
    fn atomically<T>(&self, f: impl FnMut(&Connection) -> Result<T>) -> Result<T>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Pooled {}
    impl Sealed for &crate::session::Connection {}
}

impl Pooled {
    pub(crate) fn new(db: &Database) -> Self {
        Self(Arc::new(Lanes::new(db)))
    }

    /// Runs `f` in a transaction: see [`Connection::transact`].
    pub(super) fn transact<T>(
        &self,
        f: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.0.with(|connection| connection.transact(f))
    }
}

impl Place for Pooled {
    #[inline]
    fn with<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.0.with(|connection| f(connection))
    }

    fn atomically<T>(&self, mut f: impl FnMut(&Connection) -> Result<T>) -> Result<T> {
        self.transact(|tx| f(tx))
    }
}

impl Place for &Connection {
    #[inline]
    fn with<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        f(self)
    }

    fn atomically<T>(&self, mut f: impl FnMut(&Connection) -> Result<T>) -> Result<T> {
        if self.is_in_transaction() {
            return f(self);
        }
        let tx = self.unchecked_transaction(TransactionOptions::new())?;
        let value = f(&tx)?;
        tx.commit()?;
        Ok(value)
    }
}
