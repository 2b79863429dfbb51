//! An operation under way: the time in which references to rows may be held.
//!
//! ```text
//!   registration   |------------------------------------------------------|   what it sees is kept
//!   operations        |--|   |-----|                        |-|              what they find is alive
//! ```
//!
//! A registered snapshot keeps states of rows from going *out of the chain*; an operation keeps
//! whatever it has found on its way from being *freed*. The two are apart, because a snapshot may be
//! held for hours: what it does not see may be unlinked meanwhile, and freed as soon as the
//! operations end that were under way then. Operations are short: a look-up, a batch of a scan.

use super::epoch::{Guard, is_pinned, pin};
use super::registration::Registration;
use super::viewpoint::Viewpoint;
use std::ops::Deref;

/// While it lives, no memory is freed that can be reached from rows. It stays on its thread.
#[derive(Debug)]
pub struct Operation<'r> {
    registration: &'r Registration,
    _guard: Guard,
}

impl Registration {
    /// Begins an operation on rows.
    #[inline]
    pub fn enter(&self) -> Operation<'_> {
        Operation {
            registration: self,
            _guard: pin(),
        }
    }
}

impl<'r> Operation<'r> {
    /// What `command` of this owner sees.
    pub fn viewpoint(&'r self, command: u64) -> Viewpoint<'r> {
        Viewpoint::new(self, command)
    }
}

impl Deref for Operation<'_> {
    type Target = Registration;

    fn deref(&self) -> &Registration {
        self.registration
    }
}

impl Operation<'_> {
    /// Whether this thread is in an operation.
    pub fn is_under_way() -> bool {
        is_pinned()
    }
}
