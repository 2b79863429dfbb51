//! Stories of sequences and the log: no number that a durable commit used comes again.

use crate::catalog::{LOG_AHEAD, SequenceDef, SequenceEntry, SequencePosition};
use crate::disk::{Fault, SimDisk};
use crate::error::Result;
use crate::store::Store;
use crate::store::testing::{commit, contents, create_table, failing, leftovers, open, put};
use crate::transaction::Transaction;
use std::sync::Arc;

fn create(store: &Store, name: &str) -> Result<()> {
    let mut tx = store.begin()?;
    tx.create_sequence(SequenceDef::new(name))?;
    tx.commit().map(drop)
}

fn entry(tx: &Transaction) -> Arc<SequenceEntry> {
    Arc::clone(tx.catalog().sequence("s").expect("the sequence"))
}

fn take(tx: &Transaction) -> Result<i64> {
    tx.core().next_value(&entry(tx))
}

fn taken(store: &Store) -> i64 {
    take(&store.begin().unwrap()).unwrap()
}

/// Commits a row whose key is the next number.
fn insert(store: &Store) -> Result<i64> {
    let mut tx = store.begin()?;
    let number = take(&tx)?;
    put(&mut tx, number, Some("row"))?;
    tx.commit()?;
    Ok(number)
}

/// What is left when the power fails: only what was synced.
fn after_crash(store: Store, disk: &SimDisk) -> Store {
    let left = disk.crashed();
    drop(store);
    open(left).expect("recovery after a crash").0
}

#[test]
fn a_crash_loses_numbers_but_gives_none_away_twice() {
    let disk = SimDisk::new();
    let store = open(disk.clone()).unwrap().0;
    create_table(&store).unwrap();
    create(&store, "s").unwrap();
    for expected in 1..=3 {
        assert_eq!(insert(&store).unwrap(), expected);
    }
    let store = after_crash(store, &disk);
    // What was logged ahead is skipped.
    assert_eq!(taken(&store), 2 + i64::from(LOG_AHEAD));
}

#[test]
fn a_closed_store_goes_on_behind_what_was_logged_and_again_after_a_checkpoint() {
    let disk = SimDisk::new();
    let store = open(disk.clone()).unwrap().0;
    create(&store, "s").unwrap();
    assert_eq!(taken(&store), 1);
    // The frame that tells of it is in the log that the checkpoint drops.
    store.checkpoint().unwrap();
    assert_eq!(taken(&store), 2);
    store.checkpoint().unwrap();
    store.checkpoint().unwrap();
    drop(store);
    let store = open(disk.clone()).unwrap().0;
    let next = 2 + i64::from(LOG_AHEAD);
    assert_eq!(taken(&store), next);
    drop(store);
    let (store, report) = open(disk).unwrap();
    assert!(report.clean);
    assert_eq!(taken(&store), next + 1 + i64::from(LOG_AHEAD));
}

#[test]
fn numbers_between_a_checkpoint_and_a_crash_are_not_given_away_again() {
    let disk = SimDisk::new();
    let store = open(disk.clone()).unwrap().0;
    create_table(&store).unwrap();
    create(&store, "s").unwrap();
    let mut last = 0;
    for round in 0..5 {
        for _ in 0..LOG_AHEAD / 2 + round {
            last = insert(&store).unwrap();
        }
        store.checkpoint().unwrap();
    }
    last = last.max(insert(&store).unwrap());
    let store = after_crash(store, &disk);
    assert!(taken(&store) > last);
}

