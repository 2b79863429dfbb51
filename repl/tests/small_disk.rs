//! A small file system that fills: the program on a tmpfs of a few MiB, in a mount namespace of its own. Needs root, or a
//! system that lets users have namespaces; where there is neither it says so and tests nothing.
#![cfg(target_os = "linux")]

use remora_tests::machine::{ANSWER_TIME_MAX, Machine, executable};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_remora");
const SESSIONS: usize = 8;

/// A tmpfs that only those see who enter its namespace. Dropped, it is gone.
struct SmallDisk {
    holder: Child,
    enter: Vec<String>,
    folder: TempDir,
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl SmallDisk {
    /// Mounts one, if that may be done.
    fn mount() -> Option<Self> {
        let ways = [(&["-m"][..], &["-m"][..]), (&["-Urm"], &["-U", "-m"])];
        ways.into_iter()
            .find_map(|(unshare, enter)| Self::mount_in(unshare, enter))
    }

    fn mount_in(unshare: &[&str], enter: &[&str]) -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let disk = folder.path().join("disk");
        fs::create_dir(&disk).expect("a folder");
        let script = "mount -t tmpfs -o size=3m none \"$1\" && echo mounted && exec cat";
        let mut holder = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", script, "sh"])
            .arg(&disk)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let said = holder.stdout.take().expect("a pipe");
        let _ = BufReader::new(said).read_line(&mut line);
        let mut into = vec!["-t".to_owned(), holder.id().to_string()];
        into.extend(enter.iter().map(|&word| word.to_owned()));
        if enter.len() > 1 {
            into.push("--preserve-credentials".to_owned());
        }
        let small = Self {
            holder,
            enter: into,
            folder,
        };
        let is_there = small.run(["true"]).is_some_and(|run| run.status.success());
        (line.trim() == "mounted" && is_there).then_some(small)
    }

    /// Runs a command that sees the file system.
    fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Option<Output> {
        let command = Command::new("nsenter")
            .args(&self.enter)
            .args(command)
            .stdin(Stdio::null())
            .output();
        command.ok()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("disk").join(name)
    }

    /// A program that is `remora`, and sees the file system.
    fn program(&self) -> PathBuf {
        let script = self.folder.path().join("remora");
        let words: Vec<String> = self.enter.iter().map(|word| format!("'{word}'")).collect();
        let text = format!(
            "#!/bin/sh\nexec nsenter {} '{BINARY}' \"$@\"\n",
            words.join(" ")
        );
        executable(&script, text.as_bytes()).expect("writable");
        script
    }

    /// Takes all room but a few KiB.
    fn fill(&self) {
        let (filler, small) = (self.path("filler"), self.path("small"));
        let script = "dd if=/dev/zero of=\"$2\" bs=4k count=4 2>/dev/null; \
             dd if=/dev/zero of=\"$1\" bs=4k 2>/dev/null; rm \"$2\"";
        let [filler, small] = [&filler, &small].map(|path| path.to_str().expect("plain"));
        self.run(["sh", "-c", script, "sh", filler, small]);
    }

    fn clear(&self) {
        let filler = self.path("filler");
        let removed = self.run(["rm", filler.to_str().expect("plain")]);
        assert!(removed.is_some_and(|run| run.status.success()));
    }
}

/// Knowledge of the sessions.
#[derive(Default)]
struct Known {
    next: i64,
    acknowledged: i64,
    unknown: i64,
    refused: i64,
}

fn answer(machine: &mut Machine, session: usize, sql: &str) -> Value {
    machine.send(&format!("s{session}"), sql).expect("it reads");
    let answer = machine.answer(ANSWER_TIME_MAX).expect("it lives");
    answer.expect("in time")
}

/// One row of some length.
fn insert(machine: &mut Machine, session: usize, known: &mut Known) -> bool {
    known.next += 1;
    // Digits of a root do not become shorter.
    let text: String = (0..90)
        .map(|n| f64::from(known.next as i32 * 100 + n).sqrt().to_string())
        .collect();
    let sql = format!("INSERT INTO t VALUES ({}, '{text}')", known.next);
    let answer = answer(machine, session, &sql);
    match answer["sqlstate"].as_str() {
        None => known.acknowledged += 1,
        Some("08007") => known.unknown += 1,
        Some("53100") => {
            known.refused += 1;
            let text = answer.to_string();
            assert!(text.contains("bytes were to be written") && text.contains("Check free disk"));
        }
        Some(_) => panic!("{answer}"),
    }
    answer["ok"] == true
}

