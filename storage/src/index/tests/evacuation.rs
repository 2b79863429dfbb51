//! What is left of an index after a burst leaves the slabs that it keeps.

use super::*;
use crate::mvcc::epoch;

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

/// Frees nodes that wait: readers of other tests may hold them back for a moment.
fn free_retired(indexes: &[&Index]) {
    let free = || indexes.iter().for_each(|index| index.free_retired());
    free();
    epoch::wait_for_others();
    free();
}

/// Closes sparse slabs, and has the indexes leave them.
fn evacuate(pool: &Pool, indexes: &[&Index]) {
    let begun = pool.begin_evacuation(90);
    for index in indexes {
        let mut pass = Pass::default();
        while index.leave_evacuated(&mut pass, 10).unwrap() {}
    }
    free_retired(indexes);
    assert_eq!(pool.end_evacuation(), 0, "all {begun} bytes came free");
}

/// Bytes of slabs and runs that are in use.
fn in_use(pool: &Pool) -> u64 {
    pool.shed_caches();
    let extents = pool.stats().extents;
    extents.bytes - extents.idle_bytes
}

#[test]
fn what_is_left_of_an_index_moves_together() {
    let pool = Pool::new(Ledger::new(1 << 30));
    let index = Index::ordered(&pool).unwrap();
    // Between the index's nodes others come that stay, so that few slabs become empty by themselves.
    let beside = Index::ordered(&pool).unwrap();
    for n in 0..KEYS {
        index.insert(&mixed(n), RowId(7)).unwrap();
        if n % 100 == 0 {
            beside.insert(&mixed(n), RowId(7)).unwrap();
        }
    }
    let full = in_use(&pool);
    for n in (0..KEYS).filter(|n| n % LEFT != 0) {
        assert!(index.remove(&mixed(n), RowId(7)));
    }
    let sparse = in_use(&pool);
    free_retired(&[&index]);
    evacuate(&pool, &[&index, &beside]);
    check(&index);
    assert_eq!(index.len() as u32, KEYS / LEFT);
    assert_eq!(beside.len() as u32, KEYS / 100);
    let left = in_use(&pool);
    assert!(
        left * 3 <= full,
        "{full} bytes, {sparse} for the rest, {left} when it had moved"
    );
    drop((index, beside));
    pool.shed_caches();
    assert_eq!(pool.extents(), 0);
}
