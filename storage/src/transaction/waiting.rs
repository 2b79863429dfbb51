//! Waiting for what becomes of a rival, or for room in a table.
//!
//! Nobody has to: who comes second has lost at once. But whoever has lost against a transaction that is still
//! running, and has undone his statement, may want to know whether it rolls back before he gives up.
//!
//! ```text
//!   alice   UPDATE .. conflict with 7 .. undone .. waits for 7 ............ called: runs again
//!   7       holds the row ................................. COMMIT or ROLLBACK (TO): calls
//! ```
//!
//! 1. The waiter puts himself in a list, with his rival's number, and sleeps.
//! 2. Whoever ends a transaction, or undoes a part of it, looks at how many wait. If anybody does, he wakes
//!    up those in the list who wait for him.
//! 3. A call can be missed: the number is looked at without a fence, and the rival may have let go of the row
//!    before the waiter was in the list. So the waiter looks up once a [`LOOK`] whether his rival still runs
//!    and whether he is to go on waiting; and after a while, which he says, he is sent to see for himself.
//! 4. Whoever would close a circle of waiters does not begin to wait.
//!
//! Room in a table that is full is waited for in the same list: a transaction that deletes rows of it, or takes insertions back,
//! calls as many as it has made room for, in the order in which they came. Others would find none, and each attempt to
//! insert takes as long as an insertion. One that is called and does not insert leaves room, which the others see at their next look.
//!
//! Invariant: a waiter is in the list exactly as long as he waits.

use super::Core;
use crate::ids::{TableId, TransactionId};
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Between two looks of a waiter at what he waits for: a signal handler can wake nobody up.
const LOOK: Duration = Duration::from_millis(1);

/// What came of waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// What was in the way may be gone.
    TryAgain,
    /// It was gone before anybody had waited: whoever tries again at once may meet the next one in step.
    Gone,
    /// The time is over, or waiting was no longer wanted.
    Over,
    /// The rival waits, maybe by way of others, for the one who was about to wait.
    Circle,
}

/// Those who wait in one database. In cache lines of its own: whoever ends a transaction looks at it, and
/// what lies beside it changes with every commit.
#[repr(align(128))]
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// How many wait. Whoever ends a transaction looks at nothing else mostly.
    count: AtomicUsize,
    waiters: Mutex<Vec<Waiter>>,
}

/// The event that somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Awaited {
    /// A transaction ends, or undoes something.
    Rival(TransactionId),
    /// There is room in a table.
    Room(TableId),
}

#[derive(Debug)]
struct Waiter {
    /// What the waiter holds on to meanwhile, if he does.
    own: Option<TransactionId>,
    awaited: Awaited,
    thread: Thread,
    called: Arc<AtomicBool>,
}

impl Waiting {
    /// Wakes up those who wait for it.
    #[inline]
    pub(super) fn call(&self, awaited: Awaited) {
        // Relaxed: who is missed looks up by himself.
        if self.count.load(Relaxed) > 0 {
            self.call_out(awaited, usize::MAX);
        }
    }

    /// Wakes up as many of those who wait for room in a table as there are rows less.
    #[inline]
    pub(super) fn call_for_room(&self, table: TableId, rows: u64) {
        if self.count.load(Relaxed) > 0 {
            self.call_out(Awaited::Room(table), rows as usize);
        }
    }

    #[cold]
    fn call_out(&self, awaited: Awaited, most: usize) {
        let waiters = self.waiters.lock();
        // Relaxed: it says no more than that there may be something to see.
        let uncalled = waiters
            .iter()
            .filter(|waiter| waiter.awaited == awaited && !waiter.called.load(Relaxed));
        for waiter in uncalled.take(most) {
            waiter.called.store(true, Relaxed);
            waiter.thread.unpark();
        }
    }

    /// A place in the list; `None` where that would close a circle.
    fn enter(&self, own: Option<TransactionId>, awaited: Awaited) -> Option<Place<'_>> {
        let called = Arc::new(AtomicBool::new(false));
        let mut waiters = self.waiters.lock();
        if let Awaited::Rival(rival) = awaited
            && own.is_some()
            && leads_to(&waiters, rival, own)
        {
            return None;
        }
        waiters.push(Waiter {
            own,
            awaited,
            thread: thread::current(),
            called: Arc::clone(&called),
        });
        self.count.store(waiters.len(), Relaxed);
        Some(Place {
            waiting: self,
            called,
        })
    }
}

/// Whether somebody waits, maybe by way of others, for `end`. There is no circle yet.
fn leads_to(waiters: &[Waiter], from: TransactionId, end: Option<TransactionId>) -> bool {
    let mut at = Some(from);
    while at.is_some() && at != end {
        let next = waiters.iter().find(|waiter| waiter.own == at);
        at = next.and_then(|waiter| match waiter.awaited {
            Awaited::Rival(rival) => Some(rival),
            Awaited::Room(_) => None,
        });
    }
    at.is_some()
}

/// A waiter's place in the list, until it is dropped.
struct Place<'w> {
    waiting: &'w Waiting,
    called: Arc<AtomicBool>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiters = self.waiting.waiters.lock();
        waiters.retain(|waiter| !Arc::ptr_eq(&waiter.called, &self.called));
        self.waiting.count.store(waiters.len(), Relaxed);
    }
}

