//! Rows that are held: locked, shared.

use super::serial::{alone, holding, look_at, refused};
use super::*;
use crate::transaction::Columns;

/// One statement: `SELECT .. FOR UPDATE` of one row.
pub(super) fn lock(tx: &mut Transaction, k: i32) -> crate::Result<bool> {
    tx.begin_command();
    let row = find(tx, k);
    let Some(row) = row else { return Ok(false) };
    tx.lock(&t(tx), row)
}

#[test]
fn a_locked_row_is_its_owners_alone() {
    let core = holding(&[(1, 10), (2, 20)]);
    let mut alice = core.begin().unwrap();
    assert!(lock(&mut alice, 1).unwrap());
    assert!(lock(&mut alice, 1).unwrap(), "again");
    assert!(!alice.has_writes());
    let mut bob = core.begin_with(SNAPSHOT).unwrap();
    assert_eq!(get(&mut bob, 1), Some(10), "readers do not care");
    assert!(update(&mut bob, 1, 11).is_err());
    assert!(lock(&mut bob, 1).is_err());
    assert!(lock(&mut bob, 2).unwrap());
    assert!(update(&mut alice, 1, 12).unwrap());
    assert!(
        lock(&mut alice, 1).unwrap(),
        "what it has changed is its own"
    );
    assert!(delete(&mut alice, 1).unwrap());
    assert!(!lock(&mut alice, 1).unwrap(), "gone");
    alice.commit().unwrap();
    assert_eq!(
        bob.commit().unwrap().timestamp,
        None,
        "locks are no changes"
    );
    assert_eq!(all(&mut core.begin().unwrap()), [(2, 20)]);
    alone(&core, |tx| assert!(update(tx, 2, 21).unwrap()));
    core.collect_garbage();
    assert_eq!(all(&mut core.begin().unwrap()), [(2, 21)]);
}

#[test]
fn a_lock_changes_nothing_for_those_who_have_read() {
    let core = holding(&[(1, 10), (2, 20)]);
    let mut tx = core.begin().unwrap();
    all(&mut tx);
    alone(&core, |rival| {
        assert!(lock(rival, 1).unwrap());
        assert!(lock(rival, 2).unwrap());
    });
    insert(&mut tx, 3, 30).unwrap();
    tx.commit().unwrap();
    // Committed, too: with a change beside it.
    let mut tx = core.begin().unwrap();
    look_at(&mut tx, 1, Columns::ALL);
    alone(&core, |rival| {
        assert!(lock(rival, 1).unwrap());
        update(rival, 2, 21).unwrap();
    });
    insert(&mut tx, 4, 40).unwrap();
    tx.commit().unwrap();
    while core.collect_garbage() > 0 {}
    let rows = [(1, 10), (2, 21), (3, 30), (4, 40)];
    assert_eq!(all(&mut core.begin().unwrap()), rows);
    alone(&core, |tx| assert!(update(tx, 1, 11).unwrap()));
}

#[test]
fn who_shares_a_row_meets_nobody_but_who_changes_it() {
    let core = holding(&[(1, 10), (2, 20)]);
    let share = |tx: &mut Transaction, k: i32, columns: Columns| {
        tx.begin_command();
        let row = find(tx, k).unwrap();
        tx.share(&t(tx), row, columns);
    };
    let mut alice = core.begin_with(SNAPSHOT).unwrap();
    let mut bob = core.begin_with(SNAPSHOT).unwrap();
    let mut carol = core.begin_with(SNAPSHOT).unwrap();
    share(&mut alice, 1, Columns::of([K]));
    share(&mut bob, 1, Columns::of([K]));
    share(&mut carol, 1, Columns::of([K]));
    insert(&mut alice, 3, 1).unwrap();
    insert(&mut bob, 4, 1).unwrap();
    insert(&mut carol, 5, 1).unwrap();
    alice.commit().unwrap();
    alone(&core, |rival| assert!(update(rival, 1, 11).unwrap()));
    bob.commit()
        .expect("the column that it relies on is the same");
    alone(&core, |rival| assert!(delete(rival, 1).unwrap()));
    refused(carol);
}

#[test]
fn who_relies_on_a_key_that_no_row_has_is_told() {
    // As the deletion of a parent relies on there being no children.
    let core = holding(&[(1, 10)]);
    let mut tx = core.begin_with(SNAPSHOT).unwrap();
    tx.begin_command();
    let table = t(&tx);
    tx.share_key(&table, &table.indexes[1], &[ValueRef::Integer(77)]);
    delete(&mut tx, 1).unwrap();
    alone(&core, |rival| drop(insert(rival, 2, 77)));
    assert_eq!(refused(tx), "key (v)=(77) of table \"t\"");
}

/// Workers who take any row that nobody else has: whom they passed over is no business of theirs.
#[test]
fn who_takes_any_row_relies_on_those_that_he_took() {
    let core = holding(&[(1, 10), (2, 20), (3, 30)]);
    let rows = {
        let mut tx = core.begin().unwrap();
        tx.begin_command();
        [1, 2, 3].map(|k| find(&tx, k).unwrap())
    };
    for shares in [false, true] {
        let take = |tx: &mut Transaction, row: RowId| {
            tx.begin_command();
            match shares {
                true => tx.share_if_free(&t(tx), row, Columns::ALL),
                false => tx.lock_if_free(&t(tx), row).unwrap(),
            }
        };
        let mut alice = core.begin().unwrap();
        let mut bob = core.begin().unwrap();
        alice.begin_command();
        assert!(alice.lock_if_free(&t(&alice), rows[0]).unwrap());
        assert!(!take(&mut bob, rows[0]));
        let changed = 21 + i32::from(shares);
        alone(&core, |carol| drop(update(carol, 2, changed)));
        assert!(!take(&mut bob, rows[1]), "changed since");
        assert!(take(&mut bob, rows[2]));
        update(&mut alice, 1, 11).unwrap();
        alice.commit().unwrap();
        insert(&mut bob, 4, 40).unwrap();
        bob.commit().unwrap();
        alone(&core, |tx| assert!(delete(tx, 4).unwrap()));
    }
}

