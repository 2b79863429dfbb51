//! Time does not go back when a database is opened again, whatever somebody has done to the wall clock meanwhile.

use crate::disk::{Disk, SimDisk};
use crate::format::PROLOGUE_LEN;
use crate::recovery::{Newer, RecoveryReport};
use crate::store::testing::{commit, create_table, options, read};
use crate::store::{Store, StoreOptions};
use crate::time::{ManualTime, micros};
use crate::wal::closing::{CLOSING_MARK, CLOSING_MARK_LEN};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HOUR: Duration = Duration::from_secs(3600);

fn noon() -> SystemTime {
    UNIX_EPOCH + HOUR * 24 * 20_000 + HOUR * 12
}

fn at(wall: SystemTime) -> StoreOptions {
    StoreOptions {
        time: Some(Arc::new(ManualTime::at(wall))),
        ..options()
    }
}

fn open_at(disk: &SimDisk, wall: SystemTime) -> (Store, RecoveryReport) {
    Store::open_on(Arc::new(disk.clone()), at(wall)).expect("a store")
}

#[test]
fn what_was_told_is_past_when_the_database_is_opened_again() {
    let disk = SimDisk::new();
    let (store, _) = open_at(&disk, noon());
    assert_eq!(store.time().tell(), micros(noon()));
    store.close().unwrap();
    // Half a minute is caught up by itself.
    let (store, report) = open_at(&disk, noon() - HOUR / 120);
    assert_eq!((store.time().now(), report.ahead), (micros(noon()), None));
    store.close().unwrap();
    let (store, report) = open_at(&disk, noon() - HOUR);
    assert_eq!(store.time().now(), micros(noon()));
    assert_eq!(report.ahead, Some(HOUR));
    assert_eq!(store.time().ahead(), Some(HOUR));
    store.close().unwrap();
    let (store, report) = open_at(&disk, noon() + HOUR);
    assert_eq!(store.time().now(), micros(noon() + HOUR));
    assert_eq!(report.ahead, None);
}

#[test]
fn after_a_crash_it_is_as_late_as_the_last_commit_says() {
    let disk = SimDisk::new();
    let (store, _) = open_at(&disk, noon());
    create_table(&store).unwrap();
    let before = store.log_end();
    commit(&store, 0).unwrap();
    let plain = store.log_end().0 - before.0;
    store.wait_logged().unwrap();
    let (store, report) = open_at(&disk.crashed(), noon() - HOUR);
    assert_eq!(report.ahead, None, "nobody had asked how late it was");
    drop(store);

    let disk = SimDisk::new();
    let (store, _) = open_at(&disk, noon());
    store.time().tell();
    create_table(&store).unwrap();
    let before = store.log_end();
    commit(&store, 0).unwrap();
    assert!(store.log_end().0 - before.0 > plain);
    store.wait_logged().unwrap();
    let (store, report) = open_at(&disk.crashed(), noon() - HOUR);
    assert_eq!(report.ahead, Some(HOUR));
    assert_eq!(store.time().now(), micros(noon()));
}

#[test]
fn a_checkpoint_keeps_the_time_of_the_log_that_it_replaces() {
    let disk = SimDisk::new();
    let (store, _) = open_at(&disk, noon());
    store.time().tell();
    create_table(&store).unwrap();
    store.checkpoint().unwrap();
    let crashed = disk.crashed();
    assert_eq!(open_at(&crashed, noon() - HOUR).1.ahead, Some(HOUR));
}

#[test]
fn to_restore_a_checkpoint_does_not_turn_the_clock_back() {
    let disk = SimDisk::new();
    let time = ManualTime::at(noon());
    let options = StoreOptions {
        time: Some(Arc::new(time.clone())),
        ..options()
    };
    let (store, _) = Store::open_on(Arc::new(disk.clone()), options).unwrap();
    create_table(&store).unwrap();
    let old = store.checkpoint().unwrap();
    time.advance(HOUR);
    store.time().tell();
    commit(&store, 0).unwrap();
    store.checkpoint().unwrap();
    store.close().unwrap();
    drop(store);
    Store::restore_on(Arc::new(disk.clone()), old.number, at(noon()), Newer::Keep).unwrap();
    let (store, _) = open_at(&disk, noon());
    assert_eq!(store.time().now(), micros(noon() + HOUR));
}

#[test]
fn a_wall_clock_that_is_accepted_stays_so() {
    let disk = SimDisk::new();
    let (store, _) = open_at(&disk, noon());
    store.time().tell();
    create_table(&store).unwrap();
    store.close().unwrap();
    drop(store);
    let (right, accept_clock) = (noon() - HOUR, true);
    let options = StoreOptions {
        accept_clock,
        ..at(right)
    };
    let (store, report) = Store::open_on(Arc::new(disk.clone()), options).unwrap();
    assert_eq!(report.ahead, None);
    assert_eq!(store.time().now(), micros(right));
    // Also if it never comes to be closed: the mark of the last time is of before.
    let (store, report) = open_at(&disk.crashed(), right);
    assert_eq!(report.ahead, None);
    assert_eq!(store.time().now(), micros(right));
}

#[test]
fn a_closing_mark_of_an_older_build_says_no_time() {
    let disk = SimDisk::new();
    let (store, _) = open_at(&disk, noon());
    store.time().tell();
    store.close().unwrap();
    drop(store);
    let mut mark = read(&disk, CLOSING_MARK);
    assert_eq!(mark.len(), CLOSING_MARK_LEN);
    mark.truncate(PROLOGUE_LEN + 12);
    mark.extend(crc32fast::hash(&mark).to_le_bytes());
    let file = disk.create(CLOSING_MARK).unwrap();
    file.write_at(0, &mark).unwrap();
    file.sync().unwrap();
    let (store, report) = open_at(&disk, noon() - HOUR);
    assert!(report.clean && report.ahead.is_none());
    assert_eq!(store.time().now(), micros(noon() - HOUR));
}
