//! The pool against a model: what is allocated, what it holds, and that all of it goes back.

mod extents;

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

impl Live {
    /// Moves to another place if its slab is being emptied; returns whether it was.
    fn leave_evacuated(&mut self, pool: &Pool) -> bool {
        let in_slab = self.bytes <= SLOT_BYTES_MAX && self.owner != Owner::Table;
        if !in_slab || !pool.is_evacuating(self.pointer) {
            return false;
        }
        let new = Self::new(pool, self.owner, self.bytes, self.fill).unwrap();
        assert!(
            !pool.is_evacuating(new.pointer),
            "nothing is taken from there"
        );
        std::mem::replace(self, new).free(pool);
        true
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
    Shed,
    Purge(u64),
    Evacuate,
    Serve,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![
        4 => 0..300_usize,
        2 => 300..20_000_usize,
        2 => 20_000..200_000_usize,
        1 => 200_000..3_000_000_usize,
    ];
    let step = prop_oneof![
        50 => (bytes, any::<bool>()).prop_map(|(b, o)| Step::Allocate(b, o)),
        40 => any::<prop::sample::Index>().prop_map(Step::Free),
        1 => Just(Step::Shed),
        2 => (0..3_000_000_u64).prop_map(Step::Purge),
        2 => Just(Step::Evacuate),
        1 => Just(Step::Serve),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn allocations_are_apart_counted_and_given_back(steps in steps()) {
        let pool = Pool::new(Ledger::new(1 << 30));
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
                Step::Shed => pool.shed_caches(),
                Step::Purge(bytes) => {
                    let before = pool.bytes();
                    prop_assert_eq!(pool.purge(bytes), before - pool.bytes());
                }
                Step::Evacuate => {
                    pool.begin_evacuation(60);
                    // What its owners move is gone from there.
                    for one in &mut live {
                        one.leave_evacuated(&pool);
                    }
                }
                Step::Serve => {
                    pool.end_evacuation();
                    prop_assert_eq!(pool.evacuating(), 0);
                }
            }
            for owner in [Owner::Table, Owner::Version] {
                let asked: usize = live.iter().filter(|l| l.owner == owner).map(|l| l.bytes).sum();
                prop_assert!(owner_bytes(&pool, owner) >= asked as u64);
            }
            let stats = pool.stats();
            let held = (pool.ledger().used(), pool.bytes());
            prop_assert_eq!(held, (stats.bytes(), stats.bytes()), "every byte taken is reserved");
            prop_assert!(stats.extents.bytes <= stats.extents.extents * EXTENT_BYTES as u64);
            let rounded = live.iter().map(|l| rounded_bytes(l.owner, l.bytes) as u64);
            prop_assert_eq!(stats.bytes_used(), rounded.sum::<u64>());
            let slots: u64 = stats.classes.iter().map(|c| c.slots_used).sum();
            prop_assert_eq!(slots + stats.runs.count + stats.spans.count, live.len() as u64);
            let asked: u64 = stats.classes.iter().map(|c| c.bytes_asked).sum();
            let asked = asked + stats.runs.bytes_asked + stats.spans.bytes_asked;
            prop_assert_eq!(asked, live.iter().map(|l| l.bytes).sum::<usize>() as u64);
        }
        live.into_iter().for_each(|l| l.free(&pool));
        pool.shed_caches();
        prop_assert_eq!((pool.extents(), pool.ledger().used()), (0, 0), "nothing is held");
        prop_assert!(pool.ledger().entries().iter().all(|line| line.bytes == 0));
    }
}

fn fill(pool: &Pool, owner: Owner, bytes: usize) -> (Vec<Live>, crate::Error) {
    let mut live = Vec::new();
    loop {
        match Live::new(pool, owner, bytes, 7) {
            Ok(one) => live.push(one),
            Err(error) => return (live, error),
        }
    }
}

