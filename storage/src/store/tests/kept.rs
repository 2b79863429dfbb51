//! Stories of checkpoints that are kept, and of histories that part.

use crate::disk::{Disk, Fault, SimDisk};
use crate::error::{Error, Result};
use crate::store::testing::{
    commit, contents, create_table, leftovers, model, open, options, prefix_of, read,
};
use crate::store::{CheckpointReason, Newer, RestoreReport, Store};
use std::io::ErrorKind;
use std::sync::Arc;

/// Checkpoints are as many as commits: number `n` is written after commit `n - 1`.
fn database(commits: i64) -> SimDisk {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).expect("a store");
    create_table(&store).expect("a table");
    for n in 0..commits {
        commit(&store, n).expect("a commit");
        let report = store.checkpoint().expect("a checkpoint");
        assert_eq!(report.number as i64, n + 1);
    }
    store.close().expect("closed");
    drop(store);
    medium.crashed()
}

fn restore(disk: impl Disk + 'static, number: u64, newer: Newer) -> Result<RestoreReport> {
    Store::restore_on(Arc::new(disk), number, options(), newer)
}

fn numbers(disk: &SimDisk) -> Vec<u64> {
    let list = crate::checkpoint::kept::list(disk).expect("a list");
    assert!(list.damaged.is_empty(), "{list:?}");
    list.checkpoints.iter().map(|one| one.number).collect()
}

/// How many commits are there.
fn commits(disk: &SimDisk) -> i64 {
    let (store, _) = open(disk.clone()).expect("a store");
    prefix_of(&contents(&store), 20)
}

fn put(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.create(path).expect("a file");
    file.write_at(0, bytes).expect("written");
    file.sync().expect("synced");
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    disk.sync_dir(folder).expect("synced");
}

/// Alice has made a mistake in commit 3. She goes back to what was before it, sees that the mistake is
/// gone, and changes her mind: nothing is lost.
#[test]
fn an_older_checkpoint_becomes_the_current_one_and_the_newer_ones_stay() {
    let disk = database(4);
    let store = open(disk.clone()).expect("a store").0;
    commit(&store, 4).expect("a commit after the last checkpoint");
    let list = store.checkpoints().expect("a list").checkpoints;
    drop(store);
    assert_eq!(numbers(&disk), [4, 3, 2]);
    assert!(list[0].is_current && !list[1].is_current);
    assert_eq!(list[1].rows, model(3).len() as u64);
    let reason = |at: usize| list[at].info.as_ref().map(|info| info.reason);
    assert_eq!(reason(0), Some(CheckpointReason::Command));

    let report = restore(disk.clone(), 3, Newer::Keep).expect("restored");
    assert_eq!((report.from, report.number, report.timeline), (3, 6, 2));
    assert_eq!(report.before, Some(5), "the last commit, too, is in one");
    assert_eq!(numbers(&disk), [6, 5, 4, 3, 2]);
    let (store, opened) = open(disk.clone()).expect("a store");
    assert!(opened.clean);
    assert_eq!(contents(&store), model(3));
    let list = store.checkpoints().expect("a list").checkpoints;
    let info = list[0].info.as_ref().expect("what is known of it");
    assert_eq!(info.restored_from, Some(3));
    drop(store);

    let report = restore(disk.clone(), 5, Newer::Keep).expect("restored");
    assert_eq!(
        (report.number, report.timeline, report.before),
        (7, 3, Some(6))
    );
    let store = open(disk.clone()).expect("a store").0;
    assert_eq!(contents(&store), model(5));
    // The next checkpoint forgets all but the two before it.
    commit(&store, 5).expect("a commit");
    store.checkpoint().expect("a checkpoint");
    assert_eq!(numbers(&disk), [8, 7, 6]);
    drop(store);
    assert_eq!(commits(&disk), 6);
    let report = restore(disk.clone(), 6, Newer::Keep).expect("restored");
    assert_eq!(report.timeline, 4);
    assert_eq!(commits(&disk), 3);
}

#[test]
fn what_is_not_there_is_not_restored() {
    let disk = database(3);
    let before = numbers(&disk);
    let error = restore(disk.clone(), 0, Newer::Keep).expect_err("forgotten");
    assert!(
        matches!(error, Error::UndefinedCheckpoint { number: 0 }),
        "{error}"
    );
    assert_eq!(error.sqlstate(), "42704");
    let error = restore(SimDisk::new(), 1, Newer::Keep).expect_err("nothing");
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    let open = open(disk.clone()).expect("a store").0;
    let error = restore(disk.clone(), 2, Newer::Keep).expect_err("open");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(open);
    assert_eq!(numbers(&disk), before);
    assert_eq!(commits(&disk), 3);
}