/// The sessions write in turn until each was refused; then all of them read what is durable.
fn write_until_full(machine: &mut Machine, known: &mut Known) {
    let before = known.refused;
    for n in 0.. {
        assert!(n < 20_000, "the disk is full some day");
        insert(machine, n % SESSIONS, known);
        if known.refused - before >= SESSIONS as i64 {
            break;
        }
    }
    for session in 0..SESSIONS {
        assert_eq!(count(machine, session), known.acknowledged);
    }
    assert_eq!(answer(machine, 0, "CHECKPOINT")["sqlstate"], "53100");
}

fn count(machine: &mut Machine, session: usize) -> i64 {
    let answer = answer(
        machine,
        session,
        "SELECT count(*), count(DISTINCT k) FROM t",
    );
    let row = &answer["rows"][0];
    assert_eq!(row[0], row[1], "{answer}");
    row[0].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn a_small_file_system_that_fills_loses_nothing_and_goes_on() {
    let Some(disk) = SmallDisk::mount() else {
        let mut out = std::io::stderr().lock();
        let _ = std::io::Write::write_all(
            &mut out,
            b"not tested: neither root nor a namespace of its own may mount a tmpfs here\n",
        );
        return;
    };
    let (program, directory) = (disk.program(), disk.path("db"));
    let mut machine = Machine::start(&program, &directory).expect("it opens");
    let table = "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT)";
    assert_eq!(answer(&mut machine, 0, table)["ok"], true);
    let mut known = Known::default();
    for n in 0..40 {
        assert!(insert(&mut machine, n % SESSIONS, &mut known));
    }
    for _ in 0..2 {
        disk.fill();
        write_until_full(&mut machine, &mut known);
        disk.clear();
        for session in 0..SESSIONS {
            assert!(insert(&mut machine, session, &mut known), "there is room");
        }
        // What was unknown is there now.
        (known.acknowledged, known.unknown) = (known.acknowledged + known.unknown, 0);
        assert_eq!(count(&mut machine, 3), known.acknowledged);
    }
    disk.fill();
    write_until_full(&mut machine, &mut known);
    machine.kill().expect("killed");
    reopened(&disk, &program, &directory, &mut known);
}

/// The disk is still full when the next process comes: it reads, is refused what it writes, says so with its exit code,
/// and goes on when there is room.
fn reopened(disk: &SmallDisk, program: &Path, directory: &Path, known: &mut Known) {
    let run = |sql: &str| {
        let run = Command::new(program)
            .arg(directory)
            .args(["-c", sql])
            .output()
            .expect("it runs");
        let out = String::from_utf8_lossy(&run.stdout).into_owned();
        let err = String::from_utf8_lossy(&run.stderr).into_owned();
        (run.status.code(), out, err)
    };
    let (code, out, err) = run("SELECT count(*) FROM t");
    assert_eq!(code, Some(0), "{out}{err}");
    let found: i64 = out
        .lines()
        .last()
        .expect("a row")
        .parse()
        .expect("a number");
    assert!((known.acknowledged..=known.acknowledged + known.unknown).contains(&found));
    (known.acknowledged, known.unknown) = (found, 0);
    let long = "INSERT INTO t SELECT -i, md5(i::text) || sha256(i::text::bytea)::text \
         FROM generate_series(1, 20000) AS s (i)";
    let (code, _, err) = run(long);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("08007") || err.contains("53100"), "{err}");
    let mut machine = Machine::start(program, directory).expect("it opens");
    assert_eq!(
        count(&mut machine, 0),
        known.acknowledged,
        "it was lost with its process"
    );
    write_until_full(&mut machine, known);
    disk.clear();
    assert!(insert(&mut machine, 1, known), "there is room");
    known.acknowledged += known.unknown;
    assert_eq!(count(&mut machine, 2), known.acknowledged);
    assert_eq!(answer(&mut machine, 0, "CHECKPOINT")["ok"], true);
    machine.finish().expect("it ends well");
    let (code, out, _) = run("SELECT count(*) FROM t");
    assert_eq!(
        (code, out.lines().last()),
        (Some(0), Some(&*known.acknowledged.to_string()))
    );
}
