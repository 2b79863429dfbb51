//! Directories of every format that was ever written are opened, and hold what was put into them.

use remora::{Connection, Database};
use remora_tests::session::run;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What `make.sql` says, counted and computed by hand.
const EXPECTED: [(&str, &[&str]); 6] = [
    (
        "SELECT count(*), sum(id), sum(ticket), count(price) FROM fish",
        &["38|784|1126|35"],
    ),
    (
        "SELECT id, small, whole, price, loose, ratio, alive, name, raw, caught, fed, seen, logged, age, tag, \
         ticket, keeper FROM fish WHERE id IN (2, 40) ORDER BY id",
        &[
            "2|2|2000|2.25|0.002|2.5|t|fish 2|\\xdeadbeef02|2026-01-03|08:02:00|2026-01-01 00:00:02|\
             2026-01-01 00:00:02+00|1 mon 2 days|123e4567-e89b-12d3-a456-426614174002|11|3",
            "40|5|40000|99.99|0.0040|NULL|t|the last fish|\\xdeadbeef28|2026-01-13|08:40:00|2026-01-01 00:00:40|\
             2026-01-01 00:00:40+00|1 mon 40 days|123e4567-e89b-12d3-a456-426614174040|49|2",
        ],
    ),
    ("SELECT id FROM fish WHERE name = 'fish 31'", &["31"]),
    (
        "SELECT id FROM fish WHERE tag = '123e4567-e89b-12d3-a456-426614174007'",
        &["7"],
    ),
    ("SELECT count(*) FROM living", &["20"]),
    (
        "SELECT id, name, wing FROM keeper ORDER BY id",
        &["1|Ada|north", "2|Bob|north", "3|Cy|north", "4|Dee|south"],
    ),
];

/// What is there besides where files have feature 4: the rows of a large transaction, in a run of frames.
const EXPECTED_OF_RUNS: [(&str, &[&str]); 2] = [
    (
        "SELECT count(*), sum(id), sum(length(note)) FROM shoal",
        &["1444|3008992|288800"],
    ),
    (
        "SELECT id, left(note, 23) FROM shoal WHERE note LIKE '%fish 3 and%' AND id IN (302, 303, 304)",
        &[
            "302|fish 3 and fish 2, fish",
            "303|fish 3 and fish 3, fish",
            "304|fish 3 and fish 4, fish",
        ],
    ),
];

fn has_runs(folder: &Path) -> bool {
    let name = folder.to_string_lossy();
    let bits = name.rsplit('-').next().expect("feature bits");
    bits.parse::<u32>().expect("a number") & 4 != 0
}

fn folders() -> Vec<PathBuf> {
    let formats = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/format");
    let entries = fs::read_dir(formats).expect("the folder of formats");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_dir()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let output = run(connection, sql).expect(sql);
    let rows = output.rows.into_iter().flatten();
    let cells = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
    rows.map(|row| row.into_iter().map(cells).collect::<Vec<_>>().join("|"))
        .collect()
}

fn check(connection: &Connection, folder: &Path) {
    let of_runs = EXPECTED_OF_RUNS.iter().filter(|_| has_runs(folder));
    for (sql, expected) in EXPECTED.iter().chain(of_runs) {
        assert_eq!(
            rows(connection, sql),
            *expected,
            "{}: {sql}",
            folder.display()
        );
    }
}

#[test]
fn every_format_is_opened_and_goes_on() {
    let folders = folders();
    assert!(!folders.is_empty(), "there is a format");
    for folder in folders {
        let copied = tempfile::tempdir().expect("a directory");
        let directory = copied.path().join("db");
        copy(&folder, &directory);
        for checkpoint in [false, true] {
            let database = Database::open(&directory).expect("a database");
            let connection = database.connect().expect("a connection");
            check(&connection, &folder);
            // What follows from the definitions still holds, and what is written now is found again.
            let keep = |name| connection.execute("INSERT INTO keeper (name) VALUES (?)", [name]);
            let error = keep("Ada").expect_err("a name that is taken");
            assert_eq!(error.sqlstate(), "23505");
            keep("Eve").expect("a keeper");
            let number = &rows(&connection, "SELECT id > 4 FROM keeper WHERE name = 'Eve'")[0];
            assert_eq!(number, "t", "a number that nobody had");
            connection
                .execute("DELETE FROM keeper WHERE name = 'Eve'", [])
                .expect("gone");
            if checkpoint {
                connection.execute("CHECKPOINT", []).expect("a checkpoint");
            }
        }
        let database = Database::open(&directory).expect("a database");
        check(&database.connect().expect("a connection"), &folder);
    }
}

/// The bits beside the number of operations, in the last segment's frames.
fn kinds_of_frames(folder: &Path) -> BTreeSet<u32> {
    let bytes = fs::read(folder.join("wal/0000000002.log")).expect("a segment");
    let number = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("a number"));
    let (mut kinds, mut at) = (BTreeSet::new(), 60);
    while at < bytes.len() {
        kinds.insert(number(at + 36) >> 30);
        at += number(at) as usize;
    }
    kinds
}

/// A folder without what it is there for would prove nothing.
#[test]
fn the_folders_have_frames_of_each_kind() {
    for folder in folders() {
        let expected = match has_runs(&folder) {
            // Short ones, compressed ones, and compressed ones that are followed by more of their run.
            true => vec![0b00, 0b10, 0b11],
            false => vec![0b00],
        };
        let kinds = kinds_of_frames(&folder);
        assert!(
            kinds.iter().eq(&expected),
            "{}: {kinds:?}",
            folder.display()
        );
    }
}
