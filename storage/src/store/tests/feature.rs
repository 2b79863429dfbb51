//! Directories of older builds are opened and marked; those of newer builds are refused untouched.

use crate::disk::{Disk, Fault, SimDisk};
use crate::error::Error;
use crate::format::{FEATURES_KNOWN, PROLOGUE_LEN, features};
use crate::store::testing::{commit, contents, create_table, leftovers, model, open, read};
use crate::wal::closing::CLOSING_MARK_LEN;
use crate::wal::segment::SEGMENT_HEADER_LEN;

const COMMITS: i64 = 3;
const SEGMENT: &str = "wal/0000000001.log";

/// A database without a checkpoint, closed.
fn database() -> SimDisk {
    let disk = SimDisk::new();
    let store = open(disk.clone()).expect("a new database").0;
    create_table(&store).expect("a table");
    for n in 0..COMMITS {
        commit(&store, n).expect("a commit");
    }
    store.close().expect("closed");
    drop(store);
    disk.crashed()
}

/// Makes a file what a build of these features would have written.
fn set_features(disk: &SimDisk, path: &str, bits: u32) {
    let mut bytes = read(disk, path);
    bytes[12..16].copy_from_slice(&bits.to_le_bytes());
    let sum = |bytes: &mut [u8], at: usize, crc: u32| {
        bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    };
    let crc = crc32fast::hash(&bytes[..PROLOGUE_LEN - 4]);
    sum(&mut bytes, PROLOGUE_LEN - 4, crc);
    let (at, crc) = match path {
        SEGMENT => (
            SEGMENT_HEADER_LEN - 4,
            crc32fast::hash(&bytes[..SEGMENT_HEADER_LEN - 4]),
        ),
        "CLOSED" => (
            CLOSING_MARK_LEN - 4,
            crc32fast::hash(&bytes[..CLOSING_MARK_LEN - 4]),
        ),
        "MANIFEST" => (40, crc32fast::hash(&[&bytes[..40], &bytes[44..]].concat())),
        other => panic!("{other} is not expected here"),
    };
    sum(&mut bytes, at, crc);
    let file = disk.open(path).expect("a file");
    file.write_at(0, &bytes).expect("a write");
    file.sync().expect("a sync");
}

fn features_of(disk: &SimDisk, path: &str) -> u32 {
    features(read(disk, path).first_chunk().expect("a prologue"))
}

/// As a build before there were features would have left it.
fn old_database() -> SimDisk {
    let disk = database();
    for path in ["MANIFEST", "CLOSED", SEGMENT] {
        assert_eq!(features_of(&disk, path), FEATURES_KNOWN, "{path}");
        set_features(&disk, path, 0);
    }
    disk
}

#[test]
fn a_file_with_an_unknown_feature_is_named_and_nothing_is_written() {
    let newer = 1 << 31 | FEATURES_KNOWN;
    for path in ["MANIFEST", "CLOSED", SEGMENT] {
        let disk = database();
        set_features(&disk, path, newer);
        let before = disk.image();
        let error = open(disk.clone()).expect_err("a newer build's");
        let Error::UnsupportedFeatures {
            path: named,
            found,
            known,
        } = &error
        else {
            panic!("{path}: {error}");
        };
        assert_eq!(named.to_str(), Some(path));
        assert_eq!((*found, *known), (newer, FEATURES_KNOWN));
        assert_eq!(error.sqlstate(), "58P01");
        assert!(disk.image() == before, "{path}: something was written");
    }
}

/// The manifest says what may be in the files before a byte of that is in them, for it is read first.
#[test]
fn a_directory_without_features_is_opened_and_marked_before_it_is_written() {
    let disk = old_database();
    let (store, report) = open(disk.clone()).expect("an old database");
    assert!(report.clean);
    assert_eq!(contents(&store), model(COMMITS));
    assert_eq!(features_of(&disk, "MANIFEST"), FEATURES_KNOWN);
    commit(&store, COMMITS).expect("a commit");
    let left = disk.crashed();
    drop(store);
    assert_eq!(features_of(&left, "MANIFEST"), FEATURES_KNOWN);
    let store = open(left).expect("after a crash").0;
    assert_eq!(contents(&store), model(COMMITS + 1));
}

#[test]
fn wherever_the_power_fails_while_it_is_marked_it_stays_whole() {
    for at in 0.. {
        let disk = old_database();
        disk.fail(at, Fault::PowerLoss);
        let opened = open(disk.clone()).map(drop);
        for left in leftovers(&disk) {
            let store = open(left).expect("recovery after a crash").0;
            assert_eq!(contents(&store), model(COMMITS), "at {at}");
        }
        if !disk.has_failed() {
            opened.expect("nothing failed");
            return;
        }
    }
}
