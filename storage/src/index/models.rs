//! A model of the ordered index: nodes and buckets split, grow, shrink, merge and move under its readers.
//!
//! ```text
//!   reader                              writer
//!   reads a node's version, finds child
//!                                       builds a larger node, puts it in the parent, marks the old
//!   checks the version: looks again
//! ```

use super::*;
use crate::pool::Ledger;
use crate::sync::{Fault, check, with_fault};
use shuttle::thread;
use std::ops::Bound;

const SCHEDULES: usize = 60;
const STAY: u32 = 4;
/// Keys that a writer adds among those that stay, and removes again.
const COME_AND_GO: u32 = 40;

fn key(n: u32) -> [u8; 8] {
    let mut key = [7; 8];
    key[4..].copy_from_slice(&n.wrapping_mul(0x0101_0011).to_be_bytes());
    key
}

fn model(moved: bool) {
    let index = Arc::new(Index::ordered(&Pool::new(Ledger::new(1 << 30))).unwrap());
    for n in 0..STAY {
        index.insert(&key(1000 * n), RowId(u64::from(n))).unwrap();
    }
    let mut tasks = Vec::new();
    if moved {
        index.let_all_leave(true);
        let index = Arc::clone(&index);
        tasks.push(thread::spawn(move || {
            let mut pass = Pass::default();
            while index.leave_evacuated(&mut pass, 4).unwrap() {}
        }));
    }
    for writer in 1..3 {
        let index = Arc::clone(&index);
        tasks.push(thread::spawn(move || {
            let keys = (0..COME_AND_GO).map(|n| key(17 * n + writer));
            for key in keys.clone() {
                index.insert(&key, RowId(100 + u64::from(writer))).unwrap();
            }
            for key in keys {
                let removed = index.remove(&key, RowId(100 + u64::from(writer)));
                assert!(removed, "an entry is lost");
            }
        }));
    }
    for _ in 0..2 {
        let index = Arc::clone(&index);
        tasks.push(thread::spawn(move || {
            for n in 0..STAY {
                let row = RowId(u64::from(n));
                let found = index.find_map(&key(1000 * n), |found| (found == row).then_some(()));
                assert!(found.is_some(), "entry {n} is missed");
            }
            let mut cursor = Cursor::new(Bound::Unbounded, Bound::Unbounded, false);
            let mut entries = Entries::new();
            index.scan(&mut cursor, 1000, &mut entries);
            let keys: Vec<_> = entries.iter().map(|(key, _)| key.to_vec()).collect();
            assert!(keys.is_sorted(), "a scan is in order");
            let stay = entries.iter().filter(|(_, row)| row.0 < u64::from(STAY));
            assert_eq!(stay.count() as u32, STAY, "none is missed, none met twice");
        }));
    }
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!(index.len() as u32, STAY);
}

#[test]
fn entries_are_found_while_nodes_are_replaced() {
    check(SCHEDULES, || model(false));
}

#[test]
fn entries_are_found_while_nodes_move() {
    check(SCHEDULES, || model(true));
}

#[test]
#[should_panic = "missed"]
fn the_model_notices_that_versions_are_not_checked() {
    with_fault(Fault::NodeNotChecked, || {
        check(200 * SCHEDULES, || model(false))
    });
}
