//! Two writers meet.

use super::*;
use crate::error::{Error, Rule};

#[test]
fn the_second_writer_of_a_row_loses() {
    // No lost update, whether the first has committed or not.
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    let mut alice = core.begin().unwrap();
    let mut bob = core.begin().unwrap();
    assert!(update(&mut alice, 1, 11).unwrap());
    let conflict = update(&mut bob, 1, 15).unwrap_err();
    let id = alice.id();
    let told = |error: &Error, state: &str| {
        let expected = "could not serialize access due to concurrent update";
        assert_eq!(error.to_string(), expected);
        let Error::Conflict(conflict) = error else {
            panic!("a conflict, not {error:?}")
        };
        assert_eq!((conflict.rule, conflict.rival), (Rule::Write, id));
        let detail =
            format!("Row k=1 of table \"t\" was changed by transaction {id}, which {state}.");
        assert_eq!(conflict.detail(), detail);
    };
    told(&conflict, "is still running");
    assert!(conflict.is_retryable());
    alice.commit().unwrap();
    told(&update(&mut bob, 1, 15).unwrap_err(), "has committed");
    assert!(matches!(delete(&mut bob, 1), Err(Error::Conflict(_))));
    drop(bob);
    let mut carol = core.begin().unwrap();
    assert!(update(&mut carol, 1, 16).unwrap());
    carol.commit().unwrap();
    assert_eq!(all(&mut core.begin().unwrap()), [(1, 16)]);
}

#[test]
fn after_a_rollback_the_row_is_free() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    let mut bob = core.begin().unwrap();
    for round in 0..3 {
        let mut alice = core.begin().unwrap();
        assert!(update(&mut alice, 1, 11).unwrap());
        if round > 0 {
            assert!(delete(&mut alice, 1).unwrap());
        }
        assert!(delete(&mut bob, 1).is_err());
        alice.rollback();
    }
    assert!(delete(&mut bob, 1).unwrap());
    bob.commit().unwrap();
    assert_eq!(all(&mut core.begin().unwrap()), []);
}

#[test]
fn a_deleted_row_conflicts_with_an_update() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    let mut alice = core.begin().unwrap();
    let mut bob = core.begin().unwrap();
    assert!(delete(&mut alice, 1).unwrap());
    assert!(matches!(update(&mut bob, 1, 2), Err(Error::Conflict(_))));
    alice.commit().unwrap();
    core.collect_garbage();
    assert!(matches!(update(&mut bob, 1, 2), Err(Error::Conflict(_))));
    assert_eq!(get(&mut bob, 1), Some(10));
}
