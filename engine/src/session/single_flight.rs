//! Work that one thread does while others wait for it: the value of a key that is not there yet, say.
//!
//! ```text
//!   thread 1   enter(a): a turn ......................... drops it
//!   thread 2        enter(a): waits ......................... its turn: the value is there
//!   thread 1                        enter(a): an error, it would wait for itself
//! ```
//!
//! A thread that gets a turn looks first whether the work was done meanwhile, and drops the turn when it is done or has failed.
//! A turn belongs to its thread, and so do the turns that a thread waits for: one that would wait in a circle is refused.
//! None of this is on disk. Callers see to it that they hold no snapshot while they wait.

use crate::error::Result;
use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Time between two looks whether to wait any longer.
const LOOK: Duration = Duration::from_millis(20);

/// The turns that there are, and the threads that wait for them.
#[derive(Debug, Default)]
pub(crate) struct SingleFlight {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The turns that there are, by what the work is called, each with its thread.
    turns: HashMap<Vec<u8>, ThreadId>,
    /// The turn that each waiting thread waits for, by name.
    waiting: HashMap<ThreadId, Vec<u8>>,
}

impl State {
    /// Whether the turn of this name ends only when this thread goes on.
    fn depends_on(&self, thread: ThreadId, name: &[u8]) -> bool {
        let mut name = Some(name);
        while let Some(worker) = name.and_then(|name| self.turns.get(name)) {
            if *worker == thread {
                return true;
            }
            name = self.waiting.get(worker).map(Vec::as_slice);
        }
        false
    }
}

/// The right to do some work, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    flight: Arc<SingleFlight>,
    name: Vec<u8>,
}

impl SingleFlight {
    /// A turn to do the work of this name, once the turns of others have ended. `goes_on` is asked now and then whether to
    /// wait any longer.
    ///
    /// # Errors
    /// 55000 where this thread would wait for itself, and those of `goes_on`.
    pub(crate) fn enter(
        self: &Arc<Self>,
        name: &[u8],
        mut goes_on: impl FnMut() -> Result<()>,
    ) -> Result<Turn> {
        let thread = thread::current().id();
        let mut state = self.state.lock();
        while state.turns.contains_key(name) {
            if state.depends_on(thread, name) {
                return Err(sql_error!(
                    OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "the work of this key is under way, and waits for this thread"
                )
                .with_hint("Do not ask for a key from within its own work."));
            }
            state.waiting.insert(thread, name.to_owned());
            self.ended.wait_for(&mut state, LOOK);
            state.waiting.remove(&thread);
            goes_on()?;
        }
        state.turns.insert(name.to_owned(), thread);
        Ok(Turn {
            flight: Arc::clone(self),
            name: name.to_owned(),
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.flight.state.lock().turns.remove(&self.name);
        self.flight.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread::scope;

    fn enter(flight: &Arc<SingleFlight>, name: &str) -> Result<Turn> {
        flight.enter(name.as_bytes(), || Ok(()))
    }

    fn wait_for_a_waiter(flight: &SingleFlight) {
        while flight.state.lock().waiting.is_empty() {
            thread::yield_now();
        }
    }

    #[test]
    fn one_works_and_the_other_has_the_next_turn() {
        let flight = Arc::<SingleFlight>::default();
        let turn = enter(&flight, "a").unwrap();
        drop(enter(&flight, "b").unwrap());
        let (entered, enters) = channel();
        scope(|scope| {
            let flight = &flight;
            scope.spawn(move || {
                let turn = enter(flight, "a");
                entered.send(()).unwrap();
                turn.map(drop)
            });
            wait_for_a_waiter(flight);
            assert!(enters.try_recv().is_err(), "it waits");
            drop(turn);
            enters.recv().unwrap();
        });
        assert!(flight.state.lock().turns.is_empty());
    }

    #[test]
    fn nobody_waits_in_a_circle() {
        let flight = Arc::<SingleFlight>::default();
        let a = enter(&flight, "a").unwrap();
        assert_eq!(enter(&flight, "a").unwrap_err().sqlstate(), "55000");
        let (has_b, b_is_taken) = channel();
        scope(|scope| {
            let flight = &flight;
            scope.spawn(move || {
                let b = enter(flight, "b").unwrap();
                has_b.send(()).unwrap();
                enter(flight, "a").map(drop).unwrap();
                drop(b);
            });
            b_is_taken.recv().unwrap();
            wait_for_a_waiter(flight);
            assert_eq!(enter(flight, "b").unwrap_err().sqlstate(), "55000");
            drop(a);
        });
    }
}
