//! How many a leader of the group commit waits for, and how long.
//!
//! ```text
//!   sync ends: all wake      they commit again, one after the other        sync
//!        |--------------------1--2----3-4--...-------------n--|------------------------->
//!                             leads, waits for n, at most a quarter of what a sync takes, and 2 ms
//! ```
//!
//! Those who waited for one sync come back at about the same time. Did the first of them sync at once, it would
//! do so for itself alone and all the others would wait for two: every second sync would serve one commit. So it
//! waits until as many are there as woke last, within a bound. Where these do not come, it waits in vain;
//! after that the next batches go at once, more of them each time that happens again.
//!
//! One thread that commits alone is never held up: nobody else woke.
//!
//! Source: D. DeWitt et al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984
//! (group commit); PostgreSQL's `commit_delay` is the same with a number that its user must find.

use std::time::Duration;

/// What a leader waits at most, as a part of what a sync takes.
const PART_OF_SYNC: u32 = 4;
/// And in any case: after a sync that took very long, the next ones hardly will.
const PATIENCE_MAX: Duration = Duration::from_millis(2);
/// To sleep for less takes longer than that.
const PATIENCE_MIN: Duration = Duration::from_micros(10);
/// Batches that go at once after waiting was in vain again and again.
const AT_ONCE_MAX: u32 = 64;

/// Those who wait for the log to be durable.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// They sleep until the sync that runs, or is about to, has ended.
    asleep: usize,
    /// How many are about to come again, the leader among them.
    expected: usize,
    /// How many came since a leader began to wait for them, itself among them; 0 where none does.
    here: usize,
    /// Batches that go at once before a leader waits again, and as many as that were the last time.
    at_once: u32,
    at_once_last: u32,
}

impl Crowd {
    /// Somebody goes to sleep. Whether the leader has waited for it and need wait no longer.
    pub(super) fn join(&mut self) -> bool {
        self.asleep += 1;
        if self.here == 0 {
            return false;
        }
        self.here += 1;
        self.is_complete()
    }

    /// The leader is there: how long it shall wait for others, if at all.
    pub(super) fn gather(&mut self, sync_time: Duration) -> Option<Duration> {
        self.here = 1;
        let patience = PATIENCE_MAX.min(sync_time / PART_OF_SYNC);
        if self.is_complete() || patience < PATIENCE_MIN {
            return None;
        }
        if self.at_once > 0 {
            self.at_once -= 1;
            return None;
        }
        Some(patience)
    }

    /// Whether those are there whom the leader waits for.
    pub(super) fn is_complete(&self) -> bool {
        self.here >= self.expected
    }

    /// The leader has waited and begins to write.
    pub(super) fn gathered(&mut self) {
        if self.is_complete() {
            self.at_once_last = 0;
        } else {
            self.at_once_last = (self.at_once_last * 2).clamp(1, AT_ONCE_MAX);
            self.at_once = self.at_once_last;
        }
    }

    /// The leader writes; who comes now is for the next batch.
    pub(super) fn depart(&mut self) {
        self.here = 0;
    }

    /// The sync has ended, and all wake.
    pub(super) fn wake(&mut self) {
        self.expected = std::mem::take(&mut self.asleep) + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(400);

    /// A batch for which `others` come while the leader would wait; how long that is.
    fn batch(crowd: &mut Crowd, others: usize) -> Option<Duration> {
        let patience = crowd.gather(SYNC);
        for _ in 0..others {
            crowd.join();
        }
        if patience.is_some() {
            crowd.gathered();
        }
        crowd.depart();
        crowd.wake();
        patience
    }

    #[test]
    fn who_commits_alone_waits_for_nobody() {
        let mut crowd = Crowd::default();
        for _ in 0..10 {
            assert_eq!(batch(&mut crowd, 0), None);
        }
    }

    #[test]
    fn a_leader_waits_for_those_who_woke_with_it_and_no_longer() {
        let mut crowd = Crowd::default();
        batch(&mut crowd, 3);
        assert_eq!(crowd.gather(SYNC), Some(SYNC / PART_OF_SYNC));
        assert_eq!([(); 3].map(|()| crowd.join()), [false, false, true]);
        // It has begun to write: the fifth is for the next batch, and will be expected there.
        crowd.gathered();
        crowd.depart();
        assert!(!crowd.join());
        crowd.wake();
        assert_eq!(crowd.expected, 5);
    }

    #[test]
    fn a_sync_that_takes_no_time_is_not_waited_for() {
        let mut crowd = Crowd::default();
        batch(&mut crowd, 3);
        assert_eq!(crowd.gather(PATIENCE_MIN), None);
    }

    #[test]
    fn nobody_waits_long_after_a_sync_that_took_long() {
        let mut crowd = Crowd::default();
        batch(&mut crowd, 3);
        assert_eq!(crowd.gather(Duration::from_secs(10)), Some(PATIENCE_MAX));
    }

    /// Two threads, of which the other one always comes while the first one's sync runs.
    #[test]
    fn waiting_in_vain_becomes_rare() {
        let mut crowd = Crowd::default();
        let mut waited = 0;
        for _ in 0..1000 {
            waited += u32::from(crowd.gather(SYNC).is_some_and(|_| {
                crowd.gathered();
                true
            }));
            crowd.depart();
            crowd.join();
            crowd.wake();
        }
        assert!(waited < 25, "{waited} times");
        // It comes in time again: within as many batches as go at once, all do.
        for _ in 0..=AT_ONCE_MAX {
            batch(&mut crowd, 1);
        }
        assert!((0..10).all(|_| batch(&mut crowd, 1).is_some()));
    }
}