/// The image of the checkpoint has gone bad: what is current stays current.
#[test]
fn a_damaged_checkpoint_is_not_restored() {
    let disk = database(3);
    let images = disk.list("data").expect("a list");
    let path = format!("data/{}", images[0]);
    let mut bytes = read(&disk, &path);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    put(&disk, &path, &bytes);
    let error = restore(disk.clone(), 1, Newer::Keep).expect_err("damaged");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert_eq!(commits(&disk), 3);
}

/// The log after the newest checkpoint is damaged: nothing can be opened, but gone back to.
#[test]
fn what_is_damaged_is_abandoned_only_where_somebody_says_so() {
    let disk = database(3);
    let store = open(disk.clone()).expect("a store").0;
    commit(&store, 3).expect("a commit");
    store.close().expect("closed");
    drop(store);
    let segments = disk.list("wal").expect("a list");
    let path = format!("wal/{}", segments.last().expect("a segment"));
    let mut bytes = read(&disk, &path);
    bytes[70] ^= 1;
    put(&disk, &path, &bytes);
    for newer in [Newer::Keep, Newer::Abandon] {
        let restored = restore(disk.clone(), 3, newer);
        match newer {
            Newer::Keep => assert!(matches!(restored, Err(Error::Corrupt { .. }))),
            Newer::Abandon => assert_eq!(restored.expect("restored").before, None),
        }
    }
    assert_eq!(commits(&disk), 3);
    let store = open(disk.clone()).expect("a store").0;
    commit(&store, 3).expect("a commit");
    drop(store);
    assert_eq!(commits(&disk), 4);
}

/// Files of the history that was left come back in place of those of the new one.
#[test]
fn no_file_of_one_history_passes_for_one_of_another() {
    let disk = database(3);
    let old = disk.crashed();
    restore(disk.clone(), 2, Newer::Keep).expect("restored");
    let (store, _) = open(disk.clone()).expect("a store");
    commit(&store, 2).expect("a commit");
    store.close().expect("closed");
    drop(store);
    let last = |disk: &SimDisk| {
        let segments = disk.list("wal").expect("a list");
        format!("wal/{}", segments.last().expect("a segment"))
    };
    assert_ne!(last(&disk), last(&old), "segments are not used again");
    // The old current segment under the name of the new one.
    let mixed = disk.crashed();
    put(&mixed, &last(&disk), &read(&old, &last(&old)));
    let error = open(mixed).expect_err("another segment");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    // The old manifest, behind whose history there is now the new one's.
    let mixed = disk.crashed();
    put(&mixed, "MANIFEST", &read(&old, "MANIFEST"));
    let error = open(mixed).expect_err("frames of a later history");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    // The old closing mark bears no witness about the new history.
    let mixed = disk.crashed();
    put(&mixed, "CLOSED", &read(&old, "CLOSED"));
    let (store, report) = open(mixed).expect("a store");
    assert!(!report.clean);
    assert_eq!(contents(&store), model(3));
}

/// Every checkpoint that is listed can be restored, and is what it was.
fn check_all_kept(disk: &SimDisk) {
    for number in numbers(disk) {
        let disk = SimDisk::with(&disk.image());
        restore(disk.clone(), number, Newer::Keep).expect("restored");
        match number {
            0 => assert!(
                open(disk)
                    .expect("a store")
                    .0
                    .catalog()
                    .table("t")
                    .is_none()
            ),
            number => assert_eq!(commits(&disk), number as i64, "checkpoint {number}"),
        }
    }
}

#[test]
fn wherever_a_checkpoint_is_cut_short_all_that_are_listed_are_whole() {
    for at in 0.. {
        let disk = database(4);
        disk.fail(at, Fault::PowerLoss);
        let run = || -> Result<()> {
            let (store, _) = open(disk.clone())?;
            commit(&store, 4)?;
            store.checkpoint()?;
            store.close()
        };
        let ran = run();
        for left in leftovers(&disk) {
            assert!(numbers(&left).len() >= 3, "at {at}");
            check_all_kept(&left);
            assert!([4, 5].contains(&commits(&left)), "at {at}");
        }
        if !disk.has_failed() {
            ran.expect("nothing failed");
            return;
        }
    }
}

#[test]
fn wherever_a_restoring_is_cut_short_it_has_happened_or_not() {
    let before = database(4);
    let store = open(before.clone()).expect("a store").0;
    commit(&store, 4).expect("a commit");
    drop(store);
    let before = before.crashed();
    for at in 0.. {
        let disk = before.crashed();
        disk.fail(at, Fault::PowerLoss);
        let restored = restore(disk.clone(), 2, Newer::Keep).map(drop);
        for left in leftovers(&disk) {
            let found = commits(&left);
            assert!([2, 5].contains(&found), "{found} at {at}");
            assert!(restored.is_err() || found == 2, "at {at}");
            // It goes on from there, and can be done again.
            let store = open(left.clone()).expect("a store").0;
            commit(&store, found).expect("a commit");
            drop(store);
            assert_eq!(commits(&left), found + 1, "at {at}");
            restore(left.clone(), 3, Newer::Keep).expect("restored");
            assert_eq!(commits(&left), 3, "at {at}");
            let store = open(left.clone()).expect("a store").0;
            commit(&store, 3).expect("a commit");
            store.checkpoint().expect("a checkpoint");
            drop(store);
            assert_eq!(commits(&left), 4, "at {at}");
        }
        if !disk.has_failed() {
            restored.expect("nothing failed");
            return;
        }
    }
}

