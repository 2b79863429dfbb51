//! `remora checkpoints` and `remora restore`, as people and programs run them.

mod common;

use common::{Run, prepare, remora};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A table of one row, whose value is the number of the last checkpoint but for what follows it.
fn database() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("db");
    prepare(
        &directory,
        "CREATE TABLE t (n INT); INSERT INTO t VALUES (1); CHECKPOINT;\n\
         UPDATE t SET n = 2; CHECKPOINT; UPDATE t SET n = 3; CHECKPOINT; UPDATE t SET n = 4;\n",
    );
    (folder, directory)
}

fn run(arguments: &[&str], directory: &Path, rest: &[&str]) -> Run {
    let directory = directory.to_str().expect("a plain path");
    remora([arguments, &[directory], rest].concat())
}

fn n(directory: &Path) -> String {
    let run = run(
        &[],
        directory,
        &["--format", "list", "-c", "SELECT n FROM t"],
    );
    assert_eq!(run.code, 0, "{run:?}");
    run.out.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn checkpoints_are_listed_and_restored() {
    let (_folder, directory) = database();
    let list = run(&["checkpoints"], &directory, &[]);
    assert_eq!(list.code, 0, "{list:?}");
    let lines: Vec<&str> = list.out.lines().collect();
    assert_eq!(lines.len(), 4, "{list:?}");
    assert!(lines[1].trim_start().starts_with("3 "), "{list:?}");
    assert!(lines[1].ends_with("current"), "{list:?}");
    assert!(lines[2].contains(" command "), "{list:?}");

    let restored = run(&["restore"], &directory, &["2"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert!(
        restored.out.contains("as checkpoint 5 on timeline 2"),
        "{restored:?}"
    );
    assert_eq!(n(&directory), "2");

    let json = run(&["checkpoints"], &directory, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    let one = |at: usize, name: &str| json["checkpoints"][at][name].clone();
    assert_eq!(one(0, "number"), 5);
    assert_eq!(one(0, "current"), true);
    assert_eq!(one(0, "restored_from"), 2);
    assert_eq!(one(1, "reason"), "restore");
    assert_eq!(one(1, "rows"), 1);
    assert_eq!(json["damaged"].as_array().map(Vec::len), Some(0));

    let restored = run(&["restore"], &directory, &["4"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert_eq!(n(&directory), "4", "what was there before came back");
}

#[test]
fn what_cannot_be_restored_is_an_error_and_a_code() {
    let (folder, directory) = database();
    let missing = run(&["restore"], &directory, &["77"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(
        missing
            .err
            .contains("ERROR 42704: checkpoint 77 does not exist"),
        "{missing:?}"
    );
    let nowhere = run(&["restore"], folder.path(), &["1"]);
    assert_eq!(nowhere.code, 3, "{nowhere:?}");
    assert!(nowhere.err.contains("58P01"), "{nowhere:?}");
    let nowhere = run(&["checkpoints"], &folder.path().join("nothing"), &[]);
    assert_eq!(nowhere.code, 3, "{nowhere:?}");
    let usage = run(&["restore"], &directory, &["two"]);
    assert_eq!(usage.code, 2, "{usage:?}");
    assert_eq!(n(&directory), "4");
}
