//! A damaged directory is salvaged: what verifies is kept, each loss is named, and what was there is in
//! quarantine, byte by byte. What is left is a database like any.

use crate::disk::{Disk, Fault, SimDisk};
use crate::error::{Error, Result};
use crate::store::testing::{
    Contents, commit, contents, create_table, files, flip, model, open, options, put, read,
};
use crate::store::{Lost, RecoveryMode, RecoveryReport, Store, StoreOptions};
use crate::wal::segment::SEGMENT_HEADER_LEN;
use std::sync::Arc;

const COMMITS: i64 = 6;

/// A database that was closed, with checkpoints between its commits.
fn database(checkpoints: &[i64]) -> SimDisk {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).expect("a new database");
    create_table(&store).expect("a table");
    for n in 0..COMMITS {
        if checkpoints.contains(&n) {
            store.checkpoint().expect("a checkpoint");
        }
        commit(&store, n).expect("a commit");
    }
    store.close().expect("closed");
    medium.crashed()
}

fn salvage(disk: &SimDisk) -> Result<(Store, RecoveryReport)> {
    let options = StoreOptions {
        recovery: RecoveryMode::Salvage,
        ..options()
    };
    Store::open_on(Arc::new(disk.clone()), options)
}

fn remove(disk: &SimDisk, path: &str) {
    disk.remove(path).expect("a file");
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    disk.sync_dir(folder).expect("a sync");
}

/// What a salvage makes of a directory, after it was looked at from all sides.
fn salvaged(damaged: &SimDisk, what: &str) -> (Contents, RecoveryReport) {
    let before = damaged.image().files;
    let is_damaged = open(damaged.crashed()).is_err();
    let (store, report) = salvage(damaged).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = contents(&store);
    assert_eq!(report.quarantine.is_some(), is_damaged, "{what}");
    assert_eq!(!report.losses.is_empty(), is_damaged, "{what}");
    // It goes on as any database does.
    let mut expected = found.clone();
    if store.catalog().table("t").is_some() {
        put_one(&store);
        expected.insert(-1, "new".to_owned());
    }
    store.checkpoint().unwrap();
    store.close().unwrap();
    if let Some(folder) = &report.quarantine {
        for (path, bytes) in before.iter().filter(|(path, _)| *path != "LOCK") {
            let kept = format!("{folder}/{path}");
            let is_kept = damaged.exists(&kept).unwrap() && read(damaged, &kept) == **bytes;
            // The manifest is replaced, and kept under a number.
            let is_manifest = path == "MANIFEST" && {
                let names = damaged.list(folder).unwrap();
                let mut manifests = names.iter().filter(|name| name.starts_with("MANIFEST."));
                manifests.any(|name| read(damaged, &format!("{folder}/{name}")) == **bytes)
            };
            assert!(
                is_kept || is_manifest,
                "{what}: {path} is not in quarantine"
            );
        }
    }
    let (store, strict) = open(damaged.crashed()).expect("whole again");
    assert!(strict.clean, "{what}");
    assert_eq!(contents(&store), expected, "{what}");
    (found, report)
}

fn put_one(store: &Store) {
    let mut transaction = store.begin().unwrap();
    put(&mut transaction, -1, Some("new")).unwrap();
    transaction.commit().unwrap();
}

/// Whether all of it was there at some time.
fn was_there(found: &Contents) -> bool {
    let states: Vec<_> = (0..=COMMITS).map(model).collect();
    let was = |(key, text)| states.iter().any(|state| state.get(key) == Some(text));
    found.iter().all(was)
}

/// Whether a byte of a segment is in the commit that deletes row 11. Without it that row and the one that comes
/// in its place later are both there: a salvage does not look whether keys are unique.
fn is_deletion(segment: &[u8], at: u64) -> bool {
    let (mut start, at) = (SEGMENT_HEADER_LEN, at as usize);
    while let Some(length) = segment[start..].first_chunk() {
        let end = start + u32::from_le_bytes(*length) as usize;
        if (start..end).contains(&at) {
            let mark = b"row of commit 2";
            return segment[start..end]
                .windows(mark.len())
                .any(|part| part == mark);
        }
        start = end;
    }
    false
}

