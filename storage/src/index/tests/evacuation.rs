//! What is left of an index after a burst leaves the extents that it keeps.

use super::*;
use std::time::{Duration, Instant};

const KEYS: u32 = 400_000;
/// One key in so many is left.
const LEFT: u32 = 20;

fn mixed(n: u32) -> [u8; 8] {
    u64::from(n)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .to_be_bytes()
}

fn check(index: &Index) {
    for n in 0..KEYS {
        let wanted: &[_] = if n % LEFT == 0 { &[RowId(7)] } else { &[] };
        assert_eq!(rows_of(index, &mixed(n)), wanted, "key {n}");
    }
}

/// Sets sparse extents apart, and has the indexes leave them. Returns how many.
fn evacuate(pool: &Pool, indexes: &[&Index]) -> usize {
    pool.shed_caches();
    let begun = pool.begin_evacuation(100, 90);
    for index in indexes {
        let mut pass = Pass::default();
        while index.leave_evacuated(&mut pass, 10).unwrap() {}
    }
    let start = Instant::now();
    // Readers of other tests may hold the last nodes back for a moment.
    while pool.evacuating() > 0 && start.elapsed() < Duration::from_secs(20) {
        indexes.iter().for_each(|index| index.free_retired());
        std::thread::yield_now();
    }
    assert_eq!(pool.end_evacuation(), 0, "all {begun} became empty");
    begun
}

#[test]
fn what_is_left_of_an_index_moves_together() {
    let pool = Pool::new(Ledger::new(1 << 30));
    let index = Index::ordered(&pool).unwrap();
    // Between the index's nodes others come that stay, so that no extent becomes empty by itself.
    let beside = Index::ordered(&pool).unwrap();
    for n in 0..KEYS {
        index.insert(&mixed(n), RowId(7)).unwrap();
        if n % 100 == 0 {
            beside.insert(&mixed(n), RowId(7)).unwrap();
        }
    }
    let full = pool.extents();
    for n in (0..KEYS).filter(|n| n % LEFT != 0) {
        assert!(index.remove(&mixed(n), RowId(7)));
    }
    pool.shed_caches();
    let sparse = pool.extents();
    // Nodes that wait for readers of other tests count as used: it may take several times.
    let start = Instant::now();
    while pool.extents() * 3 > full && start.elapsed() < Duration::from_secs(20) {
        index.free_retired();
        evacuate(&pool, &[&index, &beside]);
    }
    check(&index);
    assert_eq!(index.len() as u32, KEYS / LEFT);
    assert_eq!(beside.len() as u32, KEYS / 100);
    let left = pool.extents();
    assert!(
        left * 3 <= full,
        "{full} extents, {sparse} for the rest, {left} when it had moved"
    );
    drop((index, beside));
    pool.shed_caches();
    assert_eq!(pool.extents(), 0);
}
