//! Stories of copies: to a directory, into memory, to bytes and back.

use crate::disk::{Disk, Fault, SimDisk};
use crate::error::{Error, Result};
use crate::store::testing::{
    commit, contents, create_table, failing, files, leftovers, model, open, options, read,
};
use crate::store::{BackupReport, Store};
use std::io::ErrorKind;

const COMMITS: i64 = 4;

/// A store of some commits, part of which are in a checkpoint.
fn store() -> Store {
    let (store, _) = open(SimDisk::new()).expect("a store");
    create_table(&store).expect("a table");
    for n in 0..COMMITS {
        commit(&store, n).expect("a commit");
        if n == 1 {
            store.checkpoint().expect("a checkpoint");
        }
    }
    store
}

fn in_memory() -> Store {
    let store = Store::in_memory(options()).expect("a store");
    create_table(&store).expect("a table");
    for n in 0..COMMITS {
        commit(&store, n).expect("a commit");
    }
    store
}

fn backup(store: &Store, disk: &dyn Disk) -> Result<BackupReport> {
    store.backup_on(disk)
}

#[test]
fn a_copy_is_a_database_of_its_own() {
    for store in [store(), in_memory()] {
        let disk = SimDisk::new();
        let report = backup(&store, &disk).expect("a copy");
        assert_eq!(report.rows, model(COMMITS).len() as u64);
        // What follows goes into one of them only.
        commit(&store, COMMITS).expect("a commit");
        let (copied, opened) = open(disk.clone()).expect("a database");
        assert!(opened.clean && !opened.created);
        assert_eq!(contents(&copied), model(COMMITS));
        assert_eq!(contents(&store), model(COMMITS + 1));
        commit(&copied, COMMITS).expect("a commit");
        copied.checkpoint().expect("a checkpoint");
        drop(copied);
        let (copied, _) = open(disk.clone()).expect("a database");
        assert_eq!(contents(&copied), model(COMMITS + 1));
        drop(copied);
        assert!(!files(&disk).contains(&"COPYING.remora".to_owned()));
    }
}

/// A folder of somebody else's, whose files are called like those of an unfinished copy.
#[test]
fn what_is_not_ours_is_not_written_over() {
    let store = in_memory();
    for names in [&["COPYING"][..], &["COPYING.remora", "README"]] {
        let disk = SimDisk::new();
        for name in names {
            let file = disk.create(name).expect("a file");
            file.write_at(0, b"mine").expect("written");
        }
        let error = backup(&store, &disk).expect_err("not empty");
        assert!(matches!(error, Error::NotEmpty { .. }), "{error}");
        for name in names {
            assert_eq!(read(&disk, name), b"mine");
        }
    }
}

/// The segment of the one must not be taken for that of the other.
#[test]
fn no_file_of_a_copy_passes_for_one_of_another() {
    let store = in_memory();
    let (one, other) = (SimDisk::new(), SimDisk::new());
    backup(&store, &one).expect("a copy");
    backup(&store, &other).expect("a copy");
    for path in [
        "wal/0000000001.log",
        "data/0000000001.img",
        "CLOSED",
        "MANIFEST",
    ] {
        let mixed = one.crashed();
        let file = mixed.create(path).expect("a file");
        file.write_at(0, &read(&other, path)).expect("written");
        let error = open(mixed).expect_err("of another database");
        assert!(matches!(error, Error::Corrupt { .. }), "{path}: {error}");
    }
}

#[test]
fn a_copy_is_made_while_others_write() {
    let store = in_memory();
    let copies = std::thread::scope(|scope| {
        let writer = scope.spawn(|| (COMMITS..80).try_for_each(|n| commit(&store, n)));
        let mut copies = Vec::new();
        while !writer.is_finished() || copies.is_empty() {
            let disk = SimDisk::new();
            backup(&store, &disk).expect("a copy");
            copies.push(disk);
        }
        writer.join().expect("no panic").expect("all commits");
        copies
    });
    for disk in copies {
        let (copied, _) = open(disk).expect("a database");
        crate::store::testing::prefix_of(&contents(&copied), 80);
    }
}

#[test]
fn what_holds_something_is_no_place_for_a_copy() {
    let store = in_memory();
    let foreign = SimDisk::new();
    foreign.create("letter.txt").expect("a file");
    let taken = SimDisk::new();
    drop(open(taken.clone()).expect("a database"));
    for disk in [foreign, taken] {
        let before = files(&disk);
        let error = backup(&store, &disk).expect_err("not empty");
        assert!(matches!(error, Error::NotEmpty { .. }), "{error}");
        assert_eq!(files(&disk), before);
    }
}

