//! A node's version: an optimistic lock.
//!
//! ```text
//!  | changes so far | locked | obsolete |
//!   63             2        1          0
//! ```
//!
//! A reader notes the version, reads, and checks that the version is the same: then what it read
//! stood together at one moment. A writer turns the version it noted into a lock, so that what it
//! decided on is still true.
//!
//! Memory order, as for any sequence lock: the writer's lock comes before its stores because of
//! the release fence after it, and the unlock after them because it is a release. A reader that
//! saw any of these stores sees the lock, or something later, in the load that follows its acquire
//! fence, and so fails its check.

use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicU64, fence};
use crate::sync::{Backoff, Fault, is_left_out};

const OBSOLETE: u64 = 1;
const LOCKED: u64 = 2;

/// Something changed meanwhile: begin again.
#[derive(Debug)]
pub(super) struct Again;

/// The version of a node.
#[derive(Debug, Default)]
pub(super) struct Version(AtomicU64);

impl Version {
    /// The version to check against later; waits while a writer is at it.
    #[inline(always)]
    pub(super) fn read(&self) -> Result<u64, Again> {
        let version = self.0.load(Acquire);
        if version & (LOCKED | OBSOLETE) == 0 {
            return Ok(version);
        }
        self.wait()
    }

    #[cold]
    fn wait(&self) -> Result<u64, Again> {
        let mut backoff = Backoff::default();
        loop {
            let version = self.0.load(Acquire);
            if version & OBSOLETE != 0 {
                return Err(Again);
            }
            if version & LOCKED == 0 {
                return Ok(version);
            }
            backoff.wait();
        }
    }

    /// Whether all that was read since `seen` stood together.
    #[inline(always)]
    pub(super) fn check(&self, seen: u64) -> Result<(), Again> {
        fence(Acquire);
        match self.0.load(Relaxed) == seen || is_left_out(Fault::NodeNotChecked) {
            true => Ok(()),
            false => Err(Again),
        }
    }

    /// Locks the node, if it is as it was at `seen`.
    pub(super) fn lock(&self, seen: u64) -> Result<Held<'_>, Again> {
        let locked = seen | LOCKED;
        match self.0.compare_exchange(seen, locked, Acquire, Relaxed) {
            Ok(_) => {
                fence(Release);
                Ok(Held {
                    version: self,
                    locked,
                })
            }
            Err(_) => Err(Again),
        }
    }
}

/// A locked node; unlocked on drop.
#[must_use = "the node is unlocked when this is dropped"]
pub(super) struct Held<'a> {
    version: &'a Version,
    locked: u64,
}

impl Held<'_> {
    /// Unlocks the node for good: it is out of the tree, and whoever still reads it begins again.
    pub(super) fn retire(self) {
        let last = (self.locked + LOCKED) | OBSOLETE;
        self.version.0.store(last, Release);
        std::mem::forget(self);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.version.0.store(self.locked + LOCKED, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed_and_the_end_too() {
        let version = Version::default();
        let seen = version.read().unwrap();
        assert!(version.check(seen).is_ok());
        drop(version.lock(seen).unwrap());
        assert!(version.check(seen).is_err());
        assert!(version.lock(seen).is_err());
        let seen = version.read().unwrap();
        version.lock(seen).unwrap().retire();
        assert!(version.read().is_err());
    }
}