#[test]
fn who_shares_a_row_that_a_rival_has_is_told_at_once() {
    let core = holding(&[(1, 10), (2, 20), (3, 30)]);
    let share = |tx: &mut Transaction, k: i32, columns: Columns| {
        tx.begin_command();
        let row = find(tx, k).unwrap();
        tx.share_seen(&t(tx), row, columns)
    };
    let key = Columns::of([K]);
    let mut bob = core.begin_with(SNAPSHOT).unwrap();
    let mut carol = core.begin_with(SNAPSHOT).unwrap();
    let mut alice = core.begin_with(SNAPSHOT).unwrap();
    assert!(lock(&mut alice, 1).unwrap());
    assert!(update(&mut alice, 2, 21).unwrap());
    share(&mut bob, 1, key).expect("a lock changes no key");
    share(&mut bob, 2, key).expect("nor does the update");
    let told = |tx: &mut Transaction, k| match share(tx, k, Columns::ALL).unwrap_err() {
        crate::Error::Conflict(conflict) => (conflict.rival, conflict.has_committed),
        other => panic!("{other}"),
    };
    assert_eq!(told(&mut carol, 1), (alice.id(), false));
    assert_eq!(told(&mut carol, 2), (alice.id(), false));
    let id = alice.id();
    alice.commit().unwrap();
    assert_eq!(told(&mut carol, 2), (id, true));
    share(&mut carol, 1, Columns::ALL).expect("it is as it was");
    let mut dave = core.begin_with(SNAPSHOT).unwrap();
    assert!(delete(&mut dave, 1).unwrap());
    share(&mut bob, 1, key).expect_err("a deleted row has no key");
    drop(dave);
    share(&mut bob, 1, key).expect("it was not deleted");
    assert!(update(&mut bob, 3, 31).unwrap());
    share(&mut bob, 3, Columns::ALL).expect("one's own change");
}

/// Each takes what nobody else has, and changes the other one: one of them has read what was not so.
#[test]
fn what_was_taken_for_being_free_was_read() {
    let core = holding(&[(1, 10), (2, 20)]);
    let mut alice = core.begin().unwrap();
    alice.begin_command();
    let row = find(&alice, 1).unwrap();
    // As a scan that leaves out what others have: it records nothing.
    let mut carol = core.begin().unwrap();
    carol.begin_command();
    assert!(carol.share_if_free(&t(&carol), row, Columns::of([K])));
    alone(&core, |bob| {
        assert_eq!(get(bob, 2), Some(20));
        assert!(update(bob, 1, 0).unwrap());
    });
    assert!(update(&mut carol, 2, 0).unwrap());
    refused(carol);
}

/// Rivals come and go, and come again.
#[test]
fn who_can_only_lose_hears_of_him_who_has_won() {
    let core = holding(&[(1, 10)]);
    let mut late = core.begin_with(SNAPSHOT).unwrap();
    let mut winner = core.begin().unwrap();
    let won = winner.id();
    assert!(update(&mut winner, 1, 11).unwrap());
    winner.commit().unwrap();
    let mut next = core.begin().unwrap();
    assert!(lock(&mut next, 1).unwrap());
    for _ in 0..2 {
        late.begin_command();
        let row = find(&late, 1).unwrap();
        let shared = late.share_seen(&t(&late), row, Columns::ALL);
        for result in [
            update(&mut late, 1, 12).map(drop),
            lock(&mut late, 1).map(drop),
            shared,
        ] {
            match result.unwrap_err() {
                crate::Error::Conflict(conflict) => {
                    assert_eq!((conflict.rival, conflict.has_committed), (won, true));
                }
                other => panic!("{other}"),
            }
        }
        update(&mut next, 1, 13).unwrap();
    }
}

#[test]
fn what_could_not_be_shared_is_not_relied_on() {
    let core = holding(&[(1, 10)]);
    let mut alice = core.begin().unwrap();
    assert!(update(&mut alice, 1, 11).unwrap());
    let mut bob = core.begin_with(SNAPSHOT).unwrap();
    bob.begin_command();
    let row = find(&bob, 1).unwrap();
    bob.share_seen(&t(&bob), row, Columns::ALL).unwrap_err();
    alice.commit().unwrap();
    insert(&mut bob, 2, 20).unwrap();
    bob.commit().unwrap();
}

/// A statement that is run again and again has read what its last run has.
#[test]
fn reads_of_which_nothing_was_shown_can_be_taken_back() {
    let core = holding(&[(1, 10), (2, 20)]);
    for relies in [false, true] {
        let mut tx = core.begin().unwrap();
        if relies {
            all(&mut tx);
        }
        for _ in 0..3 {
            let before = tx.read_mark();
            all(&mut tx);
            look_at(&mut tx, 1, Columns::ALL);
            tx.forget_reads(before);
        }
        alone(&core, |rival| {
            assert!(update(rival, 1, 30 + i32::from(relies)).unwrap());
        });
        insert(&mut tx, 3, 40).unwrap();
        match relies {
            true => drop(refused(tx)),
            false => drop(tx.commit().unwrap()),
        }
        alone(&core, |tx| drop(delete(tx, 3)));
    }
}
