//! Models of transactions on two rows that are always changed together.
//!
//! ```text
//!   writer                    reader                     collector
//!   updates both to 7
//!                             begins: snapshot 3
//!   commits as 4: state, then clock
//!   stamps the first
//!                             reads the first: not yet
//!                                                        folds what all see, frees the rest
//!   stamps the second
//!                             reads the second: must still be from before 4
//! ```

use super::compact::{close, thaw};
use super::*;
use crate::pool::{Pool, PoolOptions};
use crate::sync::{Fault, check, with_fault};
use crate::time::DatabaseTime;
use shuttle::thread;

const SCHEDULES: usize = 150;

/// Both rows have this value's number at first.
fn world() -> Arc<Core> {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 0, 0).unwrap();
    insert(&mut tx, 1, 0).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    core
}

/// Changes both rows by their ids; a rival may be first.
fn set_both(core: &Arc<Core>, rows: [RowId; 2], value: i32, commits: bool) {
    let mut tx = core.begin().unwrap();
    let table = t(&tx);
    for row in rows {
        let mark = tx.begin_command();
        match tx.update(&table, row, &[(V, ValueRef::Integer(value))]) {
            Ok(changed) => assert!(changed, "the row is there"),
            Err(error) => {
                assert_eq!(error.sqlstate(), "40001");
                tx.rollback_to(mark);
                return;
            }
        }
    }
    if commits {
        tx.commit().unwrap();
    }
}

fn value(tx: &Transaction, row: RowId) -> i32 {
    let value = tx.view().row(&t(tx), row, |row| int(row.get(V)));
    value.expect("a snapshot does not change: the row is there")
}

/// One snapshot sees both rows alike, and the same again later.
fn read_both(core: &Arc<Core>, rows: [RowId; 2]) {
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let seen = value(&tx, rows[0]);
    for _ in 0..2 {
        for row in rows {
            assert_eq!(value(&tx, row), seen, "a snapshot does not change");
        }
    }
}

fn rows_of(core: &Arc<Core>) -> [RowId; 2] {
    let tx = core.begin().unwrap();
    [0, 1].map(|k| find(&tx, k).unwrap())
}

fn run(maintain: fn(&Arc<Core>)) {
    let core = world();
    let rows = rows_of(&core);
    let spawn = |work: fn(&Arc<Core>, [RowId; 2])| {
        let core = Arc::clone(&core);
        thread::spawn(move || work(&core, rows))
    };
    let mut tasks = vec![
        spawn(|core, rows| {
            set_both(core, rows, 1, true);
            set_both(core, rows, 2, false);
        }),
        spawn(|core, rows| set_both(core, rows, 3, true)),
        spawn(read_both),
        spawn(read_both),
    ];
    let maintained = Arc::clone(&core);
    tasks.push(thread::spawn(move || maintain(&maintained)));
    for task in tasks {
        task.join().unwrap();
    }
    read_both(&core, rows);
    assert_eq!(core.collect_garbage(), 0, "all of the past goes");
    read_both(&core, rows);
}

fn chains() {
    run(|core| {
        for _ in 0..3 {
            core.collect_garbage();
        }
    });
}

/// The block is frozen and thawed under its readers and writers.
fn switches() {
    run(|core| {
        core.collect_garbage();
        close(core);
        core.compact(None).unwrap();
        core.collect_garbage();
        thaw(core);
    });
}

#[test]
fn a_snapshot_is_one_moment_while_chains_grow_and_are_folded() {
    check(SCHEDULES, chains);
}

#[test]
fn a_snapshot_is_one_moment_while_its_block_is_replaced() {
    check(SCHEDULES, switches);
}

/// Old snapshots stay, each with a state between those of others, while rows change and what nobody
/// sees is unlinked and freed; freed memory is zeroed.
///
/// ```text
///   states    0       1        2 .. written by the model
///   seen by   oldest  middle   those who begin meanwhile
/// ```
fn pruned() {
    let options = PoolOptions {
        secure_delete: true,
    };
    let pool = Pool::with_options(Ledger::new(256 << 20), options);
    let core = Core::with_pool(pool, DatabaseTime::default(), true).unwrap();
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 0, 0).unwrap();
    insert(&mut tx, 1, 0).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    let rows = rows_of(&core);
    let oldest = core.begin().unwrap();
    set_both(&core, rows, 1, true);
    let middle = core.begin().unwrap();
    set_both(&core, rows, 2, true);
    let spawn = |work: fn(&Arc<Core>, [RowId; 2])| {
        let core = Arc::clone(&core);
        thread::spawn(move || work(&core, rows))
    };
    let tasks = [
        spawn(|core, rows| (3..5).for_each(|value| set_both(core, rows, value, true))),
        spawn(read_both),
        spawn(|core, _| (0..2).for_each(|_| core.prune_all())),
        thread::spawn(move || {
            for (tx, expected) in [(middle, 1), (oldest, 0)] {
                for _ in 0..2 {
                    for row in rows {
                        assert_eq!(value(&tx, row), expected, "a snapshot does not change");
                    }
                }
            }
        }),
    ];
    for task in tasks {
        task.join().unwrap();
    }
    read_both(&core, rows);
    assert_eq!(core.collect_garbage(), 0, "all of the past goes");
    read_both(&core, rows);
}

#[test]
fn snapshots_keep_what_they_see_while_the_rest_is_pruned() {
    check(SCHEDULES, pruned);
}

#[test]
#[should_panic = "a snapshot does not change"]
fn the_model_notices_a_fold_above_the_horizon() {
    with_fault(Fault::FoldAboveHorizon, || check(400 * SCHEDULES, chains));
}

/// A block whose rows have all died is given up, while one row is added and another one taken back.
fn emptied() {
    const GONE: i32 = 8;
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..GONE {
        insert(&mut tx, k, 0).unwrap();
    }
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    for k in 0..GONE {
        assert!(delete(&mut tx, k).unwrap());
    }
    tx.commit().unwrap();
    let spawn = |work: fn(&Arc<Core>)| {
        let core = Arc::clone(&core);
        thread::spawn(move || work(&core))
    };
    fn add(core: &Arc<Core>, k: i32) -> Transaction {
        let mut tx = core.begin().unwrap();
        insert(&mut tx, k, k).unwrap();
        tx
    }
    let tasks = [
        spawn(|core| {
            add(core, GONE).commit().unwrap();
        }),
        spawn(|core| add(core, GONE + 1).rollback()),
        spawn(|core| {
            core.collect_garbage();
        }),
    ];
    for task in tasks {
        task.join().unwrap();
    }
    for _ in 0..2 {
        let mut tx = core.begin().unwrap();
        let (by_key, rows) = (find(&tx, GONE), all(&mut tx));
        assert!(by_key.is_some(), "what was added is there");
        assert_eq!(rows, [(GONE, GONE)]);
        drop(tx);
        assert_eq!(core.collect_garbage(), 0);
    }
}

#[test]
fn a_row_that_comes_while_its_block_is_given_up_stays() {
    check(SCHEDULES, emptied);
}

#[test]
#[should_panic = "is "] // .. there, says who looks for the row; or in its block, says who takes one back.
fn the_model_notices_a_block_given_up_unseen() {
    with_fault(Fault::GivenUpUnseen, || check(400 * SCHEDULES, emptied));
}
