//! Who wants to know of changes of memory pressure.
//!
//! They are called one after the other, in the order of registration, by whoever does maintenance,
//! outside of every lock: a listener may read the database, change it and register further
//! listeners. A listener that panics is not heard of again in that call; the others, and the
//! engine, go on.

use crate::pool::PressureChange;
use crate::sync::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Listener = Arc<dyn Fn(&PressureChange) + Send + Sync>;

/// The listeners of one database.
#[derive(Default)]
pub struct PressureListeners(Mutex<Vec<Listener>>);

impl PressureListeners {
    /// Adds one.
    pub fn add(&self, listener: impl Fn(&PressureChange) + Send + Sync + 'static) {
        self.0.lock().push(Arc::new(listener));
    }

    /// Tells all of them.
    pub fn tell(&self, changes: &[PressureChange]) {
        if changes.is_empty() {
            return;
        }
        let listeners = self.0.lock().clone();
        for change in changes {
            for listener in &listeners {
                // The panic's message was printed; what the listener left undone is its own.
                let _ = catch_unwind(AssertUnwindSafe(|| listener(change)));
            }
        }
    }
}

impl fmt::Debug for PressureListeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PressureListeners")
            .field(&self.0.lock().len())
            .finish()
    }
}
