//! Atomics, latches, and what a thread has for itself, through one door.
//!
//! Whatever takes part in the protocols of pool, versions, blocks and indexes takes these from
//! here and not from the libraries, so that a model checker can be put in their
//! place and try the interleavings: with the feature `shuttle`, which only the models of
//! `crate::model` are built with, every access lets the checker choose who goes on.

#[cfg(feature = "shuttle")]
mod checked;
#[cfg(all(tsan, not(feature = "shuttle")))]
mod watched;

#[cfg(feature = "shuttle")]
pub(crate) use checked::per_thread;
#[cfg(feature = "shuttle")]
pub use checked::{Mutex, MutexGuard, PerThread, RwLock, atomic, yield_now};
#[cfg(not(feature = "shuttle"))]
pub use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(not(any(feature = "shuttle", tsan)))]
pub use std::sync::atomic;
#[cfg(not(feature = "shuttle"))]
pub use std::thread::yield_now;
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::thread_local as per_thread;
#[cfg(all(tsan, not(feature = "shuttle")))]
pub use watched::atomic;

#[cfg(all(test, feature = "shuttle"))]
pub(crate) use checked::{check, with_fault};

/// Waiting for another thread to finish a few instructions.
#[derive(Debug, Default)]
pub struct Backoff(u32);

impl Backoff {
    /// Rounds of waiting in place, before others are let run.
    const SPINS: u32 = if cfg!(feature = "shuttle") { 0 } else { 40 };

    /// Waits a moment; longer when called again and again.
    pub fn wait(&mut self) {
        if self.0 < Self::SPINS {
            self.0 += 1;
            std::hint::spin_loop();
        } else {
            yield_now();
        }
    }
}

/// A step of a protocol that a model leaves out, to show that it would notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A collector folds states that a registered snapshot does not see.
    FoldAboveHorizon,
    /// A snapshot is registered without a second look at the clock.
    ClockReadOnce,
    /// The clock moves before the state says *committed*.
    ClockBeforeState,
    /// A reader does not announce that it follows links.
    NotPinned,
    /// Registered snapshots are looked for before the clock is read.
    SnapshotsBeforeClock,
    /// The horizon passes what is durable.
    DurableNotKept,
    /// Who has checked a key adds an entry without asking whether it is the first one.
    KeyNotAddedAtOnce,
    /// A look-up in a hash index does not ask whether its bucket is still the right one.
    BucketNotChecked,
    /// Pages stay free while the system takes their memory back.
    PurgedWhileFree,
    /// A reader of a frozen block asks whether a row is dead before it reads when it was deleted.
    DeadBeforeStamp,
    /// A reader of an ordered index does not ask whether a node changed while it looked.
    NodeNotChecked,
    /// A commit does not ask what was committed since it has validated what it read.
    RestNotValidated,
    /// A block is given up without a look at what was added while its empty slots were taken.
    GivenUpUnseen,
    /// The keys of an index are gathered before writers can find it.
    GatheredBeforeListed,
    /// A key that went from a row while its index was filled is left there.
    NotedKeyStays,
    /// Nobody looks whether rows have a key of a new unique index twice.
    RepeatedNotSought,
    /// A gone range has within it entries that were added while it was found.
    AddedNotLeftOut,
}

/// Whether a model leaves that step out; never outside models.
#[inline]
pub fn is_left_out(_fault: Fault) -> bool {
    #[cfg(feature = "shuttle")]
    return checked::is_left_out(_fault);
    #[cfg(not(feature = "shuttle"))]
    false
}

/// A number of the run of a model that this thread is in; zero outside of models.
#[inline]
pub fn model() -> u64 {
    #[cfg(feature = "shuttle")]
    return checked::model();
    #[cfg(not(feature = "shuttle"))]
    0
}
