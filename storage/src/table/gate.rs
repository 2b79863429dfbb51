//! Many writers of rows, or one who drops the table; and one at a time who changes its structure.
//!
//! A transaction passes the gate before its first write to a table and leaves it when it ends. Who
//! changes the structure *claims* it, so that nobody else does: CREATE INDEX and DROP INDEX let
//! writers go on. DROP TABLE *shuts* it besides: it meets no writer under way and lets none in until
//! it commits. Nobody waits: whoever finds the gate taken conflicts.

use crate::ids::TransactionId;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Set in the state while the gate is shut; below it stands how many writers have passed.
const SHUT: u64 = 1 << 63;
/// No transaction has this id.
const NOBODY: u64 = 0;

/// The gate of one table.
///
/// All orders of one word are total: either a writer's count comes before the shutting, which then
/// fails, or the writer finds the gate shut. Acquire and Release hand over what was done inside.
#[derive(Debug, Default)]
pub struct Gate {
    state: AtomicU64,
    /// Who has claimed it. Only who has may shut it.
    claimed_by: AtomicU64,
}

impl Gate {
    /// Lets a writer pass, once, unless another transaction has shut the gate.
    #[must_use]
    pub fn pass(&self, writer: TransactionId) -> bool {
        let before = self.state.fetch_add(1, Acquire);
        if before & SHUT == 0 || self.is_claimed_by(writer) {
            return true;
        }
        self.state.fetch_sub(1, Release);
        false
    }

    /// Claims the gate; fails if another transaction has.
    #[must_use]
    pub fn claim(&self, by: TransactionId) -> bool {
        let claim = &self.claimed_by;
        claim
            .compare_exchange(NOBODY, by.0, Acquire, Relaxed)
            .is_ok()
            || self.is_claimed_by(by)
    }

    /// Claims and shuts the gate, for a transaction that may have passed it; fails if another has
    /// passed or claimed it.
    #[must_use]
    pub fn shut(&self, by: TransactionId, has_passed: bool) -> bool {
        let had_claimed = self.is_claimed_by(by);
        if !self.claim(by) {
            return false;
        }
        let alone = u64::from(has_passed);
        let shut = self
            .state
            .compare_exchange(alone, alone | SHUT, AcqRel, Relaxed);
        // Where it is shut already, it was by whose claim it is.
        let is_shut = shut.map_or_else(|state| state & SHUT != 0, |_| true);
        if !is_shut && !had_claimed {
            self.claimed_by.store(NOBODY, Release);
        }
        is_shut
    }

    /// Lets writers in again whom the transaction kept out, if it has; its claim it keeps.
    pub fn open(&self, transaction: TransactionId) {
        if self.is_claimed_by(transaction) {
            self.state.fetch_and(!SHUT, Release);
        }
    }

    /// Gives up the transaction's claim, if it has one.
    pub fn unclaim(&self, transaction: TransactionId) {
        self.open(transaction);
        if self.is_claimed_by(transaction) {
            self.claimed_by.store(NOBODY, Release);
        }
    }

    /// Ends whatever the transaction did at the gate.
    pub fn leave(&self, transaction: TransactionId, has_passed: bool) {
        self.unclaim(transaction);
        if has_passed {
            self.state.fetch_sub(1, Release);
        }
    }

    /// To be asked by that transaction only: it knows what it has stored.
    fn is_claimed_by(&self, transaction: TransactionId) -> bool {
        self.claimed_by.load(Relaxed) == transaction.0
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
        assert!(!gate.claim(bob));
        gate.leave(alice, true);
        assert!(gate.pass(bob));
        gate.leave(bob, true);
        assert!(gate.shut(bob, false));
        assert!(gate.pass(bob), "the one who has shut it passes");
        gate.leave(bob, true);
        assert!(gate.pass(alice));
    }

    #[test]
    fn who_claims_it_lets_writers_pass_but_no_other_changer() {
        let (alice, bob) = (TransactionId(1), TransactionId(2));
        let gate = Gate::default();
        assert!(gate.claim(alice) && gate.claim(alice));
        assert!(gate.pass(bob));
        assert!(!gate.claim(bob) && !gate.shut(bob, true));
        assert!(!gate.shut(alice, false), "bob is inside");
        gate.leave(bob, true);
        assert!(gate.shut(alice, false));
        assert!(!gate.pass(bob));
        gate.leave(alice, false);
        assert!(gate.claim(bob) && gate.pass(alice));
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
