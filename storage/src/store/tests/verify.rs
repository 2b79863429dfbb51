//! Verifying finds every byte that is not what was written, and says what it belonged to.

use crate::disk::{Disk, SimDisk};
use crate::error::Error;
use crate::recovery::Verification;
use crate::store::testing::{commit, create_table, files, open, options};
use crate::store::{Newer, Store};
use std::sync::Arc;

/// A database with two checkpoints and commits behind them, closed.
fn database() -> SimDisk {
    let medium = SimDisk::new();
    let store = open(medium.clone()).expect("a new database").0;
    create_table(&store).expect("a table");
    for n in 0..40 {
        commit(&store, n).expect("a commit");
        if n == 20 || n == 35 {
            store.checkpoint().expect("a checkpoint");
        }
    }
    store.close().expect("closed");
    medium.crashed()
}

fn verify(disk: &SimDisk) -> Verification {
    Store::verify_on(disk, options()).expect("verified")
}

/// What must be whole for the current checkpoint and the kept ones, and for the log behind them.
fn needed(disk: &SimDisk) -> Vec<String> {
    let files = files(disk).into_iter();
    files.filter(|path| path != "LOCK").collect()
}

#[test]
fn what_was_written_is_verified_and_nothing_is_changed() {
    let disk = database();
    let before = disk.image();
    let found = verify(&disk);
    assert!(found.damages.is_empty(), "{found:?}");
    assert!(found.root.is_some() && found.images > 1 && found.frames > 0);
    assert_eq!(found.checkpoint, Some(2));
    assert!(disk.image() == before);
    // The same after another process was here and changed nothing.
    drop(open(disk.clone()).expect("opened"));
    assert_eq!(verify(&disk).root, found.root);
    let store = open(disk.clone()).expect("opened").0;
    commit(&store, 40).expect("a commit");
    store.checkpoint().expect("a checkpoint");
    store.close().expect("closed");
    assert_ne!(verify(&disk).root, found.root);
}

#[test]
fn every_flip_is_found_and_an_images_flip_names_block_and_table() {
    let disk = database();
    for path in needed(&disk) {
        let length = disk.open(&path).expect("a file").len().expect("a length");
        for at in (0..length).step_by(3) {
            let damaged = disk.crashed();
            let file = damaged.open(&path).expect("a file");
            let mut byte = [0];
            file.read_at(at, &mut byte).expect("a byte");
            file.write_at(at, &[byte[0] ^ 1 << (at % 8)])
                .expect("a write");
            file.sync().expect("synced");
            let found = verify(&damaged);
            let [damage, ..] = &found.damages[..] else {
                panic!("a flip in {path} at {at} was not found");
            };
            let Error::Corrupt { path: named, .. } = &damage.error else {
                panic!("a flip in {path} at {at}: {}", damage.error);
            };
            assert_eq!(named.to_str(), Some(path.as_str()), "at {at}");
            if path.starts_with("data/") {
                assert_eq!(damage.table.as_deref(), Some("t"), "at {at}");
                assert!(damage.block.is_some() && damage.rows > Some(0), "at {at}");
            }
        }
    }
}

/// An older checkpoint was restored: the log of the history that ended is read up to where the new one begins.
#[test]
fn the_log_of_a_history_that_ended_is_read() {
    let disk = database();
    let newer = Newer::Keep;
    Store::restore_on(Arc::new(disk.clone()), 1, options(), newer).expect("restored");
    let store = open(disk.clone()).expect("opened").0;
    commit(&store, 21).expect("a commit");
    store.close().expect("closed");
    let found = verify(&disk);
    assert!(found.damages.is_empty(), "{:?}", found.damages);
    let last = |path: &String| path.starts_with("wal/");
    let segments: Vec<String> = files(&disk).into_iter().filter(last).collect();
    let (own, before) = segments.split_last().expect("segments");
    for path in [own, &before[0]] {
        let damaged = disk.crashed();
        let file = damaged.open(path).expect("a file");
        file.write_at(70, &[0xAA]).expect("a write");
        file.sync().expect("synced");
        let found = verify(&damaged);
        let [damage] = &found.damages[..] else {
            panic!("{path}: {:?}", found.damages);
        };
        let Error::Corrupt { path: named, .. } = &damage.error else {
            panic!("{}", damage.error);
        };
        assert_eq!(named.to_str(), Some(path.as_str()));
    }
}

#[test]
fn files_that_are_gone_or_cut_are_named_and_the_rest_is_read() {
    let disk = database();
    let whole = verify(&disk);
    for path in needed(&disk)
        .into_iter()
        .filter(|path| path.starts_with("data/"))
    {
        for cut in [None, Some(0), Some(40), Some(200)] {
            let damaged = disk.crashed();
            match cut {
                None => damaged.remove(&path).expect("gone"),
                Some(length) => {
                    let file = damaged.open(&path).expect("a file");
                    file.truncate(length).expect("cut");
                    file.sync().expect("synced");
                }
            }
            let found = verify(&damaged);
            assert!(!found.damages.is_empty(), "{path} {cut:?}");
            assert_eq!(found.frames, whole.frames);
            assert_eq!(found.root, whole.root);
        }
    }
}

#[test]
fn what_is_no_database_or_is_open_is_refused() {
    let error = Store::verify_on(&SimDisk::new(), options()).expect_err("empty");
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    let disk = SimDisk::new();
    let _store = open(disk.clone()).expect("a new database").0;
    let error = Store::verify_on(&disk, options()).expect_err("open");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
}
