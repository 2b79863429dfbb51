//! The background thread: collects what commits leave over, until its database goes.

use crate::error::{Error, Result};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// Pause between two rounds when there is nothing to do.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs `round` until `owner` is gone. A round says whether there is more to do at once.
pub fn spawn<T: Send + Sync + 'static>(owner: Weak<T>, round: fn(&Arc<T>) -> bool) -> Result<()> {
    let body = move || {
        loop {
            // The owner is held for one round only, so that the last handle can go.
            let Some(owner) = owner.upgrade() else { return };
            let more = round(&owner);
            drop(owner);
            if !more {
                thread::sleep(PAUSE);
            }
        }
    };
    thread::Builder::new()
        .name("remora-maintenance".to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|source| Error::no_thread("remora-maintenance", source))
}
