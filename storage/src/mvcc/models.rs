//! Models of snapshots and operations: against commits, the horizon and the retire queue.
//!
//! ```text
//!   reader                          writer                        collector
//!   claims a slot
//!   reads the clock: 4
//!                                   commits 5                     horizon: nobody registered, so 5
//!   publishes 4 .. and must look again, or the horizon has overtaken it
//!   announces the epoch
//!   follows the link
//!                                   replaces what is protected
//!                                                                 stamps it, sees the announcement
//!   reads
//! ```

use super::*;
use crate::ids::Timestamp;
use crate::pool::{Ledger, Pool};
use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sync::{Fault, Mutex, check, with_fault};
use shuttle::thread;
use std::sync::Arc;

const COMMITS: u64 = 3;
const SCHEDULES: usize = 2000;

struct World {
    timeline: Arc<Timeline>,
    /// A number, replaced at each commit.
    protected: Protected<u64>,
    /// All numbers there will be. Shared with the model, so that it can tell which were freed.
    numbers: Vec<Arc<u64>>,
    retired: Mutex<RetireQueue>,
    /// The greatest horizon that anybody computed.
    horizon: AtomicU64,
    /// A bit for each commit whose state, up to the next one, was said to be missed by all.
    missed: AtomicU64,
}

impl World {
    fn new() -> Arc<Self> {
        let numbers: Vec<_> = (0..=COMMITS).map(Arc::new).collect();
        let protected = Protected::default();
        protected.set(Arc::clone(&numbers[0]));
        Arc::new(Self {
            timeline: Timeline::new(),
            protected,
            numbers,
            retired: Mutex::new(RetireQueue::new(Pool::new(Ledger::new(1 << 30)))),
            horizon: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        })
    }

    fn commit(&self, number: u64) {
        let registration = self.timeline.register().unwrap();
        let old = self.protected.take().unwrap();
        self.protected
            .set(Arc::clone(&self.numbers[number as usize]));
        // Unlinked before the clock moves, and under the latch after it: in order.
        self.retired.lock().retire(old);
        self.timeline.commit(&registration, Timestamp(number));
    }

    fn collect(&self) {
        let horizon = self.timeline.horizon();
        self.horizon.fetch_max(horizon.0, SeqCst);
        let snapshots = self.timeline.snapshots();
        for at in 0..COMMITS {
            if snapshots.miss(Timestamp(at), Timestamp(at + 1)) {
                self.missed.fetch_or(1 << at, SeqCst);
            }
        }
        let mut retired = self.retired.lock();
        retired.begin_grace();
        retired.free();
    }

    fn read(&self) {
        self.read_as(&self.timeline.register().unwrap());
    }

    fn read_as(&self, registration: &Registration) {
        self.read_in(&registration.enter());
    }

    /// Reads again and again from one seat.
    fn read_seated(&self) {
        let mut seat = Seat::take(&self.timeline).unwrap();
        for _ in 0..2 {
            self.read_in(&seat.read().unwrap());
        }
    }

    fn read_in(&self, operation: &Operation<'_>) {
        let snapshot = operation.snapshot().0;
        if let Some(found) = self.protected.get(operation) {
            let number = &self.numbers[*found as usize];
            for _ in 0..3 {
                assert!(Arc::strong_count(number) > 1, "freed under its reader");
                let horizon = self.horizon.load(SeqCst);
                assert!(
                    horizon <= snapshot,
                    "{snapshot} is seen, and {horizon} overtook it"
                );
                let missed = self.missed.load(SeqCst) >> snapshot & 1 != 0;
                assert!(!missed, "{snapshot} is seen, and was missed");
            }
        }
    }
}

fn model() {
    let world = World::new();
    let spawn = |work: fn(&World)| {
        let world = Arc::clone(&world);
        thread::spawn(move || work(&world))
    };
    let tasks = [
        spawn(|world| (1..=COMMITS).for_each(|number| world.commit(number))),
        spawn(|world| (0..COMMITS).for_each(|_| world.collect())),
        spawn(World::read_seated),
        spawn(World::read),
    ];
    for task in tasks {
        task.join().unwrap();
    }
    world.collect();
    assert!(world.retired.lock().is_empty(), "all is freed in the end");
}

#[test]
fn nothing_is_freed_that_an_operation_can_reach() {
    check(SCHEDULES, model);
}

#[test]
#[should_panic = "freed under its reader"]
fn the_model_notices_readers_that_are_not_waited_for() {
    with_fault(Fault::NotPinned, || check(SCHEDULES, model));
}

#[test]
#[should_panic = "was missed"]
fn the_model_notices_snapshots_that_are_looked_for_too_early() {
    with_fault(Fault::SnapshotsBeforeClock, || check(SCHEDULES, model));
}

#[test]
#[should_panic = "is seen, and"]
fn the_model_notices_a_clock_read_once() {
    with_fault(Fault::ClockReadOnce, || check(SCHEDULES, model));
}

/// Commits become durable one by one, and then no more: transactions that begin after that see the last durable
/// state, which nobody has collected meanwhile.
fn failing_log() {
    let world = World::new();
    world.timeline.set_durable(Timestamp(0));
    let log = |world: &World| {
        for number in 1..COMMITS {
            // A frame is durable when it was queued, which is just before the clock moves.
            world.timeline.set_durable(Timestamp(number));
        }
        world.timeline.show_durable_only(true);
        let registration = world.timeline.register_transaction(true).unwrap();
        let durable = registration.snapshot();
        assert!(durable < Timestamp(COMMITS), "{durable} is not durable");
        world.read_as(&registration);
    };
    let spawn = |work: fn(&World)| {
        let world = Arc::clone(&world);
        thread::spawn(move || work(&world))
    };
    let tasks = [
        spawn(|world| (1..=COMMITS).for_each(|number| world.commit(number))),
        spawn(log),
        spawn(|world| (0..COMMITS).for_each(|_| world.collect())),
        spawn(|world| world.read_as(&world.timeline.register_transaction(true).unwrap())),
    ];
    for task in tasks {
        task.join().unwrap();
    }
}

#[test]
fn the_last_durable_state_stays_until_the_log_has_failed() {
    check(SCHEDULES, failing_log);
}

#[test]
#[should_panic = "is seen, and"]
fn the_model_notices_a_horizon_that_passes_what_is_durable() {
    with_fault(Fault::DurableNotKept, || check(SCHEDULES, failing_log));
}

/// A snapshot that includes a commit finds its owner's state *committed*; an older one does not see
/// it. Were the clock first, a snapshot could include what is still *active*.
fn commits() {
    let timeline = Timeline::new();
    let writer = timeline.register().unwrap();
    let marker = writer.marker(1);
    let readers = [(); 2].map(|()| {
        let timeline = Arc::clone(&timeline);
        thread::spawn(move || {
            let registration = timeline.register().unwrap();
            let operation = registration.enter();
            let viewpoint = operation.viewpoint(1);
            let is_included = registration.snapshot() >= Timestamp(1);
            for _ in 0..2 {
                assert_eq!(
                    viewpoint.sees(|| marker),
                    is_included,
                    "a commit is one moment"
                );
            }
        })
    });
    timeline.commit(&writer, Timestamp(1));
    for reader in readers {
        reader.join().unwrap();
    }
    drop(writer);
}

#[test]
fn a_commit_is_seen_by_all_snapshots_that_include_it() {
    check(SCHEDULES, commits);
}

#[test]
#[should_panic = "a commit is one moment"]
fn the_model_notices_a_clock_before_the_state() {
    with_fault(Fault::ClockBeforeState, || check(SCHEDULES, commits));
}
