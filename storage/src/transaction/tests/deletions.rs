//! Deletions of many rows: what they take, what they leave, and what a savepoint takes back of them.

use super::compact::close;
use super::*;
use crate::pool::Owner;
use crate::write_set::WriteKind;

const ROWS: i32 = 40_000;

fn filled() -> Arc<Core> {
    let core = core();
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    for k in 0..ROWS {
        insert(&mut tx, k, k).unwrap();
    }
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    core
}

/// Deletes the rows with the keys that are wanted, by one command. Returns how many they were.
fn delete_all(tx: &mut Transaction, wanted: impl Fn(i32) -> bool) -> usize {
    tx.begin_command();
    let keys = all(tx).into_iter().map(|(k, _)| k);
    let rows: Vec<RowId> = keys
        .filter(|k| wanted(*k))
        .map(|k| find(tx, k).unwrap())
        .collect();
    let table = t(tx);
    for row in &rows {
        assert!(tx.delete(&table, *row).unwrap());
    }
    rows.len()
}

fn held(core: &Core, owner: Owner) -> u64 {
    core.ledger().entries()[owner as usize].bytes
}

/// A write set of deletions is a set of slots for each block, and what is deleted takes nothing beside: in hot rows,
/// in frozen ones, and over versions.
#[test]
fn a_deletion_of_all_rows_takes_a_few_bytes_a_block() {
    for frozen in [false, true] {
        let core = filled();
        if frozen {
            close(&core);
            core.compact(None).unwrap();
        }
        let before = (held(&core, Owner::Table), held(&core, Owner::Version));
        let mut tx = core.begin().unwrap();
        assert_eq!(delete_all(&mut tx, |_| true), ROWS as usize);
        assert_eq!(tx.set.len(), ROWS as usize);
        assert!(tx.set.entries().len() < 10, "an entry a block");
        assert!(held(&core, Owner::Transaction) < 100_000);
        tx.commit().unwrap();
        let after = (held(&core, Owner::Table), held(&core, Owner::Version));
        assert_eq!(after, before, "frozen: {frozen}");
        assert!(all(&mut core.begin().unwrap()).is_empty());
        assert_eq!(core.collect_garbage(), 0);
    }
    let core = filled();
    let old = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    for k in 0..ROWS {
        assert!(change(&mut tx, k, &[(V, ValueRef::Integer(-k))]).unwrap());
    }
    tx.commit().unwrap();
    let before = held(&core, Owner::Version);
    let mut tx = core.begin().unwrap();
    assert_eq!(delete_all(&mut tx, |_| true), ROWS as usize);
    tx.commit().unwrap();
    assert_eq!(
        held(&core, Owner::Version),
        before,
        "no record for a deletion"
    );
    drop(old);
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(held(&core, Owner::Version), 0);
}

#[test]
fn a_savepoint_takes_back_what_was_deleted_since_and_no_more() {
    for frozen in [false, true] {
        let core = filled();
        if frozen {
            close(&core);
            core.compact(None).unwrap();
        }
        let mut tx = core.begin().unwrap();
        delete_all(&mut tx, |k| k % 4 == 0);
        let savepoint = tx.begin_command();
        let entries = tx.set.entries().len();
        delete_all(&mut tx, |k| k % 4 == 1);
        assert!(
            tx.set.entries().len() > entries,
            "no entry goes on beyond a mark"
        );
        tx.rollback_to(savepoint);
        let deletions = tx
            .set
            .iter()
            .filter(|write| write.kind == WriteKind::Delete);
        assert_eq!(deletions.count(), ROWS as usize / 4);
        let left: Vec<i32> = (0..ROWS).filter(|k| k % 4 != 0).collect();
        let keys = |tx: &mut Transaction| all(tx).into_iter().map(|(k, _)| k).collect::<Vec<_>>();
        tx.begin_command();
        assert_eq!(keys(&mut tx), left, "frozen: {frozen}");
        tx.commit().unwrap();
        assert_eq!(keys(&mut core.begin().unwrap()), left);
        assert_eq!(core.collect_garbage(), 0);
        assert_eq!(keys(&mut core.begin().unwrap()), left);
    }
}

/// A frozen block from which row after row is deleted by commits of their own, half of them collected in between, beside
/// a transaction that takes its own deletions back: each snapshot sees what was there when it began.
#[test]
fn deletions_of_many_commands_in_a_frozen_block_are_told_apart() {
    let core = filled();
    close(&core);
    core.compact(None).unwrap();
    let mut expected: Vec<i32> = (0..ROWS).collect();
    let mut snapshots = Vec::new();
    for round in 0..6 {
        snapshots.push((core.begin().unwrap(), expected.clone()));
        let mut undone = core.begin().unwrap();
        delete_all(&mut undone, |k| k % 10 == 9);
        let mut tx = core.begin().unwrap();
        delete_all(&mut tx, |k| k % 10 == round);
        tx.commit().unwrap();
        undone.rollback();
        expected.retain(|k| k % 10 != round);
        if round % 2 == 1 {
            // Once nobody wants what was there before.
            snapshots.clear();
            assert_eq!(core.collect_garbage(), 0);
        }
        let keys = |tx: &mut Transaction| all(tx).into_iter().map(|(k, _)| k).collect::<Vec<_>>();
        assert_eq!(keys(&mut core.begin().unwrap()), expected);
        for (tx, expected) in &mut snapshots {
            assert_eq!(&keys(tx), expected);
        }
    }
}

/// While the keys of deleted rows are taken out of an index, the nodes that go are freed.
#[test]
fn nodes_do_not_wait_for_the_end_of_a_large_collection() {
    let bytes = |core: &Arc<Core>| t(&core.begin().unwrap()).indexes[0].index.bytes();
    // Readers of other tests keep nodes, too, but not each time.
    let is_freed = (0..100).any(|_| {
        let core = filled();
        let before = bytes(&core);
        let mut tx = core.begin().unwrap();
        delete_all(&mut tx, |_| true);
        tx.commit().unwrap();
        core.collect_own(&mut core.collector(), ROWS as usize);
        bytes(&core) < before / 2
    });
    assert!(is_freed);
}
