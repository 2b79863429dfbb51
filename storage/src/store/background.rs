//! A thread that does one thing again and again, until it is dropped.

use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The handle of the thread; dropping it waits for what the thread is doing.
#[derive(Debug)]
pub(super) struct Background {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Background {
    /// Starts a thread that runs `job` once a `period`.
    pub(super) fn every(
        period: Duration,
        name: &str,
        mut job: impl FnMut() + Send + 'static,
    ) -> Result<Self> {
        let stop = Arc::new(Stop::default());
        let asked = stop.clone();
        let run = move || {
            while asked.sleep(period) {
                job();
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::Io {
            operation: "start the thread",
            path: name.into(),
            source: Arc::new(error),
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Stop {
    /// Sleeps; `false` when the thread shall end.
    fn sleep(&self, period: Duration) -> bool {
        let mut asked = self.asked.lock();
        if !*asked {
            self.changed.wait_for(&mut asked, period);
        }
        !*asked
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        *self.stop.asked.lock() = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported by its own message; here nothing more can be done.
            let _ = thread.join();
        }
    }
}
