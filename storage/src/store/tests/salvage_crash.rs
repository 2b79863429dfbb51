//! The power fails while a salvage is at work: whatever a crash at any of its operations leaves, of what was
//! not synced any part, what could be kept before can be kept still, and no byte of what was there is gone.

use crate::disk::{Decay, Disk, Image, Medium, SimDisk, Tear};
use crate::error::Result;
use crate::store::testing::{Contents, commit, contents, create_table, options, put};
use crate::store::{RecoveryMode, Store, StoreOptions};
use std::collections::BTreeSet;
use std::sync::Arc;

fn open(image: &Image, recovery: RecoveryMode) -> (SimDisk, Result<Store>) {
    let disk = SimDisk::with(image);
    disk.record();
    let options = StoreOptions {
        recovery,
        ..options()
    };
    let store = Store::open_on(Arc::new(disk.clone()), options);
    (disk, store.map(|(store, _)| store))
}

/// A directory that was closed, with a kept checkpoint, images of two checkpoints and a log.
fn database() -> Image {
    let disk = SimDisk::new();
    let options = StoreOptions {
        keep_checkpoints: Some(1),
        ..options()
    };
    let (store, _) = Store::open_on(Arc::new(disk.clone()), options).expect("a new database");
    create_table(&store).expect("a table");
    let mut transaction = store.begin().expect("a transaction");
    for key in 100..400 {
        put(&mut transaction, key, Some("a row of the first image")).expect("a row");
    }
    transaction.commit().expect("a commit");
    for n in 0..4 {
        if n < 3 {
            store.checkpoint().expect("a checkpoint");
        }
        commit(&store, n).expect("a commit");
    }
    store.close().expect("closed");
    disk.image()
}

/// What a crash may leave of a run: after each event all of what is loose, nothing, and each alone or missing.
fn crashes(before: &Image, disk: &SimDisk) -> Vec<Image> {
    let (mut medium, mut images) = (Medium::new(before), Vec::new());
    let mut seen = BTreeSet::new();
    for event in disk.take_events() {
        medium.apply(&event);
        let loose = medium.loose(Tear::Sector(512));
        let mut note = |image: Image| {
            if seen.insert(image.digest()) {
                images.push(image);
            }
        };
        note(medium.image(&loose, |_| false, false));
        note(medium.image(&loose, |_| true, false));
        for one in 0..loose.len() {
            note(medium.image(&loose, |at| at == one, false));
            note(medium.image(&loose, |at| at != one, false));
        }
    }
    images
}

/// Looks at what a crash has left of the salvage of `damaged`; returns the disk of the salvage that follows.
fn check(damaged: &Image, left: &Image, expected: &Contents, what: &str) -> SimDisk {
    let (disk, strict) = open(left, RecoveryMode::Strict);
    match strict {
        Ok(store) => assert_eq!(contents(&store), *expected, "{what}, strict"),
        Err(error) => {
            assert!(matches!(error, crate::Error::Corrupt { .. }), "{error}");
            assert_eq!(disk.image(), *left, "{what}: refused, and written");
        }
    }
    let (disk, salvaged) = open(left, RecoveryMode::Salvage);
    let store = salvaged.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(contents(&store), *expected, "{what}, salvage");
    let image = disk.image();
    for (path, bytes) in damaged.files.iter().filter(|(path, _)| *path != "LOCK") {
        let is_there = image.files.values().any(|found| found == bytes);
        assert!(is_there, "{what}: {path} is gone");
    }
    disk
}

#[test]
fn a_salvage_that_is_cut_short_anywhere_is_a_salvage_again() {
    let whole = database();
    let paths = |folder: &str| -> Vec<String> {
        let of = whole.files.keys().filter(|path| path.starts_with(folder));
        of.cloned().collect()
    };
    let (data, wal) = (paths("data/"), paths("wal/"));
    let last = wal.last().expect("a segment");
    let length = whole.files[last].len();
    let mut explored = 0;
    for (path, at) in [
        // Nothing is lost with these.
        ("MANIFEST", 100),
        ("CLOSED", 37),
        // And something with those.
        (data[0].as_str(), 200),
        (last.as_str(), length - 3),
    ] {
        let mut damaged = whole.clone();
        assert!(damaged.decay(path, Decay::Flip { at, bit: 3 }));
        let (_, refused) = open(&damaged, RecoveryMode::Strict);
        assert!(refused.is_err(), "{path} is damaged");
        let (disk, salvaged) = open(&damaged, RecoveryMode::Salvage);
        let expected = contents(&salvaged.expect("a salvage"));
        assert!(!expected.is_empty());
        for (number, left) in crashes(&damaged, &disk).iter().enumerate() {
            explored += 1;
            let what = format!("{path}, state {number}");
            let again = check(&damaged, left, &expected, &what);
            if number % 9 != 0 {
                continue;
            }
            for (second, left) in crashes(left, &again).iter().enumerate() {
                explored += 1;
                check(&damaged, left, &expected, &format!("{what}, then {second}"));
            }
        }
    }
    assert!(explored > 500, "{explored} states");
}

/// What was moved is not needed for going on, and what goes on is not moved.
#[test]
fn what_follows_on_a_salvage_stays_where_it_is() {
    let mut damaged = database();
    assert!(damaged.decay("MANIFEST", Decay::Flip { at: 100, bit: 0 }));
    let (disk, store) = open(&damaged, RecoveryMode::Salvage);
    let store = store.expect("a salvage");
    let before = disk.list("quarantine/2").expect("a list");
    assert!(before.contains(&"CLOSED".to_owned()), "{before:?}");
    let mut expected = contents(&store);
    for round in 0..3 {
        let mut transaction = store.begin().expect("a transaction");
        put(&mut transaction, 1000 + round, Some("new")).expect("a row");
        transaction.commit().expect("a commit");
        expected.insert(1000 + round, "new".to_owned());
    }
    store.close().expect("closed");
    // The current checkpoint is that of the salvage still.
    let (disk, store) = open(&disk.image(), RecoveryMode::Strict);
    let store = store.expect("whole");
    assert_eq!(contents(&store), expected);
    assert!(disk.exists("CLOSED").expect("an answer"));
    assert_eq!(disk.list("quarantine/2").expect("a list"), before);
    store.checkpoint().expect("a checkpoint");
    store.close().expect("closed");
    let (_, store) = open(&disk.image(), RecoveryMode::Strict);
    assert_eq!(contents(&store.expect("whole")), expected);
}
