//! `remora verify`, as people and programs run it.

mod common;

use common::{prepare, remora};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn verify(directory: &Path, json: bool) -> (i32, String) {
    let directory = directory.to_str().expect("a plain path");
    let run = match json {
        true => remora(["verify", directory, "--json"]),
        false => remora(["verify", directory]),
    };
    (run.code, run.out + &run.err)
}

#[test]
fn a_directory_is_verified_and_its_damage_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("db");
    prepare(
        &directory,
        "CREATE TABLE fish (n INT); INSERT INTO fish VALUES (1), (2); CHECKPOINT;\n\
         INSERT INTO fish VALUES (3);\n",
    );
    let (code, text) = verify(&directory, false);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("Checkpoint 1: 2 rows."), "{text}");
    assert!(text.contains("Everything is what was written."), "{text}");
    let (code, whole) = verify(&directory, true);
    assert_eq!(code, 0, "{whole}");
    let whole: serde_json::Value = serde_json::from_str(&whole).expect("JSON");
    assert_eq!(whole["ok"], true);
    assert_eq!(whole["root"].as_str().map(str::len), Some(64));

    let data = directory.join("data/0000000001.img");
    let mut bytes = fs::read(&data).expect("a data file");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&data, bytes).expect("damage");
    let (code, text) = verify(&directory, false);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("block 0 of table fish, 2 rows"), "{text}");
    let (code, damaged) = verify(&directory, true);
    assert_eq!(code, 1, "{damaged}");
    let damaged: serde_json::Value = serde_json::from_str(&damaged).expect("JSON");
    assert_eq!(damaged["ok"], false);
    assert_eq!(damaged["damages"][0]["table"], "fish");
    assert_eq!(damaged["root"], whole["root"]);
}

/// Where there is no database, the reason is said: nothing, a file, or an empty directory.
#[test]
fn what_is_no_directory_of_a_database_is_told_apart() {
    let folder = TempDir::new().expect("a temporary folder");
    let missing = folder.path().join("none");
    let (file, empty) = (folder.path().join("file"), folder.path().join("empty"));
    fs::write(&file, "x").expect("a file");
    fs::create_dir(&empty).expect("a directory");
    for (directory, reason) in [
        (&missing, "it does not exist"),
        (&file, "it is a file, not a directory"),
        (&empty, "it is empty"),
    ] {
        let (code, text) = verify(directory, false);
        assert_eq!(code, 3, "{text}");
        assert!(text.contains(reason), "{text}");
        assert!(text.starts_with("ERROR 58P01: "), "{text}");
    }
    for command in [&["checkpoints"][..], &["restore"]] {
        let mut words = command.to_vec();
        let directory = missing.to_str().expect("a plain path");
        words.push(directory);
        if command == ["restore"] {
            words.push("1");
        }
        let run = remora(words);
        assert_eq!(run.code, 3, "{}", run.err);
        assert!(run.err.contains("it does not exist"), "{}", run.err);
    }
    assert!(!missing.exists(), "nothing was made");
}
