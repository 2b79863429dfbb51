//! The power fails, or the process is killed, at every operation on the medium in turn.

use crate::checkpoint::image;
use crate::disk::{Disk, Fault, SimDisk};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::testing::{
    commit, contents, create_table, failing, leftovers, model, open, prefix_of, rewrite,
};
use crate::wal::segment::{self, SEGMENT_HEADER_LEN};
use std::io::ErrorKind;

const COMMITS: i64 = 5;

/// Runs the story on a disk until that dies; returns how many commits were acknowledged, none
/// where not even the table was.
fn story(disk: &SimDisk) -> (Option<i64>, Result<()>) {
    let mut acknowledged = None;
    let mut run = || -> Result<()> {
        let (store, _) = open(disk.clone())?;
        create_table(&store)?;
        acknowledged = Some(0);
        for n in 0..COMMITS {
            if n % 2 == 1 {
                store.checkpoint()?;
            }
            commit(&store, n)?;
            acknowledged = Some(n + 1);
            if n % 2 == 0 {
                rewrite(&store)?;
            }
        }
        store.close()
    };
    let result = run();
    (acknowledged, result)
}

/// Opens what is left: every acknowledged commit must be there, and at most the one on its way.
fn check(disk: &SimDisk, acknowledged: Option<i64>) -> i64 {
    let (store, _) = open(disk.clone()).expect("recovery after a crash");
    let most = acknowledged.unwrap_or(0) + 1;
    let found = prefix_of(&contents(&store), most);
    assert!(
        found >= acknowledged.unwrap_or(0),
        "an acknowledged commit is gone"
    );
    if acknowledged.is_some() {
        assert!(store.catalog().table("t").is_some(), "the table is gone");
    }
    found
}

/// Calls `test` with what is left after a crash at each operation of the story.
fn at_every_operation(mut test: impl FnMut(u64, &SimDisk, Option<i64>)) {
    for operations in 0.. {
        assert!(operations < 1000, "the story ends");
        let disk = failing(operations, Fault::PowerLoss);
        let (acknowledged, result) = story(&disk);
        for left in leftovers(&disk) {
            test(operations, &left, acknowledged);
        }
        if !disk.has_failed() {
            result.expect("the whole story");
            return;
        }
    }
}

/// A sync fails: the system drops what it should have written, and says so once. Whoever opens the database
/// then, without a reboot, reads it still; what he commits behind it must not hang in the air when the power
/// fails.
#[test]
fn what_is_built_on_a_failed_sync_stays() {
    for at in 0.. {
        let disk = SimDisk::new();
        let (store, _) = open(disk.clone()).expect("a store");
        create_table(&store).expect("a table");
        disk.fail(at, Fault::Once(ErrorKind::Other));
        let story = || -> Result<()> {
            commit(&store, 0)?;
            store.checkpoint()?;
            commit(&store, 1)?;
            commit(&store, 2)
        };
        let told = story();
        let all = told.is_ok();
        drop(store);
        disk.mend();
        let (store, _) = open(disk.clone()).expect("a store");
        let found = prefix_of(&contents(&store), 3);
        commit(&store, found).expect("a commit");
        let left = disk.crashed();
        drop(store);
        let (store, _) = open(left).expect("after the power failure");
        assert_eq!(contents(&store), model(found + 1), "at {at}");
        if all {
            return;
        }
    }
}

/// The process dies, and the next one finds what the system had, synced or not. What it commits stays also
/// if the power fails then.
#[test]
fn what_is_built_on_what_a_dead_process_left_stays() {
    at_every_operation(|operations, left, acknowledged| {
        // To close a store would make names durable.
        let (store, _) = open(left.clone()).expect("a store");
        let found = prefix_of(&contents(&store), acknowledged.unwrap_or(0) + 1);
        if store.catalog().table("t").is_none() {
            create_table(&store).expect("a table");
        }
        commit(&store, found).expect("a commit");
        let after = left.crashed();
        drop(store);
        assert_eq!(check(&after, Some(found + 1)), found + 1, "at {operations}");
    });
}

#[test]
fn no_crash_loses_an_acknowledged_commit() {
    at_every_operation(|operations, medium, acknowledged| {
        let found = check(medium, acknowledged);
        // Opening twice is the same as once, and the database works on.
        let (store, _) = open(medium.clone()).expect("again");
        assert_eq!(
            contents(&store),
            model(found),
            "after {operations} operations"
        );
        if store.catalog().table("t").is_none() {
            create_table(&store).expect("a new beginning");
        }
        commit(&store, found).expect("a commit");
        store.checkpoint().expect("a checkpoint");
        commit(&store, found + 1).expect("a commit");
        drop(store);
        let (store, report) = open(medium.clone()).expect("and again");
        assert!(report.clean);
        assert_eq!(
            contents(&store),
            model(found + 2),
            "after {operations} operations"
        );
    });
}

#[test]
fn a_crash_in_recovery_is_recovered_from() {
    at_every_operation(|operations, medium, acknowledged| {
        if operations % 3 != 0 {
            return;
        }
        for more in 0.. {
            let disk = medium.crashed();
            disk.fail(more, Fault::PowerLoss);
            let opened = open(disk.clone()).is_ok();
            check(&disk.crashed(), acknowledged);
            if opened && !disk.has_failed() {
                break;
            }
        }
    });
}