fn free_all(pool: &Pool, live: Vec<Live>) {
    live.into_iter().for_each(|l| l.free(pool));
    pool.shed_caches();
    assert_eq!((pool.extents(), pool.ledger().used()), (0, 0));
}

#[test]
fn a_full_pool_refuses_and_works_again_once_something_is_freed() {
    let pool = Pool::new(Ledger::new(16 << 20));
    let (mut live, full) = fill(&pool, Owner::Index, 1000);
    assert_eq!(full.sqlstate(), "53200");
    assert_eq!(
        pool.bytes(),
        14 << 20,
        "of 16 MiB: an eighth is for emergencies"
    );
    let rescue = pool
        .allocate_for(Claim::Emergency, Owner::Transaction, 1000)
        .unwrap();
    live.pop().unwrap().free(&pool);
    live.push(Live::new(&pool, Owner::Index, 1000, 8).unwrap());
    // SAFETY: allocated above with this owner and size, never used.
    unsafe { pool.free(Owner::Transaction, rescue, 1000) };
    free_all(&pool, live);
}

#[test]
fn what_another_thread_keeps_is_there_when_memory_is_short() {
    // A thread filled the pool, freed all, and sleeps on what it keeps for its next requests.
    let pool = Pool::new(Ledger::new(16 << 20));
    let (ready, sleeping) = std::sync::mpsc::channel();
    let (wake, woken) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let one = &pool;
        scope.spawn(move || {
            let (live, _) = fill(one, Owner::Index, 100);
            live.into_iter().for_each(|l| l.free(one));
            ready.send(()).unwrap();
            woken.recv().unwrap();
        });
        sleeping.recv().unwrap();
        assert!(
            pool.stats()
                .classes
                .iter()
                .any(|class| class.slots_cached > 0)
        );
        let (live, _) = fill(&pool, Owner::Table, 2 << 20);
        assert_eq!(live.len(), 7, "all of it is there for others");
        free_all(&pool, live);
        wake.send(()).unwrap();
    });
}

#[test]
fn a_thread_that_ends_leaves_nothing_behind() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let of_thread = pool.clone();
    // The end of a scope does not wait for what threads leave to their very end; joining does.
    let thread = std::thread::spawn(move || {
        let pool = of_thread;
        let live: Vec<_> = (0..100)
            .map(|n| Live::new(&pool, Owner::Index, n * 20, 3).unwrap())
            .collect();
        live.into_iter().for_each(|l| l.free(&pool));
        assert_eq!(pool.stats().caches, 1);
    });
    thread.join().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.caches, stats.bytes()), (0, 0));
    let served = |of: fn(&ClassStats) -> u64| stats.classes.iter().map(of).sum::<u64>();
    assert_eq!(served(|c| c.cache_hits) + served(|c| c.cache_misses), 100);
}

#[test]
fn a_pool_that_goes_before_its_threads_takes_everything_along() {
    // The thread's cache still points into the first pool when it meets the next ones.
    let ledger = Ledger::new(64 << 20);
    for _ in 0..100 {
        let pool = Pool::new(ledger.clone());
        Live::new(&pool, Owner::Index, 64, 1).unwrap().free(&pool);
        assert_eq!(
            pool.stats().classes[3].cache_misses,
            1,
            "its own cache, and new"
        );
        assert!(ledger.used() > 0, "a batch is kept");
        drop(pool);
        assert_eq!(ledger.used(), 0);
        assert!(ledger.entries().iter().all(|line| line.bytes == 0));
    }
}

#[test]
fn two_pools_of_one_thread_do_not_mix() {
    let pools = [1, 2].map(|_| Pool::new(Ledger::new(64 << 20)));
    let mut live: Vec<Live> = Vec::new();
    for n in 0..1000 {
        let pool = &pools[n % 2];
        live.push(Live::new(pool, Owner::Index, 80, n as u8).unwrap());
        if n % 3 == 2 {
            let one = live.swap_remove(n % live.len());
            // Which pool it is from is in the parity of its number, which is its fill.
            let of = usize::from(one.fill) % 2;
            one.free(&pools[of]);
        }
    }
    for (n, pool) in pools.iter().enumerate() {
        let (mine, others) = live.into_iter().partition(|l| usize::from(l.fill) % 2 == n);
        free_all(pool, mine);
        live = others;
    }
}

