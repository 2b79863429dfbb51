//! Models of slots that go from thread to thread, and of an extent that is set apart meanwhile.
//!
//! A slot has one holder at a time. Each task writes its number into what it gets, lets others run,
//! and must find its number there; slots are then given back by whoever comes, and caches emptied.
//!
//! Once an extent is set apart nothing is taken from it any more, also of a slab that somebody took
//! just before and has not listed yet:
//!
//! ```text
//!   task                          who evacuates
//!   takes slab 3 of the extent
//!                                 sets the extent apart, closes slabs 1 to 3
//!   lists slab 3?                 takes a slot: from where?
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

/// The largest that lie with what moves; threads keep none of them.
const SLOT: usize = 16 << 10;
const OF_SLAB: usize = SLAB_BYTES / SLOT;
const OF_EXTENT: usize = EXTENT_BYTES / SLOT;

/// A pool of two extents with a slab of used slots in each, so that whoever wants one needs a slab.
fn sparse() -> (Arc<Pool>, Vec<NonNull<u8>>) {
    let pool = Pool::new(Ledger::new(1 << 30));
    let slot = |_| pool.allocate(Owner::Index, SLOT).unwrap();
    let mut slots: Vec<_> = (0..OF_EXTENT + OF_SLAB).map(slot).collect();
    assert_eq!(pool.extents(), 2);
    for slot in slots.drain(OF_SLAB..OF_EXTENT) {
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
    for round in 0..3 {
        let begun = pool.begin_evacuation(1, 50);
        // What was evacuated in vain rests.
        assert!(begun == 1 || round > 0, "an extent is sparse");
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
fn nothing_is_taken_from_an_extent_that_is_set_apart() {
    check(SCHEDULES, evacuation);
}

#[test]
#[should_panic = "nothing is taken from there"]
fn the_model_notices_that_a_closed_slab_serves() {
    with_fault(Fault::ClosedSlabListed, || {
        check(200 * SCHEDULES, evacuation);
    });
}
