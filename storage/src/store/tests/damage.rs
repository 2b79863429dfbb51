//! Bytes go bad, files are cut, files vanish: either the exact prefix of commits that a crash may
//! leave, or an error that names the file. Never a panic, never silent loss.

use crate::disk::{Disk, SimDisk};
use crate::error::{Error, Result};
use crate::store::RecoveryReport;
use crate::store::testing::{
    commit, contents, create_table, files, flip, model, open, prefix_of, read,
};
use crate::wal::segment::SEGMENT_HEADER_LEN;

const COMMITS: i64 = 6;

/// A database with a checkpoint in the middle of its commits; closed, or cut short.
fn database(close: bool) -> SimDisk {
    let medium = SimDisk::new();
    let (store, report) = open(medium.clone()).expect("a new database");
    assert!(report.created);
    create_table(&store).expect("a table");
    for n in 0..COMMITS {
        if n == 3 {
            store.checkpoint().expect("a checkpoint");
        }
        commit(&store, n).expect("a commit");
    }
    if close {
        store.close().expect("closed");
    }
    // Taken while the store is still open: as after a crash.
    medium.crashed()
}

/// Opens and counts the commits that are there.
fn reopen(disk: &SimDisk) -> Result<(i64, RecoveryReport)> {
    let (store, report) = open(disk.clone())?;
    Ok((prefix_of(&contents(&store), COMMITS), report))
}

fn is_typed(error: &Error) -> bool {
    matches!(
        error,
        Error::Corrupt { .. } | Error::UnsupportedFormat { .. } | Error::NotADatabase { .. }
    )
}

/// The segment that is written to.
fn last_segment(disk: &SimDisk) -> String {
    let names = disk.list("wal").expect("a list");
    format!("wal/{}", names.last().expect("a segment"))
}

#[test]
fn after_a_clean_close_every_flip_is_an_error_or_changes_nothing() {
    let medium = database(true);
    for path in files(&medium) {
        for at in 0..read(&medium, &path).len() as u64 {
            let damaged = medium.crashed();
            flip(&damaged, &path, at, 1 << (at % 8));
            match reopen(&damaged) {
                Ok((found, _)) => assert_eq!(found, COMMITS, "flip in {path} at {at}"),
                Err(error) => assert!(is_typed(&error), "flip in {path} at {at}: {error}"),
            }
        }
    }
}

#[test]
fn after_a_clean_close_a_flip_in_what_is_needed_names_the_file() {
    let medium = database(true);
    for path in [last_segment(&medium).as_str(), "MANIFEST", "CLOSED"] {
        for at in 0..read(&medium, path).len() as u64 {
            let damaged = medium.crashed();
            flip(&damaged, path, at, 0x20);
            let error = reopen(&damaged).expect_err("damage");
            assert!(
                matches!(&error, Error::Corrupt { path: named, .. } if named.to_str() == Some(path)),
                "flip in {path} at {at}: {error}"
            );
        }
    }
}

#[test]
fn after_a_clean_close_every_cut_of_the_log_is_an_error() {
    let medium = database(true);
    let path = last_segment(&medium);
    for length in 0..read(&medium, &path).len() as u64 {
        let damaged = medium.crashed();
        damaged.open(&path).unwrap().truncate(length).unwrap();
        let error = reopen(&damaged).expect_err("a cut");
        assert!(matches!(error, Error::Corrupt { .. }), "{length}: {error}");
    }
}

#[test]
fn after_a_crash_a_flip_takes_the_last_commit_or_is_an_error() {
    let medium = database(false);
    let path = last_segment(&medium);
    let ends = frame_ends(&read(&medium, &path));
    let last_frame = ends[ends.len() - 2];
    for at in 0..ends[ends.len() - 1] {
        let damaged = medium.crashed();
        flip(&damaged, &path, at, 0x81);
        match reopen(&damaged) {
            Ok((found, report)) => {
                assert!(at >= last_frame, "silent loss after a flip at {at}");
                assert_eq!(found, COMMITS - 1);
                assert!(report.bytes_dropped > 0 && report.dropped_because.is_some());
            }
            Err(error) => {
                assert!(at < last_frame, "a torn tail at {at} is no error: {error}");
                assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            }
        }
    }
}

