//! Many writers of rows, or one changer of structure.
//!
//! A transaction passes the gate before its first write to a table and leaves it when it ends.
//! CREATE INDEX and DROP shut it: they meet no writer under way and let none in until they commit,
//! so that a new index misses nothing. Nobody waits: whoever finds the gate taken conflicts.

use crate::ids::TransactionId;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Set in the state while the gate is shut; below it stands how many writers have passed.
const SHUT: u64 = 1 << 63;

/// The gate of one table.
///
/// All orders of one word are total: either a writer's count comes before the shutting, which then
/// fails, or the writer finds the gate shut. Acquire and Release hand over what was done inside.
#[derive(Debug, Default)]
pub struct Gate {
    state: AtomicU64,
    /// Who has shut the gate last.
    shut_by: AtomicU64,
}

impl Gate {
    /// Lets a writer pass, once, unless another transaction has shut the gate.
    #[must_use]
    pub fn pass(&self, writer: TransactionId) -> bool {
        let before = self.state.fetch_add(1, Acquire);
        // Where the one who shut it has not left their name yet, it is another one's.
        if before & SHUT == 0 || self.shut_by.load(Relaxed) == writer.0 {
            return true;
        }
        self.state.fetch_sub(1, Release);
        false
    }

    /// Shuts the gate, for a transaction that may have passed it; fails if another has passed or
    /// shut it.
    #[must_use]
    pub fn shut(&self, by: TransactionId, has_passed: bool) -> bool {
        let alone = u64::from(has_passed);
        if self
            .state
            .compare_exchange(alone, alone | SHUT, AcqRel, Relaxed)
            .is_ok()
        {
            self.shut_by.store(by.0, Relaxed);
            return true;
        }
        self.is_shut_by(by)
    }

    /// Ends whatever the transaction did at the gate.
    pub fn leave(&self, transaction: TransactionId, has_passed: bool) {
        if self.is_shut_by(transaction) {
            self.shut_by.store(0, Relaxed);
            self.state.fetch_and(!SHUT, Release);
        }
        if has_passed {
            self.state.fetch_sub(1, Release);
        }
    }

    /// To be asked by that transaction only: it knows what it has stored.
    fn is_shut_by(&self, transaction: TransactionId) -> bool {
        self.shut_by.load(Relaxed) == transaction.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_for_many_writers_or_one_changer() {
        let (alice, bob) = (TransactionId(1), TransactionId(2));
        let gate = Gate::default();
        assert!(gate.pass(alice));
        assert!(gate.pass(bob));
        assert!(!gate.shut(alice, true), "bob is inside");
        gate.leave(bob, true);
        assert!(gate.shut(alice, true));
        assert!(gate.shut(alice, true), "again");
        assert!(!gate.pass(bob));
        assert!(!gate.shut(bob, false));
        gate.leave(alice, true);
        assert!(gate.pass(bob));
        gate.leave(bob, true);
        assert!(gate.shut(bob, false));
        assert!(gate.pass(bob), "the one who has shut it passes");
        gate.leave(bob, true);
        assert!(gate.pass(alice));
    }

    #[test]
    fn whoever_shuts_it_is_alone_inside() {
        let gate = Gate::default();
        let inside = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let (gate, inside) = (&gate, &inside);
                scope.spawn(move || {
                    let me = TransactionId(thread);
                    for _ in 0..5000 {
                        if gate.pass(me) {
                            inside.fetch_add(1, Relaxed);
                            inside.fetch_sub(1, Relaxed);
                            gate.leave(me, true);
                        }
                        if gate.shut(me, false) {
                            assert_eq!(inside.load(Relaxed), 0, "nobody else writes");
                            gate.leave(me, false);
                        }
                    }
                });
            }
        });
        assert!(gate.shut(TransactionId(9), false), "all have left");
    }
}