#[test]
fn a_crash_in_the_recovery_from_a_crash_in_a_restoring() {
    let before = database(3);
    for at in 0.. {
        let disk = before.crashed();
        disk.fail(at, Fault::PowerLoss);
        let restored = restore(disk.clone(), 2, Newer::Keep).is_ok();
        let left = disk.torn();
        for more in 0.. {
            let again = left.crashed();
            again.fail(more, Fault::PowerLoss);
            let opened = open(again.clone()).is_ok();
            let found = commits(&again.crashed());
            assert!([2, 3].contains(&found), "{found} at {at}, {more}");
            if opened && !again.has_failed() {
                break;
            }
        }
        if restored && !disk.has_failed() {
            return;
        }
    }
}

#[test]
fn a_single_failure_in_a_restoring_leaves_what_was_or_what_is_to_be() {
    let before = database(3);
    for at in 0.. {
        let disk = before.crashed();
        disk.fail(at, Fault::Once(ErrorKind::StorageFull));
        let restored = restore(disk.clone(), 2, Newer::Keep).is_ok();
        disk.mend();
        let found = commits(&disk);
        assert!([2, 3].contains(&found), "{found} at {at}");
        assert!(!restored || found == 2, "at {at}");
        restore(disk.clone(), 2, Newer::Keep).expect("on a disk that is well");
        assert_eq!(commits(&disk), 2);
        if !disk.has_failed() {
            assert!(restored, "nothing failed");
            return;
        }
    }
}

/// The process dies in the restoring, and whoever opens the database next finds all that it had done. He
/// commits; the power fails: it must not be the old manifest that is there then, behind which his log is
/// that of a later history.
#[test]
fn what_was_built_on_a_restoring_that_was_cut_short_stays() {
    for newer in [Newer::Keep, Newer::Abandon] {
        for at in 0.. {
            let disk = database(3);
            disk.fail(at, Fault::PowerLoss);
            let restored = restore(disk.clone(), 2, newer).is_ok();
            disk.mend();
            // To close a store would make names durable.
            let (store, _) = open(disk.clone()).expect("a store");
            let found = prefix_of(&contents(&store), 20);
            commit(&store, found).expect("a commit");
            let left = disk.crashed();
            drop(store);
            assert_eq!(commits(&left), found + 1, "at {at}");
            for number in numbers(&left) {
                restore(left.crashed(), number, Newer::Keep).expect("restored");
            }
            if restored && !disk.has_failed() {
                break;
            }
        }
    }
}

/// Bob abandons what is damaged, again and again, and each time the disk fails him. What was current stays
/// so, and in the end he gets through.
#[test]
fn a_restoring_that_fails_several_times_leaves_a_log_without_gaps() {
    for at in 0.. {
        let disk = database(3);
        let mut failed = false;
        for _ in 0..3 {
            disk.fail(at, Fault::PowerLoss);
            let restored = restore(disk.clone(), 2, Newer::Abandon).is_ok();
            failed |= disk.has_failed();
            assert!(restored || disk.has_failed(), "at {at}");
        }
        let found = commits(&disk.crashed());
        assert!([2, 3].contains(&found), "{found} at {at}");
        disk.mend();
        restore(disk.clone(), 1, Newer::Abandon).expect("on a disk that is well");
        assert_eq!(commits(&disk), 1);
        if !failed {
            return;
        }
    }
}

/// A manifest that cannot be read is kept as it is, whatever checkpoints are written after it.
#[test]
fn a_damaged_manifest_is_kept_beside_what_replaces_it() {
    let disk = database(3);
    let mut bytes = read(&disk, "MANIFEST");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    put(&disk, "MANIFEST", &bytes);
    restore(disk.clone(), 2, Newer::Abandon).expect("restored");
    let store = open(disk.clone()).expect("a store").0;
    commit(&store, 2).expect("a commit");
    store.checkpoint().expect("a checkpoint");
    drop(store);
    let kept = crate::checkpoint::kept::paths(&disk).expect("a list");
    assert!(
        kept.iter().any(|path| read(&disk, path) == bytes),
        "{kept:?}"
    );
    assert_eq!(commits(&disk), 3);
}