#[test]
fn a_single_failure_loses_nothing_that_was_acknowledged() {
    // The medium fails once, at any operation, and is well again; the process lives on. A failed
    // checkpoint may be tried again. A failed log takes nothing more until the database is reopened.
    for operations in 0.. {
        let disk = failing(operations, Fault::Once(ErrorKind::Other));
        let (mut acknowledged, mut outcome_unknown) = (0, false);
        if let Ok((store, _)) = open(disk.clone()) {
            if create_table(&store).is_ok() {
                acknowledged = run_on(&store, &mut outcome_unknown);
            }
            let closed = store.close();
            assert!(
                !outcome_unknown || closed.is_err(),
                "a failed log does not close well"
            );
        }
        for left in leftovers(&disk) {
            let (store, _) = open(left).expect("recovery");
            let found = prefix_of(&contents(&store), acknowledged + 1);
            assert!(found >= acknowledged, "lost after {operations} operations");
        }
        if !disk.has_failed() {
            assert_eq!(acknowledged, COMMITS);
            return;
        }
    }
}

/// Commits as long as the log takes them, with checkpoints in between that may fail.
fn run_on(store: &Store, outcome_unknown: &mut bool) -> i64 {
    for n in 0..COMMITS {
        if let Err(error) = commit(store, n) {
            *outcome_unknown = matches!(error, Error::OutcomeUnknown { .. });
            let refused = matches!(error, Error::LogFailed { .. });
            assert!(*outcome_unknown || refused, "{error}");
            let refused = store.check_writable().expect_err("refused");
            assert!(matches!(refused, Error::LogFailed { .. }), "{refused}");
            commit(store, n).expect_err("refused");
            assert!(
                store.checkpoint().is_err(),
                "not what nobody knows to be durable"
            );
            return n;
        }
        if store.checkpoint().is_err() && store.checkpoint().is_err() {
            // It was the log that failed, while it was rotated: all that it had is durable.
            return n + 1;
        }
    }
    COMMITS
}

/// The manifest cannot be installed, and the background tries again and again. If each try left
/// its image behind, they would fill the medium until the log itself finds no room.
#[test]
fn a_checkpoint_that_fails_leaves_no_image_for_the_next_to_pile_upon() {
    for at in 0.. {
        let disk = SimDisk::new();
        let (store, _) = open(disk.clone()).expect("a store");
        create_table(&store).expect("a table");
        commit(&store, 0).expect("a commit");
        store.checkpoint().expect("a checkpoint");
        store.close().expect("closed");

        disk.fail(at, Fault::Once(ErrorKind::StorageFull));
        let Ok((store, _)) = open(disk.clone()) else {
            continue;
        };
        let failed = store.checkpoint().is_err();
        // A log that has failed takes no checkpoint until it is opened again.
        if failed && store.checkpoint().is_ok() {
            // A number left out is that of an image that was there when the last one was written.
            let images = disk.list("data").expect("a folder");
            let numbers = images.iter().filter_map(|name| image::number_of(name));
            let numbers: Vec<u64> = numbers.collect();
            let without_gaps: Vec<u64> = (1..).take(numbers.len()).collect();
            assert_eq!(numbers, without_gaps, "operation {at}: {images:?}");
        }
        if !disk.has_failed() {
            assert!(!failed, "nothing was in its way");
            break;
        }
    }
}

/// Room ahead of the last frame, as a crash leaves it, is no part of the log; what stands in it is looked at all
/// the same.
#[test]
fn room_ahead_is_neither_a_torn_tail_nor_damage() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).expect("a store");
    create_table(&store).expect("a table");
    for n in 0..COMMITS {
        commit(&store, n).expect("a commit");
    }
    let path = segment::path(1);
    let length = |disk: &SimDisk| disk.open(&path).unwrap().len().unwrap();
    let end = SEGMENT_HEADER_LEN as u64 + store.log_end().0;
    let crashed = medium.crashed();
    assert!(length(&crashed) > end + 100, "there is room");
    let (reopened, report) = open(crashed.clone()).expect("recovery");
    assert_eq!(contents(&reopened), model(COMMITS));
    assert_eq!((report.bytes_dropped, report.clean), (0, false));
    assert_eq!(length(&crashed), end, "given back until it is needed");

    // Garbage in it is what a torn batch may leave: dropped, and told as long as it is.
    let torn = medium.crashed();
    let write = |disk: &SimDisk, at, bytes| disk.open(&path).unwrap().write_at(at, bytes).unwrap();
    write(&torn, end + 7, b"garbage");
    let (reopened, report) = open(torn).expect("recovery");
    assert_eq!(contents(&reopened), model(COMMITS));
    assert_eq!(report.bytes_dropped, 14);

    // Zeros instead of the last frames are damage where something knows of them; more zeros are not.
    store.close().expect("closed");
    assert_eq!(length(&medium), end, "closing gives the room back");
    let zeroed = medium.crashed();
    write(&zeroed, end - 200, &[0; 1000]);
    assert!(matches!(open(zeroed), Err(Error::Corrupt { .. })));
    let longer = medium.crashed();
    write(&longer, end, &[0; 1000]);
    let (_, report) = open(longer).expect("room behind what was closed");
    assert!(report.clean);
}
