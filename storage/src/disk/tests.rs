//! Both disks keep the same promises; the one in memory also shows what a crash leaves.

use super::*;
use proptest::prelude::*;

/// Runs a story on a real directory and in memory.
fn on_both(story: impl Fn(&dyn Disk)) {
    let directory = tempfile::tempdir().unwrap();
    story(&RealDisk::new(directory.path()));
    story(&SimDisk::new());
}

fn contents(disk: &dyn Disk, path: &str) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize + 10];
    let read = file.read_at(0, &mut bytes).unwrap();
    bytes.truncate(read);
    bytes
}

#[test]
fn bytes_are_read_where_they_were_written() {
    on_both(|disk| {
        let file = disk.create("a").unwrap();
        file.write_at(3, b"shark").unwrap();
        file.write_at(0, b"x").unwrap();
        assert_eq!(contents(disk, "a"), b"x\0\0shark");
        let mut two = [9; 4];
        assert_eq!(file.read_at(6, &mut two).unwrap(), 2, "to the end");
        assert_eq!(two, [b'r', b'k', 9, 9]);
        assert_eq!(file.read_at(100, &mut two).unwrap(), 0, "beyond it");
        file.truncate(5).unwrap();
        file.truncate(7).unwrap();
        assert_eq!(contents(disk, "a"), b"x\0\0sh\0\0");
        file.sync().unwrap();
        assert_eq!(disk.create("a").unwrap().len().unwrap(), 0, "emptied");
    });
}

#[test]
fn names_come_go_and_change() {
    on_both(|disk| {
        disk.create_folder("").unwrap();
        disk.create_folder("data/old").unwrap();
        disk.create_folder("data").unwrap();
        assert_eq!(disk.list("wal").unwrap(), Vec::<String>::new());
        for name in ["data/b", "data/a", "data/old/c", "top"] {
            disk.create(name)
                .unwrap()
                .write_at(0, name.as_bytes())
                .unwrap();
        }
        assert_eq!(disk.list("data").unwrap(), ["a", "b", "old"]);
        assert_eq!(disk.list("").unwrap(), ["data", "top"]);
        disk.rename("data/a", "data/b").unwrap();
        assert!(!disk.exists("data/a").unwrap());
        assert_eq!(contents(disk, "data/b"), b"data/a");
        disk.sync_dir("data").unwrap();
        disk.remove("data/b").unwrap();
        assert!(!disk.exists("data/b").unwrap());
    });
}

#[test]
fn refusals_name_operation_and_path() {
    on_both(|disk| {
        let text = |error: Error| {
            assert_eq!(error.sqlstate(), "58030");
            error.to_string()
        };
        let missing = text(disk.open("nowhere").unwrap_err());
        assert!(missing.starts_with("cannot open "), "{missing}");
        assert!(missing.contains("nowhere:"), "{missing}");
        text(disk.create("no/folder").unwrap_err());
        text(disk.remove("nowhere").unwrap_err());
        text(disk.rename("nowhere", "somewhere").unwrap_err());
        for path in ["../out", "/etc/passwd", "a/../../b"] {
            let outside = text(disk.create(path).unwrap_err());
            assert!(outside.contains("leads out of"), "{outside}");
        }
    });
}

#[test]
fn a_second_taker_of_the_lock_is_told_so() {
    on_both(|disk| {
        let held = disk.lock("LOCK").unwrap();
        let refused = disk.lock("LOCK").map(|_| ()).unwrap_err();
        assert_eq!(refused.sqlstate(), "55006");
        drop(held);
        disk.lock("LOCK").unwrap();
    });
}

#[test]
fn an_offset_beyond_all_files_is_an_error() {
    on_both(|disk| {
        let file = disk.create("a").unwrap();
        assert!(file.write_at(u64::MAX - 1, b"abc").is_err());
        assert!(file.write_at(i64::MAX as u64, b"abc").is_err());
        assert!(file.truncate(u64::MAX).is_err());
        assert_eq!(file.len().unwrap(), 0);
    });
}

/// A file that may not be written is still read; writing it is an error, not a panic.
#[test]
fn a_read_only_file_is_opened_for_reading() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(directory.path());
    disk.create("a").unwrap().write_at(0, b"x").unwrap();
    let permissions = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(directory.path().join("a"), permissions).unwrap();
    assert_eq!(contents(&disk, "a"), b"x");
    // The superuser may write all the same.
    let _ = disk.open("a").unwrap().write_at(0, b"y");
}

#[test]
fn a_database_directory_is_made_with_those_above_it() {
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(directory.path().join("one/two"));
    assert_eq!(disk.list("").unwrap(), Vec::<String>::new());
    disk.create_folder("").unwrap();
    disk.create_folder("wal").unwrap();
    assert!(directory.path().join("one/two/wal").is_dir());
}

