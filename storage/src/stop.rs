//! Whether a long operation is to stop: asked of the caller, again and again.
//!
//! What may take long asks about once in some ten thousand rows or entries, a fraction of a
//! millisecond; where the answer is yes it undoes what it did and fails with [`Error::Interrupted`].

use crate::error::{Error, Result};
use std::fmt;

/// How to ask. Cheap to copy, and shared by the threads of an operation.
#[derive(Clone, Copy)]
pub struct Stop<'a>(Option<&'a (dyn Fn() -> bool + Sync)>);

impl<'a> Stop<'a> {
    /// Nobody wants to stop it.
    pub const NEVER: Self = Self(None);

    /// Stops as soon as `is_asked` says so.
    pub fn when(is_asked: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self(Some(is_asked))
    }

    /// Fails where the operation is to stop.
    ///
    /// # Errors
    /// `Interrupted`.
    #[inline]
    pub fn check(self) -> Result<()> {
        match self.0 {
            Some(is_asked) if is_asked() => Err(Error::Interrupted),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Stop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop")
            .field("is_asked", &self.0.is_some())
            .finish()
    }
}
