//! The pool against a model: what is allocated, what it holds, and that all of it goes back.

use super::*;
use proptest::prelude::*;
use std::ptr::NonNull;

/// One allocation that the model knows to be live, filled with its own byte.
struct Live {
    pointer: NonNull<u8>,
    bytes: usize,
    owner: Owner,
    fill: u8,
}

impl Live {
    fn new(pool: &Pool, owner: Owner, bytes: usize, fill: u8) -> crate::Result<Self> {
        let pointer = pool.allocate(owner, bytes)?;
        assert_eq!(pointer.as_ptr().addr() % 16, 0, "aligned to 16");
        // SAFETY: the allocation has that many bytes and is ours.
        let slice = unsafe { std::slice::from_raw_parts_mut(pointer.as_ptr(), bytes) };
        assert!(slice.iter().all(|&b| b == 0), "zeroed");
        slice.fill(fill);
        Ok(Self {
            pointer,
            bytes,
            owner,
            fill,
        })
    }

    fn free(self, pool: &Pool) {
        // SAFETY: the allocation has that many bytes and is ours.
        let slice = unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.bytes) };
        assert!(slice.iter().all(|&b| b == self.fill), "nobody else wrote");
        // SAFETY: allocated by `new` with this owner and size, and not used after.
        unsafe { pool.free(self.owner, self.pointer, self.bytes) };
    }
}

// SAFETY: an allocation belongs to nobody but the Live that moves.
unsafe impl Send for Live {}

fn owner_bytes(pool: &Pool, owner: Owner) -> u64 {
    pool.ledger().entries()[owner as usize].bytes
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(usize, bool),
    Free(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![
        4 => 0..300_usize,
        2 => 300..20_000_usize,
        1 => 20_000..200_000_usize,
    ];
    let step = prop_oneof![
        3 => (bytes, any::<bool>()).prop_map(|(b, o)| Step::Allocate(b, o)),
        2 => any::<prop::sample::Index>().prop_map(Step::Free),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn allocations_are_apart_counted_and_given_back(steps in steps()) {
        let pool = Pool::new(Ledger::new(64 << 20));
        let mut live: Vec<Live> = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Allocate(bytes, table) => {
                    let owner = if table { Owner::Table } else { Owner::Version };
                    live.push(Live::new(&pool, owner, bytes, n as u8).unwrap());
                }
                Step::Free(index) if !live.is_empty() => {
                    let one = live.swap_remove(index.index(live.len()));
                    one.free(&pool);
                }
                Step::Free(_) => {}
            }
            for owner in [Owner::Table, Owner::Version] {
                let asked: usize = live.iter().filter(|l| l.owner == owner).map(|l| l.bytes).sum();
                prop_assert!(owner_bytes(&pool, owner) >= asked as u64);
            }
            let large: usize = live.iter().map(|l| l.bytes).filter(|&b| b > SLOT_BYTES_MAX).sum();
            let held = pool.extents() * EXTENT_BYTES + large;
            prop_assert_eq!(pool.ledger().used(), held as u64, "every byte taken is reserved");
            let slots: u64 = pool.stats().iter().map(|c| c.slots_used).sum();
            prop_assert_eq!(slots, live.len() as u64);
        }
        live.into_iter().for_each(|l| l.free(&pool));
        prop_assert_eq!((pool.extents(), pool.ledger().used()), (0, 0), "nothing is held");
        prop_assert!(pool.ledger().entries().iter().all(|line| line.bytes == 0));
    }
}

#[test]
fn a_full_pool_refuses_and_works_again_once_something_is_freed() {
    let pool = Pool::new(Ledger::new(16 << 20));
    let mut live = Vec::new();
    let full = loop {
        match Live::new(&pool, Owner::Table, 1000, 7) {
            Ok(one) => live.push(one),
            Err(error) => break error,
        }
    };
    assert_eq!(full.sqlstate(), "53200");
    assert_eq!(
        pool.extents(),
        7,
        "14 of 16 MiB: an eighth is for emergencies"
    );
    let rescue = pool.allocate_emergency(Owner::Transaction, 1000).unwrap();
    live.pop().unwrap().free(&pool);
    live.push(Live::new(&pool, Owner::Table, 1000, 8).unwrap());
    // SAFETY: allocated above with this owner and size, never used.
    unsafe { pool.free(Owner::Transaction, rescue, 1000) };
    live.into_iter().for_each(|l| l.free(&pool));
    assert_eq!(pool.ledger().used(), 0);
}

#[test]
fn one_extent_serves_all_small_classes() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let sizes = [16, 48, 100, 200, 1000, 5000, 30_000, 65_536];
    let live: Vec<_> = sizes
        .map(|bytes| Live::new(&pool, Owner::Table, bytes, 1).unwrap())
        .into_iter()
        .collect();
    assert_eq!(pool.extents(), 1);
    live.into_iter().for_each(|l| l.free(&pool));
    assert_eq!(pool.extents(), 0);
}

#[test]
fn a_hostile_size_is_refused() {
    let pool = Pool::new(Ledger::new(u64::MAX));
    assert_eq!(
        pool.allocate(Owner::Query, usize::MAX)
            .unwrap_err()
            .sqlstate(),
        "54000"
    );
    assert_eq!(pool.ledger().used(), 0);
}

/// Threads allocate, free their own, and pass some to the next thread to free.
#[test]
fn threads_share_the_pool() {
    let pool = Pool::new(Ledger::new(256 << 20));
    let shared = parking_lot::Mutex::new(Vec::<Live>::new());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (pool, shared) = (&pool, &shared);
            scope.spawn(move || {
                let mut random = thread + 1;
                let mut mine = Vec::new();
                for _ in 0..5000 {
                    // Xorshift: enough to vary sizes and order.
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let bytes = (random % 700) as usize;
                    mine.push(Live::new(pool, Owner::Version, bytes, random as u8).unwrap());
                    if random % 3 == 0 {
                        let index = random as usize % mine.len();
                        shared.lock().push(mine.swap_remove(index));
                    }
                    if random % 2 == 0 {
                        let other = shared.lock().pop();
                        other.into_iter().for_each(|l| l.free(pool));
                    }
                }
                mine.into_iter().for_each(|l| l.free(pool));
            });
        }
    });
    shared.into_inner().into_iter().for_each(|l| l.free(&pool));
    assert_eq!((pool.extents(), pool.ledger().used()), (0, 0));
}