#[test]
fn whatever_byte_goes_bad_the_rest_is_kept() {
    for checkpoints in [&[][..], &[2], &[1, 2, 3, 4]] {
        let medium = database(checkpoints);
        let paths = files(&medium);
        let last = paths.iter().filter(|path| path.starts_with("wal/")).max();
        let last = last.expect("a segment").clone();
        for path in paths {
            let bytes = read(&medium, &path);
            let length = bytes.len() as u64;
            for at in (0..length).step_by(13).chain(length.checked_sub(1)) {
                if path == last && is_deletion(&bytes, at) {
                    continue;
                }
                let (damaged, what) = (medium.crashed(), format!("{path} at {at}"));
                flip(&damaged, &path, at, 0x10);
                let (found, report) = salvaged(&damaged, &what);
                assert!(was_there(&found), "{what}: {found:?}");
                if path != last || at < SEGMENT_HEADER_LEN as u64 {
                    assert_eq!(found, model(COMMITS), "{what}: {:?}", report.losses);
                }
                let named = report.losses.iter().any(|loss| loss.file == path);
                assert!(
                    named || report.losses.is_empty(),
                    "{what}: {:?}",
                    report.losses
                );
            }
        }
    }
}

#[test]
fn commits_behind_a_damaged_one_are_kept() {
    let medium = database(&[]);
    let path = format!("wal/{}", medium.list("wal").unwrap()[0]);
    let mut ends = vec![SEGMENT_HEADER_LEN as u64];
    let bytes = read(&medium, &path);
    while let Some(length) = bytes[*ends.last().unwrap() as usize..].first_chunk() {
        ends.push(ends.last().unwrap() + u64::from(u32::from_le_bytes(*length)));
    }
    // The table, and commits 0 to 5; of commit 3 a byte goes bad.
    let (from, to) = (ends[4], ends[5]);
    flip(&medium, &path, from + 60, 0x10);
    let (found, report) = salvaged(&medium, "commit 3");
    // It brought rows 13 and 11; others have deleted 12.
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 10, 14, 15]);
    assert_eq!(found[&1], "v5", "later changes of older rows count");
    let [loss] = &report.losses[..] else {
        panic!("{:?}", report.losses);
    };
    let header = SEGMENT_HEADER_LEN as u64;
    assert_eq!((loss.file.as_str(), loss.offset), (path.as_str(), from + 4));
    let Lost::Log(range) = &loss.what else {
        panic!("{loss}");
    };
    assert_eq!((range.start.0, range.end.0), (from - header, to - header));
    let said = format!(
        "the log from position {} to {} is lost with {path}, byte {}: expected crc32",
        range.start, range.end, loss.offset
    );
    assert!(loss.to_string().starts_with(&said), "{loss}");
}

#[test]
fn rows_of_blocks_whose_image_is_whole_are_kept() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    let mut transaction = store.begin().unwrap();
    for key in 0..1000 {
        let text = format!("the text of row number {key}");
        put(&mut transaction, key, Some(&text)).unwrap();
    }
    transaction.commit().unwrap();
    // Those that are kept refer to the same images.
    for _ in 0..5 {
        put_one(&store);
        store.checkpoint().unwrap();
    }
    let all = contents(&store);
    store.close().unwrap();
    let largest = |disk: &SimDisk| {
        let names = disk.list("data").unwrap();
        let paths = names.iter().map(|name| format!("data/{name}"));
        paths.max_by_key(|path| read(disk, path).len()).unwrap()
    };
    let damaged = medium.crashed();
    let path = largest(&damaged);
    // The blocks at its beginning were not written again.
    flip(
        &damaged,
        &path,
        read(&damaged, &path).len() as u64 / 8,
        0x10,
    );
    let (found, report) = salvaged(&damaged, "an image");
    let lost = report.losses.iter().map(|loss| match &loss.what {
        Lost::Rows { table, rows, .. } => {
            assert_eq!((table.as_str(), &loss.file), ("t", &path));
            *rows
        }
        other => panic!("{other:?}"),
    });
    let lost: u64 = lost.sum();
    assert!(lost > 0 && lost < 1000, "{:?}", report.losses);
    assert_eq!(found.len() as u64 + lost, all.len() as u64);
    assert!(found.iter().all(|(key, text)| all.get(key) == Some(text)));

    let damaged = medium.crashed();
    remove(&damaged, &path);
    let (found, report) = salvaged(&damaged, "no data file");
    assert!(found.len() < all.len());
    assert!(report.losses.iter().any(|loss| loss.file == path));
}

