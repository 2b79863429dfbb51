//! The file system as it is: two processes on one directory, a directory that may not be written, a disk that takes
//! no more. What the simulated disk is told to do in the crash lab, a real one does here.
#![cfg(target_os = "linux")]

mod common;

use common::{Run, prepare, remora};
use remora_tests::machine::{ANSWER_TIME_MAX, Machine, executable};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_remora");
const COUNT: &str = "SELECT count(*) FROM t";
/// Somebody who owns nothing.
const NOBODY: u32 = 65_534;

/// A database of three rows, one of them behind a checkpoint.
fn database() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("db");
    prepare(
        &directory,
        "CREATE TABLE t (k INT PRIMARY KEY); INSERT INTO t VALUES (1), (2);\n\
         CHECKPOINT;\nINSERT INTO t VALUES (3);\n",
    );
    (folder, directory)
}

/// All files below a directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => {
                let bytes = fs::read(&path).expect("readable");
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn count(directory: &Path) -> Value {
    let mut machine = Machine::start(Path::new(BINARY), directory).expect("it opens");
    let rows = machine.query(COUNT).expect("it answers");
    machine.finish().expect("it ends well");
    rows[0][0].clone()
}

/// What becomes of a statement: nothing, or its SQLSTATE.
fn answer(machine: &mut Machine, sql: &str) -> Option<String> {
    machine.send("a", sql).expect("it reads");
    let answer = machine
        .answer(ANSWER_TIME_MAX)
        .expect("it lives")
        .expect("in time");
    let state = &answer["sqlstate"];
    let state = state.as_str().map(str::to_owned);
    assert_eq!(state.is_none(), answer["ok"] == true, "{answer}");
    state
}

fn refused(run: &Run, sqlstate: &str) {
    assert_eq!((run.code, run.out.as_str()), (3, ""), "{run:?}");
    assert!(run.err.contains(&format!("ERROR {sqlstate}: ")), "{run:?}");
}

/// The first one has it; the second is told so, and leaves every byte as it is.
#[test]
fn a_directory_belongs_to_one_process() {
    let (_folder, directory) = database();
    let mut first = Machine::start(Path::new(BINARY), &directory).expect("it opens");
    assert_eq!(first.query(COUNT).expect("it answers")[0], json!([3]));
    let before = files(&directory);
    let path = directory.to_str().expect("a plain path");
    refused(&remora([path, "-c", COUNT]), "55006");
    refused(&remora(["verify", path]), "55006");
    refused(&remora(["restore", path, "1"]), "55006");
    assert!(files(&directory) == before, "it was touched");
    assert_eq!(answer(&mut first, "INSERT INTO t VALUES (4)"), None);
    first.kill().expect("killed");
    assert_eq!(count(&directory), 4, "the dead keep no lock");
}

/// Sets the permissions of all that is below a directory, and its own.
fn permit(directory: &Path, folders: u32, others: u32) {
    for file in files(directory).keys() {
        fs::set_permissions(file, Permissions::from_mode(others)).expect("they are ours");
        let folder = file.parent().expect("it has one");
        fs::set_permissions(folder, Permissions::from_mode(folders)).expect("they are ours");
    }
    fs::set_permissions(directory, Permissions::from_mode(folders)).expect("it is ours");
}

/// Runs the program as somebody who may not write there: as ourselves, or as nobody where we may do anything.
fn remora_without_rights(folder: &Path, directory: &Path) -> Run {
    let probe = directory.join("probe");
    let may_do_anything = fs::write(&probe, b"").is_ok();
    let mut command = Command::new(BINARY);
    if may_do_anything {
        fs::remove_file(&probe).expect("it was just made");
        // What we may execute nobody need be able to see.
        let copy = folder.join("remora");
        executable(&copy, File::open(BINARY).expect("it is there")).expect("a copy");
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
        command = Command::new(copy);
        command.uid(NOBODY).gid(NOBODY);
    }
    command.arg(directory).args(["-c", COUNT]);
    command.output().expect("it runs").into()
}