#[test]
fn a_run_that_is_used_again_is_zeroed() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let stays = Live::new(&pool, Owner::Table, 100, 1).unwrap();
    for n in 1..20 {
        // `new` checks the zeroes, and fills it with ones of its own.
        Live::new(&pool, Owner::Table, 70_000 * n, 0xff)
            .unwrap()
            .free(&pool);
    }
    free_all(&pool, vec![stays]);
}

#[test]
fn a_span_goes_back_at_once() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let span = Live::new(&pool, Owner::Query, (2 << 20) + 1, 9).unwrap();
    assert_eq!(pool.ledger().used(), (2 << 20) + (64 << 10));
    assert_eq!(owner_bytes(&pool, Owner::Query), pool.ledger().used());
    assert_eq!(pool.stats().spans.count, 1);
    span.free(&pool);
    assert_eq!(pool.ledger().used(), 0);
}

#[test]
fn what_is_freed_securely_is_zero() {
    let options = PoolOptions {
        secure_delete: true,
    };
    let pool = Pool::with_options(Ledger::new(64 << 20), options);
    // A neighbour in the slab, and in the extent, keeps both of them mapped.
    for bytes in [64, 200, 5000, 60_000, 100_000, 500_000] {
        let stays = Live::new(&pool, Owner::Index, bytes, 1).unwrap();
        let secret = Live::new(&pool, Owner::Index, bytes, 0xee).unwrap();
        let pointer = secret.pointer.as_ptr();
        secret.free(&pool);
        // SAFETY: the extent is still mapped, and only this thread uses the pool. The first eight
        // bytes may link free slots.
        let rest = unsafe { std::slice::from_raw_parts(pointer.add(8), bytes - 8) };
        assert!(rest.iter().all(|byte| *byte == 0), "{bytes} bytes");
        stays.free(&pool);
    }
}

#[test]
fn one_extent_serves_all_small_classes() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let sizes = [16, 48, 100, 200, 1000, 5000, 30_000, 65_536];
    let live: Vec<_> = sizes
        .map(|bytes| Live::new(&pool, Owner::Index, bytes, 1).unwrap())
        .into_iter()
        .collect();
    assert_eq!(pool.extents(), 1);
    free_all(&pool, live);
}

#[test]
fn a_hostile_size_is_refused() {
    let pool = Pool::new(Ledger::new(u64::MAX));
    let refused = |bytes: usize| pool.allocate(Owner::Query, bytes).unwrap_err().sqlstate();
    assert_eq!(refused(usize::MAX), "54000");
    assert_eq!(refused(isize::MAX as usize), "54000");
    // The budget has it, the system has not.
    assert_eq!(refused(1 << 62), "53200");
    assert_eq!(pool.ledger().used(), 0);
    let pool = Pool::new(Ledger::new(1 << 30));
    assert_eq!(
        pool.allocate(Owner::Query, 2 << 30).unwrap_err().sqlstate(),
        "53200"
    );
    assert_eq!(pool.ledger().used(), 0);
}

/// Threads allocate, free their own, and pass some to the next thread to free; meanwhile one sheds
/// and evacuates, for which all are prepared.
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
                    if thread == 0 && random % 64 == 0 {
                        pool.begin_evacuation(90);
                        mine.iter_mut().for_each(|l| {
                            l.leave_evacuated(pool);
                        });
                        pool.end_evacuation();
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
    free_all(&pool, shared.into_inner());
    assert!(pool.ledger().entries().iter().all(|line| line.bytes == 0));
}
