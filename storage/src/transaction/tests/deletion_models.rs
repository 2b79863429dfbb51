//! Models of deletions, which take no memory: over versions a record says so, in a frozen block a bit.
//!
//! ```text
//!   deleter                   changer                     reader
//!   deletes rows 0 and 1
//!                             updates row 1: too late
//!   commits, stamps                                       begins
//!                                                         sees both rows or neither
//! ```
//!
//! Another deleter, who takes all of it back, works on the rows between; and rows are collected, moved and frozen
//! meanwhile. In a frozen block all of them share a stamp until they get in each other's way.

use super::compact::{close, thaw};
use super::*;
use crate::sync::{Fault, check, with_fault};
use shuttle::thread;

const SCHEDULES: usize = 150;
const ROWS: i32 = 6;

fn world() -> (Arc<Core>, Vec<RowId>) {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..ROWS {
        insert(&mut tx, k, 0).unwrap();
    }
    tx.commit().unwrap();
    core.collect_garbage();
    let tx = core.begin().unwrap();
    let rows = (0..ROWS).map(|k| find(&tx, k).unwrap()).collect();
    (core, rows)
}

/// Deletes rows; whether that came to pass. A rival may be first.
fn remove(core: &Arc<Core>, rows: &[RowId], commits: bool) -> bool {
    let mut tx = core.begin().unwrap();
    let table = t(&tx);
    tx.begin_command();
    for row in rows {
        match tx.delete(&table, *row) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                assert_eq!(error.sqlstate(), "40001");
                return false;
            }
        }
    }
    if commits {
        tx.commit().unwrap();
    }
    commits
}

fn set(core: &Arc<Core>, row: RowId, value: i32) {
    let mut tx = core.begin().unwrap();
    let table = t(&tx);
    tx.begin_command();
    match tx.update(&table, row, &[(V, ValueRef::Integer(value))]) {
        Ok(true) => drop(tx.commit().unwrap()),
        Ok(false) => {}
        Err(error) => assert_eq!(error.sqlstate(), "40001"),
    }
}

/// One snapshot sees the first two rows, or neither, and the third one always.
fn read(core: &Arc<Core>, rows: &[RowId]) -> bool {
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let is_there = |tx: &Transaction, at: usize| tx.view().row(&t(tx), rows[at], |_| ()).is_some();
    let first = is_there(&tx, 0);
    for _ in 0..2 {
        assert_eq!(is_there(&tx, 1), first, "a snapshot does not change");
        assert_eq!(is_there(&tx, 0), first, "a snapshot does not change");
        assert!(is_there(&tx, 2), "a snapshot does not change");
    }
    first
}

fn run(core: Arc<Core>, rows: Vec<RowId>, maintain: fn(&Arc<Core>)) {
    let rows = Arc::new(rows);
    let spawn = |work: fn(&Arc<Core>, &[RowId]) -> bool| {
        let (core, rows) = (Arc::clone(&core), Arc::clone(&rows));
        thread::spawn(move || work(&core, &rows))
    };
    let deleter = spawn(|core, rows| remove(core, &rows[..2], true));
    let others = [
        spawn(|core, rows| remove(core, &rows[1..4], false)),
        spawn(|core, rows| {
            set(core, rows[1], 7);
            set(core, rows[4], 7);
            true
        }),
        spawn(|core, rows| remove(core, &rows[5..], true)),
        spawn(read),
    ];
    let maintained = Arc::clone(&core);
    let maintainer = thread::spawn(move || maintain(&maintained));
    let is_deleted = deleter.join().unwrap();
    for task in others {
        task.join().unwrap();
    }
    maintainer.join().unwrap();
    assert_eq!(read(&core, &rows), !is_deleted);
    core.collect_garbage();
    assert_eq!(read(&core, &rows), !is_deleted);
}

fn move_records(core: &Arc<Core>) {
    core.collect_garbage();
    core.pool().begin_evacuation(100);
    core.evacuate();
}

/// Over versions: an old snapshot keeps them from being folded.
fn over_versions() {
    let (core, rows) = world();
    let old = core.begin().unwrap();
    (1..3).for_each(|value| rows.iter().for_each(|row| set(&core, *row, value)));
    run(Arc::clone(&core), rows, move_records);
    drop(old);
    assert_eq!(core.collect_garbage(), 0, "all of the past goes");
}

/// In a frozen block.
fn frozen() {
    let (core, rows) = world();
    close(&core);
    core.compact(None).unwrap();
    run(core, rows, |core| {
        core.collect_garbage();
    });
}

/// The same, in a block that is frozen again, and thawed, meanwhile.
fn replaced() {
    let (core, rows) = world();
    close(&core);
    core.compact(None).unwrap();
    run(core, rows, |core| {
        core.compact(None).unwrap();
        thaw(core);
    });
}

/// The stamp of a chunk goes to a second deleter once the rows of the first are dead.
fn one_after_the_other() {
    let (core, rows) = world();
    close(&core);
    core.compact(None).unwrap();
    assert!(remove(&core, &rows[..2], true));
    let second = thread::spawn({
        let (core, rows) = (Arc::clone(&core), rows.clone());
        move || {
            core.collect_garbage();
            assert!(remove(&core, &rows[3..4], true));
        }
    });
    for _ in 0..2 {
        assert!(!read(&core, &rows), "a snapshot does not change");
    }
    second.join().unwrap();
}

#[test]
fn a_deletion_over_versions_is_one_moment() {
    check(SCHEDULES, over_versions);
}

#[test]
fn a_deletion_in_a_frozen_block_is_one_moment() {
    check(SCHEDULES, frozen);
}

#[test]
fn a_deletion_is_one_moment_while_its_block_is_replaced() {
    check(SCHEDULES, replaced);
}

#[test]
fn a_stamp_is_given_on_once_its_rows_are_dead() {
    check(SCHEDULES, one_after_the_other);
}

#[test]
#[should_panic = "a snapshot does not change"]
fn the_model_notices_that_a_row_is_asked_for_before_its_stamp() {
    with_fault(Fault::DeadBeforeStamp, || {
        check(400 * SCHEDULES, one_after_the_other);
    });
}