#[test]
fn whichever_file_is_gone_the_rest_is_kept() {
    let medium = database(&[1, 3]);
    for path in files(&medium) {
        let damaged = medium.crashed();
        remove(&damaged, &path);
        let (found, _) = salvaged(&damaged, &format!("without {path}"));
        assert!(was_there(&found), "without {path}");
    }
    let damaged = database(&[1, 2, 3, 4]);
    for path in files(&damaged) {
        if !path.starts_with("wal/") {
            remove(&damaged, &path);
        }
    }
    let error = salvage(&damaged)
        .map(drop)
        .expect_err("nothing says what tables there are");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_salvage_that_is_cut_short_is_a_salvage_again() {
    let medium = database(&[3]);
    let path = format!("wal/{}", medium.list("wal").unwrap().last().unwrap());
    let length = read(&medium, &path).len() as u64;
    flip(&medium, &path, length - 3, 0x10);
    let expected = salvaged(&medium.crashed(), "not cut short").0;
    for operation in 0.. {
        let disk = medium.crashed();
        disk.fail(operation, Fault::PowerLoss);
        let options = StoreOptions {
            recovery: RecoveryMode::Salvage,
            ..options()
        };
        let is_done = Store::open_on(Arc::new(disk.clone()), options).is_ok();
        let (store, _) =
            salvage(&disk.crashed()).unwrap_or_else(|e| panic!("cut at {operation}: {e}"));
        assert_eq!(contents(&store), expected, "cut at {operation}");
        if is_done {
            break;
        }
    }
}

/// The first page of a segment goes: its header, and the first of its commits. What stands behind is known by
/// where the segment before ends.
#[test]
fn a_segment_without_its_first_page_keeps_the_others() {
    let medium = SimDisk::new();
    let short = StoreOptions {
        segment_bytes: Some(16 << 10),
        ..options()
    };
    let (store, _) = Store::open_on(Arc::new(medium.clone()), short).unwrap();
    create_table(&store).unwrap();
    for key in 0..1000 {
        let mut transaction = store.begin().unwrap();
        put(&mut transaction, key, Some(&format!("text of row {key}"))).unwrap();
        transaction.commit().unwrap();
    }
    store.close().unwrap();
    let names = medium.list("wal").unwrap();
    assert!(names.len() > 2, "{names:?}");
    let damaged = medium.crashed();
    let file = damaged.open(&format!("wal/{}", names[1])).unwrap();
    file.write_at(0, &[0; 4096]).unwrap();
    file.sync().unwrap();
    let (found, report) = salvaged(&damaged, "a page");
    assert!(
        found.len() > 900 && found.len() < 1000,
        "{} rows, {:?}",
        found.len(),
        report.losses
    );
}

/// The log is one of an earlier day, the checkpoint is not: what the checkpoint has is kept, and what came behind it
/// is told as lost, although an older checkpoint and that log would do without a flaw.
#[test]
fn an_older_log_does_not_take_back_a_checkpoint() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    commit(&store, 0).unwrap();
    store.checkpoint().unwrap();
    commit(&store, 1).unwrap();
    let earlier = medium.crashed();
    commit(&store, 2).unwrap();
    store.checkpoint().unwrap();
    commit(&store, 3).unwrap();
    drop(store);
    let damaged = medium.crashed();
    for name in damaged.list("wal").unwrap() {
        let path = format!("wal/{name}");
        remove(&damaged, &path);
        if earlier.exists(&path).unwrap() {
            let file = damaged.create(&path).unwrap();
            file.write_at(0, &read(&earlier, &path)).unwrap();
            file.sync().unwrap();
        }
    }
    damaged.sync_dir("wal").unwrap();
    let (found, _) = salvaged(&damaged, "an older log");
    assert_eq!(found, model(3));
}

/// A file that comes after the salvage has the number of one that is in quarantine: that one stays.
#[test]
fn nothing_in_quarantine_is_replaced() {
    let damaged = database(&[COMMITS - 1]);
    let image = format!("data/{}", damaged.list("data").unwrap()[0]);
    let bytes = read(&damaged, &image);
    flip(&damaged, &image, bytes.len() as u64 / 2, 0x10);
    let broken = read(&damaged, &image);
    let (store, report) = salvage(&damaged).unwrap();
    store.close().unwrap();
    let file = damaged.create(&image).unwrap();
    file.write_at(0, b"of a checkpoint that was cut short")
        .unwrap();
    file.sync().unwrap();
    damaged.sync_dir("data").unwrap();
    let (store, _) = open(damaged.clone()).unwrap();
    store.close().unwrap();
    let kept = format!("{}/{image}", report.quarantine.unwrap());
    assert_eq!(read(&damaged, &kept), broken);
}