impl Core {
    /// Waits until `rival` has ended, or has undone something, or may have, which is after `patience`;
    /// `until` then at the latest, and only as long as `is_wanted` says so, who is asked once a millisecond.
    /// `own` is the transaction that the caller keeps open meanwhile.
    pub fn wait_for(
        &self,
        rival: TransactionId,
        own: Option<TransactionId>,
        until: Instant,
        patience: Duration,
        is_wanted: impl Fn() -> bool,
    ) -> Waited {
        let Some(place) = self.waiting.enter(own, Awaited::Rival(rival)) else {
            return Waited::Circle;
        };
        let begin = Instant::now();
        let mut free = Waited::Gone;
        loop {
            let now = Instant::now();
            // First: there may always be a next rival who is gone.
            if now >= until || !is_wanted() {
                return Waited::Over;
            }
            if place.called.load(Relaxed) || !self.timeline.is_running(rival) {
                return free;
            }
            if now - begin >= patience {
                return Waited::TryAgain;
            }
            thread::park_timeout(LOOK.min(until - now));
            free = Waited::TryAgain;
        }
    }

    /// Waits until there is room in a table, or there may be; until then at the latest, and only as long as `is_wanted`
    /// says so, who is asked once a millisecond. `own` is as in [`Self::wait_for`].
    pub fn wait_for_room(
        &self,
        table: TableId,
        own: Option<TransactionId>,
        until: Option<Instant>,
        is_wanted: impl Fn() -> bool,
    ) -> Waited {
        let Some(place) = self.waiting.enter(own, Awaited::Room(table)) else {
            return Waited::Circle;
        };
        loop {
            if until.is_some_and(|until| Instant::now() >= until) || !is_wanted() {
                return Waited::Over;
            }
            if place.called.load(Relaxed) || self.has_room(table) {
                return Waited::TryAgain;
            }
            thread::park_timeout(LOOK);
        }
    }

    /// Whether a table has room for a row, or there is nothing to wait for.
    fn has_room(&self, table: TableId) -> bool {
        let catalog = self.catalog.load();
        let found = catalog.table_by_id(table).and_then(|found| {
            let rows = found.rows.count()?.rows();
            Some(rows < found.def.bound?.max_rows)
        });
        found.unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{delete, insert, with_table};
    use super::*;

    const LONG: Duration = Duration::from_secs(5);
    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn who_waits_is_called_when_his_rival_ends_or_lets_go() {
        let core = with_table();
        for keeps in [true, false] {
            let mut rival = core.begin().unwrap();
            let mark = rival.begin_command();
            insert(&mut rival, 1, 1).unwrap();
            let id = rival.id();
            let waiter = {
                let core = Arc::clone(&core);
                thread::spawn(move || core.wait_for(id, None, Instant::now() + LONG, LONG, || true))
            };
            while core.waiting.count.load(Relaxed) == 0 {
                thread::yield_now();
            }
            match keeps {
                true => drop(rival.commit().unwrap()),
                false => rival.rollback_to(mark),
            }
            assert_eq!(waiter.join().unwrap(), Waited::TryAgain);
            assert_eq!(core.waiting.count.load(Relaxed), 0);
            let mut tx = core.begin().unwrap();
            assert_eq!(delete(&mut tx, 1).unwrap(), keeps);
            tx.commit().unwrap();
        }
    }

    #[test]
    fn nobody_waits_longer_than_he_wants() {
        let core = with_table();
        let rival = core.begin().unwrap();
        let wait = |time, is_wanted: bool| {
            core.wait_for(rival.id(), None, Instant::now() + time, SHORT, || is_wanted)
        };
        assert_eq!(wait(Duration::from_millis(5), true), Waited::Over);
        assert_eq!(wait(LONG, false), Waited::Over);
        let begin = Instant::now();
        assert_eq!(wait(LONG, true), Waited::TryAgain, "to see for himself");
        assert!((SHORT..LONG).contains(&begin.elapsed()));
        let gone = rival.id();
        drop(rival);
        let until = Instant::now() + LONG;
        assert_eq!(
            core.wait_for(gone, None, until, SHORT, || true),
            Waited::Gone,
            "it has ended before"
        );
        let over = core.wait_for(gone, None, Instant::now(), SHORT, || true);
        assert_eq!(over, Waited::Over, "whatever has become of the rival");
    }

    #[test]
    fn room_is_given_to_as_many_as_there_is_for() {
        let waiting = Waiting::default();
        let places = || {
            let enter = |_| waiting.enter(None, Awaited::Room(TableId(1))).unwrap();
            [0; 3].map(enter)
        };
        let called = |places: &[Place<'_>; 3]| -> Vec<bool> {
            let called = places.iter().map(|place| place.called.load(Relaxed));
            called.collect()
        };
        let three = places();
        waiting.call_for_room(TableId(2), 1);
        assert_eq!(called(&three), [false, false, false]);
        waiting.call_for_room(TableId(1), 1);
        assert_eq!(called(&three), [true, false, false]);
        waiting.call_for_room(TableId(1), 1);
        assert_eq!(
            called(&three),
            [true, true, false],
            "one that was not called"
        );
        drop(three);
        let three = places();
        waiting.call_for_room(TableId(1), 2);
        assert_eq!(called(&three), [true, true, false]);
    }

    #[test]
    fn nobody_closes_a_circle() {
        let waiting = Waiting::default();
        let [a, b, c, d] = [1, 2, 3, 4].map(TransactionId);
        let enter = |own, rival| waiting.enter(own, Awaited::Rival(rival));
        let _first = enter(Some(a), b).unwrap();
        let second = enter(Some(b), c).unwrap();
        assert!(enter(Some(c), a).is_none());
        assert!(enter(Some(c), c).is_none(), "nor waits for himself");
        assert!(enter(Some(c), d).is_some());
        assert!(enter(None, a).is_some(), "who holds nothing");
        drop(second);
        assert!(enter(Some(c), a).is_some());
    }
}
