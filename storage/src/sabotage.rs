//! Mistakes that the storage floor makes when it is told to: the crash lab must notice each of them.
//!
//! Only with the feature `sabotage`, which nothing but that lab enables, and in this crate's own tests, which see
//! to it that the mistakes are noticed whenever the tests run. Without it, nothing of this is compiled.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// The checksum of a frame covers its header only.
    ShortChecksum,
    /// A commit returns before its frame is written.
    AcknowledgeBeforeLog,
    /// Changes that are not durable are shown while the log takes no frames.
    ShowQueued,
    /// A segment begins, and what an attempt without room has left in the one before stays there.
    LeaveAttempt,
}

thread_local! {
    /// What is done wrongly on this thread.
    static CURRENT: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Makes a mistake on this thread for as long as `call` takes.
pub fn making<T>(mistake: Mistake, call: impl FnOnce() -> T) -> T {
    /// Also where the call panics.
    struct Before(Option<Mistake>);
    impl Drop for Before {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _before = Before(CURRENT.replace(Some(mistake)));
    call()
}

/// Whether a mistake is to be made.
pub(crate) fn is_made(mistake: Mistake) -> bool {
    CURRENT.get() == Some(mistake)
}
