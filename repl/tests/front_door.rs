//! Directories that are not as they should be, met through the program's front door: exit code 3
//! and an error that says which file and where, and never a database with rows missing.

mod common;

use common::{Run, prepare, remora};
use remora_tests::machine::Machine;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ROWS: usize = 200;

/// A database of 200 rows, each committed by itself.
fn database(checkpoint: bool) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("db");
    let mut script = "CREATE TABLE t (k INT PRIMARY KEY, v TEXT);\n".to_owned();
    for k in 0..ROWS {
        script.push_str(&format!("INSERT INTO t VALUES ({k}, 'row number {k}');\n"));
    }
    if checkpoint {
        script.push_str("CHECKPOINT;\n");
    }
    prepare(&directory, &script);
    (folder, directory)
}

fn open(directory: &Path) -> Run {
    let directory = directory.to_str().expect("a plain path");
    remora([directory, "-c", "SELECT count(*), count(v) FROM t"])
}

/// The largest file below a folder of the database.
fn largest(directory: &Path, folder: &str) -> PathBuf {
    let files = fs::read_dir(directory.join(folder)).expect("the folder is there");
    let files = files.map(|entry| entry.expect("readable").path());
    let size = |path: &PathBuf| fs::metadata(path).expect("readable").len();
    files.max_by_key(size).expect("a file")
}

fn manifest(directory: &Path) -> PathBuf {
    directory.join("MANIFEST")
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("readable");
    bytes[at] ^= 0x20;
    fs::write(file, bytes).expect("writable");
}

/// The opening failed and named the file and a place in it.
fn refused(run: &Run, sqlstate: &str, file: &Path) {
    let name = file.file_name().expect("a file").to_string_lossy();
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.err.starts_with(&format!("ERROR {sqlstate}: ")),
        "{run:?}"
    );
    assert!(run.err.contains(&*name), "{run:?} does not name {name}");
    assert!(run.err.contains("at byte "), "{run:?} names no place");
    assert_eq!(run.out, "");
}

#[test]
fn a_flipped_byte_in_the_middle_of_the_log() {
    let (_folder, directory) = database(false);
    let file = largest(&directory, "wal");
    flip(
        &file,
        fs::metadata(&file).expect("readable").len() as usize / 2,
    );
    refused(&open(&directory), "XX001", &file);
    // Nothing was repaired, deleted or forgotten behind the user's back.
    refused(&open(&directory), "XX001", &file);
}

#[test]
fn a_flipped_byte_in_an_image() {
    let (_folder, directory) = database(true);
    let file = largest(&directory, "data");
    flip(
        &file,
        fs::metadata(&file).expect("readable").len() as usize / 2,
    );
    refused(&open(&directory), "XX001", &file);
}

#[test]
fn a_flipped_byte_in_the_manifest() {
    let (_folder, directory) = database(true);
    let file = manifest(&directory);
    flip(
        &file,
        fs::metadata(&file).expect("readable").len() as usize / 2,
    );
    refused(&open(&directory), "XX001", &file);
}

#[test]
fn a_missing_image() {
    let (_folder, directory) = database(true);
    let file = largest(&directory, "data");
    fs::remove_file(&file).expect("removable");
    let run = open(&directory);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.err
            .contains(&*file.file_name().expect("a file").to_string_lossy()),
        "{run:?}"
    );
}

#[test]
fn a_log_cut_in_a_frame_is_an_error_or_a_reported_loss() {
    let (_folder, directory) = database(false);
    let file = largest(&directory, "wal");
    let bytes = fs::read(&file).expect("readable");
    // As after a crash: the last frame was under way, and nothing says that it was ever durable.
    fs::write(&file, &bytes[..bytes.len() / 2 + 1]).expect("writable");
    let run = open(&directory);
    let name = file
        .file_name()
        .expect("a file")
        .to_string_lossy()
        .into_owned();
    assert!(run.code == 3 || run.err.contains("dropped"), "{run:?}");
    assert!(run.err.contains(&name), "{run:?} does not name {name}");
}

#[test]
fn a_directory_that_is_not_a_database() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("letter.txt"), "Dear Ann").expect("writable");
    let run = open(folder.path());
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.err.starts_with("ERROR 58P01: "), "{run:?}");
    assert!(run.err.contains("is not a Remora database"), "{run:?}");
    let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(left.len(), 1, "the directory was left as it was");
}

#[test]
fn a_file_where_the_directory_should_be() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("letter.txt");
    fs::write(&file, "Dear Ann").expect("writable");
    let run = open(&file);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.err.contains("letter.txt"), "{run:?}");
}

#[test]
fn a_second_process_on_the_same_directory() {
    let (_folder, directory) = database(false);
    let mut first =
        Machine::start(Path::new(env!("CARGO_BIN_EXE_remora")), &directory).expect("it starts");
    assert_eq!(
        first.query("SELECT count(*) FROM t").expect("rows").len(),
        1
    );
    let run = open(&directory);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.err.starts_with("ERROR 55006: "), "{run:?}");
    assert!(run.err.contains("in use by another process"), "{run:?}");
    first.finish().expect("the first ends well");
    let run = open(&directory);
    assert_eq!(
        (run.code, run.out.as_str()),
        (0, "count,count\n200,200\n"),
        "{}",
        run.err
    );
}

#[test]
fn wherever_a_byte_is_flipped_rows_are_never_missing_in_silence() {
    for checkpoint in [false, true] {
        let (_folder, directory) = database(checkpoint);
        let mut files = vec![manifest(&directory), largest(&directory, "wal")];
        if checkpoint {
            files.push(largest(&directory, "data"));
        }
        for file in files {
            let whole = fs::read(&file).expect("readable");
            for step in 0..24 {
                flip(&file, step * (whole.len() - 1) / 23);
                let copy = copy(&directory);
                let run = open(&copy.path().join("db"));
                let intact = run.code == 0 && run.out == "count,count\n200,200\n";
                let told = run.code == 3 && run.err.starts_with("ERROR ");
                let place = format!("{}, step {step}: {run:?}", file.display());
                assert!(intact || told || run.err.contains("dropped"), "{place}");
                fs::write(&file, &whole).expect("writable");
            }
        }
    }
}

/// Opening a damaged directory may write to it: each try gets its own.
fn copy(directory: &Path) -> TempDir {
    let to = TempDir::new().expect("a temporary folder");
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        fs::create_dir_all(to.path().join("db").join(&folder)).expect("writable");
        for entry in fs::read_dir(directory.join(&folder)).expect("readable") {
            let entry = entry.expect("readable");
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                fs::copy(entry.path(), to.path().join("db").join(path)).expect("copied");
            }
        }
    }
    to
}