#[test]
fn what_is_done_to_a_sequence_survives_and_what_was_rolled_back_does_not() {
    let disk = SimDisk::new();
    let store = open(disk.clone()).unwrap().0;
    create(&store, "s").unwrap();
    create(&store, "gone").unwrap();
    for _ in 0..40 {
        taken(&store);
    }
    // A restart that is rolled back: its numbers are nobody's, and not logged.
    let mut undone = store.begin().unwrap();
    let def = entry(&undone).def.clone();
    undone
        .alter_sequence(def.clone(), Some(def.beginning()))
        .unwrap();
    assert_eq!(take(&undone).unwrap(), 1);
    drop(undone);
    let mut tx = store.begin().unwrap();
    let gone = tx.catalog().sequence("gone").unwrap().def.id;
    tx.drop_sequence(gone).unwrap();
    tx.commit().unwrap();
    let disk = disk.crashed();
    drop(store);
    let store = open(disk.clone()).unwrap().0;
    assert!(store.catalog().sequence("gone").is_none());
    assert!(taken(&store) > 40);

    // One that is committed, with numbers taken before and after.
    let mut tx = store.begin().unwrap();
    let mut def = entry(&tx).def.clone();
    (def.name, def.rule.increment) = ("s".to_owned(), -1);
    (def.rule.min, def.rule.max, def.start) = (-1000, -1, -1);
    tx.alter_sequence(def.clone(), Some(def.beginning()))
        .unwrap();
    assert_eq!(take(&tx).unwrap(), -1);
    tx.commit().unwrap();
    assert_eq!(taken(&store), -2);
    // New ids are not those of what went.
    create(&store, "new").unwrap();
    assert!(store.catalog().sequence("new").unwrap().def.id > gone);
    drop(store);
    let store = open(disk).unwrap().0;
    assert_eq!(store.catalog().sequence("s").unwrap().def, def);
    assert!(taken(&store) < -2);
}

/// Each step of one commit is logged with where the sequence stood after it, within its limits then.
#[test]
fn limits_that_change_within_a_commit_are_recovered() {
    let disk = SimDisk::new();
    let store = open(disk.clone()).unwrap().0;
    let mut tx = store.begin().unwrap();
    let mut def = SequenceDef::new("s");
    def.rule.max = 10;
    def.id = tx.create_sequence(def.clone()).unwrap();
    assert_eq!(take(&tx).unwrap(), 1);
    def.rule.max = 100;
    let position = SequencePosition {
        last: 50,
        is_called: true,
    };
    tx.alter_sequence(def.clone(), Some(position)).unwrap();
    assert_eq!(take(&tx).unwrap(), 51);
    tx.commit().unwrap();
    // Far less than what was logged ahead.
    let mut tx = store.begin().unwrap();
    def.rule.max = 54;
    tx.alter_sequence(def.clone(), None).unwrap();
    assert_eq!(take(&tx).unwrap(), 52);
    tx.commit().unwrap();
    let left = disk.crashed();
    drop(store);
    let store = open(left.clone()).expect("recovery").0;
    assert_eq!(store.catalog().sequence("s").unwrap().def, def);
    store.checkpoint().unwrap();
    drop(store);
    let store = open(left).expect("from the checkpoint").0;
    assert!(take(&store.begin().unwrap()).is_err(), "54 was logged");
}

#[test]
fn a_sequence_that_was_set_stands_there_after_a_crash() {
    let disk = SimDisk::new();
    let store = open(disk.clone()).unwrap().0;
    create_table(&store).unwrap();
    create(&store, "s").unwrap();
    let tx = store.begin().unwrap();
    let position = SequencePosition {
        last: 700,
        is_called: false,
    };
    tx.core().set_value(&entry(&tx), position).unwrap();
    drop(tx);
    // Durable with the next commit, like every number.
    commit(&store, 0).unwrap();
    let store = after_crash(store, &disk);
    assert_eq!(taken(&store), 700);
}

#[test]
fn memory_logs_nothing_and_says_the_same() {
    let store = Store::in_memory(crate::store::testing::options()).unwrap();
    create(&store, "s").unwrap();
    assert!((1..=100).all(|expected| taken(&store) == expected));
    assert_eq!(store.log_end().0, 0);
}

/// Takes and commits numbers, with checkpoints between.
fn story(disk: &SimDisk) -> Result<()> {
    let store = open(disk.clone())?.0;
    create_table(&store)?;
    create(&store, "s")?;
    for n in 0..2 * LOG_AHEAD {
        if n % 20 == 10 {
            store.checkpoint()?;
        }
        insert(&store)?;
    }
    store.close()
}

/// The power fails at every operation on the medium in turn, and all, none or the beginnings of what was
/// not synced is left: no number that a commit used that is left is given away again.
#[test]
fn wherever_the_power_fails_no_number_comes_twice() {
    for at in 0.. {
        let disk = failing(at, Fault::PowerLoss);
        let result = story(&disk);
        for left in leftovers(&disk) {
            let store = open(left).expect("recovery after a crash").0;
            if store.catalog().sequence("s").is_some() {
                let last = contents(&store).into_keys().max();
                let next = taken(&store);
                assert!(last.is_none_or(|last| next > last), "{next} after {last:?}");
            }
        }
        if !disk.has_failed() {
            result.expect("nothing failed");
            return;
        }
    }
}