/// The classic mistakes of durable code, each of which a crash turns into loss.
#[test]
fn a_crash_takes_what_was_not_synced() {
    let disk = SimDisk::new();
    let file = disk.create("a").unwrap();
    file.write_at(0, b"one").unwrap();
    file.sync().unwrap();
    assert!(
        !disk.crashed().exists("a").unwrap(),
        "the name was not synced"
    );
    disk.sync_dir("").unwrap();
    assert_eq!(contents(&disk.crashed(), "a"), b"one");

    file.write_at(1, b"pen-ended").unwrap();
    file.truncate(2).unwrap();
    assert_eq!(contents(&disk.crashed(), "a"), b"one", "unsynced bytes");

    disk.rename("a", "b").unwrap();
    let crashed = disk.crashed();
    assert_eq!(contents(&crashed, "a"), b"one", "the rename was not synced");
    assert!(!crashed.exists("b").unwrap());
    disk.sync_dir("").unwrap();
    let crashed = disk.crashed();
    assert_eq!(crashed.list("").unwrap(), ["b"]);
    crashed.lock("LOCK").unwrap();
    assert_eq!(contents(&disk, "b"), b"op", "the disk itself goes on");
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    Truncate(u64),
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..60_u64, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(o, b)| Step::Write(o, b)),
        (0..60_u64).prop_map(Step::Truncate),
        Just(Step::Sync),
    ]
}

proptest! {
    #[test]
    fn a_crash_leaves_the_last_sync(steps in prop::collection::vec(step(), 0..40)) {
        let directory = tempfile::tempdir().unwrap();
        let real = RealDisk::new(directory.path()).create("a").unwrap();
        let disk = SimDisk::new();
        let file = disk.create("a").unwrap();
        disk.sync_dir("").unwrap();
        let mut synced = Vec::new();
        for step in steps {
            match step {
                Step::Write(offset, bytes) => {
                    file.write_at(offset, &bytes).unwrap();
                    real.write_at(offset, &bytes).unwrap();
                }
                Step::Truncate(len) => {
                    file.truncate(len).unwrap();
                    real.truncate(len).unwrap();
                }
                Step::Sync => {
                    file.sync().unwrap();
                    synced = contents(&disk, "a");
                }
            }
            prop_assert_eq!(contents(&disk.crashed(), "a"), synced.clone());
            prop_assert_eq!(contents(&disk, "a"), contents(&RealDisk::new(directory.path()), "a"));
        }
    }
}

/// A log that grows: the torn tail is a part of some writes, in any order, over what was synced.
#[test]
fn unsynced_writes_may_survive_in_part() {
    let disk = SimDisk::new();
    let file = disk.create("log").unwrap();
    disk.sync_dir("").unwrap();
    file.write_at(0, b"aaaa").unwrap();
    file.sync().unwrap();
    file.write_at(4, b"bbbbbb").unwrap();
    file.write_at(10, b"cccccc").unwrap();
    let medium = disk.medium();
    let loose = medium.loose(Tear::Byte);
    // The second write is lost, the third arrives in part.
    let last: Vec<usize> = (0..loose.len())
        .filter(|at| matches!(&loose[*at], Loose::Piece { change: 1, part, .. } if part.end <= 2))
        .collect();
    let left = SimDisk::with(&medium.image(&loose, |at| last.contains(&at), false));
    assert_eq!(contents(&left, "log"), b"aaaa\0\0\0\0\0\0cc");
    assert_eq!(contents(&disk.torn(), "log"), b"aaaabb\0\0\0\0cc");
    let all = SimDisk::with(&medium.image(&loose, |_| true, false));
    assert_eq!(contents(&all, "log"), contents(&disk, "log"));

    disk.create("other").unwrap();
    assert_eq!(disk.crashed().list("").unwrap(), ["log"]);
    assert_eq!(disk.torn().list("").unwrap(), ["log", "other"]);
}

#[test]
fn a_failing_sync_fails_once_and_leaves_the_rest_unknown() {
    let disk = SimDisk::new();
    disk.fail(3, Fault::Once(ErrorKind::Other));
    let file = disk.create("a").unwrap();
    disk.sync_dir("").unwrap();
    file.write_at(0, b"x").unwrap();
    assert!(!disk.has_failed());
    assert_eq!(file.sync().unwrap_err().sqlstate(), "58030");
    assert!(disk.has_failed());
    assert_eq!(contents(&disk.crashed(), "a"), b"");
    file.sync().unwrap();
    assert_eq!(
        contents(&disk.crashed(), "a"),
        b"",
        "nobody writes it again"
    );
    file.write_at(0, b"x").unwrap();
    file.sync().unwrap();
    assert_eq!(contents(&disk.crashed(), "a"), b"x");
    assert_eq!(disk.operations(), 7);
}

#[test]
fn a_full_disk_says_so() {
    let disk = SimDisk::new();
    disk.fail(1, Fault::Once(ErrorKind::StorageFull));
    let file = disk.create("a").unwrap();
    assert_eq!(file.write_at(0, b"x").unwrap_err().sqlstate(), "53100");
    file.write_at(0, b"y").unwrap();
    assert_eq!(contents(&disk, "a"), b"y");
}

#[test]
fn without_power_nothing_works() {
    let disk = SimDisk::new();
    disk.fail(1, Fault::PowerLoss);
    let file = disk.create("a").unwrap();
    assert!(file.write_at(0, b"torn").is_err());
    assert!(file.read_at(0, &mut [0]).is_err());
    assert!(file.sync().is_err());
    assert!(disk.list("").is_err());
    assert_eq!(
        contents(&disk.torn(), "a"),
        b"to",
        "the write was on its way"
    );
    disk.mend();
    assert_eq!(contents(&disk, "a"), b"torn", "and only the process ended");
}
