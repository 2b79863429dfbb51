//! Files that nobody here has written, with checksums and hashes that are right: what they say is not believed
//! where it cannot be, by whoever opens, verifies or restores.

use crate::checkpoint::image::{self, IMAGE_HEADER_LEN};
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::disk::{Disk, SimDisk};
use crate::error::Error;
use crate::format::install;
use crate::ids::{BlockNo, RowId, Slot};
use crate::store::testing::{commit, create_table, open, options};
use crate::store::{Newer, Store};
use std::sync::Arc;

/// Number 2 is the current checkpoint, number 1 a kept one.
fn database() -> SimDisk {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).expect("a new database");
    create_table(&store).expect("a table");
    for n in 0..4 {
        commit(&store, n).expect("a commit");
        if n > 1 {
            store.checkpoint().expect("a checkpoint");
        }
    }
    store.close().expect("closed");
    medium.crashed()
}

/// A manifest that says something else.
fn forge(disk: &SimDisk, path: &str, change: impl FnOnce(&mut Manifest)) {
    let (mut manifest, database) = Manifest::read(disk, path).expect("a manifest");
    change(&mut manifest);
    install(disk, path, &manifest.encode(database)).expect("installed");
}

fn place(error: &Error) -> (String, u64) {
    match error {
        Error::Corrupt { path, offset, .. } => (path.display().to_string(), *offset),
        other => panic!("{other}"),
    }
}

/// Where opening, and verifying, find what is wrong.
fn refused(disk: &SimDisk) -> (String, u64) {
    let error = open(disk.clone()).map(drop).expect_err("refused");
    let found = Store::verify_on(disk, options()).expect("verified");
    let verified: Vec<_> = found.damages.iter().map(|one| place(&one.error)).collect();
    assert!(verified.contains(&place(&error)), "{error}: {verified:?}");
    place(&error)
}

#[test]
fn a_block_behind_the_tables_end_is_refused() {
    let disk = database();
    forge(&disk, MANIFEST, |manifest| {
        let last = manifest.images.last_mut().expect("an image");
        last.block = BlockNo(100_000_000);
    });
    assert_eq!(refused(&disk), (MANIFEST.to_owned(), 0));
}

/// What the table's directory would take is more than there may be, and is not taken.
#[test]
fn a_far_away_end_takes_no_memory() {
    let disk = database();
    forge(&disk, MANIFEST, |manifest| {
        manifest.tables[0].next_row = RowId::new(BlockNo(100_000_000), Slot(1));
    });
    let error = open(disk.clone()).map(drop).expect_err("refused");
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    forge(&disk, MANIFEST, |manifest| {
        manifest.tables[0].next_row = RowId(u64::MAX);
    });
    assert_eq!(refused(&disk), (MANIFEST.to_owned(), 0));
}

#[test]
fn definitions_that_do_not_fit_are_refused() {
    let disk = database();
    forge(&disk, MANIFEST, |manifest| {
        let again = manifest.indexes[0].clone();
        manifest.indexes.push(again);
    });
    assert_eq!(refused(&disk), (MANIFEST.to_owned(), 0));
}

#[test]
fn an_image_over_another_base_is_refused() {
    let disk = database();
    let (manifest, _) = Manifest::read(&disk, MANIFEST).expect("a manifest");
    let of = *manifest.images.last().expect("an image");
    let file = disk.open(&image::path(of.file)).expect("a data file");
    let mut bytes = vec![0; of.length as usize];
    file.read_at(of.offset, &mut bytes).expect("bytes");
    bytes[36] ^= 1;
    let (head, body) = bytes.split_at(IMAGE_HEADER_LEN);
    let crc = image::checksum(head, body);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    file.write_at(of.offset, &bytes).expect("written");
    file.sync().expect("synced");
    forge(&disk, MANIFEST, |manifest| {
        let last = manifest.images.last_mut().expect("an image");
        (last.crc, last.hash) = (crc, blake3::hash(&bytes).into());
    });
    assert_eq!(refused(&disk), (image::path(of.file), of.offset + 36));
}

/// Who restores number 1 is told of what is wrong with it, and not that the current one is damaged.
#[test]
fn what_is_wrong_with_a_kept_checkpoint_is_said_of_its_file() {
    let disk = database();
    forge(&disk, "MANIFEST.1", |manifest| {
        let again = manifest.indexes[0].clone();
        manifest.indexes.push(again);
    });
    let restored = Store::restore_on(Arc::new(disk.clone()), 1, options(), Newer::Abandon);
    let error = restored.map(drop).expect_err("refused");
    assert_eq!(place(&error), ("MANIFEST.1".to_owned(), 0));
    let found = Store::verify_on(&disk, options()).expect("verified");
    let [damage] = &found.damages[..] else {
        panic!("{:?}", found.damages);
    };
    assert_eq!(place(&damage.error), ("MANIFEST.1".to_owned(), 0));
    drop(open(disk).expect("the current one is whole"));
}
