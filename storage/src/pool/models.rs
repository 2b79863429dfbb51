//! Models of slots that go from thread to thread, of a slab that is emptied meanwhile, and of pages that are purged.
//!
//! A slot has one holder at a time. Each task writes its number into what it gets, lets others run,
//! and must find its number there; slots are then given back by whoever comes, and caches emptied.
//!
//! Once a slab is closed nothing is taken from it any more; and pages on their way back to the system are nobody's:
//!
//! ```text
//!   task                          who purges
//!                                 sees that page 3 is free
//!   takes page 3, writes
//!                                 has the system take page 3?
//! ```

use super::slab::SLAB_BYTES;
use super::*;
use crate::sync::{Fault, Mutex, check, with_fault, yield_now};
use shuttle::thread;
use std::ptr::NonNull;
use std::sync::Arc;

const SCHEDULES: usize = 300;
const BYTES: usize = 1500;

/// A slot that a task got and filled.
struct Filled(NonNull<u8>, u64);

// SAFETY: whoever has it is the slot's only holder.
unsafe impl Send for Filled {}

impl Filled {
    fn new(pool: &Pool, number: u64) -> Self {
        let slot = pool.allocate(Owner::Query, BYTES).unwrap();
        // SAFETY: the slot has that many bytes and is this task's.
        unsafe { slot.cast::<u64>().write(number) };
        Self(slot, number)
    }

    fn free(self, pool: &Pool) {
        // SAFETY: as in `new`; it is given back once, with the bytes it was taken with.
        unsafe {
            let found = self.0.cast::<u64>().read();
            assert_eq!(found, self.1, "a slot has one holder");
            pool.free(Owner::Query, self.0, BYTES);
        }
    }
}

fn model() {
    let ledger = Ledger::new(1 << 30);
    let pool = Pool::new(Arc::clone(&ledger));
    let left = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..3_u64)
        .map(|task| {
            let (pool, left) = (Arc::clone(&pool), Arc::clone(&left));
            thread::spawn(move || {
                for round in 0..6 {
                    let slot = Filled::new(&pool, 10 * task + round);
                    yield_now();
                    left.lock().push(slot);
                    if round % 2 == 1 {
                        let taken: Vec<_> = left.lock().drain(..).collect();
                        taken.into_iter().for_each(|slot| slot.free(&pool));
                    }
                    if task == 2 {
                        pool.shed_caches();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    left.lock().drain(..).for_each(|slot| slot.free(&pool));
    drop(pool);
    assert_eq!(ledger.used(), 0, "all is given back");
}

#[test]
fn a_slot_has_one_holder() {
    check(SCHEDULES, model);
}

/// The largest slots; threads keep none of them.
const SLOT: usize = 16 << 10;
const OF_SLAB: usize = SLAB_BYTES / SLOT;

/// A pool with a full slab, and two of which one slot is used.
fn sparse() -> (Arc<Pool>, Vec<NonNull<u8>>) {
    let pool = Pool::new(Ledger::new(1 << 30));
    let slot = |_| pool.allocate(Owner::Index, SLOT).unwrap();
    let mut slots: Vec<_> = (0..3 * OF_SLAB).map(slot).collect();
    let sparse = slots.split_off(OF_SLAB);
    for (n, slot) in sparse.into_iter().enumerate() {
        if n % OF_SLAB == 0 {
            slots.push(slot);
            continue;
        }
        // SAFETY: allocated above with this owner and size, and used by nobody.
        unsafe { pool.free(Owner::Index, slot, SLOT) };
    }
    (pool, slots)
}

fn evacuation() {
    let (pool, mut slots) = sparse();
    let others = (0..2).map(|_| {
        let pool = Arc::clone(&pool);
        thread::spawn(move || {
            for _ in 0..3 {
                let slot = pool.allocate(Owner::Index, SLOT).unwrap();
                let more = pool.allocate(Owner::Index, SLOT).unwrap();
                yield_now();
                for slot in [slot, more] {
                    // SAFETY: allocated here with this owner and size, and used by nobody.
                    unsafe { pool.free(Owner::Index, slot, SLOT) };
                }
            }
        })
    });
    let others: Vec<_> = others.collect();
    for _ in 0..3 {
        pool.begin_evacuation(50);
        for _ in 0..2 {
            let new = pool.allocate(Owner::Index, SLOT).unwrap();
            assert!(!pool.is_evacuating(new), "nothing is taken from there");
            slots.push(new);
        }
        pool.end_evacuation();
    }
    for task in others {
        task.join().unwrap();
    }
    for slot in slots {
        // SAFETY: allocated above with this owner and size, and used by nobody.
        unsafe { pool.free(Owner::Index, slot, SLOT) };
    }
    pool.shed_caches();
    assert_eq!(pool.ledger().used(), 0, "all is given back");
}

#[test]
fn nothing_is_taken_from_a_slab_that_is_closed() {
    check(SCHEDULES, evacuation);
}

/// One task has a run of pages and gives it back, another purges, a third takes pages: each finds zeroes and what it
/// wrote itself, and what is resident is charged.
fn purging() {
    const BYTES: usize = 128 << 10;
    let pool = Pool::new(Ledger::new(1 << 30));
    // The extent stays, whatever is freed.
    let stays = pool.allocate(Owner::Table, 1).unwrap();
    let takers = (1..3_u64).map(|task| {
        let pool = Arc::clone(&pool);
        thread::spawn(move || {
            for _ in 0..3 {
                let run = pool.allocate(Owner::Table, BYTES).unwrap();
                // SAFETY: the run has that many bytes and is this task's; it is given back once.
                unsafe {
                    let first = run.cast::<u64>();
                    assert_eq!(first.read(), 0, "memory is zeroed");
                    first.write(task);
                    yield_now();
                    assert_eq!(first.read(), task, "a page has one holder");
                    pool.free(Owner::Table, run, BYTES);
                }
            }
        })
    });
    let takers: Vec<_> = takers.collect();
    for _ in 0..3 {
        pool.purge(BYTES as u64);
        yield_now();
    }
    for task in takers {
        task.join().unwrap();
    }
    assert_eq!(pool.ledger().used(), pool.bytes());
    // SAFETY: allocated above with this owner and size, and used by nobody.
    unsafe { pool.free(Owner::Table, stays, 1) };
    pool.shed_caches();
    assert_eq!(pool.ledger().used(), 0, "all is given back");
}

#[test]
fn a_page_is_not_purged_under_its_holder() {
    check(SCHEDULES, purging);
}

/// By what a task finds, or by what is charged, whichever comes first.
#[test]
#[should_panic]
fn the_model_notices_that_pages_are_purged_which_others_may_take() {
    with_fault(Fault::PurgedWhileFree, || check(200 * SCHEDULES, purging));
}
