//! Unique keys.

use super::*;
use crate::error::Error;

#[test]
fn a_key_that_exists_is_refused_by_name() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    let twice = insert(&mut tx, 1, 11).unwrap_err();
    match &twice {
        Error::UniqueViolation {
            constraint, detail, ..
        } => {
            assert_eq!(constraint, "t_pkey");
            assert_eq!(detail, "Key (k)=(1) already exists.");
        }
        other => panic!("a unique violation, not {other}"),
    }
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    assert_eq!(insert(&mut tx, 1, 11).unwrap_err().sqlstate(), "23505");
    insert(&mut tx, 2, 20).unwrap();
    let collides = change(&mut tx, 2, &[(K, ValueRef::Integer(1))]);
    assert_eq!(collides.unwrap_err().sqlstate(), "23505");
    assert_eq!(all(&mut tx), [(1, 10), (2, 20)]);
}

#[test]
fn an_uncommitted_rival_is_a_conflict_and_not_a_duplicate() {
    let core = with_table();
    let mut alice = core.begin().unwrap();
    let mut bob = core.begin().unwrap();
    insert(&mut alice, 1, 10).unwrap();
    assert_eq!(insert(&mut bob, 1, 11).unwrap_err().sqlstate(), "40001");
    alice.commit().unwrap();
    // Committed after Bob's snapshot: he must not decide on what he sees.
    assert_eq!(insert(&mut bob, 1, 11).unwrap_err().sqlstate(), "40001");
    assert_eq!(
        insert(&mut core.begin().unwrap(), 1, 1)
            .unwrap_err()
            .sqlstate(),
        "23505"
    );
    let mut carol = core.begin().unwrap();
    let mut dave = core.begin().unwrap();
    assert!(delete(&mut carol, 1).unwrap());
    assert_eq!(insert(&mut dave, 1, 12).unwrap_err().sqlstate(), "40001");
    carol.commit().unwrap();
    assert_eq!(insert(&mut dave, 1, 12).unwrap_err().sqlstate(), "40001");
    insert(&mut core.begin().unwrap(), 1, 12).unwrap();
    // The key that a rival gives up and the key that it takes are both disputed.
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 5, 0).unwrap();
    tx.commit().unwrap();
    let mut erin = core.begin().unwrap();
    change(&mut erin, 5, &[(K, ValueRef::Integer(6))]).unwrap();
    let mut frank = core.begin().unwrap();
    assert_eq!(insert(&mut frank, 5, 0).unwrap_err().sqlstate(), "40001");
    assert_eq!(insert(&mut frank, 6, 0).unwrap_err().sqlstate(), "40001");
    erin.rollback();
    assert_eq!(insert(&mut frank, 5, 0).unwrap_err().sqlstate(), "23505");
    insert(&mut frank, 6, 0).unwrap();
}

#[test]
fn a_key_may_be_deleted_and_inserted_again_in_one_transaction() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    for round in 0..5 {
        assert!(delete(&mut tx, 1).unwrap());
        insert(&mut tx, 1, 20 + round).unwrap();
        assert!(insert(&mut tx, 1, 0).is_err());
    }
    // Under a savepoint, and back.
    let mark = tx.begin_command();
    assert!(delete(&mut tx, 1).unwrap());
    insert(&mut tx, 1, 99).unwrap();
    tx.rollback_to(mark);
    assert_eq!(all(&mut tx), [(1, 24)]);
    tx.commit().unwrap();
    core.collect_garbage();
    let mut tx = core.begin().unwrap();
    assert_eq!(all(&mut tx), [(1, 24)]);
    assert_eq!(
        t(&tx).indexes[0].index.len(),
        1,
        "entries of dead rows are gone"
    );
}

#[test]
fn a_key_moves_away_and_comes_back() {
    // k: 1 -> 2 -> 1, with a reader of every moment, and garbage collected in between.
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    let mut readers = vec![(core.begin().unwrap(), 1)];
    for k in [2, 1, 2, 3, 1] {
        let mut tx = core.begin().unwrap();
        let old = readers.last().map_or(1, |(_, k)| *k);
        assert!(change(&mut tx, old, &[(K, ValueRef::Integer(k))]).unwrap());
        tx.commit().unwrap();
        core.collect_garbage();
        readers.push((core.begin().unwrap(), k));
        for (reader, k) in &mut readers {
            assert_eq!(all(reader), [(*k, 10)]);
        }
    }
    readers.clear();
    core.collect_garbage();
    let tx = core.begin().unwrap();
    assert_eq!(t(&tx).indexes[0].index.len(), 1);
}

#[test]
fn nulls_never_collide() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    for _ in 0..3 {
        tx.insert(&t(&tx), &[ValueRef::Null, ValueRef::Null])
            .unwrap();
    }
    tx.begin_command();
    let table = t(&tx);
    let none = tx
        .view()
        .lookup(&table, &table.indexes[0], &[ValueRef::Null]);
    assert!(none.unwrap().is_empty(), "nothing equals NULL");
    tx.commit().unwrap();
}
