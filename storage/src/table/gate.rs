//! Many writers of rows, or one changer of structure.
//!
//! A transaction passes the gate before its first write to a table and leaves it when it ends.
//! CREATE INDEX and DROP shut it: they meet no writer under way and let none in until they commit,
//! so that a new index misses nothing. Nobody waits: whoever finds the gate taken conflicts.

use crate::ids::TransactionId;
use crate::sync::Mutex;

/// The gate of one table.
#[derive(Debug, Default)]
pub struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Who is writing, or wrote and has not ended.
    writers: Vec<TransactionId>,
    /// Who has shut the gate.
    shut_by: Option<TransactionId>,
}

impl Gate {
    /// Lets a writer pass, once; fails with the transaction that has shut the gate.
    pub fn pass(&self, writer: TransactionId) -> Result<(), TransactionId> {
        let mut state = self.0.lock();
        match state.shut_by {
            Some(rival) if rival != writer => Err(rival),
            _ => {
                state.writers.push(writer);
                Ok(())
            }
        }
    }

    /// Shuts the gate, for a transaction that may have passed it; fails with another that has
    /// passed or shut it.
    pub fn shut(&self, by: TransactionId) -> Result<(), TransactionId> {
        let mut state = self.0.lock();
        let inside = state.writers.iter().chain(&state.shut_by);
        match inside.copied().find(|other| *other != by) {
            Some(rival) => Err(rival),
            None => {
                state.shut_by = Some(by);
                Ok(())
            }
        }
    }

    /// Ends whatever the transaction did at the gate.
    pub fn leave(&self, transaction: TransactionId) {
        let mut state = self.0.lock();
        state.writers.retain(|writer| *writer != transaction);
        if state.shut_by == Some(transaction) {
            state.shut_by = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_for_many_writers_or_one_changer() {
        let (alice, bob) = (TransactionId(1), TransactionId(2));
        let gate = Gate::default();
        gate.pass(alice).unwrap();
        gate.pass(bob).unwrap();
        assert_eq!(gate.shut(alice), Err(bob));
        gate.leave(bob);
        gate.shut(alice).unwrap();
        gate.pass(alice).unwrap();
        assert_eq!(gate.pass(bob), Err(alice));
        assert_eq!(gate.shut(bob), Err(alice));
        gate.leave(alice);
        gate.pass(bob).unwrap();
    }
}