/// Nothing is written, and the error says what could not be; with the rights it is all there.
#[test]
fn a_directory_that_may_not_be_written_is_refused() {
    let (folder, directory) = database();
    let before = files(&directory);
    permit(&directory, 0o555, 0o444);
    let run = remora_without_rights(folder.path(), &directory);
    permit(&directory, 0o755, 0o644);
    refused(&run, "58030");
    assert!(files(&directory) == before, "it was touched");
    assert_eq!(count(&directory), 3);
}

/// The next segment of the log comes to lie on a full disk: the checkpoint does without it, and so does what comes
/// then. When there is room for one it begins.
#[test]
fn a_segment_that_finds_no_room_is_done_without() {
    let (_folder, directory) = database();
    let mut machine = Machine::start(Path::new(BINARY), &directory).expect("it opens");
    assert_eq!(answer(&mut machine, "INSERT INTO t VALUES (4)"), None);
    let last = files(&directory.join("wal")).into_keys().last();
    let last = last.expect("the log has a segment");
    let number: u64 = last
        .file_stem()
        .and_then(|stem| stem.to_str()?.parse().ok())
        .expect("segments have numbers");
    let next = last.with_file_name(format!("{:010}.log", number + 1));
    symlink("/dev/full", &next).expect("a link");
    assert_eq!(answer(&mut machine, "CHECKPOINT"), None);
    assert!(!next.exists(), "what could not be made is not there");
    assert_eq!(answer(&mut machine, "INSERT INTO t VALUES (5)"), None);
    machine.kill().expect("killed");
    assert_eq!(count(&directory), 5);
    let mut machine = Machine::start(Path::new(BINARY), &directory).expect("it opens");
    assert_eq!(answer(&mut machine, "INSERT INTO t VALUES (6)"), None);
    assert_eq!(answer(&mut machine, "CHECKPOINT"), None);
    assert!(next.exists());
    machine.finish().expect("it ends well");
    assert_eq!(count(&directory), 6);
}

/// Limits how long files of a process may become; false where the system lacks the command.
fn limit_files(process: &str, bytes: &str) -> bool {
    let limit = format!("--fsize={bytes}");
    let limited = Command::new("prlimit")
        .args(["--pid", process.trim(), &limit])
        .status();
    limited.is_ok_and(|status| status.success())
}

/// Files may not grow any more, in the middle of a stream of commits: that is a full disk. What was acknowledged stays,
/// reads are answered, and when files may grow again, writes go on.
#[test]
fn files_that_may_not_grow_lose_nothing() {
    let (folder, directory) = database();
    let (script, process) = (folder.path().join("run"), folder.path().join("process"));
    // Otherwise the system would kill who writes too much.
    let text = format!(
        "#!/bin/sh\ntrap '' XFSZ\necho $$ > '{}'\nexec '{BINARY}' \"$@\"\n",
        process.display()
    );
    executable(&script, text.as_bytes()).expect("writable");
    let mut machine = Machine::start(&script, &directory).expect("it opens");
    assert_eq!(answer(&mut machine, "INSERT INTO t VALUES (4)"), None);
    let process = fs::read_to_string(&process).expect("it has told its number");
    let log = files(&directory.join("wal"));
    let bytes = log.values().map(Vec::len).max().expect("a segment");
    if !limit_files(&process, &format!("{}:unlimited", bytes.min(2048) + 100)) {
        let mut out = std::io::stderr();
        let _ = std::io::Write::write_all(&mut out, b"not tested: there is no prlimit here\n");
        return;
    }
    let mut acknowledged = 4;
    let refused = (5..1000).find_map(|k| {
        let state = answer(&mut machine, &format!("INSERT INTO t VALUES ({k})"));
        acknowledged += i32::from(state.is_none());
        state
    });
    let unknown = i32::from(refused.as_deref() == Some("08007"));
    assert!(
        unknown == 1 || refused.as_deref() == Some("53100"),
        "{refused:?}"
    );
    let next = answer(&mut machine, "INSERT INTO t VALUES (0)");
    assert_eq!(next.as_deref(), Some("53100"), "the log takes nothing now");
    let found = machine.query(COUNT).expect("reads are answered");
    assert_eq!(found[0], json!([acknowledged]));
    assert!(limit_files(&process, "unlimited:unlimited"));
    assert_eq!(answer(&mut machine, "INSERT INTO t VALUES (0)"), None);
    machine.kill().expect("killed");
    assert_eq!(count(&directory), acknowledged + unknown + 1);
}
