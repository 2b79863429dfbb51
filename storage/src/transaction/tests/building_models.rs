//! A model of an index that is made while rows change.
//!
//! ```text
//!   builder                    writer                         collector
//!   lists the index
//!   gathers row 1: key 10
//!                              row 1: 11, commits; finds
//!                              the index: notes 11
//!                                                             row 1: 10 goes, notes 10
//!   has key 10 alone
//!   settles the notes: must have 11 alone
//! ```

use super::building::{create_index, is_exact, is_found_by_all, rows};
use super::*;
use crate::sync::{Fault, check, with_fault};
use shuttle::thread;

const SCHEDULES: usize = 150;

/// Runs a transaction, which may lose to a rival.
fn run(core: &Arc<Core>, work: fn(&mut Transaction) -> crate::Result<()>, commits: bool) {
    let mut tx = core.begin().unwrap();
    let done = work(&mut tx).and_then(|()| match commits {
        true => tx.commit().map(drop),
        false => Ok(()),
    });
    if let Err(error) = done {
        assert!(["40001", "23505"].contains(&error.sqlstate()), "{error}");
    }
}

fn model() {
    let core = rows(&[(1, 10), (2, 20), (3, 30)]);
    // Garbage of before.
    run(&core, |tx| update(tx, 3, 31).map(drop), true);
    let works: [fn(&Arc<Core>); 4] = [
        |core| {
            run(core, |tx| create_index(tx, "t_v", false).map(drop), true);
            is_found_by_all(&mut core.begin().unwrap());
        },
        |core| {
            run(core, |tx| update(tx, 1, 11).map(drop), true);
            run(core, |tx| update(tx, 1, 10).map(drop), false);
        },
        |core| {
            run(core, |tx| insert(tx, 4, 40).map(drop), false);
            run(core, |tx| insert(tx, 5, 50).map(drop), true);
            run(core, |tx| delete(tx, 2).map(drop), true);
        },
        |core| {
            core.collect_garbage();
        },
    ];
    let spawn = |work: fn(&Arc<Core>)| {
        let core = Arc::clone(&core);
        thread::spawn(move || work(&core))
    };
    for task in works.map(spawn) {
        task.join().unwrap();
    }
    assert_eq!(is_exact(&core), [(1, 11), (3, 31), (5, 50)]);
}

/// Of two rows that take one key, and an index by which they must not, two come to be.
fn unique() {
    let core = rows(&[(1, 10), (2, 20), (3, 30)]);
    let works: [fn(&mut Transaction) -> crate::Result<()>; 3] = [
        |tx| create_index(tx, "u", true).map(drop),
        |tx| update(tx, 1, 40).map(drop),
        |tx| update(tx, 2, 40).map(drop),
    ];
    let spawn = |work| {
        let core = Arc::clone(&core);
        thread::spawn(move || run(&core, work, true))
    };
    for task in works.map(spawn) {
        task.join().unwrap();
    }
    let rows = is_exact(&core);
    let is_made = t(&core.begin().unwrap()).indexes.len() == 2;
    let is_unique = rows.iter().filter(|(_, v)| *v == 40).count() < 2;
    assert!(
        !is_made || is_unique,
        "two rows of a unique index have a key"
    );
}

#[test]
fn an_index_made_while_rows_change_has_every_key_and_no_other() {
    check(SCHEDULES, model);
}

#[test]
fn a_unique_index_made_while_keys_are_taken_is_unique() {
    check(SCHEDULES, unique);
}

#[test]
#[should_panic = "by t_v"]
fn the_model_notices_an_index_that_is_listed_late() {
    with_fault(Fault::GatheredBeforeListed, || {
        check(400 * SCHEDULES, model)
    });
}

#[test]
#[should_panic = "two rows of a unique index"]
fn the_model_notices_that_repeated_keys_are_not_looked_for() {
    with_fault(Fault::RepeatedNotSought, || check(400 * SCHEDULES, unique));
}

#[test]
#[should_panic = "entries of t_v"]
fn the_model_notices_a_key_that_stays() {
    with_fault(Fault::NotedKeyStays, || check(400 * SCHEDULES, model));
}
