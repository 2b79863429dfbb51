//! Two writers meet.

use super::*;
use crate::error::Error;

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
    let expected = format!("write conflict on t(k=1) with transaction {}", alice.id());
    assert_eq!(conflict.to_string(), expected);
    assert!(conflict.is_retryable());
    alice.commit().unwrap();
    let again = update(&mut bob, 1, 15).unwrap_err();
    assert_eq!(again.to_string(), expected);
    assert!(matches!(delete(&mut bob, 1), Err(Error::Conflict { .. })));
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
    assert!(matches!(
        update(&mut bob, 1, 2),
        Err(Error::Conflict { .. })
    ));
    alice.commit().unwrap();
    core.collect_garbage();
    assert!(matches!(
        update(&mut bob, 1, 2),
        Err(Error::Conflict { .. })
    ));
    assert_eq!(get(&mut bob, 1), Some(10));
}
