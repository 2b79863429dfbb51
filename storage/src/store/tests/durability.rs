//! Each transaction has its level; the log's order makes one promise of them.

use crate::disk::{Fault, SimDisk};
use crate::error::{Error, Result};
use crate::ids::Lsn;
use crate::store::testing::{commit, contents, create_table, failing, model, open, put};
use crate::store::{Durability, Store};
use crate::transaction::TransactionOptions;

/// As [`commit`], without waiting.
fn commit_buffered(store: &Store, key: i64) -> Result<Lsn> {
    let mut transaction = store.begin_with(TransactionOptions {
        durability: Some(Durability::Buffered),
        ..TransactionOptions::default()
    })?;
    put(&mut transaction, key, Some("buffered"))?;
    let committed = transaction.commit()?;
    Ok(committed.lsn.expect("it was logged"))
}

fn keys(disk: &SimDisk) -> Vec<i64> {
    let (store, _) = open(disk.crashed()).expect("recovery");
    contents(&store).into_keys().collect()
}

#[test]
fn a_buffered_commit_is_lost_or_not_but_never_one_before_it() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    let first = commit_buffered(&store, 1).unwrap();
    let second = commit_buffered(&store, 2).unwrap();
    let log = store.durability_status().log.unwrap();
    assert_eq!((log.transactions_at_risk(), log.committed.1), (2, second));
    assert!(log.oldest.is_some());
    assert_eq!(keys(&medium), [0; 0]);
    // Whoever asks for the first may get more, never less.
    store.wait_durable(first).unwrap();
    assert!(keys(&medium).starts_with(&[1]));
    // A commit that waits is behind those that did not.
    commit_buffered(&store, 3).unwrap();
    let mut waits = store.begin().unwrap();
    put(&mut waits, 4, Some("sync")).unwrap();
    waits.commit().unwrap();
    assert_eq!(keys(&medium), [1, 2, 3, 4]);
    let log = store.durability_status().log.unwrap();
    assert_eq!((log.transactions_at_risk(), log.bytes_at_risk()), (0, 0));
    assert_eq!(log.oldest, None);
    // So is closing.
    commit_buffered(&store, 5).unwrap();
    store.close().unwrap();
    assert_eq!(keys(&medium), [1, 2, 3, 4, 5]);
}

#[test]
fn a_reader_who_wants_it_durable_waits_for_the_commits_of_others() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    commit_buffered(&store, 1).unwrap();
    let reader = store.begin().unwrap();
    commit_buffered(&store, 2).unwrap();
    store.wait_shown(reader.snapshot()).unwrap();
    assert!(keys(&medium).contains(&1), "what was shown stays");
}

/// After each operation in turn the medium fails. What was durable is said to be so for ever, what was not
/// is never said to be, and the status tells what is lost.
#[test]
fn after_a_failure_nobody_is_told_that_a_lost_commit_is_durable() {
    for at in 0.. {
        let disk = failing(at, Fault::PowerLoss);
        let Ok((store, _)) = open(disk.clone()) else {
            continue;
        };
        if create_table(&store).is_err() {
            continue;
        }
        let mut told = 0;
        let mut lost = false;
        for key in 1..=3 {
            let Ok(lsn) = commit_buffered(&store, key) else {
                assert!(lost, "refused because the log has failed");
                break;
            };
            match store.wait_durable(lsn) {
                Ok(()) => told = key,
                Err(Error::OutcomeUnknown { lsn: of, .. }) => {
                    lost = true;
                    assert_eq!(of, lsn);
                    let log = store.durability_status().log.unwrap();
                    assert_eq!(log.condition.name(), "failed");
                    assert_eq!(log.transactions_at_risk(), 1);
                    assert!(log.oldest.is_some());
                    assert!(store.wait_shown(log.committed.0).is_err());
                    store.wait_durable(log.durable.1).expect("this one is");
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(keys(&disk).len() >= usize::try_from(told).unwrap());
        if !disk.has_failed() {
            assert_eq!(told, 3);
            return;
        }
    }
}

#[test]
fn who_waits_beyond_the_end_of_the_log_is_refused() {
    let (store, _) = open(SimDisk::new()).unwrap();
    create_table(&store).unwrap();
    commit(&store, 0).unwrap();
    assert_eq!(contents(&store), model(1));
    let end = store.log_end();
    store.wait_durable(end).unwrap();
    let beyond = store.wait_durable(Lsn(end.0 + 1)).unwrap_err();
    assert!(matches!(beyond, Error::LimitExceeded { .. }), "{beyond}");
}
