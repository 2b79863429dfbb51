//! Models of a hash index that grows and shrinks under its readers and writers.
//!
//! ```text
//!   reader                               writer
//!   2 buckets: key in bucket 0
//!                                        latches 0 and 2, moves the key to 2,
//!                                        3 buckets, releases
//!   reads bucket 0: nothing, and nothing moves; but 0 is no longer the key's bucket
//! ```

use super::tests::{self, with_identity_bits};
use super::*;
use crate::index::Pass;
use crate::pool::{Claim, Ledger};
use crate::sync::{Fault, check, with_fault};
use shuttle::thread;

const SCHEDULES: usize = 400;
/// Entries that stay.
const STAY: std::ops::Range<u64> = 0..9;

fn rows_of(index: &HashIndex, n: u64) -> Vec<RowId> {
    let mut rows = Vec::new();
    index.get(&tests::key(n), &mut rows);
    rows
}

/// Two writers add entries and take them out again, with rows far from those that stay; two readers
/// look for those.
fn growing_and_shrinking(bits: u32, rows_each: u64) {
    changing(bits, rows_each, false);
}

/// The same; `moved` beside a pass that writes all chains anew.
fn changing(bits: u32, rows_each: u64, moved: bool) {
    let pool = Pool::new(Ledger::new(1 << 30));
    let index = with_identity_bits(bits, || HashIndex::new(Claim::Ordinary, &pool));
    let index = Arc::new(index.unwrap());
    for n in STAY {
        index.insert(&tests::key(n), RowId(n)).unwrap();
    }
    let mut tasks = Vec::new();
    if moved {
        index.let_all_leave(true);
        let index = Arc::clone(&index);
        tasks.push(thread::spawn(move || {
            let mut pass = Pass::default();
            while index.leave_evacuated(&mut pass, 2).unwrap() {}
        }));
    }
    for writer in 1..3 {
        let index = Arc::clone(&index);
        tasks.push(thread::spawn(move || {
            let entries = (0..10 * rows_each).map(|n| (100 * writer + n / rows_each, n));
            let entry = |(n, row)| (tests::key(n), RowId(1000 * writer + row));
            for (key, row) in entries.clone().map(entry) {
                index.insert(&key, row).unwrap();
            }
            for (key, row) in entries.map(entry) {
                assert!(index.remove(&key, row), "an entry is lost");
            }
        }));
    }
    for _ in 0..2 {
        let index = Arc::clone(&index);
        tasks.push(thread::spawn(move || {
            for n in STAY {
                let found = rows_of(&index, n).contains(&RowId(n));
                assert!(found, "entry {n} is missed");
                let mut seen = 0;
                index.find_map(&tests::key(n), |row| {
                    seen += u32::from(row == RowId(n));
                    None::<()>
                });
                assert_eq!(seen, 1, "entry {n} is missed, or met twice");
            }
        }));
    }
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!(index.len() as u64, STAY.end);
    for n in STAY {
        assert!(rows_of(&index, n).contains(&RowId(n)));
    }
}

#[test]
fn entries_are_found_while_buckets_split_and_merge() {
    check(SCHEDULES, || growing_and_shrinking(39, 1));
}

#[test]
fn entries_are_found_while_they_move_along_chains() {
    check(SCHEDULES / 2, || growing_and_shrinking(2, 2));
}

#[test]
fn entries_are_found_while_chains_are_written_anew() {
    check(SCHEDULES / 2, || changing(2, 2, true));
}

/// Five rows a key, and few identities: they become heavy, and light again.
#[test]
fn entries_are_found_while_identities_become_heavy() {
    check(SCHEDULES / 4, || growing_and_shrinking(1, 3));
}

#[test]
#[should_panic = "is missed"]
fn the_model_notices_that_the_bucket_is_not_checked() {
    with_fault(Fault::BucketNotChecked, || {
        check(200 * SCHEDULES, || growing_and_shrinking(39, 1));
    });
}
