//! How much of collecting the background thread leaves to those who commit.

use crate::ids::Timestamp;

/// Commits between two rounds from which on those who commit are taken to keep up.
const BUSY_COMMITS: u64 = 8;
/// Writes that may wait then.
const WAITING_MAX: usize = 16 << 10;
/// Rounds that are left out one after the other, half a second: then there is a look at what threads
/// that are gone have left behind.
const LEFT_OUT_MAX: u32 = 25;

/// What the background thread saw when it came last.
#[derive(Debug, Default)]
pub struct Pace {
    latest: Timestamp,
    horizon: Timestamp,
    left_out: u32,
}

impl Pace {
    /// Whether to leave a round of collecting out: there are commits all the time, and they keep up
    /// with what they leave. Whoever wrote a row has it in the cache of its core, and this thread
    /// has not. Where the horizon stands still, they can do nothing. `waiting` is how many writes
    /// wait.
    pub fn leaves_out(&mut self, latest: Timestamp, horizon: Timestamp, waiting: usize) -> bool {
        // Recovery sets the clock back, to where the log begins.
        let commits = latest.0.saturating_sub(self.latest.0);
        let moves = horizon > self.horizon;
        (self.latest, self.horizon) = (latest, horizon);
        let keep_up = commits >= BUSY_COMMITS && moves && waiting <= WAITING_MAX;
        let leaves = keep_up && self.left_out < LEFT_OUT_MAX;
        self.left_out = if leaves { self.left_out + 1 } else { 0 };
        leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_left_out_while_commits_keep_up() {
        let mut pace = Pace::default();
        let mut leaves_out =
            |clock, waiting| pace.leaves_out(Timestamp(clock), Timestamp(clock), waiting);
        assert!(!leaves_out(0, 100), "nobody commits");
        assert!(!leaves_out(7, 100), "hardly anybody does");
        assert!(leaves_out(100, 100));
        assert!(!leaves_out(200, 1 << 20), "they do not keep up");
        let rounds = (1..=40).map(|round| leaves_out(200 + 100 * round, 100));
        assert_eq!(
            rounds.filter(|left_out| !left_out).count(),
            1,
            "now and then"
        );
        assert!(!leaves_out(4200, 100), "they have stopped");
        let old = Timestamp(4200);
        assert!(
            !pace.leaves_out(Timestamp(5000), old, 100),
            "an old snapshot holds them back"
        );
        let early = Timestamp(7);
        assert!(!pace.leaves_out(early, early, 0), "the clock was set back");
    }
}
