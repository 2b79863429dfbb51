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
