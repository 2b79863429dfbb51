//! The medium has no room, or a sync fails: each cell of the table in `wal::condition`, and every operation at
//! which it can happen.

use crate::catalog::{ColumnDef, TableDef};
use crate::disk::{Disk, Fault, Image, SimDisk};
use crate::error::{Error, Result};
use crate::ids::{ColumnId, Lsn};
use crate::pool::Owner;
use crate::store::testing::{commit, contents, create_table, model, open, prefix_of, put};
use crate::store::{Durability, Store};
use crate::transaction::TransactionOptions;
use crate::value::DataType;
use std::io::ErrorKind;
use std::sync::Arc;

/// A store with a table on a simulated disk.
fn store() -> (SimDisk, Store) {
    let disk = SimDisk::new();
    let (store, _) = open(disk.clone()).expect("a store");
    create_table(&store).expect("a table");
    (disk, store)
}

/// Has the disk take no byte more.
fn fill(disk: &SimDisk) {
    disk.set_capacity(Some(disk.used()));
}

/// Commits from number `from` on, until one finds no room: how many were acknowledged. That one is queued.
fn commit_until_full(store: &Store, from: i64) -> i64 {
    for n in from.. {
        match commit(store, n) {
            Ok(()) => {}
            Err(Error::OutcomeUnknown { is_queued, .. }) => {
                assert!(is_queued);
                return n;
            }
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("the disk is full some day")
}

/// As [`commit`], without waiting.
fn commit_buffered(store: &Store, key: i64, text: &str) -> Result<Lsn> {
    let mut transaction = store.begin_with(TransactionOptions {
        durability: Some(Durability::Buffered),
        ..TransactionOptions::default()
    })?;
    put(&mut transaction, key, Some(text))?;
    Ok(transaction.commit()?.lsn.expect("it was logged"))
}

fn condition(store: &Store) -> &'static str {
    let log = store.durability_status().log.expect("it is on a disk");
    log.condition.name()
}

/// The store that opens after a power loss now.
fn after_crash(disk: &SimDisk) -> Store {
    let left = disk.crashed();
    open(left).expect("recovery").0
}

#[test]
fn a_full_disk_lets_read_what_is_durable_and_goes_on_when_there_is_room() {
    let (disk, store) = store();
    commit(&store, 0).unwrap();
    fill(&disk);
    let before = store.begin().unwrap();
    let acknowledged = commit_until_full(&store, 1);
    assert_eq!(condition(&store), "full");
    // Begin and read.
    for _ in 0..2 {
        assert_eq!(contents(&store), model(acknowledged));
    }
    store.wait_shown(before.snapshot()).expect("it is durable");
    let shown = store.begin().unwrap();
    store.wait_shown(shown.snapshot()).expect("it is durable");
    // Write.
    let refused = store.check_writable().unwrap_err();
    let Error::DiskFull { path, wanted } = &refused else {
        panic!("{refused}");
    };
    assert!(path.starts_with("wal") && *wanted > 40, "{refused:?}");
    assert_eq!(refused.sqlstate(), "53100");
    let mut transaction = store.begin().unwrap();
    put(&mut transaction, 1000, Some("refused")).unwrap();
    assert!(matches!(transaction.commit(), Err(Error::DiskFull { .. })));
    let buffered = commit_buffered(&store, 1000, "refused");
    assert!(matches!(buffered, Err(Error::DiskFull { .. })));
    // Checkpoint, and waiting for what is queued.
    assert!(matches!(store.checkpoint(), Err(Error::DiskFull { .. })));
    let log = store.durability_status().log.unwrap();
    assert_eq!(log.transactions_at_risk(), 1);
    let unknown = store.wait_durable(log.committed.1).unwrap_err();
    assert!(matches!(
        unknown,
        Error::OutcomeUnknown {
            is_queued: true,
            ..
        }
    ));
    store.wait_durable(log.durable.1).expect("this is");
    let crashed = after_crash(&disk);
    assert_eq!(contents(&crashed), model(acknowledged));
    // There is room: what was queued comes first, and nothing that was refused.
    disk.set_capacity(None);
    commit(&store, acknowledged + 1).unwrap();
    assert_eq!(condition(&store), "open");
    let all = model(acknowledged + 2);
    assert_eq!(contents(&store), all);
    assert_eq!(contents(&after_crash(&disk)), all);
    let mut entries = store.ledger().entries().into_iter();
    let held = entries.find(|entry| entry.owner == Owner::Log);
    assert_eq!(held.map_or(0, |held| held.bytes), 0, "no frame is kept");
    store.checkpoint().unwrap();
    store.close().unwrap();
}

#[test]
fn what_nobody_waits_for_is_not_shown_and_no_more_is_taken() {
    let (disk, store) = store();
    commit_buffered(&store, 1, "durable").unwrap();
    store.wait_logged().unwrap();
    fill(&disk);
    let long: String = (0..3000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_string())
        .collect();
    // It has returned, and is at risk.
    let lsn = commit_buffered(&store, 2, &long).unwrap();
    let seen = store.begin().unwrap();
    assert!(matches!(store.wait_logged(), Err(Error::DiskFull { .. })));
    assert_eq!(contents(&store).into_keys().collect::<Vec<_>>(), [1]);
    let refused = commit_buffered(&store, 3, "more").unwrap_err();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    // What began before it was known shows it, and must not.
    let stale = store.check_shown(seen.snapshot()).unwrap_err();
    assert_eq!(stale.sqlstate(), "40001");
    let again = store.begin().unwrap();
    store.check_shown(again.snapshot()).unwrap();
    drop((seen, again));
    disk.set_capacity(None);
    store.wait_durable(lsn).unwrap();
    assert_eq!(contents(&store).into_keys().collect::<Vec<_>>(), [1, 2]);
}

/// The catalog belongs to what is shown, and old rows stay until what replaced them is durable.
#[test]
fn structure_that_is_not_durable_is_not_shown() {
    let (disk, store) = store();
    commit(&store, 0).unwrap();
    fill(&disk);
    let acknowledged = commit_until_full(&store, 1);
    disk.set_capacity(None);
    store.check_writable().unwrap();
    let all = acknowledged + 1;
    fill(&disk);
    // The table goes, and another one comes, at `buffered`; then the disk is found full.
    let change = |drops: bool| -> Result<()> {
        let mut transaction = store.begin_with(TransactionOptions {
            durability: Some(Durability::Buffered),
            ..TransactionOptions::default()
        })?;
        match drops {
            true => {
                let table = transaction.catalog().table("t").expect("it is there");
                let id = table.def.id;
                transaction.drop_table(id)?;
            }
            false => {
                let columns = (0..400).map(|n| {
                    let name = format!("a column with a long name, number {n}");
                    ColumnDef::new(ColumnId(n), &name, DataType::BigInt)
                });
                transaction.create_table(TableDef::new("u", columns.collect()))?;
            }
        }
        transaction.commit().map(drop)
    };
    change(true).unwrap();
    change(false).unwrap();
    assert!(store.catalog().table("t").is_none());
    assert!(store.wait_logged().is_err());
    let catalog = store.catalog();
    // How much of it has found room is the disk's affair.
    assert!(catalog.table("u").is_none());
    if catalog.table("t").is_some() {
        assert_eq!(contents(&store), model(all));
    }
    disk.set_capacity(None);
    store.wait_logged().unwrap();
    assert!(store.catalog().table("t").is_none() && store.catalog().table("u").is_some());
}

#[test]
fn after_a_failed_sync_what_is_durable_can_be_read() {
    let (disk, store) = store();
    commit(&store, 0).unwrap();
    let seen = store.begin().unwrap();
    disk.fail(1, Fault::Once(ErrorKind::StorageFull));
    let unknown = commit(&store, 1).unwrap_err();
    let Error::OutcomeUnknown { is_queued, .. } = unknown else {
        panic!("{unknown}");
    };
    assert!(!is_queued, "a failed sync is final, whatever its reason");
    assert_eq!(condition(&store), "failed");
    assert_eq!(contents(&store), model(1));
    store.wait_shown(seen.snapshot()).unwrap();
    assert!(matches!(
        store.check_writable(),
        Err(Error::LogFailed { .. })
    ));
    assert!(matches!(
        commit_buffered(&store, 7, "no"),
        Err(Error::LogFailed { .. })
    ));
    assert!(matches!(store.checkpoint(), Err(Error::LogFailed { .. })));
    // Reading goes on, from a copy too.
    let copy = SimDisk::new();
    store.backup_on(&copy).unwrap();
    assert_eq!(contents(&open(copy).unwrap().0), model(1));
    assert!(matches!(store.close(), Err(Error::LogFailed { .. })));
    drop((seen, store));
    let (store, _) = open(disk.clone()).unwrap();
    commit(&store, prefix_of(&contents(&store), 2)).unwrap();
}

#[test]
fn closing_on_a_full_disk_says_what_is_lost() {
    let (disk, store) = store();
    commit(&store, 0).unwrap();
    fill(&disk);
    let acknowledged = commit_until_full(&store, 1);
    assert!(matches!(store.close(), Err(Error::DiskFull { .. })));
    let before = disk.image();
    // The directory is somebody else's now: room or no room, nothing more is written.
    disk.set_capacity(None);
    let log = store.durability_status().log.unwrap();
    assert!(store.wait_durable(log.committed.1).is_err());
    drop(store);
    assert_eq!(disk.image(), before);
    let (store, _) = open(disk).unwrap();
    assert_eq!(contents(&store), model(acknowledged));
}

/// A directory that was not closed, with a torn tail and a segment that was being made.
fn unclean() -> (Image, i64) {
    let (disk, store) = store();
    for n in 0..3 {
        commit(&store, n).unwrap();
    }
    let mut image = disk.image();
    let log = image.files.get_mut("wal/0000000001.log").unwrap();
    let log = Arc::make_mut(log);
    let end = log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    log[end + 7..end + 14].copy_from_slice(b"garbage");
    image
        .files
        .insert("wal/0000000002.log".to_owned(), Arc::new(vec![7; 20]));
    (image, 3)
}

#[test]
fn a_full_disk_is_opened_for_reading() {
    let (image, commits) = unclean();
    for at in 0..40 {
        let disk = SimDisk::with(&image);
        disk.fail(at, Fault::Onwards(ErrorKind::StorageFull));
        let (store, report) = open(disk.clone()).expect("it is opened");
        assert_eq!(contents(&store), model(commits), "at {at}");
        let Some(reason) = report.full else {
            assert!(at > 4, "all was written before operation {at}");
            return;
        };
        assert!(reason.contains("no space left"), "{reason}");
        assert_eq!(condition(&store), "full");
        assert!(matches!(
            store.check_writable(),
            Err(Error::DiskFull { .. })
        ));
        assert!(matches!(
            commit(&store, commits),
            Err(Error::DiskFull { .. })
        ));
        let another = SimDisk::with(&disk.image());
        drop(store);
        // Whoever opens it next finds the same, full or not.
        let (store, _) = open(another).expect("opened again");
        assert_eq!(contents(&store), model(commits), "at {at}");

        // There is room while it is open.
        let disk = SimDisk::with(&image);
        disk.fail(at, Fault::Onwards(ErrorKind::StorageFull));
        let (store, _) = open(disk.clone()).unwrap();
        disk.mend();
        commit(&store, commits).expect("there is room");
        assert_eq!(condition(&store), "open");
        assert_eq!(contents(&after_crash(&disk)), model(commits + 1));
        store.close().unwrap();
        let (store, report) = open(disk).unwrap();
        assert!(report.clean && report.full.is_none());
        assert_eq!(contents(&store), model(commits + 1));
    }
    panic!("some operation is the last one of opening");
}

/// Nothing was asked for that had to be written.
#[test]
fn who_only_reads_closes_a_full_disk_without_an_error() {
    let (image, commits) = unclean();
    for at in [0, 3, 1000] {
        let disk = SimDisk::with(&image);
        disk.fail(at, Fault::Onwards(ErrorKind::StorageFull));
        let (store, _) = open(disk.clone()).unwrap();
        if at == 1000 {
            disk.fail(0, Fault::Onwards(ErrorKind::StorageFull));
        }
        assert_eq!(contents(&store), model(commits));
        store.close().unwrap();
        drop(store);
        disk.mend();
        let (store, _) = open(disk).unwrap();
        assert_eq!(contents(&store), model(commits));
    }
}

/// One commit after the other, each tried again where it was certainly not taken, with a checkpoint now and then.
/// Returns how many were acknowledged or queued.
fn go_on_in_spite(store: &Store, disk: &SimDisk, commits: i64) -> Result<i64> {
    let mut acknowledged = 0;
    for n in 0..commits {
        let mut tried = commit(store, n);
        if matches!(tried, Err(Error::DiskFull { .. })) {
            tried = commit(store, n);
        }
        match tried {
            Ok(()) => acknowledged = n + 1,
            Err(Error::OutcomeUnknown {
                is_queued: true, ..
            }) => {}
            Err(other) => return Err(other),
        }
        let crashed = after_crash(disk);
        let found = prefix_of(&contents(&crashed), n + 1);
        assert!(found >= acknowledged, "{found} of {acknowledged}");
        if n % 2 == 1
            && let Err(error @ Error::LogFailed { .. }) = store.checkpoint()
        {
            return Err(error);
        }
    }
    Ok(commits)
}

/// The disk is full at one operation, wherever that is, and takes a part of a write or nothing of it. Unless that was a
/// sync, everything goes on.
#[test]
fn a_disk_that_is_full_for_a_moment_loses_nothing() {
    const COMMITS: i64 = 6;
    for fault in [Fault::Once, Fault::InPart] {
        let mut went_on = 0;
        for at in 0.. {
            let disk = SimDisk::new();
            let options = crate::store::StoreOptions {
                segment_bytes: Some(600),
                ..crate::store::testing::options()
            };
            let (store, _) = Store::open_on(Arc::new(disk.clone()), options).unwrap();
            create_table(&store).unwrap();
            disk.fail(at, fault(ErrorKind::StorageFull));
            match go_on_in_spite(&store, &disk, COMMITS) {
                Ok(all) => {
                    went_on += 1;
                    store.check_writable().unwrap();
                    assert_eq!(contents(&store), model(all), "at {at}");
                    assert_eq!(contents(&after_crash(&disk)), model(all), "at {at}");
                    let (next, _) = open(disk.restart()).unwrap();
                    assert_eq!(contents(&next), model(all), "at {at}");
                }
                Err(error) => assert!(
                    matches!(
                        error,
                        Error::LogFailed { .. }
                            | Error::OutcomeUnknown {
                                is_queued: false,
                                ..
                            }
                            | Error::Conflict(_)
                    ),
                    "at {at}: {error}"
                ),
            }
            if !disk.has_failed() {
                break;
            }
        }
        assert!(went_on > 30, "{went_on}");
    }
}

/// A checkpoint that finds no room for a segment goes on in the one that there is.
#[test]
fn a_checkpoint_needs_no_new_segment() {
    let mut without = 0;
    for at in 0..10 {
        let (disk, store) = store();
        commit(&store, 0).unwrap();
        disk.fail(at, Fault::InPart(ErrorKind::StorageFull));
        let written = store.checkpoint();
        disk.mend();
        let segments = disk.list("wal").unwrap();
        if written.is_err() || segments.len() > 1 || segments[0] != "0000000001.log" {
            continue;
        }
        without += 1;
        commit(&store, 1).unwrap();
        assert_eq!(contents(&after_crash(&disk)), model(2), "at {at}");
        store.checkpoint().unwrap();
        assert_eq!(contents(&after_crash(&disk)), model(2), "at {at}");
    }
    assert_eq!(without, 2, "its creation, and its header");
}
