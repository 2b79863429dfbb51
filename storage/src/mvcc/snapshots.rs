//! All registered snapshots at one moment, to tell what none of them sees.
//!
//! ```text
//!   snapshots              10                                      90     bound 95
//!   states of a row    5 ..... 20 ..... 30 ..... 40 ........ 80 ...... 92 .......
//!                    seen    missed   missed   missed      seen      the newest: for all to come
//! ```

use crate::ids::Timestamp;

/// The snapshots that were registered at one moment.
#[derive(Debug)]
pub struct Snapshots {
    /// Whoever is missing, because he came later, is at or above this.
    bound: Timestamp,
    /// In order.
    registered: Vec<Timestamp>,
}

impl Snapshots {
    /// These, and those that will come at or above `bound`.
    pub fn new(bound: Timestamp, mut registered: Vec<Timestamp>) -> Self {
        registered.sort_unstable();
        Self { bound, registered }
    }

    /// The timestamp at or above which all snapshots are that come later.
    pub fn bound(&self) -> Timestamp {
        self.bound
    }

    /// The snapshots at or above `begin` and below `end`: those that see a state which began and
    /// was replaced then, as far as they are registered.
    pub fn between(&self, begin: Timestamp, end: Timestamp) -> &[Timestamp] {
        let first = self.registered.partition_point(|at| *at < begin);
        let last = self.registered.partition_point(|at| *at < end);
        // What was built anew begins later than it did once, so that the end may come first.
        self.registered.get(first..last).unwrap_or_default()
    }

    /// Whether no snapshot, now or later, sees a state that began and was replaced then.
    pub fn miss(&self, begin: Timestamp, end: Timestamp) -> bool {
        end <= self.bound && self.between(begin, end).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_missed_between_two_snapshots() {
        let snapshots = Snapshots::new(Timestamp(100), [50, 10].map(Timestamp).to_vec());
        let miss = |begin, end| snapshots.miss(Timestamp(begin), Timestamp(end));
        assert!(miss(1, 10) && miss(11, 50) && miss(51, 100));
        assert!(!miss(1, 11) && !miss(10, 11) && !miss(50, 51) && !miss(10, 50));
        assert!(!miss(60, 101), "a snapshot that comes now may be at 100");
        assert!(
            miss(60, 10),
            "a base that was built at 60, under a version of 10"
        );
    }
}
