//! Ctrl-C.
//!
//! At the prompt the line editor reads it as a key, and the line is cleared. Anywhere else it
//! arrives as a signal, on a thread of the `ctrlc` crate:
//!
//! - while a statement runs, the statement is cancelled (57014); a script then ends;
//! - while a script waits for its input, there is nothing to cancel, and the program ends at once.
//!   Nothing is lost: what was acknowledged is as durable as it was going to be.

use crate::args::Exit;
use remora::InterruptHandle;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Routes Ctrl-C to what runs.
pub(crate) struct Interrupt(Arc<State>);

struct State {
    handle: Mutex<InterruptHandle>,
    running: AtomicBool,
    pressed: AtomicBool,
}

/// While it lives, Ctrl-C cancels the connection's statement.
pub(crate) struct Running(Arc<State>);

impl Interrupt {
    /// Takes over the signal. `interactive` tells that idleness is the prompt's.
    pub(crate) fn install(handle: InterruptHandle, interactive: bool) -> Self {
        let state = Arc::new(State {
            handle: Mutex::new(handle),
            running: AtomicBool::new(false),
            pressed: AtomicBool::new(false),
        });
        let of_handler = Arc::clone(&state);
        // Where the handler cannot be had, Ctrl-C ends the program as it always did.
        let _ = ctrlc::set_handler(move || of_handler.press(interactive));
        Self(state)
    }

    /// Follows the shell to another connection.
    pub(crate) fn follow(&self, handle: InterruptHandle) {
        *self.0.handle.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    /// A statement begins.
    pub(crate) fn begin(&self) -> Running {
        self.0.pressed.store(false, Ordering::Relaxed);
        self.0.running.store(true, Ordering::Relaxed);
        Running(Arc::clone(&self.0))
    }
}

impl State {
    // Relaxed throughout: the flags guard no other data, and a Ctrl-C that comes in the moment a
    // statement begins or ends may count for either side.
    fn press(&self, interactive: bool) {
        if self.running.load(Ordering::Relaxed) {
            self.pressed.store(true, Ordering::Relaxed);
            let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
            handle.interrupt();
        } else if !interactive {
            std::process::exit(Exit::Interrupted as i32);
        }
    }
}

impl Running {
    /// The statement has ended; whether Ctrl-C came meanwhile.
    pub(crate) fn end(self) -> bool {
        self.0.pressed.load(Ordering::Relaxed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Relaxed);
        // One that came too late for this statement must not meet the next.
        let handle = self.0.handle.lock().unwrap_or_else(PoisonError::into_inner);
        handle.clear();
    }
}