#[test]
fn after_a_crash_a_cut_leaves_exactly_the_whole_frames() {
    let medium = database(false);
    let path = last_segment(&medium);
    let bytes = read(&medium, &path);
    let ends = frame_ends(&bytes);
    for length in SEGMENT_HEADER_LEN as u64..bytes.len() as u64 {
        let damaged = medium.crashed();
        damaged.open(&path).unwrap().truncate(length).unwrap();
        let whole = ends.iter().filter(|end| **end <= length).count() as i64;
        let (found, report) = reopen(&damaged).expect("a torn tail");
        // Three commits are in the image; `ends` begins with the header's.
        assert_eq!(found, 3 + whole - 1, "cut at {length}");
        let end = ends.iter().copied().filter(|e| *e <= length).max().unwrap();
        // Zeros at the end are as good as nothing.
        let tail = &bytes[end as usize..length as usize];
        let dropped = tail
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        assert_eq!(report.bytes_dropped, dropped as u64);
        let (again, report) = reopen(&damaged).expect("a second time");
        assert_eq!(
            (again, report.bytes_dropped),
            (found, 0),
            "the tail was cut off"
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn garbage_anywhere_is_an_error_or_a_prefix(
        file in proptest::prelude::any::<proptest::sample::Index>(),
        at in proptest::prelude::any::<proptest::sample::Index>(),
        garbage in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..200),
        cut in proptest::prelude::any::<bool>(),
    ) {
        let medium = database(false);
        let files = files(&medium);
        let path = file.get(&files);
        let at = at.index(read(&medium, path).len().max(1)) as u64;
        let opened = medium.open(path).unwrap();
        opened.write_at(at, &garbage).unwrap();
        if cut {
            opened.truncate(at + garbage.len() as u64).unwrap();
        }
        opened.sync().unwrap();
        match reopen(&medium) {
            // Three commits are in the checkpoint, the others in the log.
            Ok((found, _)) => assert!(found >= 3),
            Err(error) => assert!(is_typed(&error), "{path} at {at}: {error}"),
        }
    }
}

/// Where the segment's header and each of its frames end.
fn frame_ends(segment: &[u8]) -> Vec<u64> {
    let mut ends = vec![SEGMENT_HEADER_LEN as u64];
    while let Some(length) = segment[*ends.last().unwrap() as usize..].first_chunk() {
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            // Room ahead.
            break;
        }
        ends.push(ends.last().unwrap() + u64::from(length));
    }
    ends
}

#[test]
fn a_flip_in_an_image_is_an_error_that_names_it() {
    let medium = database(false);
    let name = medium.list("data").unwrap().pop().unwrap();
    let path = format!("data/{name}");
    for at in 0..read(&medium, &path).len() as u64 {
        let damaged = medium.crashed();
        flip(&damaged, &path, at, 4);
        let error = reopen(&damaged).expect_err("damage");
        assert!(
            matches!(&error, Error::Corrupt { path: named, .. } if named.to_str() == Some(&path)),
            "flip at {at}: {error}"
        );
        damaged.open(&path).unwrap().truncate(at).unwrap();
        assert!(
            matches!(reopen(&damaged), Err(Error::Corrupt { .. })),
            "cut at {at}"
        );
    }
}

#[test]
fn a_missing_file_is_an_error_unless_nobody_needs_it() {
    let medium = database(true);
    for path in files(&medium) {
        let damaged = medium.crashed();
        damaged.remove(&path).unwrap();
        match reopen(&damaged) {
            Ok((found, _)) => assert_eq!(found, COMMITS, "without {path}"),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{path}: {error}"),
        }
    }
    for needed in ["MANIFEST", &last_segment(&medium)] {
        let damaged = medium.crashed();
        damaged.remove(needed).unwrap();
        assert!(reopen(&damaged).is_err(), "without {needed}");
    }
}