#[test]
fn a_directory_is_loaded_into_memory_and_stays_as_it_is() {
    let disk = SimDisk::new();
    let (store, _) = open(disk.clone()).expect("a store");
    create_table(&store).expect("a table");
    commit(&store, 0).expect("a commit");
    store.checkpoint().expect("a checkpoint");
    commit(&store, 1).expect("a commit");
    let locked = Store::load_on(&disk, options()).expect_err("in use");
    assert!(matches!(locked, Error::Locked { .. }), "{locked}");
    store.close().expect("closed");
    drop(store);
    let before = disk.image();
    let (loaded, report) = Store::load_on(&disk, options()).expect("loaded");
    assert_eq!(report.frames_replayed, 1);
    assert_eq!(contents(&loaded), model(2));
    commit(&loaded, 2).expect("a commit");
    assert_eq!(contents(&loaded), model(3));
    drop(loaded);
    assert!(disk.image() == before, "something was written");
    let error = Store::load_on(&SimDisk::new(), options()).expect_err("nothing");
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
}

#[test]
fn bytes_become_the_store_that_they_were() {
    let empty = Store::in_memory(options()).expect("a store");
    let bytes = empty.serialize().expect("bytes");
    let again = Store::deserialize(&bytes, options()).expect("a store");
    assert!(again.catalog().table("t").is_none());
    for store in [store(), in_memory()] {
        let before = store.ledger().used();
        let bytes = store.serialize().expect("bytes");
        // Garbage of the view that was read may have been collected.
        assert!(store.ledger().used() <= before + (1 << 20));
        let again = Store::deserialize(&bytes, options()).expect("a store");
        assert_eq!(contents(&again), model(COMMITS));
        commit(&again, COMMITS).expect("a commit");
    }
}

#[test]
fn bytes_that_were_changed_or_cut_are_refused_or_say_the_same() {
    let bytes = in_memory().serialize().expect("bytes");
    let check = |bytes: &[u8], what: &str| match Store::deserialize(bytes, options()) {
        Ok(store) => assert_eq!(contents(&store), model(COMMITS), "{what}"),
        Err(error) => assert!(
            matches!(
                error,
                Error::Corrupt { .. }
                    | Error::NotADatabase { .. }
                    | Error::UnsupportedFormat { .. }
                    | Error::UnsupportedFeatures { .. }
            ),
            "{what}: {error}"
        ),
    };
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        check(&changed, &format!("flip at {at}"));
        if at % 7 == 0 {
            let error = Store::deserialize(&bytes[..at], options()).expect_err("cut");
            assert!(
                matches!(error, Error::Corrupt { .. }),
                "cut at {at}: {error}"
            );
        }
    }
}

#[test]
fn bytes_that_find_no_room_are_an_error() {
    let bytes = in_memory().serialize().expect("bytes");
    let mut long = vec![0; 300 << 20];
    long.extend_from_slice(&bytes);
    let error = Store::deserialize(&long, options()).expect_err("another index");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn wherever_a_copying_is_cut_short_there_is_a_whole_copy_or_none() {
    let store = in_memory();
    for at in 0.. {
        for fault in [Fault::PowerLoss, Fault::Once(ErrorKind::StorageFull)] {
            let disk = failing(at, fault);
            let copied = backup(&store, &disk).is_ok();
            for left in leftovers(&disk) {
                match open(SimDisk::with(&left.image())) {
                    Ok((opened, report)) if !report.created => {
                        assert_eq!(contents(&opened), model(COMMITS), "at {at}");
                    }
                    Ok(_) => assert!(!copied, "at {at}: nothing is left"),
                    Err(error) => {
                        assert!(!copied, "at {at}: {error}");
                        assert!(
                            matches!(error, Error::NotADatabase { .. }),
                            "at {at}: {error}"
                        );
                        backup(&store, &left).expect("copied again");
                        let (opened, report) = open(left).expect("a database");
                        assert!(report.clean);
                        assert_eq!(contents(&opened), model(COMMITS), "at {at}");
                    }
                }
            }
            if !disk.has_failed() {
                assert!(copied, "nothing failed");
                return;
            }
        }
    }
}
