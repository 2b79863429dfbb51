//! The transaction that statements run in: the storage's, and with it what the statements have put off.

use super::referential::Deferred;
use crate::error::Result;
use remora_storage::transaction::{Committed, Core};
use remora_storage::{Store, TransactionOptions, transaction};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A running transaction; dropped without commit, it is rolled back.
#[derive(Debug)]
pub(crate) struct Transaction {
    storage: transaction::Transaction,
    /// Deferred constraints; `None` as long as there was nothing to defer nor to say of them.
    pub(super) deferred: Option<Box<Deferred>>,
}

impl Transaction {
    #[inline]
    pub(crate) fn begin(store: &Store, options: TransactionOptions) -> Result<Self> {
        Ok(Self {
            storage: store.begin_with(options)?,
            deferred: None,
        })
    }

    /// Begins one of the engine's own.
    pub(crate) fn begin_on(core: &Arc<Core>, options: TransactionOptions) -> Result<Self> {
        Ok(Self {
            storage: core.begin_with(options)?,
            deferred: None,
        })
    }

    /// Whether it has put anything off, or said anything of constraints.
    #[inline]
    pub(crate) fn has_deferred(&self) -> bool {
        self.deferred.is_some()
    }

    /// Commits. What was put off has been checked by then ([`super::check_deferred`]).
    ///
    /// # Errors
    /// As for the storage's.
    #[inline]
    pub(crate) fn commit(self) -> Result<Committed> {
        Ok(self.storage.commit()?)
    }
}

impl Deref for Transaction {
    type Target = transaction::Transaction;

    fn deref(&self) -> &Self::Target {
        &self.storage
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.storage
    }
}