#[test]
fn whole_frames_behind_a_torn_one_are_dropped_with_it() {
    // Two commits were written with one sync that never returned; the first of them did not get to
    // the medium whole, the second did. Both are gone: no commit is applied without those before.
    let medium = database(false);
    let path = last_segment(&medium);
    let bytes = read(&medium, &path);
    let ends = frame_ends(&bytes);
    let (one, two) = (ends[ends.len() - 3], ends[ends.len() - 2]);
    let end = ends[ends.len() - 1];
    let mut last = bytes[two as usize..end as usize].to_vec();
    // As if the leader had written it in the same batch: it knows no more than the frame before.
    last[16..24].copy_from_slice(&bytes[one as usize + 16..one as usize + 24]);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&last[..4]);
    hasher.update(&last[8..]);
    last[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
    let file = medium.open(&path).unwrap();
    file.write_at(two, &last).unwrap();
    assert_eq!(reopen(&SimDisk::with(&medium.image())).unwrap().0, COMMITS);
    flip(&medium, &path, one + 50, 1);
    let (found, report) = reopen(&SimDisk::with(&medium.image())).expect("a torn tail");
    assert_eq!(found, COMMITS - 2);
    assert_eq!(report.bytes_dropped, end - one);
    assert_eq!(model(found).len(), model(COMMITS - 2).len());
}

/// A table with foreign keys to an index of its own that it has not.
fn refers_to_nothing(keys: usize) -> crate::catalog::CatalogChange {
    use crate::catalog::{CatalogChange, ColumnDef, ForeignAction, ForeignKeyDef, TableDef};
    use crate::ids::{ColumnId, IndexId, TableId};
    let column = ColumnDef::new(ColumnId(0), "k", crate::value::DataType::Integer);
    let mut def = TableDef::new("forged", vec![column]);
    def.id = TableId(50);
    let key = ForeignKeyDef {
        name: "forged_k_fkey".to_owned(),
        columns: vec![ColumnId(0)],
        parent: def.id,
        referenced: vec![ColumnId(0)],
        index: IndexId(50),
        full: false,
        on_delete: ForeignAction::NoAction,
        on_update: ForeignAction::NoAction,
        deferral: Default::default(),
        not_valid: false,
        set_columns: Vec::new(),
    };
    def.foreign_keys = vec![key; keys];
    CatalogChange::CreateTable(def)
}

#[test]
fn a_frame_that_does_not_fit_is_an_error_whoever_wrote_it() {
    // The checksums are right, what they cover is impossible.
    use crate::ids::{ColumnId, IndexId, Lsn, RowId, TableId, Timestamp};
    use crate::value::ValueRef;
    use crate::wal::FrameBuilder;
    use crate::wal::frame::Stamp;
    type Forge = fn(&mut FrameBuilder, TableId);
    let forgeries: [Forge; 10] = [
        |frame, _| frame.insert(TableId(99), RowId(0), []),
        |frame, table| frame.insert(table, RowId(u64::MAX), []),
        |frame, table| frame.insert(table, RowId(9), [(ColumnId(0), ValueRef::Text("one"))]),
        |frame, table| frame.insert(table, RowId(9), [(ColumnId(77), ValueRef::Null)]),
        |frame, table| frame.update(table, RowId(900), [(ColumnId(0), ValueRef::BigInt(1))]),
        |frame, table| frame.delete(table, RowId(1 << 40)),
        |frame, _| frame.catalog(&crate::catalog::CatalogChange::DropIndex(IndexId(88))),
        |frame, _| frame.catalog(&crate::catalog::CatalogChange::DropTable(TableId(99))),
        |frame, _| frame.catalog(&refers_to_nothing(1)),
        |frame, _| frame.catalog(&refers_to_nothing(2)),
    ];
    for (at, forge) in forgeries.into_iter().enumerate() {
        let medium = database(false);
        let path = last_segment(&medium);
        let bytes = read(&medium, &path);
        let header = crate::wal::segment::SegmentHeader::decode(&path, &bytes).unwrap();
        let (store, _) = open(medium.crashed()).unwrap();
        let (table, timestamp) = {
            let catalog = store.catalog();
            (catalog.table("t").unwrap().def.id, COMMITS as u64 + 2)
        };
        let mut frame = FrameBuilder::new();
        forge(&mut frame, table);
        let lsn = Lsn(header.first.0 + (bytes.len() - SEGMENT_HEADER_LEN) as u64);
        let stamp = Stamp {
            durable: lsn,
            timestamp: Timestamp(timestamp),
            timeline: header.timeline,
        };
        let sealed = frame.seal(lsn, stamp);
        let file = medium.open(&path).unwrap();
        file.write_at(bytes.len() as u64, sealed).unwrap();
        let error = reopen(&medium).expect_err("a forgery");
        assert!(
            matches!(error, Error::Corrupt { .. }),
            "forgery {at}: {error}"
        );
    }
}
