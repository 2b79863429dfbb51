//! A model of slots that go from thread to thread: through caches, batches, slabs and extents.
//!
//! A slot has one holder at a time. Each task writes its number into what it gets, lets others run,
//! and must find its number there; slots are then given back by whoever comes, and caches emptied.

use super::*;
use crate::sync::{Mutex, check, yield_now};
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
