//! The session in the hands of a call: one call at a time, and what it held is given back however it ends.

use crate::error::Error;
use crate::session::execute::core::Session;
use crate::session::transaction::transaction_block::TransactionStatus;
use std::cell::{Cell, RefMut};
use std::ops::{Deref, DerefMut};

/// Only code that a call itself calls (a reader of COPY, say) can find the session in use.
#[cold]
pub(super) fn in_use() -> Error {
    sql_error!(
        OBJECT_IN_USE,
        "the connection is in use by the call that called this one"
    )
}

/// A call on the session. Where it ends by a panic (of a reader of COPY, say), it has failed: what it held is
/// given back, and an open transaction is a failed one.
pub(super) struct CallUnderWay<'c> {
    pub(super) session: InUse<'c>,
    pub(super) status: &'c Cell<TransactionStatus>,
    pub(super) is_over: bool,
}

impl CallUnderWay<'_> {
    /// Settles what it leaves.
    pub(super) fn end(&mut self, failed: bool) {
        self.session.settle(failed);
        self.status.set(self.session.status());
        self.is_over = true;
    }
}

impl Drop for CallUnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(true);
        }
    }
}

/// The session in the hands of a call.
pub(super) struct InUse<'c>(RefMut<'c, Session>);

impl<'c> InUse<'c> {
    #[inline]
    pub(super) fn new(mut session: RefMut<'c, Session>) -> Self {
        session.enter();
        Self(session)
    }
}

impl Deref for InUse<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl DerefMut for InUse<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.0
    }
}

impl Drop for InUse<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}
