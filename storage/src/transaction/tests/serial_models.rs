//! A model of two transactions that each read what the other one writes.
//!
//! ```text
//!   Alice                     Bob                       collector
//!   reads Bob's row
//!                             reads Alice's row
//!   changes her own row
//!                             changes his own row
//!   looks: nothing was committed
//!                             commits
//!                                                       forgets what nobody asks for, folds
//!   in the section: must find Bob's commit
//! ```

use super::*;
use crate::sync::{Fault, check, with_fault};
use crate::transaction::Columns;
use shuttle::thread;

const SCHEDULES: usize = 200;

/// Goes off duty if the other one is on duty; whether that was committed.
fn leave(core: &Arc<Core>, own: i32, other: i32) -> bool {
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let table = t(&tx);
    let key = [ValueRef::Integer(other)];
    let on_duty = tx.find(
        &table,
        &table.indexes[0],
        &key,
        Columns::of([V]),
        |_, row| int(row.get(V)),
    );
    if on_duty != Some(1) {
        return false;
    }
    match update(&mut tx, own, 0) {
        Ok(changed) => assert!(changed, "the row is there"),
        Err(error) => panic!("nobody else writes it: {error}"),
    }
    match tx.commit() {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.sqlstate(), "40001");
            false
        }
    }
}

fn duty() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 0, 1).unwrap();
    insert(&mut tx, 1, 1).unwrap();
    tx.commit().unwrap();
    let tasks = [(0, 1), (1, 0)].map(|(own, other)| {
        let core = Arc::clone(&core);
        thread::spawn(move || leave(&core, own, other))
    });
    core.collect_garbage();
    let left = tasks.map(|task| task.join().unwrap());
    assert_ne!(left, [true; 2], "one of them stays");
    core.collect_garbage();
    let rows = all(&mut core.begin().unwrap());
    let on_duty = left.map(|left| i32::from(!left));
    assert_eq!(rows, [(0, on_duty[0]), (1, on_duty[1])]);
}

#[test]
fn of_two_who_rely_on_each_other_one_stays() {
    check(SCHEDULES, duty);
}

#[test]
#[should_panic = "one of them stays"]
fn the_model_notices_a_section_that_does_not_validate() {
    with_fault(Fault::RestNotValidated, || check(400 * SCHEDULES, duty));
}
