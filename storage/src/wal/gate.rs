//! The gate: counts the frames between reservation and queue, so that closing the log waits for them.

use crate::error::{Error, Result};
use crate::pool::Reservation;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// The entrance to the queue. It is open until the log is closed.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    inside: usize,
}

/// Rights that a reservation gives a frame: a pass through the gate until it is queued, and memory until
/// it is durable.
#[derive(Debug)]
pub(super) struct Space {
    pass: Option<Pass>,
    _memory: Reservation,
}

/// The right of one frame to be queued.
#[derive(Debug)]
pub(super) struct Pass(Arc<Gate>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.state.lock().inside -= 1;
        self.0.emptied.notify_all();
    }
}

impl Space {
    /// Memory for a frame, with a pass through the gate.
    ///
    /// # Errors
    /// `Closed`.
    pub(super) fn enter(gate: &Arc<Gate>, memory: Reservation) -> Result<Self> {
        let mut state = gate.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        state.inside += 1;
        Ok(Self {
            pass: Some(Pass(Arc::clone(gate))),
            _memory: memory,
        })
    }

    /// Takes the pass: the frame is being queued.
    pub(super) fn take_pass(&mut self) -> Option<Pass> {
        self.pass.take()
    }
}

impl Gate {
    /// Refuses further frames, and waits for those that have a pass.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        while state.inside > 0 {
            self.emptied.wait(&mut state);
        }
    }
}
