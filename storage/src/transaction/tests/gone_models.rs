//! A model of gone ranges: a row comes back where a scan has just found that all are gone.
//!
//! ```text
//!   taker                         maker
//!   passes 1 2 3
//!                                 adds 2: says so
//!   all from 1 to 3 are gone, but for 2
//! ```

use super::gone::{expected, first_by};
use super::*;
use crate::sync::{Fault, check, with_fault};
use shuttle::thread;

const SCHEDULES: usize = 300;
const GONE: i32 = 4;
/// Behind the key of the second of them: a range that is found first, behind what was read before the look, has it in it.
const AMID: i32 = 1;

/// Rows that only an old snapshot sees, and one behind them; whoever adds entries says so.
fn world() -> (Arc<Core>, Transaction) {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..GONE {
        insert(&mut tx, k, k).unwrap();
    }
    insert(&mut tx, 100, 100).unwrap();
    tx.commit().unwrap();
    let old = core.begin_with(READ_ONLY).unwrap();
    let mut tx = core.begin().unwrap();
    for k in 0..GONE {
        assert!(delete(&mut tx, k).unwrap());
    }
    tx.commit().unwrap();
    // The first has the index watched, for the second the deletions are not old enough yet.
    for _ in 0..2 {
        look(&core, 1);
    }
    (core, old)
}

/// Reads the first row; the scan is asked for so many at once.
fn look(core: &Arc<Core>, at_once: usize) {
    let mut tx = core.begin_with(READ_ONLY).unwrap();
    let found = first_by(&mut tx, 1, at_once);
    assert_eq!(found, expected(&mut tx, 1), "the first row is found");
}

fn race(at_once: usize) {
    let (core, old) = world();
    let maker = Arc::clone(&core);
    let maker = thread::spawn(move || {
        let mut tx = maker.begin().unwrap();
        insert(&mut tx, 50, AMID).unwrap();
        tx.commit().unwrap();
        look(&maker, 1);
    });
    let taker = Arc::clone(&core);
    let taker = thread::spawn(move || (0..2).for_each(|_| look(&taker, at_once)));
    maker.join().unwrap();
    taker.join().unwrap();
    look(&core, 1);
    drop(old);
}

#[test]
fn a_row_that_comes_back_is_found() {
    check(SCHEDULES, || race(1));
}

/// A look does not tell of entries that were read before it began.
#[test]
fn a_row_that_comes_back_amid_several_that_were_read_is_found() {
    check(SCHEDULES, || race(3));
}

#[test]
#[should_panic = "the first row is found"]
fn the_model_notices_that_what_is_added_is_passed() {
    with_fault(Fault::AddedNotLeftOut, || {
        check(400 * SCHEDULES, || race(1))
    });
}
