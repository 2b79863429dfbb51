//! A model of a unique key that several want at once, while the entry of who had it before goes.
//!
//! ```text
//!   Alice                     Bob                       collector
//!   an entry is there: latch
//!                                                       removes it
//!   no row has the key
//!                             no entry is there: adds his
//!   adds hers: must find his
//! ```

use super::*;
use crate::sync::{Fault, check, with_fault};
use shuttle::thread;

const SCHEDULES: usize = 300;

/// Key 1 is free again, but its entry is still there; key 2 is somebody's.
fn world() -> Arc<Core> {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 0).unwrap();
    insert(&mut tx, 2, 0).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    let mut tx = core.begin().unwrap();
    assert!(delete(&mut tx, 1).unwrap());
    tx.commit().unwrap();
    core
}

/// Whether a transaction got the key.
fn wants(core: &Arc<Core>, take: fn(&mut Transaction) -> crate::Result<()>) -> usize {
    let mut tx = core.begin().unwrap();
    match take(&mut tx) {
        Ok(()) => {
            tx.commit().unwrap();
            1
        }
        Err(error) => {
            assert!(["40001", "23505"].contains(&error.sqlstate()), "{error}");
            0
        }
    }
}

fn race() {
    let core = world();
    let takes: [fn(&mut Transaction) -> crate::Result<()>; 3] = [
        |tx| insert(tx, 1, 1).map(drop),
        |tx| insert(tx, 1, 2).map(drop),
        |tx| change(tx, 2, &[(K, ValueRef::Integer(1))]).map(drop),
    ];
    let tasks = takes.map(|take| {
        let core = Arc::clone(&core);
        thread::spawn(move || wants(&core, take))
    });
    core.collect_garbage();
    let got: usize = tasks.map(|task| task.join().unwrap()).iter().sum();
    assert_eq!(got, 1, "one of them has the key");
    core.collect_garbage();
    let mut tx = core.begin().unwrap();
    let rows = all(&mut tx);
    let ones = rows.iter().filter(|(k, _)| *k == 1).count();
    assert_eq!(ones, 1, "{rows:?}");
}

#[test]
fn one_of_many_gets_a_key_while_its_old_entry_goes() {
    check(SCHEDULES, race);
}

#[test]
#[should_panic = "one of them has the key"]
fn the_model_notices_a_key_that_is_not_looked_for_as_it_is_added() {
    with_fault(Fault::KeyNotAddedAtOnce, || check(400 * SCHEDULES, race));
}
