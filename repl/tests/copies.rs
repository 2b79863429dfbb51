//! `.backup` and `.restore`, as people run them, and what becomes of directories that are not as they should
//! be or that somebody has open.

mod common;

use common::{Run, prepare, remora, remora_with};
use remora_tests::machine::{Machine, binary};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder, and a database in it: a table of the rows 1 and 2.
fn database() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("db");
    prepare(
        &directory,
        "CREATE TABLE t (n INT PRIMARY KEY); INSERT INTO t VALUES (1), (2);\n",
    );
    (folder, directory)
}

/// Runs lines on a database in memory.
fn in_memory(script: &str) -> Run {
    remora_with::<&str>([], script.as_bytes())
}

fn on(directory: &Path, script: &str) -> Run {
    remora_with([directory], script.as_bytes())
}

/// The numbers in the table of a directory's database.
fn numbers(directory: &Path) -> String {
    let run = remora([
        directory.as_os_str(),
        "-c".as_ref(),
        "SELECT n FROM t ORDER BY n".as_ref(),
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    run.out.lines().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_backup_is_a_database_and_comes_back_into_memory() {
    let (folder, directory) = database();
    let copy = folder.path().join("deep/copy");
    let run = on(&directory, &format!(".backup {}\n", copy.display()));
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    assert!(run.out.starts_with("2 rows in "), "{run:?}");
    assert_eq!(numbers(&copy), "1 2");

    let (copy, again) = (copy.display(), folder.path().join("again"));
    let run = in_memory(&format!(
        ".restore {copy}\nINSERT INTO t VALUES (3);\nSELECT count(*) FROM t;\n.backup {}\n",
        again.display()
    ));
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    assert!(run.out.starts_with("count\n3\n3 rows in "), "{run:?}");
    assert_eq!(numbers(&again), "1 2 3", "a database in memory has backups");
    assert_eq!(numbers(&directory), "1 2");
}

#[test]
fn a_backup_has_what_was_committed_and_the_transaction_goes_on() {
    let (folder, directory) = database();
    let copy = folder.path().join("copy");
    let run = on(
        &directory,
        &format!(
            "BEGIN; INSERT INTO t VALUES (3);\n.backup {}\nINSERT INTO t VALUES (4); COMMIT;\n",
            copy.display()
        ),
    );
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    assert_eq!(numbers(&copy), "1 2");
    assert_eq!(numbers(&directory), "1 2 3 4");
}

#[test]
fn a_backup_goes_where_nothing_is_in_its_way() {
    let (folder, directory) = database();
    let (_other_folder, other) = database();
    let (full, file) = (folder.path().join("full"), folder.path().join("file"));
    fs::create_dir(&full).expect("a folder");
    fs::write(full.join("letter"), "dear").expect("a file");
    fs::write(&file, "not a folder").expect("a file");
    for (target, state) in [
        (&full, "58P02"),
        (&directory, "58P02"),
        (&other, "58P02"),
        (&file, "58"),
        (&file.join("below"), "58"),
    ] {
        let run = on(&directory, &format!(".backup {}\n", target.display()));
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.err.starts_with(&format!("ERROR {state}")), "{run:?}");
    }
    assert_eq!(fs::read(full.join("letter")).expect("a file"), b"dear");
    assert_eq!(fs::read(&file).expect("a file"), b"not a folder");
    assert_eq!(
        (numbers(&directory), numbers(&other)),
        ("1 2".into(), "1 2".into())
    );
    let run = on(&directory, ".backup\n");
    assert_eq!(run.code, 1, "{run:?}");
}

#[cfg(unix)]
#[test]
fn a_backup_where_one_may_not_write_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, directory) = database();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).expect("permissions");
    if fs::write(closed.join("mine"), "").is_ok() {
        // Nothing is closed to the administrator.
        return;
    }
    for target in [closed.join("copy"), closed] {
        let run = on(&directory, &format!(".backup {}\n", target.display()));
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.err.starts_with("ERROR 58030"), "{run:?}");
    }
    assert_eq!(numbers(&directory), "1 2");
}

#[test]
fn what_cannot_be_restored_leaves_what_is_there() {
    let (folder, directory) = database();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let script = |target: &Path| {
        format!(
            "CREATE TABLE t (n INT); INSERT INTO t VALUES (7);\n.restore {}\nSELECT n FROM t;\n",
            target.display()
        )
    };
    for target in [empty.as_path(), &folder.path().join("none"), folder.path()] {
        let run = in_memory(&script(target));
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.err.starts_with("ERROR 58P01"), "{run:?}");
        assert_eq!(run.out, "n\n7\n", "{run:?}");
    }
    assert_eq!(fs::read_dir(&empty).expect("a folder").count(), 0);
    // A database in a directory is not replaced.
    let (_other_folder, other) = database();
    let run = on(&other, &format!(".restore {}\n", directory.display()));
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.err.starts_with("ERROR 22023"), "{run:?}");
}

#[test]
fn a_transaction_ends_with_the_database_that_a_restored_one_replaces() {
    let (_folder, directory) = database();
    let run = in_memory(&format!(
        "CREATE TABLE t (n INT);\nBEGIN; INSERT INTO t VALUES (7);\n.restore {}\n\
         SELECT count(*) FROM t;\nINSERT INTO t VALUES (3);\nROLLBACK;\nSELECT count(*) FROM t;\n",
        directory.display()
    ));
    assert!(run.out.ends_with("count\n2\ncount\n3\n"), "{run:?}");
    assert_eq!(numbers(&directory), "1 2", "it was copied into memory");
}

/// One process has the database open; what others may do with it.
#[test]
fn who_comes_second_may_list_checkpoints_and_nothing_else() {
    let (folder, directory) = database();
    let mut first = Machine::start(&binary().expect("the program"), &directory).expect("started");
    first.query("SELECT n FROM t").expect("an answer");
    let path = directory.to_str().expect("a plain path");
    for command in [
        vec!["verify", path],
        vec!["restore", path, "0"],
        vec![path, "-c", "SELECT 1"],
    ] {
        let run = remora(command);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.err.starts_with("ERROR 55006"), "{run:?}");
    }
    let run = in_memory(&format!(".restore {path}\n"));
    assert!(run.err.starts_with("ERROR 55006"), "{run:?}");
    let list = remora(["checkpoints", path]);
    assert_eq!(list.code, 0, "{list:?}");
    // It is not in his way, and he can be copied by himself.
    let copy = folder.path().join("copy");
    first.query("INSERT INTO t VALUES (3)").expect("an answer");
    first.finish().expect("ended");
    let run = on(&directory, &format!(".backup {}\n", copy.display()));
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(numbers(&copy), "1 2 3");
}

#[test]
fn damage_in_a_checkpoint_is_listed_and_not_restored() {
    let (_folder, directory) = database();
    prepare(
        &directory,
        "CHECKPOINT; INSERT INTO t VALUES (3); CHECKPOINT;\n",
    );
    fs::write(directory.join("MANIFEST.1"), "nonsense").expect("damage");
    let path = directory.to_str().expect("a plain path");
    let list = remora(["checkpoints", path]);
    assert_eq!(list.code, 1, "{list:?}");
    assert!(
        list.out.contains("damaged: ") && list.out.contains("MANIFEST.1"),
        "{list:?}"
    );
    let restored = remora(["restore", path, "1"]);
    assert_eq!(restored.code, 3, "{restored:?}");
    assert!(restored.err.starts_with("ERROR XX001"), "{restored:?}");
    assert_eq!(remora(["verify", path]).code, 1);
    assert_eq!(numbers(&directory), "1 2 3");
}
